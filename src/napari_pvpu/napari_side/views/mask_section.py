"""Settings of the mask, what is shown over it, and whose contested pixels are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QWidget
from superqt import QLabeledDoubleSlider, QLabeledSlider

from napari_pvpu.napari_side.overlay_layers import HINT, PROBABILITY, UNCERTAINTY
from napari_pvpu.napari_side.views.widgets import button, in_turn, with_tip

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["MaskSection"]

OVERLAPS = {
    "keep": "older object's",
    "overwrite": "newer object's",
    "ask": "ask each time",
}
SHOWN = {
    PROBABILITY: (
        "Show probability",
        "How sure the network is that a pixel is the object's",
        "toggle_probability",
    ),
    UNCERTAINTY: (
        "Show uncertainty",
        "Bright where the network cannot decide",
        "toggle_uncertainty",
    ),
    HINT: (
        "Show where to click next",
        "A ring where a mark would tell most: blue for positive",
        "toggle_next_click",
    ),
}
"""What can be shown over the object, with a tooltip and the action that does so."""


class MaskSection(QWidget):
    """Settings of the mask that need no network, and whose contested pixels are."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.smoothing = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.smoothing.setRange(0.0, 10.0)
        self.smoothing.setSingleStep(0.1)  # type: ignore[arg-type]  # its stubs are the int slider's
        self.smoothing.setDecimals(1)
        self.smoothing.setToolTip("Make the outline even, at this many pixels")
        self.min_size = QLabeledSlider(Qt.Orientation.Horizontal)
        self.min_size.setRange(0, 1000)
        self.min_size.setToolTip("Leave out parts of fewer pixels; the largest always stays")
        self.overlap = QComboBox()
        for name, text in OVERLAPS.items():
            self.overlap.addItem(text, name)
        self.overlap.setToolTip("Whose a pixel is that two objects claim")
        self.overlap.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.overlap.setMinimumContentsLength(6)
        self.overlays = {name: QCheckBox(text) for name, (text, _, _) in SHOWN.items()}
        self.best = button(
            "Return to best mask",
            "Take the mask, so far, that agrees best with all marks",
            "return_to_best",
        )
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Smoothing", self.smoothing)
        form.addRow("Smallest part", self.min_size)
        form.addRow("Shared pixels", self.overlap)
        for name, box in self.overlays.items():
            with_tip(box, *SHOWN[name][1:])
            box.toggled.connect(partial(controller.show_overlay, name))
            form.addRow(box)
        form.addRow(self.best)
        self.best.clicked.connect(in_turn(controller, "return_to_best"))
        self.smoothing.valueChanged.connect(self._on_smoothing)
        self.min_size.valueChanged.connect(self._on_min_size)
        self.overlap.activated.connect(self._on_overlap)

    def render_state(self) -> None:
        """Show the state of the controller."""
        controller = self._controller
        with QSignalBlocker(self.smoothing), QSignalBlocker(self.min_size):
            self.smoothing.setValue(controller.smoothing)
            self.min_size.setValue(controller.min_size)
        self.overlap.setCurrentIndex(self.overlap.findData(controller.overlap))
        for name, box in self.overlays.items():
            with QSignalBlocker(box):
                box.setChecked(controller.overlay(name))
            box.setEnabled(controller.workspace is not None)
        work = controller.workspace
        self.best.setEnabled(work is not None and work.has_object)

    def _on_smoothing(self, value: float) -> None:
        self._controller.smoothing = value

    def _on_min_size(self, value: int) -> None:
        self._controller.min_size = value

    def _on_overlap(self, index: int) -> None:
        self._controller.overlap = self.overlap.itemData(index)
