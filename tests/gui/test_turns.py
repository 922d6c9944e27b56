"""Keys that are pressed faster than answers come are obeyed one after the other."""

from __future__ import annotations

from functools import partial

import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest

from napari_pvpu.napari_side import commands
from napari_pvpu.napari_side.panel_keys import focus_canvas

pytestmark = pytest.mark.gui

CONTROL = Qt.KeyboardModifier.ControlModifier


def test_undo_within_an_acceptance_takes_back_the_acceptance(controller, make_mouse, qtbot) -> None:
    mouse = make_mouse(controller.viewer, controller.image)
    mouse.click((30, 40))
    # As soon as accepting lets Qt go on, while it waits for the answer to the click.
    QTimer.singleShot(0, lambda: mouse.press_key(Qt.Key.Key_Z, CONTROL))
    mouse.press_key(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(controller.history) == 2 and controller.history_position == 1)
    assert controller.history == ("Click", "Accept object 1")
    assert len(controller.session.prompts) == 1


def test_key_during_an_acceptance_by_the_button_waits_for_it(controller, make_mouse, qtbot) -> None:
    mouse = make_mouse(controller.viewer, controller.image)
    mouse.click((30, 40))
    QTimer.singleShot(0, lambda: mouse.press_key(Qt.Key.Key_Z, CONTROL))
    assert controller.accept() == 1
    qtbot.waitUntil(lambda: controller.history_position == 1)
    assert controller.history == ("Click", "Accept object 1")


def _press_in_panel(panel) -> None:
    panel.undo.setFocus()
    QTest.keyClick(panel.undo, Qt.Key.Key_Z, CONTROL)


UNDOES = {
    "button": lambda panel: QTest.mouseClick(panel.undo, Qt.MouseButton.LeftButton),
    "key in the panel": _press_in_panel,
    "command": lambda panel: commands.undo(panel.controller.viewer),
    "history": lambda panel: panel.history.steps.itemClicked.emit(panel.history.steps.item(0)),
}


@pytest.mark.parametrize("way", UNDOES)
def test_all_ways_to_undo_within_an_acceptance_wait_for_it(
    panel, viewer, make_mouse, qtbot, way
) -> None:
    controller, mouse = panel.controller, make_mouse(viewer, panel.controller.image)
    panel.folds["history"].expand(animate=False)
    viewer.window._qt_window.activateWindow()
    mouse.click((30, 40))
    focus_canvas(panel)
    QTimer.singleShot(0, partial(UNDOES[way], panel))
    mouse.press_key(Qt.Key.Key_Return)
    left = 0 if way == "history" else 1
    qtbot.waitUntil(lambda: len(controller.history) == 2 and controller.history_position == left)
    assert controller.history == ("Click", "Accept object 1")


def test_undo_within_an_acceptance_by_the_button_is_done_after_it(
    panel, viewer, make_mouse, qtbot
) -> None:
    controller, mouse = panel.controller, make_mouse(viewer, panel.controller.image)
    mouse.click((30, 40))
    qtbot.waitUntil(panel.accept.isEnabled)
    QTimer.singleShot(0, partial(UNDOES["button"], panel))
    QTest.mouseClick(panel.accept, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(controller.history) == 2 and controller.history_position == 1)
    assert controller.history == ("Click", "Accept object 1")


def test_keys_with_nothing_under_way_are_obeyed_at_once(controller, make_mouse) -> None:
    mouse = make_mouse(controller.viewer, controller.image)
    mouse.click((30, 40))
    assert controller.wait()
    QTest.keyClick(controller.viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Return)
    assert list(controller.session.objects) == [1]
