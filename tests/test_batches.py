"""Accepting an object and beginning the next as one step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.errors import OverlapError, PromptError
from napari_pvpu.prompts import Box, Click
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource

A, B, C = (20, 20), (20, 70), (70, 20)


def picture():
    image = np.zeros((96, 96), np.float32)
    for value, (row, col) in zip((1, 0.7, 0.4), (A, B, C), strict=True):
        image[row - 9 : row + 10, col - 9 : col + 10] = value
    return image


@pytest.fixture
def session():
    return Session(ImageSource(picture()), FloodPredictor())


@pytest.fixture
def stack():
    image = np.stack([picture(), picture()])
    return Session(ImageSource(image, axes="ZYX"), FloodPredictor())


def state(session):
    return session.labels.copy(), dict(session.objects), session.prompts, session.mask


def same(one, two):
    (labels, *rest, mask), (others, *other_rest, other_mask) = one, two
    return (
        np.array_equal(labels, others) and rest == other_rest and np.array_equal(mask, other_mask)
    )


def test_each_prompt_is_an_object_and_a_step(session):
    session.add(Click(A))
    session.next_object([Click(B)])
    session.next_object([Box((60, 10), (80, 30))])
    assert set(session.objects) == {1, 2}
    assert session.labels[A] == 1
    assert session.labels[B] == 2
    assert session.prompts == (Box((60, 10), (80, 30)),)
    assert session.mask[C]
    assert session.history == ("Click", "Accept object 1, click", "Accept object 2, box")


def test_undo_and_redo_take_both_halves(session):
    session.add(Click(A))
    seen = [state(session)]
    for position in (B, C):
        session.next_object([Click(position)])
        seen.append(state(session))
    for wanted in seen[-2::-1]:
        session.undo()
        assert same(state(session), wanted)
    for wanted in seen[1:]:
        session.redo()
        assert same(state(session), wanted)


def test_without_an_object_at_work_it_only_begins_one(session):
    session.next_object([Click(A)])
    assert session.history == ("Click",)
    assert not session.objects


def test_what_changed_holds_both_objects(session):
    session.add(Click(A))
    region = session.next_object([Click(B)])
    changed = np.zeros((96, 96), bool)
    for each in (region, *region.more):
        assert each.labels is not None
        changed[each.slices] = True
    assert changed[11:30, 11:30].all()
    assert changed[11:30, 61:80].all()


def test_nothing_of_the_object_before_is_told_the_network(session):
    session.add(Click(A))
    request = session.request_next([Click(B)])
    assert (request.base, request.paint, request.origin) == (None, None, None)
    assert request.object_length == pytest.approx(19, abs=4)
    session.commit(session.compute(request))
    prompts, _, _ = session.predictor.decoded[-1]
    assert len(prompts) == 1


def test_an_object_that_others_cover_is_dropped_with_a_word(session):
    session.add(Click(A))
    session.accept()
    session.add(Click(A))
    before = state(session)
    region = session.next_object([Click(B)])
    assert "dropped" in region.notice
    assert set(session.objects) == {1}
    assert session.mask[B]
    session.undo()
    assert same(state(session), before)


def test_an_object_that_was_opened_keeps_its_id(session):
    session.add(Click(A))
    session.accept()
    session.open_object(1)
    session.next_object([Click(B)])
    assert set(session.objects) == {1}
    assert session.opened is None
    assert session.labels[A] == 1


def test_asking_changes_nothing(session):
    session.add(Click(A))
    session.accept()
    session.add(Box((5, 5), (40, 40)))
    before, count = state(session), len(session.operations)
    with pytest.raises(OverlapError):
        session.next_object([Click(B)], overlap="ask")
    assert same(state(session), before)
    assert len(session.operations) == count
    session.next_object([Click(B)], overlap="overwrite")
    assert session.labels[A] == 2


def test_what_is_refused_changes_nothing(session):
    session.add(Click(A))
    before = state(session)
    with pytest.raises(PromptError, match="outside"):
        session.next_object([Click((500, 500))])
    assert same(state(session), before)


def test_a_newer_question_makes_it_stale(session):
    session.add(Click(A))
    late = session.compute(session.request_next([Click(B)]))
    session.add(Click((22, 22)))
    assert session.commit(late) is None
    assert not session.objects


def test_the_em_switch_goes_with_it(session):
    session.add(Click(A))
    request = session.request_next([Click(B)], value_propagation=True)
    session.commit(session.compute(request))
    assert session.value_propagation
    session.undo()
    assert not session.value_propagation
    assert session.mask[A]


def test_an_answer_reaches_its_plane_when_another_is_at_work(stack):
    stack.add(Click(A))
    answer = stack.compute(stack.request_next([Click(B)]))
    stack.plane = (1,)
    stack.add(Click(C))
    shown = stack.mask
    assert stack.commit(replace(answer)) is not None
    assert stack.plane == (1,)
    assert np.array_equal(stack.mask, shown)
    assert stack.labels[0][A] == 1
    assert stack.prompts_in((0,)) == (Click(B),)
