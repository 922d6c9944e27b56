"""Parts of arrays that lie on a disk or far away, and a sentence for what may go wrong there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import ImageError

__all__ = ["read_block"]

_LONGEST = 200
"""Letters of another library's message that are passed on."""


def read_block(array: Any, index: tuple[Any, ...]) -> npt.NDArray[Any]:
    """Return a part of an array-like.

    Parameters
    ----------
    array : array-like
        numpy, memory map, dask, zarr or anything else that is sliced.
    index : tuple of int and slice
        One for each axis.

    Returns
    -------
    array
        Of the axes that were sliced.

    Raises
    ------
    ImageError
        If it cannot be read: a damaged chunk, a file or disk that is gone, a chunk larger than
        the memory.

    Notes
    -----
    A chunk that a zarr does not have stands for its fill value, and is no error. So if nothing
    but one value is read from a zarr, it is made sure that the zarr itself is still there.
    """
    if isinstance(array, np.ndarray):
        return np.asarray(array[index])
    try:
        block = np.asarray(array[index])
    except MemoryError as error:
        raise ImageError(
            "there is too little memory to read this part of the image; if its chunks are large, "
            "save it anew in chunks of about 1000 x 1000 pixels, or close other programs"
        ) from error
    except ImageError:
        raise
    except Exception as error:  # each format has errors of its own for damage
        raise ImageError(
            f"this part of the image cannot be read ({_words(error)}); its file may be damaged, or "
            "on a disk that is gone: make it readable and mark again, or go on elsewhere"
        ) from error
    if block.size and (block == block.flat[0]).all():
        _check_there(array)
    return block


def _check_there(array: Any) -> None:
    """Raise if a zarr, or that below a dask array, has been removed."""
    for each in (array, *_below(array)):
        root = getattr(getattr(each, "store", None), "root", None)
        folder = Path(root) / str(getattr(each, "path", "")) if isinstance(root, Path) else None
        if folder is not None and not folder.exists():
            raise ImageError(
                f"the image at {folder} is not there any more; put it back, or connect its disk, "
                "and mark again"
            )


def _below(array: Any) -> list[Any]:
    """Return what a dask array was made of, as far as that is told in a layer of its own."""
    layers = getattr(getattr(array, "dask", None), "layers", {})
    return [value for layer in layers.values() if len(layer) == 1 for value in layer.values()]


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_LONGEST]}" if text else type(error).__name__
