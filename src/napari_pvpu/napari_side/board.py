"""The layers of one image, its session, and the plane of it that the viewer shows."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal

from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side.conversation import Conversation
from napari_pvpu.napari_side.engine import Engine, Look
from napari_pvpu.napari_side.frame import Frame
from napari_pvpu.napari_side.overlay_layers import Overlays
from napari_pvpu.napari_side.prompt_layers import PromptLayers
from napari_pvpu.napari_side.result_layers import Preview, Results
from napari_pvpu.napari_side.session_keeper import SessionKeeper
from napari_pvpu.napari_side.telling import tell, trouble_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_pvpu.errors import PvpuError
    from napari_pvpu.napari_side.journaling import Earlier, Opened
    from napari_pvpu.napari_side.worker import Worker
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane
    from napari_pvpu.session import Session

    Prompts = tuple[Prompt, ...]

__all__ = ["Board"]

TRANSFORM_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")
NO_PLANE = (
    "What the viewer shows here is no plane of the image; move the sliders to one, with its rows "
    "and columns on the canvas."
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
    taken = Signal(object)
    """A session that was `Opened` has been taken to work on."""
    results_made = Signal(object)
    outgrown = Signal()
    """The image has become one of more or fewer axes, for which other layers are needed."""

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
        self.shown = False
        self.on_plane = True
        """Whether the viewer shows a plane of the image."""
        self._travelling = False
        self._session_plane: Plane = self.frame.plane
        self._seen = 0
        self._known_change: object = None
        self.prompts = PromptLayers(viewer, self.frame, self.edited.emit, show_info)
        self.preview = Preview(self.frame)
        self.results: Results | None = None
        self.overlays = Overlays(self.frame, self.preview.layer)
        self.keeper.opened.connect(self._on_opened)
        self.keeper.resumed.connect(self._on_resumed)
        self.keeper.not_opened.connect(self._on_unopened)
        self.keeper.not_resumed.connect(self._on_not_resumed)

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
        clicks, strokes = self.prompts.layers
        return self.preview.layer, strokes, clicks

    # On and off the screen

    def show(self) -> None:
        """Put the layers into the viewer and open the session if there is none yet."""
        viewer = self._viewer()
        if viewer is None or self.shown:
            return
        if self.results is None:
            self._add_results()
        self.match()
        for layer in self.layers:
            viewer.add_layer(layer)
        self.shown = True
        self.overlays.show(viewer)
        for name in TRANSFORM_EVENTS:
            getattr(self.image.events, name).connect(self.match)
        self.image.events.data.connect(self._on_new_image)
        viewer.scene.camera.events.zoom.connect(self._fit_to_zoom)
        for name in ("point", "order", "ndim"):
            getattr(viewer.dims.events, name).connect(self._follow_view)
        self._fit_to_zoom()
        self._follow_view()
        if self.session is None:
            self.open()
        else:
            self.conversation.go_on()

    def hide(self) -> None:
        """Take the working layers out of the viewer; everything is kept for `show`."""
        if not self.shown:
            return
        self.shown = False
        for name in TRANSFORM_EVENTS:
            getattr(self.image.events, name).disconnect(self.match)
        self.image.events.data.disconnect(self._on_new_image)
        viewer = self._viewer()
        if viewer is None:
            return
        viewer.scene.camera.events.zoom.disconnect(self._fit_to_zoom)
        for name in ("point", "order", "ndim"):
            getattr(viewer.dims.events, name).disconnect(self._follow_view)
        self.overlays.hide(viewer)
        here = [layer for layer in self.layers if layer in viewer.layers]
        if here:
            # In one go: napari collects garbage each time, a third of a second with torch loaded.
            with viewer.layers.batched_update():
                for layer in here:
                    viewer.layers.remove(layer)

    def discard(self) -> None:
        """Hide for good."""
        self.hide()
        self.end_session()
        self.prompts.disconnect()

    def forget_results(self) -> None:
        """Note that the user has deleted the layer of accepted objects."""
        self.results = None

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
        self.prompts.match()
        self.preview.match()
        self.overlays.match()
        if self.results is not None:
            self.results.match()

    # The session

    def open(self, labels: Any = None) -> None:
        """Have the worker open the session, and the model if need be.

        `labels` are objects to begin with.
        """
        self.trouble = None
        try:
            self.keeper.open(self.image, self.look, labels)
        except ImageError as error:  # of axes that nobody knows any more
            self._on_unopened(error)
            return
        self.changed.emit()

    def resume(self) -> None:
        """Take up the session that was left before, in place of this one."""
        self.keeper.resume(self.image)
        self.changed.emit()

    def forget_earlier(self) -> None:
        """Do not offer the earlier session any more; its file stays."""
        self.keeper.forget_earlier()
        self.changed.emit()

    def _on_opened(self, opened: Opened) -> None:
        self._take(opened)
        self.conversation.go_on()
        self.changed.emit()

    def _on_resumed(self, opened: Opened) -> None:
        self.end_session()
        session = opened.session
        if (*session.plane_shape, *session.shape) != (*self.frame.plane_shape, *self.frame.shape):
            self.look = replace(self.look, axes=session.source.axes)
            self.frame.read_axes(self.look.axes)
            self.results = None
        self.travel(session.plane)
        self._take(opened)
        self.refresh()
        count = len(session.objects)
        show_info(f"Went on with the earlier session: {count} object{'s' if count != 1 else ''}.")

    def _on_not_resumed(self, error: Exception) -> None:
        tell(error)
        self.changed.emit()

    def _take(self, opened: Opened) -> None:
        session = self.conversation.session = self.keeper.take(opened)
        self._seen, self._known_change = -1, None
        self._session_plane = session.plane
        self.hint_at_zoom()
        self.taken.emit(opened)
        for note in opened.notes:
            show_info(note)

    def end_session(self) -> None:
        """Let go of the session; its file is closed."""
        self.conversation.drop()
        self.conversation.session = None
        self.keeper.end()

    def _on_unopened(self, error: Exception) -> None:
        self.trouble = trouble_of(error)
        tell(error)
        self.changed.emit()

    def _on_new_image(self, event: Any) -> None:
        """Begin anew: the session knows an image that is there no more."""
        show_info(
            f"The image of “{self.image.name}” has changed: segmentation begins afresh. Accepted "
            "objects stay in their layer."
        )
        self.begin_anew()

    def see(self, look: Look) -> None:
        """Look at the image otherwise, which begins another session.

        Accepted objects are taken along if the planes stay the same; else they stay in their
        layer.

        Raises
        ------
        ImageError
            If axes or channels do not fit the image; then nothing has changed.
        """
        frame = Frame(self.image, look.axes)
        frame.check_channels(look.channels)
        if look == self.look:
            return
        same = (frame.axes, self.session is not None) == (self.frame.axes, True)
        self.look = look
        if not same or self.session is None:
            self.begin_anew()
            return
        labels = np.array(self.session.labels) if self.session.objects else None
        self.end_session()
        self.prompts.write(())
        self.preview.clear()
        self.open(labels)

    def begin_anew(self) -> None:
        """Open another session, as the image now is; accepted objects stay in their layer."""
        self.end_session()
        self.results = None
        if self.image.ndim != self.frame.ndim:
            self.outgrown.emit()
            return
        try:
            self.frame.read_axes(self.look.axes)
        except ImageError as error:
            self._on_unopened(error)
            return
        self.prompts.write(())
        self.preview.clear()
        self._follow_view()
        self.open()

    # Planes

    def _follow_view(self, event: Any = None) -> None:
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
        self._travelling = True
        try:
            self.frame.show_plane(viewer, plane)
        finally:
            self._travelling = False
        self.frame.plane, self.on_plane = plane, True

    def sync_plane(self) -> None:
        """Have the session work on the plane that is shown."""
        session = self.session
        if session is None or session.plane == self.frame.plane:
            return
        if session.last_change is not self._known_change:
            self._catch_up()
        session.plane = self.frame.plane
        self._session_plane = session.plane
        self._seen += 1
        self._known_change = session.last_change

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

    def refresh(self) -> None:
        """Bring all layers to the session's state."""
        session = self.session
        if session is not None:
            self._catch_up()
            if session.prompts_in(self.frame.plane):
                self.sync_plane()
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
        if self.results is not None:
            boxes = {object_id: record.boxes for object_id, record in objects.items()}
            single = count - self._seen == 1
            if count != self._seen:
                self.results.update(session.labels, boxes, change if single else None)
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
