"""napari's own brush, eraser, bucket and polygon in the layer of accepted objects.

napari tells of each part of the layer that it draws anew while one paints. What is there now is
compared with the labels of the session when the stroke has ended, whatever tool it was.
"""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer, Signal

from napari_pvpu.napari_side.result_data import full_size, write
from napari_pvpu.sections import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.frame import Frame

    Window = tuple[slice, ...]

__all__ = ["LabelStrokes", "PaintedLabels"]


@dataclass(frozen=True, slots=True, eq=False)
class PaintedLabels:
    """A part of the labels as it was painted.

    Attributes
    ----------
    labels : array, plane axes first
        What is there now.
    offset : tuple of int
        Its first pixel, by its position along the plane axes, row and col.
    """

    labels: npt.NDArray[np.unsignedinteger]
    offset: tuple[int, ...]

    @property
    def window(self) -> Window:
        """The part in labels that have the plane axes first."""
        pairs = zip(self.offset, self.labels.shape, strict=True)
        return tuple(slice(first, first + length) for first, length in pairs)


class LabelStrokes(QObject):
    """Reads what was painted into the layer of accepted objects.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Kept weakly.
    frame : Frame
        Of the image.
    """

    painted = Signal()
    """There may be something to be had from `take`."""

    def __init__(self, viewer: Viewer, frame: Frame) -> None:
        super().__init__()
        self._viewer, self._frame = weakref.ref(viewer), frame
        self._layer: Labels | None = None
        self._window: Window | None = None
        self._quiet = self._waiting = False
        self.stroking = False
        """Whether a stroke is under way."""

    def follow(self, layer: Labels) -> None:
        """Read this layer from now on, and no other."""
        if self._layer is not None:
            self._layer.events.labels_update.disconnect(self._on_update)
            self._layer.events.paint.disconnect(self._on_paint)
        self._layer, self._window = layer, None
        layer.events.labels_update.connect(self._on_update)
        layer.events.paint.connect(self._on_paint)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Take nothing that is written meanwhile for paint."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def take(self, labels: Any, *, erased: bool = True) -> PaintedLabels | None:
        """Return what was painted since this was called last; None if nothing was.

        Parameters
        ----------
        labels : array, plane axes first
            What the layer would show otherwise.
        erased : bool
            Whether pixels without a label have been erased; else nothing has been there yet.
        """
        window, self._window = self._window, None
        if window is None or self._layer is None:
            return None
        whole = PaintedLabels(self._read(window), tuple(each.start for each in window))
        now = whole.labels
        known = labels[whole.window]
        changed = now != known
        if not erased:
            changed &= now > 0
        if not changed.any():
            return None
        from napari_pvpu.label_painting import tight_part

        part = tight_part(changed)
        offset = tuple(at + each.start for at, each in zip(whole.offset, part, strict=True))
        return PaintedLabels(np.where(changed, now, known)[part], offset)

    def put_back(self, painted: PaintedLabels, labels: Any) -> None:
        """Have the layer show `labels`, plane axes first, where it was painted on."""
        assert self._layer is not None
        wanted = labels[painted.window]
        for index in np.ndindex(*wanted.shape[:-2]):
            rows, cols = np.nonzero(wanted[index] != painted.labels[index])
            plane = tuple(at + first for at, first in zip(index, painted.offset, strict=False))
            row, col = painted.offset[-2:]
            values = wanted[index][rows, cols].astype(full_size(self._layer).dtype)
            if len(values):
                with self.quietly():
                    write(self._layer, self._frame.index(plane, rows + row, cols + col), values)

    def _read(self, window: Window) -> npt.NDArray[np.unsignedinteger]:
        """Return a part of the layer's data, plane axes first."""
        assert self._layer is not None
        index = [slice(None)] * self._layer.ndim  # of channels there is one
        for axis, part in zip(self._frame.places, window, strict=True):
            index[axis] = part
        return self._frame.planes_first(np.asarray(full_size(self._layer)[tuple(index)]))

    # What napari tells

    def _on_update(self, event: Any) -> None:
        viewer = self._viewer()
        if self._quiet or viewer is None or self._layer is None:
            return
        window = self._shown(viewer)
        for axis, start, length in zip(
            viewer.dims.displayed, event.offset, event.data.shape, strict=False
        ):
            place = self._frame.places.index(axis - viewer.dims.ndim + self._layer.ndim)
            window[place] = slice(int(start), int(start) + length)
        self._join(window)
        self.stroking = not self._waiting

    def _on_paint(self, event: Any) -> None:
        viewer = self._viewer()
        if self._quiet or viewer is None or self._layer is None:
            return
        if self._window is None or not self._layer.loaded:  # it has not been told where
            self._join(self._shown(viewer))
        if not self._waiting:
            self._waiting = True
            QTimer.singleShot(0, self._tell)  # napari may not have written it yet

    def _tell(self) -> None:
        self._waiting = self.stroking = False
        self.painted.emit()

    def _shown(self, viewer: Viewer) -> list[slice]:
        """Return the part of the labels that is shown, or that may be painted on from there."""
        assert self._layer is not None
        window = [slice(0, length) for length in self._frame.grid.lengths]
        plane = self._frame.shown_plane(viewer)
        if plane is not None and self._layer.n_edit_dimensions == 2:
            for place, at in enumerate(self._frame.grid.whole(plane)):
                if at != SHOWN:
                    window[place] = slice(at, at + 1)
        return window

    def _join(self, window: Sequence[slice]) -> None:
        known = self._window or window
        self._window = tuple(
            slice(min(a.start, b.start), max(a.stop, b.stop))
            for a, b in zip(known, window, strict=True)
        )
