"""The network never runs on the GUI thread, whatever leads to it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import ViewerModel

from flood_engine import FloodEngine
from napari_pvpu import Click
from napari_pvpu.napari_side import filling
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.napari_side.engine import Look

pytestmark = pytest.mark.gui

ONE, TWO = Click((30, 40)), Click((60, 90))


@pytest.fixture
def controller(qapp, blobs):
    """Three planes; any call of the network on this thread fails the test."""
    viewer, engine = ViewerModel(), FloodEngine()
    viewer.add_image(np.stack([blobs] * 3), name="blobs", axis_labels=("z", "y", "x"))
    viewer.dims.set_point(0, 0)
    decode, here = engine.predictor.decode, []

    def decode_elsewhere(*arguments):
        here.append(threading.current_thread() is threading.main_thread())
        return decode(*arguments)

    engine.predictor.decode = decode_elsewhere
    controller = Controller(viewer)
    controller._engine = engine
    controller.open()
    assert controller.wait()
    yield controller
    controller.close()
    assert here
    assert not any(here)


def go(controller, plane: int) -> None:
    controller.viewer.dims.set_point(0, plane)
    assert controller.wait()


@pytest.fixture
def em_is_due(controller):
    """An object in plane 1 that was seen without EM, which has been turned on in plane 0."""
    go(controller, 1)
    controller.add(ONE)
    go(controller, 0)
    controller.add(TWO)
    assert controller.wait()
    controller.value_propagation = True
    assert controller.wait()
    return controller.workspace


def test_em_of_a_plane_that_is_come_to(controller, em_is_due) -> None:
    session = em_is_due.session
    assert session.lacks_propagation((1,))
    go(controller, 1)
    assert session.plane == (1,)
    assert not session.lacks_propagation((1,))
    preview = controller.viewer.layers["Current object"]
    assert (preview.data > 0).sum() == session.mask.sum() > 0
    assert controller.history[-1] == "EM on", "coming to a plane is no step"


@pytest.mark.parametrize("action", ["accept", "reset", "delete_object"])
def test_action_right_after_coming_there_waits(controller, em_is_due, action) -> None:
    controller.viewer.dims.set_point(0, 1)
    getattr(controller, action)()
    assert em_is_due.session.prompts_in((1,)) == ()
    assert em_is_due.session.prompts_in((0,)) == (TWO,)


def test_undo_of_a_switch_that_is_on_its_way(controller) -> None:
    controller.add(ONE)
    assert controller.wait()
    controller.value_propagation = True
    controller.undo()
    assert not controller.value_propagation
    controller.redo()
    assert controller.value_propagation


def test_image_seen_otherwise(controller) -> None:
    controller.add(ONE)
    assert controller.accept() == 1
    controller.add(TWO)
    controller.look = Look(limits=(0.0, 300.0))
    assert controller.wait()
    assert controller.history == ("Click", "Accept object 1", "Click", "Image seen otherwise")
    assert controller.look.limits == (0.0, 300.0)


def test_network_that_fails_on_the_way_to_a_plane_costs_nothing(
    controller, em_is_due, notices
) -> None:
    predictor = controller._engine.predictor
    predictor.broken = True
    controller.viewer.dims.set_point(0, 1)
    assert controller.accept() is None
    assert "out of memory" in notices()[-1]
    assert em_is_due.session.prompts_in((1,)) == (ONE,)
    predictor.broken = False
    assert controller.accept() == 1


def test_many_objects_are_shown_bit_by_bit(controller, monkeypatch) -> None:
    shown, begin = [], filling.Filling.begin

    def noted(self, boxes) -> None:
        begin(self, boxes)
        self._timer.timeout.connect(lambda: shown.append(int((self._layer.data > 0).sum())))

    monkeypatch.setattr(filling, "SPELL", 0.0)  # one box at a time
    monkeypatch.setattr(filling.Filling, "begin", noted)
    labels = np.zeros((3, 96, 128), np.uint16)
    tiles = labels[:, ::16, ::16]
    tiles[...] = np.arange(1, tiles.size + 1).reshape(tiles.shape)  # 144 objects of one pixel
    controller.viewer.add_labels(labels, name="theirs")
    controller.adopt_labels()
    assert controller.wait()
    ours = controller.viewer.layers["blobs objects"]
    assert len(shown) >= tiles.size, "napari goes on between any two of them"
    assert shown[0] < shown[-1] == tiles.size
    np.testing.assert_array_equal(ours.data, labels)
    controller.add(ONE)
    assert controller.wait()
