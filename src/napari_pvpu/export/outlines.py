"""Outlines along pixel edges: a mask as polygons that hold just its pixels, and back.

The pixel (row, col) covers the square from corner (row, col) to corner (row + 1, col + 1). Corners
have integer coordinates, so these outlines lose nothing: filling them gives the mask again. This
is the convention of ImageJ's traced ROIs and of QuPath; only there x (the column) comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Outline", "closed_xy", "fill", "outlines", "paint", "without_holes"]

Ring = npt.NDArray[np.int64]
Corners = list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The outline of pixels that hang together by their edges.

    A valid polygon by the rules of GIS programs (and so of QuPath): no ring meets a corner twice,
    rings touch each other in corners at most, and the inside hangs together.

    Attributes
    ----------
    shell : array of int64, (n, 2)
        (row, col) of the corners, clockwise as seen on the screen, the first not repeated.
    holes : tuple of array of int64, (m, 2)
        The same for every hole, counter-clockwise.
    """

    shell: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The shell, then the holes."""
        return (self.shell, *self.holes)


def outlines(mask: npt.NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> list[Outline]:
    """Trace the outlines of a mask.

    Parameters
    ----------
    mask : array of bool, (h, w)
        The pixels. Parts that touch by a corner only are parts of their own.
    origin : (row, col)
        Of the mask's first pixel in the image.

    Returns
    -------
    list of Outline
        One for each part, ordered by its first pixel, row by row.
    """
    shells: list[Corners] = []
    holes: list[Corners] = []
    for cycle in _cycles(mask):
        for ring in _simple(cycle):
            (shells if _clockwise(ring) else holes).append(ring)
    part_of = ndimage.label(mask)[0] if holes and len(shells) > 1 else mask
    holes_of: dict[int, list[Ring]] = {}
    for ring in holes:  # starts at a pixel that is not in the mask, below one that is
        row, col = ring[0]
        holes_of.setdefault(int(part_of[row - 1, col]), []).append(_moved(ring, origin))
    found = []
    for ring in sorted(shells):  # starts at a pixel of the mask
        own = holes_of.get(int(part_of[ring[0]]), ()) if holes else ()
        found.append(Outline(_moved(ring, origin), tuple(own)))
    return found


def without_holes(mask: npt.NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> list[Outline]:
    """Trace a mask as outlines without holes, for formats that know none.

    Where there is a hole the mask is cut along the pixel edges of a column through the hole, so
    that the pieces lie side by side and cover its pixels once.

    Parameters
    ----------
    mask, origin
        As in `outlines`.

    Returns
    -------
    list of Outline
        Each with a shell only.
    """
    found = outlines(mask)
    holes = [hole[:, 1] for outline in found for hole in outline.holes]
    if not holes:
        return [Outline(outline.shell + np.array(origin)) for outline in found]
    # The hole in the middle, so that halves have half of the holes.
    cuts = sorted(int(columns.min() + columns.max() + 1) // 2 for columns in holes)
    cut = cuts[len(cuts) // 2]
    row, col = origin
    left, right = mask[:, :cut], mask[:, cut:]
    return [*without_holes(left, origin), *without_holes(right, (row, col + cut))]


def fill(
    rings: Sequence[npt.NDArray[Any]], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    """Give the pixels whose centres lie inside rings, by the even-odd rule.

    Parameters
    ----------
    rings : sequence of array, (n, 2)
        (row, col) of corners, of any kind of number, in any order, open or closed.
    shape : (rows, columns)
        Of the image; what lies outside it is left out.

    Returns
    -------
    mask : array of bool, (h, w)
        The box around the rings, as far as it is in the image.
    origin : (row, col)
        Of the mask's first pixel.
    """
    rings = [np.asarray(ring, np.float64) for ring in rings if len(ring) > 2]
    if not rings:
        return np.zeros((0, 0), bool), (0, 0)
    corners = np.concatenate(rings)
    top, left = np.clip(np.floor(corners.min(axis=0)), 0, shape).astype(int)
    bottom, right = np.clip(np.ceil(corners.max(axis=0)), 0, shape).astype(int)
    height, width = max(bottom - top, 0), max(right - left, 0)
    following = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    corners, following = corners - (top, left), following - (top, left)
    upward = corners[:, 0] > following[:, 0]
    start = np.where(upward[:, None], following, corners)
    end = np.where(upward[:, None], corners, following)
    # An edge is crossed by the lines through the centres of these rows.
    first, last = (
        np.clip(np.ceil(edge[:, 0] - 0.5), 0, height).astype(int) for edge in (start, end)
    )
    count = last - first
    edge = np.repeat(np.arange(len(start)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    fall = (end - start)[edge]
    col = start[edge, 1] + (row + 0.5 - start[edge, 0]) * fall[:, 1] / fall[:, 0]
    crossings = np.zeros((height, width + 1), np.int32)
    np.add.at(crossings, (row, np.clip(np.ceil(col - 0.5), 0, width).astype(int)), 1)
    mask = (np.cumsum(crossings[:, :-1], axis=1) & 1).astype(bool)
    return mask, (int(top), int(left))


def paint(plane: npt.NDArray[Any], rings: Sequence[npt.NDArray[Any]], label: int) -> None:
    """Write a label into the pixels of a plane, (rows, columns), that lie inside rings."""
    mask, (row, col) = fill(rings, (plane.shape[0], plane.shape[1]))
    plane[row : row + mask.shape[0], col : col + mask.shape[1]][mask] = label


def closed_xy(ring: Ring) -> list[list[int]]:
    """Return a ring as [x, y] pairs whose last is the first, as GeoJSON wants it."""
    return [*ring[:, ::-1].tolist(), ring[0, ::-1].tolist()]


def _cycles(mask: npt.NDArray[np.bool_]) -> Iterator[Corners]:
    """Walk along the edges between inside and outside, the inside on the right hand.

    Straight runs of edges are found for the whole mask at once, and joined end to start; where
    four runs meet (two pixels touch by a corner) the walk turns right, that is, around the pixel
    that it was at.
    """
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2), np.int8)
    padded[1:-1, 1:-1] = mask
    level = _runs(np.diff(padded[:, 1:-1], axis=0))
    # Along a column the inside is on the right hand when the walk goes up.
    upright = _runs(-np.diff(padded[1:-1], axis=1).T)
    upright = upright[:, [0, 2, 1, 4, 3]]
    runs = np.concatenate([level, upright])  # direction, start row, start col, end row, end col
    if not len(runs):
        return
    columns = width + 1
    start, end = runs[:, 1] * columns + runs[:, 2], runs[:, 3] * columns + runs[:, 4]
    is_level = np.arange(len(runs)) < len(level)
    # After right (level, +1) comes down (upright, +1), after down left: the right turns.
    right_turn = np.where(is_level, runs[:, 0], -runs[:, 0])
    key = (start * 2 + (runs[:, 0] > 0)) * 2 + is_level
    order = np.argsort(key)
    known = key[order]

    def starting(direction: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        wanted = (end * 2 + (direction > 0)) * 2 + ~is_level
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[at] == wanted, order[at], -1)

    right = starting(right_turn)
    following = np.where(right >= 0, right, starting(-right_turn)).tolist()
    corners = [(row, col) for row, col in runs[:, 1:3].tolist()]
    seen = [False] * len(runs)
    for first in range(len(level)):
        cycle = []
        run = first
        while not seen[run]:
            seen[run] = True
            cycle.append(corners[run])
            run = following[run]
        if cycle:
            yield cycle


def _runs(edges: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Find runs of equal edges, +1 or -1, along the rows of an array.

    Returns direction, start row, start col, end row, end col; runs of -1 go backwards.
    """
    bordered = np.pad(edges, ((0, 0), (1, 1)))
    changes = np.diff(bordered, axis=1) != 0
    row, first = np.nonzero(changes & (bordered[:, 1:] != 0))
    _, last = np.nonzero(changes & (bordered[:, :-1] != 0))
    direction = edges[row, first].astype(np.int64)
    backwards = direction < 0
    start, end = np.where(backwards, last, first), np.where(backwards, first, last)
    return np.stack([direction, row, start, row, end], axis=1)


def _simple(cycle: Corners) -> Iterator[Corners]:
    """Split a walk into rings that meet no corner twice, each from its topmost, leftmost corner."""
    if len(set(cycle)) == len(cycle):
        yield _from_first_corner(cycle)
        return
    walk: Corners = []
    place: dict[tuple[int, int], int] = {}
    for corner in cycle:
        if corner in place:
            loop = walk[place[corner] :]
            del walk[place[corner] :]
            for passed in loop:
                del place[passed]
            yield _from_first_corner(loop)
        place[corner] = len(walk)
        walk.append(corner)
    yield _from_first_corner(walk)


def _from_first_corner(ring: Corners) -> Corners:
    first = ring.index(min(ring))
    return ring[first:] + ring[:first]


def _moved(ring: Corners, origin: tuple[int, int]) -> Ring:
    return np.array(ring, np.int64) + np.array(origin, np.int64)


def _clockwise(ring: Corners) -> bool:
    """Tell whether a ring that starts at its topmost, leftmost corner first goes right."""
    return ring[1][0] == ring[0][0]
