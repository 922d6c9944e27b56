"""What to do next, and what the last step took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_pvpu.napari_side.hints import measured, next_step

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["Telling"]

HINT_LINES = 4
"""Lines that the hint always has room for, so that nothing jumps when it changes."""


class Telling(QWidget):
    """The hint and the measurements."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.hint, self.measured = QLabel(), QLabel()
        self.hint.setObjectName("hint")
        self.measured.setObjectName("measured")
        self.hint.setMinimumHeight(self.hint.fontMetrics().lineSpacing() * HINT_LINES + 12)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.hint.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for label in (self.hint, self.measured):
            label.setWordWrap(True)
            layout.addWidget(label)

    def render_state(self) -> None:
        """Show the state of the controller."""
        self.hint.setText(next_step(self._controller))
        self.measured.setText(measured(self._controller))
