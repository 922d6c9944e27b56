"""Small pictures for the buttons, drawn in the colour of the theme's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["draw_icon"]

SIDE = 64
"""Pixels drawn; Qt scales them down to the size that a button shows."""


def draw_icon(name: str, color: str, checked: str | None = None) -> QIcon:
    """Return one of the pictures of this module.

    Parameters
    ----------
    name : str
        ``"click"``, ``"box"``, ``"scribble"``, ``"plus"``, ``"minus"``, ``"folded"`` or
        ``"unfolded"``.
    color : str
        Of the lines; anything that `QColor` takes.
    checked : str, optional
        Of the lines while the button is pressed; by default the same.
    """
    icon = QIcon(_drawn(name, color))
    icon.addPixmap(_drawn(name, checked or color), QIcon.Mode.Normal, QIcon.State.On)
    return icon


def _drawn(name: str, color: str) -> QPixmap:
    pixmap = QPixmap(SIDE, SIDE)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(QColor(color), 6)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    _PICTURES[name](painter)
    painter.end()  # before the pixmap goes, or Qt complains
    return pixmap


def _click(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(32, 32), 24, 24)
    painter.setBrush(painter.pen().color())
    painter.drawEllipse(QPointF(32, 32), 6, 6)


def _box(painter: QPainter) -> None:
    painter.drawRect(QRectF(8, 14, 48, 36))
    painter.setBrush(painter.pen().color())
    for corner in (QPointF(8, 14), QPointF(56, 50)):
        painter.drawEllipse(corner, 4, 4)


def _scribble(painter: QPainter) -> None:
    path = QPainterPath(QPointF(8, 44))
    path.cubicTo(QPointF(14, 4), QPointF(30, 4), QPointF(30, 32))
    path.cubicTo(QPointF(30, 58), QPointF(46, 62), QPointF(56, 18))
    painter.drawPath(path)


def _plus(painter: QPainter) -> None:
    painter.drawLine(QPointF(32, 12), QPointF(32, 52))
    _minus(painter)


def _minus(painter: QPainter) -> None:
    painter.drawLine(QPointF(12, 32), QPointF(52, 32))


def _folded(painter: QPainter) -> None:
    painter.drawPolyline([QPointF(24, 14), QPointF(42, 32), QPointF(24, 50)])


def _unfolded(painter: QPainter) -> None:
    painter.drawPolyline([QPointF(14, 24), QPointF(32, 42), QPointF(50, 24)])


_PICTURES: dict[str, Callable[[QPainter], None]] = {
    "click": _click,
    "box": _box,
    "scribble": _scribble,
    "plus": _plus,
    "minus": _minus,
    "folded": _folded,
    "unfolded": _unfolded,
}
