"""The order in which an object is carried from plane to plane, and where it ends.

Positions are those along one axis of the image. Between two planes that the user has annotated
the object is carried from both sides, and both answers are blended; beyond the outermost ones it
is carried on until it ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from napari_pvpu.carrying import overlap
from napari_pvpu.rendering import joint_box
from napari_pvpu.shapes_between import blend, shape_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_pvpu.carrying import Carried, PlaneMask

__all__ = ["Found", "Plan", "Walk", "WalkPolicy"]

Known = tuple[int, "PlaneMask", float]


class Carry(Protocol):
    """Carries an object to a position from where it is known."""

    def __call__(self, known: Sequence[Known], position: int) -> Carried: ...


@dataclass(frozen=True, slots=True)
class WalkPolicy:
    """Every number that decides how far an object is carried, in one place.

    Attributes
    ----------
    least_confidence : float
        Below this the object has ended.
    least_between : float
        The same between annotated planes, where the shape between theirs is better than doubt.
    least_of_recent : float
        Share of the highest confidence of the planes just before; below it the object has ended.
        Where it ends on another that begins there, confidence dips for a plane or two and would
        then be as high as ever, on the other one.
    recent : int
        How many planes before these are.
    least_share, most_share : float
        Area of a plane's mask as a share of that of the plane before: outside these bounds the
        object has ended, or has run into something else.
    waist : float
        Share of the largest area so far below which the object has become thin.
    regrowth : float
        Times that its area then has to grow again for the object to have ended where it was
        thinnest.
    shape_weight : float
        Between annotated planes: weight of the shape between theirs, beside 1 for what was
        carried from both sides.
    """

    least_confidence: float = 0.3
    least_between: float = 0.45
    least_of_recent: float = 0.7
    recent: int = 6
    least_share: float = 0.3
    most_share: float = 2.0
    waist: float = 0.2
    regrowth: float = 3.0
    shape_weight: float = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of an object along an axis, and where it is wanted.

    Attributes
    ----------
    anchors : dict of int to PlaneMask
        Positions that the user has annotated; at least one.
    first, last : int
        Positions that may be filled, both included.
    ends : frozenset of int
        Positions in which the object is known not to be.
    """

    anchors: Mapping[int, PlaneMask]
    first: int
    last: int
    ends: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """An object at one position.

    Attributes
    ----------
    position : int
        Along the axis.
    mask : PlaneMask
        The object.
    confidence : float
        What speaks for it, 0 to 1.
    """

    position: int
    mask: PlaneMask
    confidence: float


class Walk:
    """Goes through a plan; iterate over it to let it work.

    Parameters
    ----------
    plan : Plan
        What to do.
    carry : callable
        ``carry(known, position)`` returns what is `Carried` there.
    policy : WalkPolicy, optional
        Numbers to go by.

    Attributes
    ----------
    reached : (int, int) or None
        First and last wanted position that are dealt with for good so far, those at which the
        object is not included; None if there are none yet.
    """

    def __init__(self, plan: Plan, carry: Carry, policy: WalkPolicy | None = None) -> None:
        self._plan, self._carry = plan, carry
        self._policy = policy or WalkPolicy()
        self.reached: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Found | None]:
        """Do the work; yield what is found, and None for steps that lead to no mask by themselves.

        Planes between annotated ones come first.
        """
        places = sorted(self._plan.anchors)
        for before, after in pairwise(places):
            if any(before < end < after for end in self._plan.ends):
                yield from self._outward(before, after, 1)
                yield from self._outward(after, before, -1)
            else:
                yield from self._between(before, after)
        low, high = places[0], places[-1]
        self._reach(low, high)
        for found in self._outward(high, self._plan.last + 1, 1):
            if found is not None:
                self._reach(low, found.position)
            yield found
        high = max(self._plan.last, high)
        self._reach(low, high)
        for found in self._outward(low, self._plan.first - 1, -1):
            if found is not None:
                self._reach(found.position, high)
            yield found
        self._reach(self._plan.first, high)

    def _reach(self, first: int, last: int) -> None:
        first, last = max(first, self._plan.first), min(last, self._plan.last)
        self.reached = (first, last) if first <= last else None

    def _outward(self, start: int, limit: int, step: int) -> Iterator[Found | None]:
        """Carry on from an annotated position until the object ends, or `limit` comes.

        What is found behind a waist is held back until it is known that it was none.
        """
        mask, recent = self._plan.anchors[start], [0.0]
        waist, held = Waist(mask.area, self._policy), list[Found | None]()
        for position in range(start + step, limit, step):
            wanted = self._plan.first <= position <= self._plan.last
            if position in self._plan.ends or not (wanted or self._on_the_way(position, step)):
                break
            carried = self._carry([(position - step, mask, 1.0)], position)
            if carried.mask is None or self._has_ended(
                mask, carried, self._policy.least_confidence
            ):
                break
            if carried.confidence < self._policy.least_of_recent * max(recent):
                break
            recent = [*recent, carried.confidence][-self._policy.recent :]
            mask = carried.mask
            waist.see(mask.area)
            if waist.passed:
                yield from held[: waist.narrowest]
                return
            found = Found(position, mask, carried.confidence) if wanted else None
            if waist.narrow:
                held.append(found)
            yield None if waist.narrow else found
        yield from held

    def _on_the_way(self, position: int, step: int) -> bool:
        """Whether positions that are wanted are still to come."""
        return position < self._plan.first if step > 0 else position > self._plan.last

    def _has_ended(self, before: PlaneMask, carried: Carried, least: float) -> bool:
        policy = self._policy
        assert carried.mask is not None
        share = carried.mask.area / before.area
        return not (
            carried.confidence >= least and policy.least_share <= share <= policy.most_share
        )

    def _between(self, before: int, after: int) -> Iterator[Found | None]:
        """Carry from both sides to the planes between two annotated ones."""
        wanted = range(max(before + 1, self._plan.first), min(after, self._plan.last + 1))
        if not wanted:
            return
        sides: list[dict[int, Carried]] = []
        for start, stop, step in ((before, after, 1), (after, before, -1)):
            mask, side = self._plan.anchors[start], {}
            for position in range(start + step, stop, step):
                carried = self._carry([(position - step, mask, 1.0)], position)
                if carried.mask is None or self._has_ended(
                    mask, carried, self._policy.least_between
                ):
                    break
                side[position] = carried
                mask = carried.mask
                if not sides:
                    yield None
            sides.append(side)
        for position in wanted:
            found = self._blended(before, after, position, sides)
            if found is not None:
                yield found

    def _blended(
        self, before: int, after: int, position: int, sides: Sequence[Mapping[int, Carried]]
    ) -> Found | None:
        share = (position - before) / (after - before)
        shape = shape_between(self._plan.anchors[before], self._plan.anchors[after], share)
        parts: list[tuple[PlaneMask, float]] = []
        confidence = 0.0
        for side, weight in zip(sides, (1 - share, share), strict=True):
            carried = side.get(position)
            if carried is not None and carried.mask is not None:
                parts.append((carried.mask, weight))
                confidence += weight * carried.confidence
        if shape is not None and (self._policy.shape_weight or not parts):
            parts.append((shape, self._policy.shape_weight or 1.0))
        mask = blend(parts) if parts else None
        if mask is None:
            return None
        if len(parts) > 1:
            confidence *= agreement([each for each, _ in parts])
        return Found(position, mask, confidence)


class Waist:
    """Where an object that was carried has become thin, and whether it grew again behind that.

    Things that touch, one below the other, look like one with a waist. Most that are annotated one
    by one have none as thin as this, so the object has ended there and another begun.

    Parameters
    ----------
    area : int
        Pixels of the mask to begin with.
    policy : WalkPolicy
        How thin, and how much it has to grow.

    Attributes
    ----------
    narrow : bool
        Whether it has become thin.
    narrowest : int
        How many masks have been seen since then, up to the thinnest one.
    passed : bool
        Whether it has grown again.
    """

    def __init__(self, area: int, policy: WalkPolicy) -> None:
        self._policy = policy
        self._most = self._least = area
        self._count = self.narrowest = 0
        self.narrow = self.passed = False

    def see(self, area: int) -> None:
        """Take in the area of the next mask."""
        if area > self._most and not self.narrow:
            self._most = self._least = area
        self.narrow = self.narrow or area < self._policy.waist * self._most
        self._count += self.narrow
        if area < self._least:
            self._least, self.narrowest = area, self._count
        self.passed = self.narrow and area > self._policy.regrowth * self._least


def agreement(masks: Sequence[PlaneMask]) -> float:
    """Return the intersection over union of the first two of several masks of one plane."""
    box = joint_box([mask.box for mask in masks[:2]])
    assert box is not None
    return overlap(masks[0].over(box), masks[1].over(box))
