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
from napari_pvpu.prompts import Box, Click
from napari_pvpu.view_changes import carry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.masks import MaskRules
    from napari_pvpu.prompts import Scribble
    from napari_pvpu.views import View

__all__ = ["confine", "corrects", "hold", "known_before"]

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
    marks: Sequence[Click | Scribble | Box],
    count: int,
    threshold: float,
    rules: MaskRules,
) -> Floats:
    """Return logits that follow the new answer near new marks and the one before elsewhere.

    People correct an error in its middle. So the distance from a mark to the border of the mask
    tells how large the error is: a few times that is how far the correction may reach along the
    border, and about twice that how far away from it. And what lies that close to the mark belongs
    to the side of a click in all likelihood: where the new answer is in doubt, that decides.

    A mark that is on the right side of the mask already has missed a small error by a little, or
    sits on one that is thinner than a pixel here: a share of its distance to the border stands for
    the error's size. Far from any border it is no correction.

    A scribble covers most of an error, and a box is drawn around it: their corrections stay close
    to them, and in a box, too, doubt is decided for its side.

    Parameters
    ----------
    now, before : array, (S, S), float32
        As for `hold`.
    view : View
        Where they lie.
    marks : sequence of Click, Scribble or Box
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
        The new answer as it is where the mask before has no border in the view.
    """
    known = ~np.isnan(before)
    mask = known & (before > logit(threshold))
    if not (rules.reach and rules.negative_reach) or mask.all() or not mask.any():
        return now
    boxes = [mark for mark in marks if isinstance(mark, Box)]
    lines = [mark for mark in marks if not isinstance(mark, Box)]
    weight = np.zeros(now.shape, np.float32)
    for box in boxes:
        around = _around(box, view, rules)
        now = now + (rules.box_lift if box.positive else -rules.box_lift) * around
        np.maximum(weight, around, out=weight)
    if lines:
        near, now = _beside(now, mask, view, lines, count, rules)
        np.maximum(weight, near, out=weight)
    weight[~known] = 1
    old = np.where(known, before, 0).clip(-_SURE, _SURE)
    return np.asarray(now.clip(-_SURE, _SURE) * weight + old * (1 - weight), np.float32)


def corrects(
    marks: Sequence[Click | Scribble | Box],
    before: Floats,
    view: View,
    threshold: float,
    first: bool,
) -> bool:
    """Tell whether new marks correct the mask before, or say anew which object is meant.

    Parameters
    ----------
    marks, before, view, threshold
        As for `confine`.
    first : bool
        Whether the object had no marks: its mask comes from elsewhere.

    Returns
    -------
    bool
        False where a positive box has at least half of the mask in it (a smaller one is drawn
        around what is missing), and where first marks lie on the right side of the mask already.
    """
    mask = before > logit(threshold)  # not where nothing is known
    boxes = [mark for mark in marks if isinstance(mark, Box)]
    lines = [mark for mark in marks if not isinstance(mark, Box)]
    for box in boxes:
        inside = _away_from(box, view) <= 0
        if box.positive and 2 * np.count_nonzero(mask & inside) >= np.count_nonzero(mask):
            return False
    return not (
        first
        and not boxes
        and all((mask[_pixels([line], view)] == line.positive).all() for line in lines)
    )


def _around(box: Box, view: View, rules: MaskRules) -> Floats:
    """Return how much of the new answer is taken in and around a box, (S, S), 0 to 1."""
    (row0, col0), (row1, col1) = view.to_view(np.array([box.start, box.stop]))
    reach = rules.box_reach * min(row1 - row0, col1 - col0)
    return _faded(_away_from(box, view), max(reach, 1.0))


def _away_from(box: Box, view: View) -> Floats:
    """Return the distance of each model pixel, (S, S), from a box; 0 inside."""
    start, stop = view.to_view(np.array([box.start, box.stop]))
    index = np.arange(view.size)[:, None]
    rows, cols = np.maximum(np.maximum(start - index, index - stop), 0).T
    return np.asarray(np.maximum(rows[:, None], cols), np.float32)


def _beside(
    now: Floats,
    mask: npt.NDArray[np.bool_],
    view: View,
    marks: Sequence[Click | Scribble],
    count: int,
    rules: MaskRules,
) -> tuple[Floats, Floats]:
    """Return how much of the new answer is taken where, (S, S), 0 to 1, and the answer, lifted."""
    positive = marks[0].positive
    factors, layer = rules.reach, rules.layer[0]
    if not positive:
        factors, layer = rules.negative_reach, rules.layer[1]
    wrong = ~mask if positive else mask
    inwards = ndimage.distance_transform_edt(wrong)
    there = _pixels(marks, view)
    depth = float(inwards[there].max())
    factor = factors[min(max(count - 2, 0), len(factors) - 1)]
    clicks = all(isinstance(mark, Click) for mark in marks)
    if depth == 0:
        missed_by = float(ndimage.distance_transform_edt(~wrong)[there].min())
        if missed_by > rules.missed_most:
            return np.zeros_like(now), now
        depth = rules.missed * missed_by
    elif not clicks:  # a scribble covers what it means
        factor = rules.scribble_reach
    elsewhere = np.ones(now.shape, bool)
    elsewhere[there] = False
    away = ndimage.distance_transform_edt(elsewhere)
    if clicks:
        lift = rules.lift * (1 - away / (rules.lift_reach * depth)).clip(0)
        now = now + (lift if positive else -lift)
    reach, layer = factor * depth + rules.reach_margin, layer * depth + rules.reach_margin
    return np.minimum(_faded(away, reach), _faded(inwards, layer)), now


def _pixels(
    marks: Sequence[Click | Scribble], view: View
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of the model pixels under marks, within the view."""
    step = min(view.spacing)
    positions = np.concatenate([view.to_view(dense_path(mark, step)) for mark in marks])
    rows, cols = np.rint(positions).astype(np.intp).clip(0, view.size - 1).T
    return rows, cols


def known_before(before: Floats, before_view: View, view: View) -> Floats:
    """Show settled logits of one view in another, NaN where the other saw nothing."""
    if before_view == view:
        return before
    known = carry(np.ones_like(before), before_view, view) > 0.99
    return np.where(known, carry(before.clip(-_SURE, _SURE), before_view, view), np.nan)


def _faded(distance: npt.NDArray[np.floating], limit: float) -> Floats:
    """Return 1 at distance 0, 0 at the limit, and between them over the last part of the way."""
    return ((limit - distance) / max(_FADE * limit, 1.0)).clip(0, 1).astype(np.float32)
