"""The dock panel "Segment": views around a controller, in their order; nothing else."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QAbstractSlider, QLineEdit, QVBoxLayout, QWidget

from napari_pvpu.napari_side.icons import draw_icon
from napari_pvpu.napari_side.panel_keys import PanelKeys
from napari_pvpu.napari_side.sections import SECTIONS, Fold, Place, Sections
from napari_pvpu.napari_side.views.choosing import Choosing, EarlierSession
from napari_pvpu.napari_side.views.docked import Docked
from napari_pvpu.napari_side.views.drawing import Drawing, Reach
from napari_pvpu.napari_side.views.first_steps import FirstStepsCard
from napari_pvpu.napari_side.views.looks import colors_of, style_sheet
from napari_pvpu.napari_side.views.steps import StepButtons
from napari_pvpu.napari_side.views.telling import Telling
from napari_pvpu.napari_side.views.widgets import Scrolled, tell_keys

__all__ = ["Panel"]

NARROWEST = 260


class Panel(Docked):
    """Everything needed to segment, usable at a width of 260 pixels.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        napari passes it because of the parameter's name.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._build()
        self._lay_out()
        self._name_parts()
        self.controller.changed.connect(self._render)
        self.controller.shortcuts.changed.connect(self._tell_keys)
        viewer = self.controller.viewer
        if viewer is not None:
            viewer.events.theme.connect(self._on_theme)
        self._keys = PanelKeys(self, self.controller)
        self._on_theme()
        self._tell_keys()
        self._render()

    # Building

    def _build(self) -> None:
        controller = self.controller
        self.choosing, self.earlier = Choosing(controller), EarlierSession(controller)
        self.first_steps = FirstStepsCard(controller)
        self.drawing, self.reach = Drawing(controller), Reach(controller)
        self.step_buttons, self.telling = StepButtons(controller), Telling(controller)
        self.folds = {section.name: Fold(section, controller) for section in SECTIONS}
        self.sections = Sections(self.folds)
        """Views that fold away, by the names that `SECTIONS` gives them."""
        for fold in self.folds.values():
            fold.made.connect(self._on_section)

    def _lay_out(self) -> None:
        self.setMinimumWidth(NARROWEST)
        content = QWidget()
        self._layout = QVBoxLayout(content)
        self._layout.setContentsMargins(4, 8, 4, 8)
        self._layout.setSpacing(6)
        self._add(self.choosing, self.first_steps, self.earlier, *self._folds_at(Place.IMAGE))
        self._add(self.drawing, self.reach, *self._folds_at(Place.MASK))
        self._add(self.step_buttons, *self._folds_at(Place.OBJECTS))
        self._layout.addStretch(1)
        # What does not fit is scrolled, but for what to do next.
        self.scrolled = Scrolled(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.scrolled, 1)
        layout.addWidget(self.telling)

    def _add(self, *widgets: QWidget) -> None:
        for widget in widgets:
            self._layout.addWidget(widget)

    def _folds_at(self, place: Place) -> list[Fold]:
        return [self.folds[section.name] for section in SECTIONS if section.place is place]

    def _name_parts(self) -> None:
        """Give what the views hold a short name for scripts and tests."""
        self.image, self.model = self.choosing.image, self.choosing.model
        self.resume, self.dismiss = self.earlier.resume, self.earlier.dismiss
        self.tools = self.drawing.tools
        self.positive, self.negative = self.drawing.positive, self.drawing.negative
        self.propagation, self.threshold = self.reach.propagation, self.reach.threshold
        self.accept, self.undo, self.redo, self.reset = self.step_buttons.steps.values()
        self.edit, self.edits = self.step_buttons.edit, self.step_buttons.edits
        self.copy = self.step_buttons.copy
        self.export = self.step_buttons.export
        self.hint, self.measured = self.telling.hint, self.telling.measured
        _name_sliders(self)

    @property
    def seen(self) -> Any:
        """The view of axes and channels."""
        return self.sections["seen"]

    @property
    def mask(self) -> Any:
        """The view of what more there is about the mask."""
        return self.sections["mask"]

    @property
    def history(self) -> Any:
        """The view of the steps."""
        return self.sections["history"]

    @property
    def exports(self) -> Any:
        """Entries of the menu Export by the name of the format."""
        return self.step_buttons.exports

    # Showing

    @property
    def _views(self) -> tuple[Any, ...]:
        return (
            self.choosing, self.first_steps, self.earlier, self.drawing, self.reach,
            self.step_buttons, *self.sections.made, self.telling,
        )  # fmt: skip

    def _render(self) -> None:
        """Show the state of the controller."""
        for view in self._views:
            view.render_state()

    def _on_section(self, view: Any) -> None:
        """Have a view that was just made look and show as all others do."""
        _name_sliders(view)
        tell_keys(view, self.controller.shortcuts)
        viewer = self.controller.viewer
        if viewer is not None and hasattr(view, "render_theme"):
            view.render_theme(colors_of(viewer))
        view.render_state()

    def _tell_keys(self) -> None:
        tell_keys(self, self.controller.shortcuts)
        self._keys.follow()

    def _on_theme(self, event: Any = None) -> None:
        viewer = self.controller.viewer
        if viewer is None:
            return
        colors = colors_of(viewer)
        self.setStyleSheet(style_sheet(colors))
        unfolded, folded = (draw_icon(name, colors.text) for name in ("unfolded", "folded"))
        for fold in self.folds.values():
            fold.setExpandedIcon(unfolded)
            fold.setCollapsedIcon(folded)
        for view in self._views:
            if hasattr(view, "render_theme"):
                view.render_theme(colors)

    # The end

    def let_go(self) -> None:
        """Disconnect from the viewer and the controller."""
        viewer = self.controller.viewer
        if viewer is not None:
            viewer.events.theme.disconnect(self._on_theme)
        self.controller.changed.disconnect(self._render)
        self.controller.shortcuts.changed.disconnect(self._tell_keys)


def _name_sliders(root: QWidget) -> None:
    """Give the parts of a slider with a number the name of the whole, for screen readers."""
    for part in root.findChildren((QAbstractSlider, QLineEdit)):
        if not part.accessibleName() and not part.toolTip():
            part.setAccessibleName(part.parentWidget().toolTip())
