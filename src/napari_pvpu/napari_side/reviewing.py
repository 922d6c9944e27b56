"""Going over accepted objects, the least certain first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info

from napari_pvpu.napari_side.looking import look_at
from napari_pvpu.napari_side.measuring import Measuring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.records import ObjectRecord

__all__ = ["REVIEW_KEYS", "Reviewing", "least_certain_first"]

REVIEW_KEYS = {"next_uncertain": "N", "previous_uncertain": "Shift-N", "skip": "U"}
"""Key of each action, by the name of the method."""

NOTHING = "There are no accepted objects to look through yet."


def least_certain_first(objects: Mapping[int, ObjectRecord]) -> list[int]:
    """Return ids of objects, those with the lowest score first and those without one last."""

    def doubt(object_id: int) -> tuple[bool, float, int]:
        score = objects[object_id].score
        return (score is None, score or 0.0, object_id)

    return sorted(objects, key=doubt)


class Reviewing(Measuring):
    """Gestures, and a walk over what was accepted; see `Stage` for the parameters."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._walk: list[int] = []
        """Objects that have been looked at, in that order."""
        self._at = 0
        """How many of them lie behind, the one being looked at included."""
        self._opened_at: tuple[int, int] | None = None
        """Object opened by the walk, and the length of the history right after that."""
        self._looked_at: int | None = None
        self.came_on.connect(self._begin_walk)

    @property
    def reviewing(self) -> bool:
        """Whether the object at work was opened by the walk."""
        work = self._workspace
        opened = work.session.opened if work is not None and work.session is not None else None
        return opened is not None and opened == self._looked_at

    def next_uncertain(self) -> None:
        """Open the least certain object that was not looked at yet.

        What was changed of the one before is accepted; one that was only looked at stays as it
        was, without a step in the history.
        """
        work = self._settle_object(keep=True)
        if work is None or work.session is None:
            return
        objects = work.session.objects
        ahead = [each for each in self._walk[self._at :] if each in objects]
        seen = set(self._walk)
        ahead += [each for each in least_certain_first(objects) if each not in seen]
        if not objects:
            show_info(NOTHING)
        elif not ahead:
            self._begin_walk()
            show_info("All objects have been looked at; the next time begins again.")
        else:
            self._walk = [*(e for e in self._walk[: self._at] if e in objects), ahead[0]] + [
                each for each in self._walk[self._at :] if each in objects and each != ahead[0]
            ]
            self._at = self._walk.index(ahead[0]) + 1
            self._look_at(work, ahead[0])

    def previous_uncertain(self) -> None:
        """Open the object that was looked at before this one."""
        work = self._settle_object(keep=True)
        if work is None or work.session is None:
            return
        behind = [n for n in range(self._at - 1) if self._walk[n] in work.session.objects]
        if behind:
            self._at = behind[-1] + 1
            self._look_at(work, self._walk[behind[-1]])
        else:
            show_info("There is no object before this one; go on to the next uncertain one.")

    def skip(self) -> None:
        """Leave the object at work as it was, and on the walk go on to the next uncertain one.

        A new object is dropped, which undo takes back.
        """
        drawing = self._workspace is not None and self._workspace.has_object and not self.reviewing
        work = self._settle_object(keep=False)
        if work is not None and not drawing:
            self.next_uncertain()

    def show_object(self, object_id: int, *, opened: bool = False) -> None:
        """Bring an accepted object into view and make it the one that edits are for.

        Parameters
        ----------
        object_id : int
            Its number.
        opened : bool
            Open it for correction as well; what is at work is settled first, as by
            `next_uncertain`.
        """
        work = self._settle_object(keep=True) if opened else self._workspace
        if work is None or work.session is None or object_id not in work.session.objects:
            return
        if opened:
            self._look_at(work, object_id)
        else:
            self._bring_into_view(work, object_id)
            self._selected = object_id
            self.changed.emit()

    # Inside

    def _begin_walk(self, workspace: object = None) -> None:
        self._walk, self._at, self._opened_at, self._looked_at = [], 0, None, None

    def _settle_object(self, *, keep: bool) -> Workspace | None:
        """Accept the object at work, or leave it; None if that was not possible."""
        self.release()
        self.wait()
        work = self._workspace
        if work is None or work.session is None:
            return None
        session, opened_at = work.session, self._opened_at
        self._opened_at = None
        if not work.has_object:
            return work
        if opened_at == (session.opened, session.history_position):
            work.perform(lambda session: session.undo())  # it was only looked at
        elif not keep:
            work.reset()
        elif self.accept() is None:
            return None  # which has been told
        return work

    def _look_at(self, work: Workspace, object_id: int) -> None:
        self._bring_into_view(work, object_id)
        self.open_object(object_id)
        session = work.session
        if session is not None and session.opened == object_id:
            self._looked_at = object_id
            self._opened_at = (object_id, session.history_position)
            self._arm()

    def _bring_into_view(self, work: Workspace, object_id: int) -> None:
        viewer, session = self._viewer(), work.session
        if viewer is None or session is None:
            return
        box = session.box_in(object_id, work.frame.plane)
        if box is None:
            record = session.objects[object_id]
            work.travel(record.home)
            work.refresh()
            box = session.box_in(object_id, record.home) or record.box
        look_at(viewer, work.frame, box)
