"""A layer looked through for pixels that are not what they should be, while napari goes on.

Of what is written into a layer's data from the console napari tells nothing but that the layer is
drawn anew. So everything is compared then, a few milliseconds at a time where there is much.
"""

from __future__ import annotations

import time
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Window = tuple[slice, ...]

__all__ = ["LabelScan", "joined", "size_of", "windows_of"]

BLOCK = 2**20
"""Pixels that are compared in one go."""

AT_ONCE = 2**24
"""Pixels that are looked through without a pause: they take some ten milliseconds."""

MOST_JOINED = 2**26
"""Pixels of a window up to which what was found in different places is told of as one."""

SPELL = 0.008
"""Seconds for which pixels are compared before napari has its turn."""

BLOCKED_MS = 50
"""How often it is tried again as long as nothing can be compared."""


def windows_of(window: Window) -> Iterator[Window]:
    """Yield a window in pieces of about `BLOCK` pixels, whole rows of the last axis each.

    Examples
    --------
    >>> list(windows_of((slice(0, 2), slice(5, 7), slice(0, 2**20))))[:2]
    ... # doctest: +NORMALIZE_WHITESPACE
    [(slice(0, 1, None), slice(5, 6, None), slice(0, 1048576, None)),
     (slice(0, 1, None), slice(6, 7, None), slice(0, 1048576, None))]
    """
    pieces: list[list[slice]] = []
    left = BLOCK
    for axis, part in reversed([*enumerate(window)]):
        length = max(part.stop - part.start, 1)
        step = length if axis == len(window) - 1 else max(min(left, length), 1)
        starts = range(part.start, part.stop, step)
        pieces.insert(0, [slice(start, min(start + step, part.stop)) for start in starts])
        left //= length
    yield from product(*pieces)


def joined(one: Sequence[slice], other: Sequence[slice]) -> Window:
    """Return the least window that holds two."""
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )


def size_of(window: Iterable[slice]) -> int:
    """Return how many pixels a window has."""
    return prod(part.stop - part.start for part in window)


class LabelScan(QObject):
    """Compares windows of a layer, one after the other, with what is known of them.

    Parameters
    ----------
    compare : callable
        Returns the part of a window where the two differ; None if they do not.
    ready : callable
        Tells whether they can be compared now; if not, it is tried again later.
    """

    ended = Signal()
    """All has been looked at, and something was found; see `take`."""

    def __init__(
        self, compare: Callable[[Window], Window | None], ready: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._compare, self._ready = compare, ready
        self._left: list[Iterator[Window]] = []
        self._size = 0
        self._found: list[Window] = []
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._go_on)

    @property
    def pending(self) -> bool:
        """Whether there is something left to be looked at."""
        return bool(self._left)

    def begin(self, windows: Iterable[Window], size: int, *, all_there_is: bool = False) -> None:
        """Look at windows, too; they are asked for one by one.

        Parameters
        ----------
        windows : iterable of tuple of slice
            In the order in which they are looked at.
        size : int
            Pixels in all of them.
        all_there_is : bool
            Whether they hold everything, so that those not looked at yet can be left out.
        """
        if all_there_is:
            self._left.clear()
            self._size = 0
        self._left.append(iter(windows))
        self._size += size
        self._timer.start(0)

    def drop(self) -> None:
        """Look no further, and forget what was found."""
        self._timer.stop()
        self._left.clear()
        self._found.clear()
        self._size = 0

    def finish(self) -> None:
        """Look at the rest now if that can be done at once."""
        if self._size <= AT_ONCE and self._ready():
            self._look(None)

    def take(self) -> Window | None:
        """Return a window with differences; None if there are none left, or not yet.

        It holds all of them, unless they are too far apart.
        """
        if self.pending or not self._found or not self._ready():
            return None
        return self._found.pop(0)

    def _go_on(self) -> None:
        if not self._ready():
            self._timer.setInterval(BLOCKED_MS)
            return
        self._timer.setInterval(0)
        self._look(None if self._size <= AT_ONCE else time.monotonic() + SPELL)
        if self.pending:
            return
        if self._found:
            self.ended.emit()
        if not self._found:
            self._timer.stop()
        else:  # nobody could take it, or there is more
            self._timer.setInterval(BLOCKED_MS)

    def _look(self, end: float | None) -> None:
        while self._left:
            for window in self._left[0]:
                differs = self._compare(window)
                if differs is not None:
                    self._note(differs)
                if end is not None and time.monotonic() > end:
                    return
            self._left.pop(0)
        self._size = 0

    def _note(self, window: Window) -> None:
        whole = joined(self._found[-1], window) if self._found else window
        if self._found and size_of(whole) <= MOST_JOINED:
            self._found[-1] = whole
        else:
            self._found.append(window)
