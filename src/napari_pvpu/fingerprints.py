"""How to tell images apart without reading all of them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from napari_pvpu.array_reading import read_block
from napari_pvpu.errors import ImageError
from napari_pvpu.levels import as_levels

__all__ = ["fingerprint", "image_hash"]

WHOLE = 1_000_000
"""Values up to which all of an image is looked at."""

WINDOWS = 16
"""Places that are looked at in larger ones, spread over all axes."""

SIDE = 32
"""Length of those along each of the last three axes."""


def fingerprint(image: Any) -> dict[str, Any]:
    """Return what tells an image apart from others, as values that `json.dumps` takes.

    Parameters
    ----------
    image : array-like, or sequence of array-like
        As for `ImageSource`; of a pyramid the first level is looked at.

    Returns
    -------
    dict
        ``shape``, ``dtype`` and ``hash``, a checksum of the values, or of 16 windows of images of
        more than a million values. What cannot be read counts as unreadable.

    Raises
    ------
    ImageError
        If none of it can be read.
    """
    array = as_levels(image)[0]
    shape = tuple(int(length) for length in array.shape)
    dtype = np.dtype(array.dtype)
    digest = hashlib.blake2b(digest_size=16)
    windows, trouble = _windows(shape), []
    for window in windows:
        try:
            block = read_block(array, window)
        except ImageError as error:
            trouble.append(error)
            digest.update(b"unreadable")
            continue
        digest.update(np.ascontiguousarray(block, dtype.newbyteorder("<")).tobytes())
    if len(trouble) == len(windows):
        raise trouble[0]
    return {"shape": list(shape), "dtype": dtype.name, "hash": digest.hexdigest()}


def image_hash(image: Any) -> str:
    """Return the checksum in an image's `fingerprint`, by which its session files are named."""
    return str(fingerprint(image)["hash"])


def _windows(shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    if int(np.prod(shape, dtype=np.int64)) <= WHOLE:
        return [(slice(None),) * len(shape)]
    windows = []
    for number in range(WINDOWS):
        window = []
        for axis, length in enumerate(shape):
            side = min(length, SIDE) if axis >= len(shape) - 3 else 1
            # Multiples of irrational numbers spread evenly, and differently along each axis.
            share = (0.5 + number * (np.sqrt(5) - 1) / 2 * (axis + 1)) % 1
            start = int(share * (length - side + 1))
            window.append(slice(start, start + side))
        windows.append(tuple(window))
    return windows
