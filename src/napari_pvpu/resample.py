"""Separable resampling between regular grids, as two small matrix products.

The kernel is a triangle whose half-width is the coarser of the two spacings: bilinear
interpolation when a grid is refined, an antialiasing tent when it is thinned out. Shared by what
reads views from images and by what draws masks back into them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["Axis", "resample", "triangle_weights"]

Axis = tuple[float, float, int]
"""A regular grid on one axis: position of its first sample, spacing, number of samples."""

MOST_AT_ONCE = 2**18
"""Multiplications of one product. Libraries share larger ones out among threads, which have to be
waited for: on a processor that is busy with other things that takes a hundred times as long."""

KEPT = 2**16
"""Weights of a pair of grids, at most, that are kept for the next time: neighbouring views, and
views of neighbouring scales, are laid over each other again and again."""


def triangle_weights(source: Axis, target: Axis) -> npt.NDArray[np.float32]:
    """Return weights that turn samples on one grid into samples on another.

    Parameters
    ----------
    source, target : (first, step, count)
        Grids on the same axis in any common unit; ``step > 0``, ``source`` count at least 1.

    Returns
    -------
    array, (target count, source count), float32
        Rows sum to one. Targets beyond the source take the value of its nearest sample.
    """
    first, step, count = source
    wanted = target[0] + target[1] * np.arange(target[2])
    # In units of the source's spacing; clipping extends the edge samples outwards.
    at = np.clip((wanted - first) / step, 0, count - 1)
    support = max(1.0, target[1] / step)
    distance = np.abs(np.arange(count) - at[:, None])
    weights = np.maximum(1 - distance / support, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def resample(
    values: npt.NDArray[np.float32],
    rows: tuple[Axis, Axis],
    cols: tuple[Axis, Axis],
) -> npt.NDArray[np.float32]:
    """Resample the last two axes of an array.

    Parameters
    ----------
    values : array, (..., h, w), float32
        Finite samples.
    rows, cols : (source, target)
        The grids of the two axes; the sources have h and w samples.

    Returns
    -------
    array, (..., target rows, target cols), float32
    """
    down, across = _weights(*rows), _weights(*cols)
    # The cheaper order: first the axis that shrinks more.
    if down.shape[0] * values.shape[-1] <= across.shape[0] * values.shape[-2]:
        return _across(across, _down(down, values))
    return _down(down, _across(across, values))


def _weights(source: Axis, target: Axis) -> npt.NDArray[np.float32]:
    small = source[2] * target[2] <= KEPT
    return _kept_weights(source, target) if small else triangle_weights(source, target)


@lru_cache(maxsize=32)
def _kept_weights(source: Axis, target: Axis) -> npt.NDArray[np.float32]:
    return triangle_weights(source, target)


def _down(
    weights: npt.NDArray[np.float32], values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return ``weights @ values``, a few rows at a time and without all the zeros."""
    out = np.empty((*values.shape[:-2], len(weights), values.shape[-1]), np.float32)
    for some, seen in _bands(weights, values.shape[-1]):
        np.matmul(weights[some, seen], values[..., seen, :], out=out[..., some, :])
    return out


def _across(
    weights: npt.NDArray[np.float32], values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return ``values @ weights.T``, a few columns at a time and without all the zeros."""
    out = np.empty((*values.shape[:-1], len(weights)), np.float32)
    for some, seen in _bands(weights, values.shape[-2]):
        np.matmul(values[..., seen], weights[some, seen].T, out=out[..., some])
    return out


def _bands(weights: npt.NDArray[np.float32], length: int) -> list[tuple[slice, slice]]:
    """Cut weights, whose entries lie about a diagonal, into bands for small products.

    Parameters
    ----------
    weights : array, (targets, sources)
        As `triangle_weights` returns them, sources in order.
    length : int
        Of the other axis of what they are multiplied with.

    Returns
    -------
    list of (slice, slice)
        Targets, and the sources that they take anything of.
    """
    targets, sources = weights.shape
    taken = weights != 0
    first = taken.argmax(axis=1).tolist()
    last = (sources - taken[:, ::-1].argmax(axis=1)).tolist()
    most, found, start = MOST_AT_ONCE // max(length, 1), [], 0
    for stop in range(1, targets + 1):
        if stop == targets or (stop + 1 - start) * (last[stop] - first[start]) > most:
            found.append((slice(start, stop), slice(first[start], last[stop - 1])))
            start = stop
    return found
