"""What others than the session write into the layer of accepted objects, by hand or by program.

napari tells of each part of the layer that it draws anew while one paints. What is there now is
compared with the labels of the session when the stroke has ended, whatever tool it was. Of all
else (``layer.data[...] = 3; layer.refresh()``, `layer.undo`, planes not shown) napari tells
no place, so that the layer is looked through for it, see `label_scan`.
"""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer, Signal

from napari_pvpu.errors import SessionError
from napari_pvpu.napari_side.label_scan import LabelScan, joined, size_of, windows_of
from napari_pvpu.napari_side.result_data import full_size, put_in, write
from napari_pvpu.napari_side.telling import tell
from napari_pvpu.sections import SHOWN
from napari_pvpu.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

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
        self._own: Any = None
        self._window: Window | None = None
        self._quiet = self._waiting = self._by_mouse = False
        self._view: object = None
        self._scan = LabelScan(self._differs, lambda: self._labels() is not None)
        self._scan.ended.connect(self.painted)
        self.known: Callable[[], Any] = lambda: None
        """Returns what the layer should show, plane axes first; None if that is not known now."""
        self.stroking = False
        """Whether a stroke is under way."""

    def follow(self, layer: Labels) -> None:
        """Read this layer from now on, and no other."""
        if self._layer is not None:
            for name, called in self._callbacks.items():
                getattr(self._layer.events, name).disconnect(called)
            self._layer.mouse_drag_callbacks.remove(self._on_mouse)
        self._layer, self._window, self._view, self._own = layer, None, None, layer.data
        self._scan.drop()
        for name, called in self._callbacks.items():
            getattr(layer.events, name).connect(called)
        layer.mouse_drag_callbacks.append(self._on_mouse)

    @property
    def _callbacks(self) -> dict[str, Callable[[Any], None]]:
        return {
            "labels_update": self._on_update,
            "paint": self._on_paint,
            "set_data": self._on_drawn,
            "data": self._on_data,
            "visible": self._on_visible,
        }

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
        self._scan.finish()
        if (found := self._scan.take()) is not None:
            self._join(found)
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
        if not self._by_mouse and self._frame.plane_shape:  # which may be in any plane
            self._look_through()
        if not self._waiting:
            self._waiting = True
            QTimer.singleShot(0, self._tell)  # napari may not have written it yet

    def _tell(self) -> None:
        self._waiting = self.stroking = False
        if not self._scan.pending:
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
        self._window = joined(self._window or window, window)

    def _on_mouse(self, layer: Any, event: Any) -> Generator[None, None, None]:
        """Note that what is painted is painted where the mouse is."""
        self._by_mouse = True
        try:
            yield
            while event.type == "mouse_move":
                yield
        finally:
            self._by_mouse = False

    # What napari tells no place of

    def _on_drawn(self, event: Any) -> None:
        """Look for what has been written into the data before the layer was drawn anew."""
        viewer, layer = self._viewer(), self._layer
        if viewer is None or layer is None:
            return
        dims, before = viewer.dims, self._view
        level = (layer.data_level, layer.corner_pixels.tolist()) if layer.multiscale else None
        self._view = (dims.point, dims.order, dims.ndisplay, level)
        # As a rule it is drawn anew because the view has moved, or for the first time.
        if not self._quiet and before == self._view:
            self._look_through()

    def _on_visible(self, event: Any) -> None:
        if self._layer is not None and self._layer.visible:  # napari was silent while it was not
            self._look_through()

    def _on_data(self, event: Any) -> None:
        """Take over the labels of other data that the layer was given; it keeps its own array."""
        layer = self._layer
        if layer is None or layer.data is self._own:
            return
        if self._quiet:
            self._own = layer.data
            return
        given = layer.data
        with self.quietly():
            layer.data = self._own
            self._frame.place(layer)
        try:
            put_in(layer, given)
        except SessionError as error:
            tell(error)
        layer.refresh()

    def _look_through(self) -> None:
        """Compare the whole layer with what is known."""
        window = tuple(slice(0, length) for length in self._frame.grid.lengths)
        assert self._layer is not None
        own = full_size(self._layer)
        if isinstance(own, SparseLabels):
            size = own.nbytes // own.dtype.itemsize
            self._scan.begin(self._tiles(), size, all_there_is=True)
        else:
            self._scan.begin(windows_of(window), size_of(window), all_there_is=True)

    def _tiles(self) -> Iterator[Window]:
        """Yield the windows in which there are labels, or are known to be."""
        assert self._layer is not None
        axes = [axis for axis in range(self._layer.ndim) if axis not in self._frame.spatial_axes]
        known, found = self._labels(), set()
        for plane in known.planes:
            found |= {(*plane, *box) for box in _boxes_of(known, plane)}
        own = full_size(self._layer)
        for at in own.planes:
            place = dict(zip(axes, at, strict=True))
            plane = tuple(place[axis] for axis in self._frame.places[:-2])
            found |= {(*plane, *box) for box in _boxes_of(own, at)}
        for *plane, top, left, bottom, right in sorted(found):
            yield (*(slice(at, at + 1) for at in plane), slice(top, bottom), slice(left, right))

    def _differs(self, window: Window) -> Window | None:
        """Return the part of a window where the layer shows something else than it should."""
        changed = self._read(window) != self._labels()[window]
        if not changed.any():
            return None
        from napari_pvpu.label_painting import tight_part

        return tuple(
            slice(whole.start + part.start, whole.start + part.stop)
            for whole, part in zip(window, tight_part(changed), strict=True)
        )

    def _labels(self) -> Any:
        return None if self.stroking or self._by_mouse else self.known()


def _boxes_of(labels: SparseLabels, plane: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    for top, left, tile in labels.tiles(plane):
        yield top, left, top + tile.shape[0], left + tile.shape[1]
