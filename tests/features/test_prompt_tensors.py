"""Prompts as tensors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.features.prompt_tensors import (
    PIECE_LENGTH,
    SPACING,
    prompt_batch,
    reads_twice,
    split_path,
)
from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE
from napari_pvpu.prompts import Box, Click, PriorMask, Scribble

paths = st.lists(st.tuples(st.floats(-50, 200), st.floats(-50, 200)), min_size=2, max_size=12)


def test_each_kind_takes_its_slot():
    batch = prompt_batch(
        [Click((3, 4)), Box((1, 2), (9, 8), False), Scribble([(5, 5), (5, 8)], False)]
    )
    assert batch.kind.tolist() == [[CLICK, BOX, SCRIBBLE]]
    assert batch.positive.tolist() == [[True, False, False]]
    assert batch.valid.sum(-1).tolist() == [[1, 2, 4]]
    assert batch.points[0, 0, 0].tolist() == [3, 4]
    assert batch.points[0, 1, :2].tolist() == [[1, 2], [9, 8]]
    assert batch.points[0, 2, :4].tolist() == [[5, 5], [5, 6], [5, 7], [5, 8]]


@pytest.mark.parametrize(
    "prompts", [[], [PriorMask(np.ones((2, 2), bool))]], ids=["none", "prior-mask"]
)
def test_without_drawn_prompts_there_is_one_empty_slot(prompts):
    batch = prompt_batch(prompts)
    assert batch.kind.tolist() == [[EMPTY]]
    assert not batch.valid.any()


def test_a_long_scribble_takes_several_slots():
    batch = prompt_batch([Scribble([(0, 0), (0, 100), (50, 100)]), Click((1, 1), False)])
    assert batch.kind.tolist() == [[SCRIBBLE] * 3 + [CLICK]]
    assert batch.points[0, 0, 0].tolist() == [0, 0]
    assert batch.points[0, 2, 50].tolist() == [50, 100]
    assert batch.valid.sum(-1).tolist() == [[51, 51, 51, 1]]


@given(paths)
def test_pieces_are_short_dense_and_cover_the_path(path):
    corners = np.array(path)
    pieces = split_path(corners)
    assert np.array_equal(pieces[0][0], corners[0])
    assert np.allclose(pieces[-1][-1], corners[-1])
    for piece in pieces:
        steps = np.hypot(*np.diff(piece, axis=0).T)
        assert steps.sum() <= PIECE_LENGTH * (1 + 1e-6)
        assert steps.max(initial=0) <= SPACING * (1 + 1e-6)
    for before, after in itertools.pairwise(pieces):
        assert np.array_equal(before[-1], after[0])
    samples = np.concatenate(pieces)
    for corner in corners:
        assert np.hypot(*(samples - corner).T).min() <= SPACING


def test_a_path_without_length_is_one_sample():
    assert [piece.tolist() for piece in split_path(np.array([(3.0, 4.0)] * 3))] == [[[3, 4]]]


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        pytest.param([Click((1, 1))], True, id="one"),
        pytest.param([Click((1, 1)), Box((0, 0), (9, 9))], True, id="two"),
        pytest.param([Click((1, 1))] * 3, False, id="three"),
        pytest.param([Scribble([(0, 0), (0, 150)])], False, id="long-scribble"),
    ],
)
def test_a_mask_is_doubted_while_there_are_few_prompts(prompts, expected):
    assert reads_twice(prompt_batch(prompts)) is expected
