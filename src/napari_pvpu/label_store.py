"""The accepted objects of all planes, made when they are first needed.

Labels of a usual image are one array; those of an image too large for that are sparse: only what
holds objects takes memory.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_pvpu.blank_arrays import blank
from napari_pvpu.errors import SessionError
from napari_pvpu.label_boxes import area_of, boxes_in, joined_boxes, tight_box
from napari_pvpu.records import ObjectRecord
from napari_pvpu.sections import SHOWN
from napari_pvpu.sparse_labels import MOST_DENSE, SparseLabels, SparsePlane

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_pvpu.records import PixelBox, Plane

__all__ = [
    "LabelArray",
    "LabelStore",
    "Labels",
    "PlaneOfLabels",
    "sparse_copy",
    "tight_box",
]

Labels = npt.NDArray[np.unsignedinteger]
LabelArray: TypeAlias = Labels | SparseLabels
PlaneOfLabels: TypeAlias = Labels | SparsePlane

BAND = 2**22
"""Pixels that are looked at in one go."""

LARGE_PART = 2**22
"""Pixels of sparse labels beyond which a part is looked at tile by tile."""

BLOCK = 2048
"""Rows and columns of labels from elsewhere that are read in one go."""


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
        self._array: LabelArray | None = None

    @property
    def sparse(self) -> bool:
        """Whether the image is too large for one array of labels."""
        return prod(self._shape) > MOST_DENSE

    @property
    def allocated(self) -> bool:
        """Whether the array has been made."""
        return self._array is not None

    @property
    def array(self) -> LabelArray:
        """All labels, plane axes first; uint16, or uint32 if larger ids were adopted."""
        if self._array is None:
            # Zeroed pages come from the system when they are first written: this costs nothing.
            self._array = (
                SparseLabels(self._shape) if self.sparse else blank(self._shape, np.uint16)
            )
        return self._array

    @property
    def read_only(self) -> LabelArray:
        """All labels as they now are and will be, not to be written to."""
        if isinstance(self.array, SparseLabels):
            return self.array.read_only()
        view = self.array.view()
        view.flags.writeable = False
        return view

    @property
    def largest_id(self) -> int:
        """The largest id that fits."""
        return int(np.iinfo(self.array.dtype).max)

    def plane(self, plane: Plane) -> PlaneOfLabels:
        """Return the labels of one plane, (rows, cols), windows of which may be written to."""
        if isinstance(self.array, SparseLabels):
            return SparsePlane(self.array, plane)
        labels: Labels = self.array[plane]
        return labels

    def window(self, plane: Plane, box: PixelBox) -> Labels:
        """Return a part of a plane, or of a section across planes, to be read.

        Raises
        ------
        SessionError
            If it is too large for one array.
        """
        if SHOWN in plane:
            rows, cols = (axis for axis, at in enumerate(plane) if at == SHOWN)
            index: list[int | slice] = list(plane)
            index[rows], index[cols] = slice(box[0], box[2]), slice(box[1], box[3])
            across: Labels = self.array[tuple(index)]
            return across
        labels: Labels = self.plane(plane)[box[0] : box[2], box[1] : box[3]]
        return labels

    def parts(self, plane: Plane, box: PixelBox) -> list[PixelBox]:
        """Return boxes that hold all labels of a part of a plane, none too large to be read."""
        labels = self.plane(plane) if SHOWN not in plane else None
        if isinstance(labels, SparsePlane) and area_of(box) > LARGE_PART:
            return labels.parts(box)
        return [box]

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
        lazy = self.sparse and all(hasattr(labels, name) for name in ("shape", "dtype"))
        given = labels if lazy else np.asarray(labels)
        if given.dtype.kind not in "iu":
            raise SessionError(
                f"labels have to be integers, not {given.dtype}; number the objects first, for "
                "instance with skimage.measure.label"
            )
        if tuple(given.shape) != self._shape:
            raise SessionError(
                f"labels of shape {tuple(given.shape)} do not fit the image, whose planes give "
                f"{self._shape}; pass labels of exactly that shape"
            )
        self._array = sparse_copy(given) if self.sparse else _packed(given)
        return self._records()

    def _records(self) -> dict[int, ObjectRecord]:
        records: dict[int, ObjectRecord] = {}
        planes: Iterable[Plane] = np.ndindex(*self._shape[:-2])
        if isinstance(self.array, SparseLabels):
            planes = self.array.planes
        for plane in planes:
            labels = self.plane(plane)
            found = labels.boxes() if isinstance(labels, SparsePlane) else _boxes(labels)
            for object_id, box in found.items():
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
        found: dict[int, PixelBox] = {}
        for part in self.parts(plane, within):
            box = tight_box(self.window(plane, part) == object_id, part[0], part[1])
            if box is not None:
                joined_boxes(found, [(object_id, box)])
        return found.get(object_id)


def _packed(given: npt.NDArray[Any]) -> Labels:
    """Return labels as a new array, of 16 bits if they fit."""
    low, high = (int(given.min()), int(given.max())) if given.size else (0, 0)
    return given.astype(_dtype_for(low, high))


def sparse_copy(given: Any) -> SparseLabels:
    """Return labels as sparse ones, a copy, read block by block if they are not.

    Parameters
    ----------
    given : array-like of integers
        Plane axes first, then rows and columns.

    Raises
    ------
    SessionError
        If a label is negative or larger than 32 bits hold.
    """
    if isinstance(given, SparseLabels):
        return given.astype(_dtype_for(0, given.max()))
    copied = SparseLabels(tuple(given.shape))
    *plane_shape, height, width = copied.shape
    for plane in np.ndindex(*plane_shape):
        for row, col in product(range(0, height, BLOCK), range(0, width, BLOCK)):
            window = (*plane, slice(row, row + BLOCK), slice(col, col + BLOCK))
            block = np.asarray(given[window])
            if block.any():
                dtype = _dtype_for(int(block.min()), int(block.max()))
                if np.dtype(dtype).itemsize > copied.dtype.itemsize:
                    copied = copied.astype(dtype)
                copied[window] = block
    return copied


def _dtype_for(low: int, high: int) -> type[np.unsignedinteger]:
    """Return what labels fit into, or raise."""
    if low < 0 or high > np.iinfo(np.uint32).max:
        raise SessionError(
            f"labels run from {low} to {high}; ids have to lie between 0 and "
            f"{np.iinfo(np.uint32).max}; relabel them first"
        )
    return np.uint16 if high <= np.iinfo(np.uint16).max else np.uint32


def _boxes(labels: Labels) -> dict[int, PixelBox]:
    """Return the box of each object in one plane."""
    boxes: dict[int, PixelBox] = {}
    # Band by band, so that no second array of the plane's size is needed.
    rows = max(BAND // max(labels.shape[1], 1), 1)
    for first in range(0, labels.shape[0], rows):
        joined_boxes(boxes, boxes_in(labels[first : first + rows], first))
    return boxes
