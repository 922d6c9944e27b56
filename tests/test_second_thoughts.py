"""What a session tells about its masks: doubt, hints, notices, the best one, EM beside plain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.current_object import CurrentObject
from napari_pvpu.drawing import Drawing
from napari_pvpu.errors import SessionError
from napari_pvpu.insight import agreement_with, hint, notice_of, uncertainty
from napari_pvpu.masks import MaskRules
from napari_pvpu.prompts import Box, Click, PriorMask, Scribble
from napari_pvpu.records import ObjectState, RawPrediction
from napari_pvpu.session import Session
from napari_pvpu.session_settings import SessionSettings
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View
from pictures import CENTERS, DISKS, IMAGE, new_session, seen

PLAIN = SessionSettings()


def test_uncertainty_is_highest_at_one_half():
    values = uncertainty(np.array([[0, 0.25, 0.5, 0.9, 1]], np.float32))
    assert values == pytest.approx(np.array([[0, 0.5, 1, 0.2, 0]]))
    assert values.dtype == np.float32


def test_uncertainty_lies_over_the_region():
    session = new_session()
    assert session.uncertainty.shape == (0, 0)
    session.add(Click(CENTERS["grey"]))
    assert session.uncertainty.shape == session.region.mask.shape
    assert session.uncertainty.min() >= 0
    assert session.uncertainty.max() <= 1


def doubtful(place, value):
    """A sure square with one doubtful place."""
    probability = np.zeros((40, 40), np.float32)
    probability[5:35, 5:35] = 1
    probability[place] = value
    return probability


@pytest.mark.parametrize(
    ("value", "positive"), [(0.6, False), (0.4, True)], ids=["inside", "outside"]
)
def test_the_hint_lies_deep_in_the_largest_doubt_and_corrects(value, positive):
    probability = doubtful(np.s_[10:21, 10:21], value)
    probability[28:32, 28:32] = value
    assert hint(probability, probability > 0.5, 1.5) == (15, 15, positive)


def test_an_outline_is_no_hint():
    probability = doubtful(np.s_[5:35, 5], 0.5)
    assert hint(probability, probability > 0.5, 1.5) is None
    assert hint(np.zeros((5, 5), np.float32), np.zeros((5, 5), bool), 1.5) is None


class Doubtful(FloodPredictor):
    """Not sure of the grey disk's right half."""

    def decode(self, features, prompts, previous, propagation):
        answer = super().decode(features, prompts, previous, propagation)
        col = round(prompts[0].position[1])
        logits = answer.logits.copy()
        right = logits[:, col + 4 :]
        right[right > 0] = 0.5
        return RawPrediction(logits, answer.propagated, answer.score, 1, 2)


def test_a_session_hints_at_its_doubt():
    session = Session(ImageSource(IMAGE), Doubtful(64))
    assert session.next_click_hint() is None
    session.add(Click(CENTERS["grey"]))
    click = session.next_click_hint()
    assert not click.positive, "what is in the mask is put in question"
    assert np.hypot(*np.subtract(click.position, CENTERS["grey"])) < 28
    assert click.position[1] > CENTERS["grey"][1] + 4
    sure = new_session()
    sure.add(Click(CENTERS["grey"]))
    assert sure.next_click_hint() is None


# Agreement

VIEW = View(0, 0, 64, 64)


def state_of(mask, prompts=()):
    logits = np.where(mask, 6, -6).astype(np.float16)
    return ObjectState(tuple(prompts), VIEW, None, logits, None, 0.9)


SQUARE = np.zeros((64, 64), bool)
SQUARE[10:30, 10:30] = True


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        pytest.param(Click((20, 20)), 1, id="click-in"),
        pytest.param(Click((40, 20)), 0, id="click-out"),
        pytest.param(Click((40, 20), False), 1, id="negative-click-out"),
        pytest.param(Click((400, 20)), 0, id="click-outside-the-view"),
        pytest.param(Scribble([(20, 20), (20, 39)]), 0.5, id="scribble-half"),
        pytest.param(Box((10, 10), (29, 29)), 1, id="box"),
        pytest.param(Box((10, 10), (29, 49)), 0.5, id="box-too-wide"),
        pytest.param(Box((10, 10), (29, 49), False), 0.5, id="negative-box"),
        pytest.param(PriorMask(SQUARE), 1, id="prior"),
        pytest.param(PriorMask(SQUARE[:20]), 0.5, id="half-a-prior"),
    ],
)
def test_agreement_of_a_mask_with_a_prompt(prompt, expected):
    assert agreement_with(state_of(SQUARE), [prompt], PLAIN) == pytest.approx(expected)


def test_agreement_is_the_mean():
    prompts = [Click((20, 20)), Click((40, 20))]
    assert agreement_with(state_of(SQUARE), prompts, PLAIN) == 0.5
    assert agreement_with(state_of(SQUARE), [], PLAIN) == 1


def test_agreement_goes_by_threshold_and_switch():
    state = replace(state_of(SQUARE), propagated=np.full((64, 64), -6, np.float16))
    click = [Click((20, 20))]
    assert agreement_with(state, click, SessionSettings(value_propagation=True)) == 0
    assert agreement_with(state, click, SessionSettings(threshold=0.999)) == 0


def drawing_of(mask):
    return Drawing(0, 0, mask, mask.astype(np.float32))


INSIDE = (Click((20, 20)),)


def warned(before_mask, after_mask, added, known=INSIDE):
    before = CurrentObject(state_of(before_mask, known))
    after = CurrentObject(state_of(after_mask, (*known, *added)))
    return notice_of(before, after, drawing_of(before_mask), drawing_of(after_mask), PLAIN)


def test_a_prompt_that_others_suffer_from_is_told_of():
    assert "100% before, 0% now" in warned(SQUARE, ~SQUARE, [Click((50, 50))])


def test_agreement_lost_that_hardly_shows_is_not():
    before = CurrentObject(state_of(SQUARE, INSIDE))
    after = CurrentObject(state_of(~SQUARE, (*INSIDE, Click((50, 50)))))
    nearly = SQUARE.copy()
    nearly[30, 10:18] = True
    drawings = [drawing_of(SQUARE), drawing_of(nearly)]
    assert notice_of(before, after, *drawings, PLAIN) is None
    nearly[30, 18:19] = True
    assert "agree less" in notice_of(before, after, *drawings, PLAIN)


def test_a_little_agreement_lost_is_not_told_of():
    known = tuple(Click((20, 12 + col)) for col in range(10))
    less = SQUARE.copy()
    less[:, :14] = False
    assert warned(SQUARE, less, [Click((12, 12), False)], known) is None
    less[:, :15] = False
    assert "100% before, 70% now" in warned(SQUARE, less, [Click((12, 12), False)], known)


@pytest.mark.parametrize(
    ("added", "told"),
    [
        pytest.param([Click((12, 12))], True, id="click"),
        pytest.param([Scribble([(50, 50), (50, 60)], False)], True, id="scribble"),
        pytest.param([Box((5, 5), (60, 60))], False, id="a box may only confirm"),
    ],
)
def test_marks_that_change_nothing_are_told_of(added, told):
    notice = warned(SQUARE, SQUARE, added)
    assert (notice is not None and "changed nothing" in notice) is told
    assert warned(SQUARE, SQUARE, added, known=()) is None


def test_a_large_change_far_from_the_prompt_is_told_of():
    grown = SQUARE.copy()
    grown[40:60, 40:60] = True
    assert "400 pixels far from" in warned(SQUARE, grown, [Click((12, 12))])
    assert warned(SQUARE, grown, [Click((50, 50))]) is None, "that is what was asked for"
    assert warned(SQUARE, grown, [Box((5, 5), (60, 60))]) is None, "boxes say where it ends"


def test_small_changes_and_first_prompts_are_not():
    grown = SQUARE.copy()
    grown[40:44, 40:44] = True
    assert warned(SQUARE, grown, [Click((12, 12))]) is None
    assert warned(SQUARE, ~SQUARE, [Click((50, 50))], known=()) is None
    before = CurrentObject(state_of(SQUARE, (Click((20, 20)),)))
    assert notice_of(None, before, None, drawing_of(SQUARE), PLAIN) is None


class Fickle(FloodPredictor):
    """Forgets all but the newest prompt."""

    def decode(self, features, prompts, previous, propagation):
        return super().decode(features, prompts[-1:], previous, propagation)


def fickle():
    free = MaskRules(hold=False, reach=())  # corrections go where they want
    session = Session(ImageSource(IMAGE), Fickle(64), rules=free)
    session.add(Click(CENTERS["grey"]))
    session.add(Click((95, 115)))
    session.add(Box((20, 120), (40, 140)))
    return session


def test_a_session_says_when_a_prompt_made_it_worse():
    session = fickle()
    assert "return to the best" in session.last_change.notice
    session.undo()
    assert session.last_change.notice is None


def test_the_best_mask_so_far_comes_back_with_all_prompts():
    session = fickle()
    prompts, now = session.prompts, seen(session)
    best = session.best
    assert (best.mask & DISKS["grey"][best.slices]).sum() > 0.9 * DISKS["grey"].sum()
    assert seen(session) == now, "looking changes nothing"
    session.return_to_best()
    assert session.prompts == prompts
    assert np.array_equal(session.region.mask, best.mask)
    assert session.history[-1] == "Return to best"
    steps = len(session.history)
    session.return_to_best()
    assert len(session.history) == steps, "it is the best already"
    session.undo()
    assert seen(session) == now


def test_the_best_mask_is_one_of_this_object():
    session = new_session()
    session.add(Click(CENTERS["grey"]))
    session.accept()
    assert session.best is None
    session.add(Click(CENTERS["bright"]))
    assert np.array_equal(session.best.mask, session.region.mask)
    session.reset()
    with pytest.raises(SessionError, match="no mask to return to"):
        session.return_to_best()


# EM


@pytest.mark.parametrize("on", [False, True])
def test_both_masks_are_compared_whatever_the_switch(on):
    session = new_session()
    session.value_propagation = on
    session.add(Click(CENTERS["grey"]))
    before = seen(session)
    compared = session.compare_propagation()
    assert seen(session) == before
    session.value_propagation = not on
    masks = {on: compared.propagated if on else compared.without}
    masks[not on] = compared.without if on else compared.propagated
    box = np.s_[
        compared.row : compared.row + compared.changed.shape[0],
        compared.col : compared.col + compared.changed.shape[1],
    ]
    assert np.array_equal(session.mask[box], masks[not on])
    assert np.array_equal(compared.changed, compared.without != compared.propagated)
    assert compared.changed.any()
    assert compared.without_timing.em_ms == 0
    assert compared.propagated_timing.em_ms == 2
    assert compared.propagated_timing.decode_ms == compared.without_timing.decode_ms > 0


def test_there_has_to_be_something_to_compare():
    with pytest.raises(SessionError, match="no mask to compare"):
        new_session().compare_propagation()
