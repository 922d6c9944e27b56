"""The end of an object: kept as a label, or dropped."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.errors import SessionError
from napari_pvpu.history import Step
from napari_pvpu.label_edits import LabelEdits
from napari_pvpu.records import ObjectRecord
from napari_pvpu.ties import Ties

if TYPE_CHECKING:
    from napari_pvpu.records import ChangedRegion, PixelBox
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["Accepting"]


class Accepting(LabelEdits):
    """A session in which the object at work can be accepted or dropped."""

    def accept(self, *, overlap: OverlapRule | None = None) -> int:
        """Keep the current object and begin the next.

        Parameters
        ----------
        overlap : {"keep", "overwrite", "ask"}, optional
            What happens to pixels of objects accepted before: they stay theirs, or become this
            object's, or `OverlapError` says how many there are. By default as the session's rule
            says.

        Returns
        -------
        int
            The object's id, its value in `labels`; the one it had if it was opened.

        Raises
        ------
        SessionError
            If there is no object, it lies wholly within others, or there are no ids left.
        OverlapError
            If there are such pixels and the rule is to ask.
        """
        current, drawing = self._current, self._drawing
        if current is None or drawing is None:
            raise SessionError("there is no object to accept; add a positive prompt first")
        origin = current.origin
        known = origin.object_id if origin else None
        object_id = self._free_ids()[0] if known is None else known
        after = self._claim(object_id, drawing.box, drawing.mask, overlap)
        if not (after == object_id).any():
            raise SessionError(
                "the object lies wholly within accepted ones, whose pixels stay theirs; undo "
                "those or mark another"
            )
        ties = origin.record.ties.noted(self._plane, None) if origin and origin.record else Ties()
        made = ObjectRecord(
            current.prompts, current.score, drawing.box, self._plane, (), current.paint, ties
        )
        record = self._with_other_parts(made, object_id)
        self._touch(self._plane)
        title = f"Accept object {object_id}"
        windows = [(self._plane, drawing.box, after)]
        self._change_labels(title, windows, {object_id: record}, current=(None, None))
        # With a checksum, by which a replay can tell whether it comes to the same.
        crc = zlib.crc32(np.ascontiguousarray(after).tobytes())
        result = {"id": object_id, "box": list(drawing.box), "crc": crc}
        self._note("accept", result, overlap=self._rule(overlap))
        return object_id

    def reset(self) -> ChangedRegion:
        """Drop the current object; one that was opened goes back as it was. Can be undone."""
        self._touch(self._plane)
        current = self._current
        if current is None:
            return self._show(self._plane, None, None)
        origin = current.origin
        if origin is None or origin.object_id is None or origin.record is None:
            region = self._perform(Step("Reset", self._plane, current, None), None)
        else:
            top, left = origin.prior.offset
            height, width = origin.prior.mask.shape
            window: PixelBox = (top, left, top + height, left + width)
            # What has become another object's in the meantime stays so.
            after = self._claim(origin.object_id, window, origin.prior.mask, "keep")
            record = origin.record
            if self._grid.is_section(self._plane):
                record = self._put_back(record, origin.object_id, window)
            elif record.plane == self._plane:
                record = self._with_other_parts(record, origin.object_id)
            else:  # which was made in another plane, and is still there
                note = record.ties.confidence(self._plane)
                record = self._objects[origin.object_id]
                record = replace(record, ties=record.ties.noted(self._plane, note))
            region = self._change_labels(
                f"Cancel object {origin.object_id}",
                [(self._plane, window, after)],
                {origin.object_id: record},
                current=(None, None),
            )
        self._note("reset")
        return region

    def cancel(self) -> ChangedRegion:
        """Do as `reset` does, by the name that fits an object opened for correction."""
        return self.reset()
