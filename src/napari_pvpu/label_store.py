"""The accepted objects of all planes in one array that is made when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.errors import SessionError
from napari_pvpu.records import ObjectRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_pvpu.records import PixelBox, Plane

__all__ = ["LabelStore", "Labels", "tight_box"]

Labels = npt.NDArray[np.unsignedinteger]

BAND = 2**22
"""Pixels that are looked at in one go."""

MOST_LISTED = 2**16
"""Up to this id boxes are found by a list of all ids, beyond it by those that there are."""


class LabelStore:
    """Labels of all planes of an image.

    Parameters
    ----------
    plane_shape : tuple of int
        Lengths of the axes before rows and columns.
    shape : (rows, cols)
        Of one plane.
    """

    def __init__(self, plane_shape: tuple[int, ...], shape: tuple[int, int]) -> None:
        self._shape = (*plane_shape, *shape)
        self._array: Labels | None = None

    @property
    def allocated(self) -> bool:
        """Whether the array has been made."""
        return self._array is not None

    @property
    def array(self) -> Labels:
        """All labels, plane axes first; uint16, or uint32 if larger ids were adopted."""
        if self._array is None:
            # Zeroed pages come from the system when they are first written: this costs nothing.
            self._array = np.zeros(self._shape, np.uint16)
        return self._array

    @property
    def largest_id(self) -> int:
        """The largest id that fits."""
        return int(np.iinfo(self.array.dtype).max)

    def plane(self, plane: Plane) -> Labels:
        """Return the labels of one plane, (rows, cols), to be written to."""
        labels: Labels = self.array[plane]
        return labels

    def window(self, plane: Plane, box: PixelBox) -> Labels:
        """Return a part of a plane, to be written to."""
        return self.plane(plane)[box[0] : box[2], box[1] : box[3]]

    def adopt(self, labels: Any) -> dict[int, ObjectRecord]:
        """Take a copy of labels made elsewhere.

        Returns
        -------
        dict of int to ObjectRecord
            A record for each object, without prompts or score.

        Raises
        ------
        SessionError
            If dtype, shape or values do not fit.
        """
        given = np.asarray(labels)
        if given.dtype.kind not in "iu":
            raise SessionError(
                f"labels have to be integers, not {given.dtype}; number the objects first, for "
                "instance with skimage.measure.label"
            )
        if given.shape != self._shape:
            raise SessionError(
                f"labels of shape {given.shape} do not fit the image, whose planes give "
                f"{self._shape}; pass labels of exactly that shape"
            )
        low, high = (int(given.min()), int(given.max())) if given.size else (0, 0)
        if low < 0 or high > np.iinfo(np.uint32).max:
            raise SessionError(
                f"labels run from {low} to {high}; ids have to lie between 0 and "
                f"{np.iinfo(np.uint32).max}; relabel them first"
            )
        self._array = given.astype(np.uint16 if high <= np.iinfo(np.uint16).max else np.uint32)
        return self._records()

    def _records(self) -> dict[int, ObjectRecord]:
        records: dict[int, ObjectRecord] = {}
        for plane in np.ndindex(*self._shape[:-2]):
            for object_id, box in _boxes(self.plane(plane)).items():
                known = records.get(object_id)
                if known is None:
                    records[object_id] = ObjectRecord((), None, box, plane)
                else:
                    moved = known.with_box(plane, box)
                    assert moved is not None  # it has just been given a box
                    records[object_id] = moved
        return dict(sorted(records.items()))

    def box_of(self, object_id: int, plane: Plane, within: PixelBox) -> PixelBox | None:
        """Return the box of an object's pixels in a part of a plane; None if there are none."""
        return tight_box(self.window(plane, within) == object_id, within[0], within[1])


def tight_box(mask: npt.NDArray[np.bool_], row: int, col: int) -> PixelBox | None:
    """Return the box of a mask whose first pixel lies at (row, col); None if it is empty."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    return (
        row + int(rows[0]),
        col + int(cols[0]),
        row + int(rows[-1]) + 1,
        col + int(cols[-1]) + 1,
    )


def _boxes(labels: Labels) -> dict[int, PixelBox]:
    """Return the box of each object in one plane."""
    boxes: dict[int, PixelBox] = {}
    # Band by band, so that no second array of the plane's size is needed.
    rows = max(BAND // max(labels.shape[1], 1), 1)
    for first in range(0, labels.shape[0], rows):
        for object_id, box in _boxes_in_band(labels[first : first + rows], first):
            known = boxes.get(object_id, box)
            boxes[object_id] = (
                min(known[0], box[0]),
                min(known[1], box[1]),
                max(known[2], box[2]),
                max(known[3], box[3]),
            )
    return boxes


def _boxes_in_band(labels: Labels, row: int) -> Iterator[tuple[int, PixelBox]]:
    """Yield id and box of each object in rows from `row` on."""
    largest = int(labels.max())
    ids: npt.NDArray[Any] = np.arange(1, min(largest, MOST_LISTED) + 1)
    numbered: npt.NDArray[Any] = labels
    if largest > MOST_LISTED:
        found, inverse = np.unique(labels, return_inverse=True)
        start = int(found[0] == 0)  # number 0 has to stay the background
        ids, numbered = found[start:], inverse.reshape(labels.shape) + 1 - start
    places = ndimage.find_objects(numbered.astype(np.int32))
    for object_id, place in zip(ids, places, strict=True):
        if place is not None:
            rows, cols = place
            yield int(object_id), (row + rows.start, cols.start, row + rows.stop, cols.stop)
