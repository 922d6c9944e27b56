"""napari's asynchronous slicing: layers are drawn a moment later, as they were a moment ago."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtTest import QTest

from async_viewer import AsyncViewer
from flood_engine import FloodEngine
from napari_pvpu import Click
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.napari_side.key_cursor import NAME
from napari_pvpu.napari_side.tools import Tool

pytestmark = pytest.mark.gui


@pytest.fixture
def controller(make_napari_viewer, blobs):
    viewer = make_napari_viewer(ViewerClass=AsyncViewer)
    stack = np.stack([blobs] * 3)
    viewer.add_image(stack, name="blobs", axis_labels=("z", "y", "x"))
    controller = Controller(viewer)
    controller._engine = FloodEngine()
    controller.open()
    assert controller.wait()
    viewer.dims.set_point(0, 0)
    yield controller
    controller.close()


def at_rest(controller) -> bool:
    """Whether all is drawn, and nothing is left over of what was drawn before."""
    clicks = controller.workspace.prompts.clicks
    drawn = all(layer.loaded for layer in controller.viewer.layers)
    return drawn and len(clicks.data) == len(controller.session.prompts)


@pytest.mark.parametrize("action", ["undo", "reset"])
def test_clicks_become_fewer_while_napari_draws_them(controller, action, qtbot) -> None:
    clicks = controller.workspace.prompts.clicks
    for _ in range(5):
        for col in (36, 40, 44):
            controller.add(Click((30, col)))
        assert controller.wait()
        getattr(controller, action)()
        assert controller.workspace.prompts.read() == controller.workspace.latest
        QTest.qWait(1)
        controller.reset()
        qtbot.waitUntil(lambda: at_rest(controller))
        assert len(clicks.data) == len(clicks.features) == 0


def test_planes_go_by_while_clicks_are_drawn(controller, qtbot) -> None:
    viewer, clicks = controller.viewer, controller.workspace.prompts.clicks
    for plane in (1, 2, 0, 2, 1, 0):
        clicks.add([[plane, 30, 40]] if plane == viewer.dims.current_step[0] else [[0, 9, 9]])
        controller.add(Click((30, 40)))
        viewer.dims.set_point(0, plane)
        controller.add(Click((60, 90)))
        controller.undo()
    assert controller.wait()
    qtbot.waitUntil(lambda: at_rest(controller))
    assert controller.workspace.prompts.read() == controller.session.prompts


def test_a_click_outside_the_image_is_taken_out(controller, qtbot, notices) -> None:
    clicks = controller.workspace.prompts.clicks
    controller.add(Click((30, 40)))
    clicks.add([[0, -40, 40]])
    assert controller.wait()
    qtbot.waitUntil(lambda: at_rest(controller))
    assert controller.workspace.prompts.read() == controller.session.prompts == (Click((30, 40)),)
    assert "outside the image" in notices()[-1]


def test_corners_set_by_keys_become_a_polygon_while_they_are_drawn(controller, qtbot) -> None:
    cursor = controller.key_cursor
    controller.tool = Tool.POLYGON
    cursor.show()
    [cross] = [layer for layer in controller.viewer.layers if layer.name == NAME]
    for _ in range(3):
        for corner in ((12, 20), (12, 60), (48, 60)):
            cursor.position = corner
            cursor.mark()
        cursor.mark()
        QTest.qWait(1)
        controller.reset()
    qtbot.waitUntil(lambda: cross.loaded)
    cursor.position = (30, 30)
    assert len(cross.data) == 1


def test_the_hint_goes_while_it_is_drawn(controller, qtbot) -> None:
    controller.show_overlay("hint")
    [hint] = [layer for layer in controller.viewer.layers if "next" in layer.name.lower()]
    for _ in range(5):
        controller.add(Click((30, 40)))
        controller.add(Click((30, 60), positive=False))
        assert controller.wait()
        assert hint.shown.sum() == (controller.session.next_click_hint() is not None)
        controller.reset()
        QTest.qWait(1)
        assert not hint.shown.any()
    qtbot.waitUntil(lambda: at_rest(controller))
