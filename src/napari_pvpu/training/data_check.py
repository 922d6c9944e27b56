"""Read training data and find everything that is wrong with them, in one pass.

`CheckedSources` gives the good images and remembers the rest; a mistake in one file hides none
in another. `check_data` only looks. Nothing that a folder can hold raises an exception here.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.dataset import read_image, read_labels
from napari_pvpu.training.annotations import (
    AnnotatedImage,
    collect,
    joint_name,
    read_annotated,
)
from napari_pvpu.training.array_faults import array_faults
from napari_pvpu.training.data_report import BadDataError, DataReport, Problem, SourceCount
from napari_pvpu.training.folder_listing import FolderListing, find_layout
from napari_pvpu.training.packed_files import PackedFile, is_packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_pvpu.evaluation.benchmark_layouts import Layout

__all__ = ["CheckedSources", "Example", "check_data"]

T = TypeVar("T")

_MAX_CHANNELS = 16


class Example(NamedTuple):
    """One image that can be trained on.

    Attributes
    ----------
    image : ndarray, (H, W) or (H, W, C)
    labels : ndarray of int, (H, W)
    group : str
        The source as it was named, the joint name of annotation files, or a packed set's group.
    name : str
        The file's name without suffix.
    """

    image: NDArray[np.generic]
    labels: NDArray[np.integer[Any]]
    group: str
    name: str


def check_data(
    sources: Sequence[str | Path], images: str | Path | None = None, min_area: int = 1
) -> DataReport:
    """Find everything that is wrong with training data.

    Parameters
    ----------
    sources : sequence of str or Path
        Folders, annotation files and packed sets, as `load_sources` takes them.
    images, min_area
        See `load_sources`.

    Returns
    -------
    DataReport
        Every problem of every file, and how much can be used.
    """
    checked = CheckedSources(sources, images, min_area)
    for _ in checked:
        pass
    return checked.report()


class CheckedSources:
    """Training data that are read and checked at once.

    Parameters
    ----------
    sources, images, min_area
        See `check_data`.

    Notes
    -----
    Iterate once to get each image that can be trained on as an `Example`; after that `report`
    says what was wrong with the others.
    """

    def __init__(
        self,
        sources: Sequence[str | Path],
        images: str | Path | None = None,
        min_area: int = 1,
    ) -> None:
        self._sources, self._images, self._min_area = list(sources), images, min_area
        self._problems: list[Problem] = []
        self._counts: dict[str, SourceCount] = {}

    def __iter__(self) -> Iterator[Example]:
        self._problems, self._counts = [], {}
        files = [s for s in self._sources if str(s).lower().endswith(".json")]
        for source in self._sources:
            if is_packed(source):
                yield from self._packed(str(source))
            elif source not in files:
                yield from self._folder(str(source))
        if files:
            yield from self._annotations([Path(file) for file in files])

    def report(self) -> DataReport:
        """Return what has been found so far."""
        return DataReport(tuple(self._problems), dict(self._counts))

    def usable(self, skip_bad: bool = False) -> list[Example]:
        """Read everything.

        Parameters
        ----------
        skip_bad : bool
            Leave out what cannot be used, instead of refusing all.

        Raises
        ------
        BadDataError
            If there is a mistake in the data, unless `skip_bad`.
        """
        examples = list(self)
        self.refuse_mistakes(skip_bad)
        return examples

    def refuse_mistakes(self, skip_bad: bool = False) -> None:
        """Raise `BadDataError` if mistakes were found, unless `skip_bad`."""
        report = self.report()
        if not (report.ok or skip_bad):
            raise BadDataError(report)

    def _blame(self, kind: str, source: str, file: str | Path, detail: str = "") -> None:
        self._problems.append(Problem(kind, source, str(file), detail))

    def _attempt(self, read: Callable[[], T], kind: str, source: str, file: str | Path) -> T | None:
        """Call a reader; what it raises becomes a problem, and None is returned."""
        try:
            return read()
        except DatasetError as error:
            self._blame(kind, source, file, str(error))
        except ImportError as error:
            missing = error.name or "a package"
            self._blame(kind, source, file, f"reading it needs {missing}: pip install {missing}")
        # Decoders raise all sorts of things for damaged files; none of them is the user's to see.
        except Exception as error:
            self._blame(kind, source, file, f"{type(error).__name__}: {error}")
        return None

    def _judged(self, source: str, file: str | Path, example: Example) -> Iterator[Example]:
        """Pass an example on if its pixels are in order."""
        faults = array_faults(example.image, example.labels)
        for kind, detail in faults:
            self._blame(kind, source, file, detail)
        if not faults:
            count = self._counts[source]
            count.usable += 1
            count.objects += int(np.count_nonzero(np.bincount(example.labels.ravel())[1:]))
            yield example

    def _closed(self, source: str) -> None:
        """Say so if a source turned out to hold nothing to learn from, and it is not clear why."""
        mine = tuple(problem for problem in self._problems if problem.source == source)
        if not self._counts[source].usable and DataReport(mine).ok:
            self._blame("nothing", source, source, f"{source} has no image that shows an object")

    def _folder(self, source: str) -> Iterator[Example]:
        count = self._counts.setdefault(source, SourceCount())
        found = self._attempt(partial(find_layout, Path(source)), "source", source, source)
        if found is None:
            return
        place, layout = found
        listing = self._attempt(partial(FolderListing, place, layout), "source", source, source)
        if listing is None:
            return
        for kind, file, detail in listing.problems:
            self._blame(kind, source, file, detail)
        count.images += listing.count
        for image, mask, ignore in listing.pairs:
            read = self._pair(source, image, mask, ignore, layout)
            if read is not None:
                yield from self._judged(
                    source, image, Example(read[0], read[1], source, image.stem)
                )
        self._closed(source)

    def _pair(
        self,
        source: str,
        image_file: Path,
        mask_file: Path,
        ignore: Path | None,
        layout: Layout | None,
    ) -> tuple[NDArray[Any], NDArray[np.int32]] | None:
        """Read an image and its mask; both are looked at even if the first is damaged."""
        truth = read_labels if layout is None else partial(_labels_of, layout)
        image = self._attempt(partial(read_image, image_file), "image", source, image_file)
        labels = self._attempt(partial(truth, mask_file), "mask", source, mask_file)
        if ignore is not None:
            unscored = self._attempt(partial(read_labels, ignore), "mask", source, ignore)
            if unscored is None or labels is None:
                return None
            if unscored.shape != labels.shape:
                self._blame("size", source, ignore, f"{unscored.shape}, its mask {labels.shape}")
                return None
        if image is None or labels is None:
            return None
        fitting = _channels_last(image, labels.shape)
        if fitting is None:
            self._blame("size", source, image_file, f"{image.shape}, its mask {labels.shape}")
            return None
        return fitting, labels

    def _packed(self, source: str) -> Iterator[Example]:
        count = self._counts.setdefault(source, SourceCount())
        packed = self._attempt(partial(PackedFile, source), "source", source, source)
        if packed is None:
            return
        count.images += len(packed)
        with packed.opened() as archive:
            for entry in packed.entries:
                file = f"{source}:{entry.image}"
                read = self._attempt(partial(packed.read, archive, entry), "image", source, file)
                if read is not None:
                    example = Example(read[0], read[1], entry.group, entry.name)
                    yield from self._judged(source, file, example)
        self._closed(source)

    def _annotations(self, files: list[Path]) -> Iterator[Example]:
        source = joint_name(files)
        count = self._counts.setdefault(source, SourceCount())
        if self._images is None:
            detail = f"{files[0]} needs the folder of its images; give --images DIR"
            self._blame("source", source, files[0], detail)
            return
        folder, known = Path(self._images), dict[str, AnnotatedImage]()
        for file in files:
            self._attempt(partial(collect, file, folder, known), "source", source, file)
        wanted = [entry for entry in known.values() if entry.annotated]
        count.images += len(wanted)
        for entry in wanted:
            yield from self._annotated(source, entry)
        self._closed(source)

    def _annotated(self, source: str, entry: AnnotatedImage) -> Iterator[Example]:
        if not entry.path.is_file():
            self._blame("missing", source, entry.path)
            return
        before = len(self._problems)
        read = self._attempt(
            partial(read_annotated, entry, self._min_area), "annotation", source, entry.path
        )
        if read is not None:
            example = Example(read[0], read[1], source, entry.path.stem)
            yield from self._judged(source, entry.path, example)
        elif len(self._problems) == before:
            self._blame("small", source, entry.path)


def _labels_of(layout: Layout, path: Path) -> NDArray[np.int32]:
    return layout.read(path)[0]


def _channels_last(image: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any] | None:
    """Return the image with channels last, or None if it does not fit a mask of that size."""
    if image.shape[:2] == size and image.ndim in (2, 3):
        return image
    if image.ndim == 3 and image.shape[1:] == size and image.shape[0] <= _MAX_CHANNELS:
        return np.moveaxis(image, 0, -1)
    return None
