"""Which views one interaction looks through, and what it feeds back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.interaction import Interaction
from napari_pvpu.masks import MaskRules
from napari_pvpu.prompts import Box, Click, PriorMask
from napari_pvpu.records import RawPrediction, Request
from napari_pvpu.source import ImageSource
from napari_pvpu.view_choice import ViewPolicy
from napari_pvpu.views import View

SHAPE = (600, 600)
# The views below are those of these numbers, whatever the defaults are tuned to.
POLICY = ViewPolicy(object_fill=0.45, keep_low=0.25, keep_high=0.8)
RULES = MaskRules()


def square(row0, row1, background=0.0):
    image = np.random.default_rng(0).normal(background, 0.01, SHAPE).astype(np.float32)
    image[row0:row1, row0:row1] = 1
    return image


def run(image, prompts, predictor=None, base=None, policy=POLICY, **more):
    request = Request(
        generation=1,
        prompts=tuple(prompts),
        base=base,
        value_propagation=more.pop("em", False),
        threshold=0.5,
        **more,
    )
    predictor = predictor or FloodPredictor()
    source = image if isinstance(image, ImageSource) else ImageSource(image)
    return Interaction(source, predictor, request, policy, RULES).run()


class Moody(FloodPredictor):
    """Finds a square of one size whatever it sees, and trusts some views more than others."""

    def __init__(self, scores, side):
        super().__init__()
        self.scores, self.side = scores, side

    def encode(self, view, key=None):
        self._kept[key] = key[1]
        self.encoded += 1
        return key[1]

    def decode(self, features, prompts, previous, propagation):
        self.decoded.append((tuple(prompts), previous is not None, propagation is not None))
        logits = np.full((128, 128), -6, np.float32)
        half = self.side * features.scale / 2
        row, col = prompts[0].position
        index = np.arange(128)
        inside = (np.abs(index - row) <= half)[:, None] & (np.abs(index - col) <= half)
        logits[inside] = 6
        return RawPrediction(logits, None, self.scores.get(features.extent, 0.1), 1, 0)


@pytest.mark.parametrize("side", [8, 20, 60, 150, 400, 590])
def test_a_click_finds_the_scale_of_its_object(side):
    row0 = (600 - side) // 2
    prediction = run(square(row0, row0 + side), [Click((300, 300))])
    assert prediction.drawing.mask.sum() == pytest.approx(side**2, rel=0.12)
    fill = side / prediction.state.view.extent
    # Below a side of 8 the closest view, 16 pixels, is all there is.
    assert POLICY.keep_low <= fill <= 1
    assert prediction.timing.views <= len(POLICY.click_steps) + POLICY.max_reviews


def test_a_good_view_that_two_others_bear_out_saves_the_rest():
    predictor = Moody({}, 40)
    predictor.scores = dict.fromkeys(range(2000), 0.95)
    prediction = run(square(200, 240), [Click((300, 300))], predictor)
    assert prediction.timing.views == predictor.encoded == 3


def test_of_views_that_agree_the_one_with_the_best_score_is_taken():
    guesses = {91: 0.3, 181: 0.7, 45: 0.2, 362: 0.1}
    predictor = Moody(guesses, 70)
    prediction = run(square(200, 270), [Click((300, 300))], predictor)
    assert prediction.state.view.extent == 181
    assert prediction.state.score == 0.7


def test_a_view_that_no_other_bears_out_is_not_taken():
    class Accident(Moody):
        def decode(self, features, prompts, previous, propagation):
            self.side = 20 if features.extent == 45 else 70
            return super().decode(features, prompts, previous, propagation)

    predictor = Accident({45: 0.75, 91: 0.6, 181: 0.7, 362: 0.6}, 70)
    prediction = run(square(200, 270), [Click((300, 300))], predictor)
    assert prediction.state.view.extent == 181


def test_an_object_that_the_window_cuts_is_not_taken():
    class Cut(Moody):
        def decode(self, features, prompts, previous, propagation):
            self.side = 2 * features.extent if features.extent < 100 else 70
            return super().decode(features, prompts, previous, propagation)

    predictor = Cut({32: 0.75, 45: 0.75, 91: 0.75, 181: 0.6, 362: 0.6}, 70)
    prediction = run(square(200, 270), [Click((300, 300))], predictor)
    assert prediction.state.view.extent == 181


def test_views_of_one_interaction_are_bounded():
    class Restless(Moody):
        def decode(self, features, prompts, previous, propagation):
            self.side = 0.05 * features.extent if len(self.decoded) % 2 else 2 * features.extent
            return super().decode(features, prompts, previous, propagation)

    policy = replace(POLICY, max_reviews=3)
    prediction = run(square(200, 270), [Click((300, 300))], Restless({}, 1), policy=policy)
    assert prediction.timing.views <= len(POLICY.click_steps) + 3


def test_a_doubtful_answer_is_looked_at_from_other_scales():
    image, first = square(200, 300), [Click((250, 250))]
    source = ImageSource(image)
    base = run(source, first, Moody({}, 60)).state
    for score, looks in ((0.9, 1), (0.3, 3)):
        predictor = Moody(dict.fromkeys(range(2000), score), 60)
        run(source, [*first, Click((260, 250))], predictor, base=base)
        assert len(predictor.decoded) == looks


def test_an_object_lost_on_the_way_brings_the_view_before_back():
    class Blind(FloodPredictor):
        def decode(self, features, prompts, previous, propagation):
            raw = super().decode(features, prompts, previous, propagation)
            return raw if previous is None else replace(raw, logits=-np.ones_like(raw.logits))

    prediction = run(square(300, 312), [Box((200, 200), (420, 420)), Click((306, 306))], Blind())
    assert prediction.drawing is not None
    alone = run(square(300, 312), [Click((306, 306))], Blind())
    assert alone.drawing.mask.sum() >= 100


def test_a_prior_mask_is_what_the_network_sees_first():
    mask = np.zeros((100, 100), bool)
    mask[20:80, 30:70] = True
    predictor = FloodPredictor()
    prediction = run(square(200, 300), [PriorMask(mask, (200, 200))], predictor)
    assert predictor.decoded[0] == ((), True, False)
    view, fed = prediction.state.view, prediction.state.previous
    rows, cols = np.nonzero(fed > 0.5)
    assert view.to_data((rows.mean(), cols.mean())) == pytest.approx([249.5, 249.5], abs=1)


def test_the_em_switch_alone_runs_the_decoder_once_on_known_features():
    source, predictor = ImageSource(square(200, 300)), FloodPredictor()
    prompts = [Click((250, 250))]
    off = run(source, prompts, predictor).state
    encoded = predictor.encoded
    predictor.decoded.clear()
    on = run(source, prompts, predictor, base=off, em=True).state
    assert len(predictor.decoded) == 1
    assert predictor.encoded == encoded
    assert np.array_equal(on.logits, off.logits)
    assert on.propagated is not None
    assert on.previous is off.previous


def test_one_view_by_request():
    view = View(0, 0, 1024)
    prediction = run(square(300, 312), [Click((306, 306))], view=view)
    assert prediction.state.view == view
    assert prediction.timing.views == 1


def test_without_prompts_nothing_is_computed():
    predictor = FloodPredictor()
    prediction = run(square(200, 300), [], predictor)
    assert prediction.state is prediction.drawing is None
    assert predictor.decoded == []


def test_states_know_their_size():
    state = run(square(200, 300), [Click((250, 250))], em=True).state
    assert 2 * 128 * 128 * 2 <= state.nbytes <= 4 * 128 * 128 * 2


class Wavering(FloodPredictor):
    """Finds a square, and with more prompts another one."""

    def __init__(self, *squares):
        super().__init__()
        self.squares = squares

    def encode(self, view, key=None):
        self._kept[key] = key[1]
        return key[1]

    def decode(self, features, prompts, previous, propagation):
        logits = np.full((128, 128), -6, np.float32)
        row0, col0, row1, col1 = self.squares[len(prompts) - 1]
        start, stop = features.to_view(((row0, col0), (row1, col1)))
        index = np.arange(128)
        rows, cols = ((index >= a) & (index <= b) for a, b in zip(start, stop, strict=True))
        logits[rows[:, None] & cols] = 6
        propagated = None if propagation is None else logits
        return RawPrediction(logits, propagated, 0.9, 1, 0)


@pytest.mark.parametrize("em", [False, True], ids=["plain", "em"])
@pytest.mark.parametrize(
    ("added", "expected"),
    [
        # First 100 by 100 pixels; the second answer moves by 30 along both axes.
        (Click((225, 225)), 2 * 101**2 - 71**2),
        (Click((125, 125), False), 71**2),
        # A box says where the object ends, too.
        (Box((120, 120), (240, 240)), 101**2),
    ],
    ids=["positive", "negative", "box"],
)
def test_a_correction_changes_the_mask_in_its_own_direction_only(added, expected, em):
    predictor = Wavering((100, 100, 200, 200), (130, 130, 230, 230))
    image, first = ImageSource(square(100, 200)), Click((150, 150))
    base = run(image, [first], predictor, em=em).state
    corrected = run(image, [first, added], predictor, base=base, em=em)
    assert corrected.drawing.mask.sum() == pytest.approx(expected, rel=0.05)


def test_em_switched_on_after_a_correction_keeps_what_it_left_alone():
    predictor = Wavering((100, 100, 200, 200), (130, 130, 230, 230))
    image, marks = ImageSource(square(100, 200)), [Click((150, 150)), Click((225, 225))]
    base = run(image, marks[:1], predictor).state
    corrected = run(image, marks, predictor, base=base)
    # EM changes nothing of this predictor's answers, so nothing of the corrected one either.
    switched = run(image, marks, predictor, base=corrected.state, em=True)
    assert switched.state.propagated.tolist() == corrected.state.logits.tolist()
    assert switched.drawing.mask.tolist() == corrected.drawing.mask.tolist()


def test_corrections_of_both_kinds_at_once_change_the_mask_both_ways():
    predictor = Wavering((100, 100, 200, 200), (0, 0, 0, 0), (130, 130, 230, 230))
    image, first = ImageSource(square(100, 200)), Click((150, 150))
    base = run(image, [first], predictor).state
    both = [first, Click((225, 225)), Click((105, 105), False)]
    mask = run(image, both, predictor, base=base).drawing.mask
    assert mask.sum() == pytest.approx(101**2, rel=0.05)


def test_the_hold_may_be_switched_off():
    predictor = Wavering((100, 100, 200, 200), (130, 130, 230, 230))
    image, first = ImageSource(square(100, 200)), Click((150, 150))
    base = run(image, [first], predictor).state
    request = Request(1, (first, Click((225, 225))), base, False, 0.5)
    rules = replace(RULES, hold=False)
    free = Interaction(image, predictor, request, POLICY, rules).run()
    assert free.drawing.mask.sum() == pytest.approx(101**2, rel=0.05)
