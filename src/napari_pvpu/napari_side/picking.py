"""Objects under the mouse: in our layer of accepted objects, or in anybody's labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_pvpu.errors import SessionError
from napari_pvpu.napari_side.layer_axes import unit_ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.frame import Frame
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["Picked", "mask_of", "pick"]


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


def mask_of(picked: Picked, frame: Frame) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    """Return the mask of an object in the pixels of the image, and where it begins.

    The layer may lie anywhere and have pixels of another size; its last axes are those of the
    image.

    Returns
    -------
    mask : array, (h, w), bool
        In the plane at work.
    offset : (row, col)
        Of its first pixel.

    Raises
    ------
    SessionError
        If no pixel of it lies in the image.
    """
    layer = picked.layer
    full: Any = layer.data[0] if layer.multiscale else layer.data
    index = np.round(
        layer.world_to_data(np.array(picked.position[-layer.ndim :]) * picked.ratios)
    ).astype(int)
    shown = _shown_axes(layer, frame)
    window = [slice(None) if axis in shown else at for axis, at in enumerate(index)]
    plane = np.asarray(full[tuple(window)]) == picked.object_id
    rows, cols = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if not len(rows):
        raise SessionError(f"“{layer.name}” holds no object {picked.object_id} here")
    # The way from the layer's pixels to the image's is linear: three positions tell it.
    start = index.astype(float)
    corners = []
    for step in ((0, 0), (1, 0), (0, 1)):
        here = start.copy()
        here[shown] = step
        world = np.array(picked.position)
        world[-layer.ndim :] = np.asarray(layer.data_to_world(here)) / picked.ratios
        corners.append(frame.pixel_of_world(world[-frame.ndim :] * picked.image_ratios))
    origin, down, right = np.array(corners)
    way = np.stack([down - origin, right - origin], axis=1)
    edges = [
        (r, c) for r in (rows[0] - 0.5, rows[-1] + 0.5) for c in (cols[0] - 0.5, cols[-1] + 0.5)
    ]
    reached = np.array(edges) @ way.T + origin
    first = np.maximum(np.floor(reached.min(axis=0)).astype(int), 0)
    last = np.minimum(np.ceil(reached.max(axis=0)).astype(int) + 1, frame.shape)
    if (first >= last).any():
        raise SessionError(f"object {picked.object_id} of “{layer.name}” lies outside the image")
    grid = np.moveaxis(np.mgrid[first[0] : last[0], first[1] : last[1]], 0, -1)
    there = np.rint((grid - origin) @ np.linalg.inv(way).T).astype(int)
    inside = ((there >= 0) & (there < plane.shape)).all(axis=-1)
    mask = np.zeros(grid.shape[:2], bool)
    mask[inside] = plane[there[inside][:, 0], there[inside][:, 1]]
    if not mask.any():
        raise SessionError(f"object {picked.object_id} of “{layer.name}” lies outside the image")
    return mask, (int(first[0]), int(first[1]))


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
