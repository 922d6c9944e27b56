"""Any array-like, seen through views."""

from __future__ import annotations

import warnings

import dask.array
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_pvpu.errors import ImageError
from napari_pvpu.sampling import SAMPLES
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    ">f4",
    ">u2",
]


class Spy:
    """An array-like that knows only what it must and writes down what it is asked for."""

    def __init__(self, array, shape=None):
        self._array = array
        self.shape = shape or array.shape
        self.dtype = array.dtype
        self.pixels = 0
        self.asked = []

    def __getitem__(self, index):
        self.asked.append(index)
        out = self._array[index]
        self.pixels += out.size
        return out

    def __array__(self, *args, **kwargs):
        raise AssertionError("the whole image was asked for")


class Endless(Spy):
    """A huge image that is made up where it is looked at."""

    def __init__(self, side):
        super().__init__(np.zeros((1, 1), np.uint8), (side, side))

    def __getitem__(self, index):
        self.asked.append(index)
        rows, cols = (np.arange(s)[i] for s, i in zip(self.shape, index, strict=True))
        out = (rows[:, None] // 7 + cols // 5) % 250
        self.pixels += out.size
        return out.astype(np.uint8)


def ramp(shape, slope=(1.0, 0.0)):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return rows * slope[0] + cols * slope[1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_reads_alike(dtype):
    pattern = np.zeros((64, 64))
    pattern[20:40, 10:30] = 1
    high = 1 if dtype == "bool" else 200
    seen = ImageSource((pattern * high).astype(dtype)).read_view(View(0, 0, 64, 64))
    assert seen.dtype == np.float32
    assert seen.shape == (3, 64, 64)
    assert np.allclose(seen, pattern, atol=1e-3)


@pytest.mark.parametrize(
    "dtype", ["complex64", "object", "datetime64[s]", "U3", [("a", "f4"), ("b", "u1")]], ids=str
)
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ImageError, match="convert it to"):
        ImageSource(np.zeros((5, 5), dtype))


@pytest.mark.parametrize(
    ("shape", "arguments", "says"),
    [
        pytest.param((), {}, "two axes", id="0d"),
        pytest.param((50,), {}, "two axes", id="1d"),
        pytest.param((3, 50, 50), {}, "pass axes= one of", id="channels-or-planes"),
        pytest.param((50, 60, 3, 3, 3, 3), {}, "pass axes= if", id="6d"),
        pytest.param((0, 50), {}, "empty", id="no-rows"),
        pytest.param((50, 50, 0), {}, "empty", id="no-channels"),
        pytest.param((50, 50), {"channel_axis": 0}, "three axes or more", id="axis-of-2d"),
        pytest.param((50, 50, 3), {"channel_axis": 3}, "no channel axis 3", id="axis-beyond"),
        pytest.param((50, 50, 3), {"channels": 3}, "choose from 0 to 2", id="channel-beyond"),
        pytest.param((50, 50, 3), {"channels": []}, "cannot use channels", id="no-choice"),
        pytest.param((50, 50, 2), {"rgb": True}, "3 or 4 channels, not 2", id="rgb-of-two"),
        pytest.param((50, 50), {"rgb": True}, "not 1", id="rgb-of-one"),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, arguments, says):
    image = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    with pytest.raises(ImageError, match=says):
        ImageSource(image, **arguments)


@pytest.mark.parametrize("value", [0, 7, True, 1.5, np.float16(2)])
def test_a_constant_image_is_refused(value):
    with pytest.raises(ImageError, match="constant"):
        ImageSource(np.full((40, 30), value))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_without_finite_values_is_refused(value):
    with pytest.raises(ImageError, match="no finite value"):
        ImageSource(np.full((40, 30), value))


@pytest.mark.parametrize(
    ("shape", "axis", "expected"),
    [
        ((50, 60, 3), None, (50, 60)),
        ((50, 60, 4), None, (50, 60)),
        ((50, 60, 1), None, (50, 60)),
        ((3, 50, 60), 0, (50, 60)),
        ((50, 3, 60), 1, (50, 60)),
        ((50, 60, 30), -1, (50, 60)),
    ],
)
def test_the_channel_axis(shape, axis, expected):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint16)
    assert ImageSource(image, channel_axis=axis).shape == expected


def test_a_list_is_an_image_too():
    assert ImageSource([[0, 1], [2, 3]]).shape == (2, 2)


def channels_image(count, dtype=np.float32):
    image = np.zeros((8, 8, count), dtype)
    for channel in range(count):
        image[channel, :, channel] = 100 * (channel + 1)
    return image


def rows_seen(source):
    """What each of the three channels shows in rows 0 to 4."""
    shown = source.read_view(View(0, 0, 8, 8))[:, :5, 0]
    return [[round(float(value), 2) for value in channel] for channel in shown]


@pytest.mark.parametrize(
    ("count", "arguments", "expected"),
    [
        pytest.param(1, {}, [[1, 0, 0, 0, 0]] * 3, id="one"),
        pytest.param(
            2, {}, [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0.5, 0.5, 0, 0, 0]], id="two-and-their-mean"
        ),
        pytest.param(
            3, {}, [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]], id="three-each-scaled"
        ),
        pytest.param(
            3,
            {"rgb": True},
            [[0.33, 0, 0, 0, 0], [0, 0.67, 0, 0, 0], [0, 0, 1, 0, 0]],
            id="rgb-scaled-together",
        ),
        pytest.param(
            4,
            {"rgb": True},
            [[0.33, 0, 0, 0, 0], [0, 0.67, 0, 0, 0], [0, 0, 1, 0, 0]],
            id="alpha-dropped",
        ),
        pytest.param(4, {}, [[0.25, 0.25, 0.25, 0.25, 0]] * 3, id="four-averaged"),
        pytest.param(4, {"channels": 2}, [[0, 0, 1, 0, 0]] * 3, id="one-chosen"),
        pytest.param(
            4,
            {"channels": [3, 0, -2]},
            [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0]],
            id="three-chosen-in-order",
        ),
    ],
)
def test_channels_become_three(count, arguments, expected):
    assert rows_seen(ImageSource(channels_image(count), channel_axis=2, **arguments)) == expected


def test_uint8_with_three_or_four_channels_is_taken_for_rgb():
    shown = [[0.33, 0, 0, 0, 0], [0, 0.67, 0, 0, 0], [0, 0, 1, 0, 0]]
    image = np.zeros((8, 8, 4), np.uint8)
    image[..., :3] = channels_image(3) // 2
    image[..., 3] = 255
    assert rows_seen(ImageSource(image)) == shown
    assert rows_seen(ImageSource(image[..., :3])) == shown


def test_only_chosen_channels_are_read():
    spy = Spy(np.random.default_rng(0).random((30, 64, 64)))
    ImageSource(spy, channel_axis=0, channels=[7, 3])
    assert {index[0] for index in spy.asked} == {7, 3}


def test_not_finite_pixels_become_dark_or_bright():
    image = ramp((64, 64)).astype(np.float32)
    image[5, 5], image[5, 6], image[5, 7] = np.nan, np.inf, -np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = ImageSource(image).read_view(View(0, 0, 64, 64))
    assert seen[0, 5, 5:8].tolist() == [0, 1, 0]
    assert np.isfinite(seen).all()


def test_huge_values_do_not_overflow():
    image = np.where(ramp((32, 32)) > 16, 1e308, -1e308)
    seen = ImageSource(image).read_view(View(0, 0, 32, 32))[0]
    assert np.isfinite(seen).all()


def test_small_steps_on_a_large_offset_are_seen():
    image = (2**40 + np.arange(32)[:, None] + np.zeros(32)).astype(np.int64)
    seen = ImageSource(image).read_view(View(0, 0, 32, 32))[0]
    assert np.ptp(seen[:, 0]) == 1
    assert (np.diff(seen[1:-1, 0]) > 0.01).all()


def test_percentiles_are_scaled_to_zero_and_one():
    image = np.random.default_rng(0).normal(100, 20, (300, 300))
    image[0, 0] = 1e9
    (low,), (high,) = ImageSource(image).limits
    assert [low, high] == pytest.approx(np.percentile(image, [0.5, 99.5]))


def test_a_sparse_image_is_scaled_by_its_range():
    image = np.zeros((400, 400), np.uint16)
    image[200:203, 100:103] = 3000
    assert ImageSource(image).limits == ((0.0,), (3000.0,))


def test_rare_values_that_the_sample_misses_are_found():
    image = np.zeros((2000, 2000), np.uint8)
    image[1501, 1501] = 9
    seen = ImageSource(image).read_view(View(1488, 1488, 32, 32))[0]
    assert seen[13, 13] == 1
    assert seen.sum() == 1


def test_only_outside_the_image_is_nan():
    source = ImageSource(ramp((20, 30)) + 1)
    seen = source.read_view(View(-16, -4, 64, 64))
    inside = np.zeros((64, 64), bool)
    inside[16:36, 4:34] = True
    assert (np.isnan(seen) == ~inside).all()
    assert np.isnan(source.read_view(View(500, 500, 64))).all()
    assert np.isnan(source.read_view(View(-64, 0, 64))).all()


@pytest.mark.parametrize("extent", [32, 45, 64, 91, 128, 181, 256, 362, 512, 1024, 2896])
@pytest.mark.parametrize("origin", [-64, 0, 77])
def test_views_are_aligned_with_the_image(extent, origin):
    """A ramp is read with the value that it has at each model pixel's centre."""
    size, length = 128, 3000
    image = np.arange(length)[:, None] + np.zeros(length)
    # Rare extremes far away keep the percentiles from cutting off the ends of the ramp.
    image[:, -20:], image[:, -40:-20] = -2000, 5000
    source = ImageSource(image)
    assert source.limits == ((-2000,), (5000,))
    view = View(origin, 0, extent, size)
    rows = source.read_view(view)[0, :, 64] * 7000.0 - 2000
    wanted = view.to_data(np.stack([np.arange(size)] * 2, 1))[:, 0]
    # Next to the image's border the kernel sees one side only.
    inner = (wanted > 2 / view.scale) & (wanted < length - 2 / view.scale)
    assert inner.sum() >= (size / 4 if origin + extent > 64 else 0)
    assert (np.abs(rows - wanted)[inner] * view.scale).max(initial=0) < 0.1


@given(st.sampled_from([45, 91, 128, 181, 362]), st.integers(-40, 300), st.integers(-40, 300))
def test_a_spot_is_seen_where_it_is(extent, row, col):
    """The centre of mass of a blob in the view is where the view says the blob is."""
    rows, cols = np.mgrid[:500, :500]
    view = View(row, col, extent)
    spread = max(3.0, 3 / view.scale)
    center = np.array((row + extent / 2 + 2.3, col + extent / 2 - 1.6))
    assume((center > 4 * spread).all() and (center < 490 - 4 * spread).all())
    image = np.exp(-((rows - center[0]) ** 2 + (cols - center[1]) ** 2) / (2 * spread**2))
    image[-4:] = 1  # enough bright pixels that the percentiles leave the blob alone
    seen = np.nan_to_num(ImageSource(image).read_view(view)[0].astype(float))
    expected = view.to_view(center)
    grid = np.mgrid[:128, :128]
    seen[np.hypot(*(grid - expected[:, None, None])) > 4 * spread * view.scale] = 0
    found = (seen * grid).sum(axis=(1, 2)) / seen.sum()
    assert np.abs(found - expected).max() < 0.05


def test_thinning_out_does_not_alias():
    image = (np.indices((724, 724)).sum(axis=0) % 2).astype(np.uint8)
    seen = ImageSource(image).read_view(View(0, 0, 724))
    assert np.abs(seen - 0.5).max() < 0.02


def test_a_view_at_full_resolution_is_a_copy_of_the_pixels():
    image = np.random.default_rng(0).integers(0, 2, (200, 200)).astype(np.uint8)
    seen = ImageSource(image).read_view(View(30, 40, 128))
    assert np.array_equal(seen[0], image[30:158, 40:168])
    assert np.array_equal(seen[0], seen[2])


def test_only_the_window_is_read():
    spy = Spy(np.random.default_rng(0).random((2000, 2000)).astype(np.float32))
    source = ImageSource(spy)
    spy.pixels, spy.asked = 0, []
    source.read_view(View(1000, 500, 256))
    assert spy.pixels <= 258**2
    assert spy.asked == [(slice(999, 1257, 1), slice(499, 757, 1))]


def test_of_a_huge_image_few_pixels_are_read():
    huge = Endless(1_000_000)
    source = ImageSource(huge)
    assert huge.pixels <= SAMPLES
    huge.pixels = 0
    seen = source.read_view(View(0, 0, 1_000_000))
    assert np.isfinite(seen).all()
    assert huge.pixels <= (128 * 4 * 1.02) ** 2


def test_the_image_is_neither_copied_nor_changed():
    image = np.random.default_rng(0).random((64, 64))
    before = image.copy()
    image.flags.writeable = False
    source = ImageSource(image)
    source.read_view(View(0, 0, 64))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("kind", ["dask", "memmap"])
def test_lazy_arrays(kind, tmp_path):
    image = np.random.default_rng(0).integers(0, 4000, (300, 200), np.uint16)
    if kind == "dask":
        lazy = dask.array.from_array(image, chunks=64)
    else:
        image.tofile(tmp_path / "image.raw")
        lazy = np.memmap(tmp_path / "image.raw", np.uint16, "r", shape=image.shape)
    view = View(-16, 100, 128)
    seen, wanted = ImageSource(lazy).read_view(view), ImageSource(image).read_view(view)
    assert np.array_equal(seen, wanted, equal_nan=True)


def test_tokens_tell_sources_apart():
    image = ramp((9, 9))
    one, two = ImageSource(image), ImageSource(image)
    assert one.token != two.token
    assert one.token == one.token


def test_a_single_plane_is_its_own_only_plane():
    source = ImageSource(ramp((9, 9)))
    assert source.plane_shape == ()
    assert source.at(()) is source
    with pytest.raises(ImageError, match=r"no plane \(0,\)"):
        source.at((0,))


RECORDED = [
    pytest.param(
        View(0, 0, 4, 4),
        [
            [0.0, 0.138578, 0.277156, 0.415734],
            [0.074619, 0.213197, 0.351775, 0.490353],
            [0.298476, 0.437054, 0.575632, 0.71421],
            [0.67157, 0.810148, 0.948726, 0.053299],
        ],
        id="same-size",
    ),
    pytest.param(
        View(-2, 3, 8, 4),
        [
            [np.nan] * 4,
            [0.522332, 0.670238, 0.430391, 0.181217],
            [0.582294, 0.471698, 0.490353, 0.628931],
            [0.463703, 0.611609, 0.501013, 0.381089],
        ],
        id="halved-and-partly-outside",
    ),
    pytest.param(
        View(2, 1, 6, 4),
        [
            [0.567341, 0.553128, 0.638406, 0.458242],
            [0.536151, 0.445345, 0.530623, 0.682362],
            [0.663674, 0.266496, 0.351775, 0.554575],
            [0.75448, 0.599847, 0.200037, 0.351775],
        ],
        id="reduced",
    ),
    pytest.param(
        View(0, 0, 3, 4),
        [
            [0.0, 0.086611, 0.190545, 0.294478],
            [0.046637, 0.133248, 0.237182, 0.341115],
            [0.158565, 0.245176, 0.34911, 0.453043],
            [0.345112, 0.431724, 0.535657, 0.623434],
        ],
        id="magnified",
    ),
]


@pytest.mark.parametrize(("view", "expected"), RECORDED)
def test_views_show_what_they_always_have(view, expected):
    """Weights and accepted results depend on every value here: recorded, not derived."""
    rows, cols = np.mgrid[:12, :10]
    image = ((rows * rows * 7 + cols * 13) % 97).astype(np.uint16)
    source = ImageSource(image)
    assert source.limits == ((0,), (pytest.approx(93.81),))
    np.testing.assert_allclose(source.read_view(view)[0], expected, atol=1e-6)
    stack = ImageSource(np.stack([image, image]), axes="ZYX", limits=source.limits)
    np.testing.assert_array_equal(stack.at((1,)).read_view(view), source.read_view(view))
