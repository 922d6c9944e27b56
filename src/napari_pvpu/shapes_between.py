"""Shapes between shapes: masks of neighbouring planes by signed distances to their outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.carrying import PlaneMask
from napari_pvpu.rendering import joint_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.edits import Bits
    from napari_pvpu.records import PixelBox

__all__ = ["blend", "shape_between", "signed_distance"]

Floats = npt.NDArray[np.float64]


def signed_distance(mask: Bits) -> Floats:
    """Return how far each pixel lies inside a mask, in pixels; negative outside.

    Parameters
    ----------
    mask : array, (h, w), bool
        With at least one pixel. What lies beyond its border counts as what lies at it.

    Returns
    -------
    array, (h, w), float64
        0.5 and -0.5 at the two sides of the outline; as far as the array is large inside a mask
        that fills it.
    """
    if mask.all():
        return np.full(mask.shape, float(sum(mask.shape)))
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    return np.asarray(np.where(mask, inside - 0.5, 0.5 - outside), np.float64)


def blend(parts: Sequence[tuple[PlaneMask, float]]) -> PlaneMask | None:
    """Return the mask whose outline lies between those of several masks of one plane.

    Parameters
    ----------
    parts : sequence of (PlaneMask, weight)
        At least one; weights 0 or more, not all of them 0.

    Returns
    -------
    PlaneMask or None
        Where the weighted mean of the signed distances is positive; None if that is nowhere.
    """
    box = _around([mask for mask, _ in parts])
    total = sum(weight for _, weight in parts)
    depth = sum(weight / total * signed_distance(mask.over(box)) for mask, weight in parts)
    return PlaneMask.tight(box[0], box[1], np.asarray(depth) > 0)


def shape_between(one: PlaneMask, other: PlaneMask, share: float) -> PlaneMask | None:
    """Return the shape between two shapes of different planes.

    Both are moved so that their centres of mass meet, on the line between them, and blended: an
    object that moves from plane to plane stays whole in between.

    Parameters
    ----------
    one, other : PlaneMask
        The shapes.
    share : float
        How far it is from `one`, 0, to `other`, 1.

    Returns
    -------
    PlaneMask or None
        None for shapes so thin that nothing is left between them.
    """
    start, stop = _center(one), _center(other)
    here = start + share * (stop - start)
    moved = [
        (_moved(mask, np.rint(here - center)), weight)
        for mask, center, weight in ((one, start, 1 - share), (other, stop, share))
    ]
    return blend(moved)


def _around(masks: Sequence[PlaneMask]) -> PixelBox:
    """Return a box around several masks with a pixel more on every side."""
    box = joint_box([mask.box for mask in masks])
    assert box is not None  # there is at least one mask
    return (box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1)


def _center(mask: PlaneMask) -> Floats:
    rows, cols = np.nonzero(mask.mask)
    return np.array([mask.row + rows.mean(), mask.col + cols.mean()])


def _moved(mask: PlaneMask, by: Floats) -> PlaneMask:
    return PlaneMask(mask.row + int(by[0]), mask.col + int(by[1]), mask.mask)
