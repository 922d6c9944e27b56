"""What the user has asked the network, plane by plane, since it answered last.

A change of the prompts takes three steps: `Session.request` on the GUI thread, `Session.compute`
in the worker, `Session.commit` on the GUI thread again when the worker has told. Only the newest
request about a plane counts.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_pvpu.errors import PvpuError

if TYPE_CHECKING:
    from napari_pvpu.napari_side.worker import Worker
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane
    from napari_pvpu.session import Session
    from napari_pvpu.session_settings import OverlapRule

    Prompts = tuple[Prompt, ...]

__all__ = ["Conversation"]

PATIENCE = 0.04
"""Seconds for which the canvas may wait for an answer, so that a prompt and its mask are drawn in
one go."""


class Conversation(QObject):
    """Questions to a session and its answers.

    Parameters
    ----------
    worker : Worker
        Runs the network.
    """

    coming = Signal()
    """An answer is about to be taken."""
    answered = Signal(object)
    """With the `ChangedRegion` of an answer; None if the console has been faster."""
    unanswered = Signal(object)
    """With the error in place of an answer."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker
        self.session: Session | None = None
        self.value_propagation = False
        """The EM switch as the user wants it."""
        self.held = False
        """Whether prompts are only gathered, until `go_on`."""
        self._accepting: defaultdict[Plane, OverlapRule | None] = defaultdict(lambda: None)
        # What was asked and not answered yet, oldest first; and for each answer that served
        # several edits at once, the edits it skipped.
        self._asked: defaultdict[Plane, list[Prompts]] = defaultdict(list)
        self._skipped: dict[tuple[Plane, Prompts], list[Prompts]] = {}
        self._tickets: defaultdict[Plane, int] = defaultdict(int)

    @property
    def waiting(self) -> bool:
        """Whether an edit has not been answered yet."""
        return any(self._asked.values())

    def waits_in(self, plane: Plane) -> bool:
        """Tell whether an edit in a plane has not been answered yet."""
        return bool(self._asked.get(plane))

    def latest(self, plane: Plane) -> Prompts:
        """Return the prompts in a plane as the user last left them."""
        if self.waits_in(plane):
            return self._asked[plane][-1]
        return self._known(plane)

    def ask(self, plane: Plane, prompts: Prompts, accepting: OverlapRule | None = None) -> None:
        """Have prompts answered; whatever was asked in this plane before is no longer wanted.

        Without a session, or while answers are held back, they wait for `go_on`. With a rule for
        overlaps the prompts begin the next object, and the answer accepts the one at work; so does
        the answer to what is asked after them and before it.

        Raises
        ------
        PvpuError
            If the session does not take them; then nothing has changed.
        """
        if accepting is None and self.waits_in(plane):
            accepting = self._accepting[plane]
        if self.session is not None:
            options: dict[str, Any] = {"value_propagation": self.value_propagation, "plane": plane}
            if accepting is None:
                request = self.session.request(prompts, **options)
            else:
                request = self.session.request_next(prompts, overlap=accepting, **options)
            self._tickets[plane] += 1
        if self.session is not None and not self.held:
            ticket = self._tickets[plane]
            self._worker.submit(
                f"predict {plane}",
                partial(self.session.compute, request),
                partial(self._on_answer, plane, ticket),
                partial(self._on_no_answer, plane, ticket),
                patience=PATIENCE,
            )
        self._asked[plane].append(prompts)
        self._accepting[plane] = accepting

    def ask_again(self, plane: Plane) -> None:
        """Ask once more what was asked, or answered, last.

        Raises
        ------
        PvpuError
            As `ask` does.
        """
        prompts = self.latest(plane)
        accepting = self._accepting[plane] if self.waits_in(plane) else None
        if self.waits_in(plane):
            self._asked[plane].pop()
        self.ask(plane, prompts, accepting)

    def go_on(self) -> None:
        """Ask what could not be asked without a session, or was held back."""
        if self.session is not None:
            for plane in [plane for plane, asked in self._asked.items() if asked]:
                self.ask_again(plane)

    def take_back(self, plane: Plane) -> bool:
        """Forget the newest edit if it was not answered yet; False if there is nothing to forget.

        What was asked before it is asked again.
        """
        same = self.session is not None and self.latest(plane) == self._known(plane)
        if not self.waits_in(plane) or same:
            return False
        self._asked[plane].pop()
        self._tickets[plane] += 1
        if self._asked[plane]:
            self.ask_again(plane)
        return True

    def drop(self) -> None:
        """Forget what is not answered yet; an answer on its way will find no taker."""
        self._asked.clear()
        for plane in self._tickets:
            self._tickets[plane] += 1

    # Edits that one answer has skipped

    def forget_skipped(self) -> None:
        """Take skipped edits for good."""
        self._skipped.clear()

    def undo(self) -> list[Prompts]:
        """Take back a step of the session; return the edits that its answer had skipped."""
        session = self.session
        assert session is not None
        before = {plane: session.prompts_in(plane) for plane, _ in self._skipped}
        session.undo()
        plane = session.plane
        known = before.get(plane, ())
        if session.prompts_in(plane) == known:
            return []
        return self._skipped.pop((plane, known), [])

    def ask_skipped(self, plane: Plane, skipped: list[Prompts]) -> None:
        """Ask the last of several quick edits that one answer had served."""
        self._asked[plane] = skipped[:-1]
        self.ask(plane, skipped[-1])

    # Inside

    def _known(self, plane: Plane) -> Prompts:
        return self.session.prompts_in(plane) if self.session is not None else ()

    def _on_answer(self, plane: Plane, ticket: int, prediction: Any) -> None:
        if ticket != self._tickets[plane] or self.session is None:
            return
        asked = self._asked[plane]
        if asked[-1] != self._known(plane) and self._accepting[plane] is None:
            self._skipped[plane, asked[-1]] = asked[:-1]
        asked.clear()
        self.coming.emit()
        try:
            # Nothing happens if the console has been faster.
            region = self.session.commit(prediction)
        except PvpuError as error:  # of the acceptance that went with it
            self.unanswered.emit(error)
            return
        self.answered.emit(region)

    def _on_no_answer(self, plane: Plane, ticket: int, error: Exception) -> None:
        if ticket == self._tickets[plane]:
            self._asked[plane].clear()
            self.unanswered.emit(error)
