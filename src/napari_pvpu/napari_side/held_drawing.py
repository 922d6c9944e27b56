"""The canvas kept from being drawn for a moment, because what it shows is about to change.

A drawing takes longer than a quick answer, and the answer takes several times as long beside it,
because both need Python's lock. So the canvas waits for it, and napari does not: everything else
goes on, and prompt and mask are drawn in one go.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtOpenGLWidgets import QOpenGLWidget

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HeldDrawing"]


class HeldDrawing:
    """Holds the drawing of one viewer's canvas.

    Parameters
    ----------
    viewer : callable
        Returns the viewer, or None when it is gone.
    """

    def __init__(self, viewer: Callable[[], Any]) -> None:
        self._viewer = viewer
        self._canvas: QOpenGLWidget | None = None

    def hold(self, on: bool) -> None:
        """Draw the canvas no more; or, with False, what has come up since, and all from now on."""
        if on and self._canvas is None:
            window = getattr(self._viewer(), "window", None)  # a viewer model has none
            if window is not None:
                main = window.main_menu.window()
                self._canvas = main.centralWidget().findChild(QOpenGLWidget)
            if self._canvas is not None:
                self._canvas.setUpdatesEnabled(False)
        elif not on and self._canvas is not None:
            canvas, self._canvas = self._canvas, None
            with suppress(RuntimeError):  # Qt has deleted it with its window
                canvas.setUpdatesEnabled(True)
