"""The list of images in the panel "Series"."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QHeaderView, QMenu, QTreeView

from napari_pvpu.napari_side.series_rows import NAME, OBJECTS, STATES, SeriesRows

if TYPE_CHECKING:
    from qtpy.QtCore import QModelIndex, QPoint

    from napari_pvpu.series_entries import Entry

__all__ = ["SeriesList"]

FEWEST_ROWS, USUAL_ROWS = 4, 9
"""Rows that are seen at once at least, and at first: another panel needs room, too."""


class SeriesList(QTreeView):
    """Shows entries of a series; tells which one the user wants, and how one is to be marked."""

    chosen = Signal(str)
    """Name of an image to go to."""
    marked = Signal(str, object)
    """Name of an image and the state that it is to have."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = SeriesRows()
        self.setModel(self.rows)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setIconSize(QSize(16, 16))
        self.setMinimumHeight(self._height_of(FEWEST_ROWS))
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setAccessibleName("Images of the series")
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(OBJECTS, QHeaderView.ResizeMode.ResizeToContents)
        self.doubleClicked.connect(self._on_chosen)
        self.activated.connect(self._on_chosen)
        self.customContextMenuRequested.connect(self._on_menu)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self._height_of(USUAL_ROWS))

    def _height_of(self, rows: int) -> int:
        return (self.fontMetrics().lineSpacing() + 2) * (rows + 1) + 8

    def show_entries(self, entries: tuple[Entry, ...], at_work: str | None) -> None:
        """Show entries, and select the one at work."""
        self.rows.show_entries(entries, at_work)
        wanted = self.rows.row_of(at_work) if at_work is not None else -1
        if wanted >= 0 and wanted != self.currentIndex().row():
            index = self.rows.index(wanted, NAME)
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def menu_of(self, entry: Entry) -> QMenu:
        """Return what can be done with an image."""
        menu = QMenu(self)
        menu.addAction("Open").triggered.connect(partial(self._choose, entry.name))
        menu.addSeparator()
        for state, text in STATES.items():
            action = menu.addAction(f"Mark as {text}")
            action.setEnabled(state is not entry.state)
            action.triggered.connect(partial(self._mark, entry.name, state))
        return menu

    def _choose(self, name: str, checked: bool = False) -> None:
        self.chosen.emit(name)

    def _mark(self, name: str, state: Any, checked: bool = False) -> None:
        self.marked.emit(name, state)

    def _on_chosen(self, index: QModelIndex) -> None:
        entry = self.rows.entry(index)
        if entry is not None:
            self.chosen.emit(entry.name)

    def _on_menu(self, where: QPoint) -> None:
        entry = self.rows.entry(self.indexAt(where))
        if entry is not None:
            menu = self.menu_of(entry)
            menu.exec(self.viewport().mapToGlobal(where))
            menu.deleteLater()
