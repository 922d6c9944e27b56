from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.evaluation.regions import (
    EMPTY_REGION,
    RegionMask,
    bounding_rect,
    clip_rect,
    union_rect,
)


def test_bounding_rect_is_tight_and_half_open() -> None:
    mask = np.zeros((5, 7), bool)
    mask[1, 2] = mask[3, 5] = True
    assert bounding_rect(mask) == (1, 2, 4, 6)


def test_bounding_rect_of_nothing() -> None:
    assert bounding_rect(np.zeros((3, 3), bool)) is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 2, 2), (5, 6, 7, 8), (0, 0, 7, 8)),
        ((0, 0, 0, 0), (5, 6, 7, 8), (5, 6, 7, 8)),
        ((5, 6, 7, 8), (0, 0, 9, 0), (5, 6, 7, 8)),
    ],
    ids=["both", "first-empty", "second-without-columns"],
)
def test_union_rect(first, second, expected) -> None:
    assert union_rect(first, second) == expected


def test_clip_rect() -> None:
    assert clip_rect((-3, 2, 9, 20), (0, 0, 5, 10)) == (0, 2, 5, 10)


@given(
    row=st.integers(-6, 12),
    col=st.integers(-6, 12),
    rect=st.tuples(*[st.integers(-4, 12)] * 4),
    seed=st.integers(0, 99),
)
def test_crop_equals_the_crop_of_the_whole_plane(row, col, rect, seed) -> None:
    mask = np.random.default_rng(seed).random((4, 5)) < 0.5
    rect = (min(rect[0], rect[2]), min(rect[1], rect[3]), *map(max, rect[:2], rect[2:]))
    plane = np.zeros((60, 60), bool)
    plane[20 + row : 24 + row, 20 + col : 25 + col] = mask
    expected = plane[20 + rect[0] : 20 + rect[2], 20 + rect[1] : 20 + rect[3]]
    np.testing.assert_array_equal(RegionMask(row, col, mask).crop(rect), expected)


def test_empty_region_crops_to_background() -> None:
    assert not EMPTY_REGION.crop((-1, -1, 3, 4)).any()
    assert EMPTY_REGION.crop((-1, -1, 3, 4)).shape == (4, 5)
