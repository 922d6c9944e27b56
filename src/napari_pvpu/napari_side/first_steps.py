"""The three gestures that are needed most, ticked off as somebody does them for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_pvpu.samples import coins

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["STEPS", "FirstSteps"]

STEPS = (
    ("mark", "Click on an object: its outline appears."),
    ("correct", "Click what is missing; Shift+click what is too much."),
    ("keep", "Press {accept}: the object is kept."),
)
"""Names of the gestures, and what is said of them."""
PREFERENCE = "first_steps"


class FirstSteps(QObject):
    """Which of the gestures have been made; forgotten when they are not to be shown any more.

    Parameters
    ----------
    controller : Controller
        Watched as it changes.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._kept = self._objects()
        self.done: set[str] = set()
        """Names of the gestures that were made."""

    @property
    def shown(self) -> bool:
        """Whether to teach: until it was refused once, in any viewer."""
        return bool(self._controller.preferences.get(PREFERENCE))

    @property
    def finished(self) -> bool:
        """Whether all gestures were made."""
        return len(self.done) == len(STEPS)

    def look(self) -> None:
        """Tick off what has been done."""
        work, kept = self._controller.workspace, self._objects()
        if work is not None and work.has_object:
            self.done.add("mark")
            if len(work.latest) > 1:
                self.done.add("correct")
        if kept > self._kept:
            self.done.add("keep")
        self._kept = kept

    def dismiss(self) -> None:
        """Do not show them any more, for good; the preferences page brings them back."""
        self._controller.preferences.set(PREFERENCE, False)
        self._controller.changed.emit()

    def open_sample(self) -> None:
        """Open the picture of the coins, and work on it."""
        viewer = self._controller.viewer
        if viewer is not None:
            for pixels, about, _ in coins():
                layer = viewer.add_image(pixels, **about)
                viewer.reset_view()
                self._controller.image = layer

    def _objects(self) -> int:
        work = self._controller.workspace
        return work.object_count if work is not None else 0
