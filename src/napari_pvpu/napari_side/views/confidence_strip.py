"""A strip of bars, one for each plane: how sure the object is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QLineF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QHelpEvent, QMouseEvent, QPaintEvent

    from napari_pvpu.napari_side.views.looks import Colors

__all__ = ["ConfidenceStrip", "color_of"]

HEIGHT = 44
LOW, HIGH = QColor("#d55e00"), QColor("#56b4e9")
"""Colours of no and of full confidence, told apart by every eye."""


def color_of(confidence: float) -> QColor:
    """Return the colour of a plane by what speaks for it, 0 to 1."""
    share = min(max(confidence, 0.0), 1.0)
    parts = zip(LOW.getRgb()[:3], HIGH.getRgb()[:3], strict=True)
    return QColor(*(round(low + share * (high - low)) for low, high in parts))


class ConfidenceStrip(QWidget):
    """Shows confidences by plane; a click goes to one.

    The user's own planes are full bars in the colour of text, the plane that is shown has a frame,
    and where the user has said that the object is not there is a cross.
    """

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, float | None] = {}
        self._ends: tuple[int, ...] = ()
        self._length = 0
        self._position: int | None = None
        self._text, self._back = QColor("white"), QColor("gray")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("How sure the object is in each plane")
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_planes(
        self,
        known: dict[int, float | None],
        length: int,
        position: int | None,
        ends: tuple[int, ...] = (),
    ) -> None:
        """Show confidences by position; None where the user annotated the plane.

        Parameters
        ----------
        known : dict of int to float or None
            Planes in which the object is.
        length : int
            All planes.
        position : int or None
            The one that is shown.
        ends : tuple of int
            Planes in which the user has said that the object is not.
        """
        state = (dict(known), length, position, ends)
        if state != (self._known, self._length, self._position, self._ends):
            self._known, self._length, self._position, self._ends = state
            self.update()

    def set_colors(self, colors: Colors) -> None:
        """Follow napari's theme."""
        self._text, self._back = QColor(colors.text), QColor(colors.foreground)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, HEIGHT)

    def position_at(self, x: float) -> int:
        """Return the plane at a place along the strip."""
        return min(max(int(x / max(self.width(), 1) * self._length), 0), max(self._length - 1, 0))

    def place_of(self, position: int) -> tuple[float, float]:
        """Return where a plane's bar begins along the strip, and its width."""
        width = self.width() / max(self._length, 1)
        return position * width, width

    def words_at(self, position: int) -> str:
        """Say what is known of a plane."""
        if position in self._ends:
            return f"Plane {position}: ended by hand; the button takes that back"
        if position not in self._known:
            return f"Plane {position}: the object is not there"
        confidence = self._known[position]
        if confidence is None:
            return f"Plane {position}: annotated"
        return f"Plane {position}: {100 * confidence:.0f} % sure"

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._back)
        for position, confidence in self._known.items():
            left, width = self.place_of(position)
            share = 1.0 if confidence is None else max(confidence, 0.04)
            color = self._text if confidence is None else color_of(confidence)
            gap = 1.0 if width > 3 else 0.0
            top = self.height() * (1 - share)
            painter.fillRect(QRectF(left, top, max(width - gap, 1.0), self.height() - top), color)
        self._paint_ends(painter)
        if self._position is not None and self._length:
            left, width = self.place_of(self._position)
            painter.setPen(self._text)
            painter.drawRect(QRectF(left, 0.0, max(width - 1, 2.0), self.height() - 1.0))

    def _paint_ends(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(LOW, 2.0))
        for position in self._ends:
            left, width = self.place_of(position)
            half = min(max(width / 2 - 1, 2.5), 5.0)
            x, y = left + width / 2, self.height() / 2
            painter.drawLine(QLineF(x - half, y - half, x + half, y + half))
            painter.drawLine(QLineF(x - half, y + half, x + half, y - half))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self._length:
            self.chosen.emit(self.position_at(event.position().x()))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and self._length:
            help_event: QHelpEvent = event
            QToolTip.showText(
                help_event.globalPos(), self.words_at(self.position_at(help_event.pos().x())), self
            )
            return True
        return super().event(event)
