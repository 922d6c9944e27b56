"""Tests of napari_pvpu.networks.losses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.losses import dice_loss, normalized_focal_loss, p2c_loss

if TYPE_CHECKING:
    from collections.abc import Callable


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def image(*values: float) -> torch.Tensor:
    return torch.tensor(values)[None, None, None, :]


def test_focal_loss_by_hand() -> None:
    # p_t is .9, .6, .2; focus .01, .16, .64; the normaliser 3 / .81.
    logits = image(logit(0.9), logit(0.4), logit(0.2))
    target = image(1, 0, 1)
    terms = 0.01 * math.log(0.9) + 0.16 * math.log(0.6) + 0.64 * math.log(0.2)
    loss = normalized_focal_loss(logits, target)
    assert loss.shape == (1,)
    assert loss.item() == pytest.approx(-0.5 * terms * (3 / 0.81) / 3, rel=1e-5)


def test_focal_loss_weighs_foreground_by_alpha() -> None:
    logits = image(logit(0.9), logit(0.4))
    foreground = 0.01 * math.log(0.9)
    background = 0.16 * math.log(0.6)
    loss = normalized_focal_loss(logits, image(1, 0), alpha=0.8)
    expected = -(0.8 * foreground + 0.2 * background) / 0.17
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(-6, 6), st.floats(0, 4))
def test_focal_weights_average_to_one(value: float, gamma: float) -> None:
    # Equal errors leave plain cross entropy, whatever gamma.
    logits = torch.full((1, 1, 3, 3), value)
    loss = normalized_focal_loss(logits, torch.ones(1, 1, 3, 3), 0.5, gamma)
    assert loss.item() == pytest.approx(0.5 * math.log1p(math.exp(-value)), rel=1e-4)


def test_focal_normaliser_is_a_constant_for_the_gradient() -> None:
    logits = image(0.3, -0.8, 1.5).double().requires_grad_()
    target = image(1, 0, 0)
    (gradient,) = torch.autograd.grad(normalized_focal_loss(logits, target).sum(), logits)
    signs = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    frozen = 1 / (torch.sigmoid(-logits.detach().flatten() * signs) ** 2).sum()
    free = logits.detach().clone().requires_grad_()
    correct = torch.sigmoid(free.flatten() * signs)
    (0.5 * frozen * (-((1 - correct) ** 2) * correct.log()).sum()).backward()
    torch.testing.assert_close(gradient, free.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("function", [normalized_focal_loss, dice_loss], ids=["nfl", "dice"])
def test_pixels_that_are_not_valid_change_nothing(function: Callable[..., torch.Tensor]) -> None:
    logits, target = image(0.3, -0.8, 5.0, -7.0), image(1, 0, 0, 1)
    valid = image(1, 1, 0, 0).bool()
    loss = function(logits, target, valid=valid)
    torch.testing.assert_close(loss, function(logits[..., :2], target[..., :2]))
    torch.testing.assert_close(loss, function(logits, target, valid=valid.float()))


@pytest.mark.parametrize("function", [normalized_focal_loss, dice_loss], ids=["nfl", "dice"])
@pytest.mark.parametrize("value", [100.0, -100.0, 0.0])
@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_extremes_are_finite(
    function: Callable[..., torch.Tensor], value: float, truth: float
) -> None:
    logits = torch.full((2, 1, 4, 4), value, requires_grad=True)
    valid = torch.ones(2, 1, 4, 4)
    valid[1] = 0
    loss = function(logits, torch.full((2, 1, 4, 4), truth), valid=valid)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert loss[1].item() == pytest.approx(0)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_dice_by_hand() -> None:
    logits = image(logit(0.8), logit(0.4), logit(0.1))
    expected = 1 - (2 * 1.2 + 1e-3) / (1.3 + 2 + 1e-3)
    assert dice_loss(logits, image(1, 1, 0)).item() == pytest.approx(expected, rel=1e-5)


def test_dice_of_nothing_is_perfect() -> None:
    assert dice_loss(torch.full((1, 1, 4, 4), -100.0), torch.zeros(1, 1, 4, 4)).item() == 0


def test_gradients_are_those_of_the_values() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 1, 3, 3) > 0.5
    assert torch.autograd.gradcheck(lambda x: dice_loss(x, target), (logits,))
    pixels = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    tokens = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    targets = target.expand(2, 2, 3, 3).float()
    valid = torch.tensor([[True, False], [True, True]])
    assert torch.autograd.gradcheck(lambda x, y: p2c_loss(x, y, targets, valid), (pixels, tokens))


def test_losses_are_per_sample_and_float32_from_bfloat16() -> None:
    logits = torch.randn(3, 1, 4, 4)
    target = torch.rand(3, 1, 4, 4) > 0.5
    for function in (normalized_focal_loss, dice_loss):
        together = function(logits.bfloat16(), target)
        assert together.dtype == torch.float32
        alone = [function(logits[i : i + 1].bfloat16(), target[i : i + 1]) for i in range(3)]
        torch.testing.assert_close(together, torch.cat(alone))


def test_p2c_by_hand() -> None:
    # One token along the first axis; pixels along it, across it and against it at 60 degrees.
    token = torch.tensor([[[2.0, 0.0]]])
    pixels = torch.tensor([[3.0, 0.0, 1.0], [0.0, 5.0, -math.sqrt(3)]])[None, :, None, :]
    targets = image(1, 1, 0)
    # s = 1, .5, .75
    expected = -(math.log(1) + math.log(0.5) + math.log(0.25)) / 3
    loss = p2c_loss(pixels, token, targets, torch.tensor([[True]]), margin=1e-7)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_p2c_leaves_empty_slots_out() -> None:
    torch.manual_seed(0)
    pixels, tokens = torch.randn(2, 8, 4, 4), torch.randn(2, 3, 8)
    targets = (torch.rand(2, 3, 4, 4) > 0.5).float()
    valid = torch.tensor([[True, False, True], [False, False, False]])
    loss = p2c_loss(pixels, tokens, targets, valid)
    alone = p2c_loss(pixels[:1], tokens[:1, [0, 2]], targets[:1, [0, 2]], valid[:1, [0, 2]])
    torch.testing.assert_close(loss[:1], alone)
    assert loss[1] == 0


def test_p2c_gradient_pulls_meant_pixels_towards_the_token() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(1, 8, 4, 4, requires_grad=True)
    tokens = torch.randn(1, 1, 8)
    targets = torch.zeros(1, 1, 4, 4)
    targets[..., :2] = 1
    p2c_loss(pixels, tokens, targets, torch.tensor([[True]])).sum().backward()
    assert pixels.grad is not None
    before = torch.cosine_similarity(pixels, tokens[:, 0, :, None, None])
    after = torch.cosine_similarity(pixels - pixels.grad, tokens[:, 0, :, None, None])
    assert (after > before)[..., :2].all()
    assert (after < before)[..., 2:].all()


def test_p2c_of_opposite_features_is_finite() -> None:
    pixels = torch.ones(1, 4, 2, 2, requires_grad=True)
    loss = p2c_loss(pixels, -torch.ones(1, 1, 4), torch.ones(1, 1, 2, 2), torch.tensor([[True]]))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert loss.item() == pytest.approx(-math.log(1e-4), rel=1e-2)
    assert pixels.grad is not None
    assert torch.isfinite(pixels.grad).all()


def test_p2c_infonce_by_hand() -> None:
    token = torch.tensor([[[2.0, 0.0]]])
    pixels = torch.tensor([[3.0, 0.0, -1.0], [0.0, 5.0, 0.0]])[None, :, None, :]
    # Cosines 1, 0, -1; the second pixel belongs to the prompt by half.
    total = math.exp(2) + 1 + math.exp(-2)
    expected = -math.log((math.exp(2) + 0.5) / total)
    loss = p2c_loss(
        pixels, token, image(1, 0.5, 0), torch.tensor([[True]]), form="infonce", temperature=0.5
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_p2c_infonce_leaves_out_what_means_nothing() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(2, 8, 5, 3, requires_grad=True)
    tokens = torch.randn(2, 3, 8, requires_grad=True)
    targets = (torch.rand(2, 3, 5, 3) > 0.5).float()
    targets[0, 1] = 0
    valid = torch.tensor([[True, True, True], [False, False, False]])
    loss = p2c_loss(pixels, tokens, targets, valid, form="infonce")
    pick = [0, 2]
    alone = p2c_loss(
        pixels[:1], tokens[:1, pick], targets[:1, pick], valid[:1, pick], form="infonce"
    )
    torch.testing.assert_close(loss[:1], alone)
    assert loss[1] == 0
    loss.sum().backward()
    assert pixels.grad is not None
    assert tokens.grad is not None
    assert torch.isfinite(pixels.grad).all()
    assert torch.isfinite(tokens.grad).all()
    assert (tokens.grad[0, 1] == 0).all()


def test_p2c_of_everything_is_free_in_infonce_only() -> None:
    torch.manual_seed(0)
    pixels, tokens, every = torch.randn(1, 8, 4, 4), torch.randn(1, 1, 8), torch.ones(1, 1, 4, 4)
    valid = torch.tensor([[True]])
    assert p2c_loss(pixels, tokens, every, valid, form="infonce").item() == pytest.approx(0)
    assert p2c_loss(pixels, tokens, every, valid).item() > 0.1


def test_p2c_form_has_to_exist() -> None:
    with pytest.raises(ValueError, match="'triplet'"):
        p2c_loss(
            torch.ones(1, 2, 1, 1),
            torch.ones(1, 1, 2),
            torch.ones(1, 1, 1, 1),
            torch.tensor([[True]]),
            form="triplet",  # type: ignore[arg-type]
        )
