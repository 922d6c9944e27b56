"""Objects under the mouse: in our layer of accepted objects, or in anybody's labels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels

from napari_pvpu.array_reading import read_block
from napari_pvpu.errors import SessionError
from napari_pvpu.napari_side.layer_axes import unit_ratios

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.viewer import Viewer

    from napari_pvpu.napari_side.frame import Frame
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["Found", "ObjectScan", "Picked", "pick"]

Found = tuple[npt.NDArray[np.bool_], tuple[int, int]]
"""A mask, and (row, col) of its first pixel."""

AT_ONCE = 2**22
"""Pixels of a plane in memory that are looked through without a pause, in some milliseconds."""

BLOCK = 2**22
"""Pixels that are looked through in one go otherwise."""


@dataclass(frozen=True, slots=True)
class Picked:
    """An object of a Labels layer.

    Attributes
    ----------
    layer : napari.layers.Labels
        The layer.
    object_id : int
        Its value there.
    position : tuple of float
        Of the viewer, at which it was picked.
    ratios : array
        The units of the viewer in those of the layer, for each axis of the layer; both tell
        positions in units of their own.
    image_ratios : array
        The same for the image at work.
    """

    layer: Labels
    object_id: int
    position: tuple[float, ...]
    ratios: npt.NDArray[np.float64]
    image_ratios: npt.NDArray[np.float64]


def pick(viewer: Viewer, workspace: Workspace, position: Sequence[float]) -> Picked | None:
    """Return the topmost object at a position of the viewer; the object at work does not count."""
    for layer in reversed(viewer.layers):
        if not isinstance(layer, Labels) or not layer.visible or layer in workspace.layers:
            continue
        ratios = unit_ratios(layer, viewer)
        here = np.asarray(position, float)
        here[-layer.ndim :] *= ratios[-len(here) :]
        found = layer.get_value(here, world=True)
        value = found[1] if isinstance(found, tuple) else found  # of pyramids with the level
        if value:
            image_ratios = unit_ratios(workspace.image, viewer)
            return Picked(layer, int(value), tuple(position), ratios, image_ratios)
    return None


class ObjectScan:
    """One object looked for in a whole plane of a layer, with all pieces that it may be in.

    Made on the GUI thread, which asks napari where layers lie; `find` may run in any.

    Parameters
    ----------
    picked : Picked
        The object. Its layer may lie anywhere and have pixels of another size; its last axes are
        those of the image.
    frame : Frame
        The image, in the plane at work.

    Raises
    ------
    SessionError
        If the layer does not have the axes on the canvas.
    """

    def __init__(self, picked: Picked, frame: Frame) -> None:
        layer = picked.layer
        self._id, self._name, self._limits = picked.object_id, layer.name, frame.shape
        self._labels: Any = layer.data[0] if layer.multiscale else layer.data
        index = np.round(
            layer.world_to_data(np.array(picked.position[-layer.ndim :]) * picked.ratios)
        ).astype(int)
        self._shown = _shown_axes(layer, frame)
        self._index: list[Any] = [int(at) for at in index]
        self._shape = tuple(int(self._labels.shape[axis]) for axis in self._shown)
        self._done, self._stopped = 0, False
        # The way from the layer's pixels to the image's is linear: three positions tell it.
        start = index.astype(float)
        corners = []
        for step in ((0, 0), (1, 0), (0, 1)):
            here = start.copy()
            here[self._shown] = step
            world = np.array(picked.position)
            world[-layer.ndim :] = np.asarray(layer.data_to_world(here)) / picked.ratios
            corners.append(frame.pixel_of_world(world[-frame.ndim :] * picked.image_ratios))
        self._origin, down, right = np.array(corners)
        self._way = np.stack([down - self._origin, right - self._origin], axis=1)

    @property
    def quick(self) -> bool:
        """Whether it takes some milliseconds only, so that nobody needs to wait for a thread."""
        return isinstance(self._labels, np.ndarray) and prod(self._shape) <= AT_ONCE

    @property
    def progress(self) -> tuple[int, int]:
        """How many rows of how many have been looked through."""
        return self._done, self._shape[0]

    def stop(self) -> None:
        """Have `find` end soon, with nothing."""
        self._stopped = True

    def find(self) -> Found | None:
        """Return the mask of the object in the pixels of the image, and where it begins.

        Returns
        -------
        mask : array, (h, w), bool
            In the plane that was at work.
        offset : (row, col)
            Of its first pixel.

        None in place of both if `stop` was called.

        Raises
        ------
        SessionError
            If no pixel of it lies in the image.
        ImageError
            If the labels cannot be read.
        """
        found: list[Found] = []
        for part in self._parts():
            if self._stopped:
                return None
            if part is not None:
                found.append(part)
        if not found:
            raise SessionError(f"“{self._name}” holds no object {self._id} here")
        row, col = (min(each) for each in zip(*(corner for _, corner in found), strict=True))
        ends = (np.add(corner, part.shape) for part, corner in found)
        piece = np.zeros(np.max([*ends], axis=0) - (row, col), bool)
        for pixels, (top, left) in found:
            piece[top - row :, left - col :][: pixels.shape[0], : pixels.shape[1]] = pixels
        return self._in_image(piece, (row, col))

    def _parts(self) -> Iterator[Found | None]:
        """Look through one strip of rows after the other; yield what is in it of the object."""
        rows, cols = self._shown
        step = max(BLOCK // max(self._shape[1], 1), 1)
        step += -step % _chunk(self._labels, rows)  # lest one be computed twice
        window = list(self._index)
        window[cols] = slice(0, self._shape[1])
        for start in range(0, self._shape[0], step):
            window[rows] = slice(start, min(start + step, self._shape[0]))
            here = read_block(self._labels, tuple(window)) == self._id
            self._done = window[rows].stop
            down, across = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
            if not len(down):
                yield None
                continue
            part = here[down[0] : down[-1] + 1, across[0] : across[-1] + 1].copy()
            yield part, (start + int(down[0]), int(across[0]))

    def _in_image(self, piece: npt.NDArray[np.bool_], corner: tuple[int, int]) -> Found:
        """Return pixels of the layer, of which the first is at `corner`, in those of the image."""
        sides = [
            (at - 0.5, at + length - 0.5) for at, length in zip(corner, piece.shape, strict=True)
        ]
        reached = np.array([*product(*sides)]) @ self._way.T + self._origin
        first = np.maximum(np.floor(reached.min(axis=0)).astype(int), 0)
        last = np.minimum(np.ceil(reached.max(axis=0)).astype(int) + 1, self._limits)
        last = np.maximum(last, first)
        mask = np.zeros(last - first, bool)
        grid = np.moveaxis(np.mgrid[first[0] : last[0], first[1] : last[1]], 0, -1)
        there = np.rint((grid - self._origin) @ np.linalg.inv(self._way).T).astype(int) - corner
        inside = ((there >= 0) & (there < piece.shape)).all(axis=-1)
        mask[inside] = piece[there[inside][:, 0], there[inside][:, 1]]
        if not mask.any():
            raise SessionError(f"object {self._id} of “{self._name}” lies outside the image")
        return mask, (int(first[0]), int(first[1]))


def _chunk(array: Any, axis: int) -> int:
    """Return how many pixels along an axis are read together, 1 if nobody knows."""
    chunks = getattr(array, "chunks", None)
    length = chunks[axis] if chunks is not None else 1
    return max(int(length[0] if isinstance(length, tuple) else length), 1)


def _shown_axes(layer: Labels, frame: Frame) -> list[int]:
    """Return which two axes of a Labels layer lie along the plane at work, in their order.

    Raises
    ------
    SessionError
        If it has no such axes.
    """
    if not frame.across:
        return [layer.ndim - 2, layer.ndim - 1]
    shown = sorted(axis + layer.ndim - frame.ndim for axis in frame.shown_axes)
    if shown[0] < 0:
        raise SessionError(
            f"“{layer.name}” has no pixels along an axis that is on the canvas; turn the axes back "
            "(Ctrl+E) to take its objects over"
        )
    return shown
