"""The actions' keys while the keyboard is with the panel, and the way back to the canvas."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QLineEdit,
    QMainWindow,
    QShortcut,
    QWidget,
)

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["PanelKeys", "focus_canvas"]

BACK = "Escape"
"""Key that leads from the panel to the canvas."""
OWN = ("PageUp", "PageDown", "Home", "End", "Up", "Down", "Left", "Right", "Space", "Delete")
"""Keys that lists, sliders and buttons have a use for themselves."""


class PanelKeys(QObject):
    """Has the keys of actions work in the panel as they do on the canvas.

    Parameters
    ----------
    panel : QWidget
        The keys hold while it, or anything in it, has the keyboard.
    controller : Controller
        Has the actions.
    """

    def __init__(self, panel: QWidget, controller: Controller) -> None:
        super().__init__(panel)
        self._panel, self._controller = panel, controller
        self._keys: list[QShortcut] = []

    def follow(self) -> None:
        """Take the keys as they are now."""
        for key in self._keys:
            key.setEnabled(False)
            key.deleteLater()
        shortcuts = self._controller.shortcuts
        self._keys = [self._key(BACK, partial(focus_canvas, self._panel))]
        for action in shortcuts.defaults:
            key = shortcuts.key(action)
            do = partial(self._act, action, key)
            # Qt tells the two keys apart that are called Enter.
            both = (key, key.replace("Enter", "Return")) if "Enter" in key else (key,)
            self._keys += [self._key(each, do) for each in both if each and each not in OWN]

    def _key(self, key: str, do: partial[None]) -> QShortcut:
        made = QShortcut(QKeySequence(key), self._panel)
        made.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        made.activated.connect(do)
        return made

    def _act(self, action: str, key: str) -> None:
        focus = QApplication.focusWidget()
        if key == "Enter" and isinstance(focus, QLineEdit | QAbstractSpinBox):
            focus.clearFocus()  # which is how a text is said to be finished
            focus.setFocus()
        elif key == "Enter" and isinstance(focus, QAbstractItemView):
            focus.activated.emit(focus.currentIndex())
        else:
            self._controller.in_turn(action)
            if action == "keyboard_cursor":
                focus_canvas(self._panel)


def focus_canvas(part: QWidget) -> None:
    """Give the keyboard to the canvas of the window that a widget is docked in."""
    window = part.window()
    if isinstance(window, QMainWindow):
        canvas = window.centralWidget().findChild(QOpenGLWidget)
        if canvas is not None:
            canvas.setFocus()
