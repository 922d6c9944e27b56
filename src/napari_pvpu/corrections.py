"""Corrections change a mask in their own direction and in their own neighbourhood only.

A mark that corrects a mask is meant for one place. A network's new answer wavers in others too:
a negative click at one end of a nucleus takes a pixel off all around. What a correction cannot
have meant is taken from the mask before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.masks import dense_path, logit
from napari_pvpu.prompts import Click
from napari_pvpu.view_changes import carry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.masks import MaskRules
    from napari_pvpu.prompts import Scribble
    from napari_pvpu.views import View

__all__ = ["confine", "hold", "known_before"]

Floats = npt.NDArray[np.float32]

# Logits that are interpolated stay within these bounds: beyond them they say nothing new.
_SURE = 20.0
# Share of the reach over which the new answer fades into the old one.
_FADE = 0.3


def hold(now: Floats, before: Floats, positive: bool, threshold: float) -> Floats:
    """Return logits that take nothing away after a positive mark, add nothing after a negative.

    Parameters
    ----------
    now, before : array, (S, S), float32
        The new answer, and settled logits of the mask before in the same view; NaN where that is
        not known.
    positive : bool
        Polarity of the marks that are new.
    threshold : float
        Probability above which a pixel belongs to the object.

    Returns
    -------
    array, (S, S), float32
        The new answer; the one before where the new one leaves it in the wrong direction.
    """
    cut = logit(threshold)
    inside, outside = before > cut, before <= cut
    stays = inside & (now <= cut) if positive else outside & (now > cut)
    return np.where(stays, before, now)


def confine(
    now: Floats,
    before: Floats,
    view: View,
    marks: Sequence[Click | Scribble],
    count: int,
    threshold: float,
    rules: MaskRules,
) -> Floats:
    """Return logits that follow the new answer near new marks and the one before elsewhere.

    People correct an error in its middle. So the distance from a mark to the border of the mask
    tells how large the error is: a few times that is how far the correction may reach along the
    border, and about twice that how far away from it. And what lies that close to the mark belongs
    to the side of a click in all likelihood: where the new answer is in doubt, that decides.

    Parameters
    ----------
    now, before : array, (S, S), float32
        As for `hold`.
    view : View
        Where they lie.
    marks : sequence of Click or Scribble
        The new ones, all of one polarity, in data coordinates.
    count : int
        Prompts of the object, the new ones included.
    threshold : float
        Probability above which a pixel belongs to the object.
    rules : MaskRules
        Numbers to go by.

    Returns
    -------
    array, (S, S), float32
        The new answer as it is where the marks lie on the right side of the mask already: then
        they tell nothing about the size of an error.
    """
    factors, layer = rules.reach, rules.layer[0]
    if not marks[0].positive:
        factors, layer = rules.negative_reach, rules.layer[1]
    if not factors:
        return now
    known = ~np.isnan(before)
    mask = known & (before > logit(threshold))
    inwards = ndimage.distance_transform_edt(~mask if marks[0].positive else mask)
    step = min(view.spacing)
    positions = np.concatenate([view.to_view(dense_path(mark, step)) for mark in marks])
    rows, cols = np.rint(positions).astype(np.intp).clip(0, view.size - 1).T
    depth = float(inwards[rows, cols].max())
    if depth == 0:
        return now
    reach = factors[min(max(count - 2, 0), len(factors) - 1)] * depth + rules.reach_margin
    elsewhere = np.ones(now.shape, bool)
    elsewhere[rows, cols] = False
    away = ndimage.distance_transform_edt(elsewhere)
    if all(isinstance(mark, Click) for mark in marks):  # a scribble covers what it means
        lift = rules.lift * (1 - away / (rules.lift_reach * depth)).clip(0)
        now = now + (lift if marks[0].positive else -lift)
    weight = np.minimum(_faded(away, reach), _faded(inwards, layer * depth + rules.reach_margin))
    weight[~known] = 1
    old = np.where(known, before, 0).clip(-_SURE, _SURE)
    return np.asarray(now.clip(-_SURE, _SURE) * weight + old * (1 - weight), np.float32)


def known_before(before: Floats, before_view: View, view: View) -> Floats:
    """Show settled logits of one view in another, NaN where the other saw nothing."""
    if before_view == view:
        return before
    known = carry(np.ones_like(before), before_view, view) > 0.99
    return np.where(known, carry(before.clip(-_SURE, _SURE), before_view, view), np.nan)


def _faded(distance: npt.NDArray[np.floating], limit: float) -> Floats:
    """Return 1 at distance 0, 0 at the limit, and between them over the last part of the way."""
    return ((limit - distance) / max(_FADE * limit, 1.0)).clip(0, 1).astype(np.float32)
