"""Changes of accepted objects by hand: each one step of a session's history."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu import edits
from napari_pvpu.errors import PromptError, SessionError
from napari_pvpu.label_edits import LabelEdits
from napari_pvpu.prompts import Click, PriorMask, Scribble
from napari_pvpu.records import ObjectRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_pvpu.edits import Bits
    from napari_pvpu.label_store import Labels
    from napari_pvpu.records import ChangedRegion, PixelBox, Plane
    from napari_pvpu.session_settings import OverlapRule

    Window = tuple[Plane, PixelBox, Labels]

__all__ = ["ObjectEdits"]


class ObjectEdits(LabelEdits):
    """A session whose accepted objects can be edited.

    Objects keep their ids. All methods raise `SessionError` for an id that does not exist, for
    numbers out of range, and if nothing would be left of an object. Where an object gains pixels,
    `overlap` says what happens to those of others, as for `Session.accept`. Edits of outlines
    work in the plane at work; `delete`, `merge` and `relabel` in all planes.
    """

    def delete(self, object_id: int) -> ChangedRegion:
        """Take an object out of the labels of all planes."""
        windows = self._renumbered(self._record(object_id), object_id, 0)
        region = self._change_labels(f"Delete object {object_id}", windows)
        self._note("delete", object_id=int(object_id))
        return region

    def relabel(self, old: int, new: int) -> ChangedRegion:
        """Give an object another id, one that is free."""
        record, new = self._record(old), self._check_free(new)
        windows = self._renumbered(record, old, new)
        becoming = {new: record, **self._with_parent(old, new)}
        region = self._change_labels(f"Relabel {old} as {new}", windows, becoming)
        self._note("relabel", old=int(old), new=new)
        return region

    def merge(self, object_ids: Sequence[int]) -> int:
        """Make one object of several; return its id, the first of those given."""
        ids = list(dict.fromkeys(int(each) for each in object_ids))
        if len(ids) < 2:
            raise SessionError(f"merging takes two different objects or more, not {ids}")
        records = {each: self._record(each) for each in ids}
        first = records[ids[0]]
        windows = [
            window for each in ids[1:] for window in self._renumbered(records[each], each, ids[0])
        ]
        prompts = tuple(
            prompt
            for record in records.values()
            if record.home == first.home
            for prompt in record.prompts
            if not isinstance(prompt, PriorMask)
        )
        ties = first.ties
        for each in ids[1:]:
            ties = ties.joined(records[each].ties)
        whole = replace(first, prompts=prompts, score=None, paint=None, ties=ties)
        title = f"Merge objects {', '.join(map(str, ids))}"
        self._change_labels(title, windows, {ids[0]: whole})
        self._note("merge", ids[0], object_ids=ids)
        return ids[0]

    def split(self, object_id: int, strokes: Sequence[Click | Scribble]) -> tuple[int, ...]:
        """Cut an object into pieces.

        Parameters
        ----------
        object_id : int
            The object.
        strokes : sequence of Click or Scribble
            With two positive ones or more each begins a piece, which takes what is around it up
            to the necks in between; negative ones lie between pieces. Else all are cuts, which
            have to run right across the object.

        Returns
        -------
        tuple of int
            Ids of the pieces, the largest first, which keeps its id.

        Raises
        ------
        SessionError
            If nothing is cut.
        PromptError
            If anything but clicks and scribbles is given.
        """
        strokes = _strokes(strokes)
        window = self._grown(self._box_here(object_id), 1)
        labels, record = self._labels.window(self._plane, window), self._record(object_id)
        pieces = edits.split(labels == object_id, strokes, window[0], window[1])
        ids = (object_id, *self._free_ids(int(pieces.max()) - 1))
        after = np.where(pieces > 0, np.array((0, *ids), labels.dtype)[pieces], labels)
        records = {
            each: self._with_other_parts(ObjectRecord((), None, window, self._plane), each)
            for each in ids[1:]
        }
        ties = record.ties.noted(self._plane, None)
        records[object_id] = replace(record, score=None, paint=None, ties=ties)
        self._change_labels(f"Split object {object_id}", [(self._plane, window, after)], records)
        self._note("split", list(ids), object_id=int(object_id), strokes=strokes)
        return ids

    def fill_holes(
        self,
        object_id: int,
        max_area: int | None = None,
        *,
        overlap: OverlapRule | None = None,
    ) -> ChangedRegion:
        """Fill the holes of an object, or only those of at most `max_area` pixels."""
        if max_area is not None:
            _check_positive("the area of holes", max_area)
        region = self._reshape(
            object_id, "Fill holes of", 1, lambda mask: edits.fill_holes(mask, max_area), overlap
        )
        self._note_edit("fill_holes", object_id, overlap, max_area=max_area)
        return region

    def smooth(
        self, object_id: int, radius: float, *, overlap: OverlapRule | None = None
    ) -> ChangedRegion:
        """Make the outline of an object even at the scale of `radius` pixels."""
        _check_positive("a radius", radius)
        margin = math.ceil(4 * radius) + 1
        region = self._reshape(
            object_id, "Smooth", margin, lambda mask: edits.smooth(mask, radius), overlap
        )
        self._note_edit("smooth", object_id, overlap, radius=radius)
        return region

    def grow(
        self, object_id: int, pixels: float, *, overlap: OverlapRule | None = None
    ) -> ChangedRegion:
        """Add all pixels to an object that are at most so many away from it."""
        _check_positive("a distance", pixels)
        region = self._reshape(
            object_id, "Grow", math.ceil(pixels), lambda mask: edits.grow(mask, pixels), overlap
        )
        self._note_edit("grow", object_id, overlap, pixels=pixels)
        return region

    def shrink(self, object_id: int, pixels: float) -> ChangedRegion:
        """Take all pixels from an object that are at most so many away from its outside."""
        _check_positive("a distance", pixels)
        region = self._reshape(
            object_id, "Shrink", 1, lambda mask: edits.shrink(mask, pixels), "keep"
        )
        self._note("shrink", object_id=int(object_id), pixels=pixels)
        return region

    def remove_small(self, object_id: int, min_area: int) -> ChangedRegion:
        """Take all parts from an object that have fewer than `min_area` pixels."""
        _check_positive("an area", min_area)
        region = self._reshape(
            object_id,
            "Remove small parts of",
            0,
            lambda mask: edits.remove_small(mask, min_area),
            "keep",
        )
        self._note("remove_small", object_id=int(object_id), min_area=min_area)
        return region

    def _renumbered(self, record: ObjectRecord, old: int, new: int) -> list[Window]:
        """Return all labels around an object as they become when it gets another number."""
        windows: list[Window] = []
        for plane, box in record.boxes.items():
            for part in self._labels.parts(plane, box):
                labels = self._labels.window(plane, part)
                after = np.where(labels == old, labels.dtype.type(new), labels)
                windows.append((plane, part, after))
        return windows

    def _reshape(
        self,
        object_id: int,
        what: str,
        margin: int,
        change: Callable[[Bits], Bits],
        overlap: OverlapRule | None,
    ) -> ChangedRegion:
        """Change the mask of an object in the plane at work."""
        window = self._grown(self._box_here(object_id), margin)
        labels, record = self._labels.window(self._plane, window), self._record(object_id)
        after = self._claim(object_id, window, change(labels == object_id), overlap)
        if not (after == object_id).any():
            raise SessionError(
                f"nothing would be left of object {object_id}; choose a smaller number, or delete "
                "it"
            )
        return self._change_labels(
            f"{what} object {object_id}",
            [(self._plane, window, after)],
            {object_id: replace(record, paint=None, ties=record.ties.noted(self._plane, None))},
        )

    def _note_edit(
        self,
        operation: str,
        object_id: int,
        overlap: OverlapRule | None,
        **numbers: float | None,
    ) -> None:
        """Note an edit together with the overlap rule that it went by."""
        self._note(operation, object_id=int(object_id), **numbers, overlap=self._rule(overlap))


def _strokes(given: Iterable[Any]) -> list[Click | Scribble]:
    """Return what an object may be split by, or raise."""
    strokes = list(given)
    kinds = [type(each).__name__ for each in strokes if not isinstance(each, Click | Scribble)]
    if kinds or not strokes:
        raise PromptError(
            f"an object is split by scribbles and clicks, not by {kinds[0] if kinds else 'nothing'}"
        )
    return strokes


def _check_positive(what: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise SessionError(f"{what} has to be a number, not {value!r}")
    if not 0 < value < math.inf:
        raise SessionError(f"{what} has to be positive and finite, not {value}")
