"""Reading and writing parts of a label image that is cut into tiles, whichever axes are cut."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.label_tiles import OVERVIEW, SIDE, shrunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_pvpu.label_index import Selection
    from napari_pvpu.label_tiles import Tiles
    from napari_pvpu.records import Plane

__all__ = ["TileAccess"]

Labels = npt.NDArray[np.unsignedinteger]

FEW_PLANES = 64
"""Planes of a selection up to which each is asked for; of more, those that hold tiles are."""


class TileAccess:
    """An array of labels, of which planes are cut into tiles, by selections and by points.

    Parameters
    ----------
    tiles : Tiles
        What there is.
    rows, cols : int
        Which axes of the array are the rows and columns of a plane.
    factor : int
        A power of 2 up to the side of a tile: pixels of `tiles`, along a side, that a pixel of
        the array stands for, which shows the largest label among them. It is 1 for writing.
    """

    def __init__(self, tiles: Tiles, rows: int, cols: int, factor: int = 1) -> None:
        self._tiles, self._rows, self._cols, self._factor = tiles, rows, cols, factor

    def read(self, selection: Selection) -> Labels:
        """Return what is selected; dropped axes have length 1, and none is turned."""
        out = np.zeros(selection.shape, self._tiles.dtype)
        view = np.moveaxis(out, (self._rows, self._cols), (-2, -1))
        for at, plane in self._planes_in(selection):
            self._read_plane(view[at], plane, selection)
        return out

    def write(self, selection: Selection, values: npt.NDArray[Any]) -> None:
        """Put values, of the selection's shape, where it says."""
        given = np.moveaxis(values, (self._rows, self._cols), (-2, -1))
        for at, plane in self._planes_in(selection, all_of_them=True):
            self._write_plane(given[at], plane, selection)

    def read_points(self, flat: list[npt.NDArray[np.intp]]) -> Labels:
        """Return the labels (N,) at N points, given by one array of positions for each axis."""
        out = np.zeros(flat[0].shape, self._tiles.dtype)
        for plane, spot, which in self._groups(flat):
            if self._tiles.has(plane, spot):
                rows, cols = (flat[axis][which] % self._side for axis in (self._rows, self._cols))
                out[which] = self._tile(plane, spot)[rows, cols]
        return out

    def write_points(self, flat: list[npt.NDArray[np.intp]], values: npt.NDArray[Any]) -> None:
        """Put values (N,) at N points."""
        for plane, spot, which in self._groups(flat):
            tile = self._copy_of(plane, spot)
            rows, cols = (flat[axis][which] % SIDE for axis in (self._rows, self._cols))
            tile[rows, cols] = values[which]
            self._tiles.put(plane, spot, tile)

    @property
    def _side(self) -> int:
        """Pixels along the side of a tile, at this level."""
        return SIDE // self._factor

    def _tile(self, plane: Plane, spot: tuple[int, int]) -> Labels:
        if self._factor < OVERVIEW:
            return shrunk(self._tiles.get(plane, spot), self._factor)
        return shrunk(self._tiles.overview(plane, spot), self._factor // OVERVIEW)

    def _planes_in(
        self, selection: Selection, all_of_them: bool = False
    ) -> Iterator[tuple[tuple[int, ...], Plane]]:
        """Yield planes of a selection with their place in it; by default only those with tiles."""
        ranges = [
            each
            for axis, each in enumerate(selection.ranges)
            if axis not in (self._rows, self._cols)
        ]
        if all_of_them or prod(len(each) for each in ranges) <= FEW_PLANES:
            for at in product(*(range(len(each)) for each in ranges)):
                yield at, tuple(each[i] for each, i in zip(ranges, at, strict=True))
            return
        for plane in self._tiles.planes:
            if all(at in each for at, each in zip(plane, ranges, strict=True)):
                yield tuple(each.index(at) for at, each in zip(plane, ranges, strict=True)), plane

    def _read_plane(self, out: Labels, plane: Plane, selection: Selection) -> None:
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

    def _write_plane(self, given: npt.NDArray[Any], plane: Plane, selection: Selection) -> None:
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
            if part.size and (self._tiles.has(plane, spot) or part.any()):
                tile = self._copy_of(plane, spot)
                tile[to_rows, to_cols] = part
                self._tiles.put(plane, spot, tile)

    def _copy_of(self, plane: Plane, spot: tuple[int, int]) -> Labels:
        """Return a tile to write to, which readers in other threads and copies do not see."""
        if self._tiles.has(plane, spot):
            return self._tiles.get(plane, spot).copy()
        return np.zeros((SIDE, SIDE), self._tiles.dtype)

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


def _meet(wanted: range, number: int, side: int) -> tuple[slice, slice]:
    """Return what a range and a tile have in common, in the range and in the tile."""
    start, step = wanted.start, wanted.step
    first = max(-(-(number * side - start) // step), 0)
    stop = min(-(-((number + 1) * side - start) // step), len(wanted))
    if first >= stop:
        return slice(0, 0), slice(0, 0)
    begin = start + first * step - number * side
    return slice(first, stop), slice(begin, begin + (stop - first - 1) * step + 1, step)
