"""One image's session on its layers; a flood fill stands in for the network, held up at will."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from fakes import FloodPredictor
from napari_pvpu.errors import WeightsError
from napari_pvpu.napari_side.worker import Worker
from napari_pvpu.napari_side.workspace import Workspace
from napari_pvpu.prompts import Box, Click, Scribble
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource

pytestmark = pytest.mark.gui

ONE, TWO, THREE = Click((30, 40)), Click((28, 38)), Click((33, 43))


class FloodEngine:
    """Opens sessions without weights; both opening and answering can be held up."""

    def __init__(self) -> None:
        self.may_open, self.may_answer = threading.Event(), threading.Event()
        self.may_open.set()
        self.may_answer.set()
        self.predictor = FloodPredictor()
        self.error: Exception | None = None
        decode = self.predictor.decode

        def decode_when_allowed(*arguments: Any) -> Any:
            self.may_answer.wait(10)
            return decode(*arguments)

        self.predictor.decode = decode_when_allowed

    def open(self, image: Any, labels: Any = None, **settings: Any) -> Session:
        self.may_open.wait(10)
        if self.error is not None:
            raise self.error
        assert labels is None
        return Session(ImageSource(image, **settings), self.predictor)


@pytest.fixture
def engine():
    return FloodEngine()


@pytest.fixture
def work(qtbot, blobs, engine):
    """A workspace on the screen of a viewer model; the viewer lives as long as the test."""
    viewer, worker = ViewerModel(), Worker()
    workspace = Workspace(viewer, viewer.add_image(blobs, name="blobs"), engine, worker)
    workspace.viewer, workspace.worker = viewer, worker  # for the tests alone
    workspace.settled = lambda: qtbot.waitUntil(lambda: not worker.busy)
    workspace.show()
    yield workspace
    engine.may_open.set()
    engine.may_answer.set()
    workspace.discard()
    worker.stop()


@pytest.fixture
def ready(work):
    work.settled()
    return work


def shown(workspace) -> np.ndarray:
    """The object at work as the preview shows it, in the image."""
    mask = np.zeros(workspace.image.data.shape, bool)
    layer = workspace.preview.layer
    row, col = (int(start) for start in workspace.image.world_to_data(layer.data_to_world((0, 0))))
    height, width = layer.data.shape
    mask[row : row + height, col : col + width] = layer.data > 0
    return mask


def test_layers_lie_in_the_order_of_drawing(work) -> None:
    assert [layer.name for layer in work.viewer.layers] == [
        "blobs",
        "blobs objects",
        "Current object",
        "Boxes and scribbles",
        "Clicks",
    ]


def test_prompt_drawn_becomes_a_mask_in_the_preview(ready) -> None:
    ready.prompts.clicks.add(ONE.position)
    assert ready.waiting
    ready.settled()
    assert not ready.waiting
    assert ready.session.prompts == (ONE,)
    np.testing.assert_array_equal(shown(ready), ready.session.mask)
    assert shown(ready)[30, 40]


def test_moved_and_deleted_prompts_are_answered(ready) -> None:
    ready.add(ONE)
    ready.settled()
    ready.prompts.clicks.data = [[60, 90]]
    ready.settled()
    assert shown(ready)[60, 90]
    assert not shown(ready)[30, 40]
    ready.prompts.clicks.selected_data = {0}
    ready.prompts.clicks.remove_selected()
    ready.settled()
    assert not shown(ready).any()


def test_prompts_drawn_while_the_model_loads_are_answered_later(work, engine) -> None:
    work.worker.stop()
    engine.may_open.clear()
    work.end_session()
    work.open()
    work.add(ONE)
    work.add(TWO)
    work.undo()
    assert work.prompts.read() == (ONE,)
    engine.may_open.set()
    work.settled()
    assert work.session.prompts == (ONE,)
    assert shown(work)[30, 40]


def test_only_the_newest_of_quick_prompts_is_answered(ready, engine, qtbot) -> None:
    engine.may_answer.clear()
    ready.add(ONE)
    qtbot.waitUntil(lambda: ready.worker._mailbox._jobs == {})  # the worker is at it
    ready.add(TWO)
    ready.add(THREE)
    engine.may_answer.set()
    ready.settled()
    assert ready.session.prompts == (ONE, TWO, THREE)
    answered = {len(prompts) for prompts, _, _ in engine.predictor.decoded}
    assert 2 not in answered


def test_quick_prompts_are_undone_one_by_one(ready, engine) -> None:
    engine.may_answer.clear()
    for prompt in (ONE, TWO, THREE):
        ready.add(prompt)
    engine.may_answer.set()
    ready.settled()
    for left in ((ONE, TWO), (ONE,), ()):
        ready.undo()
        ready.settled()
        assert ready.session.prompts == ready.prompts.read() == left
    assert not ready.can_undo
    assert not shown(ready).any()


def test_undo_takes_back_a_prompt_that_is_not_answered_yet(ready, engine) -> None:
    ready.add(ONE)
    ready.settled()
    before = shown(ready)
    engine.may_answer.clear()
    ready.add(Click((60, 90)))
    ready.undo()
    engine.may_answer.set()
    ready.settled()
    assert ready.session.prompts == ready.prompts.read() == (ONE,)
    np.testing.assert_array_equal(shown(ready), before)


def test_undo_and_redo_restore_prompts_and_masks_exactly(ready) -> None:
    prompts = (ONE, Box((40, 70), (80, 110)), Scribble(((20, 30), (22, 50)), positive=False))
    masks = []
    for prompt in prompts:
        ready.add(prompt)
        ready.settled()
        masks.append(shown(ready))
    for count in (2, 1):
        ready.undo()
        assert ready.prompts.read() == prompts[:count]
        np.testing.assert_array_equal(shown(ready), masks[count - 1])
    for count in (2, 3):
        ready.redo()
        assert ready.prompts.read() == prompts[:count]
        np.testing.assert_array_equal(shown(ready), masks[count - 1])
    assert not ready.can_redo


def test_accept_writes_the_object_and_clears_the_table(ready) -> None:
    ready.add(ONE)
    ready.settled()
    mask = shown(ready)
    assert ready.accept() == 1
    np.testing.assert_array_equal(ready.results.layer.data == 1, mask)
    assert ready.prompts.read() == ()
    assert not shown(ready).any()
    assert ready.object_count == 1


def test_acceptance_is_undone_and_redone(ready) -> None:
    ready.add(ONE)
    ready.settled()
    mask = shown(ready)
    ready.accept()
    ready.undo()
    assert not ready.results.layer.data.any()
    assert ready.prompts.read() == (ONE,)
    np.testing.assert_array_equal(shown(ready), mask)
    ready.redo()
    np.testing.assert_array_equal(ready.results.layer.data == 1, mask)
    assert ready.prompts.read() == ()


def test_nothing_to_accept_is_said_and_changes_nothing(ready, notices) -> None:
    assert ready.accept() is None
    assert "no object to accept" in notices()[-1]


def test_reset_is_undone(ready) -> None:
    ready.add(ONE)
    ready.settled()
    mask = shown(ready)
    ready.reset()
    assert ready.prompts.read() == ()
    assert not shown(ready).any()
    ready.undo()
    assert ready.prompts.read() == (ONE,)
    np.testing.assert_array_equal(shown(ready), mask)


def test_em_switch_follows_in_the_worker(ready) -> None:
    ready.add(ONE)
    ready.settled()
    off = shown(ready).sum()
    ready.set_value_propagation(True)
    ready.settled()
    assert ready.session.value_propagation
    assert 0 < shown(ready).sum() < off  # the stand-in's EM erodes
    ready.set_value_propagation(False)
    ready.settled()
    assert shown(ready).sum() == off


def test_em_switch_and_undo_at_the_same_time(ready, engine) -> None:
    ready.add(ONE)
    ready.settled()
    engine.may_answer.clear()
    ready.set_value_propagation(True)
    engine.may_answer.set()
    ready.undo()
    ready.settled()
    assert ready.session.prompts == ready.prompts.read() == (ONE,)
    assert not ready.session.value_propagation, "the switch is the step that is taken back"
    assert not ready.settings["value_propagation"]
    ready.redo()
    assert ready.settings["value_propagation"]
    ready.undo()
    ready.undo()
    assert ready.session.prompts == ready.prompts.read() == ()


def test_threshold_moves_the_mask_without_the_network(ready, engine) -> None:
    ready.add(ONE)
    ready.settled()
    before, calls = shown(ready).sum(), len(engine.predictor.decoded)
    ready.set("threshold", 0.05)
    assert shown(ready).sum() > before
    assert len(engine.predictor.decoded) == calls


def test_broken_network_is_told_and_loses_nothing(ready, engine, notices, caplog) -> None:
    ready.add(ONE)
    ready.settled()
    ready.accept()
    ready.add(Click((60, 90)))
    ready.settled()
    mask = shown(ready)
    engine.predictor.broken = True
    ready.add(Click((62, 92)))
    ready.settled()
    assert "out of memory" in notices()[-1]
    assert ready.session.prompts == ready.prompts.read() == (Click((60, 90)),)
    np.testing.assert_array_equal(shown(ready), mask)
    assert ready.results.layer.data.any()
    assert "out of memory" in caplog.text


def test_session_that_cannot_be_opened_is_told(work, engine, notices) -> None:
    work.settled()
    engine.error = WeightsError("the weights are cut off: fetch them again")
    work.end_session()
    work.open()
    work.settled()
    assert isinstance(work.trouble, WeightsError)
    assert "fetch them again" in notices()[-1]


def test_hidden_workspace_comes_back_as_it_was(ready) -> None:
    ready.add(ONE)
    ready.settled()
    ready.hide()
    assert [layer.name for layer in ready.viewer.layers] == ["blobs", "blobs objects"]
    ready.show()
    assert ready.prompts.read() == (ONE,)
    assert shown(ready)[30, 40]
    ready.add(TWO)
    ready.settled()
    assert ready.session.prompts == (ONE, TWO)


def test_what_is_done_to_the_session_directly_shows(ready) -> None:
    ready.session.add(ONE)
    ready.follow()
    assert ready.prompts.read() == (ONE,)
    assert shown(ready)[30, 40]
    ready.session.accept()
    ready.follow()
    assert ready.results.layer.data[30, 40] == 1
    assert ready.prompts.read() == ()


def test_console_wins_over_an_answer_under_way(ready, engine) -> None:
    engine.may_answer.clear()
    ready.add(ONE)
    ready.session.reset()
    engine.may_answer.set()
    ready.settled()
    assert ready.session.prompts == ready.prompts.read() == ()


def test_deleted_results_come_back_with_the_next_object(ready) -> None:
    ready.add(ONE)
    ready.settled()
    ready.accept()
    ready.viewer.layers.remove(ready.results.layer)
    ready.forget_results()
    ready.add(Click((60, 90)))
    ready.settled()
    ready.accept()
    assert ready.results.layer in ready.viewer.layers
    assert ready.results.layer.data[30, 40] == 1
    assert ready.results.layer.data[60, 90] == 2


def test_new_data_in_the_image_begin_a_new_session(ready, notices) -> None:
    ready.add(ONE)
    ready.settled()
    ready.accept()
    first = ready.results.layer
    ready.add(Click((60, 90)))
    ready.settled()
    ready.image.data = 255 - ready.image.data
    ready.settled()
    assert "afresh" in notices()[-1]
    assert ready.prompts.read() == ready.session.prompts == ()
    assert first.data[30, 40] == 1
    ready.add(ONE)
    ready.settled()
    ready.accept()
    assert ready.results.layer is not first


def test_layers_follow_the_image(ready) -> None:
    ready.add(ONE)
    ready.settled()
    ready.image.scale, ready.image.rotate = (0.5, 2), 30
    assert shown(ready)[30, 40]
    assert ready.prompts.read() == (ONE,)
    for layer in (*ready.layers, ready.results.layer):
        np.testing.assert_array_equal(layer.scale, ready.image.scale)
