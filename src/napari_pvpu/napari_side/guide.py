"""What a click would do where the mouse is: in napari's status line, and by the mouse's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_pvpu.napari_side.board import NO_PLANE
from napari_pvpu.napari_side.picking import Picked, pick
from napari_pvpu.napari_side.tools import Tool

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["Guide", "Under", "what_a_click_does"]

GESTURES = {
    Tool.CLICK: ("Click", "click"),
    Tool.BOX: ("Drag a box", "drag"),
    Tool.SCRIBBLE: ("Draw a line", "draw"),
    Tool.LASSO: ("Draw a line round it", "draw"),
    Tool.POLYGON: ("Click corners round it", "click"),
}
"""What each tool does, at the beginning of a line and behind a key."""
BEGIN, ADD, TAKE = "begin an object", "add to the object", "take away from the object"


@dataclass(frozen=True, slots=True)
class Under:
    """The accepted object under the mouse.

    Attributes
    ----------
    object_id : int
        Its number.
    score : float or None
        What the network expects of it, 0 to 1.
    ours : bool
        Whether it is one of the session, and not of somebody else's layer.
    """

    object_id: int
    score: float | None = None
    ours: bool = True

    def __str__(self) -> str:
        score = "" if self.score is None else f", score {self.score:.2f}"
        return f"object {self.object_id}{score}"


def what_a_click_does(
    tool: Tool | None,
    positive: bool,
    has_object: bool,
    under: Under | None = None,
    modifiers: frozenset[str] = frozenset(),
    target: int | None = None,
) -> str:
    """Return a line that says what the next press of the mouse does.

    Parameters
    ----------
    tool : Tool or None
        In hand.
    positive : bool
        Polarity of the next prompt.
    has_object : bool
        Whether there is an object at work.
    under : Under, optional
        What is under the mouse.
    modifiers : frozenset of str
        Keys held: ``"Alt"``, ``"Control"``, ``"Shift"``.
    target : int, optional
        The object that another one is merged with.
    """
    if "Alt" in modifiers:
        if under is None:
            return "Alt+click opens an object; there is none here"
        if "Shift" in modifiers and under.ours and target not in (None, under.object_id):
            return f"Alt+Shift+click: merge {under} with object {target}"
        return f"Alt+click: open {under}"
    if tool not in GESTURES:
        return ""
    gesture, again = GESTURES[tool]
    turned = bool(modifiers & {"Shift", "Control"})
    here = ADD if positive != turned else TAKE
    if here is ADD and not has_object:
        here = BEGIN
    parts = [f"{gesture}: {here}"]
    if not turned and (has_object or not positive):
        parts.append(f"Shift+{again}: {TAKE if positive else ADD}")
    if under is not None and not turned:
        parts.append(f"Alt+click opens {under}")
    return " · ".join(parts)


class Guide(QObject):
    """Keeps status line and mouse pointer of one viewer up to date.

    Parameters
    ----------
    controller : Controller
        Followed between `open` and `close`.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._under: Under | None = None
        self._modifiers: frozenset[str] = frozenset()
        self._outside = False
        self._usual: tuple[Layer, str, str] | None = None
        """Layer, mode and pointer that was there before ours."""
        self._said = ""
        self._told: str | dict[str, Any] = "Ready"
        self._shown: str | dict[str, Any] | None = None
        """What napari told last, and what was made of it."""

    def open(self) -> None:
        """Begin."""
        viewer = self._controller.viewer
        if viewer is not None:
            viewer.mouse_move_callbacks.append(self._on_move)
            # After napari has shown its own.
            viewer.events.status.connect(self._on_status, position="last")
        self._controller.changed.connect(self.tell)

    def close(self) -> None:
        """Stop, with the usual pointer."""
        viewer = self._controller.viewer
        if viewer is not None and self._on_move in viewer.mouse_move_callbacks:
            viewer.mouse_move_callbacks.remove(self._on_move)
        self._controller.changed.disconnect(self.tell)
        self._point(None, None)
        self._say("")
        if viewer is not None:
            viewer.events.status.disconnect(self._on_status)

    def tell(self) -> None:
        """Show what a click does now."""
        controller = self._controller
        layer, tool = self._layer(), controller.tool
        work = controller.workspace
        if layer is None or work is None or tool is None:
            self._say("")
            return
        self._say(self._line(work, tool))
        opens = "Alt" in self._modifiers and self._under is not None
        refused = not work.on_plane or (self._outside and "Alt" not in self._modifiers)
        self._point(layer, "pointing" if opens else "forbidden" if refused else None)

    def _line(self, work: Workspace, tool: Tool) -> str:
        controller = self._controller
        if not work.on_plane:
            return NO_PLANE
        if controller.key_cursor.shown:
            return controller.key_cursor.told
        if self._outside and "Alt" not in self._modifiers:
            return "Outside the image: nothing can be marked here"
        if work.cutting is not None:
            return f"Draw a line: cut object {work.cutting} in two"
        return what_a_click_does(
            tool, controller.positive, work.has_object and not self._begins(tool), self._under,
            self._modifiers,
            controller.target,
        )  # fmt: skip

    def _say(self, line: str) -> None:
        """Put a line behind what napari's status line tells."""
        if line != self._said:
            self._said = line
            self._add_line(self._told)

    def _on_status(self, event: Any) -> None:
        if event.value != self._shown:
            self._told = event.value
            self._add_line(event.value)

    def _add_line(self, told: str | dict[str, Any]) -> None:
        viewer = self._controller.viewer
        if viewer is None:
            return
        # napari has a place for help in this line, but not while the mouse is on the canvas.
        if not self._said:
            self._shown = told
        elif isinstance(told, dict):
            where = told.get("coordinates", "")
            self._shown = {**told, "coordinates": "   ".join(filter(None, [where, self._said]))}
        else:
            self._shown = self._said
        viewer.status = self._shown

    def _on_move(self, viewer: Any, event: Any) -> None:
        work = self._controller.workspace
        if work is None or self._layer() is None or event.is_dragging:
            return
        position = tuple(event.position)
        picked = pick(viewer, work, position) if viewer.dims.ndisplay == 2 else None
        under = None if picked is None else self._known(picked)
        row, col = work.frame.pixel_at(viewer, position)
        rows, cols = work.frame.shape
        outside = not (-0.5 <= row < rows - 0.5 and -0.5 <= col < cols - 0.5)
        # vispy's keys are equal to their names, but not found by them in a set.
        held = frozenset(getattr(key, "name", key) for key in event.modifiers)
        state = (under, held, outside)
        if state != (self._under, self._modifiers, self._outside):
            self._under, self._modifiers, self._outside = state
            self.tell()

    def _known(self, picked: Picked) -> Under:
        work = self._controller.workspace
        assert work is not None
        ours = work.results is not None and picked.layer is work.results.layer
        record = work.session.objects.get(picked.object_id) if work.session and ours else None
        return Under(picked.object_id, None if record is None else record.score, ours)

    def _begins(self, tool: Tool | None) -> bool:
        """Whether what is drawn begins an object though there is one: in a batch, but by a line."""
        controller = self._controller
        return controller.batch and controller.positive and tool is not Tool.SCRIBBLE

    def _layer(self) -> Layer | None:
        """Return the layer of prompts that is in hand."""
        viewer, work = self._controller.viewer, self._controller.workspace
        active = viewer.layers.selection.active if viewer is not None else None
        return active if work is not None and active in work.prompts.layers else None

    def _point(self, layer: Layer | None, pointer: str | None) -> None:
        """Give a layer a pointer of ours, or the one of its mode back."""
        if self._usual is not None:
            before, mode, usual = self._usual
            if before is not layer or pointer is None:
                # A change of mode has brought the pointer of the new one.
                if str(before.mode) == mode:
                    before.cursor = usual
                self._usual = None
        if layer is not None and pointer is not None:
            if self._usual is None:
                self._usual = layer, str(layer.mode), layer.cursor
            layer.cursor = pointer
