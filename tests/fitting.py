"""Whether what a panel says can be read in full."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel, QPushButton, QWidget


def assert_fits(panel: QWidget) -> None:
    """Raise AssertionError where a button or a label that is to be seen is cut off.

    A window lays out what is new in several rounds of its event loop, however long each of them
    takes, so wait until this holds.
    """
    for widget in (*panel.findChildren(QPushButton), *panel.findChildren(QLabel)):
        elided = isinstance(widget, QLabel) and (widget.wordWrap() or hasattr(widget, "elideMode"))
        if widget.isVisible() and not elided:
            assert widget.width() >= widget.minimumSizeHint().width(), widget.text()
