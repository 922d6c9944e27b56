"""Tests of connected components, numbering and object tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi

from napari_pvpu.training.scenes.components import components, object_boxes, tidy


def spiral(size: int) -> np.ndarray:
    """One line of a pixel's width that winds to the middle."""
    out = np.zeros((size, size), np.int64)
    row, col, step = 0, 0, (0, 1)
    out[0, 0] = 1
    low_r, low_c, high_r, high_c = 2, 0, size - 1, size - 1
    while low_r <= high_r and low_c <= high_c:
        end = {
            (0, 1): (row, high_c),
            (1, 0): (high_r, col),
            (0, -1): (row, low_c),
            (-1, 0): (low_r, col),
        }[step]
        rows, cols = sorted((row, end[0])), sorted((col, end[1]))
        out[rows[0] : rows[1] + 1, cols[0] : cols[1] + 1] = 1
        row, col = end
        if step == (0, 1):
            high_c -= 2
        elif step == (1, 0):
            high_r -= 2
        elif step == (0, -1):
            low_c += 2
        else:
            low_r += 2
        step = (step[1], -step[0])
    return out


def same_pieces(mine: np.ndarray, other: np.ndarray) -> bool:
    """Whether two label maps divide the same pixels alike."""
    pairs = np.unique(np.stack([mine.ravel(), other.ravel()]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, (2, 17, 23), elements=st.integers(0, 2)))
def test_pieces_are_those_of_scipy(labels: np.ndarray) -> None:
    roots = components(torch.from_numpy(labels)).numpy()
    for scene, found in zip(labels, roots, strict=True):
        for value in (1, 2):
            expected, _ = ndi.label(scene == value)
            assert same_pieces(np.where(scene == value, found + 1, 0), expected)


@pytest.mark.parametrize("size", [64, 256])
def test_a_long_spiral_is_one_piece(size: int) -> None:
    labels = torch.from_numpy(spiral(size))[None]
    assert len(components(labels)[labels > 0].unique()) == 1


def test_touching_labels_stay_apart_and_parted_ones_get_two_numbers() -> None:
    labels = torch.tensor([[[1, 1, 2, 2], [0, 0, 0, 0], [1, 1, 1, 0]]])
    expected = torch.tensor([[[1, 1, 2, 2], [0, 0, 0, 0], [3, 3, 3, 0]]], dtype=torch.int16)
    assert torch.equal(tidy(labels, 2), expected)


def test_small_pieces_become_background() -> None:
    labels = torch.tensor([[[5, 0, 5, 5], [5, 0, 0, 0], [5, 0, 5, 0]]])
    expected = torch.tensor([[[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]], dtype=torch.int16)
    assert torch.equal(tidy(labels, 3), expected)


def test_numbers_start_again_in_each_scene() -> None:
    labels = torch.ones(3, 4, 4, dtype=torch.long)
    assert torch.equal(tidy(labels, 1), labels.to(torch.int16))


def test_boxes_have_centre_and_longer_side() -> None:
    labels = torch.zeros(1, 10, 12, dtype=torch.int16)
    labels[0, 2:5, 1:9] = 1
    labels[0, 7:9, 10:12] = 3
    boxes, there = object_boxes(labels, 4, 4)
    assert there.tolist() == [[True, False, True, False]]
    assert boxes[0, 0].tolist() == [3.0, 4.5, 8.0]
    assert boxes[0, 2].tolist() == [7.5, 10.5, 2.0]
    assert (boxes[0, [1, 3]] == 0).all()


def test_labels_beyond_the_table_are_left_out() -> None:
    labels = torch.full((1, 6, 6), 9, dtype=torch.int16)
    _, there = object_boxes(labels, 4, 1)
    assert not there.any()
