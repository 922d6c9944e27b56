"""Tiles of a label image too large for memory: those at hand as arrays, the others compressed."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OVERVIEW", "SIDE", "Tiles", "shrunk"]

Labels = npt.NDArray[np.unsignedinteger]
Plane = tuple[int, ...]
Spot = tuple[int, int]
"""Number of a tile along rows and columns."""

SIDE = 256
"""Pixels along a side of a tile."""

OVERVIEW = 16
"""Pixels of a tile that one pixel of its overview stands for, along a side."""

MOST_AT_HAND = 256
"""Tiles that are kept as arrays, 128 KiB each of uint16."""


class Tiles:
    """Square tiles by plane and place; one without labels takes no memory.

    May be read in several threads at once, and written to in one at a time.

    Parameters
    ----------
    dtype : dtype
        Of the labels.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._places: dict[Plane, set[Spot]] = {}
        self._packed: dict[tuple[Plane, Spot], bytes] = {}
        self._at_hand: OrderedDict[tuple[Plane, Spot], Labels] = OrderedDict()
        self._overviews: dict[tuple[Plane, Spot], Labels] = {}
        self._lock = threading.RLock()

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Planes that hold labels, in order."""
        with self._lock:
            return tuple(sorted(self._places))

    def spots(self, plane: Plane) -> tuple[Spot, ...]:
        """Return the places of a plane's tiles, row by row."""
        with self._lock:
            return tuple(sorted(self._places.get(plane, ())))

    def has(self, plane: Plane, spot: Spot) -> bool:
        """Tell whether there is a tile."""
        return spot in self._places.get(plane, ())

    @property
    def nbytes(self) -> int:
        """Bytes held, roughly."""
        with self._lock:
            arrays = [*self._at_hand.values(), *self._overviews.values()]
            return sum(map(len, self._packed.values())) + sum(each.nbytes for each in arrays)

    def get(self, plane: Plane, spot: Spot) -> Labels:
        """Return a tile that there is, (SIDE, SIDE); not to be written to."""
        key = (plane, spot)
        with self._lock:
            tile = self._at_hand.get(key)
            if tile is None:
                tile = self._unpacked(self._packed[key])
                self._at_hand[key] = tile
                self._make_room()
            else:
                self._at_hand.move_to_end(key)
            return tile

    def put(self, plane: Plane, spot: Spot, tile: Labels) -> None:
        """Take a tile; it is kept as it is, not copied. One of zeros is dropped."""
        key = (plane, spot)
        with self._lock:
            self._packed.pop(key, None)
            self._overviews.pop(key, None)
            if tile.any():
                self._places.setdefault(plane, set()).add(spot)
                self._at_hand[key] = tile
                self._at_hand.move_to_end(key)
                self._make_room()
                return
            self._at_hand.pop(key, None)
            spots = self._places.get(plane)
            if spots is not None:
                spots.discard(spot)
                if not spots:
                    del self._places[plane]

    def overview(self, plane: Plane, spot: Spot) -> Labels:
        """Return the largest label of each block of OVERVIEW x OVERVIEW pixels of a tile."""
        key = (plane, spot)
        with self._lock:
            known = self._overviews.get(key)
            if known is None:
                known = shrunk(self.get(plane, spot), OVERVIEW)
                self._overviews[key] = known
            return known

    def packed(self) -> Iterator[tuple[Plane, Spot, bytes]]:
        """Yield all tiles compressed, in order."""
        with self._lock:
            keys = [(plane, spot) for plane in self.planes for spot in self.spots(plane)]
        for plane, spot in keys:
            with self._lock:
                known = self._packed.get((plane, spot))
                yield plane, spot, known or self._pack(self._at_hand[plane, spot])

    def put_packed(self, plane: Plane, spot: Spot, content: bytes) -> None:
        """Take a tile as `packed` gave it."""
        self.put(plane, spot, self._unpacked(content))

    def copy(self, dtype: Any = None) -> Tiles:
        """Return the same tiles, of another dtype if one is given."""
        other = Tiles(self.dtype if dtype is None else dtype)
        with self._lock:
            if other.dtype == self.dtype:
                other._places = {plane: set(spots) for plane, spots in self._places.items()}
                other._packed, other._overviews = dict(self._packed), dict(self._overviews)
                # Tiles are replaced, never written to: both may hold the same.
                other._at_hand = OrderedDict(self._at_hand)
                return other
            for plane in self.planes:
                for spot in self.spots(plane):
                    other.put(plane, spot, self.get(plane, spot).astype(other.dtype))
        return other

    def _make_room(self) -> None:
        while len(self._at_hand) > MOST_AT_HAND:
            key, tile = self._at_hand.popitem(last=False)
            if key not in self._packed:
                self._packed[key] = self._pack(tile)

    def _pack(self, tile: Labels) -> bytes:
        return zlib.compress(np.ascontiguousarray(tile, self.dtype).tobytes(), 1)

    def _unpacked(self, content: bytes) -> Labels:
        return np.frombuffer(zlib.decompress(content), self.dtype).reshape(SIDE, SIDE)


def shrunk(tile: Labels, factor: int) -> Labels:
    """Return the largest label of each block of a tile, so that no object vanishes."""
    side = tile.shape[0] // factor
    if factor == 1:
        return tile
    return np.asarray(tile.reshape(side, factor, side, factor).max(axis=(1, 3)))
