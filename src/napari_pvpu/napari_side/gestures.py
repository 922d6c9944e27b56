"""Ways to draw beyond one mark after the other: polygons, batches, marks held back, buttons."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.batch import begins_object, contested
from napari_pvpu.napari_side.editing import Editing
from napari_pvpu.napari_side.mouse_buttons import BUTTONS, OPPOSITE
from napari_pvpu.napari_side.telling import tell
from napari_pvpu.napari_side.tools import Tool

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["GESTURE_KEYS", "Gestures"]

GESTURE_KEYS = {
    "use_lasso": "R",
    "use_polygons": "P",
    "toggle_filled_polygons": "L",
    "toggle_batch": "Shift-B",
    "hold": "F",
}
"""Key of each action, by the name of the method; that of `hold` is held down."""


class Gestures(Editing):
    """Edits, and further ways to draw; see `Stage` for the parameters."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._batch = self._filled = self._asking = False
        self._mouse_buttons = OPPOSITE
        self._queue: deque[tuple[Plane, Prompt]] = deque()
        """Marks of a batch that wait for the answer to the one before."""
        self._heard: WeakSet[QObject] = WeakSet()
        self._held_in: Workspace | None = None
        self.came_on.connect(self._take_hands)

    def open(self) -> None:
        viewer = self._viewer()
        if not self._open and viewer is not None:
            viewer.mouse_drag_callbacks.append(self._on_right_button)
        super().open()

    def close(self) -> None:
        viewer = self._viewer()
        if self._open and viewer is not None:
            if self._on_right_button in viewer.mouse_drag_callbacks:
                viewer.mouse_drag_callbacks.remove(self._on_right_button)
            self.release()
            self._queue.clear()
        super().close()

    # Polygons

    def use_lasso(self) -> None:
        """Take up the lasso: a polygon drawn in one go."""
        self.tool = Tool.LASSO

    def use_polygons(self) -> None:
        """Take up the polygon tool: a click for each corner, a double click or Enter ends it."""
        self.tool = Tool.POLYGON

    @property
    def filled_polygons(self) -> bool:
        """Whether a polygon that is drawn next says what the object is, and not where it ends."""
        return self._filled

    @filled_polygons.setter
    def filled_polygons(self, filled: bool) -> None:
        self._filled = bool(filled)
        if self._workspace is not None:
            self._workspace.prompts.filled = self._filled
        self.changed.emit()

    def toggle_filled_polygons(self) -> None:
        """Have polygons be filled, or outlines again."""
        self.filled_polygons = not self.filled_polygons

    # Which button does what

    @property
    def mouse_buttons(self) -> str:
        """What the buttons of the mouse mean, one of `BUTTONS`."""
        return self._mouse_buttons

    @mouse_buttons.setter
    def mouse_buttons(self, meaning: str) -> None:
        if meaning not in BUTTONS:
            raise ValueError(f"the buttons' meaning is one of {', '.join(BUTTONS)}, not {meaning}")
        self._mouse_buttons = meaning
        if self._workspace is not None:
            self._workspace.prompts.buttons = meaning
        self.changed.emit()

    def _on_right_button(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Do what the right button is for where that is not to draw."""
        workspace = self._workspace
        if workspace is None or event.button != 2 or self._mouse_buttons not in ("accept", "none"):
            return
        active = viewer.layers.selection.active
        if active not in workspace.prompts.layers or not str(active.mode).startswith("add"):
            return
        active.mode = "pan_zoom"  # what the tool would draw is not meant
        yield
        moved = False
        while event.type == "mouse_move":
            moved = True
            yield
        # Not in here: napari is still telling others of the event.
        accepts = self._mouse_buttons == "accept" and not moved
        QTimer.singleShot(0, lambda: self._after_right_button(accepts))

    def _after_right_button(self, accepts: bool) -> None:
        if self._viewer() is not None and self._workspace is not None:
            self._arm()
            if accepts:
                self.accept()

    # Several marks, one answer

    @property
    def holding(self) -> bool:
        """Whether marks are gathered and not answered yet."""
        return self._held_in is not None

    def hold(self) -> None:
        """Gather marks without an answer, or have those gathered answered."""
        if self.holding:
            self.release()
        elif self._workspace is not None:
            self._held_in = self._workspace
            self._held_in.conversation.held = True
            # A key that is released in another window never comes back.
            app = QApplication.instance()
            if isinstance(app, QApplication):
                app.applicationStateChanged.connect(self._on_application)
            self.changed.emit()

    def release(self) -> None:
        """Have the marks that were gathered answered, all at once."""
        work, self._held_in = self._held_in, None
        if work is None:
            return
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.applicationStateChanged.disconnect(self._on_application)
        work.release()
        self.changed.emit()

    def hold_key(self, layer: Any) -> Generator[None, None, None]:
        """Gather marks as long as a key is down; napari goes on with this when it is released."""
        self.hold()
        yield
        self.release()

    def _on_application(self, state: Qt.ApplicationState) -> None:
        if state != Qt.ApplicationState.ApplicationActive:
            self.release()

    # One object after the other

    @property
    def batch(self) -> bool:
        """Whether each positive click, box or polygon is an object of its own."""
        return self._batch

    @batch.setter
    def batch(self, on: bool) -> None:
        self._batch = bool(on)
        self.changed.emit()

    def toggle_batch(self) -> None:
        """Turn the switch for batches."""
        self.batch = not self.batch

    def _divert(self, prompts: tuple[Prompt, ...]) -> bool:
        """Take what was drawn as the next object's, if it is; else False."""
        work = self._workspace
        if work is None or not self._batch or work.conversation.held:
            return False
        latest, waiting = work.latest, [prompt for _, prompt in self._queue]
        if not latest or prompts[: len(latest)] != latest:
            self._queue.clear()  # something was moved or deleted
            return False
        added = [prompt for prompt in prompts[len(latest) :] if prompt not in waiting]
        if not added or not (waiting or begins_object(added[0])):
            return False
        self._queue.extend((work.frame.plane, prompt) for prompt in added)
        # Not at once: napari has not finished with what was drawn.
        QTimer.singleShot(0, self._next_of_batch)
        return True

    def _next_of_batch(self) -> None:
        work = self._workspace
        if work is None or not self._queue:
            self._queue.clear()
            return
        plane, prompt = self._queue[0]
        if self._asking or work.conversation.waits_in(plane):
            return  # this is called again when the answer is there
        if begins_object(prompt) and self._asks_of_batch(work, plane):
            return
        self._queue.popleft()
        latest = work.conversation.latest(plane)
        work.hint_at_zoom()
        if plane == work.frame.plane:
            work.sync_plane()
        try:
            if not latest or not begins_object(prompt):
                work.conversation.ask(plane, (*latest, prompt))
            else:
                rule: OverlapRule = work.settings["overlap"]
                if rule == "ask":  # but there is nothing to ask about
                    rule = "keep"
                work.conversation.ask(plane, (prompt,), accepting=rule)
        except PvpuError as error:
            tell(error)
        self._show_batch(work)
        if self._queue:
            QTimer.singleShot(0, self._next_of_batch)

    def _asks_of_batch(self, work: Workspace, plane: Plane) -> bool:
        """Accept the object at work if the user has to be asked about that; False if not."""
        if work.settings["overlap"] != "ask" or not contested(work.session, plane):
            return False
        self._accept(work)
        if self._question is None:
            return False
        self._asking = True
        self._question.finished.connect(self._after_question)
        return True

    def _after_question(self, code: int = 0) -> None:
        """Go on with the batch; what was to begin the next object goes if nothing was decided."""
        self._asking, work = False, self._workspace
        if work is None or not self._queue:
            return
        if work.conversation.latest(self._queue[0][0]):
            self._queue.popleft()
        self._show_batch(work)
        QTimer.singleShot(0, self._next_of_batch)

    def _show_batch(self, work: Workspace) -> None:
        """Show the prompts at work, and behind them those that wait."""
        here = [prompt for plane, prompt in self._queue if plane == work.frame.plane]
        work.prompts.write((*work.latest, *here))
        self.changed.emit()

    def _on_batch_answer(self, region: object = None) -> None:
        work = self._workspace
        if work is None or work.session is None:
            return
        last = work.session.operations[-1:]
        if last and last[0].name == "prompts" and last[0].result is not None:
            self._selected = int(last[0].result["id"])
            work.conversation.forget_skipped()
        if self._queue:
            self._show_batch(work)
            QTimer.singleShot(0, self._next_of_batch)

    # Steps in their presence

    def accept(self) -> int | None:
        """Keep the current object and begin the next, with the tool still in hand."""
        self.release()
        return super().accept()

    def undo(self) -> None:
        """Take back the last step: a prompt, an acceptance, a setting, a reset."""
        if self._queue and self._workspace is not None:
            self._queue.pop()
            self._show_batch(self._workspace)
        else:
            super().undo()

    @property
    def busy(self) -> bool:
        """Whether anything is under way that will change what is shown."""
        return (bool(self._queue) and not self._asking) or super().busy

    def _take_hands(self, workspace: Workspace) -> None:
        """Have an image's prompts drawn as the user likes."""
        self._queue.clear()
        if self._held_in is not workspace:
            self.release()
        workspace.divert = self._divert
        workspace.prompts.filled = self._filled
        workspace.prompts.buttons = self._mouse_buttons
        talk = workspace.conversation
        if talk not in self._heard:
            self._heard.add(talk)
            talk.answered.connect(self._on_batch_answer)
            talk.unanswered.connect(self._on_batch_answer)
