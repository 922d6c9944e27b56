"""The canvas is drawn once for a prompt and its mask, and never stays undrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtOpenGLWidgets import QOpenGLWidget

from napari_pvpu.napari_side.held_drawing import HeldDrawing

if TYPE_CHECKING:
    from napari import Viewer

pytestmark = pytest.mark.gui


def canvas_of(viewer: Viewer) -> QOpenGLWidget:
    return viewer.window.main_menu.window().centralWidget().findChild(QOpenGLWidget)


def test_what_came_up_meanwhile_is_drawn_afterwards(make_napari_viewer, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((8, 8)))
    qtbot.wait(100)
    canvas, drawn = canvas_of(viewer), []
    canvas.aboutToCompose.connect(lambda: drawn.append(1))
    held = HeldDrawing(lambda: viewer)
    held.hold(True)
    held.hold(True)
    drawn.clear()
    viewer.add_image(np.ones((8, 8)))
    qtbot.wait(100)
    assert not canvas.updatesEnabled()
    held.hold(False)
    assert canvas.updatesEnabled()
    qtbot.waitUntil(lambda: bool(drawn))
    held.hold(False)


def test_a_window_that_has_gone_is_no_error(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    held = HeldDrawing(lambda: viewer)
    held.hold(True)
    viewer.close()
    held.hold(False)
    HeldDrawing(lambda: None).hold(True)
