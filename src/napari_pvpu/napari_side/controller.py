"""What a user can do in a viewer: each action is a method, a key, a button and a command."""

from __future__ import annotations

from functools import partial
from os import fspath
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.comparing import HAND_KEYS, Comparing
from napari_pvpu.napari_side.earlier_work import EarlierWork
from napari_pvpu.napari_side.encoding_ahead import EncodingAhead
from napari_pvpu.napari_side.engine import Look
from napari_pvpu.napari_side.exporting import prepare
from napari_pvpu.napari_side.guide import Guide
from napari_pvpu.napari_side.key_cursor import KeyCursor
from napari_pvpu.napari_side.overlay_layers import HINT, PROBABILITY, UNCERTAINTY
from napari_pvpu.napari_side.preferences import Obedience, Preferences
from napari_pvpu.napari_side.progress import Progress
from napari_pvpu.napari_side.scripting import copy_script
from napari_pvpu.napari_side.series_actions import SERIES_KEYS, SeriesActions
from napari_pvpu.napari_side.shortcuts import Shortcuts
from napari_pvpu.napari_side.telling import tell, with_keys
from napari_pvpu.napari_side.tools import MODES, Tool
from napari_pvpu.napari_side.turns import Turns
from napari_pvpu.napari_side.volumes import VOLUME_KEYS, Volumes
from napari_pvpu.napari_side.window_watch import WindowWatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from napari.viewer import Viewer

    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.session import Session

__all__ = ["KEYS", "Controller", "Tool"]

KEYLESS = (
    "toggle_probability", "toggle_uncertainty", "toggle_next_click", "adopt_labels",
    "keep_off_labels", "propagate_forward", "propagate_back", "divide_here", "lose_here",
    "show_tracks", "measure", "copy_as_python",
)  # fmt: skip
"""Actions that come without a key, and can be given one."""

KEYS = {
    "accept": "Enter",
    "undo": "Control-Z",
    "redo": "Control-Shift-Z",
    "reset": "Shift-R",
    "return_to_best": "Shift-Z",
    "toggle_polarity": "T",
    "toggle_value_propagation": "M",
    "use_clicks": "Q",
    "use_boxes": "W",
    "use_scribbles": "E",
    "use_paint": "B",
    "open_at_cursor": "O",
    "delete_object": "Shift-D",
    "fill_holes": "H",
    "smooth_object": "G",
    "grow_object": ".",
    "shrink_object": ",",
    "split_object": "K",
    "merge_at_cursor": "J",
    "relabel_object": "Shift-L",
    "remove_small_parts": "Shift-G",
    "keyboard_cursor": "Y",
    **HAND_KEYS,
    **SERIES_KEYS,
    **VOLUME_KEYS,
    **dict.fromkeys(KEYLESS, ""),
}
"""Key of each action, by the name of the method. They are bound to our own layers alone: keys of
the active layer come before all others in napari, and nobody else's layers are touched."""

UNDO_KEYS = ("undo", "redo")
"""Actions whose keys hold on the layer of accepted objects, too, where others mean painting:
strokes in it are steps of the session, so that napari's own way back would go another way."""

NAPARI_PAINTS_BY = ("use_scribbles", "use_polygons", "toggle_filled_polygons", "hold")
PAINTING_KEYS = tuple(action for action in KEYS if action not in NAPARI_PAINTS_BY)
"""Actions whose keys hold while one paints: E, P, L and F are napari's then, E for the eraser."""

WATCH_MS = 150
"""How often a session that is in the hands of the console is looked at for changes."""


class Controller(Comparing, SeriesActions, Volumes, EarlierWork):
    """Interactive segmentation in one viewer; get it from `napari_pvpu.attach`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Kept weakly.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self.preferences = Preferences()
        self.shortcuts = Shortcuts(self.preferences, KEYS)
        self.progress = Progress(self._worker, {"predict": self.undo})
        self._guide = Guide(self)
        self.key_cursor = KeyCursor(self)
        self._obedience = Obedience(self, self.preferences)
        self.ahead = EncodingAhead(self)
        self._turns = Turns(self)
        self.came_on.connect(self._prepare)
        self.results_made.connect(self._prepare_results)
        self._exporting: str | None = None
        self._window = WindowWatch()
        self._window.closed.connect(self.end)
        self._watch = QTimer(self)
        self._watch.setInterval(WATCH_MS)
        self._watch.timeout.connect(self._follow_console)

    def open(self) -> None:
        if not self._open:
            self.preferences.open()
            self._guide.open()
            self._window.begin(self._viewer())
        super().open()

    def close(self) -> None:
        self._watch.stop()
        self._window.end()
        if self._open:
            self.preferences.close()
            self._guide.close()
            self.key_cursor.hide()
        super().close()
        self._exporting = None

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

    # Over it

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

    def toggle_probability(self) -> None:
        """Show the probability of each pixel over the image, or hide it."""
        self.show_overlay(PROBABILITY, not self.overlay(PROBABILITY))

    def toggle_uncertainty(self) -> None:
        """Show where the network cannot decide, or hide it."""
        self.show_overlay(UNCERTAINTY, not self.overlay(UNCERTAINTY))

    def toggle_next_click(self) -> None:
        """Show where a click would tell most, or hide it."""
        self.show_overlay(HINT, not self.overlay(HINT))

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

    def copy_as_python(self) -> None:
        """Put a script on the clipboard that does all that was done to this image again."""
        self.wait()
        copy_script(self._workspace, self.model)

    def keyboard_cursor(self) -> None:
        """Show a cross that draws by keys in place of the mouse, or put it away."""
        self.key_cursor.toggle()

    def in_turn(self, action: str, *arguments: object) -> None:
        """Do an action once those before it are done, as keys, buttons and commands have it done.

        In a script call the method itself, which has been done when it returns.

        Parameters
        ----------
        action : str
            Name of a method of the controller.
        *arguments
            What to call it with.
        """
        self._turns.take(action, *arguments)

    def _pointed_at(self, viewer: Viewer) -> tuple[float, ...]:
        return self.key_cursor.place or super()._pointed_at(viewer)

    # For the console

    @property
    def session(self) -> Session | None:
        """The session of the image at work, None until the model is loaded (see `wait`).

        Whatever is done to it directly shows in the viewer a moment later.
        """
        workspace = self._workspace
        session = workspace.session if workspace is not None else None
        if workspace is not None:
            workspace.take_labels()
            workspace.sync_plane()
        if session is not None and self._open:
            self._watch.start()
        return session

    # Inside

    def _prepare(self, workspace: Workspace) -> None:
        for layer in workspace.prompts.layers:
            self.shortcuts.bind(layer, self._key_handler)
            layer.events.mode.connect(self._on_changed)
        self.shortcuts.bind(workspace.preview.layer, self._key_handler, PAINTING_KEYS)
        if workspace.image in self._openers:  # of a series: then the layer is ours, too
            self.shortcuts.bind(workspace.image, self._key_handler, SERIES_KEYS)
        workspace.preview.layer.events.mode.connect(self._on_changed)
        for layer in workspace.prompts.layers:
            if self._on_double_click not in layer.mouse_double_click_callbacks:
                layer.mouse_double_click_callbacks.append(self._on_double_click)
        workspace.prompts.positive = self._positive
        workspace.worded = partial(with_keys, shortcuts=self.shortcuts)
        for name, value in self._settings.items():
            if name == "value_propagation":
                workspace.set_value_propagation(value)
            else:
                workspace.set(name, value)
        self._arm()

    def _prepare_results(self, layer: Any) -> None:
        self.shortcuts.bind(layer, self._results_key_handler, (*UNDO_KEYS, *SERIES_KEYS))

    def _results_key_handler(self, action: str) -> Callable[[Any], None]:
        def on_key(layer: Any) -> None:
            work = self._workspace
            results = work.results if work is not None and work.session is not None else None
            if action in SERIES_KEYS or (results is not None and results.layer is layer):
                self.in_turn(action)
            else:
                getattr(layer, action)()

        return on_key

    def _on_double_click(self, layer: Any, event: Any) -> None:
        """Accept; the first click of the two is a prompt only if there was none before."""
        workspace = self._workspace
        if workspace is None or event.modifiers:
            return
        if str(layer.mode) == MODES[Tool.CLICK]:
            if len(workspace.prompts.read()) > 1:
                workspace.undo()
            QTimer.singleShot(0, self.accept)
        elif workspace.prompts.double_clicked and workspace.has_object:
            # Not in here: napari is still telling others of the event.
            QTimer.singleShot(0, self._accept_by_stroke)

    def _accept_by_stroke(self) -> None:
        if self._workspace is not None:
            self._workspace.prompts.forget_click()
            self.accept()

    def _key_handler(self, action: str) -> Callable[[Any], Any]:
        if action == "hold":
            return self.hold_key  # napari tells it of the key's release, too

        def on_key(layer: Any) -> None:
            if action == "accept" and self._finish_drawing():
                return  # Enter also ends a path or a polygon that is being drawn
            if action == "accept" and str(layer.mode) == "polygon":
                show_info("A double click ends the polygon; then Enter keeps the object.")
                return
            self.in_turn(action)

        return on_key

    def _finish_drawing(self) -> bool:
        """End what mouse or keys have begun to draw; False if nothing."""
        work = self._workspace
        return self.key_cursor.finish() or (work is not None and work.prompts.finish_drawing())

    def _follow_console(self) -> None:
        if self._workspace is not None and not self.busy:
            self._workspace.follow()
            self._take_settings(self._workspace)
