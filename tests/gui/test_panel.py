"""The panel in its dock: what it shows, what its buttons do, and how it goes."""

from __future__ import annotations

import pytest
from napari.utils.theme import get_theme
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QWidget

from fitting import assert_fits, narrow
from napari_pvpu import Click, attach
from napari_pvpu.napari_side.controller import KEYS, Tool
from napari_pvpu.napari_side.engine import bundled_models
from napari_pvpu.napari_side.panel import NARROWEST, Panel
from napari_pvpu.napari_side.sections import SECTIONS
from napari_pvpu.napari_side.series_actions import SERIES_KEYS
from napari_pvpu.napari_side.views.choosing import OTHER_WEIGHTS

pytestmark = pytest.mark.gui

INSIDE = (30.0, 40.0)
ROOM = NARROWEST - 16
"""Pixels between the margins, beside the scroll bar."""


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def panel(viewer, blobs) -> Panel:
    viewer.add_image(blobs, name="blobs")
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert panel.controller.wait()
    return panel


def texts(combo) -> list[str]:
    return [combo.itemText(index) for index in range(combo.count())]


def pressed(buttons) -> list[str]:
    return [button.text() for button in buttons if button.isChecked()]


def test_panel_and_attach_share_the_controller(panel, viewer) -> None:
    assert panel.controller is attach(viewer)


def test_one_of_two_panels_is_closed_and_the_other_goes_on(panel, viewer) -> None:
    second = Panel(viewer)
    assert second.controller is panel.controller
    second.close()
    assert panel.controller.is_open
    panel.controller.add(Click((30, 40)))
    assert panel.controller.accept() == 1
    panel.close()
    assert not panel.controller.is_open


def test_panel_before_the_image_tells_to_open_one(viewer, blobs) -> None:
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert panel.hint.text().startswith("Open an image")
    assert not any(button.isEnabled() for button in panel.tools.values())
    viewer.add_image(blobs, name="blobs")
    assert panel.controller.wait()
    assert panel.image.currentText() == "blobs"
    assert panel.hint.text() == "Click on an object."


def test_panel_says_that_the_model_loads(viewer, blobs) -> None:
    viewer.add_image(blobs, name="blobs")
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert "Getting the model ready" in panel.hint.text()
    assert panel.controller.wait()
    assert "Getting the model ready" not in panel.hint.text()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_everything_fits_into_the_narrowest_width(make_napari_viewer, blobs, theme, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.theme = theme
    viewer.add_image(blobs, name="a layer with quite a long name that nobody would shorten")
    dock, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert panel.controller.wait()
    panel.controller.add(Click(INSIDE))
    assert panel.controller.wait()
    narrow(viewer, dock, NARROWEST, qtbot)
    qtbot.waitUntil(lambda: panel.minimumSizeHint().width() <= NARROWEST)
    qtbot.waitUntil(lambda: assert_fits(panel))
    qtbot.waitUntil(lambda: panel.hint.height() >= panel.hint.heightForWidth(panel.hint.width()))


def test_sections_are_narrow_enough_and_show_the_state(panel) -> None:
    assert list(panel.sections) == [section.name for section in SECTIONS]
    assert len(panel.sections) == len(SECTIONS)
    for section in SECTIONS:
        panel.sections[section.name].render_state()
        assert panel.sections[section.name].minimumSizeHint().width() <= ROOM, section.title


def test_what_is_too_high_is_scrolled_but_for_what_to_do_next(
    make_napari_viewer, blobs, qtbot
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 600)
    viewer.add_image(blobs)
    dock, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    narrow(viewer, dock, NARROWEST, qtbot)
    assert panel.controller.wait()
    for fold in panel.folds.values():
        fold.expand(animate=False)
    content = panel.scrolled.widget()

    def is_scrolled() -> None:
        assert viewer.window._qt_window.height() <= 700
        assert panel.scrolled.verticalScrollBar().maximum() > 0
        assert content.width() >= content.minimumSizeHint().width()
        assert panel.rect().contains(panel.telling.geometry())
        assert panel.telling.isVisible()

    qtbot.waitUntil(is_scrolled)


def test_image_choice_follows_the_layers(panel, viewer, blobs, qtbot) -> None:
    viewer.add_image(blobs, name="other")
    qtbot.waitUntil(lambda: texts(panel.image) == ["blobs", "other"])
    viewer.layers["other"].name = "renamed"
    qtbot.waitUntil(lambda: texts(panel.image) == ["blobs", "renamed"])
    panel.image.setCurrentIndex(1)
    panel.image.activated.emit(1)
    assert panel.controller.image.name == "renamed"
    viewer.layers.remove("blobs")
    qtbot.waitUntil(lambda: texts(panel.image) == ["renamed"])
    assert panel.image.currentText() == "renamed"


def test_models_are_the_bundled_ones_the_current_one_and_a_file(panel, weights) -> None:
    assert texts(panel.model) == [*bundled_models(), weights.stem, OTHER_WEIGHTS]
    assert panel.model.currentText() == weights.stem


def test_other_weights_are_taken_from_a_file(panel, monkeypatch, tmp_path, weights) -> None:
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(weights.read_bytes())
    dialog = "napari_pvpu.napari_side.views.choosing.QFileDialog.getOpenFileName"
    monkeypatch.setattr(dialog, lambda *_: ("", ""))
    last = panel.model.count() - 1
    panel.model.activated.emit(last)
    assert panel.model.currentText() == weights.stem  # the dialog was left without a choice
    monkeypatch.setattr(dialog, lambda *_: (str(copy), ""))
    panel.model.activated.emit(last)
    assert panel.controller.model == str(copy)
    assert panel.model.currentText() == "mine"
    assert panel.controller.wait()
    assert panel.controller.trouble is None


def test_tool_buttons_and_the_tool_in_hand_agree(panel, viewer) -> None:
    buttons = panel.tools.values()
    for tool in Tool:
        panel.tools[tool].click()
        assert panel.controller.tool is tool
        assert pressed(buttons) == [panel.tools[tool].text()]
    viewer.layers.selection.active = viewer.layers["Boxes and scribbles"]
    viewer.layers["Boxes and scribbles"].mode = "add_rectangle"  # with napari's own button
    assert pressed(buttons) == ["Box"]
    viewer.layers.selection.active = viewer.layers["blobs"]
    assert pressed(buttons) == []
    assert panel.hint.text() == "Choose a tool to draw with."


def test_polarity_buttons(panel) -> None:
    both = (panel.positive, panel.negative)
    assert pressed(both) == ["Positive"]
    panel.negative.click()
    assert not panel.controller.positive
    panel.controller.toggle_polarity()
    assert pressed(both) == ["Positive"]


def test_switch_and_slider(panel) -> None:
    panel.propagation.click()
    assert panel.controller.value_propagation
    panel.controller.toggle_value_propagation()
    assert not panel.propagation.isChecked()
    panel.threshold.setValue(0.7)
    assert panel.controller.threshold == pytest.approx(0.7)
    assert panel.controller.session.threshold == pytest.approx(0.7)
    panel.controller.threshold = 0.3
    assert panel.threshold.value() == pytest.approx(0.3)


def test_step_buttons_are_enabled_when_they_can_do_something(panel, viewer) -> None:
    buttons = (panel.accept, panel.reset, panel.undo, panel.redo)

    def enabled() -> list[str]:
        return [button.text() for button in buttons if button.isEnabled()]

    assert enabled() == []
    panel.controller.add(Click(INSIDE))
    assert panel.controller.wait()
    assert enabled() == ["Accept object", "Reset", "Undo"]
    panel.undo.click()
    assert enabled() == ["Redo"]
    panel.redo.click()
    panel.accept.click()
    assert viewer.layers["blobs objects"].data[30, 40] == 1
    assert enabled() == ["Undo"]
    assert panel.hint.text() == "1 object kept; Alt+click corrects one. Click on an object."
    panel.controller.add(Click((60, 90)))
    assert panel.controller.wait()
    assert "Enter keeps the object" in panel.hint.text()
    panel.reset.click()
    assert panel.controller.session.prompts == ()


def test_device_and_timing(panel) -> None:
    assert panel.measured.text() == "cpu"
    panel.controller.add(Click(INSIDE))
    assert panel.controller.wait()
    words = panel.measured.text().split(" · ")
    assert words[0] == "cpu"
    assert words[1].startswith("encode ")
    assert words[2].startswith("answer ")
    assert words[2].endswith(" ms")


def test_negative_without_an_object_is_explained(panel) -> None:
    panel.negative.click()
    assert "switch to positive" in panel.hint.text()


def test_image_of_too_many_axes_is_explained(viewer) -> None:
    import numpy as np

    viewer.add_image(np.zeros((2, 1, 1, 1, 20, 30), np.uint8), name="stack")
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert "cannot be segmented" in panel.hint.text()


def test_tooltips_name_the_keys(panel) -> None:
    assert panel.accept.toolTip().endswith("(Enter)") or "Return" in panel.accept.toolTip()
    assert "Ctrl+Shift+Z" in panel.redo.toolTip() or "⌘" in panel.redo.toolTip()
    for name in ("accept", "undo", "redo", "reset", "positive", "negative", "propagation"):
        assert getattr(panel, name).toolTip()


def test_every_action_has_a_button_or_a_menu_entry(panel) -> None:
    assert all(panel.sections.values()), "made by being asked for"
    parts = (*panel.findChildren(QWidget), *panel.findChildren(QAction))
    told = {part.property("action") for part in parts} - {None}
    assert told == KEYS.keys() - SERIES_KEYS.keys()  # a series has a panel of its own


def test_theme_reaches_the_panel(panel, viewer) -> None:
    for theme in ("light", "dark"):
        viewer.theme = theme
        assert get_theme(theme).current.as_hex() in panel.styleSheet()


def test_closing_the_dock_closes_everything(panel, viewer) -> None:
    panel.controller.add(Click(INSIDE))
    panel.accept.click()
    controller = panel.controller
    dock = next(dock for dock in viewer.window._wrapped_dock_widgets.values())
    dock.destroyOnClose()
    panel.close()  # once more does no harm
    assert not controller.is_open
    assert not controller._worker.thread_alive
    assert {layer.name for layer in viewer.layers} == {"blobs", "blobs objects"}


def test_panel_opened_again_goes_on(panel, viewer) -> None:
    panel.controller.add(Click(INSIDE))
    assert panel.controller.wait()
    viewer.window.remove_dock_widget(panel)
    _, again = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert again is not panel
    assert again.controller is panel.controller
    assert again.controller.wait()
    assert again.accept.isEnabled()
    again.accept.click()
    assert viewer.layers["blobs objects"].data[30, 40] == 1


def test_hidden_dock_goes_on(panel, viewer) -> None:
    dock = next(dock for dock in viewer.window._wrapped_dock_widgets.values())
    dock.setVisible(False)
    dock.setVisible(True)
    assert panel.controller.is_open
