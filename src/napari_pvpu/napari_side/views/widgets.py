"""Buttons, choices and rows as the panel's views use them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QButtonGroup, QComboBox, QHBoxLayout, QPushButton, QWidget

from napari_pvpu.napari_side.controller import KEYS

__all__ = ["button", "check", "combo", "fill", "row", "shortcut", "tooltip"]


def button(text: str, tip: str, action: str | None = None) -> QPushButton:
    """Return a button with a tooltip, which names the key of an action."""
    made = QPushButton(text)
    made.setToolTip(tooltip(tip, action) if action else tip)
    # The keyboard stays with the canvas after a click on a button.
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made


def combo(tip: str) -> QComboBox:
    """Return a choice that does not become wide with what it offers, as layers with long names."""
    made = QComboBox()
    made.setToolTip(tip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    return made


def row(*widgets: QWidget) -> QHBoxLayout:
    """Put widgets side by side, all of one width."""
    layout = QHBoxLayout()
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget, 1)
    return layout


def fill(choice: QComboBox, rows: list[tuple[str, Any]], index: int) -> None:
    """Show these (text, data) rows with one of them chosen, without any signal."""
    with QSignalBlocker(choice):
        if rows != [(choice.itemText(i), choice.itemData(i)) for i in range(choice.count())]:
            choice.clear()
            for text, data in rows:
                choice.addItem(text, data)
        choice.setCurrentIndex(index)


def check(group: QButtonGroup, pressed: QPushButton | None) -> None:
    """Press one button of a group, or none."""
    group.setExclusive(False)
    for other in group.buttons():
        other.setChecked(other is pressed)
    group.setExclusive(True)


def tooltip(text: str, action: str) -> str:
    """Return a text with the key of an action behind it."""
    return f"{text} ({shortcut(action)})"


def shortcut(action: str) -> str:
    """Return the key of an action as this machine writes it."""
    keys = KEYS[action].replace("Control", "Ctrl").replace("-", "+")
    return QKeySequence.fromString(keys).toString(QKeySequence.SequenceFormat.NativeText)
