"""Measurements of accepted objects in napari's own table, one row for each object."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMainWindow

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.exporting import Export, prepare
from napari_pvpu.napari_side.gestures import Gestures
from napari_pvpu.napari_side.telling import tell

if TYPE_CHECKING:
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["Measuring"]

TABLE = ("napari", "Features table widget")
TABLE_TITLE = f"{TABLE[1]} ({TABLE[0]})"
TABLE_HEIGHT = 260
"""Pixels for a few rows; with fewer, most of it would be its header."""


class Measuring(Gestures):
    """Gestures, and measurements of what comes of them; see `Stage` for the parameters."""

    def measure(self) -> None:
        """Measure the accepted objects as they now are, and show them in napari's table.

        The measurements become the features of the layer of accepted objects; `wait` for them in
        a script. What is measured is told at `napari_pvpu.export.measure`.
        """
        workspace = self._workspace
        if workspace is None:
            return
        workspace.take_labels()
        try:
            wanted = prepare(workspace, "measurements", "csv")
        except PvpuError as error:
            tell(error)
            return
        done = partial(self._on_measured, workspace)
        self._worker.submit("measure", partial(_features, wanted), done, tell)
        self.changed.emit()

    def _on_measured(self, workspace: Workspace, features: dict[str, list[Any]]) -> None:
        viewer, results = self._viewer(), workspace.results
        if viewer is None or results is None or results.layer not in viewer.layers:
            return
        results.layer.features = features
        viewer.layers.selection.active = results.layer  # of which napari shows the table then
        if hasattr(viewer, "window"):
            _show_table(viewer.window)
        count = len(features["index"]) - 1
        show_info(
            f"{count} object{'s' if count != 1 else ''} measured. The table has them as they now "
            "are; measure again after changes."
        )


def _show_table(window: Any) -> None:
    """Show napari's table, below the image, where there is room for its columns."""
    known = TABLE_TITLE in window.dock_widgets
    dock, _ = window.add_plugin_dock_widget(*TABLE)
    main = dock.window()
    if not known and isinstance(main, QMainWindow):  # where it is later is the user's choice
        main.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
        main.resizeDocks([dock], [TABLE_HEIGHT], Qt.Orientation.Vertical)


def _features(wanted: Export) -> dict[str, list[Any]]:
    """Return the features of a layer; for the worker's thread."""
    from napari_pvpu.export import as_features

    return as_features(wanted.measure())
