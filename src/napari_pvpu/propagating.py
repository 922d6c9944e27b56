"""The work of carrying an object over planes, which can be done a little at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pvpu.carrying import Carrier
from napari_pvpu.plane_walk import Walk

if TYPE_CHECKING:
    from napari_pvpu.masks import MaskRules
    from napari_pvpu.plane_walk import Found, Plan
    from napari_pvpu.predictor import Predictor
    from napari_pvpu.records import ObjectRecord, Plane
    from napari_pvpu.source import ImageSource

__all__ = ["Propagated", "Propagating", "Propagation"]


@dataclass(frozen=True, slots=True, eq=False)
class Propagation:
    """All that carrying an object over planes depends on, besides image and network.

    Attributes
    ----------
    object_id : int
        The object.
    record : ObjectRecord
        What is known of it.
    axis : int
        Position of the axis in a plane's index.
    plane : tuple of int
        A plane on the line along that axis.
    plan : Plan
        Annotated positions, range and ends.
    threshold : float
        Probability above which a pixel belongs to the object.
    """

    object_id: int
    record: ObjectRecord
    axis: int
    plane: Plane
    plan: Plan
    threshold: float

    def at(self, position: int) -> Plane:
        """Return the plane at a position on the line."""
        return (*self.plane[: self.axis], position, *self.plane[self.axis + 1 :])


@dataclass(frozen=True, slots=True, eq=False)
class Propagated:
    """What came of a propagation, to be committed by the session.

    Attributes
    ----------
    request : Propagation
        What was asked.
    found : tuple of Found
        The object wherever it was found.
    first, last : int
        Positions that were dealt with, both included; fewer than asked for if it was stopped, none
        if `last` is less than `first`.
    """

    request: Propagation
    found: tuple[Found, ...]
    first: int
    last: int


class Propagating:
    """Does a propagation step by step; changes nothing, may run in any one thread at a time.

    Parameters
    ----------
    source : ImageSource
        The image, with all its planes.
    predictor : Predictor
        The network behind its numpy interface.
    request : Propagation
        What is asked.
    rules : MaskRules, optional
        Numbers that shape masks.

    Attributes
    ----------
    found : list of Found
        The object wherever it was found so far.
    steps : int
        Steps done so far: about one for each plane, two between annotated ones.
    """

    def __init__(
        self,
        source: ImageSource,
        predictor: Predictor,
        request: Propagation,
        rules: MaskRules | None = None,
    ) -> None:
        self.request = request
        self.found: list[Found] = []
        self.steps = 0
        carrier = Carrier(source, predictor, request.threshold, rules=rules)
        self._walk = Walk(
            request.plan,
            lambda known, position: carrier.carry(
                [(request.at(at), mask, much) for at, mask, much in known], request.at(position)
            ),
        )
        self._steps = iter(self._walk)

    @property
    def most_steps(self) -> int:
        """Steps that it may take at most."""
        plan = self.request.plan
        places = sorted(plan.anchors)
        first, last = min(plan.first, places[0]), max(plan.last, places[-1])
        return max(last - first + places[-1] - places[0] - 2 * (len(places) - 1), 1)

    def advance(self, seconds: float = 0.0) -> bool:
        """Go on for so many seconds, by one step at least; return whether there is more to do."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = next(self._steps)
            except StopIteration:
                return False
            self.steps += 1
            if found is not None:
                self.found.append(found)
            if time.monotonic() >= end:
                return True

    def result(self) -> Propagated:
        """Return what has come of it so far.

        Between annotated planes nothing counts before all of them are filled.
        """
        first, last = self._walk.reached or (0, -1)
        kept = tuple(each for each in self.found if first <= each.position <= last)
        return Propagated(self.request, kept, first, last)
