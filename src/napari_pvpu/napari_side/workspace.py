"""All that can be done with one image: prompts asked and answered, steps, settings.

A change of the prompts takes three steps: `Session.request` here on the GUI thread,
`Session.compute` in the worker, `Session.commit` here again when the worker has told. Only the
newest request about a plane counts.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_pvpu.errors import OverlapError, PvpuError
from napari_pvpu.napari_side.board import NO_PLANE, Board
from napari_pvpu.napari_side.telling import sentence, tell
from napari_pvpu.prompts import Click, Scribble

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.napari_side.journaling import Opened
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane, Timing
    from napari_pvpu.session import Session
    from napari_pvpu.session_settings import OverlapRule

    Prompts = tuple[Prompt, ...]

__all__ = ["SETTINGS", "Workspace"]

PATIENCE = 0.04
"""Seconds for which napari may stand still for an answer, so that a prompt and its mask are drawn
in one go."""

SETTINGS = {
    "value_propagation": False,
    "threshold": 0.5,
    "smoothing": 0.0,
    "min_size": 0,
    "overlap": "keep",
}
"""Settings of a session by name, as they are at first."""

Result = TypeVar("Result")


class Workspace(Board):
    """Segmentation of one image layer; see `Board` for its parameters."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # What the user has asked for since the session answered last, by plane, oldest first, and
        # for each answer that served several edits at once, the edits it skipped.
        self._asked_in: defaultdict[Plane, list[Prompts]] = defaultdict(list)
        self._skipped: dict[tuple[Plane, Prompts], list[Prompts]] = {}
        self._tickets: defaultdict[Plane, int] = defaultdict(int)
        self.settings: dict[str, Any] = dict(SETTINGS)
        """As the user wants them, before a session as well."""
        self.cutting: int | None = None
        """Object that the next stroke is to cut."""
        super().__init__(*arguments, **options)

    @property
    def _asked(self) -> list[Prompts]:
        return self._asked_in[self.frame.plane]

    @property
    def waiting(self) -> bool:
        """Whether an edit has not been answered yet."""
        return any(self._asked_in.values())

    @property
    def has_object(self) -> bool:
        """Whether there is a current object, or an edit on its way that may make one."""
        return bool(self._latest)

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
        return bool(self._asked) or (self.session is not None and self.session.can_undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to make again."""
        return not self._asked and self.session is not None and self.session.can_redo

    # Asking and answering

    @property
    def _latest(self) -> Prompts:
        return self._latest_in(self.frame.plane)

    def _latest_in(self, plane: Plane) -> Prompts:
        if self._asked_in[plane]:
            return self._asked_in[plane][-1]
        return self.session.prompts_in(plane) if self.session is not None else ()

    def _on_opened(self, opened: Opened) -> None:
        session = opened.session
        for name, value in self.settings.items():
            if getattr(session, name) != value:
                setattr(session, name, value)
        super()._on_opened(opened)

    def _on_resumed(self, opened: Opened) -> None:
        super()._on_resumed(opened)
        self._take_settings()
        self.changed.emit()

    def _go_on(self) -> None:
        for plane, asked in list(self._asked_in.items()):
            if asked and self.session is not None:
                self._ask(asked.pop(), plane)

    def begin_anew(self) -> None:
        """Open another session, as the image now is; accepted objects stay in their layer."""
        self._skipped.clear()
        super().begin_anew()

    def _on_edit(self) -> None:
        prompts = self.prompts.read()
        if prompts == self._latest:
            return
        if not self.on_plane:
            self.prompts.write(self._latest)
            show_info(NO_PLANE)
        elif self.cutting is not None:
            # Not at once: napari has not finished with the line yet.
            strokes = [prompt for prompt in prompts if prompt not in self._latest]
            QTimer.singleShot(0, partial(self._cut, strokes))
        else:
            self._ask(prompts)

    def _cut(self, strokes: list[Prompt]) -> None:
        """Split an object by what was drawn, which is no prompt then."""
        target, self.cutting = self.cutting, None
        if target is None:
            return
        self.prompts.write(self._latest)
        cuts = [stroke for stroke in strokes if isinstance(stroke, Click | Scribble)]
        if cuts:
            self.perform(lambda session: session.split(target, cuts))

    def _ask(self, prompts: Prompts, plane: Plane | None = None) -> None:
        """Have the prompts answered; whatever was asked before is no longer wanted."""
        plane = self.frame.plane if plane is None else plane
        if self.session is not None:
            self._hint_at_zoom()
            try:
                if plane == self.frame.plane:
                    self.sync_plane()
                request = self.session.request(
                    prompts, value_propagation=self.settings["value_propagation"], plane=plane
                )
            except PvpuError as error:
                if plane == self.frame.plane:
                    self.prompts.write(self._latest)
                tell(error)
                return
            self._tickets[plane] += 1
            self._worker.submit(
                f"predict {plane}",
                partial(self.session.compute, request),
                partial(self._on_answer, plane, self._tickets[plane]),
                partial(self._on_no_answer, plane, self._tickets[plane]),
                patience=PATIENCE,
            )
        self._asked_in[plane].append(prompts)
        self.changed.emit()

    def _on_answer(self, plane: Plane, ticket: int, prediction: Any) -> None:
        if ticket != self._tickets[plane] or self.session is None:
            return
        asked = self._asked_in[plane]
        if asked[-1] != self.session.prompts_in(plane):
            self._skipped[plane, asked[-1]] = asked[:-1]
        asked.clear()
        # Nothing happens if the console has been faster.
        region = self.session.commit(prediction)
        self.refresh()
        if region is not None and region.notice:
            show_info(region.notice)

    def _on_no_answer(self, plane: Plane, ticket: int, error: Exception) -> None:
        if ticket == self._tickets[plane]:
            self._asked_in[plane].clear()
            tell(error)
            self.refresh()

    def _drop_asked(self) -> None:
        """Forget what is not answered yet; an answer on its way will find no taker."""
        self._asked_in.clear()
        for plane in self._tickets:
            self._tickets[plane] += 1

    # Steps

    def add(self, prompt: Prompt) -> None:
        """Add a prompt as if the user had drawn it."""
        self.prompts.add(prompt)

    def undo(self) -> None:
        """Take back the last step, in whatever plane it was made."""
        session, plane = self.session, self.frame.plane
        known = () if session is None else session.prompts_in(plane)
        if self._asked and (session is None or self._latest != known):
            self._asked.pop()
            self._tickets[plane] += 1
            self.prompts.write(self._latest)
            if self._asked:
                self._ask(self._asked.pop())
            self.changed.emit()
        elif session is not None:
            self._drop_asked()
            if session.value_propagation != self.settings["value_propagation"]:
                # Turned a moment ago and on its way: a step like any other.
                session.value_propagation = self.settings["value_propagation"]
            before = {each: session.prompts_in(each) for each, _ in self._skipped}
            session.undo()
            self.travel(session.plane)
            plane = session.plane
            known = before.get(plane, ())
            skipped = []
            if session.prompts_in(plane) != known:
                skipped = self._skipped.pop((plane, known), [])
            self._take_settings()
            self.refresh()
            if skipped:
                # One answer served several quick edits: only the last of them is taken back.
                self._asked_in[plane] = skipped[:-1]
                self.prompts.write(skipped[-1])
                self._ask(skipped[-1])

    def redo(self) -> None:
        """Make the step last undone again."""
        if self.can_redo and self.session is not None:
            self.session.redo()
            self._arrive()

    def go_to(self, position: int) -> None:
        """Take steps back or make them again until so many are done."""
        if self.session is not None:
            self._drop_asked()
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
        self._drop_asked()
        if self.session is not None:
            self.sync_plane()
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
            self._skipped.clear()
        return object_id

    def perform(self, work: Callable[[Session], Result], *, asks: bool = False) -> Result | None:
        """Do something to the session that needs no network, and show what comes of it.

        Parameters
        ----------
        work : callable
            Gets the session, with the plane at work that is shown.
        asks : bool
            Raise an `OverlapError`, in place of telling of it.

        Returns
        -------
        object
            What `work` returned; None if it raised, after telling why.
        """
        if self.session is None:
            return None
        self.sync_plane()
        try:
            result = work(self.session)
        except PvpuError as error:
            if asks and isinstance(error, OverlapError):
                raise
            show_info(sentence(error))
            self.refresh()
            return None
        self.refresh()
        return result

    # Settings

    def set_value_propagation(self, on: bool) -> None:
        """Turn the EM switch; the mask follows as soon as the worker has computed it."""
        self.settings["value_propagation"] = on
        if self._latest:
            prompts = self._asked.pop() if self._asked else self._latest
            self._ask(prompts)
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

    def follow(self) -> None:
        """Show what has been done to the session behind our back, from the console."""
        if self.session is not None and self.session.last_change is not self._known_change:
            self._take_settings()
            super().follow()

    def _hint_at_zoom(self) -> None:
        viewer = self._viewer()
        if viewer is not None and self.session is not None:
            self.session.canvas_extent = self.frame.visible_extent(viewer)
