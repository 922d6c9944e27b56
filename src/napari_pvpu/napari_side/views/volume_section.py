"""Objects over planes and frames: carrying them, how sure each plane is, and tracks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_pvpu.export.track_formats import TRACK_FORMATS
from napari_pvpu.napari_side.views.confidence_strip import ConfidenceStrip
from napari_pvpu.napari_side.views.widgets import button, combo, fill, in_turn, menu_entry, row

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.views.looks import Colors

__all__ = ["VolumeSection"]

NAMES = {"Z": "Z (depth)", "T": "T (time)"}


class VolumeSection(QWidget):
    """Carries the object to other planes, and shows what speaks for it in each."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.axis = combo("Axis that objects are carried along")
        self.first, self.last = (
            _bound("start", "First plane that is filled"),
            _bound("end", "Last plane that is filled"),
        )
        self.back = button(
            "◀ Back", "Carry the object to the planes before this one", "propagate_back"
        )
        self.both = button("Both ways", "Carry the object to the planes on both sides", "propagate")
        self.forward = button(
            "Forward ▶", "Carry the object to the planes after this one", "propagate_forward"
        )
        self.join = button(
            "Add to object",
            "Keep what is marked here as part of the object touched last, in this plane",
            "accept_into",
        )
        self.end = button("Ends here", "The object is not in this plane: it ends here", "end_here")
        self.follows = QCheckBox("Corrections reach other planes")
        self.follows.setToolTip(
            "Accepting a correction in one plane carries the object anew to the planes around it"
        )
        self.follows.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.strip = ConfidenceStrip()
        self.said = QLabel()
        self.said.setWordWrap(True)
        self._build_progress()
        self._build_time()
        self._lay_out()
        self._connect()

    # Building

    def _build_progress(self) -> None:
        self.progress = QWidget()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(14)
        self.stop = button("Stop", "Stop here, and keep the planes done so far")
        self.cancel = button("Cancel", "Leave everything as it was")
        layout = QHBoxLayout(self.progress)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.bar, 1)
        layout.addWidget(self.stop)
        layout.addWidget(self.cancel)

    def _build_time(self) -> None:
        self.time = QWidget()
        self.divide = button(
            "Divides",
            "The two objects that begin in this frame are daughters of one that was there before",
            "divide_here",
        )
        self.lose = button(
            "Lost", "The object is lost: from this frame on it is not there", "lose_here"
        )
        self.tracks = QPushButton("Tracks")
        self.tracks.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.tracks.setToolTip("Show the objects as tracks, or write them to a folder")
        menu = QMenu(self)
        self.show_tracks = menu_entry(menu, "Show as a layer", "show_tracks")
        self.exports = {}
        for name, each in TRACK_FORMATS.items():
            self.exports[name] = menu.addAction(f"Export as {each.title}…")
            self.exports[name].triggered.connect(partial(self._on_export, name))
        self.tracks.setMenu(menu)
        layout = QVBoxLayout(self.time)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(self.divide, self.lose, self.tracks))

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Along", self.axis)
        form.addRow("Range", row(self.first, self.last))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(form)
        layout.addLayout(row(self.back, self.both, self.forward))
        layout.addLayout(row(self.join, self.end))
        layout.addWidget(self.time)
        layout.addWidget(self.follows)
        layout.addWidget(self.progress)
        layout.addWidget(self.strip)
        layout.addWidget(self.said)

    def _connect(self) -> None:
        controller = self._controller
        self.back.clicked.connect(in_turn(controller, "propagate_back"))
        self.both.clicked.connect(in_turn(controller, "propagate"))
        self.forward.clicked.connect(in_turn(controller, "propagate_forward"))
        self.join.clicked.connect(in_turn(controller, "accept_into"))
        self.end.clicked.connect(in_turn(controller, "end_here"))
        self.stop.clicked.connect(controller.stop_propagation)
        self.cancel.clicked.connect(controller.cancel_propagation)
        self.divide.clicked.connect(in_turn(controller, "divide_here"))
        self.lose.clicked.connect(in_turn(controller, "lose_here"))
        self.show_tracks.triggered.connect(in_turn(controller, "show_tracks"))
        self.strip.chosen.connect(controller.go_to_position)
        self.follows.toggled.connect(self._on_follows)
        self.axis.activated.connect(self._on_axis)
        self.first.valueChanged.connect(self._on_range)
        self.last.valueChanged.connect(self._on_range)

    # What the user does

    def _on_axis(self, index: int) -> None:
        self._controller.axis = self.axis.itemData(index)

    def _on_follows(self, on: bool) -> None:
        self._controller.follows_corrections = on

    def _on_range(self) -> None:
        bounds = [each.value() if each.value() >= 0 else None for each in (self.first, self.last)]
        self._controller.carry_range = (bounds[0], bounds[1])

    def _on_export(self, name: str, checked: bool = False) -> None:
        image, suffixes = self._controller.image, TRACK_FORMATS[name].suffixes
        start = f"{image.name if image is not None else 'tracks'}{suffixes[0]}"
        path, _ = QFileDialog.getSaveFileName(self, f"Export {TRACK_FORMATS[name].title}", start)
        if path:
            path = path if path.endswith(suffixes) else path + suffixes[0]
            self._controller.export_tracks(path, name)

    # Showing

    def render_state(self) -> None:
        """Show the state of the controller."""
        controller, way = self._controller, self._controller.under_way
        axes, axis = controller.axes, controller.axis
        usable = axis is not None and controller.session_known
        fill(self.axis, [(NAMES.get(each, each), each) for each in axes], axes.find(axis or "?"))
        self.axis.setEnabled(len(axes) > 1)
        for bound in (self.first, self.last):
            with QSignalBlocker(bound):
                bound.setMaximum(max(controller.length - 1, 0))
            bound.setEnabled(usable)
        target = controller.target
        ready = usable and way is None and (target is not None or controller.has_object)
        for each in (self.back, self.both, self.forward):
            each.setEnabled(ready)
        self.join.setEnabled(usable and target is not None and controller.has_object)
        for each in (self.end, self.lose):
            each.setEnabled(usable and target is not None and way is None)
        with QSignalBlocker(self.follows):
            self.follows.setChecked(controller.follows_corrections)
        self.follows.setEnabled(usable)
        self.progress.setVisible(way is not None)
        self.time.setVisible("T" in axes)
        known = controller.confidences
        if way is not None:
            self.bar.setRange(0, way.total)
            self.bar.setValue(way.done)
            known = {**known, **way.confidences}
        ends = controller.ends
        self.strip.show_planes(known, controller.length, controller.position, ends)
        self.strip.setVisible(bool(known))
        self.end.setText("No end here" if controller.position in ends else "Ends here")
        self.said.setText(_said(target, known, axis, controller.has_object))

    def render_theme(self, colors: Colors) -> None:
        """Follow napari's theme."""
        self.strip.set_colors(colors)


def _bound(word: str, tip: str) -> QSpinBox:
    """Return a field for one end of the range, with a word for no bound."""
    made = QSpinBox()
    made.setRange(-1, 0)
    made.setSpecialValueText(word)
    made.setValue(-1)
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made


def _said(
    target: int | None, known: dict[int, float | None], axis: str | None, at_work: bool
) -> str:
    """Say in a line where an object is and where it is least sure."""
    if axis is None:
        return "Nothing to carry: the image has one plane, or is shown in 3D."
    if at_work and not known:
        return "Accept the object, or carry it at once: that accepts it."
    if target is None or not known:
        return "Mark an object in one plane, then carry it to the others."
    what = "frames" if axis == "T" else "planes"
    sure = {at: value for at, value in known.items() if value is not None}
    if len(known) == 1 and known == dict.fromkeys(known):
        return f"Object {target}: annotated in {what[:-1]} {min(known)}. Carry it to the others."
    words = f"Object {target}: {what} {min(known)} to {max(known)}"
    if len(known) < max(known) - min(known) + 1:
        words += ", with gaps"
    if not sure:
        return f"{words}, all annotated."
    least = min(sure, key=lambda at: sure[at])
    return f"{words}. Least sure in {least}: {100 * sure[least]:.0f} %."
