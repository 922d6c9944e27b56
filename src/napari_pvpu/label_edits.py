"""How a session changes its labels: every change with its records, as one step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.edits import place
from napari_pvpu.errors import OverlapError, SessionError
from napari_pvpu.history import LabelDelta, ObjectChange, Step
from napari_pvpu.label_boxes import area_of
from napari_pvpu.rendering import joint_box, paste
from napari_pvpu.session_settings import check_overlap
from napari_pvpu.session_steps import SessionSteps
from napari_pvpu.sparse_labels import MOST_DENSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_pvpu.current_object import CurrentObject
    from napari_pvpu.drawing import Drawing
    from napari_pvpu.edits import Bits
    from napari_pvpu.label_store import Labels
    from napari_pvpu.records import ChangedRegion, ObjectRecord, PixelBox, Plane
    from napari_pvpu.session_settings import OverlapRule
    from napari_pvpu.ties import Ties

__all__ = ["LabelEdits"]


class LabelEdits(SessionSteps):
    """A session that changes its labels."""

    def _change_labels(
        self,
        title: str,
        windows: Sequence[tuple[Plane, PixelBox, Labels]],
        records: Mapping[int, ObjectRecord] | None = None,
        current: tuple[CurrentObject | None, Drawing | None] | None = None,
    ) -> ChangedRegion:
        """Write windows into the labels, as one step.

        Parameters
        ----------
        title : str
            Of the step.
        windows : sequence of (plane, box, labels)
            What the labels become. Where windows of a plane overlap, each changes pixels of its
            own. Those of sections are taken apart into lines of the image's own planes.
        records : dict of int to ObjectRecord, optional
            Records of objects that are new or changed; their boxes are found here.
        current : (CurrentObject or None, Drawing or None), optional
            What becomes of the object at work in this plane; by default nothing.
        """
        own = [window for each in windows for window in self._own_windows(*each)]
        deltas = tuple(
            (plane, LabelDelta.between(box[0], box[1], self._labels.window(plane, box), after))
            for plane, box, after in own
        )
        becoming = self._touching(records or {}, windows, own)
        changes = self._record_changes(deltas, becoming)
        if current is None and not changes and not any(delta.ids for _, delta in deltas):
            self._change = self._region_of(self._plane, self._drawing, None)
            return self._change
        # A step belongs to the plane at work, unless nothing of it happens there.
        planes = [plane for plane, _, _ in own]
        home = self._plane
        if current is None and planes and not self._happens_in(home, windows):
            home = planes[0]
        before = self._currents.get(home)
        after, drawing = current or (before, self._drawing if home == self._plane else None)
        if current is None and home != self._plane:
            drawing = self._rendered(home)
        step = Step(title, home, before, after, None, deltas, changes)
        return self._perform(step, drawing)

    def _happens_in(self, here: Plane, windows: Sequence[tuple[Plane, PixelBox, Labels]]) -> bool:
        """Whether any of several windows lies in a plane, or meets a section."""
        if not self._grid.is_section(here):
            return any(plane == here for plane, _, _ in windows)
        return any(
            plane == here or self._grid.crossing(plane, here, box) is not None
            for plane, box, _ in windows
        )

    def _own_windows(
        self, plane: Plane, box: PixelBox, after: Labels
    ) -> list[tuple[Plane, PixelBox, Labels]]:
        """Return a window as windows of the image's own planes."""
        if not self._grid.is_section(plane):
            return [(plane, box, after)]
        return [
            (own, line, after[where].reshape(line[2] - line[0], line[3] - line[1]))
            for own, line, where in self._grid.own_windows(plane, box)
        ]

    def _touching(
        self,
        records: Mapping[int, ObjectRecord],
        windows: Sequence[tuple[Plane, PixelBox, Labels]],
        own: Sequence[tuple[Plane, PixelBox, Labels]],
    ) -> dict[int, ObjectRecord]:
        """Return records that tell which planes an object comes to by sections only."""
        if not any(self._grid.is_section(plane) for plane, _, _ in windows):
            return dict(records)
        found = {}
        for object_id, record in records.items():
            known = self._objects.get(object_id)
            there = {} if known is None else known.boxes
            gained = {plane for plane, _, after in own if (after == object_id).any()}
            fresh = gained - {*there} - {plane for plane, _, _ in windows}
            found[object_id] = replace(record, ties=record.ties.touching(fresh))
        return found

    def _record_changes(
        self,
        deltas: Sequence[tuple[Plane, LabelDelta]],
        records: Mapping[int, ObjectRecord],
    ) -> tuple[ObjectChange, ...]:
        """Return how records change with the labels."""
        becoming = {object_id: self._objects.get(object_id) for object_id in records} | {
            object_id: self._objects.get(object_id)
            for _, delta in deltas
            for object_id in delta.ids
        }
        after: dict[int, ObjectRecord | None] = {**becoming, **records}
        for plane, delta in deltas:
            delta.apply(self._labels.plane(plane))
        try:
            for plane, delta in deltas:
                for object_id in after:
                    after[object_id] = self._boxed(after[object_id], object_id, plane, delta)
        finally:
            for plane, delta in reversed(deltas):
                delta.revert(self._labels.plane(plane))
        return tuple(
            ObjectChange(object_id, becoming[object_id], after[object_id])
            for object_id in after
            if becoming[object_id] != after[object_id]
        )

    def _boxed(
        self, record: ObjectRecord | None, object_id: int, plane: Plane, delta: LabelDelta
    ) -> ObjectRecord | None:
        """Return a record with the object's box in a plane as the labels now are."""
        if record is None:
            return None
        known = record.boxes.get(plane)
        area = joint_box([delta.box] if known is None else [known, delta.box])
        assert area is not None  # there is a box in any case
        return record.with_box(plane, self._labels.box_of(object_id, plane, area))

    def _claim(
        self, object_id: int, window: PixelBox, mask: Bits, overlap: OverlapRule | None
    ) -> Labels:
        """Return labels of this plane with the pixels of a mask given to an object.

        Raises
        ------
        OverlapError
            If others have some of them and the rule says to ask.
        """
        rule = self._rule(overlap)
        mask = self._kept_off(object_id, window, mask)
        after, contested = place(self._labels.window(self._plane, window), mask, object_id, rule)
        if contested and rule == "ask":
            raise OverlapError(object_id, contested)
        return after

    def _kept_off(self, object_id: int, window: PixelBox, mask: Bits) -> Bits:
        """Return a mask without the pixels that no object gains; those it has, or had, stay."""
        if self._barred is None:
            return mask
        barred = self._barred[self._grid.window(self._plane, window)]
        own = self._labels.window(self._plane, window) == object_id
        current = self._current
        if current is not None and current.origin and current.origin.object_id == object_id:
            prior = current.origin.prior
            paste(prior.mask, prior.offset, own, window[:2])
        out: Bits = mask & (own | ~barred)
        return out

    def _rule(self, overlap: OverlapRule | None) -> OverlapRule:
        return self._overlap if overlap is None else check_overlap(overlap)

    def _record(self, object_id: int) -> ObjectRecord:
        """Return an accepted object's record, or raise."""
        if object_id in self._open_ids():
            raise SessionError(
                f"object {object_id} is open for correction; accept it or cancel first"
            )
        record = self._objects.get(object_id)
        if record is not None:
            return record
        known = ", ".join(map(str, sorted(self._objects)[:10])) or "none yet"
        more = f" and {len(self._objects) - 10} more" if len(self._objects) > 10 else ""
        raise SessionError(f"there is no object {object_id!r}; objects are: {known}{more}")

    def _box_here(self, object_id: int) -> PixelBox:
        """Return an object's box in the plane at work, or raise."""
        record = self._record(object_id)
        box = self._box_in(record, object_id, self._plane)
        if box is None:
            raise SessionError(
                f"object {object_id} has no pixel in {self._grid.told(self._plane)}; go to "
                f"{' or '.join(map(str, sorted(record.boxes)[:3]))} first"
            )
        if area_of(box) > MOST_DENSE:
            raise SessionError(
                f"object {object_id} reaches over {box[2] - box[0]} x {box[3] - box[1]} pixels, "
                "too many to be worked on at once; it can be deleted, merged and relabelled as it "
                "is, and marked anew in smaller pieces"
            )
        return box

    def box_in(self, object_id: int, plane: Sequence[int] | None = None) -> PixelBox | None:
        """Return the box of an accepted object in a plane, or in a section across planes.

        Parameters
        ----------
        object_id : int
            The object.
        plane : sequence of int, optional
            By default the one at work.

        Returns
        -------
        (row0, col0, row1, col1) or None
            The last two exclusive; None if it has no pixel there.

        Raises
        ------
        SessionError
            If there is no such object or plane.
        """
        here = self._plane if plane is None else self._check_plane(plane)
        return self._box_in(self._record(object_id), object_id, here)

    def _box_in(self, record: ObjectRecord, object_id: int, plane: Plane) -> PixelBox | None:
        """Return an object's box in a plane or section, None if it has no pixel there."""
        if not self._grid.is_section(plane):
            return record.boxes.get(plane)
        within = self._grid.section_box(plane, record.boxes)
        return None if within is None else self._labels.box_of(object_id, plane, within)

    def _held(self, ties: Ties, plane: Plane, box: PixelBox) -> Bits:
        """Return which pixels of a window lie in planes, other than its own, that were annotated.

        Parameters
        ----------
        ties : Ties
            Of the object.
        plane, box
            The window.
        """
        held = np.zeros((box[2] - box[0], box[3] - box[1]), bool)
        across: list[Plane] = [each for each in ties.across if each != plane]
        if self._grid.is_section(plane):
            across += [own for own, _, _ in self._grid.own_windows(plane, box)]
        for other in across:
            where = self._grid.crossing(plane, other, box)
            if where is not None and ties.is_annotated(other):
                held[where] = True
        return held

    def _grown(self, box: PixelBox, margin: int) -> PixelBox:
        """Return a box with more pixels on each side, as far as there are any."""
        rows, cols = self._grid.shape(self._plane)
        return (
            max(box[0] - margin, 0),
            max(box[1] - margin, 0),
            min(box[2] + margin, rows),
            min(box[3] + margin, cols),
        )

    def _with_other_parts(self, record: ObjectRecord, object_id: int) -> ObjectRecord:
        """Return a record with the boxes that its object has in other planes now."""
        known, plane = self._objects.get(object_id), record.plane
        boxes = {} if known is None else known.boxes
        ties = record.ties if known is None else known.ties
        ties = ties.noted(plane, record.ties.confidence(plane))
        if self._grid.is_section(plane):
            record, boxes = self._taken_apart(record, boxes)
        rest = tuple(sorted((p, box) for p, box in boxes.items() if p != record.plane))
        return replace(record, parts=rest, ties=ties)

    def _taken_apart(
        self, record: ObjectRecord, boxes: Mapping[Plane, PixelBox]
    ) -> tuple[ObjectRecord, dict[Plane, PixelBox]]:
        """Return a record made in a section with a plane of the image's own, and all its boxes.

        Boxes of planes that it has no pixel in go when the labels are changed.
        """
        section = record.plane
        lines = {own: line for own, line, _ in self._grid.own_windows(section, record.box)}
        whole = {**lines, **boxes}
        home = min(whole)
        return replace(record, plane=home, box=whole[home], section=section), whole

    def _put_back(self, record: ObjectRecord, object_id: int, window: PixelBox) -> ObjectRecord:
        """Return the record of an object that was opened in a section and goes back as it was."""
        known = self._objects.get(object_id)
        boxes = {} if known is None else known.boxes
        for own, line, _ in self._grid.own_windows(self._plane, window):
            if own in record.boxes:
                boxes.setdefault(own, line)
        home = record.plane if record.plane in boxes else min(boxes)
        rest = tuple(sorted((p, box) for p, box in boxes.items() if p != home))
        return replace(record, plane=home, box=boxes[home], parts=rest)

    def _with_parent(self, old: int, new: int | None) -> dict[int, ObjectRecord]:
        """Return the records of the objects that an object divided into, with another parent."""
        return {
            each: replace(record, ties=replace(record.ties, parent=new))
            for each, record in self._objects.items()
            if record.ties.parent == old
        }

    def _open_ids(self) -> set[int]:
        """Return the ids of accepted objects that are open for correction."""
        origins = [current.origin for current in self._currents.values() if current.origin]
        return {each.object_id for each in origins if each.object_id is not None}

    @property
    def next_id(self) -> int:
        """Number that the next new object gets.

        Raises
        ------
        SessionError
            If none is left.
        """
        return self._free_ids()[0]

    def _free_ids(self, count: int = 1) -> list[int]:
        """Return ids for new objects, or raise if there are not so many left."""
        taken = {*self._objects, *self._open_ids()}
        first, largest = max(taken, default=0) + 1, self._labels.largest_id
        if first + count - 1 <= largest:
            return list(range(first, first + count))
        gaps = np.setdiff1d(np.arange(1, largest + 1), np.fromiter(taken, np.int64))[:count]
        if len(gaps) < count:
            raise SessionError(
                f"a session holds {largest} objects at most; save the labels and open another"
            )
        return [int(each) for each in gaps]

    def _check_free(self, object_id: int) -> int:
        """Return an id that a new object may have, or raise."""
        largest = self._labels.largest_id
        if isinstance(object_id, bool) or not isinstance(object_id, int | np.integer):
            raise SessionError(f"an object's id is a whole number, not {object_id!r}")
        if not 1 <= object_id <= largest:
            raise SessionError(f"ids run from 1 to {largest} here; {object_id} is none of them")
        if object_id in self._objects or object_id in self._open_ids():
            raise SessionError(
                f"there is an object {object_id} already; merge the two, or choose another id"
            )
        return int(object_id)
