"""Colours of the panel: napari's theme, and the two polarities'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme

from napari_pvpu.napari_side.prompt_rows import COLORS, NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["ON_NEGATIVE", "ON_POSITIVE", "Colors", "colors_of", "style_sheet"]

ON_POSITIVE, ON_NEGATIVE = "#ffffff", "#1c1208"
"""Colours of text on the polarities' own, for contrast."""

STYLE = """
QPushButton {{ padding: 4px 3px; }}
QPushButton:checked {{ background-color: {current}; }}
QPushButton#positive:checked {{ background-color: {positive}; color: {on_positive}; }}
QPushButton#negative:checked {{ background-color: {negative}; color: {on_negative}; }}
QPushButton#accept {{ padding: 7px; font-weight: bold; }}
QPushButton#accept:enabled {{ background-color: {current}; }}
QPushButton#accept:enabled:hover {{ background-color: {highlight}; }}
QPushButton#fold, QPushButton#fold:checked {{
    background: transparent; text-align: left; padding: 2px;
}}
QPushButton#fold:hover {{ background-color: {foreground}; }}
QPushButton#tool, QPushButton#step {{ padding: 4px 2px; }}
QScrollBar:vertical {{ width: 8px; margin: 0; }}
QScrollBar::sub-line:vertical, QScrollBar::add-line:vertical {{ height: 0; }}
QFrame#card {{ background-color: {foreground}; border-radius: 3px; }}
QLabel#hint {{
    background-color: {foreground}; border-left: 3px solid {current};
    border-radius: 2px; padding: 6px;
}}
"""


@dataclass(frozen=True, slots=True)
class Colors:
    """Colours of a theme that the panel uses, ``#rrggbb``, named as napari names them."""

    current: str
    highlight: str
    foreground: str
    secondary: str
    text: str


def colors_of(viewer: Viewer) -> Colors:
    """Return the colours of a viewer's theme."""
    theme = get_theme(viewer.theme)
    return Colors(*(getattr(theme, name).as_hex("long") for name in Colors.__slots__))


def style_sheet(colors: Colors) -> str:
    """Return what the panel's style sheet adds to napari's."""
    return STYLE.format(
        positive=COLORS[POSITIVE],
        negative=COLORS[NEGATIVE],
        on_positive=ON_POSITIVE,
        on_negative=ON_NEGATIVE,
        **{name: getattr(colors, name) for name in Colors.__slots__},
    )
