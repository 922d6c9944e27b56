"""The accepted objects as a table, with their scores, and the walk over the uncertain ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableView, QVBoxLayout, QWidget

from napari_pvpu.napari_side.views.widgets import button, in_turn, row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.records import ObjectRecord

__all__ = ["ObjectsSection"]

TABLE_HEIGHT = 150
TITLES = ("Object", "Score", "Marks", "Plane")
TIPS = (
    "Its number in the labels",
    "How well the network expects the mask to fit, 0 to 1; low ones are worth a look",
    "How many marks made it",
    "Where it was made: positions on the axes before rows and columns",
)
NO_SCORE = 2.0
"""Where objects that the network did not make are sorted."""


class Objects(QAbstractTableModel):
    """The records of a session as rows; nothing is drawn that is not on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, ObjectRecord]] = []
        self._columns = len(TITLES) - 1

    def show_records(self, records: Mapping[int, ObjectRecord]) -> None:
        """Show these, if they are others."""
        rows = list(records.items())
        if rows != self.rows:
            self.beginResetModel()
            self.rows = rows
            self._columns = len(TITLES) - (not any(record.plane for record in records.values()))
            self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many objects there are."""
        return len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return how much is told of each; the plane only if there are several."""
        return self._columns

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        """Return a column's title or what it means."""
        if orientation != Qt.Orientation.Horizontal or section >= len(TITLES):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        return TIPS[section] if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return the text of a cell, or what it is sorted by (`UserRole`)."""
        object_id, record = self.rows[index.row()]
        score, plane = record.score, record.plane
        shown = (
            str(object_id), "" if score is None else f"{score:.2f}", str(len(record.prompts)),
            ", ".join(map(str, plane)),
        )  # fmt: skip
        sorted_by = (
            object_id,
            NO_SCORE if score is None else score,
            len(record.prompts),
            str(plane),
        )
        if role == Qt.ItemDataRole.DisplayRole:
            return shown[index.column()]
        return sorted_by[index.column()] if role == Qt.ItemDataRole.UserRole else None


class ObjectsSection(QWidget):
    """Table of objects; a click brings one into view, a double click opens it."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.objects, self._sorted = Objects(), QSortFilterProxyModel()
        self._sorted.setSourceModel(self.objects)
        self._sorted.setSortRole(Qt.ItemDataRole.UserRole)
        self.table = QTableView()
        self.table.setModel(self._sorted)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
        self.table.setFixedHeight(TABLE_HEIGHT)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setToolTip("Click to see an object, double click or Enter to correct it")
        self.table.setTabKeyNavigation(False)
        header, lines = self.table.horizontalHeader(), self.table.verticalHeader()
        if header is not None and lines is not None:  # which Qt's stubs doubt
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
            lines.hide()
            lines.setDefaultSectionSize(self.fontMetrics().lineSpacing() + 6)
        self.previous = button("Previous", "Back to the one looked at before", "previous_uncertain")
        self.following = button("Next", "Open the least certain object not seen", "next_uncertain")
        self.skip = button("Skip", "Leave this object as it was, go on", "skip")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addWidget(QLabel("Uncertain ones first"))
        layout.addLayout(row(self.previous, self.following, self.skip))
        self.table.clicked.connect(self._on_click)
        self.table.activated.connect(self._on_activated)
        self.previous.clicked.connect(in_turn(controller, "previous_uncertain"))
        self.following.clicked.connect(in_turn(controller, "next_uncertain"))
        self.skip.clicked.connect(in_turn(controller, "skip"))

    def render_state(self) -> None:
        """Show the state of the controller."""
        work = self._controller.workspace
        session = work.session if work is not None else None
        count = len(session.objects) if session is not None else 0
        if self.isVisible() or not count:
            self.objects.show_records(session.objects if session is not None else {})
            self._show_target()
        for each in (self.previous, self.following):
            each.setEnabled(count > 0)
        self.skip.setEnabled(work is not None and (work.has_object or count > 0))

    def showEvent(self, event: Any) -> None:
        """Catch up with what was not drawn while this was folded away."""
        super().showEvent(event)
        self.render_state()

    def _show_target(self) -> None:
        """Mark the row of the object that edits are for."""
        target = self._controller.target
        ids = [object_id for object_id, _ in self.objects.rows]
        if target in ids:
            index = self._sorted.mapFromSource(self.objects.index(ids.index(target), 0))
            self.table.selectRow(index.row())
        else:
            self.table.clearSelection()

    def _id_of(self, index: QModelIndex) -> int:
        return self.objects.rows[self._sorted.mapToSource(index).row()][0]

    def _on_click(self, index: QModelIndex) -> None:
        self._controller.show_object(self._id_of(index))

    def _on_activated(self, index: QModelIndex) -> None:
        self._controller.show_object(self._id_of(index), opened=True)
