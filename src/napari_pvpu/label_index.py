"""How a large array is indexed: by ints and slices, or by one array of ints for each axis."""

from __future__ import annotations

from operator import index as as_int
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Selection", "names_points", "points_of"]


class Selection:
    """An index of ints and slices, axis by axis; steps may be negative.

    Parameters
    ----------
    index : int, slice, Ellipsis or tuple of them
        As numpy takes it.
    shape : tuple of int
        Of the array.

    Attributes
    ----------
    ranges : list of range
        Positions selected along each axis, in ascending order.
    dropped, turned : list of int
        Axes that were named by an int, and those that were walked backwards.

    Raises
    ------
    IndexError
        If there are too many indices, or one lies outside its axis.
    """

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        given = list(index) if isinstance(index, tuple) else [index]
        if any(each is Ellipsis for each in given):
            at = next(i for i, each in enumerate(given) if each is Ellipsis)
            given[at : at + 1] = [slice(None)] * (len(shape) - len(given) + 1)
        given += [slice(None)] * (len(shape) - len(given))
        if len(given) != len(shape):
            raise IndexError(f"{len(given)} indices for labels of {len(shape)} axes")
        self.ranges: list[range] = []
        self.dropped: list[int] = []
        self.turned: list[int] = []
        for axis, (each, length) in enumerate(zip(given, shape, strict=True)):
            if isinstance(each, slice):
                found = range(*each.indices(length))
                if found.step < 0:
                    self.turned.append(axis)
                    found = found[::-1]
            else:
                at = as_int(each)
                if not -length <= at < length:
                    raise IndexError(f"index {at} is outside axis {axis} of length {length}")
                found = range(at % length, at % length + 1)
                self.dropped.append(axis)
            self.ranges.append(found)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is selected, dropped axes included."""
        return tuple(len(each) for each in self.ranges)


def names_points(index: Any) -> bool:
    """Tell whether an index holds an array of positions."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(each, np.ndarray | list) and np.ndim(each) > 0 for each in parts)


def points_of(
    index: Any, shape: tuple[int, ...]
) -> tuple[list[npt.NDArray[np.intp]], tuple[int, ...]]:
    """Return the positions that an index of arrays names, axis by axis, and their shape.

    Parameters
    ----------
    index : tuple of array-like of int
        One for each axis; they are broadcast. Negative ones count from the end.
    shape : tuple of int
        Of what is indexed.

    Returns
    -------
    flat : list of array, (N,), intp
        From 0, one array for each axis.
    shape : tuple of int
        Of the result, N positions in all.

    Raises
    ------
    IndexError
        If there is not one array for each axis, or a position lies outside its axis.
    """
    one_each = isinstance(index, tuple) and len(index) == len(shape)
    if not one_each or any(isinstance(each, slice) or each is Ellipsis for each in index):
        raise IndexError(
            f"labels of {len(shape)} axes take slices and whole numbers, or one array of whole "
            "numbers for each axis"
        )
    arrays = np.broadcast_arrays(*(np.asarray(each, np.intp) for each in index))
    flat = []
    for each, length in zip(arrays, shape, strict=True):
        if each.size and not (-length <= each.min() and each.max() < length):
            raise IndexError(f"an index lies outside an axis of length {length}")
        flat.append(each.ravel() % length)
    return flat, arrays[0].shape
