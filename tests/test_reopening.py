"""Masks that are there already are taken up, shown as they are, and corrected from there."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.errors import PromptError, SessionError
from napari_pvpu.prompts import Box, Click, PriorMask, Scribble
from pictures import CENTERS, DISKS, IMAGE, SHAPE, new_session, seen, volume_session

# An object that no network would find: the grey disk's left half with a ragged edge.
HALF = DISKS["grey"].copy()
HALF[:, 110:] = False
HALF[80:100:2, 110:113] = True
ADOPTED = np.where(HALF, 5, 0) + np.where(DISKS["bright"], 2, 0)


def adopted(em=False):
    session = new_session()
    session.adopt(ADOPTED)
    session.value_propagation = em
    return session


def test_adopted_labels_are_there_as_they_were():
    session = adopted()
    assert np.array_equal(session.labels, ADOPTED)
    assert list(session.objects) == [2, 5]
    assert session.objects[5].score is None
    assert session.objects[5].prompts == ()
    assert session.history == ()
    session.add(Click(CENTERS["faint"]))
    assert session.accept() == 6


@pytest.mark.parametrize("before", ["add", "accept", "undone", "adopt"])
def test_labels_are_adopted_at_the_beginning_only(before):
    session = adopted() if before == "adopt" else new_session()
    if before != "adopt":
        session.add(Click(CENTERS["bright"]))
    if before == "accept":
        session.accept()
    if before == "undone":
        session.undo()
    with pytest.raises(SessionError, match="when a session begins"):
        session.adopt(ADOPTED)


@pytest.mark.parametrize("em", [False, True], ids=["plain", "em"])
def test_an_opened_object_is_shown_pixel_for_pixel(em):
    session = adopted(em)
    region = session.open_object(5)
    assert session.opened == 5
    assert np.array_equal(session.mask, HALF)
    assert not (session.labels == 5).any()
    assert 5 not in session.objects
    assert np.array_equal(region.mask, HALF[region.slices])
    assert session._predictor.decoded == []
    (prior,) = session.prompts
    assert isinstance(prior, PriorMask)
    assert session.score is None


def test_accepting_what_was_opened_changes_nothing():
    session = adopted()
    session.open_object(5)
    assert session.accept() == 5
    assert np.array_equal(session.labels, ADOPTED)
    assert session.history == ("Open object 5", "Accept object 5")
    session.go_to(0)
    assert np.array_equal(session.labels, ADOPTED)
    assert list(session.objects) == [2, 5]


def test_a_correction_changes_the_mask_only_where_the_network_changed_its_mind():
    session = adopted()
    session.open_object(5)
    session.add(Click((90, 125)))
    corrected = session.mask
    assert corrected[90, 125]
    assert (corrected >= HALF).all()
    far = np.zeros(SHAPE, bool)
    far[:, :95] = True
    assert np.array_equal(corrected & far, HALF & far)
    assert session.accept() == 5
    assert np.array_equal(session.labels == 5, corrected)
    session.open_object(5)
    assert session.prompts[1:] == (Click((90, 125)),), "prompts return"
    assert np.array_equal(session.mask, corrected)


def test_removing_the_correction_gives_the_mask_back():
    session = adopted()
    session.open_object(5)
    session.add(Click((90, 125)))
    session.set_prompts(session.prompts[:1])
    assert np.array_equal(session.mask, HALF)


@pytest.mark.parametrize("way", ["reset", "cancel", "undo"])
def test_leaving_an_opened_object_puts_it_back(way):
    session = adopted()
    objects = dict(session.objects)
    session.open_object(5)
    if way != "undo":
        session.add(Click((90, 125)))
    getattr(session, way)()
    assert np.array_equal(session.labels, ADOPTED)
    assert dict(session.objects) == objects
    assert session.opened is None
    assert session.prompts == ()
    if way != "undo":
        session.undo()
        assert session.opened == 5
        assert not (session.labels == 5).any()


def test_our_own_objects_open_with_their_prompts_and_keep_score():
    session = new_session()
    prompts = (Click(CENTERS["grey"]), Scribble([(5, 5), (5, 9)], False))
    session.set_prompts(prompts)
    session.accept()
    record = session.objects[1]
    session.open_object(1)
    assert session.prompts[1:] == prompts
    assert session.score == record.score
    session.cancel()
    assert session.objects[1] == record


def test_pixels_that_others_took_meanwhile_stay_theirs():
    session = adopted()
    session.open_object(5)
    session.grow(2, 60)
    taken = (session.labels == 2) & HALF
    assert taken.any()
    session.cancel()
    assert np.array_equal(session.labels == 5, HALF & ~taken)
    assert session.objects[5].box[1] > np.flatnonzero(HALF.any(axis=0))[0]


@pytest.mark.parametrize("edit", ["delete", "open_object"])
def test_an_open_object_is_not_edited(edit):
    session = volume_session()
    labels = np.zeros((3, *SHAPE), int)
    labels[:, 10:20, 10:20] = 1
    session.adopt(labels)
    session.open_object(1)
    session.plane = (1,)
    with pytest.raises(SessionError, match="object 1 is open for correction"):
        getattr(session, edit)(1)


def test_one_plane_of_an_object_is_opened_at_a_time():
    session = volume_session()
    labels = np.zeros((3, *SHAPE), int)
    labels[:, 10:20, 10:20] = 1
    session.adopt(labels)
    session.plane = (1,)
    record = session.objects[1]
    session.open_object(1)
    assert session.objects[1].boxes.keys() == {(0,), (2,)}
    session.cancel()
    assert session.objects[1] == record
    session.open_object(1)
    session.paint(np.ones((4, 4), bool), offset=(30, 30))
    session.accept()
    assert session.objects[1].boxes == {**record.boxes, (1,): (10, 10, 34, 34)}
    assert np.array_equal(session.labels[0], labels[0])


@pytest.mark.parametrize("opening", ["open_object", "open_mask"])
def test_one_object_at_a_time(opening):
    session = adopted()
    session.add(Click(CENTERS["faint"]))
    with pytest.raises(SessionError, match="at work"):
        session.open_object(5) if opening == "open_object" else session.open_mask(HALF)


def test_a_mask_from_elsewhere_gets_the_id_that_is_wanted():
    session = new_session()
    session.open_mask(HALF[60:120, 70:130], 42, offset=(60, 70))
    assert np.array_equal(session.mask, HALF)
    assert session.accept() == 42
    assert np.array_equal(session.labels, np.where(HALF, 42, 0))
    session.undo()
    session.reset()
    assert not session.labels.any()
    session.open_mask(HALF)
    assert session.accept() == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        pytest.param((HALF, 2), SessionError, "already", id="taken"),
        pytest.param((HALF * 1.0,), PromptError, "array of bool", id="floats"),
        pytest.param((HALF[0],), PromptError, "two-dimensional", id="a-line"),
        pytest.param((HALF & False,), PromptError, "marks no pixel", id="empty"),
    ],
)
def test_other_masks_are_refused(arguments, error, message):
    session = adopted()
    before = seen(session)
    with pytest.raises(error, match=message):
        session.open_mask(*arguments)
    assert seen(session) == before


def test_masks_beyond_the_image_are_cut():
    session = new_session()
    session.open_mask(np.ones((20, 20), bool), offset=(-10, 160))
    assert session.mask.sum() == 100
    with pytest.raises(PromptError, match="outside the image"):
        new_session().open_mask(np.ones((2, 2), bool), offset=(500, 0))


# Painting


def painted_over(session, rows, cols, value):
    region = session.mask[rows, cols]
    region[:] = value
    return session.paint(region, offset=(rows.start, cols.start))


def test_paint_holds_against_the_network_and_is_accepted():
    session = new_session()
    session.add(Click(CENTERS["grey"]))
    found = session.mask
    painted_over(session, slice(0, 4), slice(0, 6), True)
    painted_over(session, slice(88, 92), slice(108, 112), False)
    wanted = found.copy()
    wanted[:4, :6], wanted[88:92, 108:112] = True, False
    assert np.array_equal(session.mask, wanted)
    session.add(Click((90, 120)))
    session.value_propagation = True
    session.value_propagation = False
    session.threshold = 0.6
    session.min_size = 100
    assert session.mask[:4, :6].all()
    assert not session.mask[88:92, 108:112].any()
    assert session.history[1:3] == ("Paint", "Erase")
    session.accept()
    assert (session.labels[:4, :6] == 1).all()
    assert not session.labels[88:92, 108:112].any()
    session.open_object(1)
    session.add(Click((91, 125)))
    assert session.mask[:4, :6].all(), "paint is known when the object is opened again"
    assert not session.mask[88:92, 108:112].any()


def test_the_network_is_told_what_was_painted():
    session = new_session()
    session.add(Click(CENTERS["bright"]))
    session.paint(np.ones((6, 6), bool), offset=(20, 60))
    session._predictor.decoded.clear()
    fed = []
    decode = session._predictor.decode

    def listening(features, prompts, previous, propagation):
        fed.append(previous)
        return decode(features, prompts, previous, propagation)

    session._predictor.decode = listening
    session.set_prompts([Click((36, 41))])  # from the start, so that nothing else is fed
    row, col = np.rint(session.view.to_view((22, 62))).astype(int)
    assert fed[0][row, col] == 1
    assert fed[0][tuple(np.rint(session.view.to_view((36, 41))).astype(int))] == 0


def test_only_what_the_brush_touched_is_kept():
    session = new_session()
    session.add(Click(CENTERS["bright"]))
    whole = session.mask
    whole[60:62, 60:70] = True
    session.paint(whole)
    assert session.operations[-1].values["mask"].shape == (2, 10)
    assert session._current.paint.box == (60, 60, 62, 70)
    assert np.array_equal(session.mask, whole)


def test_painting_begins_an_object():
    session = new_session()
    session.paint(np.ones((5, 5), bool), offset=(80, 90))
    assert session.mask.sum() == 25
    session.add(Click(CENTERS["grey"]))
    assert session.mask[80:85, 90:95].all()
    assert session.mask.sum() > 1000
    assert session.accept() == 1


def test_erasing_everything_leaves_an_object_that_can_be_painted_again():
    session = new_session()
    session.paint(np.ones((5, 5), bool), offset=(80, 90))
    session.paint(np.zeros((5, 5), bool), offset=(80, 90))
    assert not session.mask.any()
    with pytest.raises(SessionError, match="no object to accept"):
        session.accept()
    session.paint(np.ones((1, 1), bool), offset=(82, 92))
    assert np.argwhere(session.mask).tolist() == [[82, 92]]


def test_paint_that_changes_nothing_is_no_step():
    session = new_session()
    session.add(Click(CENTERS["bright"]))
    session.paint(session.mask)
    assert session.history == ("Click",)
    assert not session.painted.any()


def test_each_stroke_of_the_brush_can_be_undone():
    session = new_session()
    session.add(Click(CENTERS["bright"]))
    states = [seen(session)]
    for row in (60, 61, 59):
        session.paint(np.ones((1, 9), bool), offset=(row, 20))
        states.append(seen(session))
    for state in reversed(states[:-1]):
        session.undo()
        assert seen(session) == state


def test_painting_while_the_network_is_at_work_loses_neither():
    session = new_session()
    session.add(Click(CENTERS["grey"]))
    answer = session.compute(session.request([*session.prompts, Click((90, 125))]))
    session.paint(np.ones((3, 3), bool), offset=(2, 2))
    assert session.commit(answer) is not None
    assert len(session.prompts) == 2
    assert session.mask[2:5, 2:5].all()
    session.undo()
    assert len(session.prompts) == 1
    assert session.mask[2:5, 2:5].all()


@pytest.mark.parametrize(
    ("mask", "offset", "message"),
    [
        pytest.param(np.ones((2, 2)), (0, 0), "array of bool", id="floats"),
        pytest.param(np.ones((2, 2), bool), (-5, 0), "outside the image", id="outside"),
        pytest.param(np.ones(2, bool), (0, 0), "two-dimensional", id="a-line"),
    ],
)
def test_other_paint_is_refused(mask, offset, message):
    session = new_session()
    with pytest.raises(PromptError, match=message):
        session.paint(mask, offset=offset)
    assert session.history == ()


def test_paint_over_the_rim_is_cut():
    session = new_session()
    session.paint(np.ones((4, 4), bool), offset=(-2, -2))
    assert session.mask.sum() == 4


def test_an_adopted_object_can_be_boxed_beside():
    session = adopted()
    session.add(Box((20, 120), (40, 140)))
    assert session.accept() == 6
    assert np.array_equal(session.labels == 5, HALF)
    assert IMAGE.shape == session.shape
