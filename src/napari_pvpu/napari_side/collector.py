"""Python's collector of cycles, held back while a great deal is made that stays.

The panel, napari's layers and the modules of torch come to hundreds of thousands of objects within
two seconds. The collector would look through all there are again and again meanwhile and find next
to nothing: a third of the time until the panel is ready. One time at the end does, before the first
click rather than in the midst of it.
"""

from __future__ import annotations

import gc
import time
import weakref
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CollectorPause"]

LONGEST = 10.0
"""Seconds after which the collector works again in any case."""

LOOK_MS = 50


class CollectorPause(QObject):
    """Holds the collector of this program back until something is so.

    Parameters
    ----------
    over : callable
        Tells whether what was waited for is so.
    """

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__()
        self._over = over
        self._end: weakref.finalize[[], CollectorPause] | None = None
        self._latest = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)

    def begin(self) -> None:
        """Hold it back; a collector that somebody else has switched off is left alone."""
        if gc.isenabled():
            gc.disable()
            self._end = weakref.finalize(self, gc.enable)
            self._latest = time.monotonic() + LONGEST
            self._timer.start()

    def end(self) -> None:
        """Let it work again."""
        self._timer.stop()
        if self._end is not None:
            self._end()

    def _look(self) -> None:
        if self._over() or time.monotonic() > self._latest:
            self.end()
            gc.collect()
