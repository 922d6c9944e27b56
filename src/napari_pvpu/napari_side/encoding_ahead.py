"""Views encoded ahead while the user looks and thinks, and not a moment longer.

What is wanted comes from three sides: the views around the one at work, all views at a scale that
the user has chosen, and the next image of a series. A thread of low priority takes one after the
other; whatever the user does shuts the gate before which it waits.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_pvpu.features.ahead import (
    Gate,
    Plan,
    Plans,
    everywhere,
    likely_extents,
    places_around,
    work_off,
)
from napari_pvpu.features.precompute import count_views
from napari_pvpu.napari_side.weakly import weakly
from napari_pvpu.napari_side.worker import Worker
from napari_pvpu.view_grid import extent_for

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.session import Session
    from napari_pvpu.source import ImageSource

__all__ = ["EncodingAhead", "Scale"]

AROUND, CHOSEN, HERE, NEXT = "around", "chosen", "here", "next"
"""Plans, the most wanted first: around the view at work, what the user has asked for, what is
left of an image that was the next one and is at work by now, and the next image."""

QUIET = 0.3
"""Seconds without anything done after which encoding goes on."""

LOOK_MS = 200
"""How often progress is looked at."""

MOST_VIEWS_NEXT = 600
"""Views of the next image of a series that are encoded, about 250 MB on the disk."""

LENGTHS_LOOKED_AT = 20
"""Accepted objects, the last ones, whose sizes tell in which views the next image is wanted."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale at which all views of a plane can be encoded.

    Attributes
    ----------
    extent : int
        Side of its views, data pixels.
    pixels : float
        Data pixels per pixel of the model, along a side.
    views : int
        How many there are in a plane.
    """

    extent: int
    pixels: float
    views: int


class EncodingAhead(QObject):
    """Encodes ahead in one viewer; get it from `Controller.ahead`.

    Parameters
    ----------
    controller : Controller
        Its sessions' images are encoded, by its model.
    """

    changed = Signal()

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = weakref.ref(controller)
        self._around = True
        self._gate, self._plans = Gate(), Plans((AROUND, CHOSEN, HERE, NEXT))
        self._worker = Worker(self._gate.stop)
        self._viewer: Callable[[], Any] = _nobody
        self._seen: tuple[Any, ...] | None = None
        self._image: Any = None
        self._predictor: Callable[[], Any] = _nobody
        self._shown: tuple[Any, ...] = ()
        self._scales: tuple[Any, tuple[Scale, ...]] = (None, ())
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        # Also when all of this is forgotten without being closed.
        weakref.finalize(self, self._gate.stop)
        controller.changed.connect(self._follow)

    # What is wanted

    @property
    def around(self) -> bool:
        """Whether views around the one at work are encoded when nothing else is done."""
        return self._around

    @around.setter
    def around(self, on: bool) -> None:
        self._around = on
        self._seen = None
        if not on:
            self._plans.drop(AROUND)
        self._follow()
        self.changed.emit()

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Scales to choose from, the coarsest first; none as long as there is no session."""
        session = self._session
        if session is None:
            return ()
        size, shape = session.predictor.view_size, session.shape
        extents = likely_extents(shape, size, _lengths(session)[:1])
        extents.append(extent_for(extents[-1] / 2, 1.0, size))
        known = (shape, size, extents)
        if self._scales[0] != known:
            found = [Scale(each, each / size, count_views(shape, each, size)) for each in extents]
            self._scales = known, tuple(found)
        return self._scales[1]

    def encode_all(self, extent: int, *, all_planes: bool = False) -> None:
        """Encode all views of an extent, see `scales`, in the plane at work or in all.

        From a section across planes, in all of those.
        Without a store on the disk there is room for some only; see `room`.
        """
        session = self._session
        if session is None:
            return
        planes = [session.plane]
        if all_planes or session.source.grid.is_section(session.plane):
            planes = list(product(*map(range, session.plane_shape)))
        size, shape = session.predictor.view_size, session.shape
        total = count_views(shape, extent, size) * len(planes)
        places = everywhere(planes, shape, [extent], size)
        self._put(CHOSEN, Plan(session.source, places, total))

    def offer_next(self, source: ImageSource, like: Session | None = None) -> None:
        """Encode views of the image that is to come next.

        Parameters
        ----------
        source : ImageSource
            As it will be opened.
        like : Session, optional
            Whose accepted objects tell the scale.
        """
        session = like or self._session
        if session is None:
            return
        size = session.predictor.view_size
        lengths = sorted(_lengths(session))
        usual = lengths[len(lengths) // 2 :][:1]
        canvas = session.canvas_extent
        extents = likely_extents(source.shape, size, usual, canvas)
        middle = tuple(length // 2 for length in source.plane_shape)
        total = min(sum(count_views(source.shape, each, size) for each in extents), MOST_VIEWS_NEXT)
        places = everywhere([middle], source.shape, extents, size)
        limited = (place for place, _ in zip(places, range(total), strict=False))
        self._put(NEXT, Plan(source, limited, total))

    def cancel(self) -> None:
        """Drop what was asked for with `encode_all`."""
        self._plans.drop(CHOSEN)
        self._look()

    def forget_next(self) -> None:
        """Drop what is planned for the next image."""
        self._plans.drop(NEXT)

    # What comes of it

    @property
    def asked(self) -> Plan | None:
        """What `encode_all` asked for, while it is under way."""
        return self._plans.get(CHOSEN)

    @property
    def next_image(self) -> Plan | None:
        """What is done about the next image of a series, while it is under way."""
        return self._plans.get(NEXT)

    @property
    def room(self) -> int | None:
        """Views that can be kept ahead; None for any number, on the disk."""
        session = self._session
        return None if session is None else getattr(session.predictor, "room_ahead", None)

    @property
    def working(self) -> bool:
        """Whether anything is left to do."""
        return self._worker.busy

    def stop(self) -> None:
        """End the thread, after the view that it is at."""
        self._plans.drop()
        self._gate.stop()
        self._worker.stop()
        self._gate.stop(False)
        self._timer.stop()
        self._seen = None

    # Inside

    @property
    def _session(self) -> Session | None:
        controller = self._controller()
        workspace = controller.workspace if controller is not None else None
        return workspace.session if workspace is not None else None

    def _follow(self) -> None:
        """Note what the user does, and what that makes likely to come next."""
        controller = self._controller()
        if controller is None or not controller.is_open:
            self._watch(None)
            self.stop()
            return
        self._watch(controller.viewer)
        if controller.busy:
            self._gate.hold()
            return
        self._gate.release(QUIET)
        session = self._session
        if controller.image is None:
            self._forget_image()  # it was removed, or the viewer is closing
        if session is None or not hasattr(session.predictor, "prepare"):
            return
        self._turn_to(session)
        seen = (session.source.token, session.plane, session.view)
        if self._around and session.view is not None and seen != self._seen:
            self._seen = seen
            grid = session.source.grid
            shape = grid.shape(session.plane)
            around = places_around(session.plane, session.view, shape, grid.lengths)
            self._put(AROUND, Plan(session.source, around, len(around)))

    def _turn_to(self, session: Session) -> None:
        """Forget what was wanted of another image, or with another model."""
        if session.predictor is not self._predictor():
            if self._predictor() is not None:
                self.stop()
            self._predictor = weakref.ref(session.predictor)
        if session.source.token != self._image:
            self._forget_image()
            self._image = session.source.token
            following = self._plans.get(NEXT)
            if following is not None and following.source is session.source:
                self._plans.rename(NEXT, HERE)

    def _forget_image(self) -> None:
        """Drop what was wanted of the image at work."""
        self._image = self._seen = None
        for name in (AROUND, CHOSEN, HERE):
            self._plans.drop(name)

    def _put(self, name: str, plan: Plan) -> None:
        session = self._session
        if session is None:
            return
        self._turn_to(session)
        self._plans.put(name, plan)
        # The thread must not keep this object alive. One that is at work takes the new plan; then
        # this job finds nothing to do.
        preparer: Any = session.predictor
        work = partial(work_off, self._plans, self._gate, preparer)
        ended = weakly(self._ended)
        self._worker.submit("ahead", work, ended, ended)
        self._timer.start()
        self._look()

    def _ended(self, result: Any) -> None:
        self._look()

    def _look(self) -> None:
        """Tell of progress, if there is any."""
        shown = tuple(
            (plan.total, plan.done, plan.error) if plan is not None else None
            for plan in map(self._plans.get, (AROUND, CHOSEN, NEXT))
        )
        if not self._worker.busy:
            self._timer.stop()
        if shown != self._shown:
            self._shown = shown
            self.changed.emit()

    # The user's hands

    def _watch(self, viewer: Any) -> None:
        """Shut the gate for a while whenever the view is moved or the mouse draws."""
        before = self._viewer()
        if viewer is before:
            return
        if before is not None:
            self._connect(before, "disconnect")
            if self._on_mouse in before.mouse_drag_callbacks:
                before.mouse_drag_callbacks.remove(self._on_mouse)
        self._viewer = _nobody if viewer is None else weakref.ref(viewer)
        if viewer is not None:
            self._connect(viewer, "connect")
            viewer.mouse_drag_callbacks.append(self._on_mouse)

    def _connect(self, viewer: Any, how: str) -> None:
        camera = viewer.scene.camera.events
        for emitter in (camera.zoom, camera.center, viewer.dims.events.point):
            getattr(emitter, how)(self._touch)

    def _touch(self, event: Any = None) -> None:
        self._gate.touch(QUIET)

    def _on_mouse(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        self._touch()
        yield
        while event.type == "mouse_move":
            self._touch()
            yield


def _nobody() -> None:
    """Stand for a viewer that is gone."""


def _lengths(session: Session) -> list[float]:
    """Longer sides of the objects that were accepted last, the very last one first."""
    found = []
    for record in list(session.objects.values())[: -LENGTHS_LOOKED_AT - 1 : -1]:
        row0, col0, row1, col1 = next(iter(record.boxes.values()))
        found.append(float(max(row1 - row0, col1 - col0)))
    return found
