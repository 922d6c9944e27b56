"""Keys that are pressed faster than answers come are obeyed one after the other."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest

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


def test_keys_with_nothing_under_way_are_obeyed_at_once(controller, make_mouse) -> None:
    mouse = make_mouse(controller.viewer, controller.image)
    mouse.click((30, 40))
    assert controller.wait()
    QTest.keyClick(controller.viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Return)
    assert list(controller.session.objects) == [1]
