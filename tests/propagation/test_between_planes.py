"""Tests of napari_pvpu.propagation.between_planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.networks.interface import Features
from napari_pvpu.propagation import CarrySettings
from napari_pvpu.propagation.between_planes import carry, keys_of

SIZE, GRID, CHANNELS = 32, 8, 6
SETTINGS = CarrySettings(grid=GRID, levels=1, reach=12.0)


def features_of(looks: np.ndarray) -> Features:
    """Features of a view whose cells look like the channels named, (8, 8) int."""
    level = torch.nn.functional.one_hot(torch.from_numpy(looks), CHANNELS).float()
    blank = torch.zeros(1, 3, SIZE, SIZE)
    return Features((level.permute(2, 0, 1)[None],), blank, blank[:, :1] + 1)


def scene(row: int, col: int, look: int = 2) -> tuple[Features, torch.Tensor]:
    """A square of 3 x 3 cells of one look on another's ground, and where it is, (S, S)."""
    looks = np.zeros((GRID, GRID), np.int64)
    looks[row : row + 3, col : col + 3] = look
    mask = np.kron(looks > 0, np.ones((SIZE // GRID,) * 2))
    return features_of(looks), torch.from_numpy(mask).float()


def test_object_that_stays_is_found_where_it_was() -> None:
    features, mask = scene(2, 2)
    found = carry([(features, mask, 1.0)], features, SETTINGS)
    assert found.shape == (SIZE, SIZE)
    # Cells are blended where they meet, which takes the corners off.
    assert ((found > 0.5) == (mask > 0.5)).float().mean() > 0.98


def test_object_that_has_moved_is_found_where_it_is() -> None:
    before, mask = scene(2, 2)
    after, moved = scene(3, 4)
    found = carry([(before, mask, 1.0)], after, SETTINGS) > 0.5
    assert (found == (moved > 0.5)).float().mean() > 0.97
    assert not found[9, 9], "where it was, nothing is left"


def test_what_looks_alike_far_away_is_not_taken_for_it() -> None:
    looks = np.zeros((GRID, GRID), np.int64)
    looks[0:2, 0:2] = looks[6:8, 6:8] = 2
    features = features_of(looks)
    mask = torch.zeros(SIZE, SIZE)
    mask[:8, :8] = 1
    near = carry([(features, mask, 1.0)], features, replace(SETTINGS, reach=6.0))
    assert near[2, 2] > 0.9
    assert near[29, 29] < 0.1


def test_object_that_has_gone_leaves_nothing() -> None:
    features, mask = scene(2, 2)
    empty = features_of(np.zeros((GRID, GRID), np.int64))
    assert carry([(features, mask, 1.0)], empty, SETTINGS).max() < 0.5


def test_planes_count_by_their_weight() -> None:
    features, mask = scene(2, 2)
    for weight, inside in ((100.0, True), (0.01, False)):
        units = [(features, mask, weight), (features, torch.zeros(SIZE, SIZE), 1.0)]
        assert (carry(units, features, SETTINGS)[12, 12] > 0.5) == inside


def test_keys_have_length_one_on_the_grid() -> None:
    levels = tuple(torch.randn(1, c, n, n) for c, n in ((4, 16), (8, 8), (8, 4), (8, 2)))
    blank = torch.zeros(1, 3, SIZE, SIZE)
    features = Features(levels, blank, blank[:, :1])
    keys = keys_of(features, replace(SETTINGS, levels=2))
    assert keys.shape == (GRID * GRID, 16)
    torch.testing.assert_close(keys.norm(dim=1), torch.ones(GRID * GRID))
    coarse = keys_of(Features(levels[:1], blank, blank[:, :1]), SETTINGS)
    assert coarse.shape == (GRID * GRID, 4), "finer levels are averaged if there are no others"


@given(st.integers(0, 5), st.floats(1.0, 60.0), st.floats(2.0, 30.0))
def test_probability_stays_between_what_is_known(steps: int, sharp: float, reach: float) -> None:
    features, mask = scene(1, 4)
    other, _ = scene(3, 1, look=3)
    settings = replace(SETTINGS, iterations=steps, sharpness=sharp, reach=reach)
    found = carry([(features, 0.2 + 0.5 * mask, 1.0)], other, settings)
    assert found.isfinite().all()
    assert found.min() >= 0.2 - 1e-5
    assert found.max() <= 0.7 + 1e-5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sharpness", 0.0),
        ("reach", float("inf")),
        ("iterations", 6),
        ("theta_xi", -1.0),
        ("grid", 2),
        ("levels", 0),
    ],
)
def test_settings_out_of_range_are_told(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        replace(SETTINGS, **{name: value})
