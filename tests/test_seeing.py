"""Other channels and contrast: history stays, and only the object at work is looked at again."""

from __future__ import annotations

import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.errors import ImageError
from napari_pvpu.journal import Journal, read_journal
from napari_pvpu.prompts import Click
from napari_pvpu.replay import apply
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource

# Two channels with a square each; the second square is only in the second channel.
IMAGE = np.zeros((2, 3, 64, 64), np.uint8)
IMAGE[0, :, 8:24, 8:24] = 200
IMAGE[1, :, 36:52, 36:52] = 100
OPEN = {"axes": "CZYX", "channels": [0], "limits": (0, 255)}
SECOND = {"channels": [1], "limits": (0, 100)}


@pytest.fixture
def session():
    return Session(ImageSource(IMAGE, **OPEN), FloodPredictor(64))


def is_square(session) -> bool:
    """Tell whether the object is the second square; a smooth outline lacks its corners."""
    square = np.zeros((64, 64), bool)
    square[36:52, 36:52] = True
    return int((session.mask != square).sum()) <= 4


def test_objects_and_history_stay(session) -> None:
    session.add(Click((16, 16)))
    session.accept()
    labels = np.array(session.labels)
    session.see(**SECOND)
    np.testing.assert_array_equal(session.labels, labels)
    assert session.history == ("Click", "Accept object 1"), "without an object there is no step"
    session.add(Click((44, 44)))
    assert is_square(session), "seen in the second channel"
    for _ in range(3):
        session.undo()
    assert not session.labels.any()
    assert session.prompts == ()


def test_object_at_work_is_looked_at_again(session) -> None:
    session.add(Click((44, 44)))
    before = session.mask
    session.see(**SECOND)
    assert is_square(session)
    assert (before != session.mask).any()
    assert session.prompts == (Click((44, 44)),)
    assert session.history[-1] == "Image seen otherwise"
    session.undo()
    np.testing.assert_array_equal(session.mask, before)
    session.redo()
    assert is_square(session)


def test_paint_stays_where_it_is(session) -> None:
    session.add(Click((44, 44)))
    session.paint(np.zeros((2, 2), bool), offset=(40, 40))
    session.see(**SECOND)
    assert not session.mask[40:42, 40:42].any()
    assert session.mask[46, 46]


def test_mask_that_was_opened_is_not_looked_at(session) -> None:
    session.open_mask(np.ones((5, 7), bool), offset=(30, 3))
    session.see(**SECOND)
    assert session.mask.sum() == 35
    assert session.history == ("Open mask",)


def test_other_planes_follow_with_their_next_prompt(session) -> None:
    session.plane = (2,)
    session.add(Click((44, 44)))
    elsewhere = session.mask
    session.plane = (0,)
    session.see(**SECOND)
    session.plane = (2,)
    np.testing.assert_array_equal(session.mask, elsewhere)
    session.add(Click((45, 45)))
    assert session.mask[38:50, 38:50].all()


def test_prompt_asked_meanwhile_wins(session) -> None:
    session.add(Click((44, 44)))
    sight = session.compute_sight(session.request_sight(**SECOND))
    session.add(Click((16, 16)))
    mask = session.mask
    session.commit_sight(sight)
    np.testing.assert_array_equal(session.mask, mask)
    assert session.source.channels == (1,)


def test_settings_that_do_not_fit_change_nothing(session) -> None:
    session.add(Click((16, 16)))
    operations, mask = session.operations, session.mask
    with pytest.raises(ImageError, match="cannot use channels"):
        session.see(channels=[2])
    assert session.source.channels == (0,)
    assert session.operations == operations
    np.testing.assert_array_equal(session.mask, mask)


def test_same_settings_are_no_operation(session) -> None:
    session.add(Click((16, 16)))
    count = len(session.operations)
    session.see(channels=[0], limits=(0, 255))
    assert len(session.operations) == count


def test_session_file_repeats_it(session, tmp_path) -> None:
    Journal.create(tmp_path / "one", session, IMAGE)
    session.add(Click((44, 44)))
    session.see(**SECOND, gamma=0.5)
    session.add(Click((40, 40)))
    session.accept()
    session.journal.close()
    recorded = read_journal(tmp_path / "one")
    assert recorded.header["open"]["channels"] == [0]
    again = Session(ImageSource(IMAGE, **recorded.header["open"]), FloodPredictor(64))
    for operation in recorded.operations:
        apply(again, operation)
    np.testing.assert_array_equal(again.labels, session.labels)
    assert again.history == session.history
    assert again.source.gamma == 0.5


def test_file_begun_later_still_begins_with_the_first_look(session, tmp_path) -> None:
    session.see(**SECOND)
    Journal.create(tmp_path / "late", session, IMAGE)
    session.journal.close()
    header = read_journal(tmp_path / "late").header
    assert header["open"]["channels"] == [0]
    assert "channels=[0]" in session.to_python()
    assert "session.see(channels=[1]" in session.to_python()
