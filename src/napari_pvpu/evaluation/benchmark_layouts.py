"""Folders of published benchmarks as users have them on disk, read like any `MaskFolder`.

The layouts are those that RITM, SimpleClick and PVPUFormer evaluate on (GrabCut, Berkeley, DAVIS,
SBD, Pascal VOC); what a mask's values mean follows RITM's readers, so that the objects are the
same. `open_dataset` recognises a layout by what the folder holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.dataset import SUFFIXES, MaskFolder, SampleFiles, by_stem

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Truth: TypeAlias = tuple[NDArray[np.int32], NDArray[np.bool_]]

__all__ = ["LAYOUTS", "BenchmarkFolder", "Layout", "open_dataset", "recognise"]

PLAIN = "folder"
"""Name of the layout that `MaskFolder` reads."""

_NESTED = (".", "dataset", "VOC2012", "VOCdevkit/VOC2012")
"""Where archives of these sets hold them: SBD's in dataset/, Pascal VOC's in VOCdevkit/VOC2012/."""

_MAX_LISTED = 10
_LOOKED_AT = 8
_VOID_COLOUR = (224, 224, 192)
_VOID_INDEX = 255
_VOID_GREY = 220  # the void colour of Pascal VOC as a luminance


@dataclass(frozen=True, slots=True)
class Layout:
    """How one benchmark is laid out.

    Parameters
    ----------
    images, masks : str
        Folders of images and of masks with the same stems.
    read : callable
        Reads one mask: labels (H, W) int32 with 0 as background, and scored pixels (H, W).
    lists : str, optional
        File that names the images of a split, with ``{split}`` for its name.
    suffixes : tuple of str
        Of mask files.
    """

    images: str
    masks: str
    read: Callable[[Path], Truth]
    lists: str | None = None
    suffixes: tuple[str, ...] = SUFFIXES

    def __str__(self) -> str:
        parts = [f"{self.images}/", f"{self.masks}/"]
        return " + ".join(parts + ([self.lists.format(split="SPLIT")] if self.lists else []))


class BenchmarkFolder(MaskFolder):
    """A benchmark's folder with the interface of `MaskFolder`.

    Parameters
    ----------
    root : path
        The folder that holds the layout's folders.
    layout : str
        One of `LAYOUTS`.
    split : str
        Which list of images, for layouts that have lists (SBD: train, val; Pascal VOC: train,
        val, trainval). Others have no splits and are read whole.
    min_area : int
        Objects with fewer scored pixels are left out.

    Raises
    ------
    DatasetError
        When folders, lists or masks are missing; the message names the first ten.
    """

    def __init__(
        self, root: str | Path, layout: str, split: str = "val", min_area: int = 1
    ) -> None:
        self.root = Path(root)
        self.min_area = min_area
        self.layout = LAYOUTS[layout]
        self.files = _pair_files(self.root, self.layout, split)
        self._objects = {}

    def _read_truth(self, files: SampleFiles) -> Truth:
        return self.layout.read(files.mask)


def open_dataset(
    root: str | Path, min_area: int = 1, split: str = "val", layout: str = "auto"
) -> MaskFolder:
    """Open a folder of images with objects, whatever its layout.

    Parameters
    ----------
    root : path
        The folder.
    min_area : int
        Objects with fewer scored pixels are left out.
    split : str
        For layouts that have lists of images.
    layout : str
        ``"auto"`` recognises it; ``"folder"`` is `MaskFolder`'s; else one of `LAYOUTS`.

    Returns
    -------
    MaskFolder
        Or a `BenchmarkFolder`.

    Raises
    ------
    DatasetError
        When the layout is not known, or the folder does not keep to it.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; {_known()}")
    if layout == PLAIN:
        return MaskFolder(root, min_area)
    if layout != "auto":
        if layout not in LAYOUTS:
            raise DatasetError(
                f"there is no layout {layout!r}; use auto, {PLAIN}, {', '.join(LAYOUTS)}"
            )
        place = next((p for p in _places(root) if _has(p, LAYOUTS[layout])), root)
        return BenchmarkFolder(place, layout, split, min_area)
    found = recognise(root)
    if found is None:
        raise DatasetError(f"{root} is laid out in no way that is known; {_known()}; {_held(root)}")
    name, place = found
    if name == PLAIN:
        return MaskFolder(place, min_area)
    return BenchmarkFolder(place, name, split, min_area)


def recognise(root: Path) -> tuple[str, Path] | None:
    """Tell the layout of a folder from what it holds.

    Parameters
    ----------
    root : Path
        The folder itself, or the one that an archive of the set unpacks to.

    Returns
    -------
    (name, place) or None
        Name of the layout, or ``"folder"`` for `MaskFolder`'s, and the folder that has it.

    Notes
    -----
    Berkeley's folders have the names of `MaskFolder`'s. Masks of nothing but 0, 128 and 255 (the
    first few are looked at) and no ``ignore/`` are Berkeley's: 255 is the object, 128 is not
    scored. A plain folder of such masks without 128 has the same objects either way.
    """
    for place in _places(root):
        for name, layout in LAYOUTS.items():
            if not _has(place, layout):
                continue
            if name != "berkeley":
                return name, place
            return (name if _holds_trimaps(place) else PLAIN), place
    return None


def _places(root: Path) -> list[Path]:
    return [root / inner for inner in _NESTED if (root / inner).is_dir()]


def _has(root: Path, layout: Layout) -> bool:
    return (root / layout.images).is_dir() and (root / layout.masks).is_dir()


def _known() -> str:
    known = "; ".join(f"{name}: {layout}" for name, layout in LAYOUTS.items())
    return f"known layouts are {PLAIN}: images/ + masks/ [+ ignore/]; {known}"


def _held(root: Path) -> str:
    names = sorted(f"{p.name}/" if p.is_dir() else p.name for p in root.iterdir())
    listed = ", ".join(names[:_MAX_LISTED]) or "nothing"
    more = len(names) - _MAX_LISTED
    return f"it holds {listed}" + (f" and {more} more" if more > 0 else "")


def _pair_files(root: Path, layout: Layout, split: str) -> list[SampleFiles]:
    """Match images and masks by stem, in the order of the stems or of the split's list."""
    for name in (layout.images, layout.masks):
        if not (root / name).is_dir():
            raise DatasetError(f"{root} has no folder {name}/; {_known()}; {_held(root)}")
    images = by_stem(root / layout.images)
    masks = by_stem(root / layout.masks, layout.suffixes)
    stems = sorted(images) if layout.lists is None else _listed(root, layout.lists, split)
    if not stems:
        raise DatasetError(f"{root / layout.images} holds no image ({', '.join(SUFFIXES)})")
    problems = [f"{s} is listed but not in {layout.images}/" for s in stems if s not in images]
    problems += [f"{s} has no mask in {layout.masks}/" for s in stems if s not in masks]
    if problems:
        more = len(problems) - _MAX_LISTED
        listed = "; ".join(problems[:_MAX_LISTED]) + (f"; and {more} more" if more > 0 else "")
        raise DatasetError(f"{root} has {len(problems)} problem(s): {listed}")
    return [SampleFiles(stem, images[stem], masks[stem], None) for stem in stems]


def _listed(root: Path, pattern: str, split: str) -> list[str]:
    path = root / pattern.format(split=split)
    if not path.is_file():
        there = sorted(p.stem for p in path.parent.glob("*.txt")) if path.parent.is_dir() else []
        raise DatasetError(
            f"{root} has no list {pattern.format(split=split)} of the split {split!r}; "
            f"the lists there are {there}"
        )
    lines = path.read_text(encoding="utf-8").split("\n")
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise DatasetError(f"{path} names no image; it should hold one name a line")
    return list(dict.fromkeys(names))


def _open(path: Path, mode: str | None = None) -> tuple[NDArray[Any], str]:
    """Pixels of a mask file, converted to a mode if one is given, and the file's own mode."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode) if mode else picture), picture.mode
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of these
        raise DatasetError(f"{path} cannot be read as a mask: {error}") from error


def _trimap(path: Path) -> Truth:
    """GrabCut and Berkeley: above 128 is the object, 128 itself is not scored."""
    values = _open(path, "RGB")[0][..., 2]
    valid: NDArray[np.bool_] = values != 128
    return np.asarray((values > 128) | (values == 1), np.int32), valid


def _holds_trimaps(root: Path) -> bool:
    """Tell whether the first masks have only the values of Berkeley's, in grey or equal colours."""
    paths = list(by_stem(root / "masks").values())
    if not paths or (root / "ignore").is_dir():
        return False
    bright = False
    for path in paths[:: -(-len(paths) // _LOOKED_AT)]:
        try:
            own, mode = _open(path)
            # Colours of a palette are not looked at: its indices are labels.
            if own.dtype != np.uint8 or mode not in ("L", "RGB", "RGBA"):
                return False
            planes = own[..., None] if own.ndim == 2 else own[..., :3]
        except DatasetError:
            return False  # `MaskFolder` says what is wrong, or reads it
        if not np.isin(planes, (0, 128, 255)).all() or (planes != planes[..., :1]).any():
            return False
        bright |= bool((planes == 255).any())
    return bright


def _any_channel(path: Path) -> Truth:
    """DAVIS: whatever is not black is the one object."""
    labels = np.asarray(_open(path, "RGB")[0].max(axis=2) > 0, np.int32)
    return labels, np.ones(labels.shape, dtype=bool)


def _sbd(path: Path) -> Truth:
    """SBD: a MATLAB file whose ``GTinst.Segmentation`` numbers the objects."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        labels = np.asarray(loadmat(path)["GTinst"]["Segmentation"][0, 0])
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, MatReadError) as error:
        raise DatasetError(
            f"{path} cannot be read as an SBD annotation ({type(error).__name__}: {error}); "
            "expected a MATLAB file with GTinst.Segmentation"
        ) from error
    if labels.ndim != 2 or labels.dtype.kind not in "bui":
        raise DatasetError(
            f"{path} has a segmentation of shape {labels.shape} and dtype {labels.dtype}; "
            "expected integers (H, W)"
        )
    return labels.astype(np.int32), np.ones(labels.shape, dtype=bool)


def _voc(path: Path) -> Truth:
    """Pascal VOC: object numbers by palette, colour or grey; the void borders are not scored."""
    values, mode = _open(path)
    if mode in ("P", "L") and values.ndim == 2:
        grey = _VOID_GREY if mode == "L" else _VOID_INDEX
        unscored = np.isin(values, (_VOID_INDEX, grey))
        return np.where(unscored, 0, values).astype(np.int32), ~unscored
    colours = _open(path, "RGB")[0].astype(np.int32)
    void = np.asarray((colours == np.array(_VOID_COLOUR)).all(axis=2), np.bool_)
    codes = np.where(void, 0, colours @ np.array([1 << 16, 1 << 8, 1]))
    # Colours become 1, 2, ... by their codes; 0 is prepended so that black is 0 in any case.
    numbers = np.unique(np.append(0, codes), return_inverse=True)[1][1:]
    return numbers.reshape(codes.shape).astype(np.int32), ~void


LAYOUTS: dict[str, Layout] = {
    "grabcut": Layout("data_GT", "boundary_GT", _trimap),
    "davis": Layout("img", "gt", _any_channel),
    "sbd": Layout("img", "inst", _sbd, lists="{split}.txt", suffixes=(".mat",)),
    "voc": Layout(
        "JPEGImages", "SegmentationObject", _voc, lists="ImageSets/Segmentation/{split}.txt"
    ),
    "berkeley": Layout("images", "masks", _trimap),
}
