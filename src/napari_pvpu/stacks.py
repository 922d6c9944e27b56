"""Objects over many planes: one id, a mask in each plane, carried from those that were annotated.

As with prompts there are three steps, so that the middle one may run in any thread:
`Stacks.propagation` writes down what is asked, `Stacks.compute_propagation` asks the network, and
`Stacks.commit_propagation` makes one step of the history of it. `Stacks.propagate` does all three.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.carrying import PlaneMask
from napari_pvpu.edits import place
from napari_pvpu.errors import OverlapError, SessionError
from napari_pvpu.plane_walk import Plan
from napari_pvpu.propagating import Propagated, Propagating, Propagation
from napari_pvpu.rendering import joint_box
from napari_pvpu.stack_edits import OnLine, StackEdits, checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_pvpu.label_store import Labels
    from napari_pvpu.plane_walk import Found
    from napari_pvpu.records import ChangedRegion, PixelBox, Plane
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["Propagated", "Propagation", "Stacks"]


class Stacks(StackEdits):
    """A session whose objects are carried over planes or frames."""

    def propagate(
        self,
        object_id: int | None = None,
        *,
        axis: str | None = None,
        first: int | None = None,
        last: int | None = None,
        plane: Sequence[int] | None = None,
        threshold: float | None = None,
        overlap: OverlapRule | None = None,
        progress: Callable[[Found | None], object] | None = None,
    ) -> ChangedRegion:
        """Carry an accepted object from its annotated planes to those beside them.

        Planes that the user annotated stay as they are. Between two of them the object is carried
        from both sides, and what comes of it is blended by distance; beyond the outermost ones it
        is carried on until it ends: by itself, at a plane of `end_object`, or with the range.
        Planes that it was carried to before are made anew. One step of the history.

        Parameters
        ----------
        object_id : int, optional
            The object; by default the one accepted last.
        axis : str, optional
            Letter of a plane axis; by default Z, or T in a movie. Along Y or X it is carried from
            section to section, see `Session.plane_at`.
        first, last : int, optional
            Range of positions on that axis, both included; by default all of them.
        plane : sequence of int, optional
            A plane of the object, for its position on the other plane axes; by default the plane
            at work.
        threshold : float, optional
            Probability above which a pixel belongs to the object; by default the session's.
        overlap : {"keep", "overwrite", "ask"}, optional
            As for `Session.accept`.
        progress : callable, optional
            Called with each `Found`, and None for steps that show none yet. Where it returns
            False the work stops, and what has been found so far is kept.

        Returns
        -------
        ChangedRegion
            With those of other planes in `more`.

        Raises
        ------
        SessionError
            If there is no such object, axis or range, or no plane of the object on that line.
        OverlapError
            If other objects have pixels of it and the rule is to ask.
        """
        request = self.propagation(
            object_id, axis=axis, first=first, last=last, plane=plane, threshold=threshold
        )
        return self.commit_propagation(self.compute_propagation(request, progress), overlap=overlap)

    def propagation(
        self,
        object_id: int | None = None,
        *,
        axis: str | None = None,
        first: int | None = None,
        last: int | None = None,
        plane: Sequence[int] | None = None,
        threshold: float | None = None,
    ) -> Propagation:
        """First of three steps: write down what is asked; see `propagate`."""
        if object_id is None:
            object_id = self._newest_object()
        record = self._record(object_id)
        here = self._plane if plane is None else self._check_plane(plane)
        along = self._axis(axis, here)
        low, high = self._range(along, first, last)
        line = OnLine(here, along)
        masks = {
            line.position(at): self._mask_in(object_id, at)
            for at in self._planes_on(record, line)
            if record.ties.is_annotated(at)
        }
        anchors = {position: mask for position, mask in masks.items() if mask is not None}
        if not anchors and self._grid.is_section(here):
            raise SessionError(
                f"object {object_id} has no annotated section along {self._grid.axes[along]}; open "
                "it in one that shows it well, correct it, accept it, and carry it then"
            )
        if not anchors:
            raise SessionError(
                f"object {object_id} has no annotated plane on the line through plane {here} "
                f"along {self._grid.axes[along]}; go to a plane where it was accepted"
            )
        ends = frozenset(line.position(at) for at in record.ties.ends if line.holds(at))
        plan = Plan(anchors, low, high, ends)
        cut = self._settings.with_("threshold", threshold) if threshold else self._settings
        return Propagation(int(object_id), record, along, here, plan, cut.threshold)

    def compute_propagation(
        self, request: Propagation, progress: Callable[[Found | None], object] | None = None
    ) -> Propagated:
        """Second of three steps: ask the network. Changes nothing, may run in any thread."""
        work = self.propagating(request)
        more, seen = True, 0
        while more:
            more = work.advance()
            if progress is None:
                continue
            fresh, seen = work.found[seen:], len(work.found)
            if progress(fresh[-1] if fresh else None) is False:
                break
        return work.result()

    def propagating(self, request: Propagation) -> Propagating:
        """Return the second step as work that can be done a little at a time, in any thread."""
        return Propagating(self._source, self._predictor, request, self._rules)

    def commit_propagation(
        self, propagated: Propagated, *, overlap: OverlapRule | None = None
    ) -> ChangedRegion:
        """Last of three steps: take what was found, in the owner's thread.

        Raises
        ------
        SessionError
            If the object has changed since it was asked about.
        OverlapError
            If other objects have pixels of it and the rule is to ask.
        """
        request, rule = propagated.request, self._rule(overlap)
        object_id = request.object_id
        if self._objects.get(object_id) != request.record:
            raise SessionError(
                f"object {object_id} has changed while it was carried over the planes; propagate "
                "it again"
            )
        if propagated.last < propagated.first:  # stopped before anything was done
            return self._region_of(self._plane, self._drawing, None)
        masks = {request.at(each.position): each.mask for each in propagated.found}
        windows, contested = self._stack_windows(propagated, masks, rule)
        if contested and rule == "ask":
            raise OverlapError(object_id, contested)
        notes = {request.at(each.position): each.confidence for each in propagated.found}
        ties = request.record.ties.renewed(notes)
        title = f"Propagate object {object_id}"
        region = self._change_stack(title, windows, {object_id: replace(request.record, ties=ties)})
        values = {
            "object_id": object_id, "axis": self._grid.axes[request.axis],
            "first": propagated.first, "last": propagated.last, "plane": list(request.plane),
            "threshold": request.threshold, "overlap": rule,
        }  # fmt: skip
        self._note("propagate", checksum(windows), **values)
        return region

    # Inside

    def _newest_object(self) -> int:
        """Return the object that was accepted last, or raise."""
        for operation in reversed(self.operations):
            if operation.name == "accept" and isinstance(operation.result, dict):
                object_id = operation.result["id"]
                if object_id in self._objects:
                    return int(object_id)
        raise SessionError("there is no object to propagate; accept one first")

    def _range(self, along: int, first: int | None, last: int | None) -> tuple[int, int]:
        length = self._grid.lengths[along]
        low, high = (0 if first is None else first), (length - 1 if last is None else last)
        if not 0 <= low <= high < length:
            raise SessionError(
                f"the range {low} to {high} does not fit planes 0 to {length - 1}; give first and "
                "last, both included"
            )
        return int(low), int(high)

    def _mask_in(self, object_id: int, plane: Plane) -> PlaneMask | None:
        box = self._box_in(self._objects[object_id], object_id, plane)
        if box is None:
            return None
        return PlaneMask.tight(box[0], box[1], self._labels.window(plane, box) == object_id)

    def _stack_windows(
        self, propagated: Propagated, masks: Mapping[Plane, PlaneMask], rule: OverlapRule
    ) -> tuple[list[tuple[Plane, PixelBox, Labels]], dict[int, int]]:
        """Return what the labels become, and how many pixels others have of the object."""
        request = propagated.request
        record = request.record
        windows, contested = [], dict[int, int]()
        for position in range(propagated.first, propagated.last + 1):
            plane = request.at(position)
            mask = masks.get(plane)
            if position in request.plan.anchors:
                continue
            old = self._box_in(record, request.object_id, plane)
            boxes = [] if mask is None else [mask.box]
            box = joint_box(boxes if old is None else [*boxes, old])
            if box is None:
                continue
            empty = np.zeros((box[2] - box[0], box[3] - box[1]), bool)
            wanted = empty if mask is None else mask.over(box)
            labels = self._labels.window(plane, box)
            # What was annotated in planes that cross this one stays as it is.
            held = self._held(record.ties, plane, box)
            wanted = np.where(held, labels == request.object_id, wanted)
            after, others = place(labels, wanted, request.object_id, rule)
            for other, count in others.items():
                contested[other] = contested.get(other, 0) + count
            windows.append((plane, box, after))
        return windows, contested
