"""Axes, planes and spacing of image layers in a viewer without a window."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side.layer_axes import (
    axes_of_layer,
    distances,
    plane_of_view,
    spacing_of_layer,
)
from napari_pvpu.source import ImageSource


def numbered(*shape):
    """An image whose every plane has its own value: that of its index in the array."""
    planes = np.arange(np.prod(shape[:-2], dtype=int)).reshape(*shape[:-2], 1, 1)
    return np.broadcast_to(planes, shape).astype(np.float32)


def value_shown(layer, viewer):
    """What napari shows in the middle of a layer."""
    middle = [(length - 1) // 2 for length in layer.data.shape]
    world = np.array(viewer.dims.point, float)
    ahead = viewer.dims.ndim - layer.ndim
    for axis in viewer.dims.displayed:
        world[axis] = layer.data_to_world(middle)[axis - ahead]
    return layer.get_value(world, world=True)


@pytest.mark.parametrize(
    ("shape", "arguments", "expected"),
    [
        pytest.param((8, 9), {}, "YX", id="2d"),
        pytest.param((3, 8, 9), {}, "ZYX", id="slider-means-planes"),
        pytest.param((3, 2, 8, 9), {}, "TZYX", id="4d"),
        pytest.param((7, 6, 2, 8, 9), {}, "TZCYX", id="5d-guessed"),
        pytest.param((3, 2, 2, 8, 9), {}, "TCZYX", id="5d-in-doubt"),
        pytest.param((8, 9, 3), {"rgb": True}, "YXS", id="rgb"),
        pytest.param((5, 8, 9, 4), {"rgb": True}, "ZYXS", id="rgba-stack"),
        pytest.param((3, 8, 9), {"axis_labels": ("t", "y", "x")}, "TYX", id="labels"),
        pytest.param((3, 8, 9), {"axis_labels": ("channel", "y", "x")}, "CYX", id="channels"),
        pytest.param((8, 9, 3), {"axis_labels": ("y", "x", "z"), "rgb": False}, "YXZ", id="order"),
        pytest.param((3, 8, 9), {"axis_labels": ("angle", "y", "x")}, "ZYX", id="unknown-label"),
        pytest.param((3, 8, 9), {"metadata": {"axes": "TYX"}}, "TYX", id="metadata"),
        pytest.param((3, 8, 9), {"metadata": {"axes": "TCYX"}}, "TYX", id="split-by-channel"),
        pytest.param((3, 8, 9), {"metadata": {"axes": "TZYX"}}, "ZYX", id="metadata-that-misfit"),
        pytest.param(
            (3, 8, 9),
            {"metadata": {"axes": "ZYX"}, "axis_labels": ("t", "y", "x")},
            "TYX",
            id="labels-before-metadata",
        ),
        pytest.param(
            (5, 8, 9, 3), {"rgb": True, "metadata": {"axes": "TYXS"}}, "TYXS", id="rgb-metadata"
        ),
    ],
)
def test_axes_of_layers(shape, arguments, expected):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    layer = Image(image, **arguments)
    assert axes_of_layer(layer) == expected
    assert ImageSource(layer.data, axes=expected).axes == expected


def test_axes_of_more_dimensions_than_we_know_have_to_be_named():
    with pytest.raises(ImageError, match="pass axes="):
        axes_of_layer(Image(np.zeros((2, 2, 2, 2, 8, 9))))
    labels = ("p", "t", "c", "z", "y", "x")
    assert axes_of_layer(Image(np.zeros((2, 2, 2, 2, 8, 9)), axis_labels=labels)) == "PTCZYX"


@pytest.mark.parametrize("step", [(0, 0), (2, 1), (3, 4)])
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({}, id="plain"),
        pytest.param({"scale": (1, 2.5, 0.3, 0.3)}, id="scaled"),
        pytest.param({"translate": (0, -7, 100, 3.3), "scale": (2, 3, 1, 1)}, id="translated"),
        pytest.param({"affine": np.diag([1, 4, 0.5, 0.5, 1])}, id="affine"),
    ],
)
def test_the_plane_that_the_sliders_show(arguments, step):
    viewer = ViewerModel()
    layer = viewer.add_image(numbered(4, 5, 12, 14), **arguments)
    viewer.dims.current_step = (*step, 0, 0)
    plane = plane_of_view(layer, viewer)
    assert plane == step
    assert value_shown(layer, viewer) == step[0] * 5 + step[1]


def test_rotation_within_the_plane_keeps_the_plane():
    angle = np.deg2rad(30)
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    viewer = ViewerModel()
    layer = viewer.add_image(numbered(6, 12, 14), rotate=turn, scale=(3, 1, 2))
    viewer.dims.set_point(0, 12)
    assert plane_of_view(layer, viewer) == (4,)
    assert spacing_of_layer(layer).sizes == pytest.approx((3, 1, 2))


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_slice_askew_is_no_plane():
    angle = np.deg2rad(20)
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    viewer = ViewerModel()
    layer = viewer.add_image(numbered(6, 12, 14), rotate=turn)
    assert plane_of_view(layer, viewer) is None


def test_two_axes_on_the_canvas_show_a_plane_or_a_section_across():
    viewer = ViewerModel()
    layer = viewer.add_image(numbered(4, 5, 6))
    viewer.dims.current_step = (2, 0, 0)
    assert plane_of_view(layer, viewer) == (2,)
    viewer.dims.order = (0, 2, 1)  # transposed on the canvas, but the same plane
    assert plane_of_view(layer, viewer) == (2,)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 3)
    assert plane_of_view(layer, viewer) == (-1, 3, -1)
    assert plane_of_view(layer, viewer, "CYX") is None, "channels are no plane"
    assert plane_of_view(layer, viewer, "YZX") == (viewer.dims.current_step[1],)
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    assert plane_of_view(layer, viewer) is None


def test_distances_are_told_in_one_unit():
    layer = Image(numbered(4, 5, 6, 7), scale=(2, 3, 500, 250), units=("s", "um", "nm", "nm"))
    np.testing.assert_allclose(distances(layer, (0, 1, 2, 3)), (2, 3000, 500, 250))


def test_layers_of_fewer_dimensions_are_aligned_at_the_last():
    viewer = ViewerModel()
    viewer.add_image(numbered(7, 5, 12, 14))
    stack, flat = viewer.add_image(numbered(3, 12, 14)), viewer.add_image(numbered(12, 14))
    viewer.dims.current_step = (6, 2, 0, 0)
    assert plane_of_view(stack, viewer) == (2,)
    assert plane_of_view(flat, viewer) == ()
    viewer.dims.current_step = (6, 4, 0, 0)
    assert plane_of_view(stack, viewer) is None  # there is nothing of it to be seen
    viewer.dims.order = (2, 3, 0, 1)
    assert plane_of_view(flat, viewer) is None


def test_rgb_and_channels_have_no_plane():
    viewer = ViewerModel()
    colours = viewer.add_image(np.zeros((4, 12, 14, 3), np.uint8), rgb=True)
    channels = viewer.add_image(numbered(4, 12, 14), axis_labels=("c", "y", "x"))
    viewer.dims.current_step = (3, 0, 0)
    assert plane_of_view(colours, viewer) == (3,)
    assert plane_of_view(channels, viewer) == ()


def test_multiscale_layers():
    viewer = ViewerModel()
    levels = [numbered(6, 64, 64), numbered(6, 32, 32)]
    layer = viewer.add_image(levels, multiscale=True)
    viewer.dims.current_step = (5, 0, 0)
    assert axes_of_layer(layer) == "ZYX"
    assert plane_of_view(layer, viewer) == (5,)
    source = ImageSource(layer.data, axes="ZYX")
    assert (source.plane_shape, source.shape) == ((6,), (64, 64))


def test_layers_of_other_units_than_the_viewers_world():
    viewer = ViewerModel()
    units = ("um", "um", "um")
    fine = viewer.add_image(numbered(20, 12, 14), scale=(100, 1, 1), units=("nm", "nm", "nm"))
    coarse = viewer.add_image(numbered(4, 12, 14), scale=(0.5, 0.3, 0.3), units=units)
    viewer.dims.set_point(0, 1000)  # nanometres: the smallest unit is the world's
    assert plane_of_view(fine, viewer) == (10,)
    assert plane_of_view(coarse, viewer) == (2,)


def test_spacing_and_units():
    layer = Image(
        numbered(4, 3, 5, 12, 14),
        axis_labels=("t", "c", "z", "y", "x"),
        scale=(30, 1, 2, 0.25, 0.5),
        units=("second", "pixel", "micrometer", "micrometer", "micrometer"),
    )
    spacing = spacing_of_layer(layer)
    assert spacing.axes == "TZYX"
    assert spacing.sizes == (30, 2, 0.25, 0.5)
    assert spacing.units == ("second", "micrometer", "micrometer", "micrometer")
    assert spacing.pixel == (0.25, 0.5)
    assert (spacing.size("Z"), spacing.unit("T")) == (2, "second")


def test_spacing_counts_every_transform():
    affine = np.array([[0, -3, 5], [2, 0, 7], [0, 0, 1]])
    layer = Image(np.zeros((12, 14, 3), np.uint8), rgb=True, scale=(2, 4), affine=affine)
    spacing = spacing_of_layer(layer)
    assert (spacing.axes, spacing.pixel) == ("YX", (4, 12))
    assert spacing.units == ("pixel", "pixel")
