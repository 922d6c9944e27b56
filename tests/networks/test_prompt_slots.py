"""Slots: where prompts go, which are kept, and what the tokens hold."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.networks.prompt_encoding import PPuE, PPuEConfig
from napari_pvpu.networks.prompt_slots import PromptSlots, assign_slots, at_slots


def batch(*kinds: int, signs: str) -> PromptBatch:
    """Prompts of one view at (k, 2 k), of the given kinds and polarities."""
    prompts = PromptBatch.empty(1, len(kinds))
    for k, (kind, sign) in enumerate(zip(kinds, signs, strict=True)):
        prompts.points[0, k] = torch.tensor([[k, 2.0 * k], [k + 3.0, 2.0 * k + 4]])
        prompts.valid[0, k] = kind != EMPTY
        prompts.kind[0, k] = kind
        prompts.positive[0, k] = sign == "+"
    return prompts


def test_slots_by_hand() -> None:
    prompts = batch(CLICK, EMPTY, BOX, SCRIBBLE, CLICK, CLICK, signs="+--+--")
    assert assign_slots(prompts, 4).tolist() == [[0, -1, 4, 1, 5, 6]]


def test_the_latest_are_kept() -> None:
    prompts = batch(*[CLICK] * 6, signs="++-+-+")
    assert assign_slots(prompts, 2).tolist() == [[-1, -1, 2, 0, 3, 1]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("+- "), min_size=1, max_size=12), st.integers(1, 4))
def test_slots_follow_the_rule(signs: list[str], slots: int) -> None:
    kinds = [EMPTY if sign == " " else CLICK for sign in signs]
    found = assign_slots(batch(*kinds, signs="".join(signs)), slots)[0].tolist()
    for sign, first in (("+", 0), ("-", slots)):
        mine = [k for k, s in enumerate(signs) if s == sign]
        assert [found[k] for k in mine[:-slots]] == [-1] * max(len(mine) - slots, 0)
        assert [found[k] for k in mine[-slots:]] == [first + i for i in range(len(mine[-slots:]))]


def test_tokens_are_those_of_the_prompts() -> None:
    torch.manual_seed(0)
    config = PPuEConfig(size=20, gamma=0)
    net = PromptSlots(config, dim=6, hidden=8, slots=3)
    prompts = batch(BOX, CLICK, EMPTY, CLICK, signs="-++-")
    laid = net(prompts, extent=20)
    alone = net.encoding(prompts, extent=20)
    assert laid.tokens.shape == (1, 6, 6)
    assert laid.filled.tolist() == [[True, False, False, True, True, False]]
    torch.testing.assert_close(
        at_slots(laid.tokens, laid.slot_of)[:, [0, 1, 3]], alone[:, [0, 1, 3]]
    )
    assert (at_slots(laid.tokens, laid.slot_of)[:, 2] == 0).all()
    # An empty slot holds its label and nothing else.
    torch.testing.assert_close(laid.tokens[:, 5], alone[:, 2])
    torch.testing.assert_close(laid.tokens[:, 1], alone[:, 2])


def test_released_sizes() -> None:
    with torch.device("meta"):
        net = PromptSlots(PPuEConfig(size=448))
    shapes = [tuple(p.shape) for p in net.parameters()]
    assert shapes == [(2048, 899), (2048,), (768, 2048), (768,)]
    assert isinstance(net.encoding, PPuE)


def test_gradients_reach_the_perceptron_from_filled_slots_only() -> None:
    net = PromptSlots(PPuEConfig(size=20), dim=6, hidden=8, slots=3)
    laid = net(batch(CLICK, signs="+"), extent=20)
    at_slots(laid.tokens, laid.slot_of).sum().backward()
    gradient = net.encoding.mlp[0].weight.grad
    assert gradient is not None
    assert gradient[:, -3].abs().sum() > 0  # the label of a positive prompt
    assert gradient[:, -1].abs().sum() == 0  # that of an empty slot


def test_no_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="not 0"):
        PromptSlots(PPuEConfig(size=20), slots=0)


def test_clicks_alone_change_their_axes_for_released_weights() -> None:
    torch.manual_seed(0)
    config = PPuEConfig(size=20)
    plain, turned = PromptSlots(config, 6, 8), PromptSlots(config, 6, 8, rows_first=True)
    turned.load_state_dict(plain.state_dict())
    prompts = batch(CLICK, BOX, signs="+-")
    mirrored = prompts._replace(points=prompts.points.flip(-1))
    expected = at_slots(*plain(mirrored, extent=20)[::2])[:, :1]
    got = at_slots(*turned(prompts, extent=20)[::2])
    torch.testing.assert_close(got[:, :1], expected)
    torch.testing.assert_close(got[:, 1:], at_slots(*plain(prompts, extent=20)[::2])[:, 1:])
