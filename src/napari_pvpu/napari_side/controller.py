"""What a user can do in a viewer: each action is a method, a key, a button and a command."""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import SessionError
from napari_pvpu.napari_side.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.session import Session

__all__ = ["KEYS", "Controller", "Tool"]

KEYS = {
    "accept": "Enter",
    "undo": "Control-Z",
    "redo": "Control-Shift-Z",
    "reset": "Shift-R",
    "toggle_polarity": "T",
    "toggle_value_propagation": "M",
    "use_clicks": "Q",
    "use_boxes": "W",
    "use_scribbles": "E",
}
"""Key of each action, by the name of the method. They are bound to the prompt layers alone: keys
of the active layer come before all others in napari, and nobody else's layers are touched."""

WATCH_MS = 150
"""How often a session that is in the hands of the console is looked at for changes."""


class Tool(Enum):
    """What the mouse draws."""

    CLICK = "click"
    BOX = "box"
    SCRIBBLE = "scribble"


MODES = {Tool.CLICK: "add", Tool.BOX: "add_rectangle", Tool.SCRIBBLE: "add_path"}


class Controller(Stage):
    """Interactive segmentation in one viewer; get it from `napari_pvpu.attach`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Kept weakly.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._tool = Tool.CLICK
        self._positive = True
        self._value_propagation = False
        self._threshold = 0.5
        self._accepting = False
        self._watch = QTimer(self)
        self._watch.setInterval(WATCH_MS)
        self._watch.timeout.connect(self._follow_console)

    def close(self) -> None:
        self._watch.stop()
        super().close()

    # Tools

    @property
    def tool(self) -> Tool | None:
        """The tool that the mouse holds; None if the user has taken up something else."""
        viewer, workspace = self._viewer(), self._workspace
        if viewer is None or workspace is None:
            return None
        active = viewer.layers.selection.active
        for tool in Tool:
            layer = self._layer_of(tool, workspace)
            if active is layer and str(layer.mode) == MODES[tool]:
                return tool
        return None

    @tool.setter
    def tool(self, tool: Tool | str) -> None:
        self._tool = Tool(tool)
        if self._paused:
            self._paused = False
            self._settle()
        self._arm()

    def use_clicks(self) -> None:
        """Take up the click tool."""
        self.tool = Tool.CLICK

    def use_boxes(self) -> None:
        """Take up the box tool."""
        self.tool = Tool.BOX

    def use_scribbles(self) -> None:
        """Take up the scribble tool."""
        self.tool = Tool.SCRIBBLE

    @property
    def positive(self) -> bool:
        """Polarity of the next prompt."""
        return self._positive

    @positive.setter
    def positive(self, positive: bool) -> None:
        self._positive = positive
        if self._workspace is not None:
            self._workspace.prompts.positive = positive
        self.changed.emit()

    def toggle_polarity(self) -> None:
        """Turn the polarity of the next prompt round, or that of the prompts being selected."""
        if self._workspace is None or not self._workspace.prompts.flip_selected():
            self.positive = not self.positive

    # Masks

    @property
    def value_propagation(self) -> bool:
        """Whether corrections spread to what looks alike (EM)."""
        return self._value_propagation

    @value_propagation.setter
    def value_propagation(self, on: bool) -> None:
        self._value_propagation = on
        if self._workspace is not None:
            self._workspace.set_value_propagation(on)
        self.changed.emit()

    def toggle_value_propagation(self) -> None:
        """Turn the EM switch."""
        self.value_propagation = not self.value_propagation

    @property
    def threshold(self) -> float:
        """Probability above which a pixel belongs to the object, between 0 and 1."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        if self._workspace is not None:
            self._workspace.set_threshold(threshold)
        self._threshold = threshold
        self.changed.emit()

    # Steps

    def add(self, prompt: Prompt) -> None:
        """Add a prompt as if it had been drawn. The mask follows; `wait` for it in a script."""
        self._at_work().add(prompt)

    def accept(self) -> int | None:
        """Keep the current object and begin the next, with the tool still in hand.

        Returns
        -------
        int or None
            The object's id; None, with a notice, if there was nothing to accept.
        """
        workspace = self._workspace
        if workspace is None or self._accepting:
            return None
        self._accepting = True
        try:
            self.wait()  # for prompts that are not answered yet
        finally:
            self._accepting = False
        return workspace.accept()

    def undo(self) -> None:
        """Take back the last step: a prompt, an acceptance, a setting, a reset."""
        if self._workspace is not None:
            self._workspace.undo()
            self._take_settings(self._workspace)

    def redo(self) -> None:
        """Make the step last undone again."""
        if self._workspace is not None:
            self._workspace.redo()
            self._take_settings(self._workspace)

    def reset(self) -> None:
        """Drop the current object with all its prompts; can be undone."""
        if self._workspace is not None:
            self._workspace.reset()

    # For the console

    @property
    def session(self) -> Session | None:
        """The session of the image at work, None until the model is loaded (see `wait`).

        Whatever is done to it directly shows in the viewer a moment later.
        """
        session = self._workspace.session if self._workspace is not None else None
        if session is not None and self._open:
            self._watch.start()
        return session

    def wait(self, seconds: float = 60.0) -> bool:
        """Let napari go on until everything asked for is answered.

        Returns
        -------
        bool
            False if it took longer than `seconds`.
        """
        end = time.monotonic() + seconds
        while self.busy and time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.001)
        return not self.busy

    # Inside

    def _at_work(self) -> Workspace:
        if self._workspace is None:
            self._settle()
        if self._workspace is None:
            raise SessionError(
                str(self.trouble or "there is no image in the viewer; open one first")
            )
        return self._workspace

    def _prepare(self, workspace: Workspace) -> None:
        for layer in workspace.prompts.layers:
            for action, key in KEYS.items():
                layer.bind_key(key, self._key_handler(action), overwrite=True)
            layer.events.mode.connect(self._on_changed)
        workspace.prompts.positive = self._positive
        workspace.set_value_propagation(self._value_propagation)
        workspace.set_threshold(self._threshold)
        self._arm()

    def _arm(self) -> None:
        """Put the tool into the mouse's hand: the right layer, in the right mode."""
        viewer, workspace = self._viewer(), self._workspace
        if viewer is not None and workspace is not None:
            layer = self._layer_of(self._tool, workspace)
            viewer.layers.selection.active = layer
            layer.mode = MODES[self._tool]
        self.changed.emit()

    def _layer_of(self, tool: Tool, workspace: Workspace) -> Any:
        clicks, strokes = workspace.prompts.layers
        return clicks if tool is Tool.CLICK else strokes

    def _key_handler(self, action: str) -> Callable[[Any], None]:
        def on_key(layer: Any) -> None:
            work = self._workspace
            if action == "accept" and work is not None and work.prompts.finish_drawing():
                return  # Enter also ends a path or a polygon that is being drawn
            getattr(self, action)()

        return on_key

    def _follow_console(self) -> None:
        if self._workspace is not None and not self.busy:
            self._workspace.follow()
            self._take_settings(self._workspace)

    def _take_settings(self, workspace: Workspace) -> None:
        """Show settings as steps of the session, or the console, have left them."""
        known = (self._value_propagation, self._threshold)
        self._value_propagation, self._threshold = workspace.value_propagation, workspace.threshold
        if known != (self._value_propagation, self._threshold):
            self.changed.emit()
