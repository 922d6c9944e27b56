"""Buttons, choices and rows as the panel's views use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QScrollArea,
    QWidget,
)

from napari_pvpu.napari_side.shortcuts import as_shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.shortcuts import Shortcuts

__all__ = [
    "Scrolled",
    "button",
    "check",
    "combo",
    "fill",
    "in_turn",
    "menu_entry",
    "row",
    "tell_keys",
    "with_tip",
]


def button(text: str, tip: str, action: str | None = None) -> QPushButton:
    """Return a button with a tooltip, which names the key of an action."""
    made = QPushButton(text)
    with_tip(made, tip, action)
    # The keyboard stays with the canvas after a click on a button.
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made


def in_turn(controller: Controller, action: str) -> Callable[..., None]:
    """Return what a button or an entry does for an action, whatever its signal tells."""
    return lambda *_: controller.in_turn(action)


def with_tip(part: QWidget, tip: str, action: str | None = None) -> None:
    """Give a widget a tooltip, to which `tell_keys` adds the key of an action."""
    part.setToolTip(tip)
    part.setAccessibleDescription(tip)
    part.setProperty("tip", tip)
    part.setProperty("action", action)


def menu_entry(menu: QMenu, text: str, action: str | None = None) -> QAction:
    """Add an entry to a menu, to which `tell_keys` adds the key of an action."""
    entry = menu.addAction(text)
    entry.setProperty("tip", text)
    entry.setProperty("action", action)
    return entry


def tell_keys(root: QWidget, shortcuts: Shortcuts) -> None:
    """Show the keys of actions, as they are now, in all tooltips and menus of a widget."""
    for part in (*root.findChildren(QWidget), *root.findChildren(QAction)):
        action = part.property("action")
        if not action:
            continue
        tip, key = part.property("tip"), as_shown(shortcuts.key(action))
        if isinstance(part, QAction):
            part.setText(f"{tip}\t{key}" if key else tip)
        else:
            part.setToolTip(f"{tip} ({key})" if key else tip)


def combo(tip: str) -> QComboBox:
    """Return a choice that does not become wide with what it offers, as layers with long names."""
    made = QComboBox()
    with_tip(made, tip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    return made


class Scrolled(QScrollArea):
    """Scrolls a widget up and down, and is always wide enough for it beside the scroll bar."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setObjectName("scrolled")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Tell the panel when the content has become wider or narrower."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def minimumSizeHint(self) -> QSize:
        """Leave nothing cut off at the side."""
        bar = self.verticalScrollBar().sizeHint().width()
        width = self.widget().minimumSizeHint().width() + bar
        return QSize(width, super().minimumSizeHint().height())


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
