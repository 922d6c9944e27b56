"""The card with the first steps: ticked off by real gestures, dismissed for good."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

pytestmark = pytest.mark.gui

SHIFT = Qt.KeyboardModifier.ShiftModifier


def open_panel(viewer):
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert panel.controller.wait()
    return panel


def ticks(card) -> list[str]:
    return [tick.accessibleName() for tick, _ in card.rows.values()]


def test_gestures_on_the_sample_are_ticked_off(make_napari_viewer, make_mouse) -> None:
    viewer = make_napari_viewer(show=True)
    panel = open_panel(viewer)
    card, controller = panel.first_steps, panel.controller
    assert card.isVisibleTo(panel)
    assert ticks(card) == ["to do"] * 3
    card.sample.click()
    assert controller.wait()
    assert controller.image.name == "coins"
    assert not card.sample.isVisibleTo(panel)
    mouse = make_mouse(viewer, viewer.layers["coins"])
    mouse.click((124, 117))
    assert controller.wait()
    assert ticks(card) == ["done", "to do", "to do"]
    mouse.click((160, 150), SHIFT)
    assert controller.wait()
    assert ticks(card) == ["done", "done", "to do"]
    mouse.press_key(Qt.Key.Key_Return)
    assert controller.wait()
    if not controller.session.objects:  # random weights may have left nothing to keep
        controller.threshold = 0.05
        mouse.click((124, 117))
        mouse.press_key(Qt.Key.Key_Return)
    assert ticks(card) == ["done"] * 3
    assert card.title.text().startswith("<b>That is all")
    assert card.dismiss.text() == "Got it"


def test_dismissed_once_it_is_gone_from_every_panel(make_napari_viewer, blobs) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(blobs)
    panel = open_panel(viewer)
    panel.first_steps.dismiss.click()
    assert not panel.first_steps.isVisibleTo(panel)
    viewer.window.remove_dock_widget(panel)
    again = open_panel(viewer)
    assert not again.first_steps.isVisibleTo(again)
    again.controller.preferences.set("first_steps", True)  # as the preferences page does
    again.controller.changed.emit()
    assert again.first_steps.isVisibleTo(again)


def test_own_image_needs_no_sample_and_keys_are_those_of_the_user(
    make_napari_viewer, blobs
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(blobs.astype(np.float32))
    panel = open_panel(viewer)
    assert not panel.first_steps.sample.isVisibleTo(panel)
    panel.controller.shortcuts.set("accept", "F5")
    panel.controller.changed.emit()
    assert "Press F5" in panel.first_steps.rows["keep"][1].text()
