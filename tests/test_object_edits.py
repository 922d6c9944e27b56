"""Accepted objects are edited one step at a time, and never at the cost of others unasked."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.errors import OverlapError, PromptError, SessionError
from napari_pvpu.prompts import Box, Click, Scribble
from pictures import CENTERS, DISKS, IMAGE, SHAPE, new_session, seen, volume_session

FIRST = np.zeros(SHAPE, np.uint16)
FIRST[10:30, 10:40] = 1
FIRST[18:22, 20:24] = 0  # a hole
FIRST[30:50, 10:40] = 2
FIRST[60:63, 60:63] = 2  # a part on its own
FIRST[100:120, 100:120] = 7


def edited():
    session = new_session()
    session.adopt(FIRST)
    return session


def boxes_are_right(session):
    for object_id, record in session.objects.items():
        for plane, box in record.boxes.items():
            rows, cols = np.nonzero(session.labels[plane] == object_id)
            assert box == (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1)
    assert set(np.unique(session.labels)) - {0} == set(session.objects)


EDITS = {
    "delete": lambda session: session.delete(2),
    "relabel": lambda session: session.relabel(2, 9),
    "merge": lambda session: session.merge([7, 1]),
    "split": lambda session: session.split(1, [Scribble([(5, 25), (35, 25)])]),
    "fill": lambda session: session.fill_holes(1),
    "smooth": lambda session: session.smooth(1, 3),
    "grow": lambda session: session.grow(1, 4),
    "shrink": lambda session: session.shrink(1, 2),
    "small": lambda session: session.remove_small(2, 20),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_every_edit_is_one_step_that_can_be_undone(edit):
    session = edited()
    session.add(Click(CENTERS["faint"]))
    position, before = session.history_position, seen(session)
    edit(session)
    after = seen(session)
    assert session.history_position == position + 1
    assert not np.array_equal(session.labels, FIRST)
    assert session.prompts, "the object at work is not touched"
    boxes_are_right(session)
    region = session.last_change
    assert np.array_equal(region.labels, session.labels[region.slices])
    outside = np.ones(SHAPE, bool)
    outside[region.slices] = False
    assert np.array_equal(session.labels[outside], FIRST[outside])
    session.undo()
    assert seen(session) == before
    session.redo()
    assert seen(session) == after


@pytest.mark.parametrize("name", set(EDITS) - {"delete", "relabel", "merge", "small"})
def test_edits_leave_other_objects_alone(name):
    session = edited()
    EDITS[name](session)
    for other in (2, 7):
        assert np.array_equal(session.labels == other, FIRST == other)


def test_merging_gives_the_first_id_all_pixels():
    session = edited()
    assert session.merge([7, 1, 7]) == 7
    assert np.array_equal(session.labels == 7, (FIRST == 1) | (FIRST == 7))
    assert set(session.objects) == {2, 7}
    assert session.objects[7].score is None


def test_merged_prompts_are_those_of_all():
    session = new_session()
    for name in ("bright", "grey"):
        session.add(Click(CENTERS[name]))
        session.accept()
    session.merge([2, 1])
    assert session.objects[2].prompts == (Click(CENTERS["grey"]), Click(CENTERS["bright"]))


def test_splitting_keeps_the_id_for_the_largest_piece():
    session = edited()
    assert session.split(1, [Scribble([(5, 14), (35, 14)])]) == (1, 8)
    assert (session.labels == 1).sum() > (session.labels == 8).sum() > 0
    assert np.array_equal(np.isin(session.labels, (1, 8)), FIRST == 1)


def test_relabelling_keeps_what_is_known():
    session = new_session()
    session.add(Click(CENTERS["bright"]))
    session.accept()
    record = session.objects[1]
    session.relabel(1, 4)
    assert session.objects == {4: record}
    session.add(Click(CENTERS["grey"]))
    assert session.accept() == 5


@pytest.mark.parametrize(
    ("rule", "gained"), [("keep", False), ("overwrite", True)], ids=["keep", "overwrite"]
)
def test_growing_goes_by_the_overlap_rule(rule, gained):
    session = edited()
    session.overlap = rule
    session.grow(1, 3)
    assert ((session.labels == 1) & (FIRST == 2)).any() == gained
    boxes_are_right(session)


def test_asking_tells_whose_pixels_are_wanted_and_changes_nothing():
    session = edited()
    session.overlap = "ask"
    with pytest.raises(OverlapError, match=r"60 of object 2.*overlap='overwrite'") as caught:
        session.grow(1, 2)
    assert caught.value.object_id == 1
    assert caught.value.contested == {2: 60}
    assert np.array_equal(session.labels, FIRST)
    assert session.history == ()
    session.grow(1, 2, overlap="keep")
    assert np.array_equal(session.labels == 2, FIRST == 2)


def test_accepting_goes_by_the_overlap_rule():
    session = edited()
    session.overlap = "ask"
    session.set_prompts([Box((20, 20), (45, 60))])
    with pytest.raises(OverlapError, match="of object 1"):
        session.accept()
    assert session.prompts
    mask = session.mask
    assert session.accept(overlap="overwrite") == 8
    assert np.array_equal(session.labels == 8, mask)
    boxes_are_right(session)
    session.undo()
    assert np.array_equal(session.labels, FIRST)
    boxes_are_right(session)


def test_an_object_that_is_overwritten_wholly_is_gone():
    session = edited()
    session.set_prompts([Box((98, 98), (122, 122))])
    session.accept(overlap="overwrite")
    assert set(session.objects) == {1, 2, 8}
    session.undo()
    assert set(session.objects) == {1, 2, 7}


BAD = {
    "unknown": (lambda s: s.delete(5), "no object 5; objects are: 1, 2, 7"),
    "none-left": (lambda s: s.shrink(1, 50), "nothing would be left of object 1"),
    "all-small": (lambda s: s.remove_small(7, 10_000), "nothing would be left"),
    "taken": (lambda s: s.relabel(1, 2), "already"),
    "id-zero": (lambda s: s.relabel(1, 0), "ids run from 1 to 65535"),
    "id-huge": (lambda s: s.relabel(1, 70_000), "ids run from 1 to 65535"),
    "id-text": (lambda s: s.relabel(1, "x"), "whole number"),
    "merge-one": (lambda s: s.merge([1, 1]), "two different objects"),
    "no-radius": (lambda s: s.smooth(1, 0), "positive"),
    "nan": (lambda s: s.grow(1, float("nan")), "positive"),
    "text": (lambda s: s.grow(1, "2"), "has to be a number"),
    "endless": (lambda s: s.grow(1, float("inf")), "finite"),
    "rule": (lambda s: s.grow(1, 1, overlap="maybe"), "'keep', 'overwrite' or 'ask'"),
    "no-cut": (lambda s: s.split(1, [Scribble([(0, 0), (5, 5)])]), "right across"),
}


@pytest.mark.parametrize(("edit", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_done_is_refused_and_changes_nothing(edit, message):
    session = edited()
    before = seen(session)
    with pytest.raises(SessionError, match=message):
        edit(session)
    assert seen(session) == before
    assert len(session.operations) == 1


@pytest.mark.parametrize("strokes", [[], [Box((0, 0), (5, 5))]], ids=["nothing", "a-box"])
def test_objects_are_split_by_strokes_only(strokes):
    with pytest.raises(PromptError, match="scribbles and clicks"):
        edited().split(1, strokes)


def test_what_changes_nothing_is_no_step():
    session = edited()
    assert session.fill_holes(7).mask.size == 0
    assert session.history == ()


def test_ids_that_run_out_are_told_and_gaps_are_used():
    full = np.zeros(SHAPE, np.uint16)
    full[0, 0] = np.iinfo(np.uint16).max
    session = new_session()
    session.adopt(full)
    session.add(Click(CENTERS["grey"]))
    assert session.accept() == 1


def test_objects_of_several_planes_go_as_a_whole():
    session = volume_session()
    labels = np.zeros((3, *SHAPE), np.int64)
    labels[0, 5:9, 5:9] = labels[2, 50:60, 50:60] = 3
    labels[1, 5:9, 5:9] = 4
    session.adopt(labels)
    assert session.objects[3].boxes == {(0,): (5, 5, 9, 9), (2,): (50, 50, 60, 60)}
    session.plane = 1
    region = session.delete(3)
    assert set(session.objects) == {4}
    assert {region.plane, *(each.plane for each in region.more)} == {(0,), (2,)}
    with pytest.raises(SessionError, match="there is no object 3"):
        session.grow(3, 1)
    assert session.undo().plane == session.plane == (0,)
    assert np.array_equal(session.labels, labels)
    session.plane = (2,)
    session.merge([3, 4])
    assert session.objects[3].boxes.keys() == {(0,), (1,), (2,)}
    boxes_are_right(session)
    session.undo()
    assert np.array_equal(session.labels, labels)


def test_outlines_are_edited_in_the_plane_at_work():
    session = volume_session()
    labels = np.zeros((3, *SHAPE), np.uint8)
    labels[0, 50:60, 50:60] = labels[2, 50:60, 50:60] = 3
    session.adopt(labels)
    session.plane = (2,)
    session.grow(3, 2)
    assert np.array_equal(session.labels[0], labels[0])
    assert (session.labels[2] == 3).sum() > 100
    boxes_are_right(session)
    session.plane = (1,)
    with pytest.raises(SessionError, match=r"no pixel in plane \(1,\); go to \(0,\) or \(2,\)"):
        session.grow(3, 2)


def test_masks_of_the_network_can_be_edited():
    session = new_session()
    session.add(Click(CENTERS["grey"]))
    object_id = session.accept()
    session.grow(object_id, 3)
    assert (session.labels[DISKS["grey"]] == object_id).mean() == 1
    assert (session.labels == object_id).sum() > 1.15 * DISKS["grey"].sum()
    assert IMAGE.shape == session.labels.shape
