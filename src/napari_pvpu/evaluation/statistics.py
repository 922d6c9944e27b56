"""How settled a mean over sets is: bootstrap over the objects within each set.

The sets stay as they are: nobody drew them at random from all kinds of images, so nothing here
says how a model does on kinds that are not among them. Objects of one image count as independent,
which makes intervals a little too narrow where a set has few images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_pvpu.evaluation import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[np.float64]

__all__ = [
    "Measure",
    "bootstrap_macro",
    "failure_measure",
    "interval",
    "iou_measure",
    "macro_mean",
    "noc_measure",
    "object_values",
    "worse_measure",
]

DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Measure:
    """A ratio of two sums over objects: a mean, when each object counts 1 below the line.

    Parameters
    ----------
    title : str
        Column title.
    above, below : callable
        Of an object's curve.
    spec : str
        How to write a value.
    """

    title: str
    above: Callable[[metrics.Curve], float]
    below: Callable[[metrics.Curve], float]
    spec: str = ".3f"


def iou_measure(k: int) -> Measure:
    """Mean IoU after `k` interactions."""
    return Measure(f"IoU@{k}", lambda curve: metrics.iou_at([curve], k), _one)


def noc_measure(target: float, limit: int) -> Measure:
    """Mean number of interactions to a target."""
    title = f"NoC@{target * 100:g}"
    return Measure(title, lambda curve: metrics.noc(curve, target, limit), _one, ".2f")


def failure_measure(target: float, limit: int) -> Measure:
    """Share of objects that never reach a target."""
    title = f"failed@{target * 100:g}"
    return Measure(title, lambda curve: metrics.never([curve], target, limit), _one, ".1%")


def worse_measure(by: float = metrics.WORSE_BY) -> Measure:
    """Share of interactions that lower the IoU by more than `by`."""

    def lowered(curve: metrics.Curve) -> float:
        return float(np.count_nonzero(np.diff(np.asarray(curve)) < -by))

    return Measure("worse", lowered, len, ".1%")


def object_values(curves: Sequence[metrics.Curve], measures: Sequence[Measure]) -> Values:
    """Both sums' terms for each object, shape (objects, measures, 2)."""
    return np.array([[(m.above(curve), m.below(curve)) for m in measures] for curve in curves])


def macro_mean(sets: Sequence[Values]) -> Values:
    """Plain mean over sets of the measures, from `object_values` of each; shape (measures,)."""
    return np.asarray(np.mean([_ratio(values.sum(axis=0)) for values in sets], axis=0))


def bootstrap_macro(sets: Sequence[Values], draws: int = DRAWS, seed: int = 0) -> Values:
    """Draw the objects of each set anew, with replacement, and take the mean over sets.

    Parameters
    ----------
    sets : sequence of ndarray, shape (objects, measures, 2)
        From `object_values`; sets may have different numbers of objects.
    draws : int
        How often.
    seed : int
        Of the draws.

    Returns
    -------
    ndarray of float64, shape (draws, measures)
        Their standard deviation is the standard error of the macro mean.
    """
    rng = np.random.default_rng(seed)
    total: Values = np.zeros(())
    for values in sets:
        count = len(values)
        times = rng.multinomial(count, np.full(count, 1 / count), size=draws)
        total = total + _ratio(np.tensordot(times, values, axes=1))
    return np.asarray(total / len(sets))


def interval(draws: Values, level: float = 0.95) -> tuple[Values, Values]:
    """Percentile interval of draws (draws, measures): lower and upper ends."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws, (tail, 1 - tail), axis=0)
    return np.asarray(low), np.asarray(high)


def _ratio(sums: Values) -> Values:
    """The last axis holds (above, below); nothing below, as without interactions, is 0."""
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-12))


def _one(curve: metrics.Curve) -> float:
    return 1.0
