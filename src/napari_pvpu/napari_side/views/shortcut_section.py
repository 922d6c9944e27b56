"""All keys in a list, and a field to change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_pvpu.errors import PreferenceError
from napari_pvpu.napari_side.panel_keys import focus_canvas
from napari_pvpu.napari_side.shortcuts import as_shown
from napari_pvpu.napari_side.telling import sentence
from napari_pvpu.napari_side.views.widgets import button, with_tip

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["ShortcutSection"]

LIST_HEIGHT = 190
MOUSE = (
    ("Shift, Ctrl", "While drawing: other polarity"),
    ("Alt+click", "Open object"),
    ("Alt+Shift+click", "Merge objects"),
    ("Double click", "Accept object"),
)
"""What the mouse does with keys held, which cannot be changed."""


class ShortcutSection(QWidget):
    """Which key does what; the one chosen in the list can be changed below it."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller, self._shortcuts = controller, controller.shortcuts
        self._shown: dict[str, str] = {}
        self.keys = QTreeWidget()
        self.keys.setHeaderLabels(["Key", "What it does"])
        self.keys.setRootIsDecorated(False)
        self.keys.setFixedHeight(LIST_HEIGHT)
        self.keys.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.keys.setAccessibleName("Keyboard shortcuts")
        self.keys.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        with_tip(self.keys, "Choose an action, then press its new key in the field below")
        self.new = QKeySequenceEdit()
        self.new.setMaximumSequenceLength(1)
        self.new.setClearButtonEnabled(True)
        self.new.setAccessibleName("New key of the chosen action")
        with_tip(self.new, "Press the new key of the chosen action here; empty for none")
        self.defaults = button("As they come", "Give all actions the keys they come with")
        self.told = QLabel()
        self.told.setWordWrap(True)
        below = QHBoxLayout()
        below.addWidget(self.new, 1)
        below.addWidget(self.defaults)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.cursor = button(
            "Draw with the keyboard",
            "Show a cross on the canvas that arrow keys move; Space marks where it is",
            "keyboard_cursor",
        )
        self.cursor.clicked.connect(self._on_cursor)
        for widget in (self.keys, self.told, self.cursor):
            layout.addWidget(widget)
        layout.insertLayout(1, below)
        self.told.hide()
        self._items = {
            action: self._item(self._shortcuts.title(action), _told(controller, action))
            for action in self._actions
        }
        for keys, text in MOUSE:
            fixed = self._item(text, text)
            fixed.setText(0, keys)
            fixed.setDisabled(True)
        self.keys.setCurrentItem(next(iter(self._items.values())))
        self.keys.currentItemChanged.connect(self._on_choice)
        self.new.editingFinished.connect(self._on_new)
        self.defaults.clicked.connect(self._shortcuts.reset)
        self._shortcuts.changed.connect(self.render_state)

    @property
    def _actions(self) -> list[str]:
        return list(self._shortcuts.defaults)

    @property
    def chosen(self) -> str | None:
        """The action that is chosen in the list; set it to choose another."""
        current = self.keys.currentItem()
        return next((action for action, item in self._items.items() if item is current), None)

    @chosen.setter
    def chosen(self, action: str) -> None:
        self.keys.setCurrentItem(self._items[action])

    def render_state(self) -> None:
        """Show the keys as they are now."""
        keys = {action: self._shortcuts.key(action) for action in self._actions}
        if keys == self._shown:
            return
        self._shown = keys
        for action, item in self._items.items():
            item.setText(0, as_shown(keys[action]))
        self._on_choice()

    def _item(self, text: str, tip: str) -> QTreeWidgetItem:
        item = QTreeWidgetItem(["", text])
        item.setToolTip(1, tip)
        self.keys.addTopLevelItem(item)
        return item

    def _on_choice(self, *_: object) -> None:
        self.new.setEnabled(self.chosen is not None)
        key = self._shown.get(self.chosen or "", "")
        self.new.setKeySequence(QKeySequence.fromString(key))

    def _on_new(self) -> None:
        action = self.chosen
        key = self.new.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        if action is None or QKeySequence.fromString(self._shown[action]).toString() == key:
            return
        try:
            elsewhere = self._shortcuts.uses_elsewhere(key) if key else []
            self._shortcuts.set(action, key)
        except PreferenceError as error:
            self._tell(f"{sentence(error)}.")
            self._on_choice()
            return
        shown = as_shown(self._shortcuts.key(action))
        self._tell(
            f"In napari {shown} is for {', '.join(elsewhere)}: not on the layers of prompts any "
            "more, where it does this now."
            if elsewhere
            else ""
        )
        # Else the next key would be taken, too, and the way on by Tab with it.
        self.keys.setFocus()

    def _on_cursor(self) -> None:
        self._controller.keyboard_cursor()
        focus_canvas(self)

    def _tell(self, text: str) -> None:
        self.told.setText(text)
        self.told.setVisible(bool(text))


def _told(controller: Controller, action: str) -> str:
    """Return what an action does, in the words of its method."""
    return (getattr(type(controller), action).__doc__ or action).strip().split("\n")[0].rstrip(".")
