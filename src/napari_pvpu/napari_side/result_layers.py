"""The two layers that show masks: the object at work, and all the accepted ones.

The object at work has a Labels layer just as large as it is, moved to its place, so that showing
it costs the same on any image. Accepted objects are written into one Labels layer of the image's
size, changed pixels only, each change one step of that layer's own history.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_pvpu.napari_side.filling import MANY, Filling
from napari_pvpu.napari_side.geometry import placement
from napari_pvpu.napari_side.result_data import blocks, full_size, new_data, widened, write
from napari_pvpu.sections import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_pvpu.napari_side.frame import Frame
    from napari_pvpu.records import ChangedRegion, ObjectRecord, Plane

    Box = tuple[int, int, int, int]
    Boxes = Mapping[Plane, Box]

__all__ = ["INSIDE", "RIM", "BoxesOf", "Preview", "Results"]

MOST_AT_ONCE = 2**20
"""Pixels of a region that is written together with others."""

INSIDE, RIM = 1, 2
"""Labels of the preview: the object's inner pixels and those at its edge."""

PREVIEW_COLORS = {
    None: (0.0, 0.0, 0.0, 0.0),
    0: (0.0, 0.0, 0.0, 0.0),
    INSIDE: (0.1, 0.95, 0.85, 0.35),
    RIM: (0.1, 0.95, 0.85, 1.0),
}


class Preview:
    """The object at work in the plane at work, drawn with a rim."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._mask = np.zeros((0, 0), bool)
        self._place = (0, 0)
        self._room: Box | None = None
        self._shown = np.zeros((1, 1), bool)
        self.held = False
        """Whether the user is painting, so that the layer must not be written."""
        self.offset = (0, 0)
        """Pixel of the plane at work that the layer's first pixel covers."""
        self.layer = Labels(
            np.zeros((1,) * frame.ndim, np.uint8), name="Current object", opacity=1,
            colormap=DirectLabelColormap(color_dict=PREVIEW_COLORS), **placement(frame.image),
        )  # fmt: skip
        self.layer.editable = False
        self.match()

    def show(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        """Show a mask, (h, w), whose first pixel is the plane's (`row`, `col`)."""
        self._mask, self._place = mask, (row, col)
        if not self.held:
            self._write()

    def clear(self) -> None:
        """Show nothing."""
        self.show(np.zeros((0, 0), bool), 0, 0)

    def make_room(self, box: Box | None) -> None:
        """Cover at least ``(row0, col0, row1, col1)`` from now on; with None, only the object."""
        if box != self._room:
            self._room = box
            if not self.held:
                self._write()

    def changed(self) -> npt.NDArray[np.int8]:
        """Return what others have written into the layer since we did.

        Returns
        -------
        array, (h, w), int8
            From `offset` on: 1 where there is the object now, -1 where it was, else 0.
        """
        now = self._frame.lower(self.layer.data) > 0
        return np.subtract(now, self._shown, dtype=np.int8)

    def match(self) -> None:
        """Follow the image's transform."""
        self._frame.place(self.layer, self.offset)

    def _write(self) -> None:
        mask, offset = self._mask, self._place
        if self._room is not None:
            mask, offset = self._with_room(self._room)
        labels = mask.astype(np.uint8) * RIM if mask.size else np.zeros((1, 1), np.uint8)
        if mask.size:
            labels[_eroded(mask)] = INSIDE
        self._shown, self.offset = labels > 0, offset
        # Data and place together: told of one after the other, napari would draw in between, and
        # do all twice.
        with self.layer.events.blocker_all():
            self.layer.data = self._frame.lift(labels)
            self.match()
        # New data would make it one to paint on.
        self.layer.editable = self._room is not None
        # It lies within the image: what all layers cover stays, which napari would look at anew.
        self.layer.refresh(extent=False)

    def _with_room(self, room: Box) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
        (row, col), (height, width) = self._place, self._mask.shape
        if self._mask.size:
            room = (
                min(room[0], row), min(room[1], col),
                max(room[2], row + height), max(room[3], col + width),
            )  # fmt: skip
        mask = np.zeros((room[2] - room[0], room[3] - room[1]), bool)
        top, left = row - room[0], col - room[1]
        if self._mask.size:
            mask[top : top + height, left : left + width] = self._mask
        return mask, room[:2]


def _eroded(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the pixels of a mask all of whose four neighbours are in it."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = (
        mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    )
    return inner


class BoxesOf(Mapping[int, "Boxes"]):
    """The boxes of accepted objects as they now are, found when they are asked for."""

    def __init__(self, objects: Mapping[int, ObjectRecord]) -> None:
        self._objects = dict(objects)

    def __getitem__(self, object_id: int) -> Boxes:
        return self._objects[object_id].boxes

    def __iter__(self) -> Iterator[int]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)


class Results:
    """The accepted objects of one image.

    Parameters
    ----------
    frame : Frame
        Of the image.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        # 16 bits: napari shows such an array as it is, where wider ones are mapped as a whole
        # each time anything changes.
        self.layer = Labels(
            new_data(frame, np.uint16), name=f"{frame.image.name} objects",
            opacity=0.55, **placement(frame.image),
        )  # fmt: skip
        self.match()
        self._boxes: Mapping[int, Boxes] = {}
        self._known: set[int] = set()
        self._labels: Any = None
        self.filling = Filling(self.layer, self._fill)
        """Writes what is too much for one go; `update` returns before it has ended then."""

    def update(
        self,
        labels: npt.NDArray[np.unsignedinteger],
        boxes: Mapping[int, Boxes],
        region: ChangedRegion | None = None,
    ) -> None:
        """Write what has become of the objects.

        Parameters
        ----------
        labels : array, plane_shape + (H, W)
            Labels as they should be. What the user has painted elsewhere, with a label that is no
            object's, stays.
        boxes : dict of int to dict of plane to (row0, col0, row1, col1)
            All objects that there should be, with their boxes in every plane; kept.
        region : ChangedRegion, optional
            All that has changed since the last update; by default that is looked for in the boxes
            that objects have or had.
        """
        self._widen(labels.dtype)
        self._known.update(boxes)
        self._labels = labels
        # Of labels too large for an array not every region holds all that has changed.
        if region is not None and (region.mask.size or isinstance(labels, np.ndarray)):
            self._write_regions(labels, (region, *region.more))
        else:
            found = chain.from_iterable(
                each.items() for each in (*self._boxes.values(), *boxes.values())
            )
            if len(self._boxes) + len(boxes) > MANY:
                self.filling.begin(found)
            else:
                for plane, box in dict.fromkeys(found):
                    self._write(labels, plane, box)
        self._boxes = boxes

    def _widen(self, dtype: Any) -> None:
        if np.dtype(dtype).itemsize > self.layer.data.dtype.itemsize:
            self.layer.data = widened(self.layer, self._frame, dtype)

    def _write_regions(self, labels: Any, regions: Sequence[ChangedRegion]) -> None:
        """Write regions; those of many planes, such as lines of a section, in one go."""
        found = []
        for region in regions:
            height, width = region.mask.shape
            box = (region.row, region.col, region.row + height, region.col + width)
            # What has changed in a section is told by the image's own planes as well.
            if region.labels is None or not height or not width or SHOWN in region.plane:
                continue
            if height * width > MOST_AT_ONCE:
                self._write(labels, region.plane, box)
                continue
            indices, values = self._changes(labels, region.plane, box)
            if len(values):
                found.append((*indices, values))
        if found:
            *where, written = (np.concatenate(each) for each in zip(*found, strict=True))
            write(self.layer, tuple(where), written)

    def _write(self, labels: npt.NDArray[np.unsignedinteger], plane: Plane, box: Box) -> None:
        for block in blocks(box):
            self._write_block(labels, plane, block)

    def _write_block(self, labels: Any, plane: Plane, box: Box) -> None:
        indices, values = self._changes(labels, plane, box)
        if len(values):
            write(self.layer, indices, values)

    def _fill(self, plane: Plane, box: Box) -> None:
        """Write a box without drawing it, and without a step in the layer's own history."""
        for block in blocks(box):
            indices, values = self._changes(self._labels, plane, block)
            if len(values):
                full_size(self.layer)[indices] = values

    def _changes(self, labels: Any, plane: Plane, box: Box) -> tuple[tuple[Any, ...], Any]:
        """Return where in the layer's data something else has to be, and what."""
        row0, col0, row1, col1 = box
        window = (slice(row0, row1), slice(col0, col1))
        wanted = labels[(*plane, *window)]
        shown = self._frame.window_of(full_size(self.layer), plane, window)
        rows, cols = np.nonzero(shown != wanted)
        there = shown[rows, cols]
        ours = wanted[rows, cols] > 0
        if there.any():
            ours |= np.isin(there, np.fromiter(self._known, np.int64))
        rows, cols = rows[ours], cols[ours]
        values = wanted[rows, cols].astype(self.layer.data.dtype)
        return self._frame.index(plane, rows + row0, cols + col0), values

    def match(self) -> None:
        """Follow the image's transform."""
        self._frame.place(self.layer)
