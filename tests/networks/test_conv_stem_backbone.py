"""The default model's encoder where other networks want a backbone."""

from __future__ import annotations

import pytest
import torch

from napari_pvpu.networks.backbones import ConvStemViT, normalize_view
from napari_pvpu.networks.conv_stem_backbone import ConvStemBackbone


def encoder(frozen: bool = False) -> ConvStemViT:
    torch.manual_seed(0)
    return ConvStemViT(64, 4, (8, 12), (1, 1), 16, 1, 2, frozen=frozen)


@pytest.mark.parametrize("size", [(64, 64), (70, 45)], ids=["fits", "odd"])
def test_maps_have_their_strides(size: tuple[int, int]) -> None:
    backbone = ConvStemBackbone(encoder())
    assert (backbone.strides, backbone.channels) == ((4, 8, 16, 32), (8, 12, 16, 16))
    maps = backbone(torch.rand(2, 3, *size))
    for x, stride, channels in zip(maps, backbone.strides, backbone.channels, strict=True):
        assert x.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))


def test_maps_are_the_encoders_own() -> None:
    net = encoder().eval()
    view = torch.rand(2, 3, 64, 64)
    view[1, :, 40:] = torch.nan
    image, inside = normalize_view(view)
    expected = net(image, inside)
    # As networks hand it on: normalised in another way, zero outside.
    shown = torch.where(view.isnan(), 0.0, 3 * view - 1.2)
    maps = ConvStemBackbone(net)(shown)
    for x, level in zip(maps[:3], expected[1:], strict=True):
        torch.testing.assert_close(x, level, rtol=1e-4, atol=1e-4)
    blocks = expected.s16.unflatten(-1, (2, 2)).unflatten(-3, (2, 2))
    torch.testing.assert_close(maps[3], blocks.amax((-1, -3)), rtol=1e-4, atol=1e-4)


def test_unknown_strides_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[64\]"):
        ConvStemBackbone(encoder(), (16, 64))


def test_frozen_stays_in_evaluation() -> None:
    net = encoder(frozen=True)
    assert not any(p.requires_grad for p in net.parameters())
    assert not net.train().training
    assert not any(module.training for module in net.modules())
