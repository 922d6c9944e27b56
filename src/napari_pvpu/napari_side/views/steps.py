"""What is done with an object: accept, undo, redo, reset, edit; and the way out into files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtGui import QAction
from qtpy.QtWidgets import QFileDialog, QMenu, QVBoxLayout, QWidget

from napari_pvpu.napari_side.exporting import file_filters
from napari_pvpu.napari_side.icons import draw_icon
from napari_pvpu.napari_side.views.widgets import button, in_turn, menu_entry, row

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.views.looks import Colors

__all__ = ["EDITS", "StepButtons"]

STEPS = (
    ("accept", "Accept object", "Keep this object, begin the next"),
    ("undo", "Undo", "Take the last step back"),
    ("redo", "Redo", "Make it again"),
    ("reset", "Reset", "Drop this object and its prompts"),
)
EDITS = (
    ("open_at_cursor", "Open under the mouse"),
    ("split_object", "Split along a line"),
    ("fill_holes", "Fill holes"),
    ("smooth_object", "Smooth"),
    ("grow_object", "Grow by a pixel"),
    ("shrink_object", "Shrink by a pixel"),
    ("merge_at_cursor", "Merge with the one under the mouse"),
    ("remove_small_parts", "Remove small parts…"),
    ("relabel_object", "Change its number…"),
    ("delete_object", "Delete"),
)
"""Entries of the menu Edit object, by action."""

LABELS = (
    ("adopt_labels", "Begin with a Labels layer"),
    ("keep_off_labels", "Keep off a Labels layer"),
)
"""Further entries of that menu."""


class StepButtons(QWidget):
    """Buttons for the steps, and the menus Edit object and Export."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.steps = {action: button(text, tip, action) for action, text, tip in STEPS}
        for each in self.steps.values():
            each.setObjectName("step")
        self.steps["accept"].setObjectName("accept")
        self.edit = button(
            "Edit object",
            "Alt+click on an object opens it for correction; Alt+Shift+click on another one merges "
            "the two",
        )
        self.edit.setMenu(self._edit_menu())
        self.export = button(
            "Export", "Write accepted objects to a file, measure them, or copy a script"
        )
        self.export.setMenu(self._export_menu())
        accept, *others = self.steps.values()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(accept)
        layout.addLayout(row(*others))
        layout.addLayout(row(self.edit, self.export))
        for action, each in self.steps.items():
            each.clicked.connect(in_turn(controller, action))

    def _edit_menu(self) -> QMenu:
        menu = QMenu(self)
        self.edits = {}
        for action, text in EDITS:
            entry = menu_entry(menu, text, action)
            entry.triggered.connect(in_turn(self._controller, action))
            self.edits[action] = entry
        menu.addSeparator()
        for action, text in LABELS:
            self.edits[action] = menu_entry(menu, text, action)
            self.edits[action].triggered.connect(in_turn(self._controller, action))
        return menu

    def _export_menu(self) -> QMenu:
        menu = QMenu(self)
        self._exports: dict[str, QAction] = {}
        self._below_formats = menu.addSeparator()
        self.measure = menu_entry(menu, "Measurements in napari's table", "measure")
        self.measure.triggered.connect(in_turn(self._controller, "measure"))
        self.copy = menu_entry(menu, "Copy as Python", "copy_as_python")
        self.copy.triggered.connect(in_turn(self._controller, "copy_as_python"))
        menu.aboutToShow.connect(self._offer_formats)
        return menu

    @property
    def exports(self) -> dict[str, QAction]:
        """Entries of the menu Export by the name of the format."""
        self._offer_formats()
        return self._exports

    def _offer_formats(self) -> None:
        """Put the formats into the menu, when it is opened first: they are modules of their own."""
        if self._exports:
            return
        from napari_pvpu.export import FORMATS

        menu = self.export.menu()
        for name, each in FORMATS.items():
            entry = self._exports[name] = QAction(f"{each.title}…", menu)
            entry.triggered.connect(partial(self._on_export, name))
        menu.insertActions(self._below_formats, list(self._exports.values()))
        self.render_state()

    def render_theme(self, colors: Colors) -> None:
        """Draw the icons in the theme's colours."""
        for action, each in self.steps.items():
            each.setIcon(draw_icon(action, colors.text))
        self.edit.setIcon(draw_icon("edit", colors.text))
        self.export.setIcon(draw_icon("export", colors.text))
        self.copy.setIcon(draw_icon("copy", colors.text))

    def render_state(self) -> None:
        """Show the state of the controller."""
        work, exporting = self._controller.workspace, self._controller.exporting
        self.steps["accept"].setEnabled(work is not None and work.has_object)
        self.steps["reset"].setEnabled(work is not None and work.has_object)
        self.steps["undo"].setEnabled(work is not None and work.can_undo)
        self.steps["redo"].setEnabled(work is not None and work.can_redo)
        self.edit.setEnabled(work is not None)
        some = work is not None and work.object_count > 0
        for each in self._exports.values():
            each.setEnabled(some and exporting is None)
        self.measure.setEnabled(some)
        self.copy.setEnabled(bool(self._controller.history))
        self.export.setEnabled(some or self.copy.isEnabled())

    def _on_export(self, name: str, checked: bool = False) -> None:
        from napari_pvpu.export import FORMATS

        image, suffixes = self._controller.image, FORMATS[name].suffixes
        start = f"{image.name if image is not None else 'objects'}{suffixes[0]}"
        path, _ = QFileDialog.getSaveFileName(
            self, f"Export {FORMATS[name].title}", start, file_filters()[name]
        )
        if path:
            path = path if path.lower().endswith(suffixes) else path + suffixes[0]
            self._controller.export(path, name)
