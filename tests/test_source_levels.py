"""Pyramids: the level that is read, and that it makes no difference to what is seen."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from lazy_arrays import ChunkedArray
from napari_pvpu.axes import Layout
from napari_pvpu.errors import ImageError
from napari_pvpu.levels import Levels, as_levels
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View


def halved(image):
    """Average blocks of 2 x 2 of the last two axes; what is over at the end is left out."""
    rows, cols = (length // 2 * 2 for length in image.shape[-2:])
    even = image[..., :rows, :cols]
    return even.reshape(*image.shape[:-2], rows // 2, 2, cols // 2, 2).mean((-3, -1))


def pyramid(image, levels=4):
    out = [image]
    while len(out) < levels:
        out.append(halved(out[-1]))
    return out


def texture(shape, seed=0, smooth=3.0):
    noise = np.random.default_rng(seed).normal(size=shape)
    out = gaussian_filter(noise, (0,) * (len(shape) - 2) + (smooth, smooth))
    return ((out - out.min()) / np.ptp(out) * 1000).astype(np.float32)


IMAGE = texture((1024, 896), smooth=8)
LIMITS = (200, 800)
PYRAMID = ImageSource(pyramid(IMAGE), limits=LIMITS)
ALONE = ImageSource(IMAGE, limits=LIMITS)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(-300, 900),
    st.integers(-300, 800),
    st.sampled_from([45, 128, 181, 256, 362, 512, 724, 1024, 2048]),
)
def test_a_pyramid_shows_what_the_image_shows(row, col, extent):
    view = View(row, col, extent)
    seen, wanted = PYRAMID.read_view(view), ALONE.read_view(view)
    assert np.array_equal(np.isnan(seen), np.isnan(wanted))
    error = np.abs(np.nan_to_num(seen - wanted))
    # Blocks of a level begin elsewhere than blocks of a view, which shows in details of their size.
    assert error.max() < 0.02 + 0.012 / view.scale
    assert error.mean() < 0.015


def test_at_full_resolution_it_is_the_image_itself():
    view = View(100, 120, 181)
    assert np.array_equal(PYRAMID.read_view(view), ALONE.read_view(view))


@pytest.mark.parametrize("extent", [256, 362, 512, 724, 1024])
@pytest.mark.parametrize("shape", [(1024, 1024), (1023, 999), (1030, 777)])
def test_coarse_levels_lie_where_the_image_lies(shape, extent):
    """A ramp is read at each model pixel's centre, whichever level it is read from."""
    image = np.add.outer(np.arange(shape[0]), np.zeros(shape[1])).astype(np.float64)
    source = ImageSource(pyramid(image, 5), limits=(0, 2000))
    view = View(64, 64, extent)
    rows = source.read_view(view)[0, :, 20] * 2000
    wanted = view.to_data(np.stack([np.arange(128)] * 2, 1))[:, 0]
    inner = wanted < shape[0] - 4 / view.scale
    inner[[0, -1]] = False
    assert inner.sum() > 90
    assert (np.abs(rows - wanted)[inner] * view.scale).max() < 0.1


@pytest.mark.parametrize(
    ("extent", "level"),
    [(16, 0), (128, 0), (181, 0), (255, 0), (256, 1), (362, 1), (512, 2), (1024, 3), (9999, 3)],
)
def test_the_coarsest_level_with_a_pixel_for_each_model_pixel_is_read(extent, level):
    spies = [ChunkedArray((8192 >> n, 8192 >> n), (64, 64), lambda y, x: y + x) for n in range(4)]
    source = ImageSource(spies, limits=(0, 100))
    source.read_view(View(1024, 1024, extent))
    assert [spy.pixels > 0 for spy in spies] == [n == level for n in range(4)]
    assert spies[level].pixels <= (max(2 * 128, min(extent >> level, 8 * 128)) + 8) ** 2


def test_of_a_huge_pyramid_a_view_reads_as_little_as_of_a_small_image():
    side, sides = 100_000, [100_000 >> n for n in range(10)]
    spies = [ChunkedArray((n, n), (512, 512), lambda y, x: (y // 7 + x // 5) % 200) for n in sides]
    source = ImageSource(spies, limits=(0, 200))
    for extent in (128, 1024, 11585, side, 131072):
        source.read_view(View(0, 0, extent))
        assert sum(spy.pixels for spy in spies) <= (2 * 128 + 4) ** 2
        assert sum(len(spy.touched) for spy in spies) <= 4
        for spy in spies:
            spy.forget()


def test_limits_of_a_pyramid_are_the_images():
    assert ImageSource(pyramid(IMAGE)).limits == ImageSource(IMAGE).limits


def test_planes_and_channels_of_a_pyramid():
    image = texture((3, 2, 300, 260))
    source = ImageSource(pyramid(image, 3), axes="TCYX", limits=LIMITS)
    assert (source.plane_shape, source.shape, source.channel_count) == ((3,), (300, 260), 2)
    alone = ImageSource(image, axes="TCYX", limits=LIMITS)
    view = View(-20, -20, 362, 64)
    for t in range(3):
        seen, wanted = source.at((t,)).read_view(view), alone.at((t,)).read_view(view)
        assert np.nanmax(np.abs(seen - wanted)) < 0.1
        assert np.nanmax(np.abs(seen - alone.at(((t + 1) % 3,)).read_view(view))) > 0.2


def test_levels_may_have_fewer_planes():
    fine, coarse = np.zeros((8, 64, 64)), np.zeros((4, 32, 32))
    fine[:] = np.arange(8)[:, None, None]
    coarse[:] = 10 * np.arange(4)[:, None, None]
    source = ImageSource([fine, coarse], axes="ZYX", limits=(0, 100))
    seen = [source.at((z,)).read_view(View(0, 0, 64, 32))[0, 9, 9] * 100 for z in range(8)]
    assert seen == pytest.approx([0, 0, 10, 10, 20, 20, 30, 30], abs=1e-4)


def test_factors_may_differ_between_rows_and_columns():
    image = texture((256, 512), smooth=4)
    narrow = image.reshape(256, 256, 2).mean(2)
    source = ImageSource([image, narrow], limits=LIMITS)
    view = View(0, 0, 256, 64)
    wanted = ImageSource(image, limits=LIMITS).read_view(view)
    assert np.abs(source.read_view(view) - wanted).max() < 0.05


@pytest.mark.parametrize(
    ("full", "reduced", "factor"),
    [
        (1024, 512, 2),
        (1023, 511, 2),
        (1023, 512, 2),
        (103, 12, 8),
        (101, 13, 8),
        (1000, 333, 3),
        (300, 200, 1.5),
        (1, 1, 1),
    ],
)
def test_rounded_lengths_still_mean_whole_factors(full, reduced, factor):
    arrays = [np.zeros((full, full)), np.zeros((reduced, reduced))]
    assert Levels(arrays, Layout("YX")).factors(1) == (factor, factor)


def test_dask_pyramids_compute_the_chunks_of_one_level():
    computed = []

    def level(n):
        side = 2048 >> n

        def block(block_info=None):
            computed.append(n)
            return np.ones((256, 256), np.uint16)

        return dask.array.map_blocks(
            block, chunks=((256,) * (side // 256),) * 2, dtype=np.uint16, meta=np.empty((0, 0))
        )

    source = ImageSource([level(n) for n in range(4)], limits=(0, 2))
    source.read_view(View(100, 1300, 512))
    assert computed == [2]


def test_zarr_pyramids(tmp_path):
    arrays = []
    for n, image in enumerate(pyramid(texture((2, 300, 260)), 3)):
        array = zarr.create_array(
            tmp_path / f"{n}.zarr", shape=image.shape, chunks=(1, 64, 64), dtype="float32"
        )
        array[:] = image
        arrays.append(array)
    source = ImageSource(arrays, axes="TYX", limits=LIMITS)
    wanted = ImageSource([array[:] for array in arrays], axes="TYX", limits=LIMITS)
    for view in (View(-9, 30, 128), View(0, 0, 300, 64)):
        seen = source.at((1,)).read_view(view)
        assert np.array_equal(seen, wanted.at((1,)).read_view(view), equal_nan=True)


def test_contrast_that_the_sample_missed_is_first_looked_for_in_the_coarsest_level():
    def dot(side):
        def value(y, x):
            return np.where((y * 8192 // side == 5120) & (x * 8192 // side == 5120), 60, 0)

        return ChunkedArray((side, side), (512, 512), value)

    spies = [dot(8192), dot(1024)]
    assert ImageSource(spies).limits == ((0,), (60,))
    assert spies[1].pixels == 1024**2
    assert spies[0].pixels <= 1_000_000


# What is an image and what a pyramid


def test_a_sequence_of_equal_shapes_is_one_image():
    planes = [np.full((20, 30), n, np.uint8) for n in range(7)]
    assert ImageSource(planes).plane_shape == (7,)
    assert len(as_levels(planes)) == 1
    assert len(as_levels([np.array([0, 1]), np.array([2, 3])])) == 1


@pytest.mark.parametrize(
    ("shapes", "axes", "says"),
    [
        pytest.param([(20, 20), (40, 40)], None, "finest to the coarsest", id="upside-down"),
        pytest.param([(40, 40), (20, 41)], None, "no pyramid", id="wider"),
        pytest.param([(40, 40), (20, 20, 3)], None, "no pyramid", id="other-axes"),
        pytest.param([(3, 40, 40), (2, 20, 20)], "CYX", "all channels", id="channel-lost"),
        pytest.param([(40, 40), (0, 20)], None, "empty", id="empty-level"),
    ],
)
def test_what_is_no_pyramid_is_refused(shapes, axes, says):
    with pytest.raises(ImageError, match=says):
        ImageSource([np.ones(shape) for shape in shapes], axes=axes)


def test_ragged_lists_are_refused():
    with pytest.raises(ImageError, match="a list cannot be turned into an image"):
        ImageSource([[0, 1, 2], [3, 4]])


def test_every_level_has_to_be_of_numbers():
    with pytest.raises(ImageError, match="convert it"):
        ImageSource([np.zeros((8, 8)), np.zeros((4, 4), complex)])


@pytest.mark.parametrize("side", [512, 1000, 1024])
def test_limits_of_a_large_image_are_found_in_a_few_chunks(side):
    lazy = ChunkedArray((100_000, 90_000), (side, side), lambda y, x: (y // 9 + x // 7) % 1000)
    low, high = ImageSource(lazy).limits
    assert (low[0], high[0]) == pytest.approx((5, 994), abs=3)
    assert len(lazy.touched) <= 36
    # All over the image, not in a corner of it.
    rows, cols = (np.array([place[axis] for place in lazy.touched]) * side for axis in (0, 1))
    assert rows.min() < 10_000 < 85_000 < rows.max()
    assert cols.min() < 10_000 < 75_000 < cols.max()
