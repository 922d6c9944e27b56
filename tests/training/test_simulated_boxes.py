"""Boxes as hands draw them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.training.habits import EXACT, UserHabits
from napari_pvpu.training.simulated_boxes import bounds, box_around, box_within

SIZE = 64


def blocks(*corners: tuple[int, int, int, int]) -> torch.Tensor:
    """One mask for each (first row, first column, last row, last column)."""
    masks = torch.zeros(len(corners), SIZE, SIZE, dtype=torch.bool)
    for mask, (top, left, bottom, right) in zip(masks, corners, strict=True):
        mask[top : bottom + 1, left : right + 1] = True
    return masks


def outward(habits: UserHabits, count: int = 2000) -> torch.Tensor:
    """How far the sides of boxes lie outside an object of 20 pixels: ``(N, 2, 2)``."""
    box = box_around(
        blocks((20, 22, 40, 42)).expand(count, -1, -1), habits, torch.Generator().manual_seed(0)
    )
    return torch.stack(
        [torch.tensor([20.0, 22.0]) - box[:, 0], box[:, 1] - torch.tensor([40.0, 42.0])], dim=1
    )


def test_bounds_are_the_outermost_pixels() -> None:
    masks = blocks((3, 5, 9, 30), (0, 0, 63, 63), (7, 8, 7, 8))
    assert bounds(masks).tolist() == [[[3, 5], [9, 30]], [[0, 0], [63, 63]], [[7, 8], [7, 8]]]


def test_careful_boxes_are_off_by_a_tenth_at_most() -> None:
    off = outward(replace(EXACT, box_noise=0.1))
    assert -1.0 <= float(off.amin()) < -0.5
    assert 1.5 < float(off.amax()) <= 2.0


def test_sloppy_sides_are_off_independently_and_more_often_outward() -> None:
    off = outward(replace(EXACT, box_noise=0.1, sloppy=1.0)).flatten(1)
    assert -2.4 <= float(off.amin()) < -2.0
    assert 3.5 < float(off.amax()) <= 4.0
    assert 0.55 < float((off > 0).float().mean()) < 0.7
    assert (torch.corrcoef(off.T) - torch.eye(4)).abs().amax() < 0.1


def test_oversized_boxes_hold_the_object_with_room() -> None:
    off = outward(replace(EXACT, oversized=1.0))
    assert float(off.amin()) >= 2.0
    assert float(off.amax()) > 14.0


def test_cutting_boxes_cut_one_side() -> None:
    off = outward(replace(EXACT, box_noise=0.0, cutting=1.0)).flatten(1)
    assert ((off < -1.5).sum(1) == 1).all()
    assert off.amin() >= -6.7
    assert {int(side) for side in off.argmin(1)} == {0, 1, 2, 3}


@given(
    top=st.integers(0, 60),
    left=st.integers(0, 60),
    tall=st.integers(0, 63),
    wide=st.integers(0, 63),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_any_box_is_on_the_view_and_has_its_corners_in_order(top, left, tall, wide, seed) -> None:
    region = blocks((top, left, min(top + tall, 63), min(left + wide, 63))).expand(8, -1, -1)
    habits = UserHabits(sloppy=0.4, oversized=0.3, cutting=0.3)
    box = box_around(region, habits, torch.Generator().manual_seed(seed))
    assert float(box.amin()) >= -0.5
    assert float(box.amax()) <= SIZE - 0.5
    low, high = bounds(region)[:, 0], bounds(region)[:, 1]
    side = high - low
    assert (box[:, 1] - box[:, 0] >= 0.6 * side - 0.6).all()


@pytest.mark.parametrize(("depth", "half"), [(1.0, 1.0), (2.0, 3.0), (4.0, 7.0)])
def test_boxes_within_reach_as_far_as_it_is_deep(depth: float, half: float) -> None:
    box = box_within(torch.tensor([[30.0, 20.0]]), torch.tensor([depth]), 64)
    assert box[0].tolist() == [[30 - half, 20 - half], [30 + half, 20 + half]]
