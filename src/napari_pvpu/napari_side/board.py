"""The layers of one image, its session, and the plane of it that the viewer shows."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QApplication

from napari_pvpu.napari_side.conversation import Conversation
from napari_pvpu.napari_side.engine import Engine, Look
from napari_pvpu.napari_side.frame import Frame
from napari_pvpu.napari_side.result_layers import BoxesOf, Results
from napari_pvpu.napari_side.session_keeper import SessionKeeper
from napari_pvpu.napari_side.work_layers import WorkLayers

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_pvpu.errors import PvpuError
    from napari_pvpu.napari_side.journaling import Earlier
    from napari_pvpu.napari_side.worker import Worker
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane
    from napari_pvpu.session import Session

    Prompts = tuple[Prompt, ...]

__all__ = ["Board"]

TRANSFORM_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")
NO_PLANE = (
    "What the viewer shows here is no plane of the image: show it in 2-D, with two of its axes, no "
    "channels, on the canvas, and move the sliders to where it is."
)


class Board(QObject):
    """Layers and session of one image; `Workspace` adds what can be done with them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Kept weakly.
    image : napari.layers.Image
        It is never changed.
    engine : Engine
        Opens the session, in the worker.
    worker : Worker
        Runs what takes time.
    look : Look, optional
        How the image is to be seen.

    Raises
    ------
    ImageError
        If the image's axes cannot be told.
    """

    changed = Signal()
    edited = Signal()
    """The user has drawn, moved or deleted a prompt."""
    came_on = Signal()
    """The layers are in the viewer."""
    image_changed = Signal()
    """The image has been given other data."""
    results_made = Signal(object)

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        engine: Engine,
        worker: Worker,
        look: Look | None = None,
    ) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self.image = image
        self.look = look or Look()
        self.frame = Frame(image, self.look.axes)
        self._worker = worker
        self.keeper = SessionKeeper(engine, worker)
        self.conversation = Conversation(worker)
        self.trouble: PvpuError | None = None
        self.shown = self._results_gone = False
        self.on_plane = True
        """Whether the viewer shows a plane of the image."""
        self._travelling = False
        self._session_plane: Plane = self.frame.plane
        self._seen = 0
        self._known_change: object = None
        self.over = WorkLayers(viewer, self.frame, self.edited.emit)
        self.prompts, self.preview = self.over.prompts, self.over.preview
        self.painting, self.overlays = self.over.painting, self.over.overlays
        self.results: Results | None = None

    @property
    def session(self) -> Session | None:
        """The session, None as long as it is not open."""
        return self.keeper.session

    @property
    def earlier(self) -> Earlier | None:
        """A session of this image that was left before and may be resumed."""
        return self.keeper.earlier

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The working layers, from the bottom up; the accepted objects' layer is not among them."""
        return self.over.layers

    # On and off the screen

    def show(self) -> None:
        """Put the layers into the viewer and open the session if there is none yet."""
        viewer = self._viewer()
        if viewer is None or self.shown:
            return
        if self.results is None:
            self._add_results()
        self.match()
        self.over.add_to(viewer)
        self.shown = True
        for name in TRANSFORM_EVENTS:
            getattr(self.image.events, name).connect(self.match)
        self.image.events.data.connect(self._on_new_data)
        viewer.scene.camera.events.zoom.connect(self._fit_to_zoom)
        for name in ("point", "order", "ndim"):
            getattr(viewer.dims.events, name).connect(self.follow_view)
        self._fit_to_zoom()
        self.follow_view()
        self.came_on.emit()

    def hide(self) -> None:
        """Take the working layers out of the viewer; everything is kept for `show`."""
        if not self.shown:
            return
        self.shown = False
        for name in TRANSFORM_EVENTS:
            getattr(self.image.events, name).disconnect(self.match)
        self.image.events.data.disconnect(self._on_new_data)
        viewer = self._viewer()
        if viewer is None:
            return
        viewer.scene.camera.events.zoom.disconnect(self._fit_to_zoom)
        for name in ("point", "order", "ndim"):
            getattr(viewer.dims.events, name).disconnect(self.follow_view)
        self.over.take_from(viewer)

    def discard(self) -> None:
        """Hide for good."""
        self.hide()
        self.end_session()
        self.prompts.disconnect()

    def end_session(self) -> None:
        """Let go of the session; its file is closed."""
        self.conversation.drop()
        self.conversation.session = None
        self.keeper.end()

    def forget_results(self) -> None:
        """Note that the user has deleted the layer of accepted objects."""
        self.results, self._results_gone = None, True

    def restore(self) -> bool:
        """Put layers of ours back that the user has deleted; False if none was missing."""
        viewer = self._viewer()
        if viewer is None or not self.shown:
            return False
        restored = self.over.restore(viewer)
        if not self._results_gone:
            return restored
        self._results_gone = False
        self._add_results()
        self.refresh()
        results, session = self.results, self.session
        if results is not None and session is not None and session.objects:
            show_info(f"Accepted objects are in “{results.layer.name}”, which was put back.")
        return True

    def _on_new_data(self, event: Any) -> None:
        self.image_changed.emit()

    def _fit_to_zoom(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self.prompts.fit_to_zoom(viewer)

    def hint_at_zoom(self) -> None:
        """Tell the session how much of the image is seen."""
        viewer = self._viewer()
        if viewer is not None and self.session is not None:
            self.session.canvas_extent = self.frame.visible_extent(viewer)

    def match(self, event: Any = None) -> None:
        """Follow the image's transform."""
        if self.image.ndim != self.frame.ndim:
            return  # it is just being given other data
        self.over.match()
        if self.results is not None:
            self.results.match()

    # Planes

    def follow_view(self, event: Any = None) -> None:
        """Work on the plane that the viewer shows."""
        viewer = self._viewer()
        if viewer is None or self._travelling or self.image not in viewer.layers:
            return
        if self.image.ndim != self.frame.ndim:
            return  # the image is just being given other data
        plane = self.frame.shown_plane(viewer)
        moved = plane is not None and plane != self.frame.plane
        if moved:
            assert plane is not None
            self.prompts.finish_drawing()
            self.painting.flush()
            self.frame.plane = plane
        if moved or self.on_plane != (plane is not None):
            self.on_plane = plane is not None
            self.refresh()

    def travel(self, plane: Plane) -> None:
        """Show another plane."""
        viewer = self._viewer()
        if plane == self.frame.plane or viewer is None:
            return
        self.prompts.finish_drawing()
        self.painting.flush()
        self._travelling = True
        try:
            self.frame.show_plane(viewer, plane)
        finally:
            self._travelling = False
        self.frame.plane, self.on_plane = plane, True

    def sync_plane(self, *, asking: bool = True) -> bool:
        """Have the session work on the plane that is shown.

        Parameters
        ----------
        asking : bool
            Ask the worker if it is needed.

        Returns
        -------
        bool
            False if the worker has to look at the object there first; the plane is gone to when
            it has answered.
        """
        session, plane = self.session, self.frame.plane
        if session is None or session.plane == plane:
            return True
        if session.lacks_propagation(plane):
            if asking and not self.conversation.waits_in(plane):
                self.conversation.ask_again(plane)
            return False
        if session.last_change is not self._known_change:
            self._catch_up()
        known = len(session.operations)
        self._tell_spacing(session)
        session.plane = plane
        self._session_plane = session.plane
        self._seen += len(session.operations) - known
        self._known_change = session.last_change
        return True

    def _tell_spacing(self, session: Session) -> None:
        """Tell the session how far planes are apart, by which sections across them are seen."""
        if self.frame.across:
            session.spacing = self.frame.spacing

    def be_on_plane(self) -> bool:
        """Do as `sync_plane`, and let napari go on until the worker has answered.

        Returns
        -------
        bool
            False if there was no answer, of which the user has been told.
        """
        while not self.sync_plane():
            plane = self.frame.plane
            while self.conversation.waits_in(plane):
                QApplication.processEvents()
                time.sleep(0.001)
            session = self.session
            if session is not None and session.lacks_propagation(plane):
                return False
        return True

    # Showing

    @property
    def latest(self) -> Prompts:
        """The prompts of the plane at work as the user last left them."""
        return self.conversation.latest(self.frame.plane)

    def follow(self) -> None:
        """Show what has been done to the session behind our back, from the console."""
        if self.session is not None and self.session.last_change is not self._known_change:
            self.conversation.drop()
            if self.session.plane != self._session_plane:
                self.travel(self.session.plane)
            self.refresh()

    def refresh(self, *, asking: bool = True) -> None:
        """Bring all layers to the session's state; see `sync_plane` for `asking`."""
        session = self.session
        if session is not None:
            self._catch_up()
            if session.prompts_in(self.frame.plane):
                self.sync_plane(asking=asking)
            self._show_object(session)
        if self.prompts.read() != self.latest:
            self.prompts.write(self.latest)
        self.changed.emit()

    def _show_object(self, session: Session) -> None:
        """Show the object at work in the plane at work."""
        here = session.plane == self.frame.plane
        if here:
            region = session.region
            self.preview.show(region.mask, region.row, region.col)
        else:
            self.preview.clear()
        self.overlays.update(self._viewer(), session if here else None)

    def turn_overlay(self, name: str, on: bool) -> None:
        """Show one of `OVERLAYS`, or hide it."""
        viewer = self._viewer()
        if viewer is not None:
            self.overlays.turn(viewer, name, on)
            self.refresh()

    def _catch_up(self) -> None:
        """Write into the layer of accepted objects what has changed since it was written last."""
        session = self.session
        assert session is not None
        count, change = len(session.operations), session.last_change
        objects = session.objects
        if self.results is None and objects:
            self._add_results()
        if self.results is not None and count != self._seen:
            single = count - self._seen == 1
            self.results.update(session.labels, BoxesOf(objects), change if single else None)
        self._seen, self._known_change = count, change
        self._session_plane = session.plane

    def _add_results(self) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        self.results = Results(self.frame)
        self._seen = -1  # so that everything is looked at
        self.results_made.emit(self.results.layer)
        above = viewer.layers.index(self.image) + 1 if self.image in viewer.layers else None
        viewer.layers.insert(len(viewer.layers) if above is None else above, self.results.layer)
