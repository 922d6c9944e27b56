"""Tests of napari_pvpu.shapes_between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_pvpu.carrying import PlaneMask
from napari_pvpu.shapes_between import blend, shape_between, signed_distance


def square(row: int, col: int, side: int) -> PlaneMask:
    return PlaneMask(row, col, np.ones((side, side), bool))


def test_signed_distance_is_half_a_pixel_on_both_sides_of_the_outline() -> None:
    mask = np.array([[0, 0, 1, 1, 1, 1]], bool)
    np.testing.assert_allclose(signed_distance(mask), [[-1.5, -0.5, 0.5, 1.5, 2.5, 3.5]])


@pytest.mark.parametrize(
    ("weights", "side"),
    [
        pytest.param((1.0, 0.0), 5, id="all of the one"),
        pytest.param((0.0, 1.0), 13, id="all of the other"),
        pytest.param((1.0, 1.0), 9, id="half of each"),
        pytest.param((3.0, 1.0), 7, id="a quarter of the other"),
    ],
)
def test_outline_of_a_blend_lies_between(weights: tuple[float, float], side: int) -> None:
    found = blend([(square(10, 10, 5), weights[0]), (square(6, 6, 13), weights[1])])
    assert found is not None
    assert found.box[3] - found.box[1] == side
    assert (found.box[0] + found.box[2]) / 2 == 12.5


def test_shape_between_moves_with_the_object() -> None:
    # Squares that do not touch: blended where they are, nothing would be left of them.
    one, other = square(0, 0, 7), square(20, 40, 7)
    assert blend([(one, 1.0), (other, 1.0)]) is None
    found = shape_between(one, other, 0.5)
    assert found is not None
    assert found.box == (10, 20, 17, 27)
    assert found.mask.all()


@given(hnp.arrays(bool, (6, 7)).filter(np.any), st.floats(0, 1))
def test_shape_between_two_equal_ones_is_the_same(mask: np.ndarray, share: float) -> None:
    given_mask = PlaneMask.tight(3, 4, mask)
    assert given_mask is not None
    found = shape_between(given_mask, given_mask, share)
    assert found is not None
    assert found.box == given_mask.box
    np.testing.assert_array_equal(found.mask, given_mask.mask)
