"""The fast encoder gives the network's own features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from napari_pvpu.networks import inference_encoder
from napari_pvpu.networks.inference_encoder import FastEncoder, fast_encode
from napari_pvpu.networks.inference_parts import can_pack
from napari_pvpu.networks.models import PVPUNet, build_model
from small_presets import small_preset

if TYPE_CHECKING:
    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.interface import Features

SIZE = 64
needs_packing = pytest.mark.skipif(not can_pack(), reason="not in this torch")
PACKED = pytest.param(True, marks=needs_packing)


@pytest.fixture(scope="module")
def net(small_config: ModelConfig) -> PVPUNet:
    torch.manual_seed(0)
    network = build_model(small_config).eval().requires_grad_(False)
    for part in network.modules():  # biases, norms and statistics as if they had been trained
        if isinstance(part, nn.Conv2d | nn.Linear | nn.LayerNorm | nn.BatchNorm2d):
            for parameter in part.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.3, 2)
    return network


def views(count: int) -> torch.Tensor:
    made = torch.rand(count, 3, SIZE, SIZE)
    made[0, :, :9] = torch.nan
    return made


@pytest.mark.parametrize("packed", [PACKED, False], ids=["packed", "plain"])
@pytest.mark.parametrize("count", [1, 3])
def test_it_sees_what_the_network_sees(net: PVPUNet, count: int, packed: bool) -> None:
    given = views(count)
    before = given.clone()
    with torch.inference_mode():
        right, found = net.encode(given), FastEncoder(net, packed=packed)(given)
    assert torch.equal(given.nan_to_num(-1), before.nan_to_num(-1))
    for one, two in zip((*right.levels, *right[1:]), (*found.levels, *found[1:]), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-4)
        assert two.stride() == one.stride()


def test_views_of_another_size_are_left_to_the_network(net: PVPUNet) -> None:
    given = torch.rand(1, 3, SIZE + 16, SIZE + 16)
    right, found = net.encode(given), FastEncoder(net, packed=False)(given)
    assert all(torch.equal(a, b) for a, b in zip(right.levels, found.levels, strict=True))


@needs_packing
def test_the_default_model_has_a_fast_encoder() -> None:
    network = build_model("pvpu-nano").eval().requires_grad_(False)
    assert isinstance(fast_encode(network), FastEncoder)


@needs_packing
def test_features_that_are_not_the_networks_are_not_taken(
    net: PVPUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(FastEncoder):
        def __call__(self, view: torch.Tensor) -> Features:
            return super().__call__(view).map(lambda x: 1.01 * x)

    monkeypatch.setattr(inference_encoder, "FastEncoder", Wrong)
    assert fast_encode(net) == net.encode


def test_without_packed_weights_the_network_encodes(
    net: PVPUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference_encoder, "can_pack", lambda: False)
    assert fast_encode(net) == net.encode


def test_other_networks_encode_themselves() -> None:
    network = build_model(small_preset("interformer-light")).eval()
    assert fast_encode(network) == network.encode
