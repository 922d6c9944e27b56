"""Separable resampling between regular grids, as two small matrix products.

The kernel is a triangle whose half-width is the coarser of the two spacings: bilinear
interpolation when a grid is refined, an antialiasing tent when it is thinned out. Shared by what
reads views from images and by what draws masks back into them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Axis", "resample", "triangle_weights"]

Axis = tuple[float, float, int]
"""A regular grid on one axis: position of its first sample, spacing, number of samples."""


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
    down = triangle_weights(*rows)
    across = triangle_weights(*cols)
    # The cheaper order: first the axis that shrinks more.
    if down.shape[0] * values.shape[-1] <= across.shape[0] * values.shape[-2]:
        return np.asarray((down @ values) @ across.T)
    return np.asarray(down @ (values @ across.T))
