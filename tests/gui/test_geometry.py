"""Layers laid over an image that lies anywhere in the world."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from napari_pvpu.napari_side.geometry import (
    convert,
    data_pixels_per_screen_pixel,
    place_at,
    placement,
    visible_extent,
)

AFFINE = np.array([[1.1, 0.3, 5.0], [-0.2, 0.9, -7.0], [0.0, 0.0, 1.0]])
TRANSFORMS = [
    pytest.param({}, id="none"),
    pytest.param({"scale": (0.5, 2.0)}, id="scale"),
    pytest.param({"translate": (10, -20)}, id="translate"),
    pytest.param({"rotate": 30}, id="rotate"),
    pytest.param({"shear": [0.4]}, id="shear"),
    pytest.param({"affine": AFFINE}, id="affine"),
    pytest.param(
        {"scale": (2, 3), "translate": (1, 2), "rotate": 40, "shear": [0.2], "affine": AFFINE},
        id="all",
    ),
    pytest.param({"scale": (0.1, 0.1), "units": ("um", "um")}, id="units"),
]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_layer_placed_at_an_offset_covers_the_image_there(transform) -> None:
    image = Image(np.zeros((20, 30)), **transform)
    layer = Labels(np.zeros((4, 5), np.uint8))
    place_at(layer, image, (7, 11))
    for point in ((0, 0), (3, 4), (1.5, 0.5)):
        expected = image.data_to_world(np.add(point, (7, 11)))
        np.testing.assert_allclose(layer.data_to_world(point), expected, atol=1e-9)
    assert layer.units == image.units


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_layer_is_made_where_the_image_lies(transform) -> None:
    image = Image(np.zeros((20, 30)), **transform)
    points = Points(ndim=2, **placement(image))
    np.testing.assert_allclose(points.data_to_world((3, 4)), image.data_to_world((3, 4)))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_convert_goes_through_the_world(transform) -> None:
    source, target = Points(ndim=2), Image(np.zeros((20, 30)), **transform)
    positions = np.array([[3.0, 4.0], [-1.5, 8.25]])
    there = convert(positions, source, target)
    for position, converted in zip(positions, there, strict=True):
        np.testing.assert_allclose(converted, target.world_to_data(position), atol=1e-9)
    np.testing.assert_allclose(convert(there, target, source), positions, atol=1e-9)


def test_convert_between_layers_that_lie_alike_changes_no_bit() -> None:
    image = Image(np.zeros((20, 30)), scale=(0.1, 0.3), rotate=10)
    positions = np.array([[0.1 + 0.2, 1 / 3]])
    converted = convert(positions, Points(ndim=2, **placement(image)), image)
    assert converted.tolist() == positions.tolist()


def test_placing_a_layer_where_it_lies_emits_nothing() -> None:
    image = Image(np.zeros((20, 30)), scale=(2, 2), rotate=20)
    layer = Labels(np.zeros((4, 5), np.uint8))
    place_at(layer, image, (1, 2))
    seen = []
    for name in ("scale", "translate", "rotate", "affine"):
        getattr(layer.events, name).connect(lambda event: seen.append(event.type))
    place_at(layer, image, (1, 2))
    assert seen == []


@pytest.mark.parametrize(("scale", "zoom", "pixels"), [(1, 1, 1), (1, 4, 0.25), (0.5, 4, 0.5)])
def test_zoom_and_scale_make_the_size_of_a_screen_pixel(scale, zoom, pixels) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((5000, 6000), np.uint8), scale=(scale, scale))
    viewer.scene.camera.zoom = zoom
    assert data_pixels_per_screen_pixel(viewer, image) == pytest.approx(pixels)
    short_side = min(viewer.canvas.size)
    assert visible_extent(viewer, image) == pytest.approx(short_side * pixels)


def test_visible_extent_is_the_image_when_the_canvas_shows_more() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((50, 70), np.uint8))
    viewer.scene.camera.zoom = 0.1
    assert visible_extent(viewer, image) == 70
