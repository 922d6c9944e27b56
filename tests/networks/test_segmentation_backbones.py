"""SegFormer's encoder and DeepLabV3+: shapes, odd sizes, training, and a missing library."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import torch

from napari_pvpu.networks.segmentation_backbones import (
    DeepLabV3Plus,
    MixTransformer,
    SpatialPyramidPooling,
)

if TYPE_CHECKING:
    from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone


def check_shapes(net: FeatureBackbone, height: int, width: int) -> None:
    net.eval()
    with torch.no_grad():
        maps = net(torch.randn(1, 3, height, width))
    for x, stride, channels in zip(maps, net.strides, net.channels, strict=True):
        assert x.shape == (1, channels, -(-height // stride), -(-width // stride))
        assert torch.isfinite(x).all()


@pytest.mark.parametrize("first_stride", [2, 4])
def test_segformer(first_stride: int) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    net = MixTransformer(first_stride=first_stride)
    assert net.strides[0] == first_stride
    assert net.channels == (32, 64, 160, 256)
    check_shapes(net, 64, 64)
    check_shapes(net, 50, 71)


def test_segformer_on_the_meta_device() -> None:
    pytest.importorskip("segmentation_models_pytorch")
    with torch.device("meta"):
        net = MixTransformer()
    assert {p.device.type for p in net.parameters()} == {"meta"}


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch.encoders", None)
    with pytest.raises(ImportError, match=r"napari-pvpu\[backbones\]"):
        MixTransformer()


def test_segformer_settings() -> None:
    with pytest.raises(ValueError, match="mit_b9"):
        MixTransformer("mit_b9")
    with pytest.raises(ValueError, match="not 3"):
        MixTransformer(first_stride=3)


def test_deeplab() -> None:
    torch.manual_seed(0)
    net = DeepLabV3Plus("resnet18d", channels=16, low_channels=6)
    assert net.channels == (6, 16)
    check_shapes(net, 64, 64)
    check_shapes(net, 50, 71)


def test_deeplab_trains_on_a_single_image() -> None:
    pooling = SpatialPyramidPooling(6, 4)
    pooling(torch.randn(1, 6, 5, 7)).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in pooling.parameters())
