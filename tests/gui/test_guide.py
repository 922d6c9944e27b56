"""What is said of the next click, in words and by the mouse's shape."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_pvpu import Click
from napari_pvpu.napari_side.controller import Tool
from napari_pvpu.napari_side.guide import Under, what_a_click_does

ALT, SHIFT = frozenset({"Alt"}), frozenset({"Shift"})
THREE = Under(3, 0.931)


@pytest.mark.parametrize(
    ("situation", "told"),
    [
        pytest.param({}, "Click: begin an object", id="nothing yet"),
        pytest.param(
            {"has_object": True},
            "Click: add to the object · Shift+click: take away from the object",
            id="an object",
        ),
        pytest.param(
            {"has_object": True, "positive": False},
            "Click: take away from the object · Shift+click: add to the object",
            id="negative",
        ),
        pytest.param(
            {"has_object": True, "modifiers": SHIFT},
            "Click: take away from the object",
            id="Shift held",
        ),
        pytest.param(
            {"tool": Tool.BOX, "under": THREE},
            "Drag a box: begin an object · Alt+click opens object 3, score 0.93",
            id="over another",
        ),
        pytest.param(
            {"under": THREE, "modifiers": ALT}, "Alt+click: open object 3, score 0.93", id="Alt"
        ),
        pytest.param(
            {"under": THREE, "modifiers": ALT | SHIFT, "target": 2},
            "Alt+Shift+click: merge object 3, score 0.93 with object 2",
            id="Alt and Shift",
        ),
        pytest.param(
            {"under": Under(7, None, ours=False), "modifiers": ALT | SHIFT, "target": 2},
            "Alt+click: open object 7",
            id="of another layer",
        ),
        pytest.param(
            {"modifiers": ALT}, "Alt+click opens an object; there is none here", id="Alt, nothing"
        ),
        pytest.param({"tool": None}, "", id="no tool"),
    ],
)
def test_what_a_click_does(situation, told) -> None:
    usual = {"tool": Tool.CLICK, "positive": True, "has_object": False}
    assert what_a_click_does(**{**usual, **situation}) == told


def move(mouse, position, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    there = mouse.on_canvas(position)
    for place in (there + QPoint(1, 1), there):
        QTest.qWait(10)  # napari looks at the mouse every 5 ms at most
        mouse._move(place, modifier, Qt.MouseButton.NoButton)


@pytest.mark.gui
def test_status_line_and_pointer_follow_the_mouse(panel, viewer, mouse, qtbot) -> None:
    controller, alt = panel.controller, Qt.KeyboardModifier.AltModifier
    clicks = controller.workspace.prompts.clicks
    usual = clicks.cursor
    assert viewer.status == "Click: begin an object"
    controller.add(Click((30.0, 40.0)))
    controller.accept()
    score = controller.session.objects[1].score
    move(mouse, (30, 40))
    qtbot.waitUntil(lambda: "Alt+click opens object 1" in viewer.status)
    assert viewer.status.endswith(f"object 1, score {score:.2f}")
    move(mouse, (30, 40), alt)
    qtbot.waitUntil(lambda: viewer.status.startswith("Alt+click: open object 1"))
    assert str(viewer.cursor.style) == "pointing"
    move(mouse, (30, 40))
    qtbot.waitUntil(lambda: viewer.status.startswith("Click"))
    assert clicks.cursor == usual
    controller.use_boxes()
    assert viewer.status.startswith("Drag a box")


@pytest.mark.gui
def test_outside_the_image_nothing_can_be_marked(panel, viewer, mouse, qtbot) -> None:
    viewer.scene.camera.zoom /= 2
    clicks = panel.controller.workspace.prompts.clicks
    move(mouse, (-20, 40))
    qtbot.waitUntil(lambda: viewer.status.startswith("Outside"))
    assert clicks.cursor == "forbidden"
    move(mouse, (60, 40))
    qtbot.waitUntil(lambda: viewer.status.startswith("Click"))
    assert clicks.cursor != "forbidden"


@pytest.mark.gui
def test_napari_s_own_status_stays_in_front(panel, viewer) -> None:
    told = {
        "layer_base": "blobs",
        "source_type": "",
        "plugin": "",
        "coordinates": "[30 40]: 180",
    }
    viewer.status = told  # as napari does when the mouse moves
    assert viewer.status["layer_base"] == "blobs"
    assert viewer.status["coordinates"] == "[30 40]: 180   Click: begin an object"
    panel.controller.positive = False
    assert viewer.status["coordinates"].startswith("[30 40]: 180   Click: take away")
    viewer.layers.selection.active = viewer.layers["blobs"]
    assert viewer.status == told
