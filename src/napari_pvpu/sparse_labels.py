"""Label images of any size: an array-like that holds only those tiles that have labels."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import SessionError
from napari_pvpu.label_boxes import boxes_in, joined_boxes
from napari_pvpu.label_index import Selection, names_points, points_of
from napari_pvpu.label_tiles import SIDE, Tiles
from napari_pvpu.tile_access import TileAccess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_pvpu.records import PixelBox, Plane

__all__ = ["MOST_DENSE", "SparseLabels", "SparsePlane", "pyramid"]

Labels = npt.NDArray[np.unsignedinteger]

MOST_DENSE = 2**28
"""Pixels that are made into one array at most; half a gigabyte of uint16."""

SMALLEST_LEVEL = 1024
"""Rows and columns, at most, of the coarsest level of a pyramid."""


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
        if names_points(index):
            flat, shape = points_of(index, self.shape)
            return self._access.read_points(flat).reshape(shape)
        selection = Selection(index, self.shape)
        if prod(selection.shape) > MOST_DENSE:
            raise SessionError(
                f"an array of {prod(selection.shape):.3g} pixels of labels of shape {self.shape} "
                "was asked for, which would not fit into memory; read a part, such as "
                "labels[..., :1000, :1000]"
            )
        out = self._access.read(selection)
        out = np.flip(out, tuple(selection.turned)) if selection.turned else out
        kept = out.squeeze(tuple(selection.dropped))
        return kept if kept.ndim else kept[()]

    def __setitem__(self, index: Any, values: Any) -> None:
        if not self.writeable or self._factor != 1:
            raise ValueError("these labels are read-only")
        if names_points(index):
            flat, shape = points_of(index, self.shape)
            self._access.write_points(flat, np.broadcast_to(np.asarray(values), shape).ravel())
            return
        selection = Selection(index, self.shape)
        kept = [n for axis, n in enumerate(selection.shape) if axis not in selection.dropped]
        given = np.broadcast_to(np.asarray(values), kept).reshape(selection.shape)
        given = np.flip(given, tuple(selection.turned)) if selection.turned else given
        self._access.write(selection, given)

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

    @property
    def _access(self) -> TileAccess:
        return TileAccess(self._tiles, self._rows, self._cols, self._factor)

    def _with(self, tiles: Tiles) -> SparseLabels:
        other = SparseLabels(self.shape, tiles.dtype, rows=self._rows, cols=self._cols)
        other._tiles, other._factor = tiles, self._factor
        return other


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

    def tiles(self) -> Iterator[tuple[int, int, Labels]]:
        """Yield the tiles that hold labels, each with its first row and column."""
        return self._labels.tiles(self.plane)

    def boxes(self) -> dict[int, PixelBox]:
        """Return the box of each object, in ascending order of their labels."""
        found: dict[int, PixelBox] = {}
        for row, col, tile in self.tiles():
            joined_boxes(found, boxes_in(tile, row, col))
        return dict(sorted(found.items()))

    def parts(self, box: PixelBox) -> list[PixelBox]:
        """Return those parts of a box, one for each tile, in which there are labels."""
        found = []
        for row, col, tile in self.tiles():
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
