"""Encoding views before anybody asks for them, while nobody needs the processor.

`Plan` says which views, best first; `Plans` holds several, the most wanted first; `work_off` runs
the encoder on one view after the other in a thread of its own, for as long as a `Gate` is open.
Nothing in here knows torch or Qt.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

from napari_pvpu.features.precompute import grid_views
from napari_pvpu.prompts import Click
from napari_pvpu.sections import SHOWN
from napari_pvpu.view_choice import ViewPolicy, first_views
from napari_pvpu.view_grid import extent_for, view_around

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from napari_pvpu.records import Plane
    from napari_pvpu.source import ImageSource
    from napari_pvpu.views import View

    Place = tuple[Plane, View]

__all__ = ["Gate", "Plan", "Plans", "everywhere", "likely_extents", "places_around", "work_off"]

NICENESS = 5
"""Of the thread that encodes ahead, where threads can have one. Others go first, but not by so much
that who waits for a view to be finished waits for long on a busy machine."""

MOST_FAILURES = 3
"""Views that may fail before a plan is given up."""

STEPS_AROUND = 3
"""Quarters of a view's length by which neighbours lie apart from it at most."""

PLANES_AROUND = 3
"""How far above and below other planes' views are wanted, too."""


class Preparer(Protocol):
    """What is needed of a segmenter."""

    @property
    def room_ahead(self) -> int | None:
        """Views that can be kept ahead; None for any number."""

    def cached(self, key: Hashable) -> Any | None:
        """Return features in memory."""

    def prepare(self, view: Any, key: Hashable) -> bool:
        """Have a view's features at hand; tell whether the encoder had to run for that."""


class Plan:
    """Views of one image that are to be encoded.

    Parameters
    ----------
    source : ImageSource
        The image, with all its planes.
    places : iterable of (plane, View)
        The best ones first; taken as they are needed.
    total : int
        How many there are.
    """

    def __init__(self, source: ImageSource, places: Iterable[Place], total: int) -> None:
        self.source = source
        self.total = total
        self.encoded = self.found = self.failed = 0
        self.error: str | None = None
        """Why views failed, the last time."""
        self._places = iter(places)

    @property
    def done(self) -> int:
        """Views that need no more work."""
        return self.encoded + self.found + self.failed

    def take(self, room: int | None) -> Place | None:
        """Return the next view; None at the end, after failures, or if there is no more room."""
        if self.failed >= MOST_FAILURES or (room is not None and self.encoded >= room):
            return None
        return next(self._places, None)

    def encode(self, place: Place, preparer: Preparer) -> None:
        """Encode a view; what goes wrong is noted."""
        plane, view = place
        try:
            here = self.source.at(plane)
            key = (here.token, view)
            known = preparer.cached(key) is not None
            if known or not preparer.prepare(here.read_view(view), key):
                self.found += 1
            else:
                self.encoded += 1
        except Exception as error:  # a damaged chunk, a device: whoever needs the view is told
            self.failed += 1
            self.error = str(error) or repr(error)


class Plans:
    """Plans by name, those named first in `order` before the others. Safe in any thread."""

    def __init__(self, order: Iterable[str]) -> None:
        self._order = tuple(order)
        self._plans: dict[str, Plan] = {}
        self._lock = threading.Lock()

    def put(self, name: str, plan: Plan) -> None:
        """Add a plan in place of the one of that name."""
        with self._lock:
            self._plans[name] = plan

    def drop(self, name: str | None = None) -> None:
        """Forget a plan, or all of them."""
        with self._lock:
            if name is None:
                self._plans.clear()
            else:
                self._plans.pop(name, None)

    def rename(self, name: str, to: str) -> None:
        """Give a plan, if there is one of the name, another name and so another place."""
        with self._lock:
            if name in self._plans:
                self._plans[to] = self._plans.pop(name)

    def get(self, name: str) -> Plan | None:
        """Return a plan that is not at its end."""
        with self._lock:
            return self._plans.get(name)

    def take(self, room: int | None) -> tuple[Plan, Place] | None:
        """Return the view to encode next; plans at their end are forgotten."""
        with self._lock:
            for name in sorted(self._plans, key=self._order.index):
                plan = self._plans[name]
                place = plan.take(room)
                if place is not None:
                    return plan, place
                del self._plans[name]
        return None


class Gate:
    """Open while nobody needs the processor. Safe in any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = self._stopped = False
        self._quiet_from = 0.0

    def hold(self) -> None:
        """Shut it until `release`."""
        with self._changed:
            self._held = True

    def release(self, after: float = 0.0) -> None:
        """Open it in so many seconds, unless it is shut again in the meantime."""
        with self._changed:
            self._held = False
            self._quiet_from = max(self._quiet_from, time.monotonic() + after)
            self._changed.notify_all()

    def touch(self, seconds: float) -> None:
        """Shut it for so many seconds at least."""
        with self._changed:
            self._quiet_from = max(self._quiet_from, time.monotonic() + seconds)

    def stop(self, stopped: bool = True) -> None:
        """Have whoever waits go home, and nobody wait any more; or take that back."""
        with self._changed:
            self._stopped = stopped
            self._changed.notify_all()

    def wait(self) -> bool:
        """Wait until it is open; False if it has been stopped."""
        with self._changed:
            while not self._stopped:
                left = self._quiet_from - time.monotonic()
                if not self._held and left <= 0:
                    return True
                self._changed.wait(None if self._held else left)
        return False


def work_off(plans: Plans, gate: Gate, preparer: Preparer) -> None:
    """Encode what is planned, one view after the other; return when nothing is left.

    For a thread of its own, which gets a low priority where the system allows that. Between two
    views it waits at the gate, so that whoever shuts it waits for one view at most.

    Parameters
    ----------
    plans : Plans
        May get more in the meantime.
    gate : Gate
        Ends the work when it is stopped.
    preparer : Segmenter
        Encodes.
    """
    _let_others_go_first()
    while gate.wait():
        taken = plans.take(preparer.room_ahead)
        if taken is None:
            return
        plan, place = taken
        plan.encode(place, preparer)


# Which views


def places_around(
    plane: Plane, view: View, shape: tuple[int, int], lengths: tuple[int, ...]
) -> list[Place]:
    """Return views that may be asked for after one: the nearest in its plane and beside it.

    Parameters
    ----------
    plane, view
        The view that is looked through.
    shape : (rows, cols)
        Of a plane.
    lengths : tuple of int
        How many planes there are along each number of a plane's index.
    """
    middle = ((view.box[0] + view.box[2]) / 2, (view.box[1] + view.box[3]) / 2)
    down_step, step = view.extent / 4 / view.aspect, view.extent / 4
    steps = range(-STEPS_AROUND, STEPS_AROUND + 1)
    offsets = sorted(product(steps, steps), key=lambda each: (each[0] ** 2 + each[1] ** 2, each))
    found: list[Place] = []
    for down, right in offsets:
        center = (middle[0] + down * down_step - 0.5, middle[1] + right * step - 0.5)
        fresh = view_around(center, view.extent, view.size, shape, aspect=view.aspect)
        found.append((plane, fresh))
    beside = [(each, view) for each in _planes_around(plane, lengths)]
    return list(dict.fromkeys([*beside, *found]))


def likely_extents(
    shape: tuple[int, int],
    size: int,
    lengths: Iterable[float] = (),
    canvas_extent: float | None = None,
) -> list[int]:
    """Return the extents of views in which an image is likely looked at, the largest first.

    Parameters
    ----------
    shape : (rows, cols)
        Of a plane.
    size : int
        Model pixels per side of a view.
    lengths : iterable of float
        Longer sides of objects that are expected, data pixels.
    canvas_extent : float, optional
        Data pixels that the short side of the canvas shows.
    """
    policy = ViewPolicy()
    click = Click(((shape[0] - 1) / 2, (shape[1] - 1) / 2))
    views = first_views([click], shape, size, canvas_extent=canvas_extent, policy=policy)
    extents = {view.extent for view in views if view.extent >= views[0].extent}
    extents |= {extent_for(length, policy.object_fill, size) for length in lengths}
    return sorted(extents, reverse=True)


def everywhere(
    planes: Iterable[Plane], shape: tuple[int, int], extents: Iterable[int], size: int
) -> Iterator[Place]:
    """Yield all views of some extents, one extent after the other, in some planes."""
    each_plane = list(planes)
    for extent in extents:
        for plane in each_plane:
            for view in grid_views(shape, extent, size):
                yield plane, view


def _planes_around(plane: Plane, lengths: tuple[int, ...]) -> list[Plane]:
    """Return the planes beside one along its last axis, such as the depth, nearest first."""
    cut = [axis for axis, at in enumerate(plane) if at != SHOWN]
    if not cut:
        return []
    axis = cut[-1]
    steps = [sign * step for step in range(1, PLANES_AROUND + 1) for sign in (1, -1)]
    places = [plane[axis] + step for step in steps]
    return [
        (*plane[:axis], place, *plane[axis + 1 :]) for place in places if 0 <= place < lengths[axis]
    ]


def _let_others_go_first() -> None:
    if sys.platform == "linux":  # where each thread has a niceness of its own
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
