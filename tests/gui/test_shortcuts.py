"""Keys of actions: how they are written, changed, told of, and what they do after that."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_pvpu import Click
from napari_pvpu.errors import PreferenceError
from napari_pvpu.napari_side.controller import KEYS
from napari_pvpu.napari_side.shortcuts import normal

pytestmark = pytest.mark.gui

INSIDE = (30.0, 40.0)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("Control-Shift-Z", "Ctrl+Shift+Z", id="napari's old way"),
        pytest.param("Ctrl+Return", "Ctrl+Enter", id="Qt's word"),
        pytest.param("PgDown", "PageDown", id="Qt's short word"),
        pytest.param("q", "Q", id="small letter"),
        pytest.param("-", "-", id="the sign between keys"),
        pytest.param("Ctrl+-", "Ctrl+-", id="the sign between keys, with another"),
        pytest.param("  ", "", id="none"),
    ],
)
def test_a_key_is_written_in_one_way(written, meant) -> None:
    assert normal(written) == meant


@pytest.mark.parametrize("text", ["wombat", "Ctrl+", "Shift", "Q, W", "Ctrl+K Ctrl+C"])
def test_what_is_no_key_is_refused(text) -> None:
    with pytest.raises(PreferenceError, match="there is no key"):
        normal(text)


def test_list_in_the_panel_has_every_action(panel) -> None:
    section = panel.sections["shortcuts"]
    assert set(section._items) == set(KEYS)
    rows = {item.text(0): item.text(1) for item in section._items.values()}
    keys = [key for key in KEYS.values() if key]
    assert len(rows) == len(keys) + 1, "one each, and those without"
    assert rows["W"] == "Box tool"
    assert all(item.toolTip(1) for item in section._items.values())


def test_changed_key_works_at_once_and_the_old_one_no_more(panel, mouse) -> None:
    controller, section = panel.controller, panel.sections["shortcuts"]
    panel.folds["shortcuts"].expand(animate=False)
    section.chosen = "toggle_value_propagation"
    QTest.keyClick(section.new, Qt.Key.Key_F6)
    section.new.editingFinished.emit()
    assert controller.shortcuts.key("toggle_value_propagation") == "F6"
    assert section._items["toggle_value_propagation"].text(0) == "F6"
    assert panel.propagation.toolTip().endswith("(F6)")
    mouse.press_key(Qt.Key.Key_F6)
    assert controller.value_propagation
    mouse.press_key(Qt.Key.Key_M)
    assert controller.value_propagation
    section.defaults.click()
    mouse.press_key(Qt.Key.Key_M)
    assert not controller.value_propagation
    assert panel.propagation.toolTip().endswith("(M)")


def test_changed_key_is_remembered_by_napari(panel) -> None:
    from napari.settings import get_plugin_settings

    panel.controller.shortcuts.set("use_boxes", "F7")
    page = get_plugin_settings("napari-pvpu").shortcuts
    assert page.use_boxes_key == "F7"
    page.use_boxes_key = "F8"  # as the preferences page does
    assert panel.controller.shortcuts.key("use_boxes") == "F8"
    assert panel.tools[panel.controller.tool.BOX].toolTip().endswith("(F8)")


def test_nonsense_on_the_preferences_page_counts_as_the_key_it_comes_with(panel) -> None:
    panel.controller.preferences.set("shortcuts.use_boxes_key", "wombat")
    assert panel.controller.shortcuts.key("use_boxes") == "W"


def test_key_of_another_action_is_refused_and_told(panel) -> None:
    section = panel.sections["shortcuts"]
    section.chosen = "use_boxes"
    section.new.setKeySequence("Q")
    section.new.editingFinished.emit()
    assert section.told.text().startswith("Q is the key for “Click tool” already")
    assert section.new.keySequence().toString() == "W"
    assert panel.controller.shortcuts.key("use_boxes") == "W"


def test_key_of_napari_s_is_taken_and_told(panel) -> None:
    section = panel.sections["shortcuts"]
    section.chosen = "use_boxes"
    section.new.setKeySequence("V")
    section.new.editingFinished.emit()
    assert "toggle selected visibility" in section.told.text()
    assert panel.controller.shortcuts.key("use_boxes") == "V"


def test_action_may_have_no_key(panel, mouse) -> None:
    section = panel.sections["shortcuts"]
    section.chosen = "reset"
    section.new.clear()
    section.new.editingFinished.emit()
    assert panel.controller.shortcuts.key("reset") == ""
    assert panel.reset.toolTip() == "Drop this object and its prompts"
    panel.controller.add(Click(INSIDE))
    assert panel.controller.wait()
    mouse.press_key(Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert panel.accept.isEnabled()


def test_action_that_comes_without_a_key_can_be_given_one(panel, mouse) -> None:
    controller, section = panel.controller, panel.sections["shortcuts"]
    panel.folds["shortcuts"].expand(animate=False)
    section.chosen = "toggle_uncertainty"
    assert section._items["toggle_uncertainty"].text(0) == ""
    assert section.new.keySequence().toString() == ""
    QTest.keyClick(section.new, Qt.Key.Key_F6)
    section.new.editingFinished.emit()
    mouse.press_key(Qt.Key.Key_F6)
    assert controller.overlay("uncertainty")
    assert panel.mask.overlays["uncertainty"].toolTip().endswith("(F6)")
    mouse.press_key(Qt.Key.Key_F6)
    assert not controller.overlay("uncertainty")
    section.defaults.click()
    assert controller.shortcuts.key("toggle_uncertainty") == ""
    assert panel.step_buttons.measure.text() == "Measurements in napari's table"


def test_tab_stays_the_way_to_the_next_part(panel) -> None:
    with pytest.raises(PreferenceError, match="choose another key"):
        panel.controller.shortcuts.set("use_boxes", "Tab")


def test_field_for_the_new_key_lets_go_of_the_keyboard(panel, qtbot) -> None:
    section = panel.sections["shortcuts"]
    panel.folds["shortcuts"].expand(animate=False)
    section.chosen = "use_boxes"
    panel.window().activateWindow()
    section.new.setFocus()
    QTest.keyClick(section.new, Qt.Key.Key_F9)
    section.new.editingFinished.emit()
    assert QApplication.focusWidget() in (None, section.keys)
    assert panel.controller.shortcuts.key("use_boxes") == "F9"
