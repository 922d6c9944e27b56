"""The files of a folder of training data, matched by stem, with everything that does not match.

`MaskFolder` refuses a folder with a mistake in it; here the rest of it can be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.benchmark_layouts import LAYOUTS, PLAIN, Layout, recognise
from napari_pvpu.evaluation.dataset import SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FolderListing", "find_layout"]


def find_layout(root: Path) -> tuple[Path, Layout | None]:
    """Tell where a folder's images and masks are.

    Parameters
    ----------
    root : Path
        A folder of images and masks, or in a benchmark's layout.

    Returns
    -------
    (place, layout)
        The folder that holds images and masks; the layout is None for ``images/`` and ``masks/``.

    Raises
    ------
    DatasetError
        If there is no such folder or its layout is not known.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is neither a folder nor a file of training data")
    try:
        found = recognise(root)
    except DatasetError:  # such as two masks of one stem, which are listed later
        found = (PLAIN, root) if (root / "images").is_dir() else None
    if found is None:
        known = "; ".join(f"{name}: {layout}" for name, layout in LAYOUTS.items())
        held = ", ".join(sorted(path.name for path in root.iterdir())[:10]) or "nothing"
        raise DatasetError(
            f"{root} is laid out in no way that is known ({PLAIN}: images/ + masks/; {known}); "
            f"it holds {held}"
        )
    name, place = found
    return place, None if name == PLAIN else LAYOUTS[name]


class FolderListing:
    """What a folder holds.

    Parameters
    ----------
    root : Path
        The folder.
    layout : Layout, optional
        A benchmark's; of layouts with lists of images the list "train" is taken.

    Attributes
    ----------
    pairs : list of (Path, Path, Path or None)
        Image, mask and ignore mask of each stem that has both of the former.
    problems : list of (str, Path, str)
        Kind (of `KINDS`), file and detail of all that does not match.
    count : int
        Images that there are, or should be by the list.

    Raises
    ------
    DatasetError
        If the layout's list cannot be read.
    """

    def __init__(self, root: Path, layout: Layout | None = None) -> None:
        self.problems: list[tuple[str, Path, str]] = []
        self._several: set[str] = set()
        names = ("images", "masks") if layout is None else (layout.images, layout.masks)
        images = self._by_stem(root / names[0], SUFFIXES)
        masks = self._by_stem(root / names[1], SUFFIXES if layout is None else layout.suffixes)
        ignored: dict[str, Path] = {}
        if layout is None and (root / "ignore").is_dir():
            ignored = self._by_stem(root / "ignore", SUFFIXES)
        if layout is not None and layout.lists is not None:
            # The list names the images of a split; the folders may hold more.
            stems = _listed(root / layout.lists.format(split="train"))
            absent = [root / names[0] / stem for stem in stems if stem not in images]
            self.problems += [("listed", path, "") for path in absent]
        else:
            stems = sorted(images)
            lonely = sorted(masks.keys() - images.keys() - self._several)
            self.problems += [("no image", masks[stem], "") for stem in lonely]
        bare = [s for s in stems if s in images and s not in masks and s not in self._several]
        self.problems += [("no mask", images[stem], "") for stem in bare]
        both = [s for s in stems if s in images and s in masks and s not in self._several]
        self.pairs = [(images[stem], masks[stem], ignored.get(stem)) for stem in both]
        self.count = len(stems)

    def _by_stem(self, folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
        """Files by stem; stems that come twice are remembered, since neither file can be right."""
        found: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in suffixes and not path.name.startswith("."):
                found.setdefault(path.stem, []).append(path)
        for stem, (first, *others) in found.items():
            if others:
                self._several.add(stem)
                listed = ", ".join(path.name for path in others)
                self.problems.append(("duplicate", first, f"also {listed}"))
        return {stem: paths[0] for stem, paths in found.items()}


def _listed(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise DatasetError(f"the list of images {path} cannot be read: {error}") from error
    return list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))
