"""Tests of random fields and blur."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi

from napari_pvpu.training.scenes import noise
from napari_pvpu.training.scenes.canvas import Canvas, host_random


def canvas(count: int = 4, size: int = 96, seed: int = 0) -> Canvas:
    return Canvas(count, size, torch.Generator().manual_seed(seed), random.Random(seed))


@pytest.mark.parametrize("scale", [1.0, 4.0, 12.0], ids=str)
def test_noise_has_unit_deviation_and_its_scale(scale: float) -> None:
    field = noise.smooth_noise(canvas(16), scale, 2, vary=1.0)
    assert field.shape == (16, 2, 96, 96)
    assert float(field.std()) == pytest.approx(1, abs=0.2)
    # Neighbours as far as a knot go together, far ones do not.
    step = (field[..., 1:] - field[..., :-1]).abs().mean()
    assert float(step) == pytest.approx(1.0 / scale, rel=0.5)


def test_noise_can_be_stretched_along_columns() -> None:
    field = noise.smooth_noise(canvas(), 4, aspect=9.0)[:, 0]
    along, across = field.diff(dim=2).abs().mean(), field.diff(dim=1).abs().mean()
    assert float(across) > 4 * float(along)


def test_weights_of_splines_sum_to_one() -> None:
    weights = noise.spline_weights(torch.linspace(1, 6, 50), 8)
    torch.testing.assert_close(weights.sum(-1), torch.ones(50))
    assert float(weights.min()) >= 0


@pytest.mark.parametrize("sigma", [0.8, 3.0], ids=str)
def test_blur_is_a_gaussian(sigma: float) -> None:
    point = torch.zeros(1, 41, 41)
    point[0, 20, 20] = 1
    expected = ndi.gaussian_filter(point[0].numpy(), sigma, truncate=6)
    np.testing.assert_allclose(noise.blur(point, sigma)[0].numpy(), expected, atol=2e-4)


def test_each_scene_has_its_own_blur_and_a_flat_one_stays() -> None:
    image = canvas(2).randn(32, 32)
    sigma = torch.tensor([0.0, 4.0]).view(2, 1, 1)
    out = noise.blur(image, sigma)
    torch.testing.assert_close(out[0], image[0], atol=1e-4, rtol=0)
    assert float(out[1].std()) < 0.2
    torch.testing.assert_close(noise.blur(torch.ones(1, 3, 9, 9), 2.0), torch.ones(1, 3, 9, 9))


@pytest.mark.parametrize("family", noise.TEXTURES)
def test_textures_are_centred_and_finite(family: str) -> None:
    pattern = noise.texture(canvas(8), 3.0, family)
    assert pattern.shape == (8, 96, 96)
    assert pattern.isfinite().all()
    assert abs(float(pattern.mean())) < 0.4
    assert 0.1 < float(pattern.std()) < 1.6


def test_choices_of_the_host_follow_the_generator() -> None:
    first, again = (host_random(torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.random() == again.random()
    generator = torch.Generator().manual_seed(3)
    assert host_random(generator).random() != host_random(generator).random()
