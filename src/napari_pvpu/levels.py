"""An array, or a pyramid of arrays, of which rectangles of one plane are read.

The levels of a pyramid show the same image, the first at full size, each after it averaged down.
A pixel of a level covers `factors` pixels of the first along each axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.array_reading import read_block
from napari_pvpu.errors import ImageError

if TYPE_CHECKING:
    from napari_pvpu.axes import Layout

__all__ = ["Levels", "as_levels"]


class Levels:
    """One or more arrays of the same axes that are read rectangle by rectangle.

    Parameters
    ----------
    arrays : list of array-like
        From `as_levels`. They are kept, never copied.
    layout : Layout
        What their axes mean.

    Raises
    ------
    ImageError
        If the arrays are no pyramid.
    """

    def __init__(self, arrays: list[Any], layout: Layout) -> None:
        self._arrays = arrays
        self._count = len(layout.axes)
        self._rows, self._cols = layout.rows, layout.cols
        self._channel, self._planes = layout.channel, layout.planes
        self._shapes = [_shape(array) for array in arrays]
        self._check_pyramid()
        self._factors = [self._find_factors(shape) for shape in self._shapes]

    def __len__(self) -> int:
        return len(self._arrays)

    def seen_by(self, layout: Layout) -> Levels:
        """Return the same arrays with their axes otherwise named."""
        return Levels(self._arrays, layout)

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Lengths of the plane axes."""
        return tuple(self._shapes[0][place] for place in self._planes)

    @property
    def channel_count(self) -> int:
        """Channels; 1 without a channel axis."""
        place = self._channel
        return 1 if place is None else self._shapes[0][place]

    @property
    def in_memory(self) -> bool:
        """Whether reading costs nothing but a copy: plain numpy arrays, no memory maps."""
        return all(
            isinstance(array, np.ndarray) and not isinstance(array, np.memmap)
            for array in self._arrays
        )

    @property
    def strides_are_cheap(self) -> bool:
        """Whether every n-th pixel of the first level may be read without reading the rest."""
        return isinstance(self._arrays[0], np.ndarray)

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """Rows and columns of the first level that are read together, at most; 1 if unknown."""
        sides = getattr(self._arrays[0], "chunks", None)
        if not isinstance(sides, tuple) or len(sides) != self._count:
            return (1, 1)
        # One length for each axis (zarr, HDF5), or those of all chunks along it (dask).
        rows, cols = (
            side if isinstance(side, int) else max(side)
            for side in (sides[self._rows], sides[self._cols])
        )
        return (int(rows), int(cols))

    def shape(self, level: int = 0) -> tuple[int, int]:
        """Rows and columns of a level."""
        shape = self._shapes[level]
        return (shape[self._rows], shape[self._cols])

    def factors(self, level: int) -> tuple[float, float]:
        """Rows and columns of the first level that one of this level covers."""
        return self._factors[level]

    def level_for(self, spacing: float, aspect: float = 1.0) -> int:
        """Return the coarsest level whose pixels are not larger than this, in those of the first.

        Parameters
        ----------
        spacing : float
            Columns of the first level per pixel wanted.
        aspect : float
            Height of its pixels in their widths.
        """
        if len(self._factors) == 1:
            return 0
        fit = [
            level
            for level, (down, across) in enumerate(self._factors)
            if max(down * aspect, across) <= spacing
        ]
        return max(fit, default=0)

    def read(
        self,
        plane: tuple[int, ...],
        channels: Sequence[int],
        rows: slice,
        cols: slice,
        level: int = 0,
    ) -> npt.NDArray[Any]:
        """Read a rectangle of a plane of a level; see `read_block` for what may go wrong.

        Parameters
        ----------
        plane : tuple of int
            Position on each plane axis of the first level.
        channels : sequence of int
            Which and in which order.
        rows, cols : slice
            In pixels of the level.
        level : int
            0 for full size.

        Returns
        -------
        array, (C, h, w), of the array's dtype
        """
        array, place = self._arrays[level], self._channel
        index: list[Any] = [slice(None)] * self._count
        for axis, position in zip(self._planes, plane, strict=True):
            # A level may have fewer planes as well: the one that covers this plane.
            ratio = self._shapes[level][axis] / self._shapes[0][axis]
            index[axis] = int((position + 0.5) * ratio)
        index[self._rows], index[self._cols] = rows, cols
        if place is None:
            return self._arranged(read_block(array, tuple(index)))[None]
        first, count = channels[0], len(channels)
        if list(channels) == list(range(first, first + count)):
            index[place] = slice(first, first + count)
            return np.ascontiguousarray(self._arranged(read_block(array, tuple(index)), place))
        planes = []
        for channel in channels:
            index[place] = channel
            planes.append(self._arranged(read_block(array, tuple(index))))
        return np.stack(planes)

    def _arranged(self, block: npt.NDArray[Any], *places: int) -> npt.NDArray[Any]:
        """Bring what is left of the axes into the order (those at `places`, Y, X)."""
        order = (*places, self._rows, self._cols)
        left = sorted(order)
        return block.transpose([left.index(place) for place in order])

    def _find_factors(self, shape: tuple[int, ...]) -> tuple[float, float]:
        rows, cols = ((self._shapes[0][axis], shape[axis]) for axis in (self._rows, self._cols))
        return _factor(*rows), _factor(*cols)

    def _check_pyramid(self) -> None:
        full, place = self._shapes[0], self._channel
        finer = full
        for shape in self._shapes[1:]:
            fits = len(shape) == len(full) and all(
                one <= other for one, other in zip(shape, finer, strict=True)
            )
            if not fits or (place is not None and shape[place] != full[place]):
                raise ImageError(
                    f"arrays of shapes {', '.join(map(str, self._shapes))} are no pyramid: its "
                    "levels go from the finest to the coarsest and have all channels"
                )
            finer = shape


def as_levels(image: Any) -> list[Any]:
    """Return the arrays of an image: one, or the levels of a pyramid.

    A sequence of arrays of two dimensions or more is a pyramid if their shapes differ; anything
    else without shape and dtype is turned into an array.

    Raises
    ------
    ImageError
        If there is no pixel, the dtype cannot be used, or nested sequences are ragged.
    """
    arrays = _split(image)
    for array in arrays:
        _check_dtype(array.dtype)
        shape = _shape(array)
        if 0 in shape:
            raise ImageError(f"the image of shape {shape} is empty; pass one with pixels")
    return arrays


def _split(image: Any) -> list[Any]:
    # napari's multiscale data has a shape and a dtype, those of its first level.
    if _is_array(image) and not isinstance(image, Sequence):
        return [image]
    if isinstance(image, Sequence) and len(image) and all(_is_array(each) for each in image):
        shapes = {_shape(each) for each in image}
        if all(len(shape) >= 2 for shape in shapes) and (len(image) == 1 or len(shapes) > 1):
            return list(image)
    try:
        return [np.asarray(image)]
    except ValueError as error:
        raise ImageError(
            f"a {type(image).__name__} cannot be turned into an image ({error}); pass one array, "
            "or the levels of a pyramid from the finest to the coarsest"
        ) from error


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(int(length) for length in array.shape)


def _factor(full: int, reduced: int) -> float:
    """Return how many pixels one covers: a whole number if a rounded length explains the ratio."""
    ratio = full / reduced
    for whole in (2 ** round(math.log2(ratio)), round(ratio)):
        if reduced in (full // whole, -(-full // whole)):
            return float(whole)
    return ratio


def _check_dtype(dtype: Any) -> None:
    checked: np.dtype[Any] = np.dtype(dtype)
    if checked.kind not in "biuf":
        raise ImageError(
            f"an image of {checked} cannot be segmented; convert it to bool, integers or floats"
        )
