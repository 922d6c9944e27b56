"""How every step of a session is made, taken back and made again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_pvpu.errors import SessionError
from napari_pvpu.session_state import SessionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_pvpu.current_object import CurrentObject
    from napari_pvpu.drawing import Drawing
    from napari_pvpu.history import LabelDelta, Step
    from napari_pvpu.records import ChangedRegion, PixelBox, Plane

__all__ = ["SessionSteps"]


class SessionSteps(SessionState):
    """State of a session with the way back and forth through its history."""

    # What is new

    @property
    def edition(self) -> int:
        """A number that grows whenever accepted objects change: pixels, records or parents."""
        return self._edition

    def planes_edited_since(self, edition: int) -> tuple[Plane, ...]:
        """Return the image's own planes in which labels have changed since an `edition`.

        Examples
        --------
        >>> known = session.edition  # doctest: +SKIP
        >>> session.undo()  # doctest: +SKIP
        >>> session.planes_edited_since(known)  # doctest: +SKIP
        ((4,),)
        """
        return tuple(sorted(plane for plane, at in self._edited.items() if at > edition))

    def _note_edited(self, planes: Iterable[Plane]) -> None:
        self._edition += 1
        self._edited |= dict.fromkeys(planes, self._edition)

    # The way back

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to make again."""
        return self._history.can_redo

    @property
    def history(self) -> tuple[str, ...]:
        """Titles of all steps, those that were undone included, the oldest first."""
        return tuple(step.title for step in self._history.steps)

    @property
    def history_position(self) -> int:
        """How many of the steps are done, the others being undone."""
        return len(self._history)

    def undo(self) -> ChangedRegion | None:
        """Take the last step back, in the plane it was made in; None if there is none."""
        region = self._go(back=True)
        if region is not None:
            self._note("undo")
        return region

    def redo(self) -> ChangedRegion | None:
        """Make the step last undone again, in its plane; None if there is none."""
        region = self._go(back=False)
        if region is not None:
            self._note("redo")
        return region

    def go_to(self, position: int) -> ChangedRegion | None:
        """Take steps back or make them again until so many are done.

        Parameters
        ----------
        position : int
            0 to the number of titles in `history`.

        Returns
        -------
        ChangedRegion or None
            All that has changed, None if nothing has.

        Raises
        ------
        SessionError
            If there are not so many steps.
        """
        if not 0 <= position <= len(self._history.steps):
            raise SessionError(
                f"the history has {len(self._history.steps)} steps: go to 0 ... "
                f"{len(self._history.steps)}, not to {position}"
            )
        regions: list[ChangedRegion] = []
        while len(self._history) != position:
            region = self._go(back=len(self._history) > position)
            assert region is not None  # the position lies within the history
            regions.append(region)
        if not regions:
            return None
        self._change = self._joint(regions)
        self._note("go_to", position=position)
        return self._change

    def _joint(self, regions: Sequence[ChangedRegion]) -> ChangedRegion:
        """Return all that several steps have changed, as it now is."""
        boxes: dict[Plane, list[PixelBox]] = {self._plane: []}
        # What is of no size changed nothing.
        for region in regions:
            for each in (region, *region.more):
                if each.mask.size:
                    boxes.setdefault(each.plane, []).append(_box_of(each))
        return self._regions(self._plane, self._drawing, boxes, with_labels=True)

    def _go(self, back: bool) -> ChangedRegion | None:
        step = self._history.last_done if back else self._history.last_undone
        if step is None:
            return None
        settings = self._settings
        if step.settings is not None:
            settings = step.settings[0 if back else 1]
        wanted = step.before if back else step.after
        current, drawing = self._drawn(wanted, step.plane, settings)
        if step.plane != self._plane:
            self._enter(step.plane)
        self._touch(step.plane)
        if back:
            self._history.undo()
        else:
            self._history.redo()
        return self._turn(step, back, current, drawing)

    # Inside: steps

    def _perform(
        self, step: Step, drawing: Drawing | None, notice: str | None = None
    ) -> ChangedRegion:
        """Make a new step and remember it."""
        last = self._history.last_done
        if last is not None and step.joins and _joins(last, step) and not self.can_redo:
            assert last.settings is not None
            assert step.settings is not None
            whole = replace(step, before=last.before, settings=(last.settings[0], step.settings[1]))
            self._history.replace_last(whole)
        else:
            self._history.push(step)
        return self._turn(step, False, step.after, drawing, notice)

    def _turn(
        self,
        step: Step,
        back: bool,
        current: CurrentObject | None,
        drawing: Drawing | None,
        notice: str | None = None,
    ) -> ChangedRegion:
        """Make the changes of a step, or take them back."""
        if step.settings is not None:
            self._settings = step.settings[0 if back else 1]
        for plane, delta in reversed(step.labels) if back else step.labels:
            labels = self._labels.plane(plane)
            delta.revert(labels) if back else delta.apply(labels)
        for change in step.objects:
            record = change.before if back else change.after
            if record is None:
                self._objects.pop(change.object_id, None)
            else:
                self._objects[change.object_id] = record
        if step.labels or step.objects:
            self._note_edited(plane for plane, _ in step.labels)
        return self._show(step.plane, current, drawing, step.labels, notice)

    def _show(
        self,
        plane: Plane,
        current: CurrentObject | None,
        drawing: Drawing | None,
        deltas: Sequence[tuple[Plane, LabelDelta]] = (),
        notice: str | None = None,
    ) -> ChangedRegion:
        """Take a new current object with its drawing; return the region that has changed."""
        if current is None:
            self._currents.pop(plane, None)
        else:
            self._currents[plane] = current
        boxes: dict[Plane, list[PixelBox]] = {plane: [drawing.box] if drawing else []}
        if plane == self._plane:
            boxes[plane] += [self._drawing.box] if self._drawing else []
            self._drawing = drawing
        for each, delta in deltas:
            boxes.setdefault(each, []).append(delta.box)
        region = self._regions(plane, drawing, boxes, with_labels=bool(deltas))
        self._change = replace(region, notice=notice) if notice else region
        return self._change


def _joins(last: Step, step: Step) -> bool:
    return last.joins == step.joins and last.plane == step.plane


def _box_of(region: ChangedRegion) -> PixelBox:
    height, width = region.mask.shape
    return (region.row, region.col, region.row + height, region.col + width)
