"""Parts of the panel that fold away, and where each of them is.

To add one: write a view (see `napari_side.views`) in a module of its own, and give it a line in
`SECTIONS`. The panel makes it, folds it away at first, and has it show the controller's state
after every change. Nothing else has to know of it; from the panel it is
``panel.sections["its name"]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import Qt
from superqt import QCollapsible

from napari_pvpu.napari_side.views.ahead_section import AheadSection
from napari_pvpu.napari_side.views.compare_section import CompareSection
from napari_pvpu.napari_side.views.hands_section import HandsSection
from napari_pvpu.napari_side.views.history_section import HistorySection
from napari_pvpu.napari_side.views.image_section import ImageSection
from napari_pvpu.napari_side.views.mask_section import MaskSection
from napari_pvpu.napari_side.views.objects_section import ObjectsSection
from napari_pvpu.napari_side.views.shortcut_section import ShortcutSection
from napari_pvpu.napari_side.views.store_section import StoreSection
from napari_pvpu.napari_side.views.volume_section import VolumeSection

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_pvpu.napari_side.controller import Controller

__all__ = ["SECTIONS", "Place", "Section", "View", "folding"]


class View(Protocol):
    """A widget of the panel; it may also have ``render_theme(colors)``."""

    def render_state(self) -> None:
        """Show the state of the controller; called after every change, so it has to be quick."""


class Place(Enum):
    """Where in the panel a section is."""

    IMAGE = "below the image and the model"
    MASK = "below the threshold"
    OBJECTS = "below the buttons for steps, edits and export"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the panel that folds away.

    Attributes
    ----------
    name : str
        Its key in ``panel.sections``.
    title : str
        On its fold.
    place : Place
        Sections of one place are in the order of `SECTIONS`.
    make : callable
        Called with the controller, returns a view that is a `QWidget`; its content has to do with
        240 pixels of width.
    """

    name: str
    title: str
    place: Place
    make: Callable[[Controller], Any]


SECTIONS = (
    Section("seen", "Axes and channels", Place.IMAGE, ImageSection),
    Section("mask", "More about the mask", Place.MASK, MaskSection),
    Section("hands", "Polygons, batch, mouse", Place.MASK, HandsSection),
    Section("compare", "Compare EM off and on", Place.MASK, CompareSection),
    Section("objects", "Objects and scores", Place.OBJECTS, ObjectsSection),
    Section("volume", "Volume and time", Place.OBJECTS, VolumeSection),
    Section("history", "History", Place.OBJECTS, HistorySection),
    Section("ahead", "Encode ahead", Place.OBJECTS, AheadSection),
    Section("store", "Kept features", Place.OBJECTS, StoreSection),
    Section("shortcuts", "Shortcuts", Place.OBJECTS, ShortcutSection),
)
"""All of them; add yours here."""


def folding(title: str, content: QWidget) -> QCollapsible:
    """Put a widget under a title that folds it away, folded at first."""
    section = QCollapsible(title)
    section.setDuration(0)
    section.addWidget(content)
    section.layout().setContentsMargins(0, 0, 0, 0)
    section.layout().setSpacing(0)
    section.content().layout().setContentsMargins(0, 0, 0, 4)
    # What is folded away is not on the way of Tab either, and takes no width.
    section.content().setVisible(section.isExpanded())
    section.toggled.connect(section.content().setVisible)
    section.toggleButton().setObjectName("fold")
    section.toggleButton().setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return section
