"""Every step so far, as a list to go back and forth in, and the way to earlier sessions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QFileDialog,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from napari_pvpu.napari_side.views.widgets import button
from napari_pvpu.session_files import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.napari_side.controller import Controller

__all__ = ["HistorySection"]

MOST_SHOWN = 200
"""Steps that the list of the history shows, the newest."""
LIST_HEIGHT = 130


class HistorySection(QWidget):
    """Every step so far; a click on one goes there."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._shown: tuple[tuple[str, ...], int] = ((), 0)
        self.steps = QListWidget()
        self.steps.setFixedHeight(LIST_HEIGHT)
        self.steps.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.steps.setToolTip("Click on a step to go back, or forth, to where it was just done")
        self.earlier = button(
            "Earlier sessions",
            "Go on with what was done to this image before; the session at work is kept, too",
        )
        self.menu = QMenu(self)
        self.earlier.setMenu(self.menu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.steps)
        layout.addWidget(self.earlier)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.steps.itemClicked.connect(self._on_item)
        self.steps.itemActivated.connect(self._on_item)  # by Enter
        self.steps.addItem(_step("Beginning", 0))

    def render_state(self) -> None:
        """Show the state of the controller."""
        titles, position = self._controller.history, self._controller.history_position
        if (titles, position) == self._shown:
            return
        self._shown = (titles, position)
        first = max(len(titles) - MOST_SHOWN, 0)
        with QSignalBlocker(self.steps):
            self.steps.clear()
            if first == 0:
                self.steps.addItem(_step("Beginning", 0))
            for number, title in enumerate(titles[first:], start=first + 1):
                item = _step(title, number)
                if number > position:
                    item.setForeground(QColor("gray"))
                    item.setToolTip("Taken back")
                self.steps.addItem(item)
            row = position - first if first == 0 else position - first - 1
            self.steps.setCurrentRow(row)

    def _fill_menu(self) -> None:
        """List the earlier sessions as they are now, and what else there may be."""
        self.menu.clear()
        for earlier in self._controller.earlier_sessions():
            done = f": {earlier.summary}" if earlier.summary else ""
            action = self.menu.addAction(f"{earlier.left:%d %B %Y %H:%M}{done}")
            if earlier.hindrance:
                action.setText(f"{action.text()} ({earlier.hindrance})")
                action.setEnabled(False)
            action.triggered.connect(partial(self._on_earlier, earlier.path))
        if self.menu.isEmpty():
            self.menu.addAction("None of this image was left").setEnabled(False)
        self.menu.addSeparator()
        self.menu.addAction("Open a session file…").triggered.connect(self._on_open)

    def _on_earlier(self, path: Path) -> None:
        self._controller.resume(path)

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Session of this image", "", f"Sessions of napari-pvpu (*{SUFFIX})"
        )
        if path:
            self._controller.resume(path)

    def _on_item(self, item: QListWidgetItem) -> None:
        self._controller.in_turn("go_to", int(item.data(Qt.ItemDataRole.UserRole)))


def _step(title: str, position: int) -> QListWidgetItem:
    item = QListWidgetItem(title)
    item.setData(Qt.ItemDataRole.UserRole, position)
    return item
