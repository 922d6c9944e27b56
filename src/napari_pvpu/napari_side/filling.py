"""Many objects shown at once, a few milliseconds at a time, so that napari stays alive."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari.layers import Labels

    from napari_pvpu.records import PixelBox, Plane

__all__ = ["MANY", "Filling"]

MANY = 100
"""Boxes from which on they are not all written at once."""

SPELL = 0.008
"""Seconds for which boxes are written before napari has its turn."""

SHOWN_EVERY = 0.5
"""Seconds after which what has been written so far is drawn."""


class Filling(QObject):
    """Writes boxes of a layer, one after the other, while napari goes on.

    Parameters
    ----------
    layer : napari.layers.Labels
        Drawn anew now and then, and in the end.
    write : callable
        Called with plane and box; puts what is to be there into the data of the layer.
    """

    def __init__(self, layer: Labels, write: Callable[[Plane, PixelBox], None]) -> None:
        super().__init__()
        self._layer, self._write = layer, write
        self._left: deque[Iterator[tuple[Plane, PixelBox]]] = deque()
        self._drawn = 0.0
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._go_on)

    @property
    def busy(self) -> bool:
        """Whether boxes are left."""
        return bool(self._left)

    def begin(self, boxes: Iterable[tuple[Plane, PixelBox]]) -> None:
        """Write these boxes, too, which are asked for one by one."""
        self._left.append(iter(boxes))
        self._layer.editable = False  # what is missing yet would look as if it had been erased
        self._drawn = time.monotonic()
        self._timer.start()

    def _go_on(self) -> None:
        start = time.monotonic()
        while self._left:
            found = next(self._left[0], None)
            if found is None:
                self._left.popleft()
            else:
                self._write(*found)
            if time.monotonic() > start + SPELL:
                break
        if not self._left:
            self._timer.stop()
            self._layer.editable = True
        if not self._left or start > self._drawn + SHOWN_EVERY:
            self._drawn = start
            self._layer.refresh(extent=False, thumbnail=False, highlight=False)
