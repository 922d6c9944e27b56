"""What a mask is worth: uncertainty, where to click next, agreement with the prompts.

Pure functions; `SecondThoughts` makes them a session's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.masks import dense_path, logit
from napari_pvpu.polygons import filled_in_view
from napari_pvpu.prompts import Box, Click, Polygon, PriorMask, Scribble
from napari_pvpu.view_changes import prior_probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.current_object import CurrentObject
    from napari_pvpu.drawing import Drawing
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import ObjectState, Timing
    from napari_pvpu.session_settings import SessionSettings

__all__ = ["ADVICE", "PropagationComparison", "agreement_with", "hint", "notice_of", "uncertainty"]

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]

DOUBT = 0.5
"""Uncertainty from which a pixel counts as doubtful: probabilities of 0.25 to 0.75."""

SLACK, SMALL_SHARE = 0.2, 0.02
"""Agreement lost, and share of the mask that flips, up to which a prompt is not worth a word. Of
2073 prompts for objects of the training images 82 lost more than 0.02, and the mask got worse by
7 of them; with these limits 3 are told of. Clicks with the wrong sign that did harm were told of as
often with both (4 of 40)."""

LARGE_SHARE = 0.25
"""Share of the mask before that has to flip far from a prompt to be worth a word."""

ADVICE = "return to the best mask so far, or undo"
"""What a notice says is to be done about a prompt that did harm."""

NOTHING = (
    "That mark changed nothing: the mask agrees with it already. Mark what is wrong, close to "
    "where it is."
)


@dataclass(frozen=True, slots=True, eq=False)
class PropagationComparison:
    """The current object without and with EM value propagation.

    Attributes
    ----------
    row, col : int
        First data pixel of the box that holds both masks.
    without, propagated : array, (h, w), bool
        The masks.
    changed : array, (h, w), bool
        Where they differ.
    without_timing, propagated_timing : Timing
        What it takes to answer once more, with the features at hand.
    """

    row: int
    col: int
    without: Bits
    propagated: Bits
    changed: Bits
    without_timing: Timing
    propagated_timing: Timing


def uncertainty(probability: Floats) -> Floats:
    """Return 1 where the probability is one half, 0 where it is 0 or 1, float32."""
    return np.asarray(1 - np.abs(2 * probability - 1), np.float32)


def hint(probability: Floats, mask: Bits, least_depth: float) -> tuple[int, int, bool] | None:
    """Return where a click would tell most about a mask.

    Of the doubtful places the one with most uncertainty in sum is taken, and in it the pixel
    that is deepest inside. The hint is the correction: positive where the mask leaves the pixel
    out, negative where it holds it.

    Parameters
    ----------
    probability : array, (h, w), float32
        Of the object.
    mask : array, (h, w), bool
        The object.
    least_depth : float
        Pixels that a doubtful place has to be deep; what is thinner is nothing but an outline.

    Returns
    -------
    (row, col, positive) or None
        None if nothing is doubtful enough.
    """
    doubt = uncertainty(probability)
    doubtful = doubt >= DOUBT
    # The inside and the outside of a blurred outline are two places, not one.
    best, found = 0.0, None
    for positive in (False, True):
        places, count = ndimage.label(doubtful & (mask != positive))
        if not count:
            continue
        depth = ndimage.distance_transform_edt(np.pad(places > 0, 1))[1:-1, 1:-1]
        index = np.arange(1, count + 1)
        masses = ndimage.sum_labels(doubt, places, index)
        deepest = ndimage.maximum_position(depth, places, index)
        for mass, (row, col) in zip(masses, deepest, strict=True):
            if mass > best and depth[row, col] >= least_depth:
                best, found = float(mass), (int(row), int(col), positive)
    return found


def agreement_with(
    state: ObjectState, prompts: Sequence[Prompt], settings: SessionSettings
) -> float:
    """Return how far an answer of the network agrees with prompts, 0 to 1, by itself.

    What is drawn always agrees with clicks and scribbles, because they are put over the answer.
    Here the answer counts as it was before that.

    Parameters
    ----------
    state : ObjectState
        With the answer.
    prompts : sequence of Prompt
        Any, also such as the network had not heard of.
    settings : SessionSettings
        For the EM switch and the threshold.

    Returns
    -------
    float
        Mean over the prompts: the share of a click or scribble on the right side, the overlap
        (intersection over union) of a box with the mask's box or of a prior mask or a filled
        polygon with the mask, the share of the mask that lies in an outline, the share of a
        negative box or polygon that is not in the mask. 1 without prompts.
    """
    mask = state.shown(settings.value_propagation) > logit(settings.threshold)
    shares = [_agreement(mask, state, prompt) for prompt in prompts]
    return float(np.mean(shares)) if shares else 1.0


def notice_of(
    before: CurrentObject | None,
    after: CurrentObject | None,
    shown: Drawing | None,
    drawing: Drawing | None,
    settings: SessionSettings,
) -> str | None:
    """Return a sentence if added prompts seem to have done harm, or nothing at all, else None.

    Parameters
    ----------
    before, after : CurrentObject or None
        The object without and with them.
    shown, drawing : Drawing or None
        What was shown before, and what is now; nothing is said if it was not shown.
    settings : SessionSettings
        For the EM switch and the threshold.
    """
    if before is None or after is None or before.state is None or after.state is None:
        return None
    known = before.prompts
    added = after.prompts[len(known) :]
    if shown is None or not known or not added or after.prompts[: len(known)] != known:
        return None
    flipped, area = set_difference(shown, drawing), int(shown.mask.sum())
    old = agreement_with(before.state, known, settings)
    new = agreement_with(after.state, known, settings)
    if new < old - SLACK and len(flipped) > SMALL_SHARE * area:
        return (
            f"The last prompt made the mask agree less with those before ({old:.0%} before, "
            f"{new:.0%} now); {ADVICE}."
        )
    if not all(isinstance(prompt, Click | Scribble) for prompt in added):
        return None
    if not len(flipped):
        return NOTHING
    return _far_flip(flipped, area, max(shown.mask.shape) / 2, added)


def _far_flip(
    flipped: npt.NDArray[np.intp], area: int, near: float, added: Sequence[Prompt]
) -> str | None:
    """Say so if a large area changed far from all prompts that are new."""
    if len(flipped) < LARGE_SHARE * area:
        return None
    away = np.full(len(flipped), np.inf)
    for prompt in added:
        row0, col0, row1, col1 = prompt.bounds
        rows = np.maximum(np.maximum(row0 - flipped[:, 0], flipped[:, 0] - row1), 0)
        cols = np.maximum(np.maximum(col0 - flipped[:, 1], flipped[:, 1] - col1), 0)
        away = np.minimum(away, np.hypot(rows, cols))
    count = int((away > near).sum())
    if count < LARGE_SHARE * area:
        return None
    return (
        f"The last prompt changed {count} pixels far from where it is; undo it if that was not "
        "meant."
    )


def set_difference(one: Drawing, two: Drawing | None) -> npt.NDArray[np.intp]:
    """Return the data pixels, (n, 2), that belong to one of two drawings only."""
    if two is None:
        return np.add(np.argwhere(one.mask), (one.row, one.col))
    row0, col0 = min(one.row, two.row), min(one.col, two.col)
    row1, col1 = (max(a, b) for a, b in zip(one.box[2:], two.box[2:], strict=True))
    differs = np.zeros((row1 - row0, col1 - col0), bool)
    for drawing in (one, two):
        height, width = drawing.mask.shape
        top, left = drawing.row - row0, drawing.col - col0
        differs[top : top + height, left : left + width] ^= drawing.mask
    return np.add(np.argwhere(differs), (row0, col0))


def _agreement(mask: Bits, state: ObjectState, prompt: Prompt) -> float:
    view = state.view
    if isinstance(prompt, PriorMask):
        prior = prior_probability([prompt], view)
        assert prior is not None  # there is one
        return _overlap(mask, prior > 0.5)
    if isinstance(prompt, Box):
        framed = _framed(mask.shape, view.to_view([prompt.start, prompt.stop]))
        if not prompt.positive:
            return 1 - float((mask & framed).sum()) / max(int(framed.sum()), 1)
        return _overlap(_frame_of(mask), framed)
    if isinstance(prompt, Polygon):
        area = filled_in_view(prompt.path, view)
        if not prompt.positive:
            return 1 - float((mask & area).sum()) / max(int(area.sum()), 1)
        if prompt.filled:
            return _overlap(mask, area)
        return float((mask & area).sum()) / max(int(mask.sum()), 1)
    path = np.rint(view.to_view(dense_path(prompt, min(view.spacing)))).astype(np.intp)
    inside = ((path >= 0) & (path < mask.shape)).all(axis=1)
    hit = np.zeros(len(path), bool)
    hit[inside] = mask[path[inside, 0], path[inside, 1]]
    return float((hit == prompt.positive).mean())


def _overlap(one: Bits, two: Bits) -> float:
    return float((one & two).sum()) / max(int((one | two).sum()), 1)


def _frame_of(mask: Bits) -> Bits:
    """Return the box of a mask, filled."""
    rows, cols = (np.asarray(mask.any(axis=axis)) for axis in (1, 0))
    return np.asarray(_between(rows)[:, None] & _between(cols))


def _between(line: Bits) -> Bits:
    return np.asarray(np.maximum.accumulate(line) & np.maximum.accumulate(line[::-1])[::-1])


def _framed(shape: tuple[int, ...], corners: npt.NDArray[np.float64]) -> Bits:
    """Return the model pixels of a box, filled."""
    rows, cols = (np.arange(length) for length in shape)
    (row0, col0), (row1, col1) = corners
    return np.asarray(
        ((rows >= row0) & (rows <= row1))[:, None] & ((cols >= col0) & (cols <= col1))
    )
