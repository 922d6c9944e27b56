"""Accepted objects painted over by hand: pixels given and taken as an image of labels says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import SessionError
from napari_pvpu.label_boxes import tight_box
from napari_pvpu.label_edits import LabelEdits
from napari_pvpu.operations import pack_array
from napari_pvpu.records import ObjectRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.label_store import Labels
    from napari_pvpu.records import ChangedRegion, PixelBox, Plane

    Window = tuple[Plane, PixelBox, Labels]
    Start = tuple[int, ...]

__all__ = ["LabelPainting", "tight_part"]


def tight_part(changed: npt.NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the part of an array that holds all that is True, of which there has to be some.

    Examples
    --------
    >>> tight_part(np.array([[False, False, False], [False, True, True]]))
    (slice(1, 2, None), slice(1, 3, None))
    """
    ends = []
    for axis in range(changed.ndim):
        others = tuple(each for each in range(changed.ndim) if each != axis)
        found = np.flatnonzero(changed.any(axis=others))
        ends.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(ends)


class LabelPainting(LabelEdits):
    """A session whose labels may be painted on."""

    def paint_labels(
        self, labels: npt.ArrayLike, *, offset: Sequence[int] | None = None
    ) -> ChangedRegion:
        """Take what the user has painted into the labels, as one step.

        What is painted holds, whatever the rule for overlaps: objects gain and lose pixels, those
        that lose all of them are gone, and ids that there were not are new objects.

        Parameters
        ----------
        labels : array of int, (h, w) or with the plane axes before
            What a part of the labels becomes; 0 is no object.
        offset : sequence of int, optional
            Where that part begins: (row, col) in the plane at work, or a position along each
            plane axis, row and col. By default at the first pixel.

        Raises
        ------
        SessionError
            If the part does not lie in the image, an id is out of range, or pixels are painted
            with the id of an object that is open for correction.
        """
        after, start = self._part(labels, offset)
        window = tuple(slice(at, at + n) for at, n in zip(start, after.shape, strict=True))
        now = self._labels.array[window]
        changed = after != now
        if not changed.any():
            return self._region_of(self._plane, self._drawing, None)
        gained, lost = ({*np.unique(each[changed]).tolist()} - {0} for each in (after, now))
        for object_id in sorted(gained & self._open_ids()):
            raise SessionError(
                f"object {object_id} is open for correction; paint on the object at work, or "
                "accept it first"
            )
        part = tight_part(changed)
        start = tuple(at + each.start for at, each in zip(start, part, strict=True))
        after = np.ascontiguousarray(after[part])
        windows = _windows(after, changed[part], start)
        records = {each: self._painted(each, windows) for each in sorted(gained | lost)}
        before = {*self._objects}
        region = self._change_labels(_title(gained, lost), windows, records)
        gone = sorted(before - {*self._objects})
        # Packed, because it is kept for good.
        values = {"labels": pack_array(after), "offset": list(start)}
        self._note("paint_labels", {"gone": gone} if gone else None, **values)
        return region

    def _part(self, labels: npt.ArrayLike, offset: Sequence[int] | None) -> tuple[Labels, Start]:
        """Return labels with all axes, and where they begin, or raise."""
        given, whole = np.asarray(labels), self._grid.lengths
        if given.dtype.kind not in "iu":
            raise SessionError(f"labels have to be integers, not {given.dtype}")
        start = tuple(int(each) for each in offset or (0,) * given.ndim)
        if len(start) == given.ndim == 2 and len(self._plane) == len(whole) - 2:
            given, start = given[(np.newaxis,) * len(self._plane)], (*self._plane, *start)
        fits = len(start) == given.ndim == len(whole) and given.size > 0
        if not fits or not all(
            0 <= at <= length - n for at, n, length in zip(start, given.shape, whole, strict=True)
        ):
            raise SessionError(
                f"labels of shape {np.shape(labels)} from {start} on do not lie within the image, "
                f"whose labels have the shape {whole}"
            )
        low, high, largest = int(given.min()), int(given.max()), self._labels.largest_id
        if low < 0 or high > largest:
            raise SessionError(
                f"labels run from {low} to {high}, and ids from 1 to {largest} here; relabel them"
            )
        return given.astype(self._labels.array.dtype, copy=False), start

    def _painted(self, object_id: int, windows: Sequence[Window]) -> ObjectRecord:
        """Return the record of an object that was painted on, or has come to be so."""
        record = self._objects.get(object_id)
        if record is None:
            plane, box, _ = next(each for each in windows if (each[2] == object_id).any())
            return ObjectRecord((), None, box, plane)
        ties = record.ties.renewed({plane: None for plane, *_ in windows if plane in record.boxes})
        return replace(record, paint=None, ties=ties)


def _windows(after: Labels, changed: npt.NDArray[np.bool_], start: Start) -> list[Window]:
    """Return what has changed plane by plane."""
    windows = []
    for index in np.ndindex(*after.shape[:-2]):
        box = tight_box(changed[index], 0, 0)
        if box is not None:
            plane = tuple(at + first for at, first in zip(index, start, strict=False))
            row, col = start[-2:]
            there = (box[0] + row, box[1] + col, box[2] + row, box[3] + col)
            windows.append((plane, there, after[index][box[0] : box[2], box[1] : box[3]]))
    return windows


def _title(gained: set[int], lost: set[int]) -> str:
    what, ids = ("Paint", gained) if gained else ("Erase", lost)
    return f"{what} object {min(ids)}" if len(ids) == 1 else f"{what} objects"
