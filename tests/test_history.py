"""Undo and redo take steps back and make them again, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_pvpu.history import History, LabelDelta

windows = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(
        arrays(np.uint16, shape, elements=st.integers(0, 3)),
        arrays(np.uint16, shape, elements=st.integers(0, 3)),
    )
)


@dataclass(frozen=True)
class Step:
    name: str
    nbytes: int = 10


@given(windows, st.integers(0, 5), st.integers(0, 5))
def test_a_delta_applies_and_reverts_exactly(pair, row, col):
    before, after = pair
    labels = np.full((20, 20), 7, np.uint16)
    labels[row : row + len(before), col : col + before.shape[1]] = before
    original = labels.copy()
    delta = LabelDelta.between(row, col, before, after)
    delta.apply(labels)
    changed = labels.copy()
    assert np.array_equal(labels[delta.slices], after)
    delta.revert(labels)
    assert np.array_equal(labels, original)
    delta.apply(labels)
    assert np.array_equal(labels, changed)
    labels[delta.slices] = 7
    assert (labels == 7).all()


def test_a_delta_leaves_pixels_alone_that_did_not_change():
    before = np.array([[0, 5], [0, 0]], np.uint16)
    after = np.array([[9, 5], [0, 9]], np.uint16)
    delta = LabelDelta.between(0, 0, before, after)
    labels = np.array([[0, 6], [0, 0]], np.uint16)
    delta.apply(labels)
    assert labels.tolist() == [[9, 6], [0, 9]]


def test_a_delta_is_small():
    before = np.zeros((1000, 1000), np.uint16)
    delta = LabelDelta.between(0, 0, before, before + np.uint16(3))
    assert delta.nbytes <= 1000 * 1000 / 8 + 8


def test_steps_come_back_last_first():
    history = History[Step]()
    assert (history.undo(), history.redo()) == (None, None)
    for name in "abc":
        history.push(Step(name))
    assert history.last_done == Step("c")
    assert [history.undo().name for _ in range(3)] == ["c", "b", "a"]
    assert history.undo() is None
    assert history.last_undone == Step("a")
    assert [history.redo().name for _ in range(3)] == ["a", "b", "c"]
    assert history.redo() is None


def test_a_new_step_ends_redo():
    history = History[Step]()
    for name in "ab":
        history.push(Step(name))
    history.undo()
    assert history.can_redo
    history.push(Step("c"))
    assert not history.can_redo
    assert history.nbytes == 20
    assert [history.undo().name for _ in range(2)] == ["c", "a"]


def test_the_oldest_steps_are_forgotten():
    history = History[Step](max_bytes=35)
    for name in "abcde":
        history.push(Step(name))
    assert len(history) == 3
    assert history.nbytes == 30
    assert [history.undo().name for _ in range(3)] == ["e", "d", "c"]
    assert not history.can_undo


def test_the_newest_step_stays_however_large():
    history = History[Step](max_bytes=35)
    history.push(Step("small"))
    history.push(Step("huge", 1000))
    assert len(history) == 1
    assert history.undo().name == "huge"


@given(st.lists(st.sampled_from(["push", "undo", "redo"]), max_size=60), st.integers(15, 300))
def test_history_agrees_with_two_lists(actions, max_bytes):
    history = History[Step](max_bytes)
    done, undone = [], []
    for number, action in enumerate(actions):
        if action == "push":
            history.push(Step(str(number), 5 + number))
            done.append(Step(str(number), 5 + number))
            undone.clear()
            while sum(step.nbytes for step in done) > max_bytes and len(done) > 1:
                done.pop(0)
        elif action == "undo":
            expected = done.pop() if done else None
            undone += [expected] if expected else []
            assert history.undo() == expected
        else:
            expected = undone.pop() if undone else None
            done += [expected] if expected else []
            assert history.redo() == expected
        assert history.nbytes == sum(step.nbytes for step in done + undone)
        assert (history.can_undo, history.can_redo) == (bool(done), bool(undone))
