from __future__ import annotations

import numpy as np
import pytest
from tests.fakes import FloodPredictor

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.methods import (
    METHODS,
    PredictorMethod,
    SessionMethod,
    make_method,
)
from napari_pvpu.evaluation.regions import EMPTY_REGION, RegionMask
from napari_pvpu.prompts import Click
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource


class FakeSegmenter:
    """Opens real sessions on the predictor that needs no network."""

    def __init__(self) -> None:
        self.predictor = FloodPredictor()
        self.sessions: list[Session] = []

    def open(self, image):
        self.sessions.append(Session(ImageSource(image), self.predictor))
        return self.sessions[-1]


def two_squares() -> np.ndarray:
    image = np.full((200, 240), 30, np.uint8)
    image[20:60, 30:70] = 200
    image[120:160, 140:200] = 110
    return image


def test_session_method_gives_what_the_session_shows() -> None:
    segmenter = FakeSegmenter()
    method = SessionMethod(segmenter, threshold=0.4)
    method.open(two_squares())
    (session,) = segmenter.sessions
    assert session.threshold == 0.4
    for prompts in (
        [Click((40, 50)), Click((140, 170)), Click((50, 60), False)],
        [Click((140, 170))],
    ):
        method.start()
        assert not session.mask.any()
        for prompt in prompts:
            region, step = method.add(prompt)
            np.testing.assert_array_equal(region.crop((0, 0, 200, 240)), session.mask)
            assert step.total_ms > 0
    assert session.mask.sum() == 40 * 60
    assert not session.objects  # nothing is accepted: each object is the first on its image


def test_regions_of_earlier_steps_are_left_alone() -> None:
    method = SessionMethod(FakeSegmenter())
    method.open(two_squares())
    method.start()
    first, _ = method.add(Click((40, 50)))
    before = first.mask.copy()
    method.add(Click((40, 51), False))
    np.testing.assert_array_equal(first.mask, before)


def test_value_propagation_is_switched_on() -> None:
    segmenter = FakeSegmenter()
    method = SessionMethod(segmenter, em=True)
    method.open(two_squares())
    method.start()
    method.add(Click((40, 50)))
    assert segmenter.predictor.decoded[-1][2]
    assert segmenter.sessions[0].value_propagation


def test_predictor_method_hands_on_prompts_and_the_previous_mask() -> None:
    calls = []

    class Recorder:
        def predict(self, image, prompts, previous):
            calls.append((image.shape, len(prompts), previous))
            return RegionMask(1, 2, np.ones((len(prompts), 1), bool))

    method = PredictorMethod(Recorder())
    method.open(np.zeros((5, 6)))
    method.start()
    first, step = method.add(Click((1, 2)))
    method.add(Click((2, 2)))
    method.start()
    method.add(Click((3, 3)))
    assert calls == [((5, 6), 1, None), ((5, 6), 2, first), ((5, 6), 1, None)]
    assert step.encode_ms == 0


def test_every_method_but_ours_is_built_by_name() -> None:
    pytest.importorskip("cv2")
    for name in METHODS[1:]:
        method = make_method(name)
        method.open(two_squares())
        method.start()
        region, _ = method.add(Click((40, 50)))
        assert region is not EMPTY_REGION
        assert region.crop((40, 50, 41, 51)).all()


def test_unknown_method() -> None:
    with pytest.raises(PvpuError, match="unknown method"):
        make_method("crystal-ball")
