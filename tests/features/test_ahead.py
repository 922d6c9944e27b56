"""Encoding ahead in the background: which views, in which order, and who goes first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.features.ahead import (
    MOST_FAILURES,
    Gate,
    Plan,
    Plans,
    everywhere,
    likely_extents,
    places_around,
    work_off,
)
from napari_pvpu.features.precompute import count_views, grid_views
from napari_pvpu.prompts import Click
from napari_pvpu.source import ImageSource
from napari_pvpu.view_choice import first_views
from napari_pvpu.view_grid import view_around
from pictures import IMAGE, VOLUME

if TYPE_CHECKING:
    from napari_pvpu.views import View

SIZE = 64


class Preparer:
    """Keeps what it is given in memory, and tells when it is asked."""

    def __init__(self, room=None, known=()) -> None:
        self.room_ahead = room
        self.kept = set(known)
        self.seen: list[View] = []
        self.at_work, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()
        self.broken = False

    def cached(self, key):
        return key if key in self.kept else None

    def prepare(self, view, key) -> bool:
        assert view.shape == (3, SIZE, SIZE)
        self.at_work.set()
        assert self.may_go_on.wait(20)
        if self.broken:
            raise OSError("the chunk is damaged")
        self.seen.append(key[1])
        self.kept.add(key)
        return True


@pytest.fixture
def source() -> ImageSource:
    return ImageSource(IMAGE)


def plan_of(source, extent=64, planes=((),)) -> Plan:
    places = list(everywhere(planes, source.shape, [extent], SIZE))
    return Plan(source, places, len(places))


def run(plans, preparer, gate=None) -> None:
    work_off(plans, gate or Gate(), preparer)


# Which views


def test_around_a_view_the_nearest_come_first() -> None:
    view = view_around((65, 85), 64, SIZE, IMAGE.shape)
    places = places_around((), view, IMAGE.shape, ())
    assert places[0] == ((), view)
    assert len(places) == len(set(places)) > 20
    distances = [np.hypot(each.row - view.row, each.col - view.col) for _, each in places]
    assert distances == sorted(distances)
    assert all(each.extent == 64 for _, each in places)


def test_beside_a_plane_the_same_view_of_the_next_planes_comes_first() -> None:
    view = view_around((65, 85), 64, SIZE, IMAGE.shape)
    places = places_around((1, 0), view, IMAGE.shape, (2, 3))
    assert [plane for plane, _ in places[:3]] == [(1, 1), (1, 2), (1, 0)]
    assert places[0][1] == view


def test_likely_extents_are_those_of_a_first_click_and_coarser(source) -> None:
    extents = likely_extents(source.shape, SIZE)
    click = first_views([Click((65, 85))], source.shape, SIZE)
    assert click[0].extent == extents[-1]
    assert extents == sorted(extents, reverse=True)
    assert 45 in likely_extents(source.shape, SIZE, [28.0])
    zoomed = likely_extents(source.shape, SIZE, canvas_extent=40)
    assert zoomed[-1] < extents[-1]


@given(
    rows=st.integers(1, 300), cols=st.integers(1, 300), extent=st.sampled_from([16, 45, 64, 256])
)
def test_views_are_counted_without_making_them(rows, cols, extent) -> None:
    found = list(grid_views((rows, cols), extent, SIZE))
    assert count_views((rows, cols), extent, SIZE) == len(found) == len(set(found))


# Working them off


def test_a_plan_is_worked_off(source) -> None:
    plan, plans, preparer = plan_of(source), Plans(["a"]), Preparer()
    plans.put("a", plan)
    run(plans, preparer)
    assert plan.done == plan.encoded == plan.total == len(preparer.seen)
    assert plans.get("a") is None


def test_what_is_known_is_found_and_not_encoded(source) -> None:
    plan, plans = plan_of(source), Plans(["a"])
    first = next(grid_views(source.shape, 64, SIZE))
    preparer = Preparer(known=[(source.token, first)])
    plans.put("a", plan)
    run(plans, preparer)
    assert (plan.found, plan.encoded) == (1, plan.total - 1)


def test_more_wanted_plans_go_first_whenever_they_come(source) -> None:
    plans, preparer = Plans(["near", "far"]), Preparer()
    far, near = plan_of(source, 128), plan_of(source, 64)
    plans.put("far", far)
    preparer.may_go_on.clear()
    thread = threading.Thread(target=run, args=(plans, preparer))
    thread.start()
    assert preparer.at_work.wait(20)
    plans.put("near", near)
    preparer.may_go_on.set()
    thread.join(20)
    extents = [view.extent for view in preparer.seen]
    assert extents == [128] + [64] * near.total + [128] * (far.total - 1)


def test_planes_have_features_of_their_own() -> None:
    source, plans, preparer = ImageSource(VOLUME, axes="ZYX"), Plans(["a"]), Preparer()
    plan = plan_of(source, 256, [(0,), (2,)])
    plans.put("a", plan)
    run(plans, preparer)
    assert len(preparer.kept) == plan.total
    assert {token for token, _ in preparer.kept} == {source.at((0,)).token, source.at((2,)).token}


def test_memory_takes_as_many_views_as_there_is_room_for(source) -> None:
    plan, plans, preparer = plan_of(source), Plans(["a"]), Preparer(room=3)
    plans.put("a", plan)
    run(plans, preparer)
    assert len(preparer.seen) == 3 < plan.total


def test_views_that_fail_are_noted_and_many_end_the_plan(source) -> None:
    plan, plans, preparer = plan_of(source), Plans(["a"]), Preparer()
    preparer.broken = True
    plans.put("a", plan)
    run(plans, preparer)
    assert plan.failed == MOST_FAILURES
    assert plan.error == "the chunk is damaged"


def test_who_shuts_the_gate_waits_for_one_view_at_most(source) -> None:
    plan, plans, preparer, gate = plan_of(source), Plans(["a"]), Preparer(), Gate()
    plans.put("a", plan)
    preparer.may_go_on.clear()
    thread = threading.Thread(target=run, args=(plans, preparer, gate))
    thread.start()
    assert preparer.at_work.wait(20)
    gate.hold()  # the user needs the processor
    preparer.may_go_on.set()
    waiting = threading.Event()
    threading.Timer(0.05, waiting.set).start()
    assert waiting.wait(20)
    assert len(preparer.seen) == 1
    gate.release()
    thread.join(20)
    assert len(preparer.seen) == plan.total


def test_a_dropped_plan_ends_after_the_view_at_hand(source) -> None:
    plan, plans, preparer = plan_of(source), Plans(["a"]), Preparer()
    plans.put("a", plan)
    preparer.may_go_on.clear()
    thread = threading.Thread(target=run, args=(plans, preparer))
    thread.start()
    assert preparer.at_work.wait(20)
    plans.drop("a")
    preparer.may_go_on.set()
    thread.join(20)
    assert len(preparer.seen) == 1


def test_a_stopped_gate_sends_everybody_home(source) -> None:
    plans, gate, preparer = Plans(["a"]), Gate(), Preparer()
    plans.put("a", plan_of(source))
    gate.hold()
    thread = threading.Thread(target=run, args=(plans, preparer, gate))
    thread.start()
    gate.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert preparer.seen == []
    gate.stop(False)
    gate.release()
    run(plans, preparer, gate)
    assert preparer.seen
