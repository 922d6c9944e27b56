"""Polygons, batches, marks gathered under a key and the mouse's buttons, with a real mouse."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from flood_engine import FloodEngine
from napari_pvpu import Box, Click, Polygon, Scribble, attach
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.napari_side.mouse_buttons import BUTTONS, is_positive
from napari_pvpu.napari_side.prompt_rows import COLORS, POSITIVE
from napari_pvpu.napari_side.tools import Tool
from napari_pvpu.napari_side.views.hands_section import HandsSection
from napari_pvpu.polygons import fill

pytestmark = pytest.mark.gui

SHIFT = Qt.KeyboardModifier.ShiftModifier
NO_KEY = Qt.KeyboardModifier.NoModifier
RIGHT = Qt.MouseButton.RightButton
LOOP = [(12, 24), (12, 56), (48, 58), (50, 22), (14, 22)]
A, B, C = (30, 40), (60, 90), (80, 20)


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1000, 760)
    return viewer


@pytest.fixture
def controller(viewer, blobs):
    viewer.add_image(blobs, name="blobs")
    controller = attach(viewer)
    assert controller.wait()
    QTest.qWait(30)
    viewer.reset_view()
    QTest.qWait(30)
    return controller


@pytest.fixture
def mouse(controller, viewer, make_mouse):
    return make_mouse(viewer, viewer.layers["blobs"])


def prompts_of(controller):
    assert controller.wait()
    return controller.session.prompts


# A double click


@pytest.mark.parametrize("tool", [Tool.BOX, Tool.SCRIBBLE, Tool.LASSO])
def test_double_click_accepts_with_tools_that_drag(
    controller, viewer, mouse, notices, qtbot, tool
) -> None:
    controller.add(Click(A))
    controller.tool = tool
    assert controller.wait()
    mouse.double_click((80, 20))
    qtbot.waitUntil(lambda: list(controller.session.objects) == [1], timeout=20_000)
    assert len(controller.session.objects[1].prompts) == 1
    QTest.qWait(QApplication.doubleClickInterval() + 50)
    assert not notices()
    assert controller.tool is tool
    assert len(viewer.layers["Boxes and scribbles"].data) == 0
    mouse.drag([(50, 70), (50, 112), (74, 112), (74, 72)])
    assert len(prompts_of(controller)) == 1, "and goes on as ever"


def test_double_click_that_ends_a_line_accepts_nothing(controller, mouse) -> None:
    controller.add(Click(A))
    controller.tool = Tool.SCRIBBLE
    assert controller.wait()
    mouse.click((30, 34))
    for col in range(35, 46):
        mouse._move(mouse.on_canvas((30, col)), NO_KEY, Qt.MouseButton.NoButton)
        QTest.qWait(8)
    mouse.double_click((30, 46))
    assert [type(prompt) for prompt in prompts_of(controller)] == [Click, Scribble]
    assert controller.session.objects == {}


def test_click_with_the_box_tool_is_told_of(controller, mouse, notices, qtbot) -> None:
    controller.tool = Tool.BOX
    mouse.click(A)
    qtbot.waitUntil(lambda: any("drag to the other" in text for text in notices()))
    assert prompts_of(controller) == ()


# Polygons


def test_a_lasso_is_an_outline_that_holds_the_mask(controller, viewer, mouse) -> None:
    mouse.press_key(Qt.Key.Key_R)
    assert controller.tool is Tool.LASSO
    mouse.drag(LOOP)
    [outline] = prompts_of(controller)
    assert isinstance(outline, Polygon)
    assert (outline.positive, outline.filled) == (True, False)
    np.testing.assert_allclose(outline.bounds, (12, 22, 50, 58), atol=3)
    inside = fill(outline.path, (96, 128))
    assert not (controller.session.mask & ~inside).any()
    assert controller.tool is Tool.LASSO, "it stays in the hand"
    strokes = viewer.layers["Boxes and scribbles"]
    assert strokes.shape_type == ["polygon"]
    assert np.asarray(strokes.face_color)[0, 3] == 0

    mouse.drag([(28, 30), (28, 50), (40, 50), (40, 30)], SHIFT)
    _, negative = prompts_of(controller)
    assert not negative.positive
    assert not (controller.session.mask & fill(negative.path, (96, 128))).any()

    controller.undo()
    assert prompts_of(controller) == (outline,)
    assert len(strokes.data) == 1
    controller.redo()
    assert prompts_of(controller) == (outline, negative)
    assert controller.workspace.prompts.read() == (outline, negative)


def test_a_filled_polygon_is_clicked_corner_by_corner(controller, viewer, mouse) -> None:
    mouse.press_key(Qt.Key.Key_P)
    mouse.press_key(Qt.Key.Key_L)
    assert controller.tool is Tool.POLYGON
    assert controller.filled_polygons
    for corner in ((15, 25), (15, 55), (45, 55)):
        mouse.click(corner)
    assert controller.workspace.prompts.read() == (), "it is still being drawn"
    mouse.double_click((45, 25))
    [polygon] = prompts_of(controller)
    assert isinstance(polygon, Polygon)
    assert polygon.filled
    assert len(polygon.path) >= 4
    np.testing.assert_allclose(polygon.bounds, (15, 25, 45, 55), atol=1)
    strokes = viewer.layers["Boxes and scribbles"]
    red, green, blue, alpha = np.asarray(strokes.face_color)[0]
    assert 0 < alpha < 0.5
    np.testing.assert_allclose(
        np.round(np.multiply((red, green, blue), 255)), list(bytes.fromhex(COLORS[POSITIVE][1:]))
    )

    # Moved and deleted like any other
    strokes.mode = "select"
    strokes.selected_data = {0}
    mouse.drag([(30, 40), (36, 46)])
    [moved] = prompts_of(controller)
    assert moved.filled
    np.testing.assert_allclose(moved.bounds, np.add(polygon.bounds, 6), atol=1.5)
    strokes.selected_data = {0}
    strokes.remove_selected()
    assert prompts_of(controller) == ()
    assert "Polygon" in controller.session.to_python()
    controller.undo()
    assert prompts_of(controller) == (moved,)
    assert strokes.features["filled"].tolist() == [True]


def test_enter_ends_a_polygon_and_too_few_corners_are_told_of(controller, mouse, notices) -> None:
    controller.use_polygons()
    mouse.click((15, 25))
    mouse.click((15, 55))
    mouse.click((45, 40))
    mouse.press_key(Qt.Key.Key_Return)
    [polygon] = prompts_of(controller)
    assert len(polygon.path) == 3
    assert controller.session.objects == {}, "Enter only ended the polygon"
    controller.reset()
    controller.use_lasso()
    mouse.drag([(15, 25), (15, 25)])
    mouse.press_key(Qt.Key.Key_Return)
    assert prompts_of(controller) == ()


# Batches


@pytest.fixture
def flooded(blobs, qtbot):
    """A controller without a window, whose network is a flood fill."""
    viewer = ViewerModel()
    viewer.add_image(blobs, name="blobs")
    controller = Controller(viewer)
    controller._engine = controller.engine_for_tests = FloodEngine()
    controller.open()
    assert controller.wait()
    yield controller
    controller.engine_for_tests.may_answer.set()
    controller.close()


def test_each_mark_of_a_batch_is_an_object_and_a_step(
    viewer, blobs, make_mouse, qtbot, monkeypatch
) -> None:
    image = viewer.add_image(blobs, name="blobs")
    controller = Controller(viewer)
    controller._engine = FloodEngine()
    controller.open()
    assert controller.wait()
    mouse, session = make_mouse(viewer, image), controller.session
    mouse.press_key(Qt.Key.Key_B, SHIFT)
    assert controller.batch
    for position in (A, B, C):
        mouse.click(position)
    [last] = prompts_of(controller)
    np.testing.assert_allclose(last.position, C, atol=1)
    assert set(session.objects) == {1, 2}
    assert controller.history_position == 3
    assert len(viewer.layers["Clicks"].data) == 1
    np.testing.assert_array_equal(viewer.layers["blobs objects"].data, session.labels)

    mouse.click((80, 30), SHIFT)  # corrects, and begins nothing
    assert [prompt.positive for prompt in prompts_of(controller)] == [True, False]
    assert set(session.objects) == {1, 2}
    controller.use_boxes()
    mouse.drag([(2, 80), (20, 110)])
    assert [type(prompt) for prompt in prompts_of(controller)] == [Box]
    assert set(session.objects) == {1, 2, 3}
    assert controller.target == 3

    for count in (2, 2, 1, 0, 0):
        controller.undo()
        controller.wait()
        assert len(session.objects) == count
    for count in (0, 1, 2, 2, 3):
        controller.redo()
        assert len(session.objects) == count
    controller.close()


def test_a_batch_faster_than_the_network_loses_nothing(flooded) -> None:
    engine, prompts = flooded.engine_for_tests, flooded.workspace.prompts
    flooded.batch = True
    flooded.add(Click(A))
    flooded.wait()
    engine.may_answer.clear()
    flooded.add(Click(B))
    QTest.qWait(1)
    flooded.add(Click(C))
    QTest.qWait(1)
    assert prompts.read() == (Click(B), Click(C)), "what waits is seen"
    engine.may_answer.set()
    assert flooded.wait()
    assert set(flooded.session.objects) == {1, 2}
    assert flooded.session.prompts == (Click(C),)
    flooded.add(Scribble([(80, 15), (80, 25)]))
    assert flooded.wait()
    assert len(flooded.session.prompts) == 2, "a line adds to the object"

    engine.may_answer.clear()
    flooded.add(Click(A))
    QTest.qWait(1)
    flooded.add(Click(B))
    flooded.undo()
    QTest.qWait(1)
    flooded.undo()
    engine.may_answer.set()
    assert flooded.wait()
    assert set(flooded.session.objects) == {1, 2}
    assert len(flooded.session.prompts) == 2, "what was waiting is taken back first"


def test_a_correction_before_the_answer_goes_to_the_next_object(flooded) -> None:
    engine = flooded.engine_for_tests
    flooded.batch = True
    flooded.add(Click(A))
    flooded.wait()
    engine.may_answer.clear()
    flooded.add(Click(B))
    QTest.qWait(1)
    flooded.add(Click((60, 92), positive=False))
    engine.may_answer.set()
    flooded.wait()
    assert flooded.session.objects[1].prompts == (Click(A),)
    assert flooded.session.prompts == (Click(B), Click((60, 92), positive=False))


@pytest.mark.parametrize(
    ("button", "objects", "prompts"),
    [
        ("Take them", {2}, (Click(B),)),
        ("Leave them to the others", {1, 2}, (Click(B),)),
        ("Cancel", {1}, (Box((10, 20), (50, 70)),)),
    ],
)
def test_a_batch_asks_whose_pixels_are_shared(flooded, button, objects, prompts) -> None:
    flooded.add(Click(A))
    flooded.accept()
    flooded.overlap, flooded.batch = "ask", True
    flooded.add(Box((10, 20), (50, 70)))
    flooded.wait()
    flooded.add(Click(B))
    QTest.qWait(5)
    # Nobody but us holds the question here, which once took the program with it when answered.
    buttons = flooded.question.buttons()
    next(each for each in buttons if button in each.text().replace("&", "")).click()
    QTest.qWait(5)
    assert flooded.wait()
    assert set(flooded.session.objects) == objects
    assert flooded.session.prompts == prompts
    assert flooded.workspace.prompts.read() == prompts


# Gathering


def key_event(viewer, kind, repeated=False) -> None:
    event = QKeyEvent(kind, Qt.Key.Key_F, NO_KEY, "f", repeated)
    QApplication.sendEvent(viewer.window._qt_viewer.canvas.native, event)


def test_marks_under_a_held_key_get_one_answer(controller, viewer, mouse) -> None:
    key_event(viewer, QEvent.Type.KeyPress)
    assert controller.holding
    for position in (A, (34, 44)):
        mouse.click(position)
        key_event(viewer, QEvent.Type.KeyRelease, repeated=True)  # as X11 repeats keys
        key_event(viewer, QEvent.Type.KeyPress, repeated=True)
    mouse.click((10, 10), SHIFT)
    controller.wait()
    assert controller.session.prompts == ()
    assert len(viewer.layers["Clicks"].data) == 3
    key_event(viewer, QEvent.Type.KeyRelease)
    assert not controller.holding
    assert len(prompts_of(controller)) == 3
    assert controller.history_position == 1
    controller.undo()
    controller.wait()
    assert len(controller.session.prompts) == 2, "one mark at a time is taken back"


def test_accepting_has_gathered_marks_answered_first(controller) -> None:
    controller.hold()
    controller.add(Click(A))
    assert controller.session.prompts == ()
    controller.undo()
    assert controller.workspace.prompts.read() == ()
    controller.add(Click(B))
    assert controller.accept() == 1
    assert controller.session.objects[1].prompts == (Click(B),)
    assert not controller.holding


# Buttons


@pytest.mark.parametrize(
    ("meaning", "wanted"),
    [
        ("opposite", [True, False, False, True]),
        ("fixed", [True, False, True, False]),
        ("swapped", [False, True, False, True]),
        ("accept", [True, True, False, False]),
        ("none", [True, True, False, False]),
    ],
)
def test_what_the_buttons_mean(meaning, wanted) -> None:
    """Left and right with positive chosen, then with negative chosen."""
    assert meaning in BUTTONS
    cases = [(chosen, button) for chosen in (True, False) for button in (1, 2)]
    assert [is_positive(meaning, *case, ()) for case in cases] == wanted
    turned = [is_positive(meaning, *case, ("Shift",)) for case in cases]
    assert turned == [not each for each in wanted]


def test_the_right_button_does_what_is_preferred(controller, mouse, viewer) -> None:
    mouse.click(A)
    mouse.click((10, 10), button=RIGHT)
    assert [prompt.positive for prompt in prompts_of(controller)] == [True, False]
    controller.mouse_buttons = "none"
    mouse.click((12, 12), button=RIGHT)
    QTest.qWait(5)
    assert len(prompts_of(controller)) == 2
    assert controller.tool is Tool.CLICK
    controller.mouse_buttons = "swapped"
    mouse.click((14, 12))
    assert [prompt.positive for prompt in prompts_of(controller)] == [True, False, False]
    controller.mouse_buttons = "accept"
    mouse.click((12, 12), button=RIGHT)
    QTest.qWait(5)
    assert controller.wait()
    assert set(controller.session.objects) == {1}
    assert controller.tool is Tool.CLICK
    with pytest.raises(ValueError, match="opposite, fixed"):
        controller.mouse_buttons = "sideways"


def test_the_section_shows_and_sets_all_of_it(flooded, qtbot) -> None:
    section = HandsSection(flooded)
    qtbot.addWidget(section)
    flooded.changed.connect(section.render_state)
    section.render_state()
    section.batch.setChecked(True)
    section.polygons.setCurrentIndex(1)
    section.polygons.activated.emit(1)
    section.mouse.setCurrentIndex(2)
    section.mouse.activated.emit(2)
    assert (flooded.batch, flooded.filled_polygons) == (True, True)
    assert flooded.mouse_buttons == "swapped"
    flooded.toggle_batch()
    flooded.toggle_filled_polygons()
    flooded.mouse_buttons = "opposite"
    assert not section.batch.isChecked()
    assert section.polygons.currentIndex() == section.mouse.currentIndex() == 0
    section.hold.click()
    assert flooded.holding
    section.hold.click()
    assert not flooded.holding
    flooded.changed.disconnect(section.render_state)
