"""Where a layer lies: the same place for several layers, and positions from one to the other.

Positions are (row, col) in the data pixels of some layer. Only public methods of the layers are
used, so every transform that napari knows (scale, translate, rotate, shear, affine) is included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

__all__ = [
    "Points2d",
    "convert",
    "data_pixels_per_screen_pixel",
    "place_at",
    "placement",
    "visible_extent",
]

Points2d = npt.NDArray[np.float64]

PLACEMENT = ("scale", "translate", "rotate", "shear", "affine", "units")


def placement(layer: Layer) -> dict[str, Any]:
    """Return the keyword arguments that put another layer where `layer` lies."""
    return {name: getattr(layer, name) for name in (*PLACEMENT, "axis_labels")}


def place_at(layer: Layer, image: Layer, offset: tuple[int, int] = (0, 0)) -> None:
    """Move `layer` so that its pixel (0, 0) covers pixel `offset` of `image`."""
    wanted = placement(image)
    if any(offset):
        # The layer's own translation comes after its scale, rotation and shear but before its
        # affine, whose linear part has to be taken out of the step in world coordinates.
        step = np.subtract(image.data_to_world(offset), image.data_to_world((0, 0)))
        linear = np.asarray(image.affine.linear_matrix)
        wanted["translate"] = np.asarray(image.translate) + np.linalg.solve(linear, step)
    for name, value in wanted.items():
        if not _same(name, getattr(layer, name), value):
            setattr(layer, name, value)


def convert(points: npt.ArrayLike, source: Layer, target: Layer) -> Points2d:
    """Turn positions (N, 2) in `source` into positions in `target`."""
    points = np.asarray(points, np.float64).reshape(-1, 2)
    (ahead, start), (back, origin) = _to_world(source), _to_world(target)
    if np.allclose(ahead, back, rtol=1e-9) and np.allclose(start, origin, rtol=1e-9):
        return points  # exactly, so that a prompt survives any number of undos unchanged
    moved = np.linalg.solve(back, (points @ ahead.T + start - origin).T).T
    return np.asarray(moved, np.float64)


def data_pixels_per_screen_pixel(viewer: Viewer, image: Layer) -> float:
    """Return how many data pixels of `image` one pixel of the screen shows, along a side."""
    linear, _ = _to_world(image)
    world_per_data_pixel = float(np.sqrt(abs(np.linalg.det(linear))))
    return 1 / (viewer.scene.camera.zoom * world_per_data_pixel)


def visible_extent(viewer: Viewer, image: Layer) -> float:
    """Return how many data pixels of `image` the short side of the canvas shows.

    At most the image's own long side, because the canvas may show a lot of nothing around it.
    """
    longest = (np.subtract(*image.extent.data[::-1]) + 1).max()
    shown = min(viewer.canvas.size) * data_pixels_per_screen_pixel(viewer, image)
    return float(min(shown, longest))


def _to_world(layer: Layer) -> tuple[Points2d, Points2d]:
    """Return the linear part (2, 2) and the offset (2,) of the layer's way to the world."""
    start, down, right = (
        np.asarray(layer.data_to_world(point)) for point in ((0, 0), (1, 0), (0, 1))
    )
    return np.stack([down - start, right - start], axis=1), start


def _same(name: str, one: Any, two: Any) -> bool:
    if name in ("units", "axis_labels"):
        return bool(one == two)
    one, two = (np.asarray(getattr(value, "affine_matrix", value), float) for value in (one, two))
    return np.array_equal(one, two)
