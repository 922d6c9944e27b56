"""Drawing without a mouse: a cross on the canvas that keys move, and marks made where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import PromptError
from napari_pvpu.napari_side.geometry import placement
from napari_pvpu.napari_side.layer_axes import unit_ratios
from napari_pvpu.napari_side.prompt_rows import COLORS, NEGATIVE, POSITIVE
from napari_pvpu.napari_side.spare_rows import put_points
from napari_pvpu.napari_side.telling import tell
from napari_pvpu.napari_side.tools import Tool
from napari_pvpu.prompts import Box, Click, Polygon, Scribble

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.prompts import Prompt

__all__ = ["KeyCursor"]

NAME = "Keyboard cursor"
SCREEN_STEP = 12
"""Screen pixels that an arrow key moves the cross by; with Shift it is one pixel of the image."""
SIZE = 25
"""Of the cross, in screen pixels."""
ARROWS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}
MARK, TURNED, LEAVE = "Space", "Shift+Space", "Escape"
LINES = (Tool.SCRIBBLE, Tool.LASSO)
"""Tools whose line follows the cross from its beginning to its end."""
NO_BRUSH = (
    "The cross of the keyboard draws prompts and does not paint; choose a tool other than Paint "
    "first."
)


class KeyCursor(QObject):
    """A cross that arrow keys move; Space marks there with the tool in hand.

    With the click tool Space clicks. With the box tool it sets one corner, then the other. With
    scribble tool and lasso it begins a line, which follows the cross, and ends it. With the
    polygon tool it sets corner after corner, and ends the polygon where it has set one just now.
    Shift+Space does so with the other polarity, Enter ends what was begun, Escape gives it up or
    puts the cross away. There is no cross while one paints.

    Parameters
    ----------
    controller : Controller
        Gets the prompts.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._work: Workspace | None = None
        self._cross: Points | None = None
        self._position = np.zeros(2)
        self._drawn: list[tuple[float, float]] = []
        """Where the mark under way has been, its beginning first."""
        self._positive = True
        self._drawn_with: Tool | None = None
        self._displaced: dict[tuple[Any, str], Any] = {}
        """What our keys did before on a layer, None for nothing of its own."""
        controller.changed.connect(self._on_changed)

    @property
    def shown(self) -> bool:
        """Whether the cross is on the canvas."""
        return self._work is not None

    @property
    def position(self) -> tuple[float, float]:
        """(row, col) of the cross in pixels of the image; set it to move the cross."""
        row, col = self._position
        return float(row), float(col)

    @position.setter
    def position(self, position: tuple[float, float]) -> None:
        if self._work is not None:
            self._position = np.clip(position, 0, np.subtract(self._work.frame.shape, 1))
            if self._drawn and self._controller.tool in LINES:
                self._drawn.append(self.position)
            self._draw()

    @property
    def place(self) -> tuple[float, ...] | None:
        """Position of the cross in the viewer, as that of its mouse; None while there is none."""
        viewer, work = self._controller.viewer, self._work
        if viewer is None or work is None:
            return None
        [there] = work.frame.write([self.position], work.image)
        here = np.asarray(work.image.data_to_world(there)) / unit_ratios(work.image, viewer)
        place = np.array(viewer.dims.point, float)
        place[-len(here) :] = here
        return tuple(place.tolist())

    @property
    def told(self) -> str:
        """What the keys do now."""
        tool = self._controller.tool
        if not self._drawn:
            begins = dict.fromkeys((Tool.BOX, Tool.POLYGON), "sets a corner")
            begins |= dict.fromkeys(LINES, "begins a line")
            how = begins.get(tool or Tool.CLICK, "marks")
            return f"Arrow keys move the cross, {MARK} {how}, {TURNED} with the other polarity"
        ends = {
            Tool.BOX: "sets the other corner",
            Tool.POLYGON: self._controller.shortcuts.write_into(
                f"sets the next corner, {MARK} again or {{accept}} ends"
            ),
        }
        how = ends.get(tool or Tool.CLICK, "ends the line")
        return f"Arrow keys move the cross, {MARK} {how}, {LEAVE} gives it up"

    def toggle(self) -> None:
        """Show the cross in the middle of the canvas, or put it away."""
        if self.shown:
            self.hide()
        else:
            self.show()

    def show(self) -> None:
        """Put the cross on the canvas and take the keys."""
        viewer, work = self._controller.viewer, self._controller.workspace
        if self.shown or viewer is None or work is None:
            return
        if self._controller.tool is Tool.PAINT:
            show_info(NO_BRUSH)
            return
        if self._controller.tool is None:
            self._controller.use_clicks()
        self._work, self._drawn = work, []
        self._cross = Points(
            ndim=work.frame.ndim, name=NAME, symbol="cross", border_width=0.1,
            border_color="black", **placement(work.frame.image),
        )  # fmt: skip
        active, focus = viewer.layers.selection.active, QApplication.focusWidget()
        viewer.add_layer(self._cross)
        viewer.layers.selection.active = active
        if focus is not None:
            focus.setFocus()  # it goes to the list of layers otherwise
        self._bind(True)
        self.position = work.frame.center(viewer)
        self._controller.changed.emit()

    def hide(self) -> None:
        """Take the cross away and give the keys back."""
        viewer, cross = self._controller.viewer, self._cross
        if not self.shown:
            return
        self._bind(False)
        self._work = self._cross = None
        self._drawn = []
        if viewer is not None and cross in viewer.layers:
            viewer.layers.remove(cross)
        self._controller.changed.emit()

    def mark(self, turned: bool = False) -> None:
        """Click, or begin, go on with or end what the tool draws, where the cross is.

        Parameters
        ----------
        turned : bool
            With the other polarity; what goes on keeps that of its beginning.
        """
        tool = self._controller.tool
        if self._work is None or tool is None:
            return
        if not self._drawn:
            self._positive = self._controller.positive != turned
        begins = tool is not Tool.CLICK and not self._drawn
        if begins or (tool is Tool.POLYGON and self.position != self._drawn[-1]):
            self._drawn.append(self.position)
            self._drawn_with = tool
            self._draw()
            self._controller.changed.emit()
        else:
            self._end(tool)

    def finish(self) -> bool:
        """End what has been begun; False if nothing has."""
        tool = self._controller.tool
        if not self._drawn or tool is None:
            return False
        self._end(tool)
        return True

    def _end(self, tool: Tool) -> None:
        """Make a prompt of what is drawn; what is no polygon yet can still become one."""
        try:
            prompt = self._prompt(tool)
        except PromptError as error:
            tell(error)
            return
        self._drawn = []
        if prompt is not None:
            self._controller.add(prompt)
        self._draw()

    def _prompt(self, tool: Tool) -> Prompt | None:
        if tool is Tool.CLICK:
            return Click(self.position, self._positive)
        if tool in (Tool.LASSO, Tool.POLYGON):
            return Polygon(tuple(self._drawn), self._positive, self._controller.filled_polygons)
        corners = np.array([self._drawn[0], self.position])
        if tool is Tool.BOX and (corners[0] != corners[1]).all():
            return Box(tuple(corners.min(axis=0)), tuple(corners.max(axis=0)), self._positive)
        if tool is Tool.SCRIBBLE and len(self._drawn) > 1:
            return Scribble(tuple(self._drawn), self._positive)
        return None

    # The keys

    def _bind(self, on: bool) -> None:
        assert self._work is not None
        keys: dict[str, Any] = {
            MARK: lambda _: self.mark(), TURNED: lambda _: self.mark(True), LEAVE: self._leave,
        }  # fmt: skip
        for arrow, way in ARROWS.items():
            keys[arrow] = self._mover(way, finely=False)
            keys[f"Shift+{arrow}"] = self._mover(way, finely=True)
        for layer in self._work.prompts.layers:
            for key, does in keys.items():
                if on:
                    self._displaced[layer, key] = layer.bind_key(key, does, overwrite=True)
                else:
                    layer.bind_key(key, self._displaced.pop((layer, key)), overwrite=True)

    def _mover(self, way: tuple[int, int], *, finely: bool) -> Callable[[Any], None]:
        """Return what an arrow key does; a function, as napari asks what it binds for a name."""

        def move(layer: Any) -> None:
            viewer, work = self._controller.viewer, self._work
            if viewer is not None and work is not None:
                step = 1.0 if finely else max(SCREEN_STEP * work.frame.screen_pixel(viewer), 1.0)
                (row, col), (down, right) = self.position, way
                self.position = row + step * down, col + step * right

        return move

    def _leave(self, layer: Any) -> None:
        if not self._drawn:
            self.hide()
            return
        self._drawn = []
        self._draw()
        self._controller.changed.emit()

    # The cross

    def _draw(self) -> None:
        viewer, work, cross = self._controller.viewer, self._work, self._cross
        if viewer is None or work is None or cross is None:
            return
        places = [*self._drawn, self.position]
        pixel = work.frame.screen_pixel(viewer)
        color = COLORS[POSITIVE if self._controller.positive else NEGATIVE]
        with cross.events.data.blocker():
            spare = put_points(cross, work.frame.write(places, cross))
        cross.size = [SIZE * pixel / 4] * len(self._drawn) + [SIZE * pixel] * (1 + spare)
        cross.symbol = ["disc"] * len(self._drawn) + ["cross"] * (1 + spare)
        cross.face_color = color
        cross.selected_data = set()

    def _on_changed(self) -> None:
        """Go when the image goes, when the user has deleted the cross, or takes up the brush."""
        viewer, work = self._controller.viewer, self._work
        if work is None:
            return
        gone = viewer is None or self._cross not in viewer.layers
        tool = self._controller.tool
        if gone or self._controller.workspace is not work or tool is Tool.PAINT:
            self.hide()
        elif self._drawn and tool is not self._drawn_with:
            self._drawn = []  # half of a box is no polygon
            self._draw()
