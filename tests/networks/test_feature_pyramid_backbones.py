"""Backbones of other libraries: shapes, odd sizes, training, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone, TimmBackbone

HIERARCHICAL = [
    "resnet18",
    "convnext_atto",
    "hrnet_w18_small",
    "mobilenetv3_small_050",
    "efficientnet_b0",
    "efficientvit_b0",
    "fastvit_t8",
    "regnetx_002",
    "edgenext_xx_small",
    "pvt_v2_b0",
    "swin_tiny_patch4_window7_224",
    "hiera_tiny_224",
    "coat_lite_tiny",
]
PLAIN = [
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
    "eva02_tiny_patch14_224",
    "vit_small_patch14_dinov2",
]


def check_shapes(net: FeatureBackbone, height: int, width: int) -> None:
    net.eval()
    with torch.no_grad():
        maps = net(torch.randn(1, 3, height, width))
    for x, stride, channels in zip(maps, net.strides, net.channels, strict=True):
        assert x.shape == (1, channels, -(-height // stride), -(-width // stride))
        assert torch.isfinite(x).all()


@pytest.mark.parametrize("name", HIERARCHICAL)
def test_hierarchical_backbones(name: str) -> None:
    torch.manual_seed(0)
    net = TimmBackbone(name, image_size=64)
    check_shapes(net, 64, 64)
    check_shapes(net, 50, 71)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_backbones(name: str) -> None:
    torch.manual_seed(0)
    net = TimmBackbone(name, image_size=64, plain_channels=12)
    assert net.channels == (12, 12, 12, 12)
    check_shapes(net, 64, 64)
    check_shapes(net, 50, 71)


@pytest.mark.parametrize(
    "name", ["vit_base_patch16_224.mae", "samvit_base_patch16", "vit_base_patch16_clip_224"]
)
def test_large_plain_backbones_are_laid_out(name: str) -> None:
    """Built on the meta device, where shapes are all there is."""
    with torch.device("meta"):
        net = TimmBackbone(name, out_strides=(16,), image_size=448)
        (x,) = net(torch.empty(2, 3, 448, 448))
    assert net.channels == (768,)
    assert x.shape == (2, 768, 28, 28)


def test_own_levels_are_passed_through() -> None:
    torch.manual_seed(0)
    net = TimmBackbone("resnet18", out_strides=(2, 8, 32)).eval()
    oracle = timm.create_model("resnet18", features_only=True).eval()
    oracle.load_state_dict(net.net.state_dict(), strict=False)
    image = torch.randn(1, 3, 64, 96)
    expected = oracle(image)
    for got, index in zip(net(image), (0, 2, 4), strict=True):
        torch.testing.assert_close(got, expected[index])


def test_patch_14_sees_a_smaller_image() -> None:
    torch.manual_seed(0)
    net = TimmBackbone("vit_small_patch14_dinov2", out_strides=(16,)).eval()
    image = torch.randn(1, 3, 64, 48)
    small = torch.nn.functional.interpolate(image, (56, 42), mode="bilinear")
    torch.testing.assert_close(net(image)[0], net.net(small)[-1])


def test_strides_that_are_missing_are_made() -> None:
    net = TimmBackbone("convnext_atto", out_strides=(2, 4, 32, 64))
    assert net.channels == (40, 40, 320, 320)
    check_shapes(net, 70, 64)
    plain = TimmBackbone("vit_tiny_patch16_224", out_strides=(8, 64), plain_channels=6)
    assert plain.channels == (6, 6)
    check_shapes(plain, 64, 80)


def test_levels_that_nobody_wants_are_not_built() -> None:
    whole, half = TimmBackbone("resnet18"), TimmBackbone("resnet18", out_strides=(4, 8))
    assert half.channels == (64, 128)
    assert sum(p.numel() for p in half.parameters()) < sum(p.numel() for p in whole.parameters())


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_frozen_stays_as_it_is(name: str) -> None:
    net = TimmBackbone(name, frozen=True, out_strides=(8, 16), plain_channels=8).train()
    before = {k: v.clone() for k, v in net.net.state_dict().items()}
    image = torch.randn(2, 3, 64, 64, requires_grad=True)
    sum(x.sum() for x in net(image)).backward()
    assert image.grad is not None
    assert all(p.grad is None for p in net.net.parameters())
    assert not net.net.training
    for key, value in net.net.state_dict().items():
        torch.testing.assert_close(value, before[key])
    if net.pyramid is not None:
        assert net.pyramid.training
        assert all(p.grad is not None for p in net.pyramid.parameters())


def test_gradients_reach_all_levels() -> None:
    torch.manual_seed(0)
    net = TimmBackbone("resnet18").train()
    sum(x.square().mean() for x in net(torch.randn(2, 3, 64, 64))).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"name": "resnet81"}, "resnet", id="unknown"),
        pytest.param({"name": "resnet18", "out_strides": (4, 12)}, r"\(4, 12\)", id="no-power"),
        pytest.param({"name": "resnet18", "out_strides": (8, 4)}, r"\(8, 4\)", id="order"),
        pytest.param({"name": "resnet18", "out_strides": ()}, r"\(\)", id="none"),
    ],
)
def test_what_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimmBackbone(**options)


def test_unknown_names_come_with_similar_ones() -> None:
    with pytest.raises(ValueError, match="convnext_tiny"):
        TimmBackbone("convnext_tinny")


def test_weights_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    real = timm.create_model

    def offline(*args: Any, pretrained: bool = False, **options: Any) -> Any:
        if pretrained:
            raise FileNotFoundError("no route to host")
        return real(*args, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ConnectionError, match="no route to host"):
        TimmBackbone("resnet18", pretrained=True)


def test_hrnet_without_its_classifier() -> None:
    with torch.device("meta"):
        net = TimmBackbone("hrnet_w18_small_v2", options={"feature_location": ""})
    assert net.channels == (18, 36, 72, 144)
    assert 3.8e6 < sum(p.numel() for p in net.parameters()) < 3.9e6
