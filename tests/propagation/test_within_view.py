"""Tests of napari_pvpu.propagation.within_view."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.prompt_batch import BOX, CLICK, SCRIBBLE, PromptBatch
from napari_pvpu.propagation import PropagationSettings
from napari_pvpu.propagation.within_view import ValuePropagation, fixed_tokens, propagate

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE, GRID, CHANNELS = 64, 16, 8
EVERYWHERE = PropagationSettings(position_length=None, alpha_scale=4.0, contradicted_only=False)


def batch(*prompts: tuple[int, bool, Sequence[tuple[float, float]]]) -> PromptBatch:
    """One view with the given (kind, positive, points)."""
    out = PromptBatch.empty(1, max(len(prompts), 1), 8)
    for slot, (kind, positive, points) in enumerate(prompts):
        out.points[0, slot, : len(points)] = torch.tensor(points)
        out.valid[0, slot, : len(points)] = True
        out.kind[0, slot] = kind
        out.positive[0, slot] = positive
    return out


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Three squares of one look on a ground of another, all logits at -1.

    The squares' tokens are rows 2..5 by columns 2..5, 10..13 by 2..5 and 10..13 by 10..13.
    """
    pixels = torch.zeros(1, CHANNELS, GRID, GRID)
    pixels[:, 0] = 1.0
    for row, col in ((2, 2), (10, 2), (10, 10)):
        pixels[:, 0, row : row + 4, col : col + 4] = 0.0
        pixels[:, 1, row : row + 4, col : col + 4] = 1.0
    return pixels, torch.full((1, 1, SIZE, SIZE), -1.0)


CLICKED, NEAR, FAR, GROUND = (14, 14), (18, 18), (46, 46), (14, 32)
"""Pixels: in the first square, beside it there, in the third square, on the ground."""


def change(prompts: PromptBatch, chosen: PropagationSettings) -> torch.Tensor:
    pixels, logits = scene()
    return (propagate(pixels, logits, prompts, chosen) - logits)[0, 0]


def test_what_the_logits_obey_already_does_not_spread() -> None:
    # All logits are at -1: the negative click is obeyed, the positive one is not.
    chosen = replace(EVERYWHERE, contradicted_only=True)
    positive, negative = ((CLICK, p, [CLICKED]) for p in (True, False))
    assert not change(batch(negative), chosen).any()
    assert torch.equal(change(batch(positive), chosen), change(batch(positive), EVERYWHERE))
    both = change(batch(positive, (CLICK, False, [GROUND])), chosen)
    assert torch.equal(both, change(batch(positive), EVERYWHERE))


@pytest.mark.parametrize("positive", [True, False], ids=["positive", "negative"])
def test_click_moves_look_alikes_its_way_and_hardly_anything_else(positive: bool) -> None:
    moved = change(batch((CLICK, positive, [CLICKED])), EVERYWHERE)
    moved = moved if positive else -moved
    assert moved[CLICKED] > 0.01
    assert moved[NEAR] > 0.01
    assert moved[FAR] > 0.01
    assert moved[GROUND] < 0.1 * moved[FAR]


def test_position_prior_keeps_a_correction_local() -> None:
    moved = change(batch((CLICK, True, [CLICKED])), replace(EVERYWHERE, position_length=8.0))
    assert moved[NEAR] > 0.05
    assert moved[NEAR] > 20 * moved[FAR]
    assert moved[NEAR] > 5 * moved[GROUND]


def test_a_scribble_fixes_all_it_passes() -> None:
    path = [(14.0, 10.0), (14.0, 22.0)]
    local = replace(EVERYWHERE, position_length=8.0)
    stroke = change(batch((SCRIBBLE, False, path)), local)
    click = change(batch((CLICK, False, [path[0]])), local)
    assert stroke[14, 22] < click[14, 22] < 0


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    positive=st.booleans(),
    iterations=st.integers(1, 5),
    theta=st.floats(0, 2),
    length=st.sampled_from([None, 4.0, 16.0]),
    kind=st.sampled_from([CLICK, SCRIBBLE]),
)
def test_prompts_of_one_polarity_never_move_a_logit_the_other_way(
    seed: int, positive: bool, iterations: int, theta: float, length: float | None, kind: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(1, CHANNELS, GRID, GRID, generator=generator)
    logits = 8 * torch.randn(1, 1, SIZE, SIZE, generator=generator)
    chosen = replace(
        EVERYWHERE,
        iterations=iterations,
        theta_mu=theta,
        position_length=length,
        alpha_scale=1.0,
    )
    prompts = batch((kind, positive, [(20.0, 30.0), (40.0, 33.0)]))
    moved = propagate(pixels, logits, prompts, chosen) - logits
    moved = moved if positive else -moved
    assert moved.min() >= -1e-4
    assert moved.max() <= 2 * chosen.fixed_value + 1e-4
    assert moved.max() > 0


def test_more_iterations_and_weaker_priors_move_more() -> None:
    prompts = batch((CLICK, True, [CLICKED]))
    base = replace(EVERYWHERE, iterations=1)
    gentle, longer, weaker = (
        change(prompts, chosen)[NEAR]
        for chosen in (base, replace(base, iterations=5), replace(base, theta_mu=0.1))
    )
    assert gentle < longer
    assert gentle < weaker


def test_blend_scales_the_change() -> None:
    prompts = batch((CLICK, True, [CLICKED]))
    whole, half = change(prompts, EVERYWHERE), change(prompts, replace(EVERYWHERE, blend=0.5))
    torch.testing.assert_close(half, whole / 2)


@pytest.mark.parametrize(
    "prompts",
    [
        batch(),
        batch((BOX, True, [(10, 10), (30, 30)])),
        batch((CLICK, True, [(-20, 90)])),
    ],
    ids=["none", "box", "outside"],
)
def test_nothing_fixed_leaves_the_logits_as_they_are(prompts: PromptBatch) -> None:
    pixels, logits = scene()
    assert torch.equal(propagate(pixels, logits, prompts, EVERYWHERE), logits)


def test_views_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(3, CHANNELS, GRID, GRID)
    logits = torch.randn(3, 1, SIZE, SIZE)
    alone = [
        batch((CLICK, True, [(10, 10)])),
        batch(),
        batch((SCRIBBLE, False, [(40, 40), (40, 60)])),
    ]
    together = PromptBatch(*(torch.cat(parts) for parts in zip(*alone, strict=True)))
    found = propagate(pixels, logits, together, PropagationSettings(contradicted_only=False))
    for view, prompts in enumerate(alone):
        one = slice(view, view + 1)
        expected = propagate(
            pixels[one], logits[one], prompts, PropagationSettings(contradicted_only=False)
        )
        torch.testing.assert_close(found[one], expected)
    assert torch.equal(found[1], logits[1])


def test_the_same_input_gives_the_same_bits() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(1, 32, 32, 32)
    logits = torch.randn(1, 1, 128, 128)
    prompts = batch((CLICK, True, [(50, 50)]), (SCRIBBLE, False, [(90, 10), (90, 60)]))
    first, second = (
        propagate(pixels, logits, prompts, PropagationSettings(contradicted_only=False))
        for _ in range(2)
    )
    assert torch.equal(first, second)


def test_fine_features_are_averaged_to_the_grid() -> None:
    pixels, logits = scene()
    fine = pixels.repeat_interleave(2, 2).repeat_interleave(2, 3)
    chosen = replace(EVERYWHERE, grid=GRID)
    prompts = batch((CLICK, True, [CLICKED]))
    torch.testing.assert_close(
        propagate(fine, logits, prompts, chosen), propagate(pixels, logits, prompts, chosen)
    )


def test_refiner_takes_the_decoders_answer() -> None:
    pixels, logits = scene()
    prompts = batch((CLICK, True, [CLICKED]))
    with torch.inference_mode():
        found = ValuePropagation()(SimpleNamespace(pixels=pixels, logits=logits), prompts)
    expected = propagate(pixels, logits, prompts, PropagationSettings(contradicted_only=False))
    torch.testing.assert_close(found, expected)


def test_half_precision_features_give_float32_logits() -> None:
    pixels, logits = scene()
    prompts = batch((CLICK, True, [CLICKED]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = propagate(pixels.bfloat16(), logits.bfloat16(), prompts, EVERYWHERE)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, propagate(pixels, logits, prompts, EVERYWHERE))


def test_fixed_tokens_are_those_under_prompts() -> None:
    prompts = batch((CLICK, True, [(1, 1)]), (SCRIBBLE, False, [(9, 5), (9, 14)]))
    assert fixed_tokens(prompts, 16, (4, 4), 1.0)[0].tolist() == [
        [1, 0, 0, 0],
        [0, 0, 0, 0],
        [0, -1, -1, -1],
        [0, 0, 0, 0],
    ]


def test_token_of_both_polarities_goes_with_more_pixels() -> None:
    both = batch((SCRIBBLE, False, [(0, 0), (0, 3)]), (CLICK, True, [(2, 2)]))
    assert fixed_tokens(both, 8, (2, 2), 0.0)[0, 0, 0] == -1
    tie = batch((CLICK, False, [(0, 0)]), (CLICK, True, [(2, 2)]))
    assert fixed_tokens(tie, 8, (2, 2), 0.0)[0, 0, 0] == 0


def test_fixed_mask_makes_covered_tokens_negative_but_prompts_win() -> None:
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4, :] = True
    mask[..., 4, :4] = True
    found = fixed_tokens(batch((CLICK, True, [(1, 1)])), 8, (2, 2), 0.0, mask)
    assert found[0].tolist() == [[1, -1], [0, 0]]


def test_fixed_mask_alone_lowers_its_look_alikes() -> None:
    pixels, logits = scene()
    mask = torch.zeros(1, 1, SIZE, SIZE, dtype=torch.bool)
    mask[..., 8:24, 8:24] = True
    moved = (propagate(pixels, logits, batch(), EVERYWHERE, mask) - logits)[0, 0]
    assert moved[FAR] < -0.1
    assert abs(moved[GROUND]) < 0.1 * abs(moved[FAR])
