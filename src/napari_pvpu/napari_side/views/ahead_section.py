"""Encoding ahead: what is wanted, how far it is, and the way to stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QProgressBar, QWidget

from napari_pvpu.napari_side.views.widgets import button, combo, fill, row, with_tip

if TYPE_CHECKING:
    from napari_pvpu.features.ahead import Plan
    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.encoding_ahead import Scale

__all__ = ["AheadSection"]

AROUND = "Around the view at work"


class AheadSection(QWidget):
    """Which views are encoded before they are asked for.

    Parameters
    ----------
    controller : Controller
        Its `ahead` does it.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller, self._ahead = controller, controller.ahead
        self._shown: tuple[Scale, ...] = ()
        self.around, self.all_planes = QCheckBox(AROUND), QCheckBox("In all planes")
        with_tip(
            self.around,
            "While nothing else is done, encode the views beside the one at work, so that the "
            "first click on a neighbour is answered at once",
        )
        with_tip(self.all_planes, "In every plane of the image, not only in the one that is shown")
        self.scale = combo(
            "Pixels of the image per pixel that the network sees; coarse for large objects"
        )
        self.encode = button("Encode all views", "Encode the whole image at this scale, beside you")
        self.cancel = button("Stop", "Encode no more; what is encoded stays")
        self.bar, self.told = QProgressBar(), QLabel()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.told.setWordWrap(True)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.around)
        form.addRow("Scale", self.scale)
        form.addRow(self.all_planes)
        form.addRow(row(self.encode, self.cancel))
        form.addRow(self.bar)
        form.addRow(self.told)
        self.around.toggled.connect(self._on_around)
        self.encode.clicked.connect(self._on_encode)
        self.cancel.clicked.connect(self._ahead.cancel)
        self._ahead.changed.connect(self._render_progress)
        self._render_progress()

    def render_state(self) -> None:
        """Show the state of the controller."""
        work = self._controller.workspace
        with QSignalBlocker(self.around):
            self.around.setChecked(self._ahead.around)
        self.all_planes.setVisible(work is not None and bool(work.frame.plane_shape))
        scales = self._ahead.scales if self.isVisible() else self._shown
        if scales != self._shown:
            self._shown = scales
            extent = self.scale.currentData()
            extents = [scale.extent for scale in scales]
            # At first the scale of a first click, the last but one.
            index = extents.index(extent) if extent in extents else len(extents) - 2
            fill(self.scale, [(_told(scale), scale.extent) for scale in scales], index)
        self._render_progress()

    def showEvent(self, event: object) -> None:
        self.render_state()

    def _on_around(self, on: bool) -> None:
        self._ahead.around = on

    def _on_encode(self) -> None:
        extent = self.scale.currentData()
        if extent is not None:
            every = self.all_planes.isVisible() and self.all_planes.isChecked()
            self._ahead.encode_all(extent, all_planes=every)

    def _render_progress(self) -> None:
        asked, following = self._ahead.asked, self._ahead.next_image
        self.encode.setEnabled(asked is None and bool(self._shown))
        self.cancel.setEnabled(asked is not None)
        plan = asked or following
        self.bar.setVisible(plan is not None)
        if plan is not None:
            self.bar.setRange(0, plan.total)
            self.bar.setValue(plan.done)
        self.told.setText(self._words(asked, following))
        self.told.setVisible(bool(self.told.text()))

    def _words(self, asked: Plan | None, following: Plan | None) -> str:
        parts = []
        if asked is not None:
            parts.append(f"{asked.done} of {asked.total} views encoded.")
        elif following is not None:
            parts.append(f"Next image: {following.done} of {following.total} views encoded.")
        error = next((plan.error for plan in (asked, following) if plan and plan.error), None)
        if error is not None:
            parts.append(f"Some views failed: {error}.")
        room = self._ahead.room
        if room is not None:
            parts.append(
                f"Features are not kept on the disk; memory has room for {room} views ahead."
            )
        return " ".join(parts)


def _told(scale: Scale) -> str:
    number = f"{scale.pixels:.3g}"
    return f"{number} px, {scale.views:,} view{'s' * (scale.views != 1)}"
