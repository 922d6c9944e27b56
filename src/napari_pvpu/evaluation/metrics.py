"""How good interactive segmentation is: IoU@k, NoC@t, failures, and steps for the worse.

The measures of RITM and SimpleClick (also PVPUFormer's), over IoU curves: entry ``k - 1`` of a
curve is the IoU after interaction ``k``. A curve may be shorter than the number of interactions
allowed: the robot stops when nothing is wrong any more or all targets are met, and the mask then
stays as it is, so its last value holds from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Curve", "failure_share", "iou", "iou_at", "mean_noc", "noc", "worse_share"]

Curve: TypeAlias = Sequence[float]
WORSE_BY = 0.02


def iou(
    prediction: NDArray[np.bool_],
    target: NDArray[np.bool_],
    valid: NDArray[np.bool_] | None = None,
) -> float:
    """Intersection over union of two masks, over valid pixels.

    Parameters
    ----------
    prediction, target : ndarray of bool, shape (h, w)
        The masks, over the same pixels.
    valid : ndarray of bool, shape (h, w), optional
        True where pixels are scored. All are by default.

    Returns
    -------
    float
        Between 0 and 1. Two empty masks agree: 1.
    """
    both = prediction & target
    either = prediction | target
    if valid is not None:
        both &= valid
        either &= valid
    union = int(np.count_nonzero(either))
    return int(np.count_nonzero(both)) / union if union else 1.0


def noc(curve: Curve, target: float, max_interactions: int) -> int:
    """Number of interactions (clicks) until the IoU reaches a target for the first time.

    Parameters
    ----------
    curve : sequence of float
        IoU after each interaction.
    target : float
        The IoU to reach, 0 to 1.
    max_interactions : int
        How many interactions are allowed.

    Returns
    -------
    int
        1 and more. `max_interactions` also for an object that never gets there (RITM's rule).
    """
    for index, value in enumerate(curve[:max_interactions]):
        if value >= target:
            return index + 1
    return max_interactions


def mean_noc(curves: Sequence[Curve], target: float, max_interactions: int) -> float:
    """Mean of `noc` over objects; NaN without objects."""
    if not curves:
        return float("nan")
    return float(np.mean([noc(curve, target, max_interactions) for curve in curves]))


def iou_at(curves: Sequence[Curve], k: int) -> float:
    """Mean IoU over objects after `k` interactions.

    Parameters
    ----------
    curves : sequence of sequence of float
        IoU after each interaction, one curve per object. A curve that ended earlier keeps its
        last value; an empty one counts as 0.
    k : int
        Number of interactions, at least 1.

    Returns
    -------
    float
        NaN without objects.
    """
    if not curves:
        return float("nan")
    return float(np.mean([curve[min(k, len(curve)) - 1] if curve else 0.0 for curve in curves]))


def failure_share(curves: Sequence[Curve], target: float, max_interactions: int) -> float:
    """Share of objects that never reach a target.

    RITM's "20 or more" also counts an object that succeeds exactly at the last interaction;
    this counts true failures only. NaN without objects.
    """
    if not curves:
        return float("nan")
    missed = [all(value < target for value in curve[:max_interactions]) for curve in curves]
    return float(np.mean(missed))


def worse_share(curves: Sequence[Curve], by: float = WORSE_BY) -> float:
    """Share of all interactions that lower the IoU by more than `by`.

    The first interaction of an object is counted among all, though it has nothing to lower: the
    share answers "how often does what I just did make it worse". NaN without interactions.
    """
    total = sum(len(curve) for curve in curves)
    if total == 0:
        return float("nan")
    worse = sum(int(np.count_nonzero(np.diff(np.asarray(curve)) < -by)) for curve in curves)
    return worse / total
