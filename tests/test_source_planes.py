"""Images of several planes and channels, and how their values are shown."""

from __future__ import annotations

from itertools import permutations

import dask.array
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazy_arrays import ChunkedArray
from napari_pvpu.errors import ImageError
from napari_pvpu.sampling import MOST_SEARCHED, SAMPLES, spread_planes
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

SERIES = np.random.default_rng(0).integers(0, 4000, (3, 2, 4, 24, 30), np.uint16)
"""(T, C, Z, Y, X)."""

VIEW = View(-3, 2, 32, 16)


def shown(image, **arguments):
    return ImageSource(image, **arguments).read_view(VIEW)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(list(permutations("TCZYX"))),
    st.integers(0, 2),
    st.integers(0, 3),
    st.sampled_from([View(-3, 2, 32, 16), View(0, 0, 24, 24), View(5, 9, 11, 16)]),
)
def test_planes_are_the_arrays_own_whatever_the_order_of_axes(order, t, z, view):
    axes = "".join(order)
    image = SERIES.transpose(["TCZYX".index(letter) for letter in axes])
    source = ImageSource(image, axes=axes, limits=(100, 3000))
    place = {"T": t, "Z": z}
    plane = source.at(tuple(place[letter] for letter in axes if letter in place))
    alone = ImageSource(SERIES[t, :, z], axes="CYX", limits=(100, 3000))
    assert source.shape == plane.shape == (24, 30)
    assert np.array_equal(plane.read_view(view), alone.read_view(view), equal_nan=True)


@pytest.mark.parametrize(
    ("shape", "axes", "plane_shape", "plane_axes", "rest"),
    [
        ((24, 30), None, (), "", "YX"),
        ((24, 30, 3), None, (), "", "YXC"),
        ((6, 24, 30), None, (6,), "Z", "YX"),
        ((6, 24, 30), "TYX", (6,), "T", "YX"),
        ((6, 24, 30), "CYX", (), "", "CYX"),
        ((6, 24, 30, 3), "TYXS", (6,), "T", "YXS"),
        ((3, 2, 4, 24, 30), "TCZYX", (3, 4), "TZ", "CYX"),
        ((24, 30, 1, 1), "YXZT", (1, 1), "ZT", "YX"),
    ],
)
def test_what_an_image_says_of_its_planes(shape, axes, plane_shape, plane_axes, rest):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    source = ImageSource(image, axes=axes)
    assert (source.plane_shape, source.plane_axes) == (plane_shape, plane_axes)
    plane = source.at((0,) * len(plane_shape))
    assert (plane.axes, plane.plane_shape, plane.plane_axes) == (rest, (), "")
    assert (plane.shape, plane.limits, plane.channels) == (
        source.shape,
        source.limits,
        source.channels,
    )
    assert plane.at(()) is plane


@pytest.mark.parametrize(
    ("plane", "says"),
    [
        ((), "T 0 to 2, Z 0 to 3"),
        ((0,), "one number for each of T"),
        ((3, 0), "no plane"),
        ((0, -1), "no plane"),
        ((0, 0, 0), "no plane"),
        ((0, 1.5), "whole numbers"),
        (2, "whole numbers"),
    ],
)
def test_planes_that_are_not_there_are_refused(plane, says):
    source = ImageSource(SERIES, axes="TCZYX")
    with pytest.raises(ImageError, match=says):
        source.at(plane)


def test_a_view_shows_one_plane_and_no_several():
    with pytest.raises(ImageError, match=r"planes along T, Z, \(3, 4\) of them"):
        ImageSource(SERIES, axes="TCZYX").read_view(VIEW)


def test_tokens_are_found_again_for_the_same_plane_and_settings():
    source = ImageSource(SERIES, axes="TCZYX")
    tokens = {source.at(plane).token for plane in np.ndindex(3, 4)}
    assert len(tokens) == 12
    assert source.at((1, 2)).token == source.at((np.int64(1), 2)).token
    assert hash(source.at((1, 2)).token) == hash(source.at((1, 2)).token)
    assert source.token not in tokens
    for changed in ({"channels": 1}, {"gamma": 2}, {"limits": (0, 1)}, {"projection": "max"}):
        assert source.adjusted(**changed).at((1, 2)).token not in tokens
        again = source.adjusted(**changed).at((1, 2)).adjusted()
        assert again.token == source.at((1, 2)).token
    assert ImageSource(SERIES, axes="TCZYX").at((1, 2)).token not in tokens


def test_an_adjusted_plane_is_shown_as_if_opened_so():
    settings = {"channels": [1], "limits": (500, 2500), "gamma": 0.5}
    plane = ImageSource(SERIES, axes="TCZYX").at((2, 1))
    wanted = shown(SERIES[2, 1, 1], limits=(500, 2500), gamma=0.5)
    assert np.array_equal(plane.adjusted(**settings).read_view(VIEW), wanted, equal_nan=True)


# Limits


def test_limits_are_the_same_for_all_planes():
    stack = np.zeros((20, 30, 40), np.float32)
    stack[7, :, :] = np.linspace(0, 1000, 40)
    source = ImageSource(stack, axes="ZYX")
    assert source.limits == ((0,), (pytest.approx(np.percentile(stack, 99.5), rel=1e-5),))
    assert all(source.at((z,)).limits == source.limits for z in range(20))
    assert source.at((7,)).read_view(View(0, 0, 40, 40))[0, 0].max() == 1


def test_a_dark_plane_stays_dark():
    stack = np.random.default_rng(0).integers(0, 10, (9, 40, 40), np.uint16)
    stack[3:6] += 1000
    seen = ImageSource(stack, axes="ZYX").at((0,)).read_view(View(0, 0, 40, 40))
    assert seen.max() < 0.02


@pytest.mark.parametrize(
    ("shape", "axes", "chunks", "planes"),
    [
        ((500, 90, 700, 800), "TZYX", (1, 1, 256, 256), 8),
        ((200, 2, 60, 40_000, 50_000), "TCZYX", (1, 1, 1, 1024, 1024), 8),
        ((10, 10), "YX", (5, 5), 1),
        ((5000, 12, 14), "ZYX", (1, 12, 14), 64),
    ],
    ids=["series", "terabytes", "tiny", "many-tiny-planes"],
)
def test_limits_of_lazy_images_are_found_by_looking_at_little(shape, axes, chunks, planes):
    lazy = ChunkedArray(shape, chunks, lambda *at: sum(at) % 1000)
    source = ImageSource(lazy, axes=axes)
    assert lazy.pixels <= SAMPLES
    assert len(lazy.touched) <= 64 * 2 * 4  # a window may lie on the corner of four chunks
    where = [axes.index(letter) for letter in source.plane_axes]
    assert len({tuple(chunk[axis] for axis in where) for chunk in lazy.touched}) == planes
    (low, *_), (high, *_) = source.limits
    assert low <= 20
    assert high >= min(950, sum(shape) - 5)


def test_with_limits_given_nothing_is_read_before_a_view_is():
    lazy = ChunkedArray((50, 3, 9, 4000, 5000), (1, 1, 1, 512, 512), lambda *at: sum(at) % 1000)
    plane = ImageSource(lazy, axes="TCZYX", limits=(0, 999)).at((40, 8))
    assert lazy.pixels == 0
    plane.read_view(View(600, 600, 256))
    assert lazy.pixels == 3 * 258**2
    assert lazy.touched == {(40, c, 8, 1, 1) for c in range(3)}


def test_only_chosen_channels_are_read_and_neighbours_at_once():
    lazy = ChunkedArray((30, 600, 600), (1, 600, 600), lambda c, y, x: (c + y + x) % 250)
    ImageSource(lazy, axes="CYX", channels=[20, 4])
    assert {chunk[0] for chunk in lazy.touched} == {20, 4}
    lazy.forget()
    ImageSource(lazy, axes="CYX", projection="first three")
    assert {chunk[0] for chunk in lazy.touched} == {0, 1, 2}


def test_dask_computes_the_chunks_under_a_view_and_no_others():
    computed = []

    def block(block_info=None):
        computed.append(tuple(block_info[None]["chunk-location"]))
        return np.add.outer(np.arange(64), np.arange(64))[None].astype(np.uint16)

    image = dask.array.map_blocks(
        block, chunks=((1,) * 40, (64,) * 10, (64,) * 10), dtype=np.uint16, meta=np.empty((0,) * 3)
    )
    plane = ImageSource(image, axes="TYX", limits=(0, 126)).at((17,))
    assert computed == []
    seen = plane.read_view(View(130, 200, 32, 32))
    assert set(computed) == {(17, 2, 3)}
    assert seen[0, 0, 0] == pytest.approx((2 + 8) / 126, abs=1e-6)


@pytest.mark.parametrize("most", [1, 8, 64])
@given(st.lists(st.integers(1, 300), min_size=0, max_size=3).map(tuple))
def test_sampled_planes_are_spread_over_every_axis(most, shape):
    planes = spread_planes(shape, most)
    assert len(planes) <= max(most, 1)
    assert len(set(planes)) == len(planes)
    assert all(0 <= at < n for plane in planes for at, n in zip(plane, shape, strict=True))
    if np.prod(shape) <= most:
        assert planes == list(np.ndindex(shape))
    elif most == 64:
        for axis, length in enumerate(shape):
            positions = np.array([plane[axis] for plane in planes])
            if length >= 8 and len(shape) == 1:
                assert np.diff(positions).max() <= length / 64 + 1
            if length >= 8:  # no quarter of an axis is left out
                assert set((positions * 4 // length).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("value", [0, -3, 1e300], ids=str)
def test_a_constant_channel_is_dark_beside_another(value):
    image = np.full((2, 20, 20), float(value))
    image[1] = np.arange(20)
    source = ImageSource(image, axes="CYX")
    seen = source.read_view(View(0, 0, 20, 20))
    assert source.limits[0][0] == value
    assert seen[0].tolist() == np.zeros((20, 20)).tolist()
    assert seen[1].max() == 1


def test_rare_values_are_looked_for_in_all_planes():
    stack = np.zeros((100, 400, 300), np.uint8)
    stack[61, 333, 111] = 9
    source = ImageSource(stack, axes="ZYX")
    assert source.limits == ((0,), (9,))


def test_rare_values_of_a_small_lazy_image_are_found():
    def value(z, y, x):
        return np.where((z == 33) & (y == 555) & (x == 666), 7, 0)

    source = ImageSource(ChunkedArray((40, 1200, 900), (1, 600, 900), value), axes="ZYX")
    assert source.limits == ((0,), (7,))


@pytest.mark.parametrize(
    ("value", "dtype", "says"), [(0, "uint16", "every value is 0"), (np.nan, "float32", "finite")]
)
def test_the_search_for_contrast_ends(value, dtype, says):
    lazy = ChunkedArray((90, 50_000, 60_000), (1, 512, 512), lambda *at: value, dtype)
    with pytest.raises(ImageError, match=says) as error:
        ImageSource(lazy, axes="ZYX")
    assert "pass limits=" in str(error.value)
    assert lazy.pixels <= SAMPLES + MOST_SEARCHED + 2048**2
    assert ImageSource(lazy, axes="ZYX", limits=(0, 255)).limits == ((0,), (255,))


# How values are shown


def test_limits_and_gamma_are_a_layers():
    image = np.array([[0, 100], [200, 300], [400, 500]], np.uint16)
    view = View(0, 0, 4, 4)
    seen = ImageSource(image, limits=(100, 400), gamma=2).read_view(view)[0, :3, :2]
    assert seen.tolist() == pytest.approx(np.array([[0, 0], [1 / 9, 4 / 9], [1, 1]]), abs=1e-6)


def test_limits_may_differ_between_channels():
    image = np.full((2, 5, 5), 50.0)
    limits = ((0, 40), (100, 60))
    source = ImageSource(image, axes="CYX", limits=limits)
    assert source.limits == limits
    seen = source.read_view(View(0, 0, 4, 4))
    assert seen[:, 1, 1].tolist() == [0.5, 0.5, 0.5]
    again = ImageSource(image, axes="CYX", limits=source.limits)
    assert np.array_equal(again.read_view(VIEW), source.read_view(VIEW), equal_nan=True)


def test_not_finite_values_are_shown_with_limits_and_gamma_too():
    image = np.array([[np.nan, np.inf], [-np.inf, 5]])
    seen = ImageSource(image, limits=(0, 10), gamma=2).read_view(View(0, 0, 2, 2))
    assert seen[0].tolist() == [[0, 1], [0, 0.25]]


def test_limits_closer_than_single_precision_still_tell_values_apart():
    image = np.array([[60000, 60001], [60000, 60001]], np.uint16)
    seen = ImageSource(image, limits=(60000.0005, 60000.0006)).read_view(View(0, 0, 2, 2))
    assert seen[0].tolist() == [[0, 1], [0, 1]]


CHANNELS = np.zeros((5, 4, 4), np.float32)
CHANNELS[[0, 1, 2, 3, 4], [0, 0, 0, 1, 1], 0] = [0.1, 0.2, 0.3, 0.8, 0.9]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param({}, [[0.12, 0.34]] * 3, id="mean"),
        pytest.param({"projection": "max"}, [[0.3, 0.9]] * 3, id="max"),
        pytest.param(
            {"projection": "first three"}, [[0.1, 0], [0.2, 0], [0.3, 0]], id="first-three"
        ),
        pytest.param(
            {"projection": "first three", "channels": [4, 0, 1, 3]},
            [[0, 0.9], [0.1, 0], [0.2, 0]],
            id="first-three-chosen",
        ),
        pytest.param(
            {"projection": "max", "channels": [0, 4]},
            [[0.1, 0], [0, 0.9], [0.05, 0.45]],
            id="two-are-not-projected",
        ),
    ],
)
def test_more_than_three_channels_are_projected(arguments, expected):
    seen = ImageSource(CHANNELS, axes="CYX", limits=(0, 1), **arguments).read_view(View(0, 0, 4, 4))
    assert seen[:, :2, 0].tolist() == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"limits": (5, 5)}, "nothing between"),
        ({"limits": (5, 4)}, "low < high"),
        ({"limits": (0, np.inf)}, "not finite"),
        ({"limits": (np.nan, 1)}, "not finite"),
        ({"limits": 7}, "a pair"),
        ({"limits": (1, 2, 3)}, "a pair"),
        ({"limits": ("low", "high")}, "no limit of values"),
        ({"limits": ((0, 0, 0), 1)}, "3 limits for 2 channels"),
        ({"gamma": 0}, "positive"),
        ({"gamma": float("nan")}, "positive"),
        ({"projection": "median"}, 'choose from "mean", "max", "first three"'),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(arguments, says):
    with pytest.raises(ImageError, match=says):
        ImageSource(SERIES, axes="TCZYX", **arguments)


@pytest.mark.parametrize(
    ("axes", "dtype", "together"),
    [("ZYXS", "uint16", True), ("ZYXC", "uint8", True), ("ZYXC", "uint16", False)],
)
def test_red_green_blue_share_limits(axes, dtype, together):
    image = np.random.default_rng(0).integers(0, 80, (6, 20, 20, 3)).astype(dtype)
    image[..., 1] += 100
    (low, *others), _ = ImageSource(image, axes=axes).limits
    assert (set(others) == {low}) is together
