"""napari's own brush, eraser and bucket on the object at work.

The layer of the object at work is as large as the object. While it is the active layer it covers
what the canvas shows, so that there is room to paint in. What a stroke has changed is read from
the layer when the mouse button is up, whatever tool of napari's it was.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer, Signal

from napari_pvpu.napari_side.result_layers import INSIDE

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.viewer import Viewer

    from napari_pvpu.napari_side.frame import Frame
    from napari_pvpu.napari_side.result_layers import Preview
    from napari_pvpu.records import ChangedRegion, PixelBox

__all__ = ["Painting", "Stroke"]

MOST_PIXELS = 4096
"""Rows and columns of the room to paint in, at most: what one sees as single pixels is less."""

BRUSH = 12
"""Screen pixels that a new brush is wide."""


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """What was painted or erased.

    Attributes
    ----------
    row, col : int
        First pixel in the plane at work.
    change : array, (h, w), int8
        1 painted, -1 erased, 0 as it was.
    """

    row: int
    col: int
    change: npt.NDArray[np.int8]

    def over(self, region: ChangedRegion) -> npt.NDArray[np.bool_]:
        """Return the object under the stroke as it is to be, (h, w), if it now is as `region`."""
        from napari_pvpu.rendering import paste

        mask = np.zeros(self.change.shape, bool)
        paste(region.mask, (region.row, region.col), mask, (self.row, self.col))
        return (mask & (self.change >= 0)) | (self.change > 0)


class Painting(QObject):
    """Makes the layer of the object at work one to paint on, and reads what was painted.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Kept weakly.
    frame : Frame
        Of the image.
    preview : Preview
        The layer.
    """

    painted = Signal()
    """There is a stroke to be had from `take`."""

    def __init__(self, viewer: Viewer, frame: Frame, preview: Preview) -> None:
        super().__init__()
        self._viewer, self._frame, self._preview = weakref.ref(viewer), frame, preview
        self._active = self._waiting = self._sized = False
        self.stroking = False
        """Whether a mouse button is down that paints."""
        self._room_timer = QTimer(self, singleShot=True, interval=100)
        self._room_timer.timeout.connect(self._make_room)
        layer = preview.layer
        layer.mouse_drag_callbacks.append(self._on_mouse)
        layer.events.paint.connect(self._on_paint)

    @property
    def active(self) -> bool:
        """Whether there is room to paint in."""
        return self._active

    def show(self) -> None:
        """Follow a viewer that shows the layer."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.selection.events.active.connect(self._on_active)
            for name in ("zoom", "center"):
                getattr(viewer.scene.camera.events, name).connect(self._on_camera)

    def hide(self) -> None:
        """Stop following it."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.selection.events.active.disconnect(self._on_active)
            for name in ("zoom", "center"):
                getattr(viewer.scene.camera.events, name).disconnect(self._on_camera)
        self._room_timer.stop()
        self._leave()

    def flush(self) -> None:
        """Tell of paint at once, if there is any."""
        if self._preview.changed().any():
            self.painted.emit()

    def take(self) -> Stroke | None:
        """Return what was painted since the layer was written last; None if nothing was.

        From then on the layer may be written again.
        """
        preview = self._preview
        preview.held = False
        change = preview.changed()
        rows, cols = np.nonzero(change)
        if not len(rows):
            return None
        top, left, bottom, right = rows.min(), cols.min(), rows.max() + 1, cols.max() + 1
        row, col = preview.offset
        return Stroke(int(row + top), int(col + left), change[top:bottom, left:right])

    # Room to paint in

    def _on_active(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is not None and viewer.layers.selection.active is self._preview.layer:
            self._enter(viewer)
        else:
            self._leave()

    def _enter(self, viewer: Viewer) -> None:
        if self._active:
            return
        self._active = True
        layer = self._preview.layer
        layer.editable = True
        layer.selected_label = INSIDE
        if not self._sized:
            self._sized = True
            layer.brush_size = max(round(BRUSH * self._frame.screen_pixel(viewer)), 1)
        self._make_room()

    def _leave(self) -> None:
        if self._active:
            self._active = self.stroking = False
            self.flush()
            self._preview.layer.mode = "pan_zoom"
            self._preview.layer.editable = False
            self._preview.make_room(None)

    def _on_camera(self, event: Any = None) -> None:
        if self._active:
            self._room_timer.start()

    def _make_room(self) -> None:
        """Have the layer cover what the canvas shows."""
        viewer = self._viewer()
        if not self._active or viewer is None or self._preview.held:
            return
        self.flush()
        self._preview.make_room(self._visible(viewer))

    def _visible(self, viewer: Viewer) -> PixelBox | None:
        """Return the pixels of the image that the canvas shows, at most `MOST_PIXELS` a side."""
        rows, cols = self._frame.shape
        row, col = self._frame.center(viewer)
        height, width = (length * self._frame.screen_pixel(viewer) for length in viewer.canvas.size)
        # The image may be turned on the canvas: a square round both sides holds it anyway.
        reach = min(np.hypot(height, width), MOST_PIXELS) / 2
        box = (
            max(int(row - reach), 0), max(int(col - reach), 0),
            min(int(row + reach) + 1, rows), min(int(col + reach) + 1, cols),
        )  # fmt: skip
        return box if box[0] < box[2] and box[1] < box[3] else None

    # Strokes

    def _on_mouse(self, layer: Any, event: Any) -> Generator[None, None, None]:
        """Leave the layer alone as long as the button is down."""
        if str(layer.mode) in ("pan_zoom", "transform"):
            return
        self.stroking = self._preview.held = True
        yield
        while event.type == "mouse_move":
            yield
        self._tell_soon()

    def _on_paint(self, event: Any) -> None:
        if not self.stroking:
            self._tell_soon()

    def _tell_soon(self) -> None:
        """Tell when napari has finished with the stroke."""
        if not self._waiting:
            self._waiting = True
            QTimer.singleShot(0, self._tell)

    def _tell(self) -> None:
        self._waiting = self.stroking = False
        self.painted.emit()
