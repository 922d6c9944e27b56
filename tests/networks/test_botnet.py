"""BoTNet-50 as a backbone: sizes, what attends, what trains."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.botnet import BoTNet50
from napari_pvpu.networks.self_attention import ProbabilisticSelfAttention

SETTINGS = {
    "botnet": {},
    "prob": {"key_adaptation": 1},
    "prob-full-ipe": {"key_adaptation": 1, "full_position": True},
    "stride-16": {"key_adaptation": 2, "key_prior": 0.001, "prior": "fixed", "last_stride": 1},
}


def build(**settings: object) -> BoTNet50:
    torch.manual_seed(0)
    network = BoTNet50(**settings).eval()  # type: ignore[arg-type]
    # timm begins with blocks that add nothing to their shortcut.
    for block in network.net.net.layer4:
        torch.nn.init.constant_(block.bn3.weight, 0.5)
    return network


@pytest.mark.parametrize(
    ("settings", "millions"),
    # 20.8 M in the paper of BoTNet with a classifier of 2.05 M that a backbone does not have.
    [({}, 18.8), ({"full_position": True}, 18.9), ({"last_stride": 1}, 18.8)],
    ids=["plain", "full-position", "stride-16"],
)
def test_parameters(settings: dict[str, object], millions: float) -> None:
    with torch.device("meta"):
        network = build(**settings)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_maps_of_any_size_and_finite_gradients(settings: dict[str, object]) -> None:
    network = build(**settings)
    for height, width in ((64, 64), (33, 70)):
        maps = network(torch.randn(2, 3, height, width))
        for x, stride, channels in zip(maps, network.strides, network.channels, strict=True):
            expected = (2, channels, -(-height // stride), -(-width // stride))
            assert tuple(x.shape) == expected
    sum(x.square().mean() for x in maps).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    layers = [m for m in network.modules() if isinstance(m, ProbabilisticSelfAttention)]
    assert len(layers) == 3
    for layer in layers:
        terms = layer.position
        assert terms is not None
        assert terms.query is not None
        assert (terms.key is not None) == bool(settings.get("full_position"))
        assert all(p.grad.abs().sum() > 0 for p in layer.parameters())


def test_strides_and_what_follows_the_attention() -> None:
    """In the first block of the last stage a mean over 2 x 2 cells stands for the stride."""
    with torch.device("meta"):
        network, fine = build(), build(last_stride=1)
    assert network.strides == (4, 8, 16, 32)
    assert fine.strides == (4, 8, 16)
    assert fine.channels == (256, 512, 2048)
    kinds = [[type(m).__name__ for m in b.conv2.modules()] for b in network.net.net.layer4]
    assert kinds[0][:2] == ["Sequential", "ProbabilisticSelfAttention"]
    assert kinds[0][-1] == "AvgPool2d"
    assert kinds[1][0] == kinds[2][0] == "ProbabilisticSelfAttention"


@pytest.fixture(scope="module")
def plain() -> BoTNet50:
    return build()


def test_key_adaptation_adds_no_parameter_and_changes_the_last_stage_only(plain: BoTNet50) -> None:
    adapting = build(key_adaptation=1)
    adapting.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        found, expected = adapting(image), plain(image)
    for a, b in zip(found[:3], expected[:3], strict=True):
        assert torch.equal(a, b)
    assert (found[3] - expected[3]).norm() > 1e-4 * expected[3].norm()


def test_padding_is_zero_on_the_right_and_below(plain: BoTNet50) -> None:
    image = torch.randn(1, 3, 40, 61)
    with torch.no_grad():
        found, padded = plain(image), plain(F.pad(image, (0, 3, 0, 24)))
    for a, b in zip(found, padded, strict=True):
        torch.testing.assert_close(a, b[..., : a.shape[-2], : a.shape[-1]])


def test_half_precision_is_close(plain: BoTNet50) -> None:
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = plain(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found: tuple[Tensor, ...] = plain(image)
    for a, b in zip(found, expected, strict=True):
        assert (a.float() - b).norm() < 0.02 * b.norm()


def test_attention_trains_in_a_frozen_backbone() -> None:
    with torch.device("meta"):
        network = build(frozen=True)
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert trained
    assert all(".conv2." in name and ".layer4." in name for name in trained)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"last_stride": 3}, "last_stride has to be 1 or 2, not 3"),
        ({"key_adaptation": -1}, "key_adaptation is -1"),
        ({"key_prior": -1.0}, r"key_prior -1\.0"),
        ({"heads": 3}, "3 heads do not divide 512 channels"),
    ],
    ids=["stride", "steps", "prior", "heads"],
)
def test_bad_settings(bad: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        build(**bad)
