"""Label images of any size: an array-like that holds only those tiles that have labels."""

from __future__ import annotations

from itertools import product
from math import prod
from operator import index as as_int
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import SessionError
from napari_pvpu.label_boxes import boxes_in, joined_boxes
from napari_pvpu.label_tiles import OVERVIEW, SIDE, Tiles, shrunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_pvpu.records import PixelBox, Plane

__all__ = ["MOST_DENSE", "SparseLabels", "SparsePlane", "pyramid"]

Labels = npt.NDArray[np.unsignedinteger]

MOST_DENSE = 2**28
"""Pixels that are made into one array at most; half a gigabyte of uint16."""

SMALLEST_LEVEL = 1024
"""Rows and columns, at most, of the coarsest level of a pyramid."""


class _Selection:
    """An index of ints and slices, axis by axis; steps may be negative."""

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


class SparseLabels:
    """Labels of an image of any size, of which only tiles with labels take memory.

    An array-like: it has ``shape``, ``dtype``, ``ndim`` and ``size``, slices into numpy arrays
    (copies) and takes assignments, with ints and slices or with one integer array for each axis.

    Parameters
    ----------
    shape : tuple of int
        Two axes or more.
    dtype : dtype
        An unsigned integer.
    rows, cols : int
        Which axes are the rows and columns of a plane; by default the last two.

    Raises
    ------
    SessionError
        On making an array of more than `MOST_DENSE` pixels of it.

    Examples
    --------
    >>> labels = SparseLabels((100_000, 100_000))
    >>> labels[70_000:70_002, 5:8] = 3
    >>> labels[70_001:70_003, 6:9].tolist()
    [[3, 3, 0], [0, 0, 0]]
    """

    __hash__ = None  # type: ignore[assignment]  # as of a numpy array, because of __eq__

    def __init__(
        self, shape: tuple[int, ...], dtype: Any = np.uint16, *, rows: int = -2, cols: int = -1
    ) -> None:
        self.shape = tuple(int(length) for length in shape)
        self._rows, self._cols = rows % self.ndim, cols % self.ndim
        self._tiles = Tiles(dtype)
        self._factor = 1
        self.writeable = True

    # What there is

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels, those without labels included."""
        return prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the labels."""
        return self._tiles.dtype

    @property
    def nbytes(self) -> int:
        """Bytes held, roughly."""
        return self._tiles.nbytes

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Planes that hold labels: their index over the axes besides rows and columns."""
        return self._tiles.planes

    def tiles(self, plane: Plane) -> Iterator[tuple[int, int, Labels]]:
        """Yield the tiles of a plane with their first row and column, cut off at the edges."""
        height, width = self.shape[self._rows], self.shape[self._cols]
        for row, col in self._tiles.spots(plane):
            if self._tiles.has(plane, (row, col)):
                tile = self._tiles.get(plane, (row, col))
                top, left = row * SIDE, col * SIDE
                yield top, left, tile[: height - top, : width - left]

    def max(self, initial: int = 0) -> int:
        """Return the largest label, or `initial` if that is larger."""
        tiles = (tile for plane in self.planes for _, _, tile in self.tiles(plane))
        return max((int(tile.max()) for tile in tiles), default=initial)

    def counts(self) -> dict[int, int]:
        """Return the number of pixels of each label but 0."""
        found: dict[int, int] = {}
        for plane in self.planes:
            for _, _, tile in self.tiles(plane):
                labels, areas = np.unique(tile, return_counts=True)
                for label, area in zip(labels.tolist(), areas.tolist(), strict=True):
                    found[label] = found.get(label, 0) + area
        found.pop(0, None)
        return dict(sorted(found.items()))

    # Reading and writing

    def __getitem__(self, index: Any) -> Any:
        if _is_fancy(index):
            return self._read_points(index)
        selection = _Selection(index, self.shape)
        if prod(selection.shape) > MOST_DENSE:
            raise SessionError(
                f"an array of {prod(selection.shape):.3g} pixels of labels of shape {self.shape} "
                "was asked for, which would not fit into memory; read a part, such as "
                "labels[..., :1000, :1000]"
            )
        out = np.zeros(selection.shape, self.dtype)
        view = np.moveaxis(out, (self._rows, self._cols), (-2, -1))
        for at, plane in self._planes_in(selection):
            self._read_plane(view[at], plane, selection)
        out = np.flip(out, tuple(selection.turned)) if selection.turned else out
        kept = out.squeeze(tuple(selection.dropped))
        return kept if kept.ndim else kept[()]

    def __setitem__(self, index: Any, values: Any) -> None:
        if not self.writeable or self._factor != 1:
            raise ValueError("these labels are read-only")
        if _is_fancy(index):
            self._write_points(index, np.asarray(values))
            return
        selection = _Selection(index, self.shape)
        kept = [n for axis, n in enumerate(selection.shape) if axis not in selection.dropped]
        given = np.broadcast_to(np.asarray(values), kept).reshape(selection.shape)
        given = np.flip(given, tuple(selection.turned)) if selection.turned else given
        given = np.moveaxis(given, (self._rows, self._cols), (-2, -1))
        for at, plane in self._planes_in(selection, all_of_them=True):
            self._write_plane(given[at], plane, selection)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Labels:
        if copy is False:
            raise ValueError("sparse labels cannot be had as an array without a copy")
        return np.asarray(self[...], dtype)

    def __eq__(self, other: object) -> Any:
        """Compare pixel by pixel, as numpy does; raises where that would not fit into memory."""
        return np.asarray(self) == np.asarray(other)

    # The same labels otherwise

    def copy(self) -> SparseLabels:
        """Return labels that can be changed without changing these."""
        return self._with(self._tiles.copy())

    def astype(self, dtype: Any) -> SparseLabels:
        """Return a copy of another dtype."""
        return self._with(self._tiles.copy(dtype))

    def read_only(self) -> SparseLabels:
        """Return the same labels, which follow these but cannot be written to."""
        other = self._with(self._tiles)
        other.writeable = False
        return other

    def at_level(self, factor: int) -> SparseLabels:
        """Return these labels 1 / `factor` as large, read-only; they follow these.

        Parameters
        ----------
        factor : int
            A power of 2 up to the side of a tile. A pixel shows the largest label of its block, so
            that small objects stay visible.
        """
        other = self.read_only()
        other._factor = factor
        lengths = list(self.shape)
        for axis in (self._rows, self._cols):
            lengths[axis] = -(-lengths[axis] // factor)
        other.shape = tuple(lengths)
        return other

    def without_axes(self, axes: tuple[int, ...]) -> SparseLabels:
        """Return a copy without axes of length 1, none of which are the rows or columns."""
        kept = [axis for axis in range(self.ndim) if axis not in axes]
        other = SparseLabels(
            tuple(self.shape[axis] for axis in kept),
            self.dtype,
            rows=kept.index(self._rows),
            cols=kept.index(self._cols),
        )
        before = [axis for axis in range(self.ndim) if axis not in (self._rows, self._cols)]
        for plane in self.planes:
            index = tuple(at for axis, at in zip(before, plane, strict=True) if axis not in axes)
            for spot in self._tiles.spots(plane):
                other._tiles.put(index, spot, self._tiles.get(plane, spot))
        return other

    def packed(self) -> list[list[Any]]:
        """Return ``[plane, tile row, tile column, bytes]`` for each tile, compressed."""
        return [[list(plane), *spot, content] for plane, spot, content in self._tiles.packed()]

    def put_packed(self, plane: Plane, row: int, col: int, content: bytes) -> None:
        """Take a tile as `packed` gave it."""
        self._tiles.put_packed(plane, (row, col), content)

    def _with(self, tiles: Tiles) -> SparseLabels:
        other = SparseLabels(self.shape, tiles.dtype, rows=self._rows, cols=self._cols)
        other._tiles, other._factor = tiles, self._factor
        return other

    # Inside: planes and tiles

    @property
    def _side(self) -> int:
        """Pixels along the side of a tile, at this level."""
        return SIDE // self._factor

    def _tile(self, plane: Plane, spot: tuple[int, int]) -> Labels:
        if self._factor < OVERVIEW:
            return shrunk(self._tiles.get(plane, spot), self._factor)
        return shrunk(self._tiles.overview(plane, spot), self._factor // OVERVIEW)

    def _planes_in(
        self, selection: _Selection, all_of_them: bool = False
    ) -> Iterator[tuple[tuple[int, ...], Plane]]:
        """Yield planes of a selection with their place in it; by default only those with tiles."""
        ranges = [
            each
            for axis, each in enumerate(selection.ranges)
            if axis not in (self._rows, self._cols)
        ]
        if all_of_them or prod(len(each) for each in ranges) <= 64:
            for at in product(*(range(len(each)) for each in ranges)):
                yield at, tuple(each[i] for each, i in zip(ranges, at, strict=True))
            return
        for plane in self.planes:
            if all(at in each for at, each in zip(plane, ranges, strict=True)):
                yield tuple(each.index(at) for at, each in zip(plane, ranges, strict=True)), plane

    def _read_plane(self, out: Labels, plane: Plane, selection: _Selection) -> None:
        rows, cols = selection.ranges[self._rows], selection.ranges[self._cols]
        for spot in self._spots_in(plane, rows, cols):
            (to_rows, of_rows), (to_cols, of_cols) = (
                _meet(rows, spot[0], self._side),
                _meet(cols, spot[1], self._side),
            )
            out[to_rows, to_cols] = self._tile(plane, spot)[of_rows, of_cols]

    def _spots_in(self, plane: Plane, rows: range, cols: range) -> list[tuple[int, int]]:
        """Return the places of tiles that a window meets, whichever way is shorter."""
        if not len(rows) or not len(cols):
            return []
        down = range(rows[0] // self._side, rows[-1] // self._side + 1)
        across = range(cols[0] // self._side, cols[-1] // self._side + 1)
        there = self._tiles.spots(plane)
        if len(down) * len(across) < len(there):
            return [spot for spot in product(down, across) if self._tiles.has(plane, spot)]
        return [spot for spot in there if spot[0] in down and spot[1] in across]

    def _write_plane(self, given: npt.NDArray[Any], plane: Plane, selection: _Selection) -> None:
        rows, cols = selection.ranges[self._rows], selection.ranges[self._cols]
        if not given.size:
            return
        for spot in product(
            range(rows[0] // SIDE, rows[-1] // SIDE + 1),
            range(cols[0] // SIDE, cols[-1] // SIDE + 1),
        ):
            (from_rows, to_rows), (from_cols, to_cols) = (
                _meet(rows, spot[0], SIDE),
                _meet(cols, spot[1], SIDE),
            )
            part = given[from_rows, from_cols]
            known = self._tiles.has(plane, spot)
            if part.size and (known or part.any()):
                # A copy, which readers in other threads and copies of these labels do not see.
                tile = self._tiles.get(plane, spot).copy() if known else self._empty_tile()
                tile[to_rows, to_cols] = part
                self._tiles.put(plane, spot, tile)

    def _empty_tile(self) -> Labels:
        return np.zeros((SIDE, SIDE), self.dtype)

    # Inside: single pixels

    def _points(self, index: Any) -> tuple[list[npt.NDArray[np.intp]], tuple[int, ...]]:
        one_each = isinstance(index, tuple) and len(index) == self.ndim
        if not one_each or any(isinstance(each, slice) or each is Ellipsis for each in index):
            raise IndexError(
                f"labels of {self.ndim} axes take slices and whole numbers, or one array of whole "
                "numbers for each axis"
            )
        arrays = np.broadcast_arrays(*(np.asarray(each, np.intp) for each in index))
        flat = []
        for each, length in zip(arrays, self.shape, strict=True):
            if each.size and not (-length <= each.min() and each.max() < length):
                raise IndexError(f"an index lies outside an axis of length {length}")
            flat.append(each.ravel() % length)
        return flat, arrays[0].shape

    def _groups(
        self, flat: list[npt.NDArray[np.intp]]
    ) -> Iterator[tuple[Plane, tuple[int, int], npt.NDArray[np.intp]]]:
        """Yield plane, tile, and which of the points lie in it."""
        if not flat[0].size:
            return
        keys = [each // self._side if a in (self._rows, self._cols) else each
                for a, each in enumerate(flat)]  # fmt: skip
        found, inverse = np.unique(np.stack(keys), axis=1, return_inverse=True)
        order = np.argsort(inverse.ravel(), kind="stable")
        borders = np.searchsorted(inverse.ravel()[order], np.arange(1, found.shape[1]))
        for key, which in zip(found.T.tolist(), np.split(order, borders), strict=True):
            spot = (key[self._rows], key[self._cols])
            plane = tuple(k for a, k in enumerate(key) if a not in (self._rows, self._cols))
            yield plane, spot, which

    def _read_points(self, index: Any) -> Labels:
        flat, shape = self._points(index)
        out = np.zeros(flat[0].shape, self.dtype)
        for plane, spot, which in self._groups(flat):
            if self._tiles.has(plane, spot):
                rows, cols = (flat[axis][which] % self._side for axis in (self._rows, self._cols))
                out[which] = self._tile(plane, spot)[rows, cols]
        return out.reshape(shape)

    def _write_points(self, index: Any, values: npt.NDArray[Any]) -> None:
        flat, shape = self._points(index)
        given = np.broadcast_to(values, shape).ravel()
        for plane, spot, which in self._groups(flat):
            known = self._tiles.has(plane, spot)
            tile = self._tiles.get(plane, spot).copy() if known else self._empty_tile()
            rows, cols = (flat[axis][which] % SIDE for axis in (self._rows, self._cols))
            tile[rows, cols] = given[which]
            self._tiles.put(plane, spot, tile)


class SparsePlane:
    """One plane of sparse labels, with rows and columns last, read window by window.

    Parameters
    ----------
    labels : SparseLabels
        With rows and columns last.
    plane : tuple of int
        Which one.
    """

    def __init__(self, labels: SparseLabels, plane: Plane) -> None:
        self._labels, self.plane = labels, plane
        self.shape = labels.shape[-2:]
        self.dtype = labels.dtype

    def __getitem__(self, window: Any) -> Any:
        return self._labels[(*self.plane, *window)]

    def __setitem__(self, window: Any, values: Any) -> None:
        self._labels[(*self.plane, *window)] = values

    def boxes(self) -> dict[int, PixelBox]:
        """Return the box of each object, in ascending order of their labels."""
        found: dict[int, PixelBox] = {}
        for row, col, tile in self._labels.tiles(self.plane):
            joined_boxes(found, boxes_in(tile, row, col))
        return dict(sorted(found.items()))

    def parts(self, box: PixelBox) -> list[PixelBox]:
        """Return those parts of a box, one for each tile, in which there are labels."""
        found = []
        for row, col, tile in self._labels.tiles(self.plane):
            top, left = max(row, box[0]), max(col, box[1])
            bottom = min(row + tile.shape[0], box[2])
            right = min(col + tile.shape[1], box[3])
            if top < bottom and left < right:
                found.append((top, left, bottom, right))
        return found


def pyramid(labels: SparseLabels, rows: int, cols: int) -> list[SparseLabels]:
    """Return labels of (`rows`, `cols`) at full size and smaller, for a viewer to choose from."""
    levels, factor = [labels], 2
    while max(rows, cols) > SMALLEST_LEVEL * factor // 2 and factor <= SIDE:
        levels.append(labels.at_level(factor))
        factor *= 2
    return levels


def _meet(wanted: range, number: int, side: int) -> tuple[slice, slice]:
    """Return what a range and a tile have in common, in the range and in the tile."""
    start, step = wanted.start, wanted.step
    first = max(-(-(number * side - start) // step), 0)
    stop = min(-(-((number + 1) * side - start) // step), len(wanted))
    if first >= stop:
        return slice(0, 0), slice(0, 0)
    begin = start + first * step - number * side
    return slice(first, stop), slice(begin, begin + (stop - first - 1) * step + 1, step)


def _is_fancy(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(each, np.ndarray | list) and np.ndim(each) > 0 for each in parts)
