"""A folder or a list of images to annotate one after another, and what has become of each.

Results lie in one folder, by default ``pvpu-labels`` beside the images: a file of labels for each
image, named as the image is; the file of the series (`napari_pvpu.series_file`); and in
``sessions`` what was done to each image, so that it can be gone on with. A series knows no screen
and opens no image by itself; `napari_pvpu.series_work` does the work on one of its images.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import SeriesError
from napari_pvpu.export.formats import FORMATS
from napari_pvpu.features.image_files import find_images
from napari_pvpu.series_entries import Entry, Progress, State, label_stems, missing
from napari_pvpu.series_file import NAME, SeriesFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from napari_pvpu.segmenter import Segmenter
    from napari_pvpu.session import Session

    StrPath = str | os.PathLike[str]

__all__ = ["RESULTS", "Entry", "Progress", "Series", "State"]

RESULTS = "pvpu-labels"
"""Folder of the results, beside the images."""

SESSIONS = "sessions"


class Series:
    """Images with their states; get one from `open`. For one thread.

    Parameters
    ----------
    base : Path
        Common folder of the images.
    images : sequence of Path
        In the order in which they are worked on, each in `base` or below.
    results : Path
        Folder of the results.
    format_name : str, optional
        Of the labels, one of `napari_pvpu.export.FORMATS`; by default that used before, or TIFF.

    Raises
    ------
    SeriesError
        If the folder's file cannot be read, or the format is unknown.

    Examples
    --------
    >>> from napari_pvpu import Click, Segmenter, Series
    >>> series = Series.open("images")  # doctest: +SKIP
    >>> for entry in series.unfinished():  # doctest: +SKIP
    ...     with series.work(entry.name, Segmenter()) as session:
    ...         session.add(Click((120, 88)))
    ...         session.accept()
    ...     series.mark(entry.name, "done")
    """

    def __init__(
        self, base: Path, images: Sequence[Path], results: Path, format_name: str | None = None
    ) -> None:
        self.base, self.results = base, results
        self._file = SeriesFile(results)
        record = self._file.read()
        self.damaged = record.damaged
        """Lines of the series' file that could not be read."""
        self._format = _known_format(format_name or record.settings.get("format", "tiff"))
        self._settings = dict(record.settings)
        self._entries = self._made(images, record.images)
        self._places = {entry.name: place for place, entry in enumerate(self._entries)}

    @classmethod
    def open(
        cls,
        images: StrPath | Iterable[StrPath],
        results: StrPath | None = None,
        format_name: str | None = None,
    ) -> Series:
        """Open a series, or go on with it.

        Parameters
        ----------
        images : path or iterable of path
            A folder, whose images are taken in the order of their names, or image files; or the
            folder of results of an earlier series.
        results : path, optional
            Folder of the results; by default ``pvpu-labels`` beside the images.
        format_name
            See the class.

        Raises
        ------
        DatasetError
            If there is no image.
        SeriesError
            If there are none in the list, or the results cannot be read.
        """
        listed = [images] if isinstance(images, str | os.PathLike) else list(images)
        given = [Path(os.path.abspath(each)) for each in listed]
        if len(given) == 1 and (given[0] / NAME).is_file():
            results, given = given[0], _remembered(given[0])
        if not given:
            raise SeriesError("there is no image in the list; give at least one")
        found = find_images(given)
        if any(path.is_dir() for path in given):
            found.sort(key=_natural)
        base = Path(os.path.commonpath([path.parent for path in found]))
        folder = base / RESULTS if results is None else Path(os.path.abspath(results))
        series = cls(base, found, folder, format_name)
        series._remember(given)
        return series

    # What there is

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All images, in order."""
        return tuple(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, name: str) -> Entry:
        """Return an image by its name.

        Raises
        ------
        SeriesError
            If there is none of that name.
        """
        return self._entries[self.place(name)]

    def place(self, name: str) -> int:
        """Return the number of an image in the series, from 0."""
        if name not in self._places:
            raise SeriesError(f"there is no image {name!r} in the series; see its entries")
        return self._places[name]

    def unfinished(self) -> Iterator[Entry]:
        """Go through the images that are neither done nor skipped nor known not to open."""
        for name in [entry.name for entry in self._entries]:
            if self[name].unfinished:
                yield self[name]

    def next_unfinished(self, after: str | None = None) -> Entry | None:
        """Return the first unfinished image behind another one, around the end if need be."""
        start = 0 if after is None else self.place(after) + 1
        around = [*self._entries[start:], *self._entries[: max(start - 1, 0)]]
        return next((entry for entry in around if entry.unfinished), None)

    def neighbour(self, name: str, step: int) -> Entry | None:
        """Return the image so many places on, whatever its state; None beyond the ends."""
        place = self.place(name) + step
        return self._entries[place] if 0 <= place < len(self) else None

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        states = [entry.state for entry in self._entries]
        return Progress(
            len(self),
            states.count(State.DONE),
            states.count(State.SKIPPED),
            sum(entry.trouble is not None for entry in self._entries),
        )

    @property
    def current(self) -> Entry | None:
        """The image worked on last, here or before; None if there was none."""
        place = self._places.get(str(self._settings.get("current")))
        return None if place is None else self._entries[place]

    @property
    def format_name(self) -> str:
        """Format of the labels; a new one holds for images that are saved from then on.

        Raises
        ------
        SeriesError
            On setting, if there is no such format or that cannot be written down.
        """
        return self._format

    @format_name.setter
    def format_name(self, name: str) -> None:
        self._format = _known_format(name)
        self._set("format", name)

    def labels_path(self, name: str) -> Path:
        """Return where the labels of an image go when they are saved now."""
        stem = str(self[name].labels)
        for suffix in sorted(_SUFFIXES, key=len, reverse=True):
            if stem.endswith(suffix):
                return Path(stem.removesuffix(suffix) + FORMATS[self._format].suffixes[0])
        return self[name].labels

    def sessions_folder(self, name: str) -> Path:
        """Return the folder of the session files of an image."""
        return self.results / SESSIONS / self[name].name

    # What changes

    def mark(self, name: str, state: State | str) -> Entry:
        """Note what has become of an image.

        Raises
        ------
        SeriesError
            If there is no such image or state, or that cannot be written down.
        """
        try:
            wanted = State(state)
        except ValueError as error:
            known = ", ".join(each.value for each in State)
            raise SeriesError(f"an image cannot be {state!r}; choose from {known}") from error
        return self.update(name, state=wanted)

    def update(self, name: str, **changes: Any) -> Entry:
        """Note more about an image: attributes of `Entry`.

        Raises
        ------
        SeriesError
            If that cannot be written down; then nothing has changed.
        """
        before = self[name]
        entry = replace(before, **changes)
        if replace(entry, trouble=before.trouble) != before:
            self._file.note_image(name, self._told(entry))
        self._entries[self._places[name]] = entry
        return entry

    def take_up(self, name: str) -> Entry:
        """Note that an image is worked on now, to go on with it another time."""
        if self._settings.get("current") != self[name].name:
            self._set("current", name)
        return self[name]

    def work(self, name: str, segmenter: Segmenter) -> AbstractContextManager[Session]:
        """Open an image's session in a ``with`` statement, gone on with where it was left.

        At the end its labels are saved, also after an exception; see `work_on`.
        """
        from napari_pvpu.series_work import work_on

        return work_on(self, name, segmenter)

    # Inside

    def _set(self, key: str, value: Any) -> None:
        if self._settings.get(key) != value:
            self._file.note_setting(**{key: value})
            self._settings[key] = value

    def _remember(self, given: Sequence[Path]) -> None:
        """Write down what was given, so that the folder of results alone tells it."""
        self._set(
            "images", [Path(os.path.relpath(path, self.results)).as_posix() for path in given]
        )
        self._set("format", self._format)

    def _made(self, images: Sequence[Path], known: dict[str, dict[str, Any]]) -> list[Entry]:
        paths = {path.relative_to(self.base).as_posix(): path for path in images}
        for name, told in known.items():  # worked on before and not there any more
            if name not in paths and told.get("state") != State.UNTOUCHED:
                paths[name] = self.base / name
        suffix = FORMATS[self._format].suffixes[0]
        stems = label_stems(list(paths))
        return [
            self._entry(name, path, known.get(name, {}), stems[name] + suffix)
            for name, path in paths.items()
        ]

    def _entry(self, name: str, path: Path, told: dict[str, Any], labels: str) -> Entry:
        saved = told.get("saved")
        states = [state.value for state in State]
        return Entry(
            name,
            path,
            self.results / str(told.get("labels") or labels),
            State(told["state"]) if told.get("state") in states else State.UNTOUCHED,
            int(told.get("objects", 0)),
            None if saved is None else (int(saved[0]), int(saved[1])),
            told.get("fingerprint"),
            None if path.exists() else missing(path),
        )

    def _told(self, entry: Entry) -> dict[str, Any]:
        return {
            "state": entry.state.value,
            "objects": entry.objects,
            "labels": entry.labels.relative_to(self.results).as_posix(),
            "saved": entry.saved,
            "fingerprint": entry.fingerprint,
        }


_SUFFIXES = [suffix for each in FORMATS.values() for suffix in each.suffixes]


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Order img2 before img10."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def _known_format(name: str) -> str:
    if name not in FORMATS:
        raise SeriesError(f"labels cannot be saved as {name!r}; use one of {', '.join(FORMATS)}")
    return name


def _remembered(results: Path) -> list[Path]:
    """Return what a folder of results says its images are."""
    told = SeriesFile(results).read().settings.get("images")
    if not told:
        raise SeriesError(f"{results} does not tell where its images are; open their folder")
    return [Path(os.path.normpath(results / each)) for each in told]
