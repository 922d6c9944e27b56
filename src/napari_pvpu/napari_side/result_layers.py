"""The two layers that show masks: the object at work, and all the accepted ones.

The object at work has a Labels layer just as large as it is, moved to its place, so that showing
it costs the same on any image. Accepted objects are written into one Labels layer of the image's
size, changed pixels only, each change one step of that layer's own history.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from scipy import ndimage

from napari_pvpu.napari_side.geometry import place_at, placement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Layer

    Box = tuple[int, int, int, int]

__all__ = ["INSIDE", "RIM", "Preview", "Results"]

INSIDE, RIM = 1, 2
"""Labels of the preview: the object's inner pixels and those at its edge."""

PREVIEW_COLORS = {
    None: (0.0, 0.0, 0.0, 0.0),
    0: (0.0, 0.0, 0.0, 0.0),
    INSIDE: (0.1, 0.95, 0.85, 0.35),
    RIM: (0.1, 0.95, 0.85, 1.0),
}


class Preview:
    """The object at work, drawn with a rim."""

    def __init__(self, image: Layer) -> None:
        self._image = image
        self._offset = (0, 0)
        self.layer = Labels(
            np.zeros((1, 1), np.uint8), name="Current object", opacity=1,
            colormap=DirectLabelColormap(color_dict=PREVIEW_COLORS), **placement(image),
        )  # fmt: skip
        self.layer.editable = False

    def show(self, mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
        """Show a mask, (h, w), whose first pixel is the image's (`row`, `col`)."""
        if mask.size:
            labels = mask.astype(np.uint8) * RIM
            labels[ndimage.binary_erosion(mask)] = INSIDE
        else:
            labels = np.zeros((1, 1), np.uint8)
        self._offset = (row, col)
        # Data and place together: napari would draw in between, and do all twice. Its way to
        # wait is not public yet; without it nothing else changes.
        with getattr(self.layer, "_block_refresh", nullcontext)():
            self.layer.data = labels
            self.match()
        self.layer.refresh()

    def clear(self) -> None:
        """Show nothing."""
        self.show(np.zeros((0, 0), bool), 0, 0)

    def match(self) -> None:
        """Follow the image's transform."""
        place_at(self.layer, self._image, self._offset)


class Results:
    """The accepted objects of one image.

    Parameters
    ----------
    image : napari.layers.Image
        Two-dimensional.
    shape : (H, W)
        Of the image, in pixels.
    """

    def __init__(self, image: Layer, shape: tuple[int, int]) -> None:
        self._image = image
        # 16 bits: napari shows such an array as it is, where wider ones are mapped as a whole
        # each time anything changes.
        self.layer = Labels(
            np.zeros(shape, np.uint16), name=f"{image.name} objects", opacity=0.55,
            **placement(image),
        )  # fmt: skip
        self._boxes: dict[int, Box] = {}

    def update(self, labels: npt.NDArray[np.uint16], boxes: Mapping[int, Box]) -> None:
        """Write objects that are new and wipe out those that are gone.

        Parameters
        ----------
        labels : array of uint16, (H, W)
            Labels as they should be. Only pixels of objects that come or go are written: anywhere
            else the user may have painted.
        boxes : dict of int to (row0, col0, row1, col1)
            All objects that there should be, with their boxes.
        """
        for object_id in self._boxes.keys() - boxes.keys():
            self._write(labels, self._boxes.pop(object_id), object_id)
        for object_id in boxes.keys() - self._boxes.keys():
            self._boxes[object_id] = boxes[object_id]
            self._write(labels, boxes[object_id], object_id)

    def _write(self, labels: npt.NDArray[np.uint16], box: Box, object_id: int) -> None:
        layer = self.layer
        row0, col0, row1, col1 = box
        window = (slice(row0, row1), slice(col0, col1))
        wanted, shown = labels[window], layer.data[window]
        rows, cols = np.nonzero((shown != wanted) & ((wanted == object_id) | (shown == object_id)))
        if not len(rows):
            return
        indices = (rows + row0, cols + col0)
        values = wanted[rows, cols].astype(layer.data.dtype)
        if not layer.loaded:
            # With asynchronous slicing the layer may not have been drawn yet, and `data_setitem`
            # would fail.
            layer.data[indices] = values
            layer.refresh()
            return
        with layer.block_history():
            layer.data_setitem(indices, values)

    def match(self) -> None:
        """Follow the image's transform."""
        place_at(self.layer, self._image)
