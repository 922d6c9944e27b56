"""Everything by keys alone: the way through the panel, and objects made without a mouse."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QWidget

from napari_pvpu import Box, Click, Polygon, Scribble, attach
from napari_pvpu.napari_side.controller import Tool
from napari_pvpu.napari_side.key_cursor import NAME
from napari_pvpu.napari_side.panel_keys import focus_canvas

pytestmark = pytest.mark.gui

SHIFT = Qt.KeyboardModifier.ShiftModifier
Key = Qt.Key


class Keyboard:
    """Types at whatever has the keyboard, as the window system would have it."""

    def __init__(self, panel: QWidget) -> None:
        self._panel = panel
        focus_canvas(panel)

    def press(self, key: Key, modifier=Qt.KeyboardModifier.NoModifier, times: int = 1) -> None:
        for _ in range(times):
            QTest.keyClick(QApplication.focusWidget(), key, modifier)
            QTest.qWait(1)

    def go_to(self, target: QWidget) -> None:
        """Press Tab until a part of the panel has the keyboard."""
        for _ in range(200):
            if QApplication.focusWidget() is target:
                return
            QTest.keyClick(QApplication.focusWidget(), Key.Key_Tab)
        raise AssertionError(f"Tab never comes to {target.accessibleName() or target.toolTip()!r}")


@pytest.fixture
def keyboard(panel, viewer, qtbot) -> Keyboard:
    QTest.qWait(1)
    viewer.window._qt_window.activateWindow()
    keyboard = Keyboard(panel)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is not None)
    return keyboard


def test_object_is_made_corrected_and_accepted_by_keys(panel, viewer, keyboard) -> None:
    controller = panel.controller
    keyboard.press(Key.Key_Y)
    cursor = controller.key_cursor
    assert cursor.shown
    assert cursor.position == pytest.approx((47.5, 63.5), abs=1)  # the middle of the canvas
    cursor.position = (32.0, 43.0)  # or some presses more
    keyboard.press(Key.Key_Up, SHIFT, times=2)
    keyboard.press(Key.Key_Left, SHIFT, times=3)
    assert cursor.position == (30, 40)
    keyboard.press(Key.Key_Space)
    assert controller.wait()
    assert [type(prompt) for prompt in controller.session.prompts] == [Click]
    assert controller.session.mask[30, 40]
    keyboard.press(Key.Key_Down)
    keyboard.press(Key.Key_Space, SHIFT)
    assert controller.wait()
    first, second = controller.session.prompts
    assert (first.positive, second.positive) == (True, False)
    assert second.position[0] > first.position[0]
    assert second.position[1] == first.position[1]
    keyboard.press(Key.Key_Return)
    assert viewer.layers["blobs objects"].data[30, 40] == 1
    keyboard.press(Key.Key_Escape)
    assert not cursor.shown
    assert NAME not in viewer.layers


def test_box_and_line_by_keys(panel, keyboard) -> None:
    controller = panel.controller
    keyboard.press(Key.Key_W)
    keyboard.press(Key.Key_Y)
    controller.key_cursor.position = (12, 20)
    keyboard.press(Key.Key_Space)
    assert controller.session.prompts == ()
    controller.key_cursor.position = (48, 60)
    keyboard.press(Key.Key_Space)
    assert controller.wait()
    assert controller.session.prompts == (Box((12, 20), (48, 60)),)
    keyboard.press(Key.Key_E)
    assert controller.tool is Tool.SCRIBBLE
    controller.key_cursor.position = (25, 40)
    keyboard.press(Key.Key_Space)
    keyboard.press(Key.Key_Right, SHIFT, times=3)
    keyboard.press(Key.Key_Space)
    assert controller.wait()
    line = controller.session.prompts[-1]
    assert isinstance(line, Scribble)
    assert np.allclose(line.path, [(25, 40), (25, 41), (25, 42), (25, 43)])


CORNERS = ((12.0, 20.0), (12.0, 60.0), (48.0, 60.0), (48.0, 20.0))


@pytest.mark.parametrize("ends_by", [Key.Key_Return, Key.Key_Space])
def test_polygon_by_keys(panel, keyboard, ends_by) -> None:
    controller = panel.controller
    cursor = controller.key_cursor
    keyboard.press(Key.Key_Y)
    keyboard.press(Key.Key_P)
    assert controller.tool is Tool.POLYGON
    for corner in CORNERS:
        cursor.position = corner
        keyboard.press(Key.Key_Space)
        assert "Space sets the next corner" in cursor.told
    assert controller.session.prompts == ()
    keyboard.press(ends_by)
    assert controller.wait()
    assert controller.session.prompts == (Polygon(CORNERS),)
    assert controller.session.objects == {}


def test_lasso_by_keys(panel, keyboard) -> None:
    controller = panel.controller
    controller.filled_polygons = True
    keyboard.press(Key.Key_Y)
    keyboard.press(Key.Key_R)
    controller.key_cursor.position = CORNERS[0]
    keyboard.press(Key.Key_Space, SHIFT)
    for corner in CORNERS[1:]:
        controller.key_cursor.position = corner
    assert controller.key_cursor.told.startswith("Arrow keys move the cross, Space ends the line")
    keyboard.press(Key.Key_Space)
    assert controller.wait()
    assert controller.session.prompts == (Polygon(CORNERS, positive=False, filled=True),)


def test_polygon_of_two_corners_is_told_of_and_goes_on(panel, keyboard, notices) -> None:
    controller = panel.controller
    keyboard.press(Key.Key_P)
    keyboard.press(Key.Key_Y)
    for corner in CORNERS[:2]:
        controller.key_cursor.position = corner
        keyboard.press(Key.Key_Space)
    keyboard.press(Key.Key_Space)
    assert "at least three corners" in notices()[-1]
    controller.key_cursor.position = CORNERS[2]
    keyboard.press(Key.Key_Space)
    keyboard.press(Key.Key_Space)
    assert controller.wait()
    assert controller.session.prompts == (Polygon(CORNERS[:3]),)


def test_another_tool_begins_anew(panel, keyboard) -> None:
    controller = panel.controller
    keyboard.press(Key.Key_W)
    keyboard.press(Key.Key_Y)
    keyboard.press(Key.Key_Space)
    keyboard.press(Key.Key_P)
    assert "sets a corner" in controller.key_cursor.told


def test_there_is_no_cross_while_one_paints(panel, viewer, keyboard, notices) -> None:
    controller = panel.controller
    controller.add(Click((30, 40)))
    assert controller.wait()
    keyboard.press(Key.Key_Y)
    keyboard.press(Key.Key_B)
    assert controller.tool is Tool.PAINT
    assert not controller.key_cursor.shown
    keyboard.press(Key.Key_Y)
    assert not controller.key_cursor.shown
    assert "choose a tool other than Paint" in notices()[-1]


def test_objects_are_opened_and_merged_under_the_cross(panel, viewer, keyboard) -> None:
    controller = panel.controller
    labels = np.zeros((96, 128), np.uint8)
    labels[20:40, 30:50], labels[20:40, 50:70] = 1, 2
    theirs = viewer.add_labels(labels, name="theirs")
    controller.adopt(theirs)
    viewer.layers.remove(theirs)
    controller.use_clicks()
    assert controller.wait()
    viewer.cursor.position = (0, 0)
    keyboard.press(Key.Key_Y)
    controller.key_cursor.position = (30, 60)
    keyboard.press(Key.Key_O)
    assert controller.wait()
    assert controller.session.opened == 2
    keyboard.press(Key.Key_Return)
    controller.key_cursor.position = (30, 40)
    keyboard.press(Key.Key_J)
    assert controller.wait()
    assert len(controller.session.objects) == 1


def test_place_of_the_cross_is_that_of_a_mouse(make_napari_viewer, blobs) -> None:
    viewer = make_napari_viewer()
    stack = np.stack([blobs] * 3)
    viewer.add_image(stack, name="blobs", scale=(4, 2, 0.5), translate=(1, 5, 9))
    controller = attach(viewer)
    assert controller.wait()
    viewer.dims.current_step = (2, 0, 0)
    assert controller.key_cursor.place is None
    controller.keyboard_cursor()
    controller.key_cursor.position = (10, 20)
    assert controller.key_cursor.place == pytest.approx((9, 25, 19))
    controller.close()


def test_escape_gives_up_the_box_that_was_begun_and_then_the_cross(panel, keyboard) -> None:
    controller = panel.controller
    keyboard.press(Key.Key_W)
    keyboard.press(Key.Key_Y)
    keyboard.press(Key.Key_Space)
    keyboard.press(Key.Key_Escape)
    assert controller.key_cursor.shown
    keyboard.press(Key.Key_Escape)
    assert not controller.key_cursor.shown
    assert controller.session.prompts == ()


def test_arrows_are_napari_s_again_after_the_cross(panel, keyboard) -> None:
    before = dict(panel.controller.workspace.prompts.clicks.keymap)
    keyboard.press(Key.Key_Y)
    keyboard.press(Key.Key_Y)
    assert dict(panel.controller.workspace.prompts.clicks.keymap) == before


def test_cross_stays_inside_the_image_and_on_it(panel, viewer, keyboard) -> None:
    controller = panel.controller
    keyboard.press(Key.Key_Y)
    controller.key_cursor.position = (-50, 500)
    assert controller.key_cursor.position == (0, 127)
    viewer.layers.remove(NAME)
    controller.changed.emit()
    assert not controller.key_cursor.shown


def test_cross_goes_with_the_image(make_napari_viewer, blobs) -> None:
    viewer = make_napari_viewer()  # not shown: llvmpipe dies of layers that come and go undrawn
    viewer.add_image(blobs, name="blobs")
    controller = attach(viewer)
    assert controller.wait()
    controller.keyboard_cursor()
    assert NAME in viewer.layers
    viewer.layers.remove("blobs")
    assert controller.wait()
    assert not controller.key_cursor.shown
    assert NAME not in viewer.layers
    controller.close()


def test_tab_comes_to_everything_in_the_order_in_which_it_is_seen(panel, keyboard) -> None:
    panel.controller.add(Click((30, 40)))
    assert panel.controller.wait()
    for fold in panel.folds.values():
        fold.expand(animate=False)
    panel.image.setFocus()
    seen = []
    while panel.isAncestorOf(QApplication.focusWidget()) and len(seen) < 100:
        seen.append(QApplication.focusWidget())
        QTest.keyClick(seen[-1], Key.Key_Tab)
    parts = [
        part for part in panel.findChildren((QAbstractButton, QComboBox, QLineEdit))
        if part.isVisible() and part.isEnabled() and part.focusProxy() is None
        and part.focusPolicy().value & Qt.FocusPolicy.TabFocus.value
    ]  # fmt: skip
    missing = {part for part in parts if part not in seen and _reached_by_arrows(part, seen)}
    assert not missing, [part.toolTip() for part in missing]
    for part in (panel.threshold, panel.propagation, panel.history.steps):
        assert any(each is part or part.isAncestorOf(each) for each in seen), part.toolTip()
    heights = [part.mapTo(panel, part.rect().topLeft()).y() for part in seen]
    assert min(np.diff(heights)) > -10  # parts of one row may differ a little


def _reached_by_arrows(part: QWidget, seen: list[QWidget]) -> bool:
    """Whether Tab passes a part by, with none of its group pressed either."""
    group = part.group() if isinstance(part, QAbstractButton) else None
    return group is None or not any(each in seen for each in group.buttons())


def test_everything_has_a_name_for_screen_readers(panel) -> None:
    for fold in panel.folds.values():
        fold.expand(animate=False)
    for part in panel.findChildren(QWidget):
        if not part.isVisible() or part.focusPolicy() == Qt.FocusPolicy.NoFocus:
            continue
        if part.focusProxy() is not None or part.objectName().startswith("qt_"):
            continue
        text = part.text() if isinstance(part, QAbstractButton) else ""
        assert text or part.accessibleName() or part.toolTip(), (type(part).__name__, part.parent())


def test_keys_of_actions_work_from_the_panel_and_escape_leads_out(panel, viewer, keyboard) -> None:
    controller = panel.controller
    controller.add(Click((30, 40)))
    assert controller.wait()
    keyboard.go_to(panel.accept)
    keyboard.press(Key.Key_W)
    assert controller.tool is Tool.BOX
    keyboard.press(Key.Key_Return)
    assert controller.session.objects.keys() == {1}
    keyboard.press(Key.Key_Escape)
    assert not panel.isAncestorOf(QApplication.focusWidget())
    keyboard.press(Key.Key_Q)
    assert controller.tool is Tool.CLICK


def test_enter_in_a_text_finishes_the_text_and_accepts_nothing(panel, viewer, keyboard) -> None:
    controller = panel.controller
    controller.add(Click((30, 40)))
    assert controller.wait()
    panel.folds["seen"].expand(animate=False)
    keyboard.go_to(panel.seen.axes)
    panel.seen.axes.selectAll()
    keyboard.press(Key.Key_X)
    keyboard.press(Key.Key_Y)
    assert not controller.key_cursor.shown
    keyboard.press(Key.Key_Return)
    assert controller.workspace.frame.axes == "XY"
    assert controller.wait()
    assert not viewer.layers["blobs objects"].data.any()


def test_steps_of_the_history_by_keys(panel, keyboard) -> None:
    controller = panel.controller
    controller.add(Click((30, 40)))
    assert controller.wait()
    panel.folds["history"].expand(animate=False)
    keyboard.go_to(panel.history.steps)
    keyboard.press(Key.Key_Home)
    keyboard.press(Key.Key_Return)
    assert controller.history_position == 0
    assert controller.session.objects == {}
