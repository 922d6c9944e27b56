"""What is painted into the labels by hand is a step like any other, and what it shows is so."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.errors import SessionError
from napari_pvpu.journal import Journal, read_journal
from napari_pvpu.prompt_history import read_session
from napari_pvpu.prompts import Click
from napari_pvpu.replay import replay
from pictures import CENTERS, IMAGE, new_session, seen, volume_session

FIRST = np.zeros(IMAGE.shape[:2], np.uint16)
FIRST[10:30, 10:40] = 1
FIRST[30:50, 10:40] = 2


@pytest.fixture
def session():
    session = new_session()
    session.adopt(FIRST)
    return session


def boxes_are_right(session) -> None:
    for object_id, record in session.objects.items():
        for plane, box in record.boxes.items():
            rows, cols = np.nonzero(session.labels[plane] == object_id)
            assert box == (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1)
    assert set(np.unique(session.labels)) - {0} == set(session.objects)


def block(object_id: int, height: int = 6, width: int = 6) -> np.ndarray:
    return np.full((height, width), object_id, np.uint16)


@pytest.mark.parametrize(
    ("labels", "offset", "title", "ids"),
    [
        pytest.param(block(1), (60, 60), "Paint object 1", {1, 2}, id="more of one"),
        pytest.param(block(9), (60, 60), "Paint object 9", {1, 2, 9}, id="a new one"),
        pytest.param(block(1), (28, 20), "Paint object 1", {1, 2}, id="over another"),
        pytest.param(block(0), (12, 12), "Erase object 1", {1, 2}, id="a hole"),
        pytest.param(block(0), (28, 20), "Erase objects", {1, 2}, id="of both"),
        pytest.param(block(0, 20, 30), (10, 10), "Erase object 1", {2}, id="all of one"),
        pytest.param(block(2, 20, 30), (10, 10), "Paint object 2", {2}, id="all of one, over"),
        pytest.param(np.array([[3, 4]]), (0, 0), "Paint objects", {1, 2, 3, 4}, id="two"),
    ],
)
def test_it_is_one_step(session, labels, offset, title, ids) -> None:
    before = seen(session)
    session.paint_labels(labels, offset=offset)
    wanted = FIRST.copy()
    wanted[offset[0] : offset[0] + labels.shape[0], offset[1] : offset[1] + labels.shape[1]] = (
        labels
    )
    np.testing.assert_array_equal(session.labels, wanted)
    assert session.history == (title,)
    assert set(session.objects) == ids
    boxes_are_right(session)
    session.undo()
    assert seen(session) == before
    session.redo()
    np.testing.assert_array_equal(session.labels, wanted)


def test_the_rule_for_overlaps_does_not_hold_for_what_is_seen(session) -> None:
    session.overlap = "ask"
    session.paint_labels(block(1), offset=(32, 20))
    assert (session.labels[32:38, 20:26] == 1).all()


def test_nothing_new_is_no_step(session) -> None:
    operations = len(session.operations)
    session.paint_labels(FIRST)
    assert session.history == ()
    assert len(session.operations) == operations


def test_the_object_at_work_stays(session) -> None:
    session.add(Click(CENTERS["faint"]))
    mask = session.mask
    session.paint_labels(block(5), offset=(60, 60))
    np.testing.assert_array_equal(session.mask, mask)
    assert session.accept() == 6


def test_what_is_open_for_correction_is_not_painted(session) -> None:
    session.open_object(2)
    with pytest.raises(SessionError, match="object 2 is open for correction"):
        session.paint_labels(block(2), offset=(60, 60))
    session.paint_labels(block(7), offset=(32, 12))
    session.reset()
    assert (session.labels[32:38, 12:18] == 7).all(), "which was somebody else's by then"
    boxes_are_right(session)


def test_opened_again_it_is_as_it_was_painted(session) -> None:
    session.paint_labels(block(1), offset=(60, 60))
    session.open_object(1)
    assert session.mask[60:66, 60:66].all()
    session.accept()
    assert (session.labels[60:66, 60:66] == 1).all()


@pytest.mark.parametrize(
    ("labels", "offset", "told"),
    [
        pytest.param(block(1).astype(float), (0, 0), "integers", id="fractions"),
        pytest.param(block(1).astype(int) * -1, (0, 0), "from -1 to -1", id="negative"),
        pytest.param(np.full((2, 2), 70_000), (0, 0), "ids from 1 to 65535", id="too large"),
        pytest.param(block(1), (-1, 0), "do not lie within", id="before the image"),
        pytest.param(block(1), (0, IMAGE.shape[1] - 5), "do not lie within", id="beyond it"),
        pytest.param(block(1)[None], (0, 0, 0), "do not lie within", id="another plane"),
        pytest.param(block(1)[:0], (0, 0), "do not lie within", id="nothing"),
    ],
)
def test_what_cannot_be_is_refused(session, labels, offset, told) -> None:
    with pytest.raises(SessionError, match=told):
        session.paint_labels(labels, offset=offset)
    np.testing.assert_array_equal(session.labels, FIRST)


def test_several_planes_are_one_step() -> None:
    session = volume_session()
    ball = np.zeros((3, 5, 5), np.uint16)
    ball[1], ball[:, 1:4, 1:4] = 4, 4
    session.paint_labels(ball, offset=(0, 20, 30))
    np.testing.assert_array_equal(session.labels[:3, 20:25, 30:35], ball)
    assert session.history == ("Paint object 4",)
    assert set(session.objects[4].boxes) == {(0,), (1,), (2,)}
    boxes_are_right(session)
    session.plane = 1
    session.paint_labels(block(0, 5, 5), offset=(20, 30))
    assert set(session.objects[4].boxes) == {(0,), (2,)}
    session.undo()
    session.undo()
    assert not session.objects
    assert not session.labels.any()


def test_a_replay_comes_to_the_same(session, tmp_path) -> None:
    session = new_session()
    journal = Journal.create(tmp_path / "session.pvpu", session, IMAGE)
    session.add(Click(CENTERS["faint"]))
    session.accept()
    session.paint_labels(block(3), offset=(2, 2))
    session.paint_labels(np.zeros_like(FIRST), offset=(0, 0))
    session.undo()
    session.paint_labels(block(0), offset=(2, 2))
    journal.close()
    again = replay(read_journal(journal.path), IMAGE, session.predictor, exact=True)
    np.testing.assert_array_equal(again.labels, session.labels)
    assert again.objects == session.objects
    assert again.history == session.history
    assert [each.name for each in read_session(journal.path).objects] == ["1"]


def test_prompts_of_an_object_painted_away_are_gone(tmp_path) -> None:
    session = new_session()
    journal = Journal.create(tmp_path / "session.pvpu", session, IMAGE)
    session.add(Click(CENTERS["faint"]))
    session.accept()
    session.paint_labels(np.zeros_like(FIRST))
    journal.close()
    assert read_session(journal.path).objects == []
