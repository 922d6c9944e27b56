"""Where the camera looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.napari_side.layer_axes import unit_ratios

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.frame import Frame
    from napari_pvpu.records import PixelBox

__all__ = ["look_at"]

LEAST_SHARE, MOST_SHARE, GOOD_SHARE = 0.06, 0.8, 0.3
"""Shares of the canvas's shorter side that a box may fill, and that it is given otherwise."""


def look_at(viewer: Viewer, frame: Frame, box: PixelBox) -> None:
    """Bring a box of the plane at work to the middle of the canvas.

    The zoom stays, unless the box would be lost in the canvas or not fit into it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Showing the plane.
    frame : Frame
        Of the image.
    box : (row0, col0, row1, col1)
        Data pixels, the last two exclusive.
    """
    row0, col0, row1, col1 = box
    image = frame.image
    [middle] = frame.write([((row0 + row1 - 1) / 2, (col0 + col1 - 1) / 2)], image)
    world = np.asarray(image.data_to_world(middle)) / unit_ratios(image, viewer)
    shown = [axis - (viewer.dims.ndim - frame.ndim) for axis in viewer.dims.displayed]
    camera = viewer.scene.camera
    camera.center = (*camera.center[: -len(shown)], *(world[axis] for axis in shown))
    length = max(row1 - row0, col1 - col0) / frame.screen_pixel(viewer)
    share = length / min(viewer.canvas.size)
    if not LEAST_SHARE <= share <= MOST_SHARE:
        camera.zoom *= GOOD_SHARE / share
