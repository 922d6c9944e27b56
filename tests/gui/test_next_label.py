"""The number that napari's brush has in the layer of accepted objects."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_pvpu import Click
from napari_pvpu.napari_side.hints import next_step

pytestmark = pytest.mark.gui

ONE, TWO = Click((30, 40)), Click((60, 90))
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def one(make_flooded, blobs):
    """One accepted object, with id 1."""
    controller = make_flooded(blobs)
    assert controller.wait()
    controller.add(ONE)
    assert controller.accept() == 1
    return controller


def objects_of(controller):
    return controller.viewer.layers["blobs objects"]


def selected(controller) -> int:
    return objects_of(controller).selected_label


def test_it_is_that_of_the_next_object(one) -> None:
    assert selected(one) == 2
    one.add(TWO)
    assert one.accept() == 2
    assert selected(one) == 3
    one.undo()
    assert selected(one) == 2
    one.redo()
    one.relabel(9)
    assert selected(one) == 10


@pytest.mark.parametrize("chosen", [0, 1, 7])
def test_one_that_the_user_has_chosen_stays(one, chosen) -> None:
    objects_of(one).selected_label = chosen
    one.add(TWO)
    assert one.accept() == 2
    assert selected(one) == chosen


def test_it_stays_while_one_label_alone_is_shown(one) -> None:
    objects_of(one).show_selected_label = True
    one.add(TWO)
    assert one.accept() == 2
    assert selected(one) == 2


def test_it_goes_on_after_napari_s_own_key_for_a_new_label(one) -> None:
    objects_of(one).selected_label = 7
    objects_of(one).selected_label = 2  # which is what the key selects
    one.add(TWO)
    assert one.accept() == 2
    assert selected(one) == 3


def test_objects_that_are_adopted_count(make_flooded, blobs) -> None:
    controller = make_flooded(blobs)
    assert controller.wait()
    labels = np.zeros(blobs.shape, np.int32)
    labels[5:9, 5:9] = 70000  # for which the layer has to become one of wider numbers
    controller.adopt(controller.viewer.add_labels(labels, name="theirs"))
    assert controller.wait()
    assert selected(controller) == 70001


def test_brush_in_a_window_makes_one_object_in_several_strokes(controller, viewer, mouse) -> None:
    controller.add(ONE)
    assert controller.accept() == 1
    objects = objects_of(controller)
    viewer.layers.selection.active = objects
    assert "paint in this layer" in next_step(controller)
    objects.brush_size, objects.mode = 5, "paint"
    mouse.drag([(80, 20), (80, 40)])
    mouse.drag([(80, 40), (70, 40)])
    assert list(controller.session.objects) == [1, 2]
    assert controller.history[-2:] == ("Paint object 2", "Paint object 2")
    mouse.press_key(Qt.Key.Key_M)  # napari's own for a new label
    mouse.drag([(10, 90), (10, 110)])
    assert list(controller.session.objects) == [1, 2, 3]
    controller.use_clicks()
    controller.add(TWO)
    assert controller.accept() == 4
    viewer.layers.selection.active = objects
    objects.mode = "paint"
    mouse.drag([(90, 60), (90, 110)])
    assert list(controller.session.objects) == [1, 2, 3, 4, 5]
    mouse.press_key(Qt.Key.Key_Z, CONTROL)
    assert list(controller.session.objects) == [1, 2, 3, 4]
    assert selected(controller) == 5
