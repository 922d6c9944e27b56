"""Blobs and how they compete for pixels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.training import synthetic_shapes as shapes
from napari_pvpu.training.synthetic_shapes import Blob


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_raster_of_a_circle_is_distance_over_radius() -> None:
    drawn = shapes.raster(Blob(20, 30, 10, shapes.circle()), (60, 64))
    assert drawn is not None
    (rows, cols), rho = drawn
    full = np.full((60, 64), np.inf)
    full[rows, cols] = rho
    assert full[20, 30] == 0
    assert full[20, 40] == pytest.approx(1)
    assert full[26, 38] == pytest.approx(1)
    assert (full < 1).sum() == pytest.approx(np.pi * 100, rel=0.03)


def test_raster_outside_the_scene_is_none() -> None:
    assert shapes.raster(Blob(-50, 10, 8, shapes.circle()), (64, 64)) is None


@pytest.mark.parametrize(
    ("mode", "owner"), [("over", 2), ("under", 1)], ids=["later covers", "earlier stays"]
)
def test_overlap_goes_to_later_or_earlier(mode: str, owner: int) -> None:
    blobs = [Blob(20, 16, 10, shapes.circle()), Blob(20, 28, 10, shapes.circle())]
    layout = shapes.settle(blobs, (40, 44), mode=mode)  # type: ignore[arg-type]
    assert layout.labels[20, 22] == owner
    assert layout.labels[20, 10] == 1
    assert layout.labels[20, 34] == 2
    assert layout.labels[2, 2] == 0


def test_split_divides_the_overlap_in_the_middle() -> None:
    blobs = [Blob(20, 16, 10, shapes.circle()), Blob(20, 28, 10, shapes.circle())]
    row = shapes.settle(blobs, (40, 44)).labels[20]
    np.testing.assert_array_equal(row[16:22], 1)
    np.testing.assert_array_equal(row[23:29], 2)


@pytest.mark.parametrize("aspect", [1.0, 2.0, 5.0])
def test_capsule_is_a_rod_with_round_ends(aspect: float) -> None:
    half = 12.0
    blob = Blob(70, 70, half * np.sqrt(aspect), shapes.capsule(aspect), aspect)
    inside = shapes.settle([blob], (140, 140)).labels > 0
    expected = 4 * half**2 * (aspect - 1) + np.pi * half**2
    assert inside.sum() == pytest.approx(expected, rel=0.04)
    assert np.ptp(np.nonzero(inside)[0]) + 1 == pytest.approx(2 * half, abs=2)
    assert np.ptp(np.nonzero(inside)[1]) + 1 == pytest.approx(2 * half * aspect, abs=2)


def test_random_outlines_are_positive_and_bounded() -> None:
    for seed in range(60):
        outline = shapes.random_outline(rng(seed))
        assert outline.dtype == np.float32
        assert outline.min() > 0.05
        assert outline.max() < 8


@pytest.mark.parametrize("big_first", [False, True], ids=["as drawn", "big first"])
def test_scattered_circles_keep_their_distance(big_first: bool) -> None:
    source = rng(4)
    discs = shapes.scatter(
        (200, 100), 80, lambda: source.uniform(4, 12), source, gap=1.1, big_first=big_first
    )
    assert 1 < len(discs) <= 80
    places = np.array(discs)
    apart = np.hypot(*(places[:, None, :2] - places[None, :, :2]).transpose(2, 0, 1))
    reach = 1.1 * (places[:, None, 2] + places[None, :, 2])
    np.fill_diagonal(apart, np.inf)
    assert (apart >= reach - 1e-9).all()
    if big_first:
        assert (np.diff(places[:, 2]) <= 0).all()
