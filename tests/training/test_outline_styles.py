"""Outlines drawn more generously or more tightly."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.training.outline_styles import restyle_outlines


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def square(side: int, size: int = 16) -> torch.Tensor:
    mask = torch.zeros(1, size, size, dtype=torch.bool)
    start = (size - side) // 2
    mask[0, start : start + side, start : start + side] = True
    return mask


def test_chance_of_zero_changes_nothing() -> None:
    truth = torch.rand(8, 12, 12, generator=generator()) < 0.4
    others = torch.zeros_like(truth)
    assert torch.equal(restyle_outlines(truth, others, 0.0, generator(1)), truth)


def test_outlines_move_by_one_or_two_pixels_both_ways() -> None:
    truth = square(8).expand(400, -1, -1)
    moved = restyle_outlines(truth, torch.zeros_like(truth), 1.0, generator())
    areas = moved.flatten(1).sum(1)
    # 8 x 8; inward 6 x 6 and, two steps, 4 x 4 is too little; outward crosses and then squares.
    assert set(areas.tolist()) == {36, 64, 64 + 4 * 8, 144 - 4}
    assert (areas > 64).float().mean() == pytest.approx(0.5, abs=0.1)
    assert (areas == 36).float().mean() == pytest.approx(0.5 * 0.65, abs=0.1)


def test_no_pixel_of_another_object_is_taken() -> None:
    truth = square(8).expand(50, -1, -1)
    others = torch.zeros_like(truth)
    others[:, :, 12:] = True
    moved = restyle_outlines(truth, others, 1.0, generator())
    assert not (moved & others).any()
    assert (moved & ~truth).any()


def test_the_border_of_the_view_is_no_outline() -> None:
    truth = torch.ones(40, 8, 8, dtype=torch.bool)
    moved = restyle_outlines(truth, torch.zeros_like(truth), 1.0, generator())
    assert moved.all()


@given(st.integers(0, 2**20), st.floats(0, 1))
def test_objects_keep_half_of_themselves_and_grow_nearby(seed: int, density: float) -> None:
    truth = torch.rand(6, 10, 10, generator=generator(seed)) < density
    others = ~truth & (torch.rand(6, 10, 10, generator=generator(seed + 1)) < 0.3)
    moved = restyle_outlines(truth, others, 1.0, generator(seed + 2))
    kept = (moved & truth).flatten(1).sum(1)
    assert (2 * kept >= truth.flatten(1).sum(1)).all()
    near = torch.nn.functional.max_pool2d(truth.float()[:, None], 5, 1, 2)[:, 0] > 0
    assert not (moved & ~near).any()
    assert not (moved & others).any()
