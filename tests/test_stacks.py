"""Objects are carried over planes in one step, ended, corrected, journaled and done again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.carrying import overlap
from napari_pvpu.errors import OverlapError, SessionError
from napari_pvpu.journal import Journal, read_journal
from napari_pvpu.operations import Operation
from napari_pvpu.prompts import Click
from napari_pvpu.replay import apply, replay
from napari_pvpu.scripts import to_python
from pictures import new_session, seen

PLANES, SHAPE = 12, (60, 80)
BEGIN, END = 2, 9
"""First and last plane of the ball."""


def ball() -> np.ndarray:
    """A ball that moves by a pixel a plane, from plane 2 to 9, in twelve planes."""
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full((PLANES, *SHAPE), 20, np.uint8)
    for z in range(BEGIN, END + 1):
        image[z][np.hypot(rows - 30, cols - 30 - z) <= 9 - 0.5 * abs(z - 5)] = 200
    return image


BALL = ball()


def at(z: int) -> Click:
    return Click((30, 30 + z))


def session_with(*planes: int, image: np.ndarray = BALL, axes: str = "ZYX"):
    """A session with the ball accepted in some planes, as object 1."""
    session = new_session(image, axes=axes)
    for number, z in enumerate(planes):
        session.plane = z
        session.add(at(z))
        session.accept_into(1) if number else session.accept()
    return session


def planes_of(session, object_id: int = 1) -> list[int]:
    return np.flatnonzero((session.labels == object_id).any(axis=(1, 2))).tolist()


def test_score_of_a_given_mask_is_unknown_when_it_becomes_part_of_an_object() -> None:
    session = session_with(5)
    session.plane = 6
    session.open_mask(BALL[6] > 100)
    session.accept_into(1)
    assert session.objects[1].score is None


def test_object_is_carried_to_where_it_ends_in_one_step() -> None:
    session = session_with(5)
    before = seen(session)
    region = session.propagate()
    assert planes_of(session) == list(range(BEGIN, END + 1))
    for z in range(BEGIN, END + 1):
        assert overlap(session.labels[z] == 1, BALL[z] > 100) > 0.8
    changed = {region.plane, *(each.plane for each in region.more)}
    assert changed == {(z,) for z in range(BEGIN, END + 1)}
    assert session.history[-1] == "Propagate object 1"
    confidences = session.confidences(1)
    assert list(confidences) == list(range(BEGIN, END + 1))
    assert confidences[5] is None, "the plane that was annotated"
    assert all(0.5 < confidences[z] <= 1 for z in confidences if z != 5)
    after = seen(session)
    session.undo()
    assert seen(session) == before
    session.redo()
    assert seen(session) == after


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        pytest.param({"first": 5}, [5, 6, 7, 8, 9], id="forward"),
        pytest.param({"last": 5}, [2, 3, 4, 5], id="back"),
        pytest.param({"first": 4, "last": 7}, [4, 5, 6, 7], id="range"),
        pytest.param({"first": 7, "last": 8}, [5, 7, 8], id="away from the annotated plane"),
    ],
)
def test_range_is_kept(options, wanted) -> None:
    session = session_with(5)
    session.propagate(**options)
    assert planes_of(session) == wanted


def test_planes_between_two_annotated_ones_are_filled_from_both() -> None:
    session = session_with(3, 8)
    session.propagate(1, first=3, last=8)
    assert planes_of(session) == [3, 4, 5, 6, 7, 8]
    assert [z for z, known in session.confidences(1).items() if known is None] == [3, 8]


def test_correction_of_a_plane_takes_hold_of_those_between() -> None:
    session = session_with(5)
    session.propagate()
    session.plane = 9
    session.open_object(1)
    session.paint(np.ones((6, 24), bool), offset=(27, 39))
    session.accept()
    assert session.confidences(1)[9] is None
    corrected = session.labels[5:10] == 1
    session.propagate(1)
    after = session.labels[5:10] == 1
    np.testing.assert_array_equal(after[[0, 4]], corrected[[0, 4]])
    gained = [int((after[z] & ~corrected[z]).sum()) for z in (1, 2, 3)]
    assert gained[2] >= gained[1] >= gained[0], "the nearer the more of it"
    assert gained[2] > 0


def test_object_ends_where_the_user_says() -> None:
    session = session_with(5)
    session.propagate()
    session.end_object(1, (8,))
    assert planes_of(session) == list(range(2, 8))
    session.propagate(1)
    assert planes_of(session) == list(range(2, 8)), "the word holds"
    session.end_object(1, (8,), on=False)
    session.propagate(1)
    assert planes_of(session) == list(range(2, 10))


def test_only_annotated_plane_is_not_taken_away() -> None:
    session = session_with(5)
    session.propagate()
    with pytest.raises(SessionError, match="alone"):
        session.end_object(1, (5,))
    assert planes_of(session) == list(range(2, 10))


def test_what_was_carried_is_made_anew_and_not_added_to() -> None:
    session = session_with(5)
    session.propagate(first=5)
    session.end_object(1, (7,))
    session.propagate(1, first=2)
    assert planes_of(session) == [2, 3, 4, 5, 6]


def test_cancelled_opening_leaves_a_plane_carried() -> None:
    session = session_with(5)
    session.propagate()
    for z in (6, 5):
        session.plane = z
        before = dict(session.objects)
        session.open_object(1)
        session.reset()
        assert dict(session.objects) == before


def test_edited_plane_counts_as_annotated() -> None:
    session = session_with(5)
    session.propagate()
    session.plane = 7
    session.grow(1, 1)
    assert session.confidences(1)[7] is None


def test_pixels_of_others_are_theirs_unless_the_rule_says_so() -> None:
    session = session_with(5)
    session.plane = 6
    session.open_mask(np.ones((10, 10), bool), offset=(28, 30))
    other = session.accept()
    with pytest.raises(OverlapError):
        session.propagate(1, overlap="ask")
    assert planes_of(session) == [5]
    session.propagate(1, overlap="keep")
    assert (session.labels[6, 28:38, 30:40] == other).all()
    session.undo()
    session.propagate(1, overlap="overwrite")
    assert overlap(session.labels[6] == 1, BALL[6] > 100) > 0.8


def test_work_that_is_stopped_keeps_what_was_done_and_is_done_so_again(tmp_path) -> None:
    session = session_with(5)
    journal = Journal.create(tmp_path / "a.pvpu", session, BALL)
    told = []

    def stop(found) -> bool:
        told.append(found)
        return len(told) < 2

    session.propagate(progress=stop)
    assert planes_of(session) == [5, 6, 7]
    journal.close()
    again = replay(read_journal(tmp_path / "a.pvpu"), BALL, FloodPredictor(64))
    assert seen(again) == seen(session)


def test_work_that_is_stopped_between_two_annotated_planes_changes_nothing() -> None:
    session = session_with(3, 8)
    before, count = seen(session), len(session.operations)
    session.propagate(1, progress=lambda found: False)
    assert seen(session) == before
    assert len(session.operations) == count


def test_answer_about_what_has_changed_is_refused() -> None:
    session = session_with(5)
    request = session.propagation(1)
    answer = session.compute_propagation(request)
    session.grow(1, 1)
    with pytest.raises(SessionError, match="changed"):
        session.commit_propagation(answer)


def test_journal_and_script_come_to_the_same() -> None:
    session = session_with(3, 8)
    session.propagate(1)
    session.end_object(1, (9,))
    session.undo()
    session.plane = 8
    session.open_object(1)
    session.add(Click((30, 10), False))
    session.accept()
    session.propagate(1, first=4, last=9, overlap="overwrite")
    again = new_session(BALL, axes="ZYX")
    for operation in session.operations:
        apply(again, Operation.from_json(json.loads(json.dumps(operation.to_json()))))
        assert again.operations[-1].result == operation.result
    assert seen(again) == seen(session)
    script = to_python(session)
    assert "session.propagate(object_id=1, axis='Z', first=4, last=9" in script
    compile(script, "script", "exec")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param(lambda s: s.propagate(9), "no object 9", id="no such object"),
        pytest.param(lambda s: s.propagate(1, axis="T"), "no plane axis", id="no such axis"),
        pytest.param(lambda s: s.propagate(1, first=8, last=3), "range 8 to 3", id="range"),
        pytest.param(lambda s: s.propagate(1, last=99), "planes 0 to 11", id="beyond"),
        pytest.param(lambda s: s.propagate(1, threshold=2), "between 0 and 1", id="threshold"),
        pytest.param(lambda s: s.accept_into(1), "no object to accept", id="nothing to accept"),
        pytest.param(lambda s: s.end_object(1, (50,)), "no plane", id="no such plane"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(call, words) -> None:
    session = session_with(5)
    before = seen(session)
    with pytest.raises(SessionError, match=words):
        call(session)
    assert seen(session) == before


def test_image_of_one_plane_has_nothing_to_carry_to() -> None:
    session = new_session()
    session.add(Click((35, 40)))
    session.accept()
    with pytest.raises(SessionError, match="one plane"):
        session.propagate()


def test_line_runs_through_the_plane_at_work() -> None:
    movie = np.stack([BALL, BALL[::-1]])
    session = new_session(movie, axes="TZYX")
    session.plane = (1, 6)
    session.add(Click((30, 35)))
    session.accept()
    session.propagate()
    assert not session.labels[0].any()
    assert np.flatnonzero(session.labels[1].any(axis=(1, 2))).tolist() == list(range(2, 10))
    with pytest.raises(SessionError, match="no annotated plane"):
        session.propagate(1, plane=(0, 6))
    session.propagate(1, axis="T")
    assert session.labels[0, 6].any()
