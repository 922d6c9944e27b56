"""What both dock panels do when they come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

from napari_pvpu.napari_side import attach

if TYPE_CHECKING:
    from qtpy.QtGui import QCloseEvent

__all__ = ["Docked"]


class Docked(QWidget):
    """A dock panel around a viewer's controller, which closes with the last of its panels.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Gets a controller, if it has none yet.
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._docked = self._is_shut = False
        self.controller = attach(viewer)
        self.controller.panels.add(self)

    def let_go(self) -> None:
        """Disconnect from all that outlives the panel; called once."""

    def event(self, event: QEvent) -> bool:
        """Notice being taken out of the dock, which is how napari closes a panel."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self._shut()
                self.deleteLater()  # napari leaves it lying about
            self._docked = self.parent() is not None
        return super().event(event)

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
