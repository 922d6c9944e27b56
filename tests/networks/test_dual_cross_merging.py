"""Dual-cross merging: the filter's formula and what empty slots may do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_pvpu.networks.dual_cross_merging import (
    DualCrossBlock,
    DualCrossMerging,
    KeySide,
    grid_position_encoding,
    interactive_information_filter,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.networks.blocks import Attention


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


# The published form, written out in numpy from papers' formulas, one sample at a time.


def array(x: torch.Tensor) -> NDArray[np.float64]:
    return x.detach().double().numpy()


def linear(layer: torch.nn.Module, x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x @ array(layer.weight).T + array(layer.bias)


def norm(layer: torch.nn.LayerNorm, x: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + layer.eps)
    return scaled * array(layer.weight) + array(layer.bias)


def attention(
    layer: Attention,
    q: NDArray[np.float64],
    k: NDArray[np.float64],
    v: NDArray[np.float64],
    allowed: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    q, k, v = linear(layer.query, q), linear(layer.key, k), linear(layer.value, v)
    width = q.shape[1] // layer.heads
    out = np.zeros_like(q)
    for head in range(layer.heads):
        part = slice(head * width, (head + 1) * width)
        logits = q[:, part] @ k[:, part].T / math.sqrt(width)
        if allowed is not None:
            logits[:, ~allowed] = -np.inf
        weights = np.exp(logits - logits.max(1, keepdims=True))
        out[:, part] = weights / weights.sum(1, keepdims=True) @ v[:, part]
    return linear(layer.project, out)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def merge(
    net: DualCrossMerging,
    x: NDArray[np.float64],
    p0: NDArray[np.float64],
    e: NDArray[np.float64],
    allowed: NDArray[np.bool_],
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    p, pixels, total, maps = p0, x, p0, []
    for number, block in enumerate(net.blocks, start=1):
        if number == 1:
            p = norm(block.norms[0], attention(block.self_attention, p, p, p, allowed))
        else:
            q = p + p0
            p = norm(block.norms[0], p + attention(block.self_attention, q, q, p, allowed))
        p = norm(block.norms[1], p + attention(block.to_semantic, p + p0, pixels + e, pixels))
        p = norm(block.norms[2], p + linear(block.mlp[2], np.maximum(linear(block.mlp[0], p), 0)))
        back = attention(block.to_prompt, pixels + e, p + p0, p, allowed)
        pixels = norm(block.norms[3], pixels + back)
        if number == len(net.blocks):
            p = norm(net.final_norm, p + attention(net.final, p + p0, pixels + e, pixels))
        channel = sigmoid(p[allowed].max(0))[None, :]
        spatial = sigmoid(pixels.max(1))[:, None]
        maps.append(x + x * channel + x * spatial)
        total = total + p
    return maps, total


def test_published_form_against_the_formulas() -> None:
    torch.manual_seed(3)
    net = DualCrossMerging(24, 4, 3, 20, 12, published=True)
    for parameter in net.parameters():  # norms and biases start at ones and zeros
        torch.nn.init.normal_(parameter, std=0.3)
    semantic, prompts, position = torch.randn(3, 35, 24), torch.randn(3, 5, 24), torch.randn(35, 24)
    allowed = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 1, 0, 0]]).bool()
    filtered, tokens = net(semantic, prompts, position, allowed)
    for i in range(3):
        maps, total = merge(
            net, array(semantic[i]), array(prompts[i]), array(position), allowed[i].numpy()
        )
        for got, expected in zip(filtered, maps, strict=True):
            np.testing.assert_allclose(array(got[i]), expected, rtol=1e-4, atol=1e-5)
        shown = allowed[i].numpy()
        np.testing.assert_allclose(array(tokens[i])[shown], total[shown], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("published", [False, True], ids=["light", "published"])
def test_empty_slots_change_nothing(published: bool) -> None:
    torch.manual_seed(0)
    net = DualCrossMerging(16, 2, 3, 32, 8, published=published)
    semantic, prompts, position = torch.randn(2, 9, 16), torch.randn(2, 4, 16), torch.randn(9, 16)
    allowed = torch.tensor([[True, False, True, False]] * 2)
    filtered, tokens = net(semantic, prompts, position, allowed)
    alone, alone_tokens = net(semantic, prompts[:, ::2], position, allowed[:, ::2])
    for a, b in zip(filtered, alone, strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(tokens[:, ::2], alone_tokens)


def test_grid_positions_by_hand() -> None:
    encoding = grid_position_encoding(8, 2, 3)
    at = encoding[1 * 3 + 2]  # row 1, column 2
    expected = [*(f(2 / d) for d in (1, 100) for f in (math.sin, math.cos))]
    expected += [*(f(1 / d) for d in (1, 100) for f in (math.sin, math.cos))]
    torch.testing.assert_close(at, torch.tensor(expected))
    with pytest.raises(ValueError, match="not 6"):
        grid_position_encoding(6, 2, 2)


SIDES = ("pixels", "prompts", "both")


@pytest.mark.parametrize("side", SIDES)
def test_key_adaptation_has_no_parameters_and_ignores_empty_slots(
    merging: DualCrossMerging, side: KeySide
) -> None:
    adapting = DualCrossMerging(16, 2, 2, 32, 8, key_adaptation=2, adapted_keys=side)
    adapting.load_state_dict(merging.state_dict())
    semantic, prompts, position = torch.randn(2, 9, 16), torch.randn(2, 4, 16), torch.randn(9, 16)
    allowed = torch.tensor([[True, True, True, False], [True, False, False, False]])
    filtered, tokens = adapting(semantic, prompts, position, allowed)
    plain, _ = merging(semantic, prompts, position, allowed)
    assert (filtered[-1] - plain[-1]).abs().max() > 1e-6
    other = prompts.masked_fill(~allowed[..., None], 50.0)
    again, same = adapting(semantic, other, position, allowed)
    torch.testing.assert_close(again[-1], filtered[-1])
    torch.testing.assert_close(same[allowed], tokens[allowed])
    sum(f.square().sum() for f in filtered).backward()
    used = {name: p.grad for name, p in adapting.named_parameters() if p.grad is not None}
    assert "blocks.0.to_semantic.key.weight" in used
    assert all(torch.isfinite(gradient).all() for gradient in used.values())


@pytest.mark.parametrize("side", SIDES)
def test_keys_adapt_on_the_side_asked_for(side: KeySide) -> None:
    block = DualCrossBlock(16, 2, 32, 8, key_adaptation=3, key_prior=0.5, adapted_keys=side)
    found = block.to_semantic.key_adaptation, block.to_prompt.key_adaptation
    assert found == {"pixels": (3, 0), "prompts": (0, 3), "both": (3, 3)}[side]
    assert block.self_attention.key_adaptation == 0
    assert block.to_semantic.key_prior == block.to_prompt.key_prior == 0.5


def test_unknown_side_is_refused() -> None:
    with pytest.raises(ValueError, match="adapted_keys is 'pixel'"):
        DualCrossBlock(16, 2, 32, 8, adapted_keys="pixel")  # type: ignore[arg-type]
