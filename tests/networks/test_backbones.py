"""Normalisation of views and the encoder's maps."""

from __future__ import annotations

import pytest
import torch

from napari_pvpu.networks.backbones import ConvStemViT, Levels, normalize_view
from napari_pvpu.networks.pyramids import TopDownPyramid


def test_normalised_view_has_zero_mean_and_unit_variance_inside() -> None:
    view = torch.rand(2, 3, 8, 8)
    view[0, :, :, 5:] = torch.nan
    image, inside = normalize_view(view)
    assert inside[0, 0, 0].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert (image[0, :, :, 5:] == 0).all()
    for values in (image[0, :, :, :5], image[1]):
        assert float(values.mean()) == pytest.approx(0, abs=1e-5)
        assert float(values.std(unbiased=False)) == pytest.approx(1, abs=1e-4)


def test_noise_of_a_flat_view_is_not_blown_up() -> None:
    image, _ = normalize_view(0.5 + 1e-4 * torch.randn(1, 3, 8, 8))
    assert float(image.abs().max()) < 0.1


def test_a_view_outside_the_image_is_zero() -> None:
    image, inside = normalize_view(torch.full((1, 3, 4, 4), torch.nan))
    assert (image == 0).all()
    assert (inside == 0).all()


@pytest.mark.parametrize("size", [32, 64, 96])
def test_maps_halve_from_level_to_level(size: int) -> None:
    encoder = ConvStemViT(64, 4, (8, 12), (1, 1), 16, 1, 2).eval()
    levels = encoder(torch.randn(1, 3, size, size), torch.ones(1, 1, size, size))
    shapes = [tuple(x.shape[1:]) for x in levels]
    assert shapes == [
        (c, size // s, size // s) for c, s in zip((4, 8, 12, 16), (2, 4, 8, 16), strict=True)
    ]
    pyramid = TopDownPyramid(encoder.out_channels, (4, 6, 8, 10))
    assert [x.shape[1] for x in pyramid(levels)] == [4, 6, 8, 10]


def test_coarse_levels_reach_fine_ones() -> None:
    pyramid = TopDownPyramid((2, 2, 2, 2), (2, 2, 2, 2))
    maps = [torch.zeros(1, 2, n, n) for n in (8, 4, 2, 1)]
    before = pyramid(Levels(*maps)).s2
    maps[3] += 1
    assert not torch.allclose(pyramid(Levels(*maps)).s2, before)
