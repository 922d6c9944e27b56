"""Axes: named, read from metadata, or guessed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.axes import Layout, find_axes, guess_axes, parse_axes
from napari_pvpu.axes_metadata import (
    axes_from_labels,
    axes_from_metadata,
    axes_from_ome,
    axes_from_tiff,
    fit_axes,
)
from napari_pvpu.errors import ImageError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("TCZYX", "TCZYX"),
        ("zyx", "ZYX"),
        ("t, c, y, x", "TCYX"),
        (("time", "Row", "col"), "TYX"),
        (["channels", "depth", "height", "width"], "CZYX"),
        (("y", "x", "rgba"), "YXS"),
        ("XYZ", "XYZ"),
        ("PTYX", "PTYX"),
    ],
)
def test_axes_are_read(given, expected):
    assert parse_axes(given) == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param("TZY", "lack X", id="no-columns"),
        pytest.param("", "lack Y and X", id="nothing"),
        pytest.param("ZZYX", "name Z more than once", id="twice"),
        pytest.param("TCYXS", "both C and S", id="two-channel-axes"),
        pytest.param("T-YX", "- names none", id="no-letter"),
        pytest.param(("angle", "y", "x"), "names none", id="no-known-name"),
        pytest.param(("", "y", "x"), "names none", id="no-name"),
    ],
)
def test_axes_that_make_no_sense_are_refused(given, says):
    with pytest.raises(ImageError, match=says):
        parse_axes(given)


@pytest.mark.parametrize(
    ("axes", "planes", "channel", "rows", "cols"),
    [
        ("YX", (), None, 0, 1),
        ("TCZYX", (0, 2), 1, 3, 4),
        ("XYZ", (2,), None, 1, 0),
        ("ZYXS", (0,), 3, 1, 2),
        ("PTYX", (0, 1), None, 2, 3),
    ],
)
def test_where_axes_lie(axes, planes, channel, rows, cols):
    layout = Layout(axes)
    assert (layout.planes, layout.channel, layout.rows, layout.cols) == (
        planes,
        channel,
        rows,
        cols,
    )
    assert layout.plane_axes == "".join(axes[place] for place in planes)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((50, 60), "YX"),
        ((1, 1), "YX"),
        ((50, 60, 3), "YXC"),
        ((50, 60, 1), "YXC"),
        ((30, 50, 60), "ZYX"),
        ((500, 50, 60), "ZYX"),
        ((50, 50, 50), "ZYX"),
        ((5, 50, 60, 3), "ZYXC"),
        ((5, 7, 50, 60), "TZYX"),
        ((20, 5, 50, 60, 4), "TZYXC"),
        ((20, 2, 9, 50, 60), "TCZYX"),
        ((1, 2, 9, 50, 60), "TCZYX"),
        ((20, 9, 2, 50, 60), "TZCYX"),
    ],
    ids=str,
)
def test_axes_are_guessed(shape, expected):
    assert guess_axes(shape) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 50, 4), "YXS"),
        ((3, 50, 60, 3), "ZYXS"),
        ((2, 3, 50, 60, 4), "TZYXS"),
        ((50, 60), "YX"),
    ],
    ids=str,
)
def test_rgb_is_the_last_axis_wherever_the_shape_would_leave_a_doubt(shape, expected):
    assert guess_axes(shape, rgb=True) == expected


@pytest.mark.parametrize(
    ("shape", "axis", "expected"),
    [
        ((3, 50, 60), 0, "CYX"),
        ((50, 60, 30), -1, "YXC"),
        ((9, 3, 50, 60), 1, "ZCYX"),
        ((2, 9, 7, 50, 60), -4, "TCZYX"),
    ],
)
def test_a_channel_axis_decides(shape, axis, expected):
    assert guess_axes(shape, channel_axis=axis) == expected


@pytest.mark.parametrize(
    ("shape", "offers"),
    [
        pytest.param((3, 50, 60), '"CYX", "ZYX"', id="channels-or-planes"),
        pytest.param((4, 4, 4), '"CYX", "ZYX"', id="cube"),
        pytest.param((512, 480, 100), '"YXC"', id="many-channels-or-columns-first"),
        pytest.param((5, 3, 50, 60), '"ZCYX", "TCYX", "TZYX"', id="four"),
        pytest.param((5, 3, 2, 50, 60), '"TCZYX", "TZCYX"', id="five-two-short"),
        pytest.param((9, 9, 9, 50, 60), '"TCZYX"', id="five-none-short"),
    ],
)
def test_what_cannot_be_told_is_asked(shape, offers):
    with pytest.raises(ImageError, match=re.escape(offers)) as error:
        guess_axes(shape)
    assert "axes=" in str(error.value)
    assert str(shape) in str(error.value)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=7).map(tuple))
def test_a_guess_names_every_axis_or_is_refused(shape):
    try:
        axes = guess_axes(shape)
    except ImageError:
        return
    assert len(axes) == len(shape)
    assert parse_axes(axes) == axes
    channel = Layout(axes).channel
    assert channel is None or shape[channel] <= 4


@pytest.mark.parametrize(
    ("shape", "arguments", "says"),
    [
        ((5, 50, 60), {"axes": "TZYX"}, "name 4 dimensions, but the image of shape .* has 3"),
        ((5, 50, 60), {"axes": "ZYX", "channel_axis": 0}, "contradict"),
        ((5, 50, 60), {"channel_axis": 3}, "no channel axis 3"),
        ((50, 60), {"channel_axis": 0}, "three axes or more"),
        ((50,), {}, "two axes"),
        ((9,) * 6, {}, "pass axes= if"),
    ],
)
def test_axes_that_do_not_fit_are_refused(shape, arguments, says):
    with pytest.raises(ImageError, match=says):
        find_axes(shape, **arguments)


def test_named_axes_count_for_more_than_the_shape():
    assert find_axes((50, 60, 3), "ZYX") == "ZYX"
    assert find_axes((3, 50, 60), "CYX", channel_axis=-3) == "CYX"
    assert find_axes((2, 3, 4, 5, 6, 7), "PTCZYX") == "PTCZYX"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("z", "y", "x"), "ZYX"),
        (("time", "channel", "y", "x"), "TCYX"),
        (("-2", "-1"), "YX"),
        (("t", "-2", "-1"), "TYX"),
        (("-3", "-2", "-1"), None),
        (("y", "x", "c"), "YXC"),
        (("x", "x"), None),
        (("angle", "y", "x"), None),
        ((), None),
    ],
)
def test_axis_labels_of_layers(labels, expected):
    assert axes_from_labels(labels) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("TZCYX", "TZCYX"),
        ("IYX", "ZYX"),
        ("QQYX", "TZYX"),
        ("TQYX", "TZYX"),
        ("ZQYX", "ZTYX"),
        ("YXS", "YXS"),
        ("QQQYX", "QTZYX"),
        ("QQQQYX", None),
        ("CYXS", None),
        ("Q", None),
    ],
)
def test_axes_of_tiff_series(word, expected):
    assert axes_from_tiff(word) == expected


def test_axes_as_tifffile_writes_them(tmp_path):
    import numpy as np
    import tifffile

    path, pixels = tmp_path / "image.tif", np.zeros((3, 2, 4, 16, 18), np.uint8)
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata={"axes": "TCZYX"})
    with tifffile.TiffFile(path) as file:
        assert axes_from_tiff(file.series[0].axes) == "TCZYX"
        assert 'DimensionOrder="XYZCT"' in file.ome_metadata
    assert axes_from_ome("XYZCT") == "TCZYX"
    tifffile.imwrite(path, pixels[0, 0], photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        assert axes_from_tiff(file.series[0].axes) == "ZYX"


OME_ZARR = [
    {"name": "t", "type": "time"},
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param({"axes": "ZCYX"}, "ZCYX", id="word"),
        pytest.param({"axes": ["t", "y", "x"]}, "TYX", id="names"),
        pytest.param({"axes": OME_ZARR}, "TCYX", id="dicts"),
        pytest.param({"multiscales": [{"axes": OME_ZARR}]}, "TCYX", id="ome-zarr"),
        pytest.param({"dims": ("time", "y", "x")}, "TYX", id="xarray"),
        pytest.param({"DimensionOrder": "XYCZT"}, "TZCYX", id="ome-xml"),
        pytest.param({"axes": 5, "dims": "TYX"}, "TYX", id="first-that-makes-sense"),
        pytest.param({}, None, id="none"),
        pytest.param({"axes": None, "multiscales": []}, None, id="empty"),
        pytest.param({"axes": [{"type": "space"}, "y"]}, None, id="nonsense"),
    ],
)
def test_axes_in_metadata(metadata, expected):
    assert axes_from_metadata(metadata) == expected


@pytest.mark.parametrize(
    ("axes", "count", "expected"),
    [("TCYX", 4, "TCYX"), ("TCYX", 3, "TYX"), ("TZYX", 3, None), ("YX", 3, None), (None, 2, None)],
)
def test_axes_fit_an_array_or_are_dropped(axes, count, expected):
    assert fit_axes(axes, count) == expected
