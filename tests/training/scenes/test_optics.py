"""Tests of recording: noise, blocks, stripes, colours."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from scipy import fft

from napari_pvpu.training.scenes import optics
from napari_pvpu.training.scenes.canvas import Canvas


def canvas(count: int = 4, size: int = 64, seed: int = 0) -> Canvas:
    return Canvas(count, size, torch.Generator().manual_seed(seed), random.Random(seed))


def test_blocks_are_rounded_cosine_coefficients() -> None:
    image = torch.rand(2, 3, 20, 16, generator=torch.Generator().manual_seed(0))
    out = optics.block_artefacts(image, torch.full((2, 1, 1, 1), 0.2))
    tile = fft.dctn(image[1, 2, 8:16, :8].numpy(), norm="ortho")
    order = np.arange(8)
    step = 0.2 * (0.3 + 0.25 * (order[:, None] + order))
    expected = fft.idctn(np.round(tile / step) * step, norm="ortho")
    np.testing.assert_allclose(out[1, 2, 8:16, :8].numpy(), expected, atol=1e-5)
    # The last four rows make no whole block.
    assert torch.equal(out[:, :, 16:], image[:, :, 16:])


def test_small_steps_change_little() -> None:
    image = torch.rand(1, 3, 16, 16)
    out = optics.block_artefacts(image, torch.full((1, 1, 1, 1), 1e-4))
    torch.testing.assert_close(out, image, atol=1e-3, rtol=0)


def test_stretching_maps_quantiles() -> None:
    image = torch.linspace(-3, 9, 128 * 128).view(1, 128, 128)
    out = optics.stretched(image)
    assert float(out.min()) == pytest.approx(0, abs=0.02)
    assert float(out.max()) == pytest.approx(1, abs=0.02)


def test_noise_is_stronger_where_there_is_more_light_or_alike() -> None:
    dark, bright = torch.full((400, 1, 8, 8), 0.01), torch.full((400, 1, 8, 8), 1.0)
    spread = [
        (optics.noisy(canvas(400, 8), image, 0.2) - image).std(dim=(1, 2, 3))
        for image in (dark, bright)
    ]
    assert bool((spread[1] >= spread[0] - 1e-6).all())
    assert float(spread[1].max()) < 0.4


@pytest.mark.parametrize("seed", range(4), ids=str)
@pytest.mark.parametrize("channels", [0, 3], ids=["grey", "colour"])
def test_recorded_pictures_are_colour_in_range(seed: int, channels: int) -> None:
    drawn = canvas(seed=seed)
    clean = drawn.randn(channels, 64, 64) if channels else 50 * drawn.randn(64, 64)
    out = optics.record(drawn, clean, optics.Look(blocks=1.0, uneven=1.0, lines=1.0))
    assert out.shape == (4, 3, 64, 64)
    assert 0 <= float(out.min()) <= float(out.max()) <= 1
    assert out.isfinite().all()


def test_an_empty_picture_stays_finite() -> None:
    assert optics.record(canvas(), torch.zeros(4, 64, 64), optics.Look()).isfinite().all()
