"""What the mouse draws, of which polarity, and how far a mask reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QButtonGroup, QFormLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider, QToggleSwitch

from napari_pvpu.napari_side.controller import Tool
from napari_pvpu.napari_side.icons import draw_icon
from napari_pvpu.napari_side.views.looks import ON_NEGATIVE, ON_POSITIVE
from napari_pvpu.napari_side.views.widgets import button, check, in_turn, row, with_tip

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.views.looks import Colors

__all__ = ["Drawing", "Reach"]

SPREAD = "Spread corrections (EM)"
TOOLS = (
    (Tool.CLICK, "Click", "use_clicks", "Click on the object, or on what is not part of it"),
    (Tool.BOX, "Box", "use_boxes", "Drag a box around the object"),
    (Tool.SCRIBBLE, "Scribble", "use_scribbles", "Draw a line along the object"),
    (Tool.LASSO, "Lasso", "use_lasso", "Draw a line round the object in one go"),
    (Tool.POLYGON, "Polygon", "use_polygons", "Click corners round the object; double click ends"),
    (Tool.PAINT, "Paint", "use_paint", "Paint the object with napari's brush"),
)
ICON = QSize(16, 16)
PER_ROW = 3
"""Buttons that fit side by side into the narrowest panel."""


class Drawing(QWidget):
    """The tools, and the polarity of what they draw."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.tools = {tool: button(text, tip, action) for tool, text, action, tip in TOOLS}
        self.positive = button(
            "Positive", "Marks say: this is part of the object", "toggle_polarity"
        )
        self.negative = button(
            "Negative",
            "Marks say: this is not part of the object; Shift or Ctrl while drawing does the same",
            "toggle_polarity",
        )
        self.positive.setObjectName("positive")
        self.negative.setObjectName("negative")
        groups = (list(self.tools.values()), [self.positive, self.negative])
        self._groups = [QButtonGroup(self) for _ in groups]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for group, buttons in zip(self._groups, groups, strict=True):
            for each in buttons:
                each.setCheckable(True)
                each.setObjectName(each.objectName() or "tool")
                each.setIconSize(ICON)
                group.addButton(each)
            for first in range(0, len(buttons), PER_ROW):
                layout.addLayout(row(*buttons[first : first + PER_ROW]))
        for tool, _, action, _ in TOOLS:
            self.tools[tool].clicked.connect(in_turn(controller, action))
        self.positive.clicked.connect(self._choose_positive)
        self.negative.clicked.connect(self._choose_negative)

    def render_state(self) -> None:
        """Show the state of the controller."""
        controller = self._controller
        tool = controller.tool
        check(self._groups[0], self.tools[tool] if tool is not None else None)
        check(self._groups[1], self.positive if controller.positive else self.negative)
        for each in self.tools.values():
            each.setEnabled(controller.workspace is not None)

    def render_theme(self, colors: Colors) -> None:
        """Draw the icons in the theme's colours."""
        for tool, each in self.tools.items():
            each.setIcon(draw_icon(tool.value, colors.text))
        self.positive.setIcon(draw_icon("plus", colors.text, ON_POSITIVE))
        self.negative.setIcon(draw_icon("minus", colors.text, ON_NEGATIVE))

    def _choose_positive(self) -> None:
        self._controller.positive = True

    def _choose_negative(self) -> None:
        self._controller.positive = False


class Reach(QWidget):
    """The EM switch and the threshold."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.propagation = QToggleSwitch()
        self.propagation.setAccessibleName(SPREAD)
        with_tip(
            self.propagation,
            "A correction also reaches what looks like the corrected place",
            "toggle_value_propagation",
        )
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0.05, 0.95)
        self.threshold.setSingleStep(0.01)  # type: ignore[arg-type]  # its stubs are the int slider's
        self.threshold.setDecimals(2)
        self.threshold.setToolTip("Lower: larger object. Higher: smaller object.")
        switch = QHBoxLayout()
        switch.addWidget(QLabel(SPREAD), 1)
        switch.addWidget(self.propagation)
        threshold = QFormLayout()
        threshold.addRow("Threshold", self.threshold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(switch)
        layout.addLayout(threshold)
        self.propagation.toggled.connect(self._on_propagation)
        self.threshold.valueChanged.connect(self._on_threshold)

    def render_state(self) -> None:
        """Show the state of the controller."""
        with QSignalBlocker(self.propagation), QSignalBlocker(self.threshold):
            self.propagation.setChecked(self._controller.value_propagation)
            self.threshold.setValue(self._controller.threshold)

    def render_theme(self, colors: Colors) -> None:
        """Colour the switch, which paints itself and knows nothing of style sheets."""
        self.propagation.onColor = QColor(colors.current)
        self.propagation.offColor = QColor(colors.secondary)
        self.propagation.handleColor = QColor(colors.text)

    def _on_propagation(self, on: bool) -> None:
        self._controller.value_propagation = on

    def _on_threshold(self, value: float) -> None:
        self._controller.threshold = value
