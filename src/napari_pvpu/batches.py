"""One object after the other: a prompt that begins the next one accepts the one at work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_pvpu.accepting import Accepting
from napari_pvpu.errors import OverlapError, SessionError
from napari_pvpu.history import ObjectChange, Step
from napari_pvpu.operations import OperationLog
from napari_pvpu.prompting import Prompting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import ChangedRegion, Plane, Prediction, Request
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["Batches"]


class Batches(Accepting, Prompting):
    """A session in which accepting an object and beginning the next can be one step."""

    def next_object(
        self, prompts: Sequence[Prompt], *, overlap: OverlapRule | None = None
    ) -> ChangedRegion:
        """Accept the current object and begin the next, as one step of the history.

        An object that cannot be accepted, because it has no pixel or lies wholly within others, is
        dropped; the region's `notice` says so.

        Parameters
        ----------
        prompts : sequence of Prompt
            Of the next object.
        overlap : {"keep", "overwrite", "ask"}, optional
            As for `accept`.

        Raises
        ------
        PromptError
            If a prompt lies outside the image.
        OverlapError
            As from `accept`; then nothing has changed.
        """
        return self._answered(self.request_next(prompts, overlap=overlap))

    def request_next(
        self,
        prompts: Sequence[Prompt],
        *,
        overlap: OverlapRule | None = None,
        value_propagation: bool | None = None,
        plane: Plane | None = None,
    ) -> Request:
        """Write down what is asked about the next object.

        As `request` does, but committing the answer accepts the object at work.

        Raises
        ------
        PromptError
            If a prompt lies outside the image.
        SessionError
            If there is no such plane, or no such rule for overlaps.
        """
        rule = self._rule(overlap)
        request = self.request(prompts, value_propagation=value_propagation, plane=plane)
        here = request.plane == self._plane
        drawing = self._drawing if here else self._rendered(request.plane)
        length = request.object_length
        if drawing is not None:
            length = float(max(drawing.mask.shape))
        return replace(
            request, base=None, paint=None, origin=None, object_length=length, accepting=rule
        )

    def commit(self, prediction: Prediction) -> ChangedRegion | None:
        """Last of three steps: take the answer, in the owner's thread.

        Returns
        -------
        ChangedRegion or None
            None, and nothing happens, if something newer was asked or done in the meantime. In
            the plane that was asked about, even if another is at work by now.

        Raises
        ------
        OverlapError
            If the answer is about a next object, the one before covers others and the rule is to
            ask; then nothing has changed.
        """
        request, here = prediction.request, self._plane
        if request.accepting is None or not self.is_current(request):
            return super().commit(prediction)
        if request.plane != here:
            self._enter(request.plane)
        try:
            return self._commit_next(prediction, request.accepting)
        finally:
            if request.plane != here:
                self._enter(here)

    def _commit_next(self, prediction: Prediction, rule: OverlapRule) -> ChangedRegion:
        plane = prediction.request.plane
        # What the two steps have to say for themselves goes into one operation.
        log, self._log = self._log, OperationLog()
        try:
            closed, notice, regions = self._close(rule)
            first = self._history.last_done
            request = replace(prediction.request, generation=self._newest[plane])
            region = super().commit(replace(prediction, request=request))
            assert region is not None  # nothing can have come between
            noted = self._log.operations[-1].values
        finally:
            self._log = log
        if regions:
            self._join_last(first)
            region = self._joint([*regions, region])
        self._change = replace(region, notice=notice) if notice else region
        self._note("prompts", closed, **noted, accepting=rule)
        return self._change

    def _close(self, rule: OverlapRule) -> tuple[Any, str | None, list[ChangedRegion]]:
        """Accept the object at work, or drop it; return the result, a notice and the regions."""
        if self._current is None:
            return None, None, []
        notice = None
        try:
            self.accept(overlap=rule)
        except OverlapError:
            raise
        except SessionError:
            self.reset()
            notice = "The object before this one could not be kept and was dropped; undo shows it."
        assert self._change is not None  # something was done
        result = self._log.operations[-1].result
        return result, notice, [self._change]

    def join(self) -> None:
        """Make one step of the two made last, by the later one's title; undo takes back both.

        Raises
        ------
        SessionError
            If there are no two, something has been undone since, or each has changed the object
            at work in a plane of its own.
        """
        steps = self._history.steps[-2:]
        joined = None
        if len(steps) == 2 and not self.can_redo:
            joined = _joined(*steps, steps[1].title)
        if joined is None:
            raise SessionError("there are no two steps that could be made one")
        self._put_joined(joined)
        self._note("join")

    def _join_last(self, first: Step | None) -> None:
        """Make one step of the last two, the first of which is given."""
        second = self._history.last_done
        if first is None or second is None or second is first or len(self._history) < 2:
            return
        joined = _joined(first, second, f"{first.title}, {second.title.lower()}")
        if joined is not None:
            self._put_joined(joined)

    def _put_joined(self, joined: Step) -> None:
        """Put a step in the place of the last two."""
        self._history.undo()
        self._history.replace_last(joined)


def _joined(first: Step, second: Step, title: str) -> Step | None:
    """Return one step in place of two; None if objects at work in two planes were changed."""
    plane, before, after = first.plane, first.before, second.after
    if first.plane != second.plane:
        if second.before is second.after:
            after = first.after
        elif first.before is first.after:
            plane, before = second.plane, second.before
        else:
            return None
    changed = [step.settings for step in (first, second) if step.settings is not None]
    objects: dict[int, ObjectChange] = {}
    for change in (*first.objects, *second.objects):
        known = objects.get(change.object_id, change)
        objects[change.object_id] = replace(change, before=known.before)
    return Step(
        title,
        plane,
        before,
        after,
        (changed[0][0], changed[-1][1]) if changed else None,
        first.labels + second.labels,
        tuple(objects.values()),
    )
