"""Looks at an object through several views, and what they say together.

The network's own score cannot compare scales well: a nucleus, its nucleolus and its cluster are all
good objects. But at a wrong scale an answer is an accident, so answers that agree across scales are
to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pvpu.view_changes import agreement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.prompts import Bounds
    from napari_pvpu.records import ObjectState
    from napari_pvpu.view_choice import ViewPolicy
    from napari_pvpu.views import Edges

__all__ = ["Look", "best_look"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look through a view showed.

    Attributes
    ----------
    state : ObjectState
        The network's answer.
    settled : array, (S, S), float32
        Its logits after `masks.settle`.
    found : (row0, col0, row1, col1) or None
        Box of the object in data coordinates.
    touched : (top, left, bottom, right) of bool
        Sides of the window, inside the image, that the object runs into.
    """

    state: ObjectState
    settled: Floats
    found: Bounds | None
    touched: Edges

    @property
    def length(self) -> float:
        """Longer side of the object found, in widths of a pixel; 0 without one."""
        return _length(self.found, self.state.view.aspect)


def best_look(looks: Sequence[Look], policy: ViewPolicy, cut: float) -> tuple[Look, bool]:
    """Return the look that the others bear out best, and whether that is beyond doubt.

    Parameters
    ----------
    looks : sequence of Look
        At least one.
    policy : ViewPolicy
        Numbers to go by.
    cut : float
        Logit above which a pixel belongs to the object.

    Returns
    -------
    best : Look
        One of `looks`.
    sure : bool
        Its score and two others' agreement with it reach the policy's marks, so that more looks
        would change nothing.
    """
    scores = np.array([look.state.score for look in looks])
    agreed = np.zeros((len(looks), len(looks)))
    for (i, one), (j, two) in combinations(enumerate(looks), 2):
        agreed[i, j] = agreed[j, i] = agreement(
            one.settled, one.state.view, two.settled, two.state.view, cut
        )
    others = scores * (1 - np.eye(len(looks)))
    support = (agreed * others).sum(axis=1) / np.maximum(others.sum(axis=1), 1e-9)
    whole = np.where([any(look.touched) for look in looks], policy.cut_worth, 1.0)
    best = int(np.argmax(whole * scores**2 * (support + policy.agreement_base)))
    borne_out = int((agreed[best] >= policy.sure_agreement).sum()) >= 2
    return looks[best], bool(scores[best] >= policy.sure_score and borne_out)


def _length(bounds: Bounds | None, aspect: float = 1.0) -> float:
    """Return the longer side of a box in widths of a pixel, 0 for none.

    Parameters
    ----------
    bounds : (row0, col0, row1, col1) or None
        First and last pixels.
    aspect : float
        Height of a pixel in its widths.
    """
    if bounds is None:
        return 0.0
    return max((bounds[2] - bounds[0] + 1) * aspect, bounds[3] - bounds[1] + 1)
