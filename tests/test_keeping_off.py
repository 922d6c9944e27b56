"""Objects keep off what another labelling has given away."""

from __future__ import annotations

import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.errors import SessionError
from napari_pvpu.replay import apply
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource

IMAGE = np.arange(400, dtype=np.uint16).reshape(20, 20)
LEFT = np.zeros((20, 20), np.int32)
LEFT[:, :10] = 5
BAR = np.ones((4, 10), bool)  # columns 5 to 14 of four rows


@pytest.fixture
def session():
    session = Session(ImageSource(IMAGE), FloodPredictor(64))
    session.keep_off(LEFT)
    return session


def accept_bar(session, row: int, **options) -> int:
    session.open_mask(BAR, offset=(row, 5))
    return session.accept(**options)


@pytest.mark.parametrize("rule", ["keep", "overwrite", "ask"])
def test_accepted_object_leaves_them_out_by_any_rule(session, rule) -> None:
    accept_bar(session, 2, overlap=rule)
    assert not session.labels[:, :10].any()
    assert (session.labels[2:6, 10:15] == 1).all()


def test_object_wholly_on_them_cannot_be_accepted(session) -> None:
    session.open_mask(np.ones((3, 3), bool), offset=(1, 1))
    with pytest.raises(SessionError):
        session.accept()
    assert session.mask.sum() == 9, "it is still there"


def test_edits_gain_none_of_them(session) -> None:
    accept_bar(session, 8)
    session.grow(1, 2)
    assert not session.labels[:, :10].any()
    assert session.labels[7, 12] == 1


def test_pixels_that_an_object_has_stay_its(session) -> None:
    session.keep_off(None)
    accept_bar(session, 2)
    session.keep_off(LEFT)
    session.grow(1, 1)
    assert (session.labels[2:6, 5:10] == 1).all()
    assert not session.labels[1, 5:9].any()
    session.open_object(1)
    session.reset()
    assert (session.labels[2:6, 5:10] == 1).all()
    session.open_object(1)
    assert session.accept() == 1
    assert (session.labels[2:6, 5:10] == 1).all()


def test_ended_with_none(session) -> None:
    assert session.keeps_off
    session.keep_off(None)
    assert not session.keeps_off
    accept_bar(session, 2)
    assert (session.labels == 1).sum() == 40


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        pytest.param(np.zeros((20, 21), int), "do not fit", id="shape"),
        pytest.param(np.zeros((20, 20)), "float64", id="dtype"),
    ],
)
def test_what_does_not_fit_is_refused(session, labels, match) -> None:
    with pytest.raises(SessionError, match=match):
        session.keep_off(labels)
    assert session.keeps_off


def test_replay_comes_to_the_same(session) -> None:
    accept_bar(session, 2)
    again = Session(ImageSource(IMAGE), FloodPredictor(64))
    for operation in session.operations:
        apply(again, operation)
    np.testing.assert_array_equal(again.labels, session.labels)


def test_every_plane_has_its_own() -> None:
    session = Session(ImageSource(np.stack([IMAGE, IMAGE]), axes="ZYX"), FloodPredictor(64))
    session.keep_off(np.stack([LEFT, np.zeros_like(LEFT)]))
    session.plane = (1,)
    accept_bar(session, 2)
    assert (session.labels[1] == 1).sum() == 40
    session.plane = (0,)
    accept_bar(session, 2)
    assert (session.labels[0] == 2).sum() == 20
