"""Large arrays of zeros of which little is ever written.

A page of memory that was never written costs nothing, and the first write to it has it cleared.
numpy asks the system for pages of two megabytes for large arrays; then a small object in a large
image has several of them cleared, which takes longer than all else about it. So the memory is
asked for here, in pages of the usual size.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["blank"]

LARGE = 2**22
"""Bytes from which on numpy asks for large pages."""


def blank(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array of zeros that takes memory as it is written, a few kilobytes at a time.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Of numbers.

    Returns
    -------
    array, shape, dtype
        Writable, rows first, as `numpy.zeros` would return it.
    """
    count, dtype = prod(shape), np.dtype(dtype)
    size = count * dtype.itemsize
    if size < LARGE or sys.platform == "win32":  # where pages are small in any case
        return np.zeros(shape, dtype)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with contextlib.suppress(OSError):  # of a kernel that knows no large pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype, count).reshape(shape)
