"""Objects over many planes, edited by hand: where they end, and what else is part of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.carrying import PlaneMask
from napari_pvpu.errors import SessionError
from napari_pvpu.label_edits import LabelEdits
from napari_pvpu.rendering import joint_box

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_pvpu.label_store import Labels
    from napari_pvpu.records import ChangedRegion, ObjectRecord, PixelBox, Plane
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["OnLine", "StackEdits", "checksum"]


class StackEdits(LabelEdits):
    """A session whose objects reach over planes or frames."""

    def end_object(
        self,
        object_id: int,
        plane: Sequence[int] | None = None,
        *,
        axis: str | None = None,
        on: bool = True,
    ) -> ChangedRegion:
        """Say that an object is not in a plane: it ends there, whatever the network thinks.

        Its mask in that plane is taken away, and what was carried on from there, up to the next
        annotated plane.

        Parameters
        ----------
        object_id : int
            The object.
        plane : sequence of int, optional
            By default the one at work.
        axis : str, optional
            Along which it ends; by default Z, or T in a movie.
        on : bool
            False takes the word back; nothing is carried there until `propagate` is called.

        Raises
        ------
        SessionError
            If there is no such object or plane, or it is the only one that was annotated.
        """
        record = self._record(object_id)
        here = self._plane if plane is None else self._check_plane(plane)
        along = self._axis(axis, here)
        known = {*record.boxes, *record.ties.across}
        if on and all(at == here or not record.ties.is_annotated(at) for at in known):
            raise SessionError(
                f"object {object_id} was annotated in {self._grid.told(here)} alone, so nothing "
                "would be left to carry; delete it, or go to a plane where it is not"
            )
        ends = {*record.ties.ends, here} if on else {*record.ties.ends} - {here}
        ties = replace(record.ties, ends=tuple(sorted(ends)))
        gone = self._beyond(record, here, along) if on else []
        windows = [
            (at, box, np.where(labels == object_id, labels.dtype.type(0), labels))
            for at in gone
            for box in [self._box_in(record, object_id, at)]
            if box is not None
            for labels in [self._labels.window(at, box)]
        ]
        title = f"End object {object_id}" if on else f"Do not end object {object_id}"
        region = self._change_stack(title, windows, {object_id: replace(record, ties=ties)})
        self._note(
            "end_object", object_id=int(object_id), plane=list(here),
            axis=self._grid.axes[along], on=bool(on),
        )  # fmt: skip
        return region

    def accept_into(self, object_id: int, *, overlap: OverlapRule | None = None) -> int:
        """Keep the current object as the mask of an accepted one in this plane.

        What was carried to this plane is replaced; an annotated mask is added to.

        Parameters
        ----------
        object_id : int
            The accepted object, which keeps its id.
        overlap
            As for `Session.accept`.

        Returns
        -------
        int
            The object's id.

        Raises
        ------
        SessionError
            If there is no object at work, it is one opened for correction, it lies wholly within
            others, or there is no such accepted object.
        OverlapError
            If others have pixels of it and the rule is to ask.
        """
        record, current, drawing = self._record(object_id), self._current, self._drawing
        if current is None or drawing is None:
            raise SessionError("there is no object to accept; add a positive prompt first")
        if current.origin is not None and current.origin.object_id is not None:
            raise SessionError(
                f"object {current.origin.object_id} is open for correction; accept it, then merge "
                "the two"
            )
        known = self._box_in(record, object_id, self._plane)
        box = joint_box([drawing.box] if known is None else [drawing.box, known])
        assert box is not None  # there is a drawing
        mask = PlaneMask(drawing.row, drawing.col, drawing.mask).over(box)
        if known is not None:
            kept = self._labels.window(self._plane, box) == object_id
            if not record.ties.is_annotated(self._plane):
                kept &= self._held(record.ties, self._plane, box)
            mask |= kept
        after = self._claim(object_id, box, mask, overlap)
        if not (after == object_id).any():
            raise SessionError("the object lies wholly within accepted ones; mark another")
        ties = record.ties.noted(self._plane, None)
        made = replace(
            record, prompts=current.prompts, score=current.score, box=box,
            plane=self._plane, paint=current.paint, ties=ties, section=None,
        )  # fmt: skip
        self._touch(self._plane)
        title, windows = f"Accept as object {object_id}", [(self._plane, box, after)]
        becoming = {object_id: self._with_other_parts(made, object_id)}
        self._change_labels(title, windows, becoming, current=(None, None))
        result = {"id": int(object_id), **checksum(windows)}
        self._note("accept_into", result, object_id=int(object_id), overlap=self._rule(overlap))
        return int(object_id)

    def confidences(
        self, object_id: int, *, axis: str | None = None, plane: Sequence[int] | None = None
    ) -> dict[int, float | None]:
        """Return what speaks for an object's mask in each plane on a line.

        Parameters
        ----------
        object_id : int
            The object.
        axis, plane
            The line, as for `propagate`.

        Returns
        -------
        dict of int to float or None
            By position along the axis, in order: 0 to 1; None where the user annotated it.

        Raises
        ------
        SessionError
            If there is no such object, axis or plane.
        """
        record, line = self._record(object_id), self._line(axis, plane)
        carried = dict(record.ties.carried)
        planes = self._planes_on(record, line)
        found = {
            line.position(at): carried.get(at) for at in planes if at not in record.ties.touched
        }
        return dict(sorted(found.items()))

    def ended_in(
        self, object_id: int, *, axis: str | None = None, plane: Sequence[int] | None = None
    ) -> tuple[int, ...]:
        """Return the positions on a line at which `end_object` says that an object is not.

        Parameters
        ----------
        object_id : int
            The object.
        axis, plane
            The line, as for `propagate`.

        Returns
        -------
        tuple of int
            Positions along the axis.

        Raises
        ------
        SessionError
            If there is no such object, axis or plane.
        """
        record, line = self._record(object_id), self._line(axis, plane)
        return tuple(line.position(at) for at in record.ties.ends if line.holds(at))

    # Inside

    def _line(self, axis: str | None, plane: Sequence[int] | None) -> OnLine:
        """Return the line through a plane, by default the one at work, along an axis."""
        here = self._plane if plane is None else self._check_plane(plane)
        return OnLine(here, self._axis(axis, here))

    def _change_stack(
        self,
        title: str,
        windows: Sequence[tuple[Plane, PixelBox, Labels]],
        records: Mapping[int, ObjectRecord],
    ) -> ChangedRegion:
        """Write windows of many planes as one step of the plane at work, wherever they are."""
        corner: PixelBox = (0, 0, 1, 1)
        here = (self._plane, corner, self._labels.window(self._plane, corner).copy())
        return self._change_labels(title, [here, *windows], records)

    def _axis(self, axis: str | None, plane: Plane) -> int:
        """Return the position, in a plane's index, of an axis that there are planes along."""
        axes = self._grid.fixed_axes(plane)
        if not axes:
            raise SessionError("the image has one plane; there is none to carry an object to")
        if axis is None and self._grid.is_section(plane):
            axis = axes[-1]
        if axis is None:
            return axes.index("Z") if "Z" in axes else len(axes) - 1
        if axis not in axes:
            raise SessionError(f"there is no plane axis {axis!r}; choose from {', '.join(axes)}")
        return self._grid.axes.index(axis)

    def _planes_on(self, record: ObjectRecord, line: OnLine) -> list[Plane]:
        """Return the planes of a line in which an object was annotated or carried to."""
        known: list[Plane] = list(record.boxes)
        if self._grid.is_section(line.plane):
            carried = [at for at, _ in record.ties.carried]
            known = [*dict.fromkeys([*record.ties.across, *carried])]
        return [at for at in known if line.holds(at)]

    def _beyond(self, record: ObjectRecord, end: Plane, along: int) -> list[Plane]:
        """Return the planes from an end on, up to the next annotated one."""
        line, start = OnLine(end, along), end[along]
        here = {line.position(at): at for at in self._planes_on(record, line)}
        known = [p for p, at in here.items() if record.ties.is_annotated(at)]
        before, after = any(p < start for p in known), any(p > start for p in known)
        if before == after:  # on both sides, where it goes on, or on none
            return [here[start]] if start in here else []
        return [at for p, at in sorted(here.items()) if (p >= start if before else p <= start)]


@dataclass(frozen=True, slots=True)
class OnLine:
    """A line of planes: all that differ along one axis only."""

    plane: Plane
    axis: int

    def holds(self, plane: Plane) -> bool:
        """Whether a plane lies on the line."""
        rest = [at for axis, at in enumerate(plane) if axis != self.axis]
        return rest == [at for axis, at in enumerate(self.plane) if axis != self.axis]

    def position(self, plane: Plane) -> int:
        """Return the position of a plane."""
        return plane[self.axis]


def checksum(windows: Sequence[tuple[Plane, PixelBox, Labels]]) -> dict[str, int]:
    """Return by what a replay can tell whether it comes to the same."""
    crc = 0
    for _, _, after in windows:
        crc = zlib.crc32(np.ascontiguousarray(after).tobytes(), crc)
    return {"planes": len(windows), "crc": crc}
