"""The dock panel "Series": a list of images, how far one has come, and buttons to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QDockWidget,
    QFileDialog,
    QFormLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_pvpu.errors import PvpuError
from napari_pvpu.export import FORMATS
from napari_pvpu.napari_side.icons import draw_icon
from napari_pvpu.napari_side.series_list import SeriesList
from napari_pvpu.napari_side.series_recent import recent_series
from napari_pvpu.napari_side.telling import sentence, tell
from napari_pvpu.napari_side.views.docked import Docked
from napari_pvpu.napari_side.views.looks import colors_of, style_sheet
from napari_pvpu.napari_side.views.widgets import button, combo, fill, row, tell_keys
from napari_pvpu.series import RESULTS

__all__ = ["SeriesPanel"]

NARROWEST = 260
LONGEST_NAME = 22
"""Letters of a folder's name that a button has room for."""

WELCOME = (
    "Open a folder of images, or choose files, to annotate them one after another. Labels are "
    "saved as you go; you can stop at any time and go on later."
)
PICTURES = "Images (*.tif *.tiff *.png *.jpg *.jpeg *.webp *.bmp *.npy);;All files (*)"


class SeriesPanel(Docked):
    """A view of `Controller.series`, usable at a width of 260 pixels.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        napari passes it because of the parameter's name.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.desk = self.controller.series
        self._build()
        self._lay_out()
        self._connect()
        self._on_theme()
        self._tell_keys()
        self._render()

    # Building

    def _build(self) -> None:
        self.setMinimumWidth(NARROWEST)
        self.open_folder = button("Open folder…", "Annotate all images of a folder")
        self.open_files = button("Open files…", "Annotate the images that you choose")
        self.welcome = QLabel(WELCOME)
        self.welcome.setObjectName("hint")
        self.welcome.setWordWrap(True)
        self.again = button("", "Go on with the series that you worked on last")
        self.folder = QElidingLabel()
        self.folder.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.format = combo("Format in which labels are saved from now on")
        fill(self.format, [(each.title, name) for name, each in FORMATS.items()], 0)
        self.bar, self.progress = QProgressBar(), QLabel()
        self.bar.setTextVisible(False)
        self.progress.setWordWrap(True)
        self.bar.setFixedHeight(8)
        self.list = SeriesList()
        self.done = button(
            "Done, next image", "This image is done: go to the next unfinished one", "done_image"
        )
        self.done.setObjectName("accept")
        self.previous = button("Back", "Go to the image before", "previous_image")
        self.next = button("Next", "Go to the next image, this one stays unfinished", "next_image")
        self.skip = button(
            "Skip", "Leave this image out: go to the next unfinished one", "skip_image"
        )
        self.hint = QLabel()
        self.hint.setObjectName("hint")
        self.hint.setWordWrap(True)

    def _lay_out(self) -> None:
        self._body = QWidget()
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Images", self.folder)
        form.addRow("Saved as", self.format)
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addLayout(form)
        body.addWidget(self.list, 1)
        body.addWidget(self.progress)
        body.addWidget(self.bar)
        body.addWidget(self.done)
        body.addLayout(row(self.previous, self.next, self.skip))
        body.addWidget(self.hint)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5, 8, 5, 8)
        layout.setSpacing(6)
        layout.addLayout(row(self.open_folder, self.open_files))
        layout.addWidget(self.welcome)
        layout.addWidget(self.again)
        layout.addWidget(self._body, 1)
        layout.addStretch(0)

    def _connect(self) -> None:
        desk = self.desk
        desk.changed.connect(self._render)
        self.controller.shortcuts.changed.connect(self._tell_keys)
        self.open_folder.clicked.connect(self._on_open_folder)
        self.open_files.clicked.connect(self._on_open_files)
        self.again.clicked.connect(self._on_again)
        self.format.activated.connect(self._on_format)
        self.list.chosen.connect(desk.go_to)
        self.list.marked.connect(desk.mark)
        self.done.clicked.connect(desk.done_image)
        self.previous.clicked.connect(desk.previous_image)
        self.next.clicked.connect(desk.next_image)
        self.skip.clicked.connect(desk.skip_image)
        viewer = self.controller.viewer
        if viewer is not None:
            viewer.events.theme.connect(self._on_theme)

    # What the user does

    def open(self, images: Any) -> None:
        """Open a folder or files, with the panel to segment them; tell if that cannot be done."""
        try:
            self.desk.open(images)
        except PvpuError as error:
            tell(error)
            return
        self._show_segment()

    def _show_segment(self) -> None:
        """Open the panel to segment with, if it is not there, and leave it the room it needs."""
        viewer = self.controller.viewer
        if viewer is None or len(self.controller.panels) > 1:
            return
        try:
            other, _ = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
        except (KeyError, ValueError):
            return  # in a script that only imports the package: napari does not know it then
        ours, main = self.parentWidget(), self.window()
        while ours is not None and not isinstance(ours, QDockWidget):
            ours = ours.parentWidget()
        if ours is not None and isinstance(main, QMainWindow):
            heights = [self.sizeHint().height(), main.height()]
            main.resizeDocks([ours, other], heights, Qt.Orientation.Vertical)

    def _on_open_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of images", self._start())
        if chosen:
            self.open(chosen)

    def _on_open_files(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Images", self._start(), PICTURES)
        if chosen:
            self.open(chosen)

    def _on_again(self) -> None:
        for results in recent_series()[:1]:
            self.open(results)

    def _start(self) -> str:
        series = self.desk.series
        return str(series.base) if series is not None else ""

    def _on_format(self, index: int) -> None:
        self.desk.set_format(self.format.itemData(index))

    # Showing

    def _render(self) -> None:
        """Show the state of the desk."""
        series, entry = self.desk.series, self.desk.entry
        self.welcome.setVisible(series is None)
        self._body.setVisible(series is not None)
        if series is None:
            self.list.show_entries((), None)
            self._offer_recent()
            return
        self.again.hide()
        self.folder.setText(series.base.name)
        self.folder.setToolTip(f"Images: {series.base}\nLabels: {series.results}")
        self.format.setCurrentIndex(self.format.findData(series.format_name))
        at_work = self.desk.reading or (entry.name if entry is not None else None)
        self.list.show_entries(series.entries, at_work)
        progress = series.progress
        objects = sum(each.objects for each in series.entries)
        self.progress.setText(f"{progress} · {objects} object{'s' * (objects != 1)}")
        with QSignalBlocker(self.bar):
            self.bar.setRange(0, progress.total)
            self.bar.setValue(progress.done + progress.skipped)
        for each in (self.done, self.skip):
            each.setEnabled(entry is not None)
        place = series.place(at_work) if at_work is not None else -1
        self.previous.setEnabled(place > 0)
        self.next.setEnabled(0 <= place < len(series) - 1)
        self.hint.setText(self._next_step())

    def _offer_recent(self) -> None:
        """Name the series worked on last, by the folder of its images."""
        results = next(iter(recent_series()), None)
        self.again.setVisible(results is not None)
        if results is not None:
            folder = results.parent if results.name == RESULTS else results
            self.again.setText(f"Go on with “{_short(folder.name)}”")
            self.again.setToolTip(f"Go on with the series that you worked on last: {folder}")

    def _next_step(self) -> str:
        """Say in a sentence what is going on, or what to do now."""
        desk = self.desk
        series, entry = desk.series, desk.entry
        assert series is not None
        if desk.trouble is not None:
            return f"Not saved: {desk.trouble}. Nothing is lost: do that, then go on."
        if desk.reading is not None:
            return f"Reading {Path(desk.reading).name}…"
        if entry is None:
            left = series.next_unfinished()
            return "Double-click an image to work on it." if left else "Everything is done."
        if entry.trouble is not None:
            return f"{sentence(PvpuError(entry.trouble))}."
        if desk.saving:
            return f"Saving the labels of {Path(entry.name).name}…"
        if desk.unsaved:
            return "New objects are saved in a moment."
        saved = f"Saved: {entry.labels.name}. " if entry.saved is not None else ""
        return f"{saved}Mark the objects with the panel “Segment”, then press “Done”."

    def _tell_keys(self) -> None:
        tell_keys(self, self.controller.shortcuts)

    def _on_theme(self, event: Any = None) -> None:
        viewer = self.controller.viewer
        if viewer is None:
            return
        colors = colors_of(viewer)
        warning = get_theme(viewer.theme).warning.as_hex("long")
        self.setStyleSheet(style_sheet(colors))
        self.list.rows.show_colors(colors.text, colors.text, warning)
        for each, name in ((self.open_folder, "folder"), (self.open_files, "picture")):
            each.setIcon(draw_icon(name, colors.text))
        for each, name in (
            (self.done, "image-done"), (self.previous, "previous"), (self.next, "next"),
            (self.skip, "image-skipped"),
        ):  # fmt: skip
            each.setIcon(draw_icon(name, colors.text))

    # The end

    def let_go(self) -> None:
        """Disconnect from the viewer and the controller."""
        viewer = self.controller.viewer
        if viewer is not None:
            viewer.events.theme.disconnect(self._on_theme)
        self.desk.changed.disconnect(self._render)
        self.controller.shortcuts.changed.disconnect(self._tell_keys)
        self.desk.save()


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
