"""A window kept from being drawn for a moment, because what it shows is about to change.

A drawing of the window takes longer than a quick answer, and the answer takes several times as long
beside it, because both need Python's lock and the processor. So the drawing waits for the answer,
and napari does not: events go on, and prompt and mask are drawn in one go.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QCoreApplication, QEvent, QObject

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HeldDrawing"]


class HeldDrawing(QObject):
    """Holds the drawing of one viewer's window.

    Qt collects what is to be drawn and asks the window to do it by an event. While drawing is
    held, that event is put off; what is to be drawn goes on being collected.

    Parameters
    ----------
    viewer : callable
        Returns the viewer, or None when it is gone. Neither it nor its window is kept alive.
    """

    def __init__(self, viewer: Callable[[], Any]) -> None:
        super().__init__()
        self._viewer = viewer
        self._window: Callable[[], QObject | None] = _nothing
        self._held = self._put_off = False

    def hold(self, on: bool) -> None:
        """Draw no more; or, with False, what has come up since, and all from now on.

        Between two times of holding what has come up is always drawn, however soon the second is.
        """
        if on and self._window() is None:
            window = getattr(self._viewer(), "window", None)  # a viewer model has none
            if window is not None:
                self._begin(window.main_menu.window())
        elif not on and self._held:
            self._held = False
            window = self._window()
            if not self._put_off:
                self._leave()
            elif window is not None:
                with suppress(RuntimeError):  # Qt has deleted it
                    QCoreApplication.postEvent(window, QEvent(QEvent.Type.UpdateRequest))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Put off what has the window drawn."""
        if event is None or event.type() != QEvent.Type.UpdateRequest:
            return False
        if not self._held:
            self._leave()
        self._put_off = self._held
        return self._held

    def _begin(self, window: QObject) -> None:
        self._window = weakref.ref(window)
        window.installEventFilter(self)
        self._held, self._put_off = True, False

    def _leave(self) -> None:
        window, self._window = self._window(), _nothing
        if window is not None:
            with suppress(RuntimeError):
                window.removeEventFilter(self)


def _nothing() -> None:
    return None
