"""Objects carried over planes and frames in the background, and corrections that reach others."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.telling import tell
from napari_pvpu.napari_side.volume_edits import NO_OBJECT, VolumeEdits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.viewer import Viewer

    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.propagating import Propagating
    from napari_pvpu.records import ChangedRegion
    from napari_pvpu.session import Session
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["VOLUME_KEYS", "Underway", "Volumes"]

VOLUME_KEYS = {"propagate": "C", "end_here": "X", "accept_into": "Shift-Enter"}
"""See `napari_pvpu.napari_side.controller.KEYS`."""

SLICE = 0.2
"""Seconds for which an object is carried on before prompts that wait are answered."""

NO_PLANES = "This image has one plane; there is none to carry an object to."


@dataclass(frozen=True, slots=True)
class Underway:
    """How far an object has been carried.

    Attributes
    ----------
    object_id : int
        The object.
    done, total : int
        Steps done, and the most that there can be.
    confidences : dict of int to float
        What speaks for the masks found so far, by position.
    """

    object_id: int
    done: int
    total: int
    confidences: dict[int, float]


class Volumes(VolumeEdits):
    """Edits with what reaches over planes; see `Stage` for the parameters."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._range: tuple[int | None, int | None] = (None, None)
        self._under_way: tuple[Workspace, Session, Propagating] | None = None
        self._shown_way: Underway | None = None
        self._stopped = self._dropped = self._held = False
        self._follows = True

    def close(self) -> None:
        self._under_way = self._shown_way = None
        super().close()

    # What is asked

    @property
    def carry_range(self) -> tuple[int | None, int | None]:
        """First and last position that objects are carried to, None for no bound."""
        return self._range

    @carry_range.setter
    def carry_range(self, bounds: tuple[int | None, int | None]) -> None:
        self._range = bounds
        self.changed.emit()

    @property
    def follows_corrections(self) -> bool:
        """Whether a plane that is corrected has the object carried anew to those around it."""
        return self._follows

    @follows_corrections.setter
    def follows_corrections(self, on: bool) -> None:
        self._follows = bool(on)
        self.changed.emit()

    # Carrying

    def accept(self) -> int | None:
        with self._holding():
            object_id = super().accept()
        if object_id is not None:
            self.changed.emit()  # it is the one now that is carried and ended
            if self._follows:
                self._follow_correction(object_id)
        return object_id

    def _follow_correction(self, object_id: int) -> None:
        """Carry an object anew, within its planes, if one of them was corrected just now."""
        workspace, axis = self._workspace, self.axis
        session = workspace.session if workspace is not None else None
        if session is None or axis is None or not session.objects[object_id].ties.carried:
            return
        planes = list(session.confidences(object_id, axis=axis))
        if len(planes) > 1:
            self._propagate(planes[0], planes[-1], within=False)

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Keep the worker free for a moment, so that nobody waits until an object is carried."""
        held, self._held = self._held, True
        try:
            yield
        finally:
            self._held = held
            if not held and self._under_way is not None and not self._worker.busy:
                self._go_on()

    @property
    def under_way(self) -> Underway | None:
        """How far an object has been carried; None while none is."""
        return self._shown_way

    def propagate(self) -> None:
        """Carry the object to planes on both sides of those that were annotated."""
        self._propagate(None, None)

    def propagate_forward(self) -> None:
        """Carry the object to the planes after this one."""
        self._propagate(self.position, None)

    def propagate_back(self) -> None:
        """Carry the object to the planes before this one."""
        self._propagate(None, self.position)

    def stop_propagation(self) -> None:
        """Stop carrying, and keep what has been found so far."""
        self._stopped = True

    def cancel_propagation(self) -> None:
        """Stop carrying, and leave everything as it was."""
        self._stopped = self._dropped = True

    def _propagate(self, first: int | None, last: int | None, *, within: bool = True) -> None:
        workspace = self._workspace
        session = workspace.session if workspace is not None else None
        if workspace is None or session is None or self._under_way is not None:
            return
        if self.axis is None:
            show_info(NO_PLANES)
            return
        if workspace.has_object:
            follows, self._follows = self._follows, False
            # What is at work is what the user means.
            self._accept_and(lambda *_: self._propagate(first, last, within=within))
            self._follows = follows
            return
        target = self.target
        if target is None:
            show_info(NO_OBJECT)
            return
        low, high = self._range if within else (None, None)
        first = low if first is None else max(first, low or 0)
        last = high if last is None else last if high is None else min(last, high)
        workspace.sync_plane()
        try:
            request = session.propagation(target, axis=self.axis, first=first, last=last)
        except PvpuError as error:
            tell(error)
            return
        self._stopped = self._dropped = False
        self._under_way = (workspace, session, session.propagating(request))
        self._go_on()

    def _go_on(self) -> None:
        """Have the worker carry on for a moment, so that prompts can come in between."""
        if self._under_way is None or self._held:
            return
        work = self._under_way[2]
        confidences = {each.position: each.confidence for each in work.found}
        self._shown_way = Underway(work.request.object_id, work.steps, work.most_steps, confidences)
        self._worker.submit(
            "propagate",
            partial(work.advance, SLICE),
            self._on_advanced,
            self._on_failed,
            cancel=self.cancel_propagation,
            progress=lambda: (work.steps, work.most_steps),
        )
        self.changed.emit()

    def _on_advanced(self, more: bool) -> None:
        if self._under_way is None:
            return
        workspace, session, work = self._under_way
        if self._dropped or workspace.session is not session:
            self._end()
        elif more and not self._stopped:
            self._go_on()
        else:
            self._end()
            self._take(workspace, work)

    def _take(self, workspace: Workspace, work: Propagating) -> None:
        """Make what was found a step; nobody is asked, plane by plane, whose pixels are whose."""

        def commit(session: Session) -> ChangedRegion:
            rule = "keep" if session.overlap == "ask" else session.overlap
            return session.commit_propagation(work.result(), overlap=rule)

        if workspace.perform(commit) is not None:
            self._tell_result(workspace, work)
        self.changed.emit()

    def _on_failed(self, error: Exception) -> None:
        """Tell, and keep what was found before a plane that cannot be read, say."""
        under_way = self._under_way
        self._end()
        tell(error)
        if under_way is not None and not self._dropped:
            workspace, session, work = under_way
            if workspace.session is session and work.result().found:
                self._take(workspace, work)

    def _end(self) -> None:
        self._under_way = self._shown_way = None
        self.changed.emit()

    def _tell_result(self, workspace: Workspace, work: Propagating) -> None:
        found, name = work.result().found, f"Object {work.request.object_id}"
        what = "frame" if self.axis == "T" else "plane"
        if not found:
            show_info(
                f"{name} is not found in the {what}s beside those that were annotated; mark it in "
                "the next one and add it to the object."
            )
            return
        words = f"{name} was carried to {len(found)} {what}{'s' if len(found) != 1 else ''}."
        least = min(found, key=lambda each: each.confidence)
        sure = f"{100 * least.confidence:.0f} %"
        words += f" Least sure in {what} {least.position}, {sure}: look at it first."
        show_info(words)

    # By hand

    def accept_into(self) -> None:
        """Keep the object at work as the mask, in this plane, of the object touched last."""
        target, workspace = self.target, self._workspace
        if target is None or workspace is None:
            self.accept()
            return

        def work(rule: OverlapRule | None) -> Any:
            return self._perform(lambda each: each.accept_into(target, overlap=rule), asks=True)

        with self._holding():
            self._try(workspace, work, lambda joined, rule: self._on_joined(joined))

    def _on_joined(self, object_id: int) -> None:
        if self._follows:
            self._follow_correction(object_id)
