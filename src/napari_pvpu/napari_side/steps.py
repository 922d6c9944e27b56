"""Steps of the session at work, back and forth, and the settings it draws masks by."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from napari_pvpu.errors import OverlapError, SessionError
from napari_pvpu.napari_side.questions import ask_overlap
from napari_pvpu.napari_side.tools import Tools
from napari_pvpu.napari_side.workspace import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QDialog

    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["Steps"]

Result = TypeVar("Result")


class Steps(Tools):
    """Tools with what is done by them; see `Stage` for the parameters."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._settings: dict[str, Any] = dict(SETTINGS)
        self._accepting = False
        self._question: QDialog | None = None
        self._closed: QDialog | None = None
        self._going_on: Callable[[int, OverlapRule | None], None] | None = None
        """What waits for the answer to a question about the object at work."""
        self._selected: int | None = None
        """Accepted object that was touched last."""

    def close(self) -> None:
        self._drop_question()
        super().close()

    # Steps

    def add(self, prompt: Prompt) -> None:
        """Add a prompt as if it had been drawn. The mask follows; `wait` for it in a script."""
        self._at_work().add(prompt)

    def accept(self) -> int | None:
        """Keep the current object and begin the next, with the tool still in hand.

        Returns
        -------
        int or None
            The object's id; None, with a notice, if there was nothing to accept, and None if the
            user has to be asked first whose pixels are that others have.
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

    def _accept(self, workspace: Workspace) -> int | None:
        """Accept, and ask whose the pixels are that others have, if that is the rule."""
        return self._try(workspace, workspace.accept, self._on_accepted)

    def _accept_and(self, go_on: Callable[[int, OverlapRule | None], None]) -> None:
        """Accept and go on with the object, be it when the user has been asked about it.

        `go_on` gets the object's id and what the user has answered, for one action asks once.
        """
        before = self._question
        object_id = self.accept()
        if object_id is not None:
            go_on(object_id, None)
        elif self._question is not before:
            self._going_on = go_on

    def _on_accepted(self, object_id: int, rule: OverlapRule | None) -> None:
        self._selected = object_id
        go_on, self._going_on = self._going_on, None
        if go_on is not None:
            go_on(object_id, rule)

    def _try(
        self,
        workspace: Workspace,
        work: Callable[[OverlapRule | None], Result | None],
        then: Callable[[Result, OverlapRule | None], None],
    ) -> Result | None:
        """Do what may take pixels of others, and ask first whose they are, if that is the rule.

        Parameters
        ----------
        workspace : Workspace
            At work now; nothing is done once another is.
        work : callable
            Gets a rule, None for the session's; raises `OverlapError` if that is to ask.
        then : callable
            Gets what `work` returned, unless that was None, and the rule; after the user's
            answer, too.
        """
        try:
            result = work(None)
        except OverlapError as error:
            self._ask(ask_overlap(error, partial(self._on_overlap, workspace, work, then)))
            return None
        if result is not None:
            then(result, None)
        return result

    @property
    def question(self) -> QDialog | None:
        """What the user is being asked; None if nothing."""
        return self._question

    def _on_overlap(
        self,
        workspace: Workspace,
        work: Callable[[OverlapRule | None], Result | None],
        then: Callable[[Result, OverlapRule | None], None],
        rule: OverlapRule,
        always: bool,
    ) -> None:
        """Do what was asked about with the user's answer, unless another image is at work now."""
        if workspace is not self._workspace:
            return
        if always:
            self.overlap = rule
        result = work(rule)
        if result is not None:
            then(result, rule)
        self.changed.emit()

    def _ask(self, question: QDialog) -> None:
        """Take a question that has been opened, in place of the one before."""
        self._drop_question()
        self._question = question
        question.finished.connect(self._on_question_closed)

    def _on_question_closed(self, result: int) -> None:
        # Kept until the next one: without it Qt would delete the dialog under its own feet.
        self._closed, self._question, self._going_on = self._question, None, None

    def _drop_question(self) -> None:
        if self._question is not None:
            self._question.reject()

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

    def return_to_best(self) -> None:
        """Take the mask, so far, that agrees best with all prompts of the object."""
        self.wait()
        if self._workspace is not None:
            self._workspace.perform(lambda session: session.return_to_best())

    # Settings

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

    def _set(self, name: str, value: Any) -> None:
        if self._workspace is not None:
            self._workspace.set(name, value)
            value = self._workspace.settings[name]
        self._settings[name] = value
        self.changed.emit()

    def _take_settings(self, workspace: Workspace) -> None:
        """Show settings as steps of the session, or the console, have left them."""
        if self._settings != workspace.settings:
            self._settings = dict(workspace.settings)
            self.changed.emit()

    def _at_work(self) -> Workspace:
        if self._workspace is None:
            self._settle()
        if self._workspace is None:
            raise SessionError(
                str(self.trouble or "there is no image in the viewer; open one first")
            )
        return self._workspace
