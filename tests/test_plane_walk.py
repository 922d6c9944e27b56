"""Tests of napari_pvpu.plane_walk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_pvpu.carrying import Carried, PlaneMask
from napari_pvpu.plane_walk import Plan, Walk, WalkPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence


def square(side: int, row: int = 20) -> PlaneMask:
    return PlaneMask(row - side // 2, 20 - side // 2, np.ones((side, side), bool))


class Answers:
    """Carries by a table of sides by position; what is not in it, is not to be found."""

    def __init__(self, sides: dict[int, int], doubtful: dict[int, float] | None = None) -> None:
        self._sides, self._doubtful = sides, doubtful or {}
        self.asked: list[tuple[int, int]] = []

    def __call__(self, known: Sequence[tuple[int, PlaneMask, float]], position: int) -> Carried:
        self.asked.append((known[0][0], position))
        side = self._sides.get(position)
        if side is None:
            return Carried(None, 0.0, 0.0)
        return Carried(square(side), self._doubtful.get(position, 0.9), 1.0)


def positions(walk: Walk) -> list[int]:
    return [found.position for found in walk if found is not None]


def test_carries_on_from_plane_to_plane_and_ends_where_nothing_is_found() -> None:
    answers = Answers(dict.fromkeys(range(3, 9), 7))
    walk = Walk(Plan({5: square(7)}, 0, 19), answers)
    assert positions(walk) == [6, 7, 8, 4, 3]
    assert answers.asked == [(5, 6), (6, 7), (7, 8), (8, 9), (5, 4), (4, 3), (3, 2)]
    assert walk.reached == (0, 19)


@pytest.mark.parametrize(
    ("sides", "doubtful"),
    [
        pytest.param({6: 7, 7: 3, 8: 7}, {}, id="most of the area is gone"),
        pytest.param({6: 7, 7: 15, 8: 7}, {}, id="it runs into something larger"),
        pytest.param({6: 7, 7: 7, 8: 7}, {7: 0.1}, id="nobody believes it"),
        pytest.param({6: 7, 7: 7, 8: 7}, {7: 0.5}, id="much less sure than just before"),
    ],
)
def test_ends_where_the_answer_breaks(sides: dict[int, int], doubtful: dict[int, float]) -> None:
    assert positions(Walk(Plan({5: square(7)}, 5, 9), Answers(sides, doubtful))) == [6]


@pytest.mark.parametrize(
    ("sides", "found"),
    [
        pytest.param([15, 13, 10, 8, 6, 7, 9, 11], [15, 13, 10, 8, 6], id="another one begins"),
        pytest.param([15, 13, 10, 8, 6, 5, 6, 7], [15, 13, 10, 8, 6, 5, 6, 7], id="a thin end"),
        pytest.param([15, 13, 11, 9, 11, 13, 15], [15, 13, 11, 9, 11, 13, 15], id="not so thin"),
    ],
)
def test_ends_at_a_waist_behind_which_it_would_grow_again(
    sides: list[int], found: list[int]
) -> None:
    answers = Answers(dict(enumerate(sides, start=1)))
    walk = Walk(Plan({0: square(6)}, 0, len(sides)), answers, WalkPolicy(most_share=9))
    assert [round(np.sqrt(each.mask.area)) for each in walk if each is not None] == found


def test_ends_with_the_range_and_where_the_user_says() -> None:
    everywhere = dict.fromkeys(range(20), 7)
    plan = Plan({10: square(7)}, 8, 19, frozenset({13}))
    assert positions(Walk(plan, Answers(everywhere))) == [11, 12, 9, 8]


def test_range_away_from_the_annotated_plane_is_reached_through_those_between() -> None:
    walk = Walk(Plan({2: square(7)}, 5, 6), Answers(dict.fromkeys(range(9), 7)))
    assert positions(walk) == [5, 6]
    assert walk.reached == (5, 6)


def test_planes_between_two_annotated_ones_are_blended_from_both_sides() -> None:
    class Sides(Answers):
        def __call__(self, known, position):
            # From below the object stays small, from above large.
            small = known[0][0] < position
            return Carried(square(5 if small else 13), 0.9, 1.0)

    walk = Walk(Plan({0: square(5), 4: square(13)}, 0, 4), Sides({}), WalkPolicy(most_share=9))
    sides = {found.position: int(np.sqrt(found.mask.area)) for found in walk if found is not None}
    assert sides == {1: 7, 2: 9, 3: 11}


def test_gap_that_cannot_be_crossed_is_filled_with_the_shape_between() -> None:
    walk = Walk(Plan({0: square(5), 4: square(13)}, 0, 4), Answers({}))
    found = {each.position: each for each in walk if each is not None}
    assert sorted(found) == [1, 2, 3]
    assert found[2].mask.area == 81
    assert found[2].confidence == 0


def test_an_end_between_two_annotated_planes_parts_them() -> None:
    answers = Answers(dict.fromkeys(range(9), 7))
    plan = Plan({1: square(7), 7: square(7)}, 0, 8, frozenset({4}))
    assert sorted(positions(Walk(plan, answers))) == [0, 2, 3, 5, 6, 8]


def test_what_is_reached_is_known_when_the_walk_is_left() -> None:
    walk = Walk(Plan({2: square(7), 6: square(7)}, 0, 19), Answers(dict.fromkeys(range(20), 7)))
    steps = iter(walk)
    assert walk.reached is None
    between = [next(steps) for _ in range(6)]
    assert [each.position for each in between if each] == [3, 4, 5]
    assert walk.reached is None, "a gap that may not be complete is not taken"
    assert next(steps).position == 7
    assert walk.reached == (2, 7)
    assert next(steps).position == 8
    assert walk.reached == (2, 8)
