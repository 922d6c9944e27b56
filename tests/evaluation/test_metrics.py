from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.evaluation.metrics import (
    at_limit,
    failure_share,
    iou,
    iou_at,
    mean_noc,
    never,
    noc,
    spc,
    speed,
    spread,
    worse_share,
)

CURVES = [(0.5, 0.9, 0.7), (0.85,), (0.1, 0.2, 0.3)]


def test_iou_counts_pixels() -> None:
    prediction = np.array([[1, 1, 0, 0]], bool)
    target = np.array([[0, 1, 1, 0]], bool)
    assert iou(prediction, target) == pytest.approx(1 / 3)


def test_iou_leaves_out_what_is_not_valid() -> None:
    prediction = np.array([[1, 1, 0, 0]], bool)
    target = np.array([[0, 1, 1, 0]], bool)
    valid = np.array([[0, 1, 1, 1]], bool)
    assert iou(prediction, target, valid) == pytest.approx(1 / 2)


def test_iou_of_two_empty_masks() -> None:
    assert iou(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 1.0


@pytest.mark.parametrize(
    ("curve", "target", "expected"),
    [
        ((0.5, 0.9, 0.7), 0.85, 2),
        ((0.9, 0.5), 0.9, 1),
        ((0.1, 0.2), 0.85, 20),
        ((0.1,) * 19 + (0.85,), 0.85, 20),
        ((0.1,) * 20 + (0.95,), 0.85, 20),
    ],
    ids=["second", "reached-exactly", "never", "at-the-last", "after-the-last"],
)
def test_noc(curve, target, expected) -> None:
    assert noc(curve, target, 20) == expected


def test_mean_noc_counts_a_failure_as_the_maximum() -> None:
    assert mean_noc(CURVES, 0.85, 20) == pytest.approx((2 + 1 + 20) / 3)


def test_iou_at_carries_the_last_value_on() -> None:
    assert iou_at(CURVES, 1) == pytest.approx((0.5 + 0.85 + 0.1) / 3)
    assert iou_at(CURVES, 10) == pytest.approx((0.7 + 0.85 + 0.3) / 3)


def test_failures_are_those_that_never_get_there() -> None:
    # Reaching the target at the very last interaction is no failure, unlike in RITM's count.
    assert failure_share([(0.1, 0.9), (0.1, 0.2)], 0.85, 2) == 0.5
    assert noc((0.1, 0.9), 0.85, 2) == noc((0.1, 0.2), 0.85, 2) == 2


@pytest.mark.parametrize(
    ("curves", "released", "true"),
    [
        ([(0.1,) * 19 + (0.9,)], 1, 0),
        ([(0.1,) * 20], 1, 1),
        ([(0.1,) * 18 + (0.9, 0.9)], 0, 0),
        ([(0.9, 0.2)], 0, 0),
        ([(0.1, 0.2)], 1, 1),
        ([(0.1,) * 20, (0.1,) * 19 + (0.95,), (0.91,), (0.2,) * 20], 3, 2),
        ([], 0, 0),
    ],
    ids=["at-20", "never", "at-19", "falls-again", "ended-early", "several", "none"],
)
def test_both_readings_of_nof(curves, released: int, true: int) -> None:
    assert at_limit(curves, 0.9, 20) == released
    assert never(curves, 0.9, 20) == true


@pytest.mark.parametrize(
    ("t_encode", "t_click", "n", "expected"),
    [
        (400.0, 30.0, 20, 50.0),
        (400.0, 30.0, 1, 430.0),
        (0.0, 7.5, 20, 7.5),
        (1260.0, 0.0, 5, 252.0),
    ],
)
def test_spc(t_encode, t_click, n, expected) -> None:
    assert spc(t_encode, t_click, n) == expected


def test_speed_keeps_encoding_and_interaction_apart() -> None:
    # Two crops for the first object, one for the second; the third was served from memory.
    steps = [[(40.0, 50.0), (0.0, 10.0), (60.0, 76.0)], [(50.0, 58.0)], [(0.0, 6.0)]]
    assert speed(steps, [150.0, 70.0, 20.0]) == {
        "t_encode": 75.0,
        "t_click": 10.0,
        "spc": {"1": 85.0, "5": 25.0, "10": 17.5, "20": 13.75},
        "spc_wall": 48.0,
        "spi_wall": 80.0,
    }


def test_speed_without_encoding_or_without_anything() -> None:
    assert speed([[(0.0, 4.0)]], [5.0])["t_encode"] is None
    assert speed([[(0.0, 4.0)]], [5.0])["spc"]["20"] == 4.0
    assert set(speed([], []).values()) == {None}


def test_spread_over_seeds() -> None:
    assert spread([2.0, 4.0, 6.0]) == {"mean": 4.0, "std": 2.0, "min": 2.0, "max": 6.0}
    assert spread([3.0])["std"] == 0.0


def test_worse_share_counts_drops_larger_than_the_margin() -> None:
    # Seven interactions; one drop of 0.2, one of exactly 0.02 in binary-safe numbers, one rise.
    assert worse_share(CURVES) == pytest.approx(1 / 7)
    assert worse_share([(0.5, 0.49), (0.5, 0.47)]) == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    "measure",
    [
        lambda: mean_noc([], 0.8, 20),
        lambda: iou_at([], 1),
        lambda: failure_share([], 0.8, 20),
        lambda: worse_share([]),
    ],
    ids=["noc", "iou", "failures", "worse"],
)
def test_nothing_measured_is_nan(measure) -> None:
    assert math.isnan(measure())


@given(
    curves=st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=6), min_size=1, max_size=5),
    low=st.floats(0.1, 0.9),
)
def test_a_harder_target_never_needs_fewer_interactions(curves, low) -> None:
    assert mean_noc(curves, low, 6) <= mean_noc(curves, low + 0.05, 6)
    assert failure_share(curves, low, 6) <= failure_share(curves, low + 0.05, 6)
