"""What the user is asked before something is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMessageBox

if TYPE_CHECKING:
    from napari_pvpu.errors import OverlapError

__all__ = ["ask_overlap"]


def ask_overlap(error: OverlapError) -> str | None:
    """Ask whose the pixels are that two objects claim; None to let things be."""
    count = sum(error.contested.values())
    owners = ", ".join(map(str, error.contested))
    box = QMessageBox()
    box.setWindowTitle("Whose pixels?")
    box.setText(f"{count} pixels of this object belong to others already ({owners}).")
    keep = box.addButton("Leave them to the others", QMessageBox.ButtonRole.AcceptRole)
    take = box.addButton("Take them", QMessageBox.ButtonRole.AcceptRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.exec()
    clicked = box.clickedButton()
    return "keep" if clicked is keep else "overwrite" if clicked is take else None
