"""Arrays that are made up where they are looked at, and write down what they were asked for."""

from __future__ import annotations

from itertools import product

import numpy as np


class ChunkedArray:
    """An array-like of any size that counts what is read of it, as a file of chunks would.

    Parameters
    ----------
    shape : tuple of int
        Any; nothing of that size is ever made.
    chunks : tuple of int
        Sides of a chunk.
    value : callable
        Takes one integer array per axis, which broadcast against each other, and returns values.
    dtype : str
        Of the values.
    """

    def __init__(self, shape, chunks, value, dtype="uint16"):
        self.shape, self.chunks, self.dtype = shape, chunks, np.dtype(dtype)
        self.ndim = len(shape)
        self._value = value
        self.forget()

    def forget(self):
        """Begin to count anew."""
        self.pixels, self.touched = 0, set()

    def __getitem__(self, index):
        index = index if isinstance(index, tuple) else (index,)
        index += (slice(None),) * (self.ndim - len(index))
        asked = [np.arange(n)[i] for n, i in zip(self.shape, index, strict=True)]
        per_axis = [
            set((np.atleast_1d(each) // side).tolist())
            for each, side in zip(asked, self.chunks, strict=True)
        ]
        self.touched |= set(product(*per_axis))
        kept = [axis for axis, i in enumerate(index) if not isinstance(i, int | np.integer)]
        grids = [
            np.asarray(each).reshape([-1 if axis == a else 1 for a in kept] or ())
            for axis, each in enumerate(asked)
        ]
        lengths = tuple(len(asked[axis]) for axis in kept)
        out = np.broadcast_to(np.asarray(self._value(*grids)), lengths).astype(self.dtype)
        self.pixels += out.size
        return out

    def __array__(self, *args, **kwargs):
        raise AssertionError("the whole image was asked for")
