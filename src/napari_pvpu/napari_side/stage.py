"""Which image of a viewer is worked on, from the beginning to the end of it."""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from napari.layers import Image
from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side.collector import CollectorPause
from napari_pvpu.napari_side.engine import Engine, trouble_with
from napari_pvpu.napari_side.held_drawing import HeldDrawing
from napari_pvpu.napari_side.preferences import preferred
from napari_pvpu.napari_side.telling import sentence
from napari_pvpu.napari_side.worker import Worker
from napari_pvpu.napari_side.workspace import Workspace
from napari_pvpu.torch_libraries import load_libraries_ahead

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_pvpu.napari_side.journaling import Opened

__all__ = ["Stage"]


class Stage(QObject):
    """Follows the layers of one viewer and keeps a workspace for each image worked on.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Kept weakly: nothing in here ever keeps a viewer alive.
    """

    changed = Signal()
    came_on = Signal(object)
    """A `Workspace` has come on."""
    results_made = Signal(object)
    """A layer of accepted objects has been made."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self._waits = 0
        self._worker = Worker()
        self._worker.busy_changed.connect(self.changed)
        self._held_drawing = HeldDrawing(self._viewer)
        self._worker.expecting.connect(self._held_drawing.hold)
        chosen = preferred()
        self._engine = Engine(chosen.model, chosen.device, chosen.precision, chosen.keep_features)
        self._workspaces: dict[Image, Workspace] = {}
        self._workspace: Workspace | None = None
        self._openers: WeakKeyDictionary[Image, Callable[[], Callable[..., Opened]]]
        self._openers = WeakKeyDictionary()
        self.panels: WeakSet[Any] = WeakSet()
        """Panels of this viewer; with the last one, work in it ends."""
        self._open = self._arranging = self._settling = False
        this = weakref.ref(self)
        self._collector = CollectorPause(lambda: (stage := this()) is None or not stage.busy)
        self._told: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the layers of the viewer are being followed."""
        return self._open

    def open(self) -> None:
        """Start to work in the viewer, or go on after `close`."""
        viewer = self._viewer()
        if self._open or viewer is None:
            return
        self._open = True
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.renamed.connect(self._on_layers)
        viewer.layers.selection.events.active.connect(self._on_changed)
        viewer.dims.events.ndisplay.connect(self._settle)
        if not self._settling:
            self._settle()

    def open_first(self) -> None:
        """Do as `open`, but leave the viewer's layers alone until `settle` is called, soon."""
        if not self._open:
            self._settling = True
            if self.images:
                self._collector.begin()
                load_libraries_ahead()  # while the panel is made
        self.open()

    def settle(self) -> None:
        """Look at the viewer's layers now, if that is still to be done."""
        if self._settling:
            self._settle()

    def close(self) -> None:
        """Stop: no thread, no callback and no working layer is left behind.

        Accepted objects stay in their layers; sessions are kept, so that `open` goes on where
        this left off.
        """
        if not self._open:
            return
        self._open = self._settling = False
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.inserted.disconnect(self._on_layers)
            viewer.layers.events.removed.disconnect(self._on_removed)
            viewer.layers.events.renamed.disconnect(self._on_layers)
            viewer.layers.selection.events.active.disconnect(self._on_changed)
            viewer.dims.events.ndisplay.disconnect(self._settle)
        self._activate(None)
        self._worker.stop()
        self._collector.end()
        self.changed.emit()

    def end(self) -> None:
        """Do as `close`, and let go of the sessions: their files are closed."""
        self.close()
        for workspace in self._workspaces.values():
            workspace.discard()
        self._workspaces.clear()

    # What there is

    @property
    def viewer(self) -> Viewer | None:
        """The viewer, None when it is gone."""
        return self._viewer()

    @property
    def images(self) -> list[Image]:
        """Image layers of the viewer, from the bottom up."""
        viewer = self._viewer()
        layers = viewer.layers if viewer is not None else ()
        ours = {layer for work in self._workspaces.values() for layer in work.overlays.layers}
        return [layer for layer in layers if isinstance(layer, Image) and layer not in ours]

    @property
    def image(self) -> Image | None:
        """The image layer at work; set it to work on another."""
        return self._workspace.image if self._workspace is not None else None

    @image.setter
    def image(self, image: Image) -> None:
        image = getattr(image, "__wrapped__", image)  # napari hands plugins proxies
        trouble = trouble_with(image) or self._trouble_with_display()
        if trouble is None and image not in self.images:
            trouble = ImageError(f"“{image.name}” is not in this viewer; add it first")
        if trouble is None:
            self._activate(image)
        else:
            show_warning(sentence(trouble))
        self.changed.emit()

    @property
    def engine(self) -> Engine:
        """Model and device in use; opens sessions."""
        return self._engine

    @property
    def workspace(self) -> Workspace | None:
        """What belongs to the image at work."""
        return self._workspace

    @property
    def busy(self) -> bool:
        """Whether anything is under way that will change what is shown."""
        filling = self._workspace is not None and self._workspace.filling
        return self._worker.busy or self._settling or filling

    def wait(self, seconds: float = 60.0) -> bool:
        """Let napari go on until everything asked for is answered.

        Returns
        -------
        bool
            False if it took longer than `seconds`.
        """
        end = time.monotonic() + seconds
        self._waits += 1
        try:
            while self.busy and time.monotonic() < end:
                QApplication.processEvents()
                time.sleep(0.001)
        finally:
            self._waits -= 1
        return not self.busy

    @property
    def waiting(self) -> bool:
        """Whether somebody is in `wait`."""
        return self._waits > 0

    @property
    def loading(self) -> bool:
        """Whether model or image are being made ready."""
        return self._worker.busy and self._workspace is not None and self._workspace.session is None

    @property
    def trouble(self) -> Exception | None:
        """Why nothing can be segmented now; None if something can, or if there is no image."""
        if self._workspace is not None:
            return self._workspace.trouble
        images = self.images
        if not images:
            return None
        return self._trouble_with_display() or trouble_with(images[-1])

    @property
    def model(self) -> str:
        """Name of the model, or the path of its weights; set it to load another."""
        return self._engine.model

    @model.setter
    def model(self, model: str) -> None:
        if model != self._engine.model:
            self._restart(replace(self._engine, model=model, _segmenter=None))

    @property
    def device(self) -> str:
        """Device in use, or the one asked for until the model is loaded; set it to move."""
        return self._engine.device_name

    @device.setter
    def device(self, device: str) -> None:
        if device != self._engine.device:
            self._restart(replace(self._engine, device=device, _segmenter=None))

    def exchange(
        self, old: Image | None, new: Image, opener: Callable[[], Callable[..., Opened]]
    ) -> None:
        """Work on an image in place of another, which goes with its objects; nothing is told.

        Parameters
        ----------
        old : Image or None
            One of the viewer's; its session is let go of.
        new : Image
            Not in the viewer yet.
        opener : callable
            Returns what opens the session of `new`, see `SessionKeeper.opener`.
        """
        viewer = self._viewer()
        if viewer is None:
            return
        self._openers[new] = opener
        self._activate(None)
        gone = self._workspaces.pop(old, None) if old is not None else None
        results = gone.results.layer if gone is not None and gone.results is not None else None
        if gone is not None:
            gone.discard()
        self._arranging = True
        try:
            # As a rule the new one first, so that there is always something to draw. But napari
            # complains of layers of other units beside each other.
            alike = old is None or _alike(old, new)
            if alike:
                viewer.add_layer(new)
            with viewer.layers.batched_update():
                for layer in (old, results):
                    if layer is not None and layer in viewer.layers:
                        viewer.layers.remove(layer)
            if not alike:
                viewer.add_layer(new)
        finally:
            self._arranging = False
        self.image = new

    # Following the viewer

    def _activate(self, image: Image | None) -> None:
        """Show the workspace of this image and no other."""
        viewer, old = self._viewer(), self._workspace
        if old is not None and old.image is image and old.shown:
            return
        self._arranging = True
        try:
            if old is not None:
                old.hide()
                old.changed.disconnect(self.changed)
            self._workspace = None
            if image is None or viewer is None:
                return
            if image not in self._workspaces:
                made = Workspace(viewer, image, self._engine, self._worker)
                made.outgrown.connect(self._replace)
                made.results_made.connect(self.results_made)
                if image in self._openers:
                    made.keeper.opener = self._openers[image]()
                self._workspaces[image] = made
            self._workspace = workspace = self._workspaces[image]
            workspace.changed.connect(self.changed)
            workspace.show()
        finally:
            self._arranging = False
        self.came_on.emit(workspace)

    def _restart(self, engine: Engine) -> None:
        """Go on with another model or device, in sessions with the same objects."""
        image = self.image
        if self._workspace is not None:
            self._workspace.take_paint()
        self._activate(None)
        self._worker.stop()
        self._engine = engine
        for workspace in self._workspaces.values():
            workspace.change_engine(engine)
        if image is not None:
            self._activate(image)
        self.changed.emit()

    def _replace(self) -> None:
        """Begin anew with an image that has become one of other axes."""
        image, old = self.image, self._workspace
        if image is None or old is None:
            return
        self._activate(None)
        self._workspaces.pop(image).discard()
        self._settle()

    def _settle(self, event: Any = None) -> None:
        """Work on the image at work if it is still there, else on the first that will do."""
        self._settling = False
        viewer = self._viewer()
        if not self._open or viewer is None:
            return
        self._drop_removed(viewer)
        images = [] if self._trouble_with_display() else self.images
        usable = [image for image in images if trouble_with(image) is None]
        if self.image not in usable:
            if usable:
                load_libraries_ahead()  # while napari makes the layers
            self._activate(usable[0] if usable else None)
        self._tell_trouble()
        self.changed.emit()

    def _drop_removed(self, viewer: Viewer) -> None:
        for image in [image for image in self._workspaces if image not in viewer.layers]:
            gone = self._workspaces.pop(image)
            if gone is self._workspace:
                if len(viewer.layers):  # none is left when the viewer has been closed
                    show_warning(
                        f"“{image.name}” was removed, and with it the session; accepted objects "
                        "stay in their layer."
                    )
                self._activate(None)
            gone.discard()
        if self._workspace is not None:
            self._arranging = True
            try:
                restored = self._workspace.restore()
            finally:
                self._arranging = False
            if restored:
                self.came_on.emit(self._workspace)

    def _tell_trouble(self) -> None:
        told = str(self.trouble) if self._workspace is None and self.trouble else None
        if told is not None and told != self._told:
            show_warning(told)
        self._told = told

    def _trouble_with_display(self) -> ImageError | None:
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndisplay == 2:
            return None
        return ImageError(
            "Segmentation works in the 2D display; switch back with the 2D/3D button at the "
            "bottom left or Ctrl+Y"
        )

    def _on_changed(self, event: Any = None) -> None:
        self.changed.emit()

    def _on_layers(self, event: Any) -> None:
        """Look at the layers when napari has finished with what it is at."""
        if not self._arranging and not self._settling:
            self._settling = True
            QTimer.singleShot(0, self._settle)

    def _on_removed(self, event: Any) -> None:
        layer, work = event.value, self._workspace
        for workspace in self._workspaces.values():
            if workspace.results is not None and workspace.results.layer is layer:
                workspace.forget_results()
            elif not self._arranging:
                workspace.overlays.forget(layer)
        if work is not None and layer is work.image:
            # At once, because a viewer that is closing gives no other sign.
            self._worker.stop()
        self._on_layers(event)


def _alike(one: Image, other: Image) -> bool:
    """Tell whether two layers have the same units along the axes that they share."""
    return all(a == b for a, b in zip(one.units[::-1], other.units[::-1], strict=False))
