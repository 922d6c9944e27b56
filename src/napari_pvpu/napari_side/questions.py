"""What the user is asked before something is done. napari goes on meanwhile."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QDialog,
    QInputDialog,
    QMainWindow,
    QMessageBox,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QAbstractButton

    from napari_pvpu.errors import OverlapError

__all__ = ["ask_number", "ask_overlap"]

MOST_NAMED = 4
"""Objects that a question names."""


def ask_overlap(error: OverlapError, answer: Callable[[str, bool], None]) -> QMessageBox:
    """Ask whose the pixels are that two objects claim.

    Parameters
    ----------
    error : OverlapError
        Tells of the pixels.
    answer : callable
        Called with ``"keep"`` or ``"overwrite"``, and whether that holds from now on; not at all
        if the user lets things be.

    Returns
    -------
    QMessageBox
        Open, in front of napari's window, and deleted when it is closed.
    """
    box = QMessageBox(_window())
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Whose pixels?")
    box.setText(_contested(error))
    keep = box.addButton("Leave them to the others", QMessageBox.ButtonRole.AcceptRole)
    take = box.addButton("Take them", QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(keep)
    box.setEscapeButton(cancel)
    always = QCheckBox("Do so from now on, without asking")
    box.setCheckBox(always)
    box.buttonClicked.connect(partial(_tell, {keep: "keep", take: "overwrite"}, always, answer))
    box.finished.connect(partial(_outlive, box))
    box.open()  # and not exec, which would hold up whoever called
    return box


def ask_number(
    title: str, text: str, value: int, least: int, most: int, answer: Callable[[int], None]
) -> QInputDialog:
    """Ask for a whole number; `answer` is called with it, or not at all."""
    dialog = QInputDialog(_window())
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setInputMode(QInputDialog.InputMode.IntInput)
    dialog.setWindowTitle(title)
    dialog.setLabelText(text)
    dialog.setIntRange(least, most)
    dialog.setIntValue(value)
    dialog.intValueSelected.connect(answer)
    dialog.finished.connect(partial(_outlive, dialog))
    dialog.open()
    return dialog


def _window() -> QWidget | None:
    """Return the window in front of which to ask, by whose theme it is drawn."""
    active = QApplication.activeWindow()
    if active is not None:
        return active
    windows = [each for each in QApplication.topLevelWidgets() if isinstance(each, QMainWindow)]
    shown = [each for each in windows if each.isVisible()]
    return shown[-1] if shown else None


def _outlive(dialog: QDialog, code: int) -> None:
    """Hold a dialog, by being connected to it, until Qt deletes it.

    One without a window to belong to would else go while it is still telling of a button, as soon
    as whoever asked forgets it; and the program with it.
    """


def _contested(error: OverlapError) -> str:
    shares = sorted(error.contested.items(), key=lambda pair: -pair[1])
    named = ", ".join(f"{count} to object {owner}" for owner, count in shares[:MOST_NAMED])
    more = f" and others to {len(shares) - MOST_NAMED} more" if len(shares) > MOST_NAMED else ""
    total = sum(error.contested.values())
    pixels = "1 pixel of this object belongs" if total == 1 else (
        f"{total} pixels of this object belong"
    )  # fmt: skip
    return f"{pixels} to others already: {named}{more}."


def _tell(
    rules: dict[QAbstractButton, str],
    always: QCheckBox,
    answer: Callable[[str, bool], None],
    clicked: QAbstractButton,
) -> None:
    rule = rules.get(clicked)
    if rule is not None:
        answer(rule, always.isChecked())
