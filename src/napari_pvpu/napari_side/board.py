"""The layers of one image, its session, and the plane of it that the viewer shows."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal

from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side import journaling
from napari_pvpu.napari_side.engine import Engine, Look, image_of
from napari_pvpu.napari_side.frame import Frame
from napari_pvpu.napari_side.overlay_layers import Overlays
from napari_pvpu.napari_side.prompt_layers import PromptLayers
from napari_pvpu.napari_side.result_layers import Preview, Results
from napari_pvpu.napari_side.telling import tell, trouble_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_pvpu.errors import JournalError, PvpuError
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
    opened = Signal()
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
        self._engine, self._worker = engine, worker
        self.session: Session | None = None
        self.trouble: PvpuError | None = None
        self.shown = False
        self.on_plane = True
        """Whether the viewer shows a plane of the image."""
        self.earlier: Earlier | None = None
        """A session of this image that was left before and may be resumed."""
        self._ending: Any = None
        self._offers_earlier = True
        self._told_of_journal = self._travelling = False
        self._session_plane: Plane = self.frame.plane
        self._seen = 0
        self._known_change: object = None
        self.prompts = PromptLayers(viewer, self.frame, self._on_edit, show_info)
        self.preview = Preview(self.frame)
        self.results: Results | None = None
        self.overlays = Overlays(self.frame, self.preview.layer)

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
            self._go_on()

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
        self._end_session()
        self.prompts.disconnect()

    def forget_results(self) -> None:
        """Note that the user has deleted the layer of accepted objects."""
        self.results = None

    def _fit_to_zoom(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self.prompts.fit_to_zoom(viewer)

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
            settings = self.look.settings(self.image)
        except ImageError as error:  # of axes that nobody knows any more
            self._on_unopened(error)
            return
        work = partial(
            journaling.open_kept, self._engine, image_of(self.image),
            {"labels": labels, **settings}, journaling.sessions_folder(), self._on_journal_trouble,
        )  # fmt: skip
        self._worker.submit("open", work, self._on_opened, self._on_unopened)
        self.changed.emit()

    def resume(self) -> None:
        """Take up the session that was left before, in place of this one."""
        earlier, self.earlier = self.earlier, None
        if earlier is not None:
            work = partial(
                journaling.resume, self._engine, image_of(self.image), earlier.path,
                self._on_journal_trouble,
            )  # fmt: skip
            self._worker.submit("open", work, self._on_resumed, self._on_not_resumed)
        self.changed.emit()

    def forget_earlier(self) -> None:
        """Do not offer the earlier session any more; its file stays."""
        self.earlier = None
        self.changed.emit()

    def _on_resumed(self, opened: Opened) -> None:
        self._end_session()
        session = opened.session
        if (*session.plane_shape, *session.shape) != (*self.frame.plane_shape, *self.frame.shape):
            self.look = replace(self.look, axes=session.source.axes)
            self.frame.read_axes(self.look.axes)
            self.results = None
        self.travel(session.plane)
        self._take_session(opened)
        self.refresh()
        count = len(session.objects)
        show_info(f"Went on with the earlier session: {count} object{'s' if count != 1 else ''}.")

    def _on_not_resumed(self, error: Exception) -> None:
        tell(error)
        self.changed.emit()

    def _on_journal_trouble(self, error: JournalError) -> None:
        if not self._told_of_journal:
            self._told_of_journal = True
            tell(error)

    def _end_session(self) -> None:
        """Let go of the session; its file is closed."""
        self._drop_asked()
        self.session = None
        if self._ending is not None:
            self._ending()
            self._ending = None

    def _on_opened(self, opened: Opened) -> None:
        self.earlier = opened.earlier if self._offers_earlier else None
        self._offers_earlier = True
        if opened.trouble is not None:
            self._on_journal_trouble(opened.trouble)
        self._take_session(opened)

    def _take_session(self, opened: Opened) -> None:
        session = opened.session
        self.session = session
        # Also when all of this is forgotten, or the program ends.
        self._ending = weakref.finalize(self, journaling.end_journal, session)
        self._seen, self._known_change = -1, None
        self._session_plane = session.plane
        self._go_on()
        self.opened.emit()
        self.changed.emit()

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
        self._end_session()
        self.prompts.write(())
        self.preview.clear()
        self._offers_earlier = False  # it would be what has just been ended
        self.open(labels)

    def begin_anew(self) -> None:
        """Open another session, as the image now is; accepted objects stay in their layer."""
        self._end_session()
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
    def _latest(self) -> Prompts:
        """The prompts of the plane at work as the user last left them."""
        raise NotImplementedError

    def follow(self) -> None:
        """Show what has been done to the session behind our back, from the console."""
        if self.session is not None and self.session.last_change is not self._known_change:
            self._drop_asked()
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
        if self.prompts.read() != self._latest:
            self.prompts.write(self._latest)
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

    # For the class above

    def _on_edit(self) -> None:
        """Take what the user has drawn."""

    def _go_on(self) -> None:
        """Ask what could not be asked before."""

    def _drop_asked(self) -> None:
        """Forget what is not answered yet."""
