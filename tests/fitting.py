"""A panel at its narrowest, and whether what it says can be read in full."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QPushButton, QWidget


def narrow(viewer, dock: QDockWidget, width: int, qtbot) -> None:
    """Make a dock so many pixels wide, and wait until it is, which is not at once."""
    viewer.window._qt_window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: dock.width() <= width)


def assert_fits(panel: QWidget) -> None:
    """Raise AssertionError where a button or a label that is to be seen is cut off.

    A window lays out what is new in several rounds of its event loop, however long each of them
    takes, so wait until this holds.
    """
    for widget in (*panel.findChildren(QPushButton), *panel.findChildren(QLabel)):
        elided = isinstance(widget, QLabel) and (widget.wordWrap() or hasattr(widget, "elideMode"))
        if widget.isVisible() and not elided:
            assert widget.width() >= widget.minimumSizeHint().width(), widget.text()
