"""Opening image files as the plugin sees them in napari: lazily where the format allows it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.axes_metadata import axes_from_labels, axes_from_tiff, fit_axes
from napari_pvpu.errors import DatasetError, ImageError
from napari_pvpu.source import ImageSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ImageFile", "find_images", "open_image", "read_image_file"]

_TIFF = (".tif", ".tiff")
_NPY = ".npy"
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_ZARR = ("zarr.json", ".zattrs", ".zgroup", ".zarray")

LARGE = 2**28
"""Bytes of a TIFF's pixels from which on they are read as they are looked at, if zarr is there."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """What an image file holds.

    Attributes
    ----------
    image : array-like, or list of array-like
        As stored; an NPY is mapped, a zarr or large TIFF lazy, with all levels if there are more.
    axes : str or None
        Letters as in `napari_pvpu.axes`, if the file tells them.
    sizes : dict of str to (float, str)
        Length of a pixel along each axis that it is known of, and the unit.
    """

    image: Any
    axes: str | None = None
    sizes: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def ndim(self) -> int:
        """Number of the axes."""
        full = self.image[0] if isinstance(self.image, list) else self.image
        return len(full.shape)


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """Return image files, with those of a folder in the folder's place, by name.

    Parameters
    ----------
    paths : iterable of path
        Files, folders of a zarr, and folders that hold such.

    Raises
    ------
    DatasetError
        If a folder holds no image.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir() or _is_zarr(path):
            found.append(path)
            continue
        inside = sorted(each for each in path.iterdir() if _is_image(each))
        if not inside:
            raise DatasetError(
                f"there is no image in {path}; give files in TIFF, PNG, JPEG, WebP or NPY, or "
                "folders of zarr"
            )
        found += inside
    return list(dict.fromkeys(found))


def open_image(
    path: str | Path,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
) -> ImageSource:
    """Open an image file, an NPY as a memory map and a zarr with all its levels.

    Parameters
    ----------
    path : path
        TIFF, NPY, a picture, or the folder of an OME-Zarr or of a zarr array.
    axes : str, optional
        What its axes are; by default what the file says, else what `ImageSource` makes of it.
    channels : sequence of int, optional
        See `ImageSource`.

    Raises
    ------
    ImageError, ExportError, DatasetError
        If it cannot be read or cannot be segmented.
    """
    found = read_image_file(path)
    return ImageSource(found.image, axes=axes or found.axes, channels=channels)


def read_image_file(path: str | Path) -> ImageFile:
    """Read an image file with what it tells of axes and pixels.

    Parameters
    ----------
    path : path
        As for `open_image`.

    Raises
    ------
    ImageError, ExportError, DatasetError
        If it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise ImageError(f"there is no file {path}; check the path")
    found = _read(path)
    return ImageFile(found.image, fit_axes(found.axes, found.ndim), found.sizes)


def _read(path: Path) -> ImageFile:
    if path.is_dir():
        return _open_zarr(path)
    suffix = path.suffix.lower()
    if suffix in _TIFF:
        return _read_tiff(path)
    if suffix == _NPY:
        try:
            return ImageFile(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise ImageError(f"{path} cannot be read: {error}") from error
    from napari_pvpu.evaluation.dataset import read_image

    return ImageFile(read_image(path))


def _read_tiff(path: Path) -> ImageFile:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            large = series.nbytes > LARGE
            image = _lazy_levels(path) if large else None
            image = series.asarray() if image is None else image
            return ImageFile(image, axes_from_tiff(series.axes), _sizes(file))
    except (OSError, ValueError, IndexError, KeyError, tifffile.TiffFileError) as error:
        raise ImageError(f"{path} cannot be read as a TIFF: {error}") from error


def _lazy_levels(path: Path) -> Any:
    """Return a TIFF as a zarr array, or a list of its levels; None where zarr is not installed."""
    try:
        import tifffile
        import zarr
    except ImportError:
        return None
    file = tifffile.TiffFile(path)
    store = file.series[0].aszarr()
    weakref.finalize(store, file.close)  # it goes with the last array that reads from it
    found = zarr.open(store, mode="r")
    if isinstance(found, zarr.Array):
        return found
    described: Any = found.attrs["multiscales"]
    names = [each["path"] for each in described[0]["datasets"]]
    levels = [found[name] for name in names]
    return levels if len(levels) > 1 else levels[0]


def _sizes(file: Any) -> dict[str, tuple[float, str]]:
    """Return what a TIFF tells of its pixels; nothing where that makes no sense."""
    from napari_pvpu.export.tiff import pixel_sizes

    try:
        sizes = pixel_sizes(file)
    except (ValueError, KeyError, ZeroDivisionError, SyntaxError):  # of XML, too
        return {}
    return {axis: (size, unit) for axis, (size, unit) in sizes.items() if 0 < size < float("inf")}


def _open_zarr(path: Path) -> ImageFile:
    from napari_pvpu.export.atomic import library
    from napari_pvpu.export.ome_zarr import open_ngff

    zarr = library("zarr", "images in zarr")
    try:
        group = zarr.open(str(path), mode="r")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(
            f"{path} cannot be read as a zarr ({error}); its metadata may be missing or damaged"
        ) from error
    if isinstance(group, zarr.Array):
        return ImageFile(group, _axes_of(group))
    full, metadata = open_ngff(path)
    datasets = metadata["attributes"]["multiscales"][0]["datasets"]
    try:
        levels = [full, *(group[each["path"]] for each in datasets[1:])]
    except KeyError as error:
        raise ImageError(f"{path} names a level that it does not have: {error}") from error
    axes = str(metadata["axes"])
    steps = zip(metadata["scale"], metadata["units"], strict=True)
    sizes = dict(zip(axes, steps, strict=True))
    return ImageFile(levels if len(levels) > 1 else full, axes, sizes)


def _axes_of(array: Any) -> str | None:
    """Return the letters of a zarr array's axes, if it names them."""
    names = getattr(array.metadata, "dimension_names", None)
    return axes_from_labels(names) if names and all(names) else None


def _is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr; one that is called so and has lost its metadata, too."""
    named = path.suffix.lower() == ".zarr"
    return path.is_dir() and (named or any((path / name).is_file() for name in _ZARR))


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return path.suffix.lower() in (*_TIFF, _NPY, *_PICTURES) or _is_zarr(path)
