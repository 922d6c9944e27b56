"""The mask without and with spreading of corrections (EM), side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_pvpu.napari_side.comparing import ADDED, REMOVED
from napari_pvpu.napari_side.views.widgets import button, row

if TYPE_CHECKING:
    from napari_pvpu.napari_side.comparing import Compared
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["CompareSection", "ComparisonWindow"]

SMALL = 116
"""Pixels of a picture in the panel."""
NAMES = ("EM off", "EM on")


class Pair(QWidget):
    """Both pictures with their times, and what has changed.

    Parameters
    ----------
    side : int, optional
        Pixels that a picture is shown at; by default its own.
    """

    def __init__(self, side: int | None = None) -> None:
        super().__init__()
        self._side = side
        self.pictures, self.captions = (QLabel(), QLabel()), (QLabel(), QLabel())
        self.changes = QLabel()
        self.changes.setWordWrap(True)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for column in (0, 1):
            for line, label in ((0, self.pictures[column]), (1, self.captions[column])):
                label.setAlignment(Qt.AlignmentFlag.AlignCenter)
                layout.addWidget(label, line, column)
        layout.addWidget(self.changes, 2, 0, 1, 2)

    def show_compared(self, compared: Compared) -> None:
        """Show a comparison."""
        for n in (0, 1):
            self.pictures[n].setPixmap(_pixmap(compared.pictures[n], self._side))
            self.captions[n].setText(f"{NAMES[n]} · {compared.times[n]:.0f} ms")
        parts = [
            _colored(f"{count} pixels {word}", color)
            for count, word, color in (
                (compared.added, "added", ADDED),
                (compared.removed, "taken away", REMOVED),
            )
            if count
        ]
        self.changes.setText(
            "EM changes nothing here." if not parts else f"By EM: {', '.join(parts)}."
        )


class ComparisonWindow(QDialog):
    """A comparison, large; it follows the object at work as long as it is open."""

    def __init__(self, controller: Controller, parent: QWidget) -> None:
        super().__init__(parent)
        self._controller = controller
        self.setWindowTitle("Spreading of corrections (EM): off and on")
        self.pair = Pair()
        self.off, self.on = button("Keep EM off", ""), button("Keep EM on", "")
        layout = QVBoxLayout(self)
        layout.addWidget(self.pair)
        layout.addLayout(row(self.off, self.on))
        self.off.clicked.connect(self._keep_off)
        self.on.clicked.connect(self._keep_on)

    def _keep_off(self) -> None:
        self._controller.value_propagation = False
        self.close()

    def _keep_on(self) -> None:
        self._controller.value_propagation = True
        self.close()


class CompareSection(QWidget):
    """The button that compares, and both masks small; a click on them shows them large."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._shown: Compared | None = None
        self.compare = button(
            "Compare EM off and on",
            "Show both masks side by side, with what differs and what each takes",
            "compare_propagation",
        )
        self.compare.setCheckable(True)
        self.pair = Pair(SMALL)
        self.larger = button("Larger…", "Show both masks in a window of their own")
        self.window_: ComparisonWindow | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for each in (self.compare, self.pair, self.larger):
            layout.addWidget(each)
        self.compare.clicked.connect(self._on_compare)
        self.larger.clicked.connect(self._on_larger)

    def render_state(self) -> None:
        """Show the state of the controller."""
        controller, compared = self._controller, self._controller.compared
        self.compare.setChecked(controller.comparing)
        self.compare.setEnabled(controller.workspace is not None)
        for each in (self.pair, self.larger):
            each.setVisible(compared is not None)
        if compared is not None and compared is not self._shown:
            self.pair.show_compared(compared)
            if self.window_ is not None:
                self.window_.pair.show_compared(compared)
        self._shown = compared

    def _on_compare(self, on: bool) -> None:
        if on:
            self._controller.compare_propagation()
        else:
            self._controller.stop_comparing()

    def _on_larger(self) -> None:
        if self._shown is None:
            return
        if self.window_ is None:
            self.window_ = ComparisonWindow(self._controller, self)
        self.window_.pair.show_compared(self._shown)
        self.window_.show()
        self.window_.raise_()


def _pixmap(pixels: Any, side: int | None) -> QPixmap:
    pixels = np.ascontiguousarray(pixels)
    height, width, _ = pixels.shape
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    pixmap = QPixmap.fromImage(image)
    if side is None:
        return pixmap
    smooth = Qt.TransformationMode.SmoothTransformation
    return pixmap.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, smooth)


def _colored(text: str, color: tuple[int, int, int]) -> str:
    return f'<span style="color: rgb{color}">■</span> {text}'
