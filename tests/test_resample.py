"""Resampling between regular grids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.resample import MOST_AT_ONCE, resample, triangle_weights

axes = st.tuples(st.floats(-50, 50), st.floats(0.1, 9), st.integers(1, 40))


def test_refining_is_bilinear():
    weights = triangle_weights((0, 1, 3), (0, 0.5, 5))
    assert weights.tolist() == [
        [1, 0, 0],
        [0.5, 0.5, 0],
        [0, 1, 0],
        [0, 0.5, 0.5],
        [0, 0, 1],
    ]


def test_thinning_out_averages():
    weights = triangle_weights((0, 1, 8), (3.5, 4, 1))
    assert np.allclose(weights[0] * 16, [0.5, 1.5, 2.5, 3.5, 3.5, 2.5, 1.5, 0.5])


def test_beyond_the_source_its_edge_goes_on():
    weights = triangle_weights((0, 1, 3), (-5, 0.5, 30))
    assert weights[0].tolist() == [1, 0, 0]
    assert weights[-1].tolist() == [0, 0, 1]


@given(axes, axes)
def test_weights_are_a_weighted_mean(source, target):
    weights = triangle_weights(source, target)
    assert weights.shape == (target[2], source[2])
    assert weights.dtype == np.float32
    assert (weights >= 0).all()
    assert np.allclose(weights.sum(axis=1), 1, atol=1e-5)


@given(axes, axes)
def test_a_ramp_stays_a_ramp_within_the_source(source, target):
    positions = source[0] + source[1] * np.arange(source[2])
    wanted = target[0] + target[1] * np.arange(target[2])
    # Away from the edges by the kernel's half-width and within, the kernel sees both sides.
    reach = max(source[1], target[1])
    inner = (wanted >= positions[0] + reach) & (wanted <= positions[-1] - reach)
    got = triangle_weights(source, target).astype(float) @ positions
    assert np.abs(got - wanted)[inner].max(initial=0) <= 0.13 * source[1]


def test_both_axes_and_both_orders():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    rows, cols = ((0, 1, 3), (0.5, 1, 2)), ((0, 1, 4), (0, 0.5, 7))
    wide = resample(values, rows, cols)
    assert wide.shape == (2, 2, 7)
    assert wide[0, 0].tolist() == [2, 2.5, 3, 3.5, 4, 4.5, 5]
    tall = resample(values.transpose(0, 2, 1), cols, rows)
    assert np.allclose(tall, wide.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("shape", "step", "count"),
    [((3, 400, 300), 2.7, 128), ((300, 400), 0.4, 200), ((1, 5, 3000), 23.0, 130)],
    ids=["thinned", "refined", "long"],
)
def test_products_in_parts_are_the_whole_product(shape, step, count):
    values = np.random.default_rng(0).random(shape, np.float32)
    rows, cols = (((0.0, 1.0, n), (0.3, step, count)) for n in shape[-2:])
    whole = triangle_weights(*rows) @ values @ triangle_weights(*cols).T
    assert shape[-2] * shape[-1] * count > MOST_AT_ONCE  # so that it is cut
    np.testing.assert_allclose(resample(values, rows, cols), whole, rtol=1e-5, atol=1e-6)
