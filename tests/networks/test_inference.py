"""The fast decoder gives the network's own answers, whatever is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from napari_pvpu.networks import inference
from napari_pvpu.networks.inference import FastDecoder, fast_decode
from napari_pvpu.networks.inference_parts import can_pack
from napari_pvpu.networks.inference_prompts import PromptTokens
from napari_pvpu.networks.inference_reference import ReferenceTable, reference_readings
from napari_pvpu.networks.models import PVPUNet, build_model
from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.networks.prompt_encoding import PPuE, PPuEConfig
from napari_pvpu.networks.reference_map import ReferenceMapEmbedding, reference_states

if TYPE_CHECKING:
    from napari_pvpu.networks.config import ModelConfig

SIZE = 64
PACKED = pytest.param(True, marks=pytest.mark.skipif(not can_pack(), reason="not in this torch"))


@pytest.fixture(scope="module")
def net(small_config: ModelConfig) -> PVPUNet:
    torch.manual_seed(0)
    network = build_model(small_config).eval().requires_grad_(False)
    for part in network.modules():  # biases and norms as if they had been trained
        if isinstance(part, nn.Conv2d | nn.Linear | nn.LayerNorm | nn.GroupNorm):
            for parameter in part.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def prompts(slots: int, seed: int = 0) -> PromptBatch:
    """Prompts of all kinds, some of which lie partly outside the view."""
    generator = torch.Generator().manual_seed(seed)
    batch = PromptBatch.empty(1, slots, 6)
    batch.points[:] = torch.rand(batch.points.shape, generator=generator) * (SIZE + 8) - 4
    batch.kind[:] = torch.tensor([CLICK, BOX, SCRIBBLE])[
        torch.randint(3, (1, slots), generator=generator)
    ]
    batch.positive[:] = torch.rand(1, slots, generator=generator) < 0.6
    count = torch.where(batch.kind == SCRIBBLE, 5, torch.where(batch.kind == BOX, 2, 1))
    batch.valid[:] = torch.arange(6) < count[..., None]
    return batch


@pytest.mark.parametrize("packed", [PACKED, False], ids=["packed", "plain"])
@pytest.mark.parametrize("second", [False, True], ids=["one-reading", "two-readings"])
@pytest.mark.parametrize("known", [False, True], ids=["first", "with-previous"])
@pytest.mark.parametrize("slots", [1, 2, 3, 7, 20])
def test_it_answers_as_the_network_does(
    net: PVPUNet, slots: int, known: bool, second: bool, packed: bool
) -> None:
    fast = FastDecoder(net, packed=packed)
    features = net.encode(torch.rand(1, 3, SIZE, SIZE))
    previous = torch.rand(1, 1, SIZE, SIZE) if known else None
    for seed in range(3):
        asked = prompts(slots, seed)
        with torch.inference_mode():
            one = net.decode(features, asked, previous, second_reading=second)
            two = fast(features, asked, previous, second_reading=second)
        for name, right, found in zip(one._fields, one, two, strict=True):
            torch.testing.assert_close(
                found, right, rtol=1e-4, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_it_changes_neither_features_nor_prompts_nor_what_it_said_before(net: PVPUNet) -> None:
    fast, asked, previous = FastDecoder(net), prompts(4), torch.rand(1, 1, SIZE, SIZE)
    features = net.encode(torch.rand(1, 3, SIZE, SIZE))
    given = [*features.levels, features.image, *asked, previous]
    before = [tensor.clone() for tensor in given]
    first = fast(features, asked, previous, second_reading=True)
    kept = [tensor.clone() for tensor in first]
    fast(features, prompts(2, seed=5), None)
    assert all(torch.equal(one, two) for one, two in zip(given, before, strict=True))
    assert all(torch.equal(one, two) for one, two in zip(first, kept, strict=True))


@pytest.mark.parametrize("case", ["batch", "empty-slot", "no-prompt"])
def test_what_it_does_not_know_is_left_to_the_network(net: PVPUNet, case: str) -> None:
    asked = prompts(3)
    if case == "batch":
        asked = PromptBatch(*(torch.cat([x, x]) for x in asked))
    elif case == "empty-slot":
        asked.kind[0, 1] = EMPTY
    else:
        asked = PromptBatch.empty(1, 1)
    features = net.encode(torch.rand(len(asked.kind), 3, SIZE, SIZE))
    right, found = net.decode(features, asked), FastDecoder(net)(features, asked)
    assert all(torch.equal(one, two) for one, two in zip(right, found, strict=True))


def test_the_default_model_has_a_fast_decoder() -> None:
    network = build_model("pvpu-nano").eval().requires_grad_(False)
    assert isinstance(fast_decode(network), FastDecoder)


def test_weights_are_packed_where_that_works(net: PVPUNet, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    class Broken(FastDecoder):
        def __init__(self, network: PVPUNet, *, packed: bool) -> None:
            tried.append(packed)
            if packed:
                raise RuntimeError("no such operation")
            super().__init__(network, packed=packed)

    monkeypatch.setattr(inference, "FastDecoder", Broken)
    monkeypatch.setattr(inference, "can_pack", lambda: True)
    assert isinstance(fast_decode(net), Broken)
    assert tried == [True, False]


def test_an_answer_that_is_not_the_networks_is_not_taken(
    net: PVPUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(FastDecoder):
        def _decode(self, *args: torch.Tensor) -> tuple[torch.Tensor, ...]:
            logits, *rest = super()._decode(*args)
            return (logits + 0.1, *rest)

    monkeypatch.setattr(inference, "FastDecoder", Wrong)
    assert fast_decode(net) == net.decode


def test_attention_of_another_kind_is_left_to_the_network(small_config: ModelConfig) -> None:
    network = build_model(small_config).eval().requires_grad_(False)
    network.decoder.merging.final.key_adaptation = 1
    assert fast_decode(network) == network.decode


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kinds", [[CLICK] * 5, [CLICK, BOX, SCRIBBLE, CLICK], [BOX], [SCRIBBLE]])
def test_tokens_are_those_of_training(kinds: list[int], gamma: float) -> None:
    torch.manual_seed(0)
    encoder = PPuE(PPuEConfig(SIZE, gamma=gamma), dim=12, hidden=16).requires_grad_(False)
    image = torch.randn(1, 3, SIZE, SIZE)
    for seed in range(5):
        asked = prompts(len(kinds), seed)
        asked.kind[0] = torch.tensor(kinds)
        asked.valid[:] = torch.arange(6) < torch.where(asked.kind == BOX, 2, 5)[..., None]
        asked.points[0, 0] -= 20 * (seed == 4)  # far outside of the view
        right = encoder(asked, image)
        torch.testing.assert_close(PromptTokens(encoder)(asked, image), right)
    asked.valid[0, 0] = False
    torch.testing.assert_close(PromptTokens(encoder)(asked, image), encoder(asked, image))


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("slots", [1, 5, 20])
def test_reference_readings_are_reference_states(slots: int, radius: float) -> None:
    previous = torch.rand(1, 1, SIZE, SIZE)
    for seed in range(3):
        asked = prompts(slots, seed)
        found = reference_readings(asked, SIZE, radius, [previous, None])
        for states, known in zip(found, (previous, None), strict=True):
            assert torch.equal(states.long(), reference_states(asked, SIZE, radius, known)[0])


def test_table_entries_add_up_to_the_convolutions() -> None:
    torch.manual_seed(0)
    two, four = ReferenceMapEmbedding(3, patch=2), ReferenceMapEmbedding(5, patch=4)
    states = torch.randint(5, (2, 24, 24))
    previous = torch.rand(1, 1, 24, 24)
    fed = torch.cat([previous, torch.zeros_like(previous)])
    with torch.no_grad():
        found = ReferenceTable(two, four, 24)(states.to(torch.int8), previous)
        for module, embedded in zip((two, four), found, strict=True):
            right = module(states, fed).permute(0, 2, 3, 1)
            torch.testing.assert_close(embedded, right, rtol=1e-5, atol=1e-5)
