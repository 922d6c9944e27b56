"""How one draws: what polygons mean, batches, and the buttons of the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QFormLayout, QWidget

from napari_pvpu.napari_side.mouse_buttons import BUTTONS
from napari_pvpu.napari_side.views.widgets import button, combo, fill, with_tip

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["HandsSection"]

MEANINGS = ("Outline round it", "Filled: the object")


class HandsSection(QWidget):
    """Polygons, batches, marks held back, mouse buttons."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.polygons = combo("What the next polygon or lasso says")
        with_tip(self.polygons, self.polygons.toolTip(), "toggle_filled_polygons")
        self.mouse = combo("What the right button of the mouse does while you draw")
        self.batch = QCheckBox("Batch: one object per mark")
        with_tip(
            self.batch,
            "Each positive click, box or polygon is an object of its own; the one before is kept. "
            "Scribbles and negative marks correct the last one",
            "toggle_batch",
        )
        self.hold = button(
            "Gather marks",
            "Place several marks and have them answered together: hold the key down, or press "
            "this, draw, and press it again",
            "hold",
        )
        self.hold.setCheckable(True)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Polygon", self.polygons)
        form.addRow("Mouse", self.mouse)
        form.addRow(self.batch)
        form.addRow(self.hold)
        self.polygons.activated.connect(self._on_polygons)
        self.mouse.activated.connect(self._on_mouse)
        self.batch.toggled.connect(self._on_batch)
        self.hold.clicked.connect(controller.hold)

    def render_state(self) -> None:
        """Show the state of the controller."""
        controller = self._controller
        fill(
            self.polygons, [(text, bool(n)) for n, text in enumerate(MEANINGS)],
            int(controller.filled_polygons),
        )  # fmt: skip
        rows = [(text, name) for name, text in BUTTONS.items()]
        fill(self.mouse, rows, list(BUTTONS).index(controller.mouse_buttons))
        with QSignalBlocker(self.batch):
            self.batch.setChecked(controller.batch)
        self.hold.setChecked(controller.holding)
        self.hold.setEnabled(controller.workspace is not None)

    def _on_polygons(self, index: int) -> None:
        self._choose("filled_polygons", bool(self.polygons.itemData(index)))

    def _on_mouse(self, index: int) -> None:
        self._choose("mouse_buttons", str(self.mouse.itemData(index)))

    def _on_batch(self, on: bool) -> None:
        self._choose("batch", on)

    def _choose(self, name: str, value: Any) -> None:
        """Set it here, and for good: hands do not change from one start to the next."""
        # Both: a key may have turned it here alone, and then the preferences have no news.
        setattr(self._controller, name, value)
        self._controller.preferences.set(name, value)
