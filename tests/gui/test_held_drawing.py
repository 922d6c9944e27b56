"""The window is drawn once for a prompt and its mask, and never stays undrawn."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QObject
from qtpy.QtTest import QTest

from napari_pvpu import Click
from napari_pvpu.napari_side import conversation as conversation_module
from napari_pvpu.napari_side.held_drawing import HeldDrawing

if TYPE_CHECKING:
    from napari import Viewer

    from napari_pvpu.napari_side.controller import Controller

pytestmark = pytest.mark.gui

REQUEST = QEvent(QEvent.Type.UpdateRequest)


class Drawings(QObject):
    """Counts how often a viewer's canvas is drawn."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.count = 0
        canvas = viewer.window._qt_viewer.canvas.native
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        self.count += event is not None and event.type() == QEvent.Type.Paint
        return False


@pytest.fixture
def shown(make_napari_viewer: Any, qtbot: Any) -> Viewer:
    viewer: Viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((8, 8)))
    qtbot.waitExposed(viewer.window.main_menu.window())
    qtbot.wait(100)
    return viewer


def test_what_came_up_meanwhile_is_drawn_afterwards(shown: Viewer, qtbot: Any) -> None:
    drawings = Drawings(shown)
    held = HeldDrawing(lambda: shown)
    held.hold(True)
    held.hold(True)
    drawings.count = 0
    shown.layers[0].data = np.ones((8, 8))
    qtbot.wait(100)
    assert drawings.count == 0
    held.hold(False)
    qtbot.waitUntil(lambda: drawings.count > 0)
    held.hold(False)


def test_drawing_goes_on_as_before_it_was_held(shown: Viewer, qtbot: Any) -> None:
    drawings = Drawings(shown)
    held = HeldDrawing(lambda: shown)
    held.hold(True)
    held.hold(False)  # and nothing came up
    qtbot.wait(50)
    drawings.count = 0
    shown.layers[0].data = np.ones((8, 8))
    qtbot.waitUntil(lambda: drawings.count > 0)


def test_holding_again_and_again_never_keeps_the_window_undrawn(shown: Viewer, qtbot: Any) -> None:
    drawings = Drawings(shown)
    held = HeldDrawing(lambda: shown)
    held.hold(True)
    drawings.count = 0
    shown.layers[0].data = np.ones((8, 8))
    qtbot.wait(50)
    assert drawings.count == 0
    held.hold(False)
    held.hold(True)  # before Qt had a moment to draw
    qtbot.waitUntil(lambda: drawings.count > 0)
    held.hold(False)


def test_a_window_that_has_gone_is_no_error(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    held = HeldDrawing(lambda: viewer)
    held.hold(True)
    viewer.close()
    held.hold(False)
    HeldDrawing(lambda: None).hold(True)


def test_no_viewer_is_kept_by_what_is_still_to_be_drawn(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    gone = weakref.ref(viewer)
    held = HeldDrawing(gone)
    held.hold(True)
    QCoreApplication.sendEvent(viewer.window.main_menu.window(), REQUEST)
    held.hold(False)
    viewer.close()
    del viewer
    QTest.qWait(10)
    gc.collect()
    assert gone() is None
    held.hold(True)


@pytest.fixture
def asked(
    viewer: Viewer, controller: Controller, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> tuple[Drawings, threading.Event]:
    """A prompt in a window on the screen whose answer waits for an event; drawings since then."""
    viewer.window.show()
    qtbot.waitExposed(viewer.window.main_menu.window())
    qtbot.waitUntil(lambda: controller.session is not None and not controller.busy)
    qtbot.wait(200)
    session, gate = controller.session, threading.Event()
    assert session is not None
    compute = session.compute
    monkeypatch.setattr(session, "compute", lambda *a: (gate.wait(20), compute(*a))[1])
    drawings = Drawings(viewer)
    assert controller.workspace is not None
    controller.add(Click((30, 30)))
    assert controller.busy
    return drawings, gate


def test_prompt_and_mask_are_drawn_in_one_go(
    monkeypatch: pytest.MonkeyPatch, request: Any, qtbot: Any
) -> None:
    monkeypatch.setattr(conversation_module, "PATIENCE", 20.0)
    drawings, gate = request.getfixturevalue("asked")
    controller = request.getfixturevalue("controller")
    qtbot.wait(100)
    assert drawings.count == 0
    gate.set()
    qtbot.waitUntil(lambda: not controller.busy)
    qtbot.waitUntil(lambda: drawings.count > 0)


def test_a_prompt_is_drawn_when_its_mask_takes_long(
    asked: tuple[Drawings, threading.Event], controller: Controller, qtbot: Any
) -> None:
    drawings, gate = asked
    qtbot.waitUntil(lambda: drawings.count > 0)
    assert controller.busy
    gate.set()
    qtbot.waitUntil(lambda: not controller.busy)


def test_a_panel_closed_in_between_leaves_a_window_that_draws(
    monkeypatch: pytest.MonkeyPatch, request: Any, viewer: Viewer, qtbot: Any
) -> None:
    monkeypatch.setattr(conversation_module, "PATIENCE", 20.0)
    drawings, gate = request.getfixturevalue("asked")
    gate.set()
    request.getfixturevalue("controller").close()
    drawings.count = 0
    viewer.layers[0].opacity = 0.5
    qtbot.waitUntil(lambda: drawings.count > 0)
