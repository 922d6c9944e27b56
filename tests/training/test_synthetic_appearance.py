"""Optics and cameras of the synthetic scenes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.training import synthetic_appearance as appearance
from napari_pvpu.training.synthetic_appearance import Look


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def disc() -> np.ndarray:
    rows, cols = np.ogrid[:64, :64]
    return ((rows - 32) ** 2 + (cols - 32) ** 2 < 200).astype(np.float32)


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_record_gives_eight_bit_rgb_and_keeps_the_object_visible(colour: bool) -> None:
    clean = disc()
    image = np.stack([clean, 1 - clean, 0.5 * clean], axis=2) if colour else clean
    calm = Look(invert=0, tint=0, uneven=0, noise=0.01, blocks=0, softest=1)
    for seed in range(8):
        seen = appearance.record(image, rng(seed), calm)
        assert seen.dtype == np.uint8
        assert seen.shape == (64, 64, 3)
        inside, outside = seen[clean > 0].mean(axis=0), seen[clean == 0].mean(axis=0)
        assert np.abs(inside - outside).max() > 40


def test_record_inverts_when_told_to() -> None:
    clean = disc()
    look = Look(invert=1, tint=0, uneven=0, lines=0, blocks=0)
    seen = appearance.record(clean, rng(), look)[..., 0]
    assert seen[clean > 0].mean() < seen[clean == 0].mean()


def test_per_object_is_constant_in_an_object_and_zero_outside() -> None:
    labels = np.array([[0, 1, 1], [2, 2, 0]], dtype=np.int32)
    values = appearance.per_object(labels, rng(), 5.0, 1.0)
    assert (values[labels == 0] == 0).all()
    assert values[0, 1] == values[0, 2]
    assert values[1, 0] == values[1, 1]
    assert values[0, 1] != values[1, 0]


def test_blocks_leave_little_at_low_strength_and_make_tiles_flat_at_high() -> None:
    image = rng().random((20, 27), dtype=np.float32)
    close = appearance.blocks8(image, 1e-4)
    np.testing.assert_allclose(close, image, atol=2e-3)
    crude = appearance.blocks8(image, 50.0)
    assert crude.shape == image.shape
    assert np.ptp(crude[:8, :8]) < 1e-5


def test_illumination_is_positive_and_stronger_when_told() -> None:
    weak, strong = (appearance.illumination((48, 48), rng(1), s) for s in (0.05, 0.5))
    assert weak.min() > 0
    assert strong.min() > 0
    assert np.ptp(strong) > np.ptp(weak)


def test_radial_profile_depends_on_rho_only_and_is_finite() -> None:
    rho = np.linspace(0, 1.2, 50, dtype=np.float32)
    for seed in range(12):
        values = appearance.radial_profile(np.stack([rho, rho[::-1]]), rng(seed))
        np.testing.assert_array_equal(values[0], values[1][::-1])
        assert np.isfinite(values).all()
        assert values.max() > 0.3
