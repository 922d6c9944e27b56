"""Dual-cross merging: the filter's formula and what empty slots may do."""

from __future__ import annotations

import pytest
import torch

from napari_pvpu.networks.dual_cross_merging import (
    DualCrossMerging,
    interactive_information_filter,
)


def test_filter_by_hand() -> None:
    """F = X + X sigmoid(max over prompts) + X sigmoid(max over channels)."""
    semantic = torch.tensor([[[1.0, 2.0]]])
    prompts = torch.tensor([[[0.0, 3.0], [1.0, -1.0]]])
    pixels = torch.tensor([[[0.5, -2.0]]])
    gates = torch.tensor([1.0, 3.0]).sigmoid() + torch.tensor(0.5).sigmoid()
    out = interactive_information_filter(semantic, prompts, pixels, torch.ones(1, 2).bool())
    torch.testing.assert_close(out[0, 0], semantic[0, 0] * (1 + gates))


def test_filter_ignores_empty_slots() -> None:
    semantic, pixels = torch.ones(1, 1, 2), torch.zeros(1, 1, 2)
    prompts = torch.tensor([[[0.0, 0.0], [9.0, 9.0]]])
    allowed = torch.tensor([[True, False]])
    out = interactive_information_filter(semantic, prompts, pixels, allowed)
    torch.testing.assert_close(out, torch.full((1, 1, 2), 2.0))


@pytest.fixture
def merging() -> DualCrossMerging:
    torch.manual_seed(0)
    return DualCrossMerging(dim=16, heads=2, depth=2, mlp_dim=32, cross_dim=8)


def test_one_map_for_each_block(merging: DualCrossMerging) -> None:
    semantic, prompts = torch.randn(2, 9, 16), torch.randn(2, 4, 16)
    filtered, tokens = merging(semantic, prompts, torch.randn(9, 16), torch.ones(2, 4).bool())
    assert [tuple(f.shape) for f in filtered] == [(2, 9, 16)] * 2
    assert tokens.shape == (2, 4, 16)


def test_prompts_are_a_set(merging: DualCrossMerging) -> None:
    semantic, prompts, position = torch.randn(1, 9, 16), torch.randn(1, 4, 16), torch.randn(9, 16)
    allowed = torch.tensor([[True, True, True, False]])
    order = torch.tensor([2, 3, 0, 1])
    filtered, tokens = merging(semantic, prompts, position, allowed)
    again, turned = merging(semantic, prompts[:, order], position, allowed[:, order])
    torch.testing.assert_close(again[-1], filtered[-1])
    torch.testing.assert_close(turned, tokens[:, order])


def test_every_prompt_reaches_every_pixel(merging: DualCrossMerging) -> None:
    semantic, position = torch.randn(1, 9, 16), torch.randn(9, 16)
    prompts = torch.randn(1, 2, 16, requires_grad=True)
    filtered, _ = merging(semantic, prompts, position, torch.ones(1, 2).bool())
    (gradient,) = torch.autograd.grad(filtered[0][0, 8].sum(), prompts)
    assert (gradient.abs().sum(-1) > 0).all()
