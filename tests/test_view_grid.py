"""The extents and places that views come in."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.view_grid import extent_for, view_around
from view_strategies import LADDER, scenes


@pytest.mark.parametrize(
    ("length", "fill", "extent"),
    [(58, 0.45, 128), (1, 0.45, 16), (81, 0.45, 181), (115, 0.45, 256), (6000, 0.5, 11585)],
)
def test_extents_are_half_octaves(length, fill, extent):
    assert extent_for(length, fill, 128) == extent
    assert extent in LADDER


@given(st.floats(0.1, 1e5), st.sampled_from([64, 128, 256]))
def test_extent_is_the_nearest_of_the_ladder(length, size):
    extent = extent_for(length, 0.45, size)
    wanted = max(length, 1) / 0.45
    if wanted >= size / 8:
        assert abs(math.log2(extent / wanted)) <= 0.25 + 0.02  # rounding to whole pixels
    else:
        assert extent == size // 8


@given(scenes(), st.sampled_from(LADDER))
def test_a_window_stays_with_the_image(scene, extent):
    shape, bounds = scene
    view = view_around((bounds[0], bounds[1]), extent, 128, shape)
    for origin, length in zip(view.box, shape, strict=False):
        if length >= extent:
            assert 0 <= origin <= length - extent / 2
        else:
            assert length - extent <= origin <= 0


@given(scenes(), st.sampled_from(LADDER[:12]))
def test_origins_lie_on_a_grid_of_quarters(scene, extent):
    shape, bounds = scene
    view = view_around((bounds[0], bounds[1]), extent, 128, shape)
    for origin in (view.row, view.col):
        assert round(round(origin / (extent / 4)) * (extent / 4)) == origin


def test_neighbours_share_a_view():
    one = view_around((512, 512), 128, 128, (1000, 1000))
    assert one == view_around((520, 500), 128, 128, (1000, 1000))
