"""Parts of the panel that fold away, and where each of them is.

To add one: write a view (see `napari_side.views`) in a module of its own, and give it a line in
`SECTIONS`. The panel makes it when it is unfolded first, and has it show the controller's state
after every change from then on. Nothing else has to know of it; from the panel it is
``panel.sections["its name"]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QSizePolicy, QWidget
from superqt import QCollapsible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtpy.QtCore import QEvent, QObject

    from napari_pvpu.napari_side.controller import Controller

__all__ = ["SECTIONS", "Fold", "Place", "Section", "Sections", "View"]


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
    view : str
        Module, in the folder ``views``, and class of its view, which is called with the controller
        and is a `QWidget`; its content has to do with 240 pixels of width. By name, so that
        nothing is loaded for what is folded away.
    """

    name: str
    title: str
    place: Place
    view: str

    def make(self, controller: Controller) -> Any:
        """Return a new view."""
        module, _, name = self.view.partition(":")
        return getattr(import_module(f"{__package__}.views.{module}"), name)(controller)


SECTIONS = (
    Section("seen", "Axes and channels", Place.IMAGE, "image_section:ImageSection"),
    Section("mask", "More about the mask", Place.MASK, "mask_section:MaskSection"),
    Section("hands", "Polygons, batch, mouse", Place.MASK, "hands_section:HandsSection"),
    Section("compare", "Compare EM off and on", Place.MASK, "compare_section:CompareSection"),
    Section("objects", "Objects and scores", Place.OBJECTS, "objects_section:ObjectsSection"),
    Section("volume", "Volume and time", Place.OBJECTS, "volume_section:VolumeSection"),
    Section("history", "History", Place.OBJECTS, "history_section:HistorySection"),
    Section("ahead", "Encode ahead", Place.OBJECTS, "ahead_section:AheadSection"),
    Section("store", "Kept features", Place.OBJECTS, "store_section:StoreSection"),
    Section("shortcuts", "Shortcuts", Place.OBJECTS, "shortcut_section:ShortcutSection"),
)
"""All of them; add yours here."""


UNBOUNDED = (1 << 24) - 1
"""Qt's height of what has no greatest height (QWIDGETSIZE_MAX)."""


class Fold(QCollapsible):
    """A title that folds a view away, folded at first, when there is no view yet.

    Parameters
    ----------
    section : Section
        Makes the view.
    controller : Controller
        For the view.
    """

    made = Signal(object)
    """The view has been made."""

    def __init__(self, section: Section, controller: Controller) -> None:
        super().__init__(section.title)
        self._section, self._controller = section, controller
        self._view: QWidget | None = None
        self.setDuration(0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        self.content().layout().setContentsMargins(0, 0, 0, 4)
        # The base class takes no more than its size hint, which knows nothing of lines that wrap.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.layout().setAlignment(Qt.AlignmentFlag(0))
        self.content().hide()
        self.toggled.connect(self._on_toggled)
        self.toggleButton().setObjectName("fold")
        self.toggleButton().setFocusPolicy(Qt.FocusPolicy.TabFocus)

    @property
    def view(self) -> Any:
        """What is folded away, made now if it was not yet."""
        self._make()
        return self._view

    @property
    def is_made(self) -> bool:
        """Whether there is a view already."""
        return self._view is not None

    def expand(self, animate: bool = True) -> None:
        """Show what is folded away."""
        self._make()
        super().expand(animate)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Leave the height of what is unfolded to its layout, for the same reason."""
        return False

    def _on_toggled(self, on: bool) -> None:
        # What is folded away is not on the way of Tab either, and takes no width.
        self.content().setVisible(on)
        if on:
            self.content().setMaximumHeight(UNBOUNDED)

    def _make(self) -> None:
        if self._view is not None:
            return
        self._view = self._section.make(self._controller)
        parts = _on_the_way_of_tab(self._view)
        self.addWidget(self._view)
        before: QWidget = self.toggleButton()
        for part in parts:  # Tab would come to what is new last of all
            QWidget.setTabOrder(before, part)
            before = part
        self.made.emit(self._view)


def _on_the_way_of_tab(window: QWidget) -> list[QWidget]:
    """Return what Tab comes to in a window, in this order."""
    parts: list[QWidget] = []
    part = window.nextInFocusChain()
    while part is not None and part is not window:
        if part.focusPolicy() & Qt.FocusPolicy.TabFocus and part.focusProxy() is None:
            parts.append(part)
        part = part.nextInFocusChain()
    return parts


class Sections(Mapping[str, Any]):
    """The views that fold away, by name; each is made when it is asked for first.

    Parameters
    ----------
    folds : dict of str to Fold
        They have the views.
    """

    def __init__(self, folds: dict[str, Fold]) -> None:
        self._folds = folds

    def __getitem__(self, name: str) -> Any:
        return self._folds[name].view

    def __iter__(self) -> Iterator[str]:
        return iter(self._folds)

    def __len__(self) -> int:
        return len(self._folds)

    @property
    def made(self) -> list[Any]:
        """Those that there are already."""
        return [fold.view for fold in self._folds.values() if fold.is_made]
