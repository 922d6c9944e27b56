"""What to do next, what the last step took, and what takes long at the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_pvpu.napari_side.hints import measured, next_step
from napari_pvpu.napari_side.icons import draw_icon
from napari_pvpu.napari_side.views.widgets import button

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.views.looks import Colors

__all__ = ["Telling"]

BAR_WIDTH = 60
TURNS = 10
"""Steps from one end of the bar to the other."""
HINT_LINES = 4
"""Lines that the hint always has room for, so that nothing jumps when it changes."""


class Telling(QWidget):
    """The hint, and below it the measurements or, for what takes long, the progress."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller, self._turn = controller, 0
        self.hint, self.measured = QLabel(), QLabel()
        self.hint.setObjectName("hint")
        self.measured.setObjectName("measured")
        self.hint.setMinimumHeight(self.hint.fontMetrics().lineSpacing() * HINT_LINES + 12)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.hint.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.hint.setWordWrap(True)
        self.measured.setWordWrap(True)
        self.bar, self.cancel = QProgressBar(), button("", "Stop this; nothing is lost")
        self.bar.setTextVisible(False)
        self.cancel.setAccessibleName("Cancel")
        # Neither may make the panel wide.
        self.bar.setMinimumWidth(BAR_WIDTH)
        self.bar.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.doing = QElidingLabel()
        self.doing.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._below = QStackedWidget()
        self._below.addWidget(self.measured)
        self._below.addWidget(self._progress())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 8)
        layout.setSpacing(6)
        layout.addWidget(self.hint)
        layout.addWidget(self._below)
        self.cancel.clicked.connect(controller.progress.cancel)
        controller.progress.changed.connect(self._render_progress)

    def _progress(self) -> QWidget:
        widget = QWidget()
        layout = QHBoxLayout(widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.doing, 3)
        layout.addWidget(self.bar, 2)
        layout.addWidget(self.cancel)
        return widget

    def render_state(self) -> None:
        """Show the state of the controller."""
        self.hint.setText(next_step(self._controller))
        self.measured.setText(measured(self._controller))

    def _to_and_fro(self) -> tuple[int, int]:
        """Return where the bar is next when nobody knows how much is done.

        Qt would move it itself, sixty times a second, and draw the whole window each time: without
        a graphics card that takes the processor from what is waited for.
        """
        self._turn = (self._turn + 1) % (2 * TURNS)
        return min(self._turn, 2 * TURNS - self._turn), TURNS

    def render_theme(self, colors: Colors) -> None:
        """Draw the icon in the theme's colours."""
        self.cancel.setIcon(draw_icon("reset", colors.text))

    def _render_progress(self) -> None:
        progress = self._controller.progress
        self._below.setCurrentIndex(int(progress.shown))
        if progress.shown:
            part, whole = progress.share or self._to_and_fro()
            self.doing.setText(progress.title)
            self.bar.setRange(0, whole)
            self.bar.setValue(part)
            self.bar.setAccessibleName(progress.title)
            self.cancel.setVisible(progress.can_cancel)
