"""napari's own brush, eraser, bucket and polygon in the layer of accepted objects."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_pvpu import Click, attach
from napari_pvpu.journal import read_journal
from napari_pvpu.replay import replay

pytestmark = pytest.mark.gui

ONE, TWO = Click((30, 40)), Click((60, 90))
CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def controller(make_flooded, blobs):
    """One accepted object, with id 1."""
    controller = make_flooded(blobs)
    assert controller.wait()
    controller.add(ONE)
    assert controller.accept() == 1
    return controller


@pytest.fixture
def objects(controller):
    """The layer of accepted objects."""
    return layer_of(controller)


def layer_of(controller):
    layer = controller.viewer.layers["blobs objects"]
    layer.brush_size = 5
    return layer


def draw(layer, start, stop, object_id=5) -> None:
    """Draw a line as napari does while the mouse is dragged."""
    with layer.block_history():
        for at in np.linspace(start, stop, 21):
            layer.paint(at, object_id)
    QTest.qWait(1)


def shown_is_known(controller) -> None:
    session, shown = controller.workspace.session, layer_of(controller).data
    np.testing.assert_array_equal(shown.reshape(session.labels.shape), session.labels)
    assert {*np.unique(shown).tolist()} - {0} == {*session.objects}


def replayed(controller):
    session = controller.session
    image = controller.image.data
    return replay(read_journal(session.journal.path), image, session.predictor, exact=True)


def test_a_stroke_is_a_step_and_an_object(controller, objects) -> None:
    draw(objects, (80, 20), (80, 40))
    assert (objects.data[80, 20:41] == 5).all()
    shown_is_known(controller)
    assert controller.history[-1] == "Paint object 5"
    painted = objects.data.copy()
    controller.undo()
    assert set(np.unique(objects.data)) == {0, 1}
    shown_is_known(controller)
    controller.redo()
    np.testing.assert_array_equal(objects.data, painted)
    shown_is_known(controller)


def test_it_survives_whatever_comes_next(controller, objects) -> None:
    draw(objects, (80, 20), (80, 40))
    painted = objects.data == 5
    controller.add(TWO)
    assert controller.accept() == 6
    controller.open_object(5)
    assert controller.session.mask[painted].all()
    assert controller.accept() == 5
    for _ in range(4):
        controller.undo()
        shown_is_known(controller)
    np.testing.assert_array_equal(objects.data == 5, painted)


@pytest.mark.parametrize("also", ["accept", "undo", "go_to", "reset", "delete_object"])
def test_it_is_taken_before_anything_else_is_done(controller, objects, also) -> None:
    controller.add(TWO)
    assert controller.wait()
    with objects.block_history():
        objects.paint((80, 20), 5)
        # A key while the mouse is down: the stroke so far is known first.
        getattr(controller, also)(*[2] * (also == "go_to"))
    assert "Paint object 5" in controller.history
    QTest.qWait(1)
    shown_is_known(controller)


@pytest.mark.parametrize("tool", ["erase", "fill", "polygon", "preserving", "indices"])
def test_every_tool_is_known(controller, objects, tool) -> None:
    known = objects.data.copy()
    if tool == "erase":
        draw(objects, (30, 20), (30, 60), 0)
        assert not objects.data[30, 30:50].any()
    elif tool == "fill":
        objects.fill((30, 40), 5)
        assert (objects.data[known == 1] == 5).all()
    elif tool == "polygon":
        objects.paint_polygon([(70, 10), (70, 50), (90, 50), (90, 10)], 5)
        assert (objects.data[72:88, 12:48] == 5).all()
    elif tool == "preserving":
        objects.preserve_labels = True
        draw(objects, (30, 10), (30, 70))
        assert (objects.data[known == 1] == 1).all()
    else:
        objects.data_setitem((np.array([2, 3]), np.array([4, 4])), 5)
    assert not np.array_equal(objects.data, known)
    QTest.qWait(1)
    shown_is_known(controller)
    assert len(controller.history) == 3
    controller.undo()
    np.testing.assert_array_equal(objects.data, known)


def test_a_replay_paints_it_too(controller, objects) -> None:
    draw(objects, (80, 20), (80, 40))
    draw(objects, (30, 20), (30, 60))
    np.testing.assert_array_equal(replayed(controller).labels, objects.data)


def test_paint_with_the_number_of_the_object_at_work_is_taken_back(
    controller, objects, notices
) -> None:
    controller.open_object(1)
    draw(objects, (80, 20), (80, 40), 1)
    assert not objects.data.any()
    assert "open for correction" in notices()[-1]
    shown_is_known(controller)
    assert controller.accept() == 1


def test_painted_while_an_answer_is_on_its_way(controller, objects) -> None:
    engine = controller._engine
    controller.batch = True
    controller.add(TWO)
    assert controller.wait()
    engine.may_answer.clear()
    controller.add(Click((10, 110)))  # which accepts the one before
    draw(objects, (60, 60), (60, 120), 0)
    with objects.block_history():
        objects.paint((30, 40), 0)
        engine.may_answer.set()
        assert controller.wait()
    QTest.qWait(1)
    shown_is_known(controller)
    assert not objects.data[30, 40], "erased for good"
    assert objects.data[60, 90] == 2, "it was accepted afterwards"


def test_what_is_painted_before_there_is_a_session_is_in_it(make_flooded, blobs) -> None:
    controller = make_flooded(blobs)
    draw(layer_of(controller), (80, 20), (80, 40))
    assert controller.wait()
    QTest.qWait(1)
    assert controller.history == ("Paint object 5",)
    shown_is_known(controller)


@pytest.mark.parametrize("edited", [2, 3])
def test_planes_of_a_stack(make_flooded, blobs, edited) -> None:
    controller = make_flooded(np.stack([blobs] * 4), axis_labels=("z", "y", "x"))
    assert controller.wait()
    controller.viewer.dims.set_point(0, 2)
    objects = layer_of(controller)
    objects.n_edit_dimensions, objects.brush_size = edited, 3
    draw(objects, (2, 80, 20), (2, 80, 40))
    painted = (objects.data == 5).any(axis=(1, 2)).tolist()
    assert painted == ([False, False, True, False] if edited == 2 else [False, True, True, True])
    shown_is_known(controller)
    assert controller.history == ("Paint object 5",)
    np.testing.assert_array_equal(replayed(controller).labels, objects.data)
    controller.viewer.dims.set_point(0, 0)
    controller.undo()
    assert not objects.data.any()


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1), (0, 2, 1)])
def test_the_canvas_may_show_other_axes(make_flooded, blobs, order) -> None:
    controller = make_flooded(np.stack([blobs] * 20), axis_labels=("z", "y", "x"))
    assert controller.wait()
    controller.viewer.dims.order = order
    objects = layer_of(controller)
    step = controller.viewer.dims.current_step
    start, stop = np.array(step), np.array(step)
    start[list(order[1:])], stop[list(order[1:])] = (8, 12), (14, 17)
    draw(objects, start, stop)
    assert (objects.data == 5).any()
    shown_is_known(controller)
    assert controller.history == ("Paint object 5",)


def test_in_a_real_window_with_a_real_mouse(make_napari_viewer, make_mouse, blobs) -> None:
    viewer = make_napari_viewer(show=True, strict_qt="raise")
    image = viewer.add_image(blobs, name="blobs")
    controller, mouse = attach(viewer), make_mouse(viewer, image)
    assert controller.wait()
    objects = layer_of(controller)
    viewer.layers.selection.active = objects
    for mode, path, ids in (
        ("paint", [(80, 20), (80, 60)], {0, 5}),
        ("erase", [(70, 40), (90, 40)], {0, 5}),
        ("fill", [(80, 30)], {0, 5, 7}),
    ):
        objects.mode, objects.selected_label = mode, 7 if mode == "fill" else 5
        mouse.drag(path) if len(path) > 1 else mouse.click(path[0])
        assert {*np.unique(objects.data).tolist()} == ids
        shown_is_known(controller)
    objects.mode = "polygon"
    for corner in ((10, 70), (10, 110), (40, 110)):
        mouse.click(corner)
    mouse.double_click((40, 70))
    assert (objects.data[15:35, 75:105] == 7).all()
    shown_is_known(controller)
    assert controller.history == (
        "Paint object 5", "Erase object 5", "Paint object 7", "Paint object 7",
    )  # fmt: skip
    mouse.press_key(Qt.Key.Key_Z, CONTROL)
    mouse.press_key(Qt.Key.Key_Z, CONTROL)
    assert {*np.unique(objects.data).tolist()} == {0, 5}
    mouse.press_key(Qt.Key.Key_Z, CONTROL | SHIFT)
    shown_is_known(controller)
    assert controller.history_position == 3
