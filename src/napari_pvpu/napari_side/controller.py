"""What a user can do in a viewer: each action is a method, a key, a button and a command."""

from __future__ import annotations

import time
from enum import Enum
from functools import partial
from os import fspath
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import PvpuError, SessionError
from napari_pvpu.napari_side.editing import Editing
from napari_pvpu.napari_side.engine import Look
from napari_pvpu.napari_side.exporting import prepare
from napari_pvpu.napari_side.telling import tell
from napari_pvpu.napari_side.workspace import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

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
    "open_at_cursor": "O",
    "delete_object": "Shift-D",
    "fill_holes": "H",
    "smooth_object": "G",
    "grow_object": ".",
    "shrink_object": ",",
    "split_object": "K",
}
"""Key of each action, by the name of the method. They are bound to our own layers alone: keys of
the active layer come before all others in napari, and nobody else's layers are touched."""

UNDO_KEYS = ("undo", "redo")
"""Actions whose keys hold on the layer of accepted objects, too, where others mean painting."""

WATCH_MS = 150
"""How often a session that is in the hands of the console is looked at for changes."""


class Tool(Enum):
    """What the mouse draws."""

    CLICK = "click"
    BOX = "box"
    SCRIBBLE = "scribble"


MODES = {Tool.CLICK: "add", Tool.BOX: "add_rectangle", Tool.SCRIBBLE: "add_path"}


class Controller(Editing):
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
        self._settings: dict[str, Any] = dict(SETTINGS)
        self._accepting = False
        self._exporting: str | None = None
        self._watch = QTimer(self)
        self._watch.setInterval(WATCH_MS)
        self._watch.timeout.connect(self._follow_console)

    def close(self) -> None:
        self._watch.stop()
        super().close()
        self._exporting = None

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

    # The image

    @property
    def look(self) -> Look:
        """How the image at work is to be seen: axes, channels, display; set it to change that.

        What does not fit the image is told and changes nothing. A new look begins the session
        anew; accepted objects are taken along as long as the planes are the same.
        """
        return self._workspace.look if self._workspace is not None else Look()

    @look.setter
    def look(self, look: Look) -> None:
        if self._workspace is not None:
            try:
                self._workspace.see(look)
            except PvpuError as error:
                tell(error)
        self.changed.emit()

    # Masks

    @property
    def value_propagation(self) -> bool:
        """Whether corrections spread to what looks alike (EM)."""
        return bool(self._settings["value_propagation"])

    @value_propagation.setter
    def value_propagation(self, on: bool) -> None:
        self._settings["value_propagation"] = on
        if self._workspace is not None:
            self._workspace.set_value_propagation(on)
        self.changed.emit()

    def toggle_value_propagation(self) -> None:
        """Turn the EM switch."""
        self.value_propagation = not self.value_propagation

    @property
    def threshold(self) -> float:
        """Probability above which a pixel belongs to the object, between 0 and 1."""
        return float(self._settings["threshold"])

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        self._set("threshold", threshold)

    @property
    def smoothing(self) -> float:
        """Width of the Gaussian that smooths the mask, in pixels of the image; 0 for none."""
        return float(self._settings["smoothing"])

    @smoothing.setter
    def smoothing(self, pixels: float) -> None:
        self._set("smoothing", pixels)

    @property
    def min_size(self) -> int:
        """Pixels that a part of the object has to have; the largest part always stays."""
        return int(self._settings["min_size"])

    @min_size.setter
    def min_size(self, pixels: int) -> None:
        self._set("min_size", pixels)

    @property
    def overlap(self) -> str:
        """Whose pixels are that two objects claim: "keep" (the older's), "overwrite" or "ask"."""
        return str(self._settings["overlap"])

    @overlap.setter
    def overlap(self, rule: str) -> None:
        self._set("overlap", rule)

    def overlay(self, name: str) -> bool:
        """Tell whether a layer of `OVERLAYS` is shown: "probability", "uncertainty" or "hint"."""
        return self._workspace is not None and name in self._workspace.overlays.wanted

    def show_overlay(self, name: str, on: bool = True) -> None:
        """Show such a layer, or hide it."""
        if self._workspace is not None:
            self._arranging = True
            try:
                self._workspace.turn_overlay(name, on)
            finally:
                self._arranging = False
        self.changed.emit()

    def return_to_best(self) -> None:
        """Take the mask, so far, that agrees best with all prompts of the object."""
        self.wait()
        if self._workspace is not None:
            self._workspace.perform(lambda session: session.return_to_best())

    def _set(self, name: str, value: Any) -> None:
        if self._workspace is not None:
            self._workspace.set(name, value)
            value = self._workspace.settings[name]
        self._settings[name] = value
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
        return self._accept(workspace)

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

    @property
    def history(self) -> tuple[str, ...]:
        """Titles of all steps, those that were undone included, the oldest first."""
        session = self._workspace.session if self._workspace is not None else None
        return session.history if session is not None else ()

    @property
    def history_position(self) -> int:
        """How many of the steps are done, the others being undone."""
        session = self._workspace.session if self._workspace is not None else None
        return session.history_position if session is not None else 0

    def go_to(self, position: int) -> None:
        """Take steps back or make them again until so many are done."""
        if self._workspace is not None and position != self.history_position:
            self.wait()
            self._workspace.go_to(position)
            self._take_settings(self._workspace)

    def reset(self) -> None:
        """Drop the current object with all its prompts; can be undone."""
        if self._workspace is not None:
            self._workspace.reset()

    # Out

    @property
    def exporting(self) -> str | None:
        """Path of the file that is being written, None if none is."""
        return self._exporting

    def export(self, path: str | PathLike[str], format_name: str | None = None) -> None:
        """Write the accepted objects to a file, in the background; `wait` for it in a script.

        Parameters
        ----------
        path : path
            Of the file; replaced if it is there, and left alone if something goes wrong.
        format_name : str, optional
            One of `napari_pvpu.export.FORMATS`; by default the one that goes with the name.
        """
        if self._workspace is None:
            return
        try:
            export = prepare(self._workspace, fspath(path), format_name)
        except PvpuError as error:
            tell(error)
            return
        self._exporting = export.path
        done = partial(self._on_exported, export.path)
        self._worker.submit(f"export {export.path}", export.write, done, self._on_not_exported)
        self.changed.emit()

    def _on_exported(self, path: str, count: int) -> None:
        self._exporting = None
        show_info(f"{count} object{'s' if count != 1 else ''} exported to {path}")
        self.changed.emit()

    def _on_not_exported(self, error: Exception) -> None:
        self._exporting = None
        tell(error)
        self.changed.emit()

    # For the console

    @property
    def session(self) -> Session | None:
        """The session of the image at work, None until the model is loaded (see `wait`).

        Whatever is done to it directly shows in the viewer a moment later.
        """
        workspace = self._workspace
        session = workspace.session if workspace is not None else None
        if workspace is not None:
            workspace.sync_plane()
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
        clicks, _ = workspace.prompts.layers
        clicks.mouse_double_click_callbacks.append(self._on_double_click)
        workspace.prompts.positive = self._positive
        for name, value in self._settings.items():
            if name == "value_propagation":
                workspace.set_value_propagation(value)
            else:
                workspace.set(name, value)
        self._arm()

    def _prepare_results(self, layer: Any) -> None:
        for action in UNDO_KEYS:
            layer.bind_key(KEYS[action], self._results_key_handler(action), overwrite=True)

    def _results_key_handler(self, action: str) -> Callable[[Any], None]:
        def on_key(layer: Any) -> None:
            painting = str(layer.mode) in ("paint", "erase", "fill", "polygon")
            getattr(layer if painting else self, action)()

        return on_key

    def _on_double_click(self, layer: Any, event: Any) -> None:
        """Accept; the first click of the two is a prompt only if there was none before."""
        workspace = self._workspace
        if workspace is None or str(layer.mode) != MODES[Tool.CLICK] or event.modifiers:
            return
        if len(workspace.prompts.read()) > 1:
            workspace.undo()
        QTimer.singleShot(0, self.accept)

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
        if self._settings != workspace.settings:
            self._settings = dict(workspace.settings)
            self.changed.emit()
