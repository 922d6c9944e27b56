"""Objects divide and are lost, and the history and the journal know it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.errors import SessionError
from napari_pvpu.prompts import Click
from napari_pvpu.replay import apply
from pictures import new_session, seen

FRAMES, SHAPE = 8, (60, 80)


def cells() -> np.ndarray:
    """One cell in frames 0 to 3, two in frames 4 to 7."""
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    movie = np.full((FRAMES, *SHAPE), 20, np.uint8)
    for frame in range(FRAMES):
        places = [(30, 40, 10)] if frame < 4 else [(30, 28, 7), (30, 52, 7)]
        for row, col, radius in places:
            movie[frame][np.hypot(rows - row, cols - col) <= radius] = 200
    return movie


MOVIE = cells()


def divided():
    """A session in which object 1 has been carried, and 2 and 3 begin in frame 4."""
    session = new_session(MOVIE, axes="TYX")
    for frame, col in ((0, 40), (4, 28), (4, 52)):
        session.plane = frame
        session.add(Click((30, col)))
        session.accept()
    session.propagate(1, last=3)
    return session


def frames_of(session, object_id: int) -> list[int]:
    return np.flatnonzero((session.labels == object_id).any(axis=(1, 2))).tolist()


def test_daughters_go_on_under_ids_of_their_own() -> None:
    session = divided()
    before = seen(session)
    session.divide(1, [2, 3])
    assert session.parents == {2: 1, 3: 1}
    session.propagate(2)
    session.propagate(3)
    session.propagate(1)
    assert [frames_of(session, each) for each in (1, 2, 3)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [4, 5, 6, 7],
    ]
    while session.history[session.history_position - 1] != "Divide object 1 in frame 4":
        session.undo()
    session.undo()
    assert seen(session) == before


def test_parent_ends_with_the_division() -> None:
    session = divided()
    session.divide(1, [2, 3], frame=3)
    assert frames_of(session, 1) == [0, 1, 2]


def test_division_is_suggested_from_what_is_there() -> None:
    session = divided()
    assert session.suggested_division((4,)) == (1, (2, 3))
    with pytest.raises(SessionError, match="two objects that begin"):
        session.suggested_division((5,))


def test_ids_may_change_and_parents_with_them() -> None:
    session = divided()
    session.divide(1, [2, 3])
    session.relabel(1, 9)
    assert session.parents == {2: 9, 3: 9}
    session.unlink(2)
    assert session.parents == {3: 9}
    session.delete(9)
    assert session.parents == {}
    session.undo()
    assert session.parents == {3: 9}


def test_lost_object_does_not_come_back_by_itself() -> None:
    session = divided()
    session.lose(1, 2)
    assert frames_of(session, 1) == [0, 1]
    session.propagate(1)
    assert frames_of(session, 1) == [0, 1]


def test_all_of_it_is_done_again() -> None:
    session = divided()
    session.divide(1, [2, 3])
    session.lose(3, 6)
    session.unlink(2)
    again = new_session(MOVIE, axes="TYX")
    for operation in session.operations:
        apply(again, operation)
    assert seen(again) == seen(session)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param(lambda s: s.divide(1, [2]), "two others", id="one daughter"),
        pytest.param(lambda s: s.divide(1, [1, 2]), "two others", id="its own daughter"),
        pytest.param(lambda s: s.divide(1, [2, 3], frame=6), "already", id="daughter too early"),
        pytest.param(lambda s: s.divide(2, [1, 3]), "no annotated frame", id="nothing left"),
        pytest.param(lambda s: s.lose(1, 0), "no annotated frame", id="lost at once"),
        pytest.param(lambda s: s.unlink(1), "no parent", id="no parent"),
    ],
)
def test_what_makes_no_sense_is_told(call, words) -> None:
    session = divided()
    before = seen(session)
    with pytest.raises(SessionError, match=words):
        call(session)
    assert seen(session) == before


def test_stack_has_no_time() -> None:
    session = new_session(MOVIE, axes="ZYX")
    session.add(Click((30, 40)))
    session.accept()
    with pytest.raises(SessionError, match="time axis"):
        session.lose(1)
