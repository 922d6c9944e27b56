"""Where a layer lies: the same place for several layers, and positions from one to the other.

Positions are in the data pixels of some layer. Only public methods of the layers are used, so
every transform that napari knows (scale, translate, rotate, shear, affine) is included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

__all__ = [
    "Positions",
    "convert",
    "data_pixels_per_screen_pixel",
    "place_at",
    "placement",
    "visible_extent",
]

Positions = npt.NDArray[np.float64]

PLACEMENT = ("scale", "translate", "rotate", "shear", "affine", "units")


STRETCH = 4
"""How much longer than all channels together the one pixel is that a layer laid over them has
along their axis: everything on it is then near its middle, and shown with every channel."""


def placement(layer: Layer) -> dict[str, Any]:
    """Return the keyword arguments that put another layer where `layer` lies."""
    return {name: getattr(layer, name) for name in (*PLACEMENT, "axis_labels")}


def place_at(
    layer: Layer,
    image: Layer,
    offset: Sequence[int] = (),
    *,
    channels: tuple[int, int] | None = None,
) -> None:
    """Move `layer` so that its first pixel covers a pixel of `image`.

    Parameters
    ----------
    layer, image : napari.layers.Layer
        Of as many axes.
    offset : sequence of int, optional
        The image's pixel, by default its first.
    channels : (axis, length), optional
        Stretch the layer's pixels so far along this axis that the first covers them all.
    """
    wanted = placement(image)
    start = np.zeros(image.ndim)
    start[: len(offset)] = offset
    if channels is not None:
        axis, length = channels
        start[axis] = (length - 1) / 2
        wanted["scale"] = np.array(image.scale, float)
        wanted["scale"][axis] *= STRETCH * length
    if start.any():
        # The layer's own translation comes after its scale, rotation and shear but before its
        # affine, whose linear part has to be taken out of the step in world coordinates.
        step = np.subtract(image.data_to_world(start), image.data_to_world(np.zeros(image.ndim)))
        linear = np.asarray(image.affine.linear_matrix)
        wanted["translate"] = np.asarray(image.translate) + np.linalg.solve(linear, step)
    for name, value in wanted.items():
        if not _same(name, getattr(layer, name), value):
            setattr(layer, name, value)


def convert(
    points: npt.ArrayLike, source: Layer, target: Layer, axes: Sequence[int] | None = None
) -> Positions:
    """Turn positions in `source` into positions in `target`.

    Parameters
    ----------
    points : array, (N, K)
        Along each of `axes`.
    source, target : napari.layers.Layer
        Of as many axes.
    axes : sequence of K int, optional
        By default all. The others must lie across them.
    """
    axes = range(source.ndim) if axes is None else axes
    points = np.asarray(points, np.float64).reshape(-1, len(axes))
    (ahead, start), (back, origin) = _to_world(source, axes), _to_world(target, axes)
    if np.allclose(ahead, back, rtol=1e-9) and np.allclose(start, origin, rtol=1e-9):
        return points  # exactly, so that a prompt survives any number of undos unchanged
    moved = np.linalg.solve(back, (points @ ahead.T + start - origin).T).T
    return np.asarray(moved, np.float64)


def data_pixels_per_screen_pixel(
    viewer: Viewer, image: Layer, axes: Sequence[int] = (-2, -1)
) -> float:
    """Return how many data pixels of `image` one pixel of the screen shows, along a side.

    `axes` are those of rows and columns.
    """
    linear, _ = _to_world(image, [axis % image.ndim for axis in axes])
    world_per_data_pixel = float(np.sqrt(abs(np.linalg.det(linear))))
    return 1 / (viewer.scene.camera.zoom * world_per_data_pixel)


def visible_extent(viewer: Viewer, image: Layer, axes: Sequence[int] = (-2, -1)) -> float:
    """Return how many data pixels of `image` the short side of the canvas shows.

    At most the image's own long side, because the canvas may show a lot of nothing around it.
    """
    longest = (np.subtract(*image.extent.data[::-1])[list(axes)] + 1).max()
    shown = min(viewer.canvas.size) * data_pixels_per_screen_pixel(viewer, image, axes)
    return float(min(shown, longest))


def _to_world(layer: Layer, axes: Sequence[int]) -> tuple[Positions, Positions]:
    """Return the linear part (K, K) and the offset (K,) of the layer's way to the world."""
    steps = np.eye(layer.ndim)[list(axes)]
    start, *stops = (
        np.asarray(layer.data_to_world(point))[list(axes)]
        for point in (np.zeros(layer.ndim), *steps)
    )
    return np.stack([stop - start for stop in stops], axis=1), start


def _same(name: str, one: Any, two: Any) -> bool:
    if name in ("units", "axis_labels"):
        return bool(one == two)
    one, two = (np.asarray(getattr(value, "affine_matrix", value), float) for value in (one, two))
    return np.array_equal(one, two)
