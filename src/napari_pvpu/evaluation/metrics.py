"""How good interactive segmentation is: IoU@k, NoC@t, failures, steps for the worse, and speed.

The measures of RITM and SimpleClick (also PVPUFormer's), over IoU curves: entry ``k - 1`` of a
curve is the IoU after interaction ``k``. A curve may be shorter than the number of interactions
allowed: the robot stops when nothing is wrong any more or all targets are met, and the mask then
stays as it is, so its last value holds from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Curve",
    "at_limit",
    "failure_share",
    "iou",
    "iou_at",
    "mean_noc",
    "never",
    "noc",
    "spc",
    "speed",
    "spread",
    "worse_share",
]

Curve: TypeAlias = Sequence[float]
SPC_AT = (1, 5, 10, 20)
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
    return never(curves, target, max_interactions) / len(curves)


def at_limit(curves: Sequence[Curve], target: float, max_interactions: int) -> int:
    """Objects whose NoC is the limit: the NoF ("20 or more") that RITM and its followers print.

    It counts objects that fail, and those that succeed exactly at the last interaction.
    """
    return sum(noc(curve, target, max_interactions) == max_interactions for curve in curves)


def never(curves: Sequence[Curve], target: float, max_interactions: int) -> int:
    """Objects that do not reach the target in the interactions allowed: true failures."""
    return sum(all(value < target for value in curve[:max_interactions]) for curve in curves)


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


def spc(t_encode: float, t_click: float, n: int) -> float:
    """Time per click when an object takes `n` of them: ``t_encode / n + t_click``.

    Parameters
    ----------
    t_encode : float
        Spent on encoding for one object.
    t_click : float
        Spent on one interaction, without encoding; same unit.
    n : int
        Interactions, at least 1; the papers that encode once report 20.

    Returns
    -------
    float
        In that unit.
    """
    return t_encode / n + t_click


def speed(steps: Sequence[Sequence[tuple[float, float]]], wall: Sequence[float]) -> dict[str, Any]:
    """Times per object and click, encoding and interaction apart.

    Parameters
    ----------
    steps : sequence of sequence of (encode_ms, total_ms)
        Of each object's interactions; the total contains the encoding.
    wall : sequence of float
        All time spent on each object, with the robot's and that of scoring, in ms.

    Returns
    -------
    dict
        In milliseconds: ``t_encode``, mean of what encoding took for an object, over objects
        that were not served from memory (None if all were, or nothing encodes); ``t_click``,
        mean of an interaction without encoding; ``spc`` {"1", "5", "10", "20"} from both; and as
        RITM measures, ``spc_wall``, all time over all clicks, and ``spi_wall``, over all objects.
        None without interactions.
    """
    encode = [total for total in (sum(e for e, _ in each) for each in steps) if total > 0]
    clicks = [total - once for each in steps for once, total in each]
    if not clicks:
        return dict.fromkeys(("t_encode", "t_click", "spc", "spc_wall", "spi_wall"))
    t_encode = float(np.mean(encode)) if encode else None
    t_click = float(np.mean(clicks))
    return {
        "t_encode": t_encode,
        "t_click": t_click,
        "spc": {str(n): spc(t_encode or 0.0, t_click, n) for n in SPC_AT},
        "spc_wall": sum(wall) / len(clicks),
        "spi_wall": sum(wall) / len(steps),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation (of a sample) and range of one measure over seeds."""
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }
