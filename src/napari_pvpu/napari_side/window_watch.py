"""The window of a viewer being closed, of which napari tells nobody.

`viewer.close()` takes the layers out, which can be seen. The button of the window does not, and
the viewer may live on in a console that holds it.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QTimer, Signal

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["WindowWatch"]


class WindowWatch(QObject):
    """Watches the window of a viewer, if it has one, and keeps neither alive."""

    closed = Signal()
    """It has been closed, and whoever was asked about that has agreed."""

    def __init__(self) -> None:
        super().__init__()
        self._window: weakref.ref[QWidget] | None = None

    def begin(self, viewer: Any) -> None:
        """Watch the window of this viewer."""
        window = getattr(viewer, "window", None)  # a viewer model has none
        if window is not None:
            main = window.main_menu.window()
            main.installEventFilter(self)
            self._window = weakref.ref(main)

    def end(self) -> None:
        """Stop."""
        window, self._window = self._watched, None
        if window is not None:
            window.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look whether the window has gone when it was asked to close."""
        if event.type() == QEvent.Type.Close:
            QTimer.singleShot(0, self._look)
        return False

    def _look(self) -> None:
        window = self._watched
        if window is not None and not window.isVisible():
            self.closed.emit()

    @property
    def _watched(self) -> QWidget | None:
        return self._window() if self._window is not None else None
