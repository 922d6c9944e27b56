"""Random fields: scale, statistics, ranges."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.training import synthetic_fields as fields


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("scale", [1.0, 3.0, 16.0, (4.0, 32.0)], ids=str)
def test_smooth_noise_has_unit_variance(scale: float | tuple[float, float]) -> None:
    draws = np.stack([fields.smooth_noise((96, 160), scale, rng(s)) for s in range(60)])
    assert draws.dtype == np.float32
    assert draws.std() == pytest.approx(1, abs=0.08)
    assert draws.mean() == pytest.approx(0, abs=0.1)


def test_smooth_noise_is_smooth_on_its_scale() -> None:
    coarse, fine = (fields.smooth_noise((128, 128), s, rng()) for s in (32.0, 4.0))
    assert np.abs(np.diff(coarse)).mean() < 0.25 * np.abs(np.diff(fine)).mean()


def test_oriented_noise_varies_less_along_than_across() -> None:
    noise = fields.oriented_noise((128, 128), 30, 3, 0.0, rng())
    along, across = np.abs(np.diff(noise, axis=1)).mean(), np.abs(np.diff(noise, axis=0)).mean()
    assert across > 4 * along


@pytest.mark.parametrize("family", fields.TEXTURES)
def test_textures_are_standardised(family: str) -> None:
    field = fields.texture((64, 80), rng(3), family=family)
    assert field.shape == (64, 80)
    assert field.dtype == np.float32
    assert field.mean() == pytest.approx(0, abs=1e-3)
    assert field.std() == pytest.approx(1, abs=1e-3)


def test_an_unknown_texture_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown texture family 'wool'"):
        fields.texture((32, 32), rng(), family="wool")


def test_smoothstep_rises_or_falls_between_its_bounds() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0], dtype=np.float32)
    np.testing.assert_allclose(fields.smoothstep(1, 3, values), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(fields.smoothstep(3, 1, values), [1, 1, 0.5, 0, 0])


def test_log_uniform_stays_within_bounds_and_is_even_in_the_logarithm() -> None:
    source = rng()
    draws = np.array([fields.log_uniform(source, 0.01, 1.0) for _ in range(4000)])
    assert draws.min() >= 0.01
    assert draws.max() <= 1.0
    assert np.median(draws) == pytest.approx(0.1, rel=0.15)
