"""All that can be done with one image: prompts asked and answered, steps, settings."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import OverlapError, PvpuError
from napari_pvpu.napari_side.board import NO_PLANE
from napari_pvpu.napari_side.course import Course
from napari_pvpu.napari_side.label_strokes import LabelStrokes
from napari_pvpu.napari_side.next_label import NextLabel
from napari_pvpu.napari_side.telling import sentence, tell
from napari_pvpu.prompts import Click, Scribble

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.label_store import LabelArray
    from napari_pvpu.napari_side.journaling import Opened
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import ChangedRegion, Timing
    from napari_pvpu.session import Session
    from napari_pvpu.session_settings import OverlapRule

    Prompts = tuple[Prompt, ...]

__all__ = ["SETTINGS", "Workspace"]

SETTINGS = {
    "value_propagation": False,
    "threshold": 0.5,
    "smoothing": 0.0,
    "min_size": 0,
    "overlap": "keep",
}
"""Settings of a session by name, as they are at first."""

Result = TypeVar("Result")


class Workspace(Course):
    """Segmentation of one image layer; see `Board` for its parameters."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.strokes = LabelStrokes(arguments[0], self.frame)
        self.strokes.known = self._written
        self.next_label = NextLabel()
        self.settings: dict[str, Any] = dict(SETTINGS)
        """As the user wants them, before a session as well."""
        self.cutting: int | None = None
        """Object that the next stroke is to cut."""
        self.cut_joins: str | None = None
        """Title of the step that this becomes one with."""
        self.kept_off: str | None = None
        """Name of the layer whose labels objects keep off."""
        self.divert: Callable[[Prompts], bool] = lambda prompts: False
        """Told of the prompts after every edit; if it returns True, it sees to them."""
        self.worded: Callable[[str], str] = str
        """Returns a notice of the session's as the user is told it."""
        self.edited.connect(self._on_edit)
        self.painting.painted.connect(self._on_painted)
        self.strokes.painted.connect(self._on_painted)
        self.results_made.connect(self.strokes.follow)
        self.results_made.connect(self.next_label.follow)
        self.conversation.coming.connect(self.take_labels)
        self.taken.connect(self._on_taken)
        self.conversation.answered.connect(self._on_answer)
        self.conversation.unanswered.connect(self._on_no_answer)

    @property
    def waiting(self) -> bool:
        """Whether an edit has not been answered yet."""
        return self.conversation.waiting

    @property
    def filling(self) -> bool:
        """Whether accepted objects are still being written into their layer."""
        return self.results is not None and self.results.filling.busy

    @property
    def has_object(self) -> bool:
        """Whether there is a current object, or an edit on its way that may make one."""
        return bool(self.latest)

    @property
    def object_count(self) -> int:
        """How many objects have been accepted."""
        return len(self.session.objects) if self.session is not None else 0

    @property
    def timing(self) -> Timing | None:
        """What the last answer took; None as long as there is none."""
        return self.session.last_timing if self.session is not None else None

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return self._waits_here or (self.session is not None and self.session.can_undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to make again."""
        return not self._waits_here and self.session is not None and self.session.can_redo

    @property
    def _waits_here(self) -> bool:
        return self.conversation.waits_in(self.frame.plane)

    # Asking and answering

    def _on_taken(self, opened: Opened) -> None:
        """Give a new session the user's settings; take those of an earlier one."""
        QTimer.singleShot(0, self._on_painted)  # what was painted before
        if not opened.session.keeps_off:
            self.kept_off = None
        if opened.resumed:
            self._take_settings()
            return
        for name, value in self.settings.items():
            if getattr(opened.session, name) != value:
                setattr(opened.session, name, value)

    def end_session(self) -> None:
        """Let go of the session; its file is closed."""
        self.conversation.forget_skipped()
        super().end_session()

    def leave_session(self) -> None:
        """Let go of the session; the next one begins with its objects."""
        self.take_labels()
        super().leave_session()

    def _on_edit(self) -> None:
        prompts = self.prompts.read()
        if prompts == self.latest:
            return
        if not self.on_plane:
            self.prompts.write(self.latest)
            show_info(NO_PLANE)
        elif self.cutting is not None:
            # Not at once: napari has not finished with the line yet.
            strokes = [prompt for prompt in prompts if prompt not in self.latest]
            QTimer.singleShot(0, partial(self._cut, strokes))
        elif not self.divert(prompts):
            self._ask(prompts)

    def release(self) -> None:
        """Have prompts answered that were held back."""
        self.conversation.held = False
        self.hint_at_zoom()
        self.conversation.go_on()
        self.changed.emit()

    def _cut(self, strokes: list[Prompt]) -> None:
        """Split an object by what was drawn, which is no prompt then."""
        target, self.cutting = self.cutting, None
        if target is None:
            return
        self.prompts.write(self.latest)
        cuts = [stroke for stroke in strokes if isinstance(stroke, Click | Scribble)]
        if cuts:
            self.perform(lambda session: session.split(target, cuts), joins=self.cut_joins)

    def _ask(self, prompts: Prompts) -> None:
        """Have the prompts of the plane at work answered."""
        self.hint_at_zoom()
        try:
            self.sync_plane()
            self.conversation.ask(self.frame.plane, prompts)
        except PvpuError as error:
            self.prompts.write(self.latest)
            tell(error)
        self.changed.emit()

    def _on_painted(self) -> None:
        if not self.strokes.stroking and self.take_paint():
            self.refresh()

    def take_paint(self) -> bool:
        """Have the session know what was painted; False if nothing was, or it cannot yet.

        What begins an object waits for the network, lest its answer be lost: until then the paint
        stays in its layer.
        """
        session, taken = self.session, self.take_labels()
        if self.painting.stroking:
            return taken
        if session is None or (self._waits_here and not session.prompts_in(self.frame.plane)):
            self.preview.held = bool(self.preview.changed().any())
            return taken
        if session.lacks_propagation(self.frame.plane) and not self.be_on_plane():
            return taken
        stroke = self.painting.take()
        if stroke is None:
            return taken
        self.sync_plane()
        try:
            session.paint(stroke.over(session.region), offset=(stroke.row, stroke.col))
        except PvpuError as error:
            tell(error)
        return True

    def take_labels(self) -> bool:
        """Have the session know what was painted into the layer of accepted objects."""
        session = self.session
        if session is None or self.results is None:  # a layer that was left is its user's
            return False
        painted = self.strokes.take(session.labels, erased=self._seen >= 0)
        if painted is None:
            return False
        try:
            session.paint_labels(painted.labels, offset=painted.offset)
        except PvpuError as error:
            self.strokes.put_back(painted, session.labels)
            tell(error)
        self.next_label.painted(session)
        self._follow_labels()  # so that it is known what to wipe out when this is undone
        return True

    def _written(self) -> LabelArray | None:
        """Return the labels, if their layer has been brought to their state."""
        session = self.session
        if session is None or self.results is None or self.filling:
            return None
        there = self._seen == len(session.operations) or (self._seen < 0 and not session.objects)
        return session.labels if there else None

    def _catch_up(self) -> None:
        self.take_labels()
        self._follow_labels()
        if self.session is not None:
            self.next_label.propose(self.session)

    def _follow_labels(self) -> None:
        with self.strokes.quietly():
            super()._catch_up()

    def _on_answer(self, region: ChangedRegion | None) -> None:
        self.take_paint()
        self.refresh()
        if region is not None and region.notice:
            show_info(self.worded(region.notice))

    def _on_no_answer(self, error: Exception) -> None:
        tell(error)
        self.refresh(asking=False)  # which would end as this did

    # Steps

    def add(self, prompt: Prompt) -> None:
        """Add a prompt as if the user had drawn it."""
        self.prompts.add(prompt)

    def undo(self) -> None:
        """Take back the last step, in whatever plane it was made."""
        session, talk = self.session, self.conversation
        self.take_paint()
        if talk.take_back(self.frame.plane):
            self.prompts.write(self.latest)
            self.changed.emit()
        elif session is not None:
            while talk.waits_in(self.frame.plane):
                # The EM switch was turned a moment ago: a step like any other.
                QApplication.processEvents()
                time.sleep(0.001)
            talk.drop()
            skipped = talk.undo()
            self._arrive()
            if skipped:
                # One answer served several quick edits: only the last of them is taken back.
                talk.ask_skipped(session.plane, skipped)
                self.prompts.write(skipped[-1])
                self.changed.emit()

    def redo(self) -> None:
        """Make the step last undone again."""
        if self.can_redo and self.session is not None:
            self.session.redo()
            self._arrive()

    def go_to(self, position: int) -> None:
        """Take steps back or make them again until so many are done."""
        if self.session is not None:
            self.conversation.drop()
            self.take_paint()
            self.session.go_to(position)
            self._arrive()

    def _arrive(self) -> None:
        """Show the plane and all that a step back or forth has led to."""
        assert self.session is not None
        self.travel(self.session.plane)
        self._take_settings()
        self.refresh()

    def reset(self) -> None:
        """Drop the current object; this can be undone."""
        self.conversation.drop()
        self.take_paint()
        if self.session is not None and self.be_on_plane():
            self.session.reset()
        self.refresh()

    def accept(self, overlap: OverlapRule | None = None) -> int | None:
        """Keep the current object; return its id, or None after telling why not.

        Raises
        ------
        OverlapError
            If it covers others and the rule is to ask.
        """
        object_id = self.perform(lambda session: session.accept(overlap=overlap), asks=True)
        if object_id is not None:
            self.conversation.forget_skipped()
        return object_id

    def perform(
        self, work: Callable[[Session], Result], *, asks: bool = False, joins: str | None = None
    ) -> Result | None:
        """Do something to the session that needs no network, and show what comes of it.

        Parameters
        ----------
        work : callable
            Gets the session, with the plane at work that is shown.
        asks : bool
            Raise an `OverlapError`, in place of telling of it.
        joins : str, optional
            Title of the step that this one becomes one with, if that was made last.

        Returns
        -------
        object
            What `work` returned; None if it raised, after telling why.
        """
        if self.session is None:
            return None
        self.take_paint()
        if not self.be_on_plane():
            return None
        try:
            result = work(self.session)
        except PvpuError as error:
            if asks and isinstance(error, OverlapError):
                raise
            show_info(sentence(error))
            self.refresh()
            return None
        if joins is not None:
            self._join(self.session, joins)
        self.refresh()
        return result

    def _join(self, session: Session, title: str) -> None:
        """Make one step of the last two, if the first of them has this title."""
        if not session.can_redo and session.history[-2:-1] == (title,):
            session.join()
            self._seen += 1  # which changes nothing that is shown

    # Settings

    def set_value_propagation(self, on: bool) -> None:
        """Turn the EM switch; the mask follows as soon as the worker has computed it."""
        self.settings["value_propagation"] = self.conversation.value_propagation = on
        if self.latest:
            self.hint_at_zoom()
            self.sync_plane()
            self.conversation.ask_again(self.frame.plane)
            self.changed.emit()
        elif self.session is not None:
            self.session.value_propagation = on
            self.refresh()

    def set(self, name: str, value: Any) -> None:
        """Change a setting that needs no network: see `SETTINGS`."""
        if self.session is not None and value != getattr(self.session, name):
            self.perform(lambda session: setattr(session, name, value))
            value = getattr(self.session, name)
        self.settings[name] = value

    def _take_settings(self) -> None:
        """Take the settings from the session, whose steps they may have been."""
        assert self.session is not None
        for name in self.settings:
            self.settings[name] = getattr(self.session, name)
        self.conversation.value_propagation = self.settings["value_propagation"]

    def follow(self) -> None:
        """Show what has been done to the session behind our back, from the console."""
        if self.session is not None and self.session.last_change is not self._known_change:
            self._take_settings()
            super().follow()
