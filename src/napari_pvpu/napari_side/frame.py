"""The planes of an image layer: from pixels of a plane to positions in layers, and back.

The engine knows planes, each with rows and columns; napari knows layers of as many axes as the
image has. A `Frame` says which plane is at work and stands between the two. Layers laid over an
image have all of its axes, the one of its channels with a single pixel that covers them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.axes import Layout, find_axes
from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side.geometry import (
    convert,
    data_pixels_per_screen_pixel,
    place_at,
    visible_extent,
)
from napari_pvpu.napari_side.layer_axes import (
    axes_of_layer,
    distances,
    plane_of_view,
    unit_ratios,
)
from napari_pvpu.sections import SHOWN, Grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.geometry import Positions
    from napari_pvpu.records import Plane

__all__ = ["Frame"]


class Frame:
    """Rows, columns and planes of an image layer.

    Parameters
    ----------
    image : napari.layers.Image
        It is never changed.
    axes : str, optional
        What its axes are, by default `axes_of_layer`.

    Raises
    ------
    ImageError
        If nobody says what the axes are.
    """

    def __init__(self, image: Image, axes: str | None = None) -> None:
        self.image = image
        self.read_axes(axes)

    def read_axes(self, axes: str | None = None) -> None:
        """Begin anew, with other axes or as the image now is.

        Raises
        ------
        ImageError
            If nobody says what the axes are, or they do not fit.
        """
        image = self.image
        shape = (image.data[0] if image.multiscale else image.data).shape
        self.axes = find_axes(shape, axes or axes_of_layer(image))
        self._layout = Layout(self.axes)
        self._lengths = tuple(int(length) for length in shape[: image.ndim])
        channel = self._layout.channel
        self._channel = channel if channel is not None and channel < image.ndim else None
        self._kept = [axis for axis in range(image.ndim) if axis != self._channel]
        self._places = (*self._layout.planes, self._layout.rows, self._layout.cols)
        self.grid = Grid(
            self._layout.plane_axes + "YX", tuple(self._lengths[axis] for axis in self._places)
        )
        """Its axes, channels aside, and the lengths along them."""
        self.plane: Plane = (0,) * len(self._layout.planes)
        """The plane at work, which may be a section across the image's own."""

    @property
    def places(self) -> tuple[int, ...]:
        """Axes of a layer that are those of `grid`, in its order."""
        return self._places

    @property
    def ndim(self) -> int:
        """Number of axes of the image and of all layers over it."""
        return len(self._lengths)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the plane at work."""
        return self.grid.shape(self.plane)

    @property
    def own_shape(self) -> tuple[int, int]:
        """Rows and columns of the image's own planes."""
        return self._lengths[self._layout.rows], self._lengths[self._layout.cols]

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Lengths of the axes along which there are the image's own planes."""
        return tuple(self._lengths[axis] for axis in self._layout.planes)

    @property
    def cut_axes(self) -> str:
        """Letters of the axes that the plane at work cuts at one position."""
        return self.grid.fixed_axes(self.plane)

    @property
    def across(self) -> bool:
        """Whether the plane at work is a section across the image's own."""
        return self.grid.is_section(self.plane)

    def moved(self, axis: str, position: int) -> Plane:
        """Return the plane at work, moved to another position on an axis that it cuts."""
        place = self.grid.axes.index(axis)
        return (*self.plane[:place], position, *self.plane[place + 1 :])

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distances between pixels along the axes of `grid`, in one unit where they have one."""
        return distances(self.image, self._places)

    @property
    def plane_axes(self) -> str:
        """Letters of these axes."""
        return self._layout.plane_axes

    @property
    def spatial_axes(self) -> tuple[int, int]:
        """Which axes of a layer are rows and columns of the image's own planes."""
        return self._layout.rows, self._layout.cols

    @property
    def shown_axes(self) -> tuple[int, int]:
        """Which axes of a layer are rows and columns of the plane at work."""
        rows, cols = self._spatial
        return rows, cols

    @property
    def layer_shape(self) -> tuple[int, ...]:
        """Shape of a layer that has a pixel for each of every plane."""
        return tuple(
            1 if axis == self._channel else length for axis, length in enumerate(self._lengths)
        )

    @property
    def channel_count(self) -> int:
        """How many channels the image has; colours count as 3."""
        if self._channel is not None:
            return self._lengths[self._channel]
        return 3 if self.image.rgb else 1

    def check_channels(self, channels: Sequence[int] | None) -> None:
        """Raise `ImageError` unless the image has these channels."""
        last = self.channel_count - 1
        wrong = [channel for channel in channels or () if not 0 <= channel <= last]
        if wrong:
            raise ImageError(
                f"“{self.image.name}” has no channel {', '.join(map(str, wrong))}; choose from 0 "
                f"to {last}, or set the axes so that one of them is C"
            )

    # Arrays

    def lift(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return (h, w) pixels with all axes of a layer, as a view."""
        rows, cols = self._spatial
        shape = [1] * self.ndim
        shape[rows], shape[cols] = pixels.shape
        return (pixels if rows < cols else pixels.T).reshape(shape)

    def lower(self, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the pixels (h, w) that `lift` has given all axes of a layer, as a view."""
        rows, cols = self._spatial
        window = tuple(slice(None) if axis in (rows, cols) else 0 for axis in self._axes)
        return data[window] if rows < cols else data[window].T

    def window_of(
        self, data: Any, plane: Plane, window: tuple[slice, slice]
    ) -> npt.NDArray[np.unsignedinteger]:
        """Return rows and columns of a plane of the data of a layer, as a view if it is numpy's."""
        rows, cols = self._shown_in(plane)
        index: list[Any] = [0] * self.ndim
        index[rows], index[cols] = window
        for axis, position in self._cut_by(plane):
            index[axis] = position
        pixels: npt.NDArray[np.unsignedinteger] = data[tuple(index)]
        return pixels if rows < cols else pixels.T

    def planes_first(self, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return data of a layer with plane axes first, then rows and columns, as a view."""
        order = [*self._places]
        left = [axis for axis in self._axes if axis not in order]
        return data.transpose([*order, *left]).reshape([data.shape[axis] for axis in order])

    def index(
        self, plane: Plane, rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[np.intp], ...]:
        """Return the index of pixels of a plane in the data of a layer."""
        index = [np.zeros(len(rows), np.intp) for _ in self._axes]
        down, across = self._shown_in(plane)
        index[down], index[across] = rows, cols
        for axis, position in self._cut_by(plane):
            index[axis] = np.full(len(rows), position, np.intp)
        return tuple(index)

    # Positions

    def read(self, points: npt.ArrayLike, layer: Layer) -> Positions:
        """Turn positions (N, ndim) in a layer into (row, col) in the image, (N, 2)."""
        kept = np.asarray(points, np.float64).reshape(-1, self.ndim)[:, self._kept]
        found = convert(kept, layer, self.image, self._kept)
        return found[:, [self._kept.index(axis) for axis in self._spatial]]

    def write(self, points: npt.ArrayLike, layer: Layer) -> Positions:
        """Turn (row, col) in the plane at work, (N, 2), into positions in a layer."""
        points = np.asarray(points, np.float64).reshape(-1, 2)
        here = np.zeros((len(points), self.ndim))
        for axis, position in self._cut_by(self.plane):
            here[:, axis] = position
        here[:, self._spatial] = points
        out = np.zeros_like(here)
        out[:, self._kept] = convert(here[:, self._kept], self.image, layer, self._kept)
        return out

    def pixel_of_world(self, world: npt.ArrayLike) -> tuple[float, float]:
        """Return (row, col) in the image of a position in its own units, for all its axes."""
        index = np.asarray(self.image.world_to_data(np.asarray(world, np.float64)))
        rows, cols = self._spatial
        return float(index[rows]), float(index[cols])

    # Layers and viewers

    def place(self, layer: Layer, offset: tuple[int, int] | None = None) -> None:
        """Put a layer over the image.

        Parameters
        ----------
        layer : napari.layers.Layer
            Of as many axes.
        offset : (row, col), optional
            Of its first pixel in the plane at work, if that is not the image's first.
        """
        start = [0] * self.ndim
        if offset is not None:
            for axis, position in self._cut_by(self.plane):
                start[axis] = position
            rows, cols = self._spatial
            start[rows], start[cols] = offset
        channels = None
        if self._channel is not None:
            channels = (self._channel, self._lengths[self._channel])
        place_at(layer, self.image, start, channels=channels)

    def screen_pixel(self, viewer: Viewer) -> float:
        """Return how many data pixels one pixel of the screen shows, along a side."""
        return data_pixels_per_screen_pixel(viewer, self.image, self._spatial)

    def visible_extent(self, viewer: Viewer) -> float:
        """Return how many data pixels the short side of the canvas shows."""
        return visible_extent(viewer, self.image, self._spatial)

    def pixel_at(self, viewer: Viewer, position: npt.ArrayLike) -> tuple[float, float]:
        """Return (row, col) in the image of a position of a viewer, in the viewer's units."""
        here = np.asarray(position, np.float64)[-self.ndim :]
        return self.pixel_of_world(here * unit_ratios(self.image, viewer))

    def center(self, viewer: Viewer) -> tuple[float, float]:
        """Return (row, col) in the image of the middle of a viewer's canvas."""
        world = np.array(viewer.dims.point, float)
        shown = list(viewer.dims.displayed)
        world[shown] = viewer.scene.camera.center[-len(shown) :]
        return self.pixel_at(viewer, world)

    def shown_plane(self, viewer: Viewer) -> Plane | None:
        """Return the plane that a viewer shows; None if it shows none."""
        return plane_of_view(self.image, viewer, self.axes)

    def show_plane(self, viewer: Viewer, plane: Plane) -> None:
        """Move a viewer's sliders to a plane, with its axes on the canvas."""
        ahead = viewer.dims.ndim - self.ndim
        shown = [ahead + axis for axis in self._shown_in(plane)]
        if viewer.dims.ndisplay == 2 and {*viewer.dims.displayed} != {*shown}:
            rest = [axis for axis in range(viewer.dims.ndim) if axis not in shown]
            viewer.dims.order = (*rest, *shown)
        ratios = unit_ratios(self.image, viewer)
        point = np.asarray(viewer.dims.point)[ahead:] * ratios
        index = np.array(self.image.world_to_data(point))
        cut = self._cut_by(plane)
        for axis, position in cut:
            index[axis] = position
        world = np.asarray(self.image.data_to_world(index)) / ratios
        viewer.dims.set_point([ahead + axis for axis, _ in cut], [world[axis] for axis, _ in cut])

    @property
    def _axes(self) -> range:
        return range(self.ndim)

    @property
    def _spatial(self) -> list[int]:
        """Which axes of a layer are rows and columns of the plane at work."""
        return self._shown_in(self.plane)

    def _shown_in(self, plane: Plane) -> list[int]:
        """Return which axes of a layer are rows and columns of a plane."""
        return [self._places[axis] for axis in self.grid.shown(plane)]

    def _cut_by(self, plane: Plane) -> list[tuple[int, int]]:
        """Return axes of a layer that a plane cuts, each with its position there."""
        return [
            (axis, at)
            for axis, at in zip(self._places, self.grid.whole(plane), strict=True)
            if at != SHOWN
        ]
