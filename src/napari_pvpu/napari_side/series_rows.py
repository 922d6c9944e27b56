"""The images of a series as a table of Qt: name with a sign of its state, and objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from napari_pvpu.napari_side.icons import draw_icon
from napari_pvpu.series_entries import State

if TYPE_CHECKING:
    from qtpy.QtGui import QIcon

    from napari_pvpu.series_entries import Entry

__all__ = ["NAME", "OBJECTS", "SeriesRows"]

NAME, OBJECTS = range(2)
TITLES = ("Image", "Objects")
TROUBLE = "trouble"
STATES = {
    State.UNTOUCHED: "not begun",
    State.BEGUN: "begun",
    State.DONE: "done",
    State.SKIPPED: "skipped",
}
"""What states are called."""


class SeriesRows(QAbstractTableModel):
    """Shows entries of a series; only what has changed is drawn anew."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[Entry, ...] = ()
        self._current: str | None = None
        self._icons: dict[str, QIcon] = {}

    def show_entries(self, entries: tuple[Entry, ...], current: str | None) -> None:
        """Show entries, with the one at work in bold."""
        before, self._entries = self._entries, entries
        was, self._current = self._current, current
        if [entry.name for entry in before] != [entry.name for entry in entries]:
            self.beginResetModel()
            self.endResetModel()
            return
        for row, (old, new) in enumerate(zip(before, entries, strict=True)):
            if old != new or (was != current and new.name in (was, current)):
                self.dataChanged.emit(self.index(row, NAME), self.index(row, OBJECTS))

    def show_colors(self, text: str, done: str, trouble: str) -> None:
        """Draw the signs of states in colours of the theme."""
        colors = dict.fromkeys((state.value for state in State), text)
        colors |= {State.DONE.value: done, TROUBLE: trouble}
        self._icons = {name: draw_icon(f"image-{name}", color) for name, color in colors.items()}
        if self._entries:
            last = self.index(len(self._entries) - 1, OBJECTS)
            self.dataChanged.emit(self.index(0, NAME), last)

    def entry(self, index: QModelIndex) -> Entry | None:
        """Return what a row shows."""
        return self._entries[index.row()] if index.isValid() else None

    def row_of(self, name: str) -> int:
        """Return the row of an image; -1 if there is none of that name."""
        names = (row for row, entry in enumerate(self._entries) if entry.name == name)
        return next(names, -1)

    # What Qt asks for

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._entries)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return len(TITLES)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry, column = self._entries[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.name if column == NAME else _count(entry)
        if role == Qt.ItemDataRole.DecorationRole and column == NAME:
            return self._icons.get(TROUBLE if entry.trouble else entry.state.value)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return told(entry)
        if role == Qt.ItemDataRole.FontRole and entry.name == self._current:
            return self._bold()
        if role == Qt.ItemDataRole.TextAlignmentRole and column == OBJECTS:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def _bold(self) -> Any:
        from qtpy.QtGui import QFont

        font = QFont()
        font.setBold(True)
        return font


def told(entry: Entry) -> str:
    """Say what has become of an image, for instance "img1.tif: begun, 3 objects"."""
    count = f"{entry.objects} object{'s' * (entry.objects != 1)}"
    text = f"{entry.name}: {STATES[entry.state]}, {count}"
    return f"{text}\n{entry.trouble}" if entry.trouble else text


def _count(entry: Entry) -> str:
    """Return the number of objects; nothing for what has not been looked at or is left out."""
    silent = entry.state in (State.UNTOUCHED, State.SKIPPED) and not entry.objects
    return "" if silent else str(entry.objects)
