"""Icons of tools and actions: the package's own SVG files, drawn in the colours of a theme."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from qtpy.QtCore import QByteArray, QRectF, Qt
from qtpy.QtGui import QIcon, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["draw_icon", "icon_names"]

SIDES = (16, 24, 32, 48, 64)
"""Pixels that an icon is drawn at. Qt takes what fits the size asked for and the screen's density,
so that nothing is blurred by scaling up."""
FAINT = 0.4
"""Opacity of the icon of something that cannot be used at the moment."""


def icon_names() -> list[str]:
    """Return the names of all icons."""
    return sorted(file.name.removesuffix(".svg") for file in _folder().iterdir())


def draw_icon(name: str, color: str, checked: str | None = None) -> QIcon:
    """Return an icon.

    Parameters
    ----------
    name : str
        One of `icon_names`.
    color : str
        Of the lines, ``#rrggbb``.
    checked : str, optional
        Of the lines while the button is pressed; by default the same.
    """
    svg = _folder().joinpath(f"{name}.svg").read_text("utf-8")
    icon = QIcon()
    looks = [
        (color, 1.0, QIcon.Mode.Normal, QIcon.State.Off),
        (color, FAINT, QIcon.Mode.Disabled, QIcon.State.Off),
    ]
    if checked:
        looks.append((checked, 1.0, QIcon.Mode.Normal, QIcon.State.On))
        looks.append((color, FAINT, QIcon.Mode.Disabled, QIcon.State.On))
    for shade, opacity, mode, state in looks:
        renderer = QSvgRenderer(QByteArray(svg.replace("currentColor", shade).encode()))
        for side in SIDES:
            icon.addPixmap(_drawn(renderer, side, opacity), mode, state)
    return icon


def _drawn(renderer: QSvgRenderer, side: int, opacity: float) -> QPixmap:
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(opacity)
    renderer.render(painter, QRectF(0, 0, side, side))
    painter.end()  # before the pixmap goes, or Qt complains
    return pixmap


def _folder() -> Traversable:
    return resources.files("napari_pvpu").joinpath("data", "icons")
