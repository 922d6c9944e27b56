"""What both dock panels do when they come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QWidget

from napari_pvpu.napari_side import controller_of

if TYPE_CHECKING:
    from qtpy.QtGui import QCloseEvent

__all__ = ["Docked"]

LATEST_MS = 300
"""When the layers are looked at in any case, should the panel be behind another one."""


class Docked(QWidget):
    """A dock panel around a viewer's controller, which closes with the last of its panels.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Gets a controller, if it has none yet.
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._docked = self._is_shut = self._is_drawn = False
        self.controller = controller_of(viewer)
        self.controller.open_first()
        self.controller.panels.add(self)
        QTimer.singleShot(0, self._expect_drawing)

    def let_go(self) -> None:
        """Disconnect from all that outlives the panel; called once."""

    def event(self, event: QEvent) -> bool:
        """Notice being taken out of the dock, which is how napari closes a panel."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self._shut()
                self.deleteLater()  # napari leaves it lying about
            self._docked = self.parent() is not None
        elif event.type() == QEvent.Type.Paint and not self._is_drawn:
            self._is_drawn = True
            QTimer.singleShot(0, self._settle)
        return super().event(event)

    def _expect_drawing(self) -> None:
        """Have layers made after the panel is drawn: napari takes longer for them than we do."""
        if self.window().isVisible():
            QTimer.singleShot(LATEST_MS, self._settle)
        else:
            self._settle()

    def _settle(self) -> None:
        if not self._is_shut:
            self.controller.settle()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._shut()
        super().closeEvent(event)

    def _shut(self) -> None:
        if self._is_shut:
            return
        self._is_shut = True
        self.let_go()
        self.controller.panels.discard(self)
        if not self.controller.panels:  # another one goes on
            self.controller.close()
