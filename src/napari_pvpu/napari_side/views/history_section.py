"""Every step so far, as a list to go back and forth in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

if TYPE_CHECKING:
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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.steps)
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

    def _on_item(self, item: QListWidgetItem) -> None:
        self._controller.in_turn("go_to", int(item.data(Qt.ItemDataRole.UserRole)))


def _step(title: str, position: int) -> QListWidgetItem:
    item = QListWidgetItem(title)
    item.setData(Qt.ItemDataRole.UserRole, position)
    return item
