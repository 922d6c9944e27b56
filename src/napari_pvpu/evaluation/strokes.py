"""Boxes and scribbles as a hand draws them on a given part of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from napari_pvpu.evaluation.regions import Rect, bounding_rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["box_around", "longest_path", "scribble_within"]

BOX_NOISE_SHARE = 0.1
BOX_NOISE_PIXELS = 20.0
SCRIBBLE_ARC = 64.0
SCRIBBLE_JITTER = 2.0
_STEP = 2.0


def box_around(
    rect: Rect, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[tuple[float, float], tuple[float, float]]:
    """A sloppy box around a part: SAM 2's noise on each of its four coordinates.

    The noise is uniform within the smaller of 10 % of the side and 20 pixels (SAM 2,
    ``sam2_utils.py``). The box is clipped to the image and keeps an area.

    Parameters
    ----------
    rect : (row0, col0, row1, col1)
        Half-open bounding box of the part.
    shape : (height, width)
        Size of the image.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    start, stop : (row, col) of float
        Opposite corners. Without noise they are the outer edges of the outermost pixels: with
        pixel centres at integers, ``row0 - 0.5`` and ``row1 - 0.5``.
    """
    corners = []
    for low, high, size in ((rect[0], rect[2], shape[0]), (rect[1], rect[3], shape[1])):
        side = high - low
        reach = min(BOX_NOISE_SHARE * side, BOX_NOISE_PIXELS)
        first, second = np.array([low, high]) - 0.5 + rng.uniform(-reach, reach, 2)
        first, second = np.clip([first, second], 0.0, size - 1.0)
        if second - first < 1.0:  # a part of one pixel at the border, clipped to a line
            middle = min(max((first + second) / 2, 0.5), max(size - 1.5, 0.5))
            first, second = middle - 0.5, middle + 0.5
        corners.append((float(first), float(second)))
    (top, bottom), (left, right) = corners
    return (top, left), (bottom, right)


def scribble_within(
    part: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """A short scribble along the middle of a part.

    Skeleton, its longest path, an arc of at most 64 pixels of it at a random place, a smooth
    (quadratic) displacement of at most 2 pixels; points that this moves out of the part stay
    where they were. A part without a line for a skeleton (a disk, a dot) gets a straight stroke
    of half its length through its middle, along its longer axis.

    Parameters
    ----------
    part : ndarray of bool, shape (h, w)
        One connected part.
    rng : numpy.random.Generator
        Source of the randomness.

    Returns
    -------
    ndarray of float64, shape (n, 2), or None
        (row, col) of at least two different points, each inside the part when rounded; None when
        the part is too small for that.
    """
    from skimage.morphology import skeletonize

    rect = bounding_rect(part)
    if rect is None or np.count_nonzero(part) < 2:
        return None
    top, left, bottom, right = rect
    # A ring of background: thinning and the test "is it inside" need no care for borders.
    mask = np.pad(part[top:bottom, left:right], 1)
    line = longest_path(skeletonize(mask)).astype(np.float64)
    if len(line) < max(3.0, max(bottom - top, right - left) / 4):
        line = _straight_stroke(mask)
    path = _thin_out(_random_arc(line, SCRIBBLE_ARC, rng))
    if len(path) < 2:
        return None
    moved = path + _bow(len(path), SCRIBBLE_JITTER, rng)
    at = np.clip(np.rint(moved).astype(np.intp), 0, np.array(mask.shape) - 1)
    drawn = np.where(mask[at[:, 0], at[:, 1]][:, None], moved, path)
    drawn = drawn[np.r_[True, np.any(np.diff(drawn, axis=0) != 0, axis=1)]]
    if len(drawn) < 2:
        drawn = path
    return np.asarray(drawn + (np.array([top, left]) - 1), dtype=np.float64)


def longest_path(skeleton: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The longest shortest path through an 8-connected skeleton.

    Two sweeps from the farthest node (exact on trees, a good choice on loops), in the largest
    connected piece.

    Parameters
    ----------
    skeleton : ndarray of bool, shape (h, w)
        Thin lines.

    Returns
    -------
    ndarray of int, shape (n, 2)
        (row, col) along the path; of one point for a dot, of none for an empty skeleton.
    """
    nodes = np.argwhere(skeleton)
    if len(nodes) < 2:
        return nodes
    index = np.full((skeleton.shape[0] + 2, skeleton.shape[1] + 2), -1, dtype=np.intp)
    index[nodes[:, 0] + 1, nodes[:, 1] + 1] = np.arange(len(nodes))
    rows, cols, weights = [], [], []
    for step in ((0, 1), (1, 0), (1, 1), (1, -1)):
        neighbour = index[nodes[:, 0] + 1 + step[0], nodes[:, 1] + 1 + step[1]]
        there = np.flatnonzero(neighbour >= 0)
        rows.append(there)
        cols.append(neighbour[there])
        weights.append(np.full(len(there), np.hypot(*step)))
    edges = (np.concatenate(rows), np.concatenate(cols))
    graph = sparse.csr_matrix((np.concatenate(weights), edges), shape=(len(nodes), len(nodes)))
    _, piece = csgraph.connected_components(graph, directed=False)
    start = int(np.flatnonzero(piece == np.bincount(piece).argmax())[0])
    end = _farthest(graph, start)[0]
    last, before = _farthest(graph, end)
    path = [last]
    while path[-1] != end:
        path.append(int(before[path[-1]]))
    return nodes[path]


def _farthest(graph: sparse.csr_matrix, start: int) -> tuple[int, NDArray[np.int32]]:
    distance, before = csgraph.dijkstra(
        graph, directed=False, indices=start, return_predecessors=True
    )
    distance[~np.isfinite(distance)] = -1
    return int(distance.argmax()), before


def _straight_stroke(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A stroke through the deepest pixel along the longer axis, half as long as the part there."""
    depth = ndimage.distance_transform_edt(mask)
    middle = np.array(divmod(int(depth.argmax()), mask.shape[1]))
    points = np.argwhere(mask) - middle
    axis = np.linalg.eigh(points.T @ points)[1][:, 1]
    reach = []
    for sign in (-1.0, 1.0):
        distance = 0.0
        while True:
            row, col = np.rint(middle + sign * (distance + 0.5) * axis).astype(int)
            if not mask[row, col]:
                break
            distance += 0.5
        reach.append(max(distance / 2, min(distance, 1.0)))
    steps = np.linspace(-reach[0], reach[1], max(2, int(sum(reach)) + 1))
    return np.asarray(middle + steps[:, None] * axis, dtype=np.float64)


def _random_arc(
    path: NDArray[np.float64], length: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A random connected piece of a path, not longer than `length`."""
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]
    begin = rng.uniform(0.0, max(along[-1] - length, 0.0))
    keep = (along >= begin) & (along <= begin + length)
    return np.asarray(path[keep], dtype=np.float64)


def _thin_out(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep a point every two pixels or so, and both ends."""
    if len(path) < 2:
        return path
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]
    keep = np.r_[True, np.diff(np.floor(along / _STEP)) > 0]
    keep[-1] = True
    return np.asarray(path[keep], dtype=np.float64)


def _bow(count: int, reach: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Displacements along a quadratic Bézier curve whose control points lie within `reach`."""
    radius = reach * np.sqrt(rng.random(3))
    angle = rng.random(3) * 2 * np.pi
    control = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    t = np.linspace(0.0, 1.0, count)
    basis = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1)
    return np.asarray(basis @ control, dtype=np.float64)
