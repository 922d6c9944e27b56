"""Reading images and label images of any kind that the command line takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.export.atomic import read_error
from napari_pvpu.export.label_image import LabelImage, as_label_image
from napari_pvpu.export.ome_zarr import open_ngff, read_ome_zarr
from napari_pvpu.export.tiff import read_tiff

if TYPE_CHECKING:
    import os

__all__ = ["read_image", "read_label_image"]

_TIFF = (".tif", ".tiff")


def read_label_image(path: str | os.PathLike[str]) -> LabelImage:
    """Read labels from TIFF, PNG (or another picture without loss), NPY or OME-Zarr.

    Parameters
    ----------
    path : path
        Of a file, or of an OME-Zarr's folder.

    Returns
    -------
    LabelImage
        With axes, scale and units as far as they are told.

    Raises
    ------
    ExportError
        When it cannot be read, or holds no labels.
    """
    path = Path(path)
    if path.is_dir():
        return read_ome_zarr(path)
    if path.suffix.lower() in _TIFF:
        return read_tiff(path)
    if path.suffix.lower() == ".npy":
        return as_label_image(_npy(path), name=path.name)
    labels = _picture(path)
    if labels.ndim != 2:
        raise read_error(path, f"it has colours (shape {labels.shape}), not labels")
    return as_label_image(labels, name=path.name)


def read_image(path: str | os.PathLike[str]) -> Any:
    """Read an image to measure intensities in.

    Parameters
    ----------
    path : path
        TIFF, PNG, JPEG, NPY, or the folder of an OME-Zarr's image.

    Returns
    -------
    array
        As stored; colours last for pictures.

    Raises
    ------
    ExportError
        When it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        array, metadata = open_ngff(path)
        image = np.asarray(array)
        dropped = tuple(
            at for at, axis in enumerate(metadata["axes"]) if axis in "TZ" and image.shape[at] == 1
        )
        return image.squeeze(dropped)
    if path.suffix.lower() in _TIFF:
        import tifffile

        try:
            return tifffile.imread(path)
        except (OSError, ValueError, IndexError, tifffile.TiffFileError) as error:
            raise read_error(path, error) from error
    return _npy(path) if path.suffix.lower() == ".npy" else _picture(path)


def _npy(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise read_error(path, error) from error


def _picture(path: Path) -> Any:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of these
        raise read_error(path, error) from error
