"""What the user is asked before something is done. napari goes on meanwhile."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

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
    life = _Life(box, lambda: box.clickedButton() is not None)
    box.buttonClicked.connect(
        life.held(partial(_tell, {keep: "keep", take: "overwrite"}, always, answer))
    )
    box.open()  # and not exec, which would hold up whoever called
    return box


def ask_number(
    title: str, text: str, value: int, least: int, most: int, answer: Callable[[int], None]
) -> QInputDialog:
    """Ask for a whole number; `answer` is called with it, or not at all."""
    dialog = QInputDialog(_window())
    dialog.setInputMode(QInputDialog.InputMode.IntInput)
    dialog.setWindowTitle(title)
    dialog.setLabelText(text)
    dialog.setIntRange(least, most)
    dialog.setIntValue(value)
    life = _Life(dialog, lambda: dialog.result() == QDialog.DialogCode.Accepted)
    dialog.intValueSelected.connect(life.held(answer))
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


class _Life:
    """Deletes a dialog once it is closed and its answer, if there is one, has been acted on.

    Acting on an answer may wait for another one, and let Qt go on meanwhile: a dialog that Qt is
    to delete when it is closed would be gone before it has told of its answer, and the program
    with it. One without a window to belong to is kept from Python's hands by its connection here.

    Parameters
    ----------
    dialog : QDialog
        Not open yet.
    is_answered : callable
        Whether the dialog, as it was just closed, tells of an answer.
    """

    def __init__(self, dialog: QDialog, is_answered: Callable[[], bool]) -> None:
        self._dialog, self._is_answered = dialog, is_answered
        self._closed = self._acted = False
        dialog.finished.connect(self._on_finished)

    def held(self, act: Callable[..., None]) -> Callable[..., None]:
        """Return what acts on the answer, and deletes the dialog afterwards."""

        def act_and_go(*arguments: object) -> None:
            try:
                act(*arguments)
            finally:
                self._acted = True
                if self._closed:
                    self._go()

        return act_and_go

    def _on_finished(self, code: int) -> None:
        # Whether Qt tells of the answer before or after this differs from dialog to dialog.
        self._closed = True
        if self._acted or not self._is_answered():
            self._go()

    def _go(self) -> None:
        with suppress(RuntimeError):  # it has gone with its window
            self._dialog.deleteLater()


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
