"""The simulated user: prompts lie where a person would put them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.prompt_encoding import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.training.pixel_choice import choose_pixels, depth_map
from napari_pvpu.training.prior_masks import coarsen_masks, corrupt_masks
from napari_pvpu.training.simulate import EXACT, PromptMemory, SimulatedUser, UserHabits

SIZE = 64


def disks(*rows: tuple[int, int, int]) -> torch.Tensor:
    """One mask for each (row, col, radius)."""
    axis = torch.arange(SIZE)
    return torch.stack(
        [(axis[:, None] - r) ** 2 + (axis[None] - c) ** 2 <= k * k for r, c, k in rows]
    )


def user(habits: UserHabits | None = None, seed: int = 0) -> SimulatedUser:
    return SimulatedUser(habits or EXACT, torch.Generator().manual_seed(seed))


def only(kind: int) -> UserHabits:
    mix = tuple(float(k == kind) for k in (CLICK, BOX, SCRIBBLE))
    return replace(EXACT, first=mix, later=mix)


def values_at(mask: torch.Tensor, prompts: PromptBatch, sample: int) -> torch.Tensor:
    points = prompts.points[sample, 0][prompts.valid[sample, 0]].round().long().clamp(0, SIZE - 1)
    return mask[points[:, 0], points[:, 1]]


def test_depth_counts_erosions() -> None:
    mask = torch.zeros(1, 7, 7, dtype=torch.bool)
    mask[0, 1:6, 1:6] = True
    expected = [0, 1, 2, 3, 2, 1, 0]
    assert depth_map(mask)[0, 3].tolist() == expected
    assert depth_map(mask)[0, :, 3].tolist() == expected


@given(threshold=st.floats(0, 1), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_chosen_pixels_are_as_deep_as_asked(threshold: float, seed: int) -> None:
    depth = depth_map(disks((20, 20, 9), (40, 30, 4)))
    pixel = choose_pixels(depth, torch.full((2,), threshold), torch.Generator().manual_seed(seed))
    for d, (row, col) in zip(depth, pixel.tolist(), strict=True):
        assert d[row, col] > 0
        assert d[row, col] >= threshold * d.max()


@pytest.mark.parametrize("seed", range(3))
def test_first_click_is_positive_and_inside(seed: int) -> None:
    truth = disks((20, 20, 9), (40, 30, 6), (5, 60, 8))
    memory = PromptMemory()
    user(only(CLICK), seed).answer(truth, None, memory)
    prompts = memory.batch()
    assert prompts.kind.tolist() == [[CLICK]] * 3
    assert prompts.positive.all()
    for i in range(3):
        assert values_at(truth[i], prompts, i).all()


def test_corrections_go_to_the_larger_error() -> None:
    truth = disks((20, 20, 10), (20, 20, 10))
    half = truth.clone()
    half[0, :, :20] = False  # misses half of the object
    half[1] |= disks((45, 45, 9))[0]  # has a blob too many
    memory = PromptMemory()
    user(only(CLICK)).answer(truth, half, memory)
    prompts = memory.batch()
    assert prompts.positive[:, 0].tolist() == [True, False]
    assert values_at(truth[0] & ~half[0], prompts, 0).all()
    assert values_at(half[1] & ~truth[1], prompts, 1).all()
    assert torch.equal(memory.regions[0][1], half[1] & ~truth[1])


def test_a_perfect_mask_gets_no_prompt() -> None:
    truth = disks((20, 20, 10))
    memory = PromptMemory()
    user().answer(truth, truth, memory)
    prompts = memory.batch()
    assert prompts.kind.tolist() == [[EMPTY]]
    assert not prompts.valid.any()


@pytest.mark.parametrize("seed", range(4))
def test_strokes_stay_in_their_region(seed: int) -> None:
    truth = disks((20, 20, 12), (40, 30, 15))
    memory = PromptMemory()
    user(only(SCRIBBLE), seed).answer(truth, None, memory)
    prompts = memory.batch()
    for i in range(2):
        assert values_at(truth[i], prompts, i).all()
        assert prompts.kind[i, 0] in (SCRIBBLE, CLICK)
    steps = prompts.points[:, 0].diff(dim=1).norm(dim=-1)
    both = prompts.valid[:, 0, 1:] & prompts.valid[:, 0, :-1]
    assert (steps[both] < 2.1).all()


def test_boxes_enclose_the_object_but_for_sloppiness() -> None:
    truth = disks((20, 24, 9))
    habits = replace(EXACT, first=(0, 1, 0), box_noise=0.0)
    memory = PromptMemory()
    user(habits).answer(truth, None, memory)
    prompts = memory.batch()
    assert prompts.kind.tolist() == [[BOX]]
    assert prompts.points[0, 0, :2].tolist() == [[11, 15], [29, 33]]
    assert prompts.valid[0, 0].sum() == 2


def test_memory_keeps_the_rounds_in_order() -> None:
    truth = disks((20, 20, 10), (40, 40, 6))
    memory = PromptMemory()
    player = user()
    player.answer(truth, None, memory)
    player.answer(truth, torch.zeros_like(truth), memory)
    batch = memory.batch()
    assert batch.kind.shape == (2, 2)
    torch.testing.assert_close(batch.points[:, 1], memory.rounds[1].points[:, 0])


def test_spoilt_masks_differ_but_overlap() -> None:
    masks = disks(*[(32, 32, 12)] * 32)
    spoilt = corrupt_masks(masks, torch.Generator().manual_seed(0))
    overlap = (masks & spoilt).flatten(1).sum(1) / (masks | spoilt).flatten(1).sum(1)
    assert float(overlap.min()) > 0.1
    assert float((overlap < 1).float().mean()) > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_coarse_masks_are_soft_and_stay_in_place(seed: int) -> None:
    masks = disks((32, 32, 20), (10, 50, 8))
    coarse = coarsen_masks(masks, torch.Generator().manual_seed(seed))
    assert coarse.shape == masks.shape
    assert 0 <= float(coarse.min()) <= float(coarse.max()) <= 1
    assert bool(((coarse > 0.05) & (coarse < 0.95)).any())
    hard = coarse > 0.5
    overlap = (masks & hard).flatten(1).sum(1) / (masks | hard).flatten(1).sum(1)
    assert float(overlap.min()) > 0.7
