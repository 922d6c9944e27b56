"""A window closed by its own button, while somebody still holds the viewer."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtGui import QCloseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_pvpu import Click, attach
from napari_pvpu.file_locks import is_held
from napari_pvpu.journal import read_journal

pytestmark = pytest.mark.gui

ONE, TWO = Click((30, 40)), Click((60, 90))


def window_of(viewer):
    return viewer.window.main_menu.window()


@pytest.fixture
def press_x(monkeypatch):
    """Close a window as its button does, but keep its parts: the fixture closes them again."""

    def press(viewer, *, agreed=True):
        def on_close(self, event):
            event.setAccepted(agreed)
            self.setVisible(not agreed)

        with monkeypatch.context() as patched:
            patched.setattr(type(window_of(viewer)), "closeEvent", on_close)
            QApplication.sendEvent(window_of(viewer), QCloseEvent())
        QTest.qWait(10)

    return press


def threads() -> set[str]:
    return {each.name for each in threading.enumerate() if "pvpu" in each.name.lower()}


@pytest.mark.parametrize("docked", [False, True], ids=["from the console", "docked"])
def test_the_session_ends_with_the_window(viewer, sessions, qtbot, press_x, docked):
    if docked:
        viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    controller = attach(viewer)
    assert controller.wait()
    controller.add(ONE)
    assert controller.accept() == 1
    controller.add(TWO)
    assert controller.wait()
    labels = controller.session.labels.copy()
    press_x(viewer)
    assert not controller.is_open
    [path] = sessions.iterdir()
    assert not is_held(path), "others may go on with it"
    assert [each.name for each in read_journal(path).operations][-1] == "prompts"
    assert controller.session is None
    qtbot.waitUntil(lambda: not threads())
    np.testing.assert_array_equal(viewer.layers["blobs objects"].data, labels)


def test_a_window_without_steps_leaves_no_file(controller, viewer, sessions, press_x):
    assert list(sessions.iterdir())
    press_x(viewer)
    assert not list(sessions.iterdir())


def test_a_window_that_stays_is_worked_in(controller, viewer, press_x):
    press_x(viewer, agreed=False)
    assert controller.is_open
    controller.add(ONE)
    assert controller.accept() == 1
