"""Folders of images with object masks.

Layout: ``images/`` (PNG, TIFF, WebP, JPEG, BMP), ``masks/`` (label images of 8 or 16 bits, 0 is
background, same stems) and, if there, ``ignore/`` (non-zero pixels are not scored, same stems;
an image without one is scored everywhere). Needs numpy and Pillow, and tifffile for TIFF.
`benchmark_layouts` reads the layouts of published benchmarks through the same interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "MaskFolder",
    "ObjectRef",
    "Sample",
    "SampleFiles",
    "by_stem",
    "read_image",
    "read_labels",
]

SUFFIXES = (".png", ".tif", ".tiff", ".webp", ".jpg", ".jpeg", ".bmp")
_TIFF = (".tif", ".tiff")
_MAX_LISTED = 10
_MAX_CHANNELS = 16


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """Where one image, its label image and its ignore mask (if any) are."""

    stem: str
    image: Path
    mask: Path
    ignore: Path | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its objects.

    Parameters
    ----------
    stem : str
        File name without suffix.
    image : ndarray, shape (H, W) or (H, W, C)
        As stored; alpha is dropped and palettes are resolved.
    labels : ndarray of int32, shape (H, W)
        0 is background.
    valid : ndarray of bool, shape (H, W)
        True where pixels are scored.
    """

    stem: str
    image: NDArray[Any]
    labels: NDArray[np.int32]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """One object: index of its image in the folder, its label there, its area in valid pixels."""

    image: int
    label: int
    area: int


class MaskFolder:
    """A folder of images and label images.

    Parameters
    ----------
    root : path
        The folder that holds ``images/`` and ``masks/``.
    min_area : int
        Objects with fewer valid pixels are left out.

    Raises
    ------
    DatasetError
        When the folder is not laid out as documented; the message lists every missing mask and
        every pair of different sizes (the first ten of each kind).
    """

    def __init__(self, root: str | Path, min_area: int = 1) -> None:
        self.root = Path(root)
        self.min_area = min_area
        self.files = _pair_files(self.root)
        self._objects: dict[int, tuple[ObjectRef, ...]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        files = self.files[index]
        labels, valid = self._read_truth(files)
        image = _channels_last(read_image(files.image), labels.shape, files.image)
        return Sample(files.stem, image, labels, valid)

    def _read_truth(self, files: SampleFiles) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Labels and scored pixels of one image; what other layouts read differently."""
        labels = read_labels(files.mask)
        if files.ignore is None:
            return labels, np.ones(labels.shape, dtype=bool)
        valid = read_labels(files.ignore) == 0
        if valid.shape != labels.shape:
            raise DatasetError(_size_problem(files.ignore, valid.shape, labels.shape))
        return labels, valid

    def objects(self, index: int) -> tuple[ObjectRef, ...]:
        """The objects of one image that are large enough, by ascending label."""
        if index not in self._objects:
            labels, valid = self._read_truth(self.files[index])
            values, counts = np.unique(np.where(valid, labels, 0), return_counts=True)
            self._objects[index] = tuple(
                ObjectRef(index, int(value), int(count))
                for value, count in zip(values, counts, strict=True)
                if value != 0 and count >= self.min_area
            )
        return self._objects[index]

    def sample_objects(self, limit: int | None = None, seed: int = 0) -> list[ObjectRef]:
        """Choose objects, spread evenly over the images.

        Images are put in a random order, and so are the objects within each; then every image
        gives one object in turn until there are enough. A smaller limit with the same seed
        therefore gives a part of what a larger one gives.

        Parameters
        ----------
        limit : int, optional
            How many at most; all by default.
        seed : int
            The same seed gives the same objects.

        Returns
        -------
        list of ObjectRef
            Ordered by image, then by label.

        Raises
        ------
        DatasetError
            When there is no object of the minimal area at all.
        """
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self))
        queues = []
        for index in order:
            objects = self.objects(int(index))
            queues.append([objects[i] for i in rng.permutation(len(objects))])
        rounds = max((len(queue) for queue in queues), default=0)
        chosen = [queue[turn] for turn in range(rounds) for queue in queues if turn < len(queue)]
        if not chosen:
            raise DatasetError(
                f"{self.root} holds no object of {self.min_area} or more pixels; "
                "label the objects with 1, 2, ... or lower the minimal area"
            )
        return sorted(chosen if limit is None else chosen[:limit])


def read_image(path: Path) -> NDArray[Any]:
    """Read one image file.

    Parameters
    ----------
    path : Path
        PNG, TIFF, WebP or JPEG.

    Returns
    -------
    ndarray, shape (H, W) or (H, W, C)
        Grey and colour as stored (a TIFF may also come as (C, H, W)); a palette becomes RGB,
        alpha is dropped.

    Raises
    ------
    DatasetError
        When the file cannot be read as an image.
    """
    if path.suffix.lower() in _TIFF:
        return _read_tiff(path)
    from PIL import Image

    try:
        with Image.open(path) as picture:
            mode = picture.mode
            if mode == "LA":
                return np.asarray(picture.convert("L"))
            if mode in ("P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"):
                return np.asarray(picture.convert("RGB"))
            return np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of these
        raise DatasetError(f"{path} cannot be read as an image: {error}") from error


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read one label image.

    Parameters
    ----------
    path : Path
        A single-channel image of integers; a palette image gives its indices.

    Returns
    -------
    ndarray of int32, shape (H, W)

    Raises
    ------
    DatasetError
        When the file cannot be read, has colours, or holds no integers.
    """
    if path.suffix.lower() in _TIFF:
        values = _read_tiff(path)
    else:
        from PIL import Image

        try:
            with Image.open(path) as picture:
                values = np.asarray(picture)
        except (OSError, ValueError, SyntaxError) as error:
            raise DatasetError(f"{path} cannot be read as an image: {error}") from error
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise DatasetError(
            f"{path} has shape {values.shape} and dtype {values.dtype}; a mask must be a "
            "single-channel label image of integers (0 background, 1, 2, ... objects)"
        )
    return values.astype(np.int32)


def _tifffile(path: Path) -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise DatasetError(
            f"{path} is a TIFF, and to read it tifffile is missing; run: pip install tifffile"
        ) from error
    return tifffile


def _read_tiff(path: Path) -> NDArray[Any]:
    tifffile = _tifffile(path)
    try:
        values = np.asarray(tifffile.imread(path))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise DatasetError(f"{path} cannot be read as a TIFF: {error}") from error
    return values.reshape(_without_singletons(values.shape))


def _without_singletons(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop axes of length 1 (planes, channels), but never the last two that are left."""
    kept = list(shape)
    while len(kept) > 2 and 1 in kept:
        kept.remove(1)
    return tuple(kept)


def _channels_last(image: NDArray[Any], shape: tuple[int, ...], path: Path) -> NDArray[Any]:
    """Move a leading channel axis of a TIFF to the end; refuse what does not fit the mask."""
    if image.shape[:2] == shape and image.ndim in (2, 3):
        return image
    if image.ndim == 3 and image.shape[1:] == shape and image.shape[0] <= _MAX_CHANNELS:
        return np.moveaxis(image, 0, -1)
    raise DatasetError(_size_problem(path, image.shape, shape))


def _size_problem(path: Path, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return (
        f"{path} has shape {found} but its mask has {expected}; "
        "image, mask and ignore mask of one stem must have the same height and width"
    )


def _pair_files(root: Path) -> list[SampleFiles]:
    """Match the files of the three folders by stem, and check that the sizes agree."""
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; give the folder that holds images/ and masks/")
    for name in ("images", "masks"):
        if not (root / name).is_dir():
            raise DatasetError(f"{root} has no folder {name}/; expected images/ and masks/ in it")
    images = by_stem(root / "images")
    masks = by_stem(root / "masks")
    ignored = by_stem(root / "ignore") if (root / "ignore").is_dir() else {}
    if not images:
        raise DatasetError(f"{root / 'images'} holds no image ({', '.join(SUFFIXES)})")
    missing = [f"{images[stem].name} has no mask of this stem" for stem in images.keys() - masks]
    pairs = [
        SampleFiles(stem, images[stem], masks[stem], ignored.get(stem))
        for stem in sorted(images.keys() & masks)
    ]
    problems = sorted(missing) + _size_problems(pairs)
    if problems:
        more = len(problems) - _MAX_LISTED
        listed = "; ".join(problems[:_MAX_LISTED]) + (f"; and {more} more" if more > 0 else "")
        raise DatasetError(f"{root} has {len(problems)} problem(s): {listed}")
    return pairs


def by_stem(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> dict[str, Path]:
    """Files of a folder by stem, hidden files left out; raises `DatasetError` for equal stems."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in found:
            raise DatasetError(
                f"{folder} holds both {found[path.stem].name} and {path.name}; stems must be unique"
            )
        found[path.stem] = path
    return found


def _size_problems(pairs: list[SampleFiles]) -> list[str]:
    """Compare sizes from the headers alone, so that a large folder is checked at once."""
    problems = []
    for pair in pairs:
        try:
            mask = _header_shape(pair.mask)
            others = [pair.image] + ([pair.ignore] if pair.ignore else [])
            for path in others:
                shape = _header_shape(path)
                if mask not in (shape[:2], shape[1:], shape):
                    problems.append(f"{path.name} is {shape} but its mask is {mask}")
        except DatasetError as error:
            problems.append(str(error))
    return problems


def _header_shape(path: Path) -> tuple[int, ...]:
    """Shape without reading pixels; height and width only, but for a TIFF with more axes."""
    if path.suffix.lower() in _TIFF:
        tifffile = _tifffile(path)
        try:
            with tifffile.TiffFile(path) as tiff:
                return _without_singletons(tiff.series[0].shape)
        except (OSError, ValueError, IndexError, tifffile.TiffFileError) as error:
            raise DatasetError(f"{path} cannot be read as a TIFF: {error}") from error
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (OSError, ValueError, SyntaxError) as error:
        raise DatasetError(f"{path} cannot be read as an image: {error}") from error
