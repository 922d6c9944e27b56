"""The feature store: where it is, how full, and a button that empties it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QProgressBar, QWidget
from superqt import QElidingLabel

from napari_pvpu.features.store_care import clear_store, look_into
from napari_pvpu.napari_side.telling import tell
from napari_pvpu.napari_side.views.widgets import button, row
from napari_pvpu.napari_side.worker import Worker

if TYPE_CHECKING:
    from napari_pvpu.features.store import FeatureStore
    from napari_pvpu.features.store_care import StoreInfo
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["StoreSection", "amount"]

OFF = (
    "Features of views are not kept on the disk: the store is off, in the preferences or by "
    "NAPARI_PVPU_CACHE."
)


class StoreSection(QWidget):
    """What is kept on the disk; looked at in a thread of its own, while it is shown.

    Parameters
    ----------
    controller : Controller
        The store is its model's.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._worker = Worker()
        self.info: StoreInfo | None = None
        """What was found last; None as long as nothing was."""
        self.folder, self.size, self.views = QElidingLabel(), QLabel(), QLabel()
        self.folder.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.off = QLabel(OFF)
        self.off.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.bar.setRange(0, 1000)
        self.clear = button(
            "Clear", "Remove all features from the disk; they are encoded again when needed"
        )
        self.refresh = button("Look again", "Look at the folder again")
        self._shown_parts = QWidget()
        form = QFormLayout(self._shown_parts)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Folder", self.folder)
        form.addRow("Size", self.size)
        form.addRow(self.bar)
        form.addRow("Views", self.views)
        form.addRow(row(self.clear, self.refresh))
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow(self.off)
        layout.addRow(self._shown_parts)
        self.clear.clicked.connect(self.clear_store)
        self.refresh.clicked.connect(self.look)
        self._render()

    @property
    def store(self) -> FeatureStore | None:
        """The store in use, or that will be; None if it is off."""
        return self._controller.store

    @property
    def busy(self) -> bool:
        """Whether the folder is being looked at or emptied."""
        return self._worker.busy

    def render_state(self) -> None:
        """Show whether there is a store; what is in it is shown by `look`."""
        self._render()

    def showEvent(self, event: object) -> None:
        self.look()

    def look(self) -> None:
        """Have the folder looked at."""
        store = self.store
        if store is not None:
            self._worker.submit("look", partial(look_into, store), self._on_found, tell)

    def clear_store(self) -> None:
        """Have all kept features removed; sessions that are open go on."""
        store = self.store
        if store is not None:
            self.clear.setEnabled(False)
            self._worker.submit("clear", partial(clear_store, store), self._on_cleared, self._fail)

    def _on_found(self, info: StoreInfo) -> None:
        self.info = info
        self._render()

    def _on_cleared(self, removed: tuple[int, int]) -> None:
        files, size = removed
        show_info(f"{files} kept view{'s' * (files != 1)} removed, {amount(size)}.")
        self.look()

    def _fail(self, error: Exception) -> None:
        tell(error)
        self.look()

    def _render(self) -> None:
        store, info = self.store, self.info
        self.off.setVisible(store is None)
        self._shown_parts.setVisible(store is not None)
        if store is None:
            return
        self.folder.setText(str(store.folder))
        trouble = f"\n{store.trouble}" if store.trouble else ""
        self.folder.setToolTip(f"{store.folder}{trouble}")
        known = info is not None and info.folder == store.folder
        self.clear.setEnabled(known and info is not None and info.size > 0 and not self.busy)
        if info is None or not known:
            self.size.setText("…")
            self.views.setText("…")
            return
        self.size.setText(f"{amount(info.size)} of {amount(info.limit)}")
        self.bar.setValue(round(1000 * min(1.0, info.size / info.limit)) if info.limit else 1000)
        kinds = "\n".join(f"{each.model}: {each.views}" for each in info.holdings)
        self.views.setText(f"{info.views:,}")
        self.views.setToolTip(kinds)


def amount(size: int) -> str:
    """Return bytes as people say them: "1.2 GB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
