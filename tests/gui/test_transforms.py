"""Images that are scaled, turned, sheared, of other units, with channels or of many axes."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from flood_engine import FloodEngine
from napari_pvpu import Box, Click, Scribble
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.napari_side.layer_axes import unit_ratios

pytestmark = pytest.mark.gui

TURNED = [[0.8, -0.6, 5], [0.6, 0.8, -7], [0, 0, 1]]
SKEWED = [[1.5, 0.4, 3], [0.2, 0.5, 100], [0, 0, 1]]

TRANSFORMS = [
    pytest.param({}, id="plain"),
    pytest.param({"scale": (0.3, 2.5), "translate": (40, -9)}, id="anisotropic"),
    pytest.param({"rotate": 33, "scale": (2, 0.5)}, id="rotated"),
    pytest.param({"shear": [0.4], "scale": (0.1, 0.1)}, id="sheared"),
    pytest.param({"affine": TURNED}, id="affine"),
    pytest.param({"affine": SKEWED, "rotate": 10, "translate": (3, 4)}, id="all at once"),
    pytest.param({"units": ("um", "um"), "scale": (0.65, 0.65)}, id="units"),
]
KINDS = [
    pytest.param(lambda grey: (grey, {}), id="grey"),
    pytest.param(lambda grey: (np.stack([grey] * 3, -1), {"rgb": True}), id="rgb"),
    pytest.param(lambda grey: (np.stack([grey] * 4, -1), {"rgb": True}), id="rgba"),
    pytest.param(lambda grey: ([grey, grey[::2, ::2]], {"multiscale": True}), id="multiscale"),
]
PROMPTS = (Click((60, 90)), Box((40, 70), (80, 110)), Scribble(((5, 5), (9, 60)), False))


@pytest.fixture
def begin(qapp):
    """Open an image in a viewer model and segment in it."""
    begun = []

    def begin(data, **options):
        viewer = ViewerModel()
        image = viewer.add_image(data, name="image", **options)
        controller = Controller(viewer)
        controller._engine = FloodEngine()
        controller.open()
        begun.append(controller)
        assert controller.wait()
        assert controller.trouble is None
        return viewer, image, controller

    yield begin
    for controller in begun:
        controller.close()


def square(like) -> np.ndarray:
    """Rows 40 to 59, columns 80 to 99."""
    mask = np.zeros(like.shape, bool)
    mask[40:60, 80:100] = True
    return mask


def lands_on(layer, index, image, pixel) -> bool:
    """Tell whether a pixel of a layer lies where a pixel of the image lies."""
    return np.allclose(layer.data_to_world(index), image.data_to_world(pixel))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_prompts_and_masks_lie_on_their_pixels(begin, blobs, kind, transform) -> None:
    data, options = kind(blobs)
    viewer, image, controller = begin(data, **options, **transform)
    # As the user draws: positions in the layers are those in the image.
    clicks, strokes = controller.workspace.prompts.layers
    world = image.data_to_world((60, 90))
    clicks.add(clicks.world_to_data(world))
    assert controller.wait()
    [click] = controller.session.prompts
    np.testing.assert_allclose(click.position, (60, 90), atol=1e-6)
    for prompt in PROMPTS[1:]:
        controller.add(prompt)
    assert controller.wait()
    assert controller.session.prompts[1:] == PROMPTS[1:]
    region = controller.session.region
    preview = viewer.layers["Current object"]
    assert lands_on(preview, (0, 0), image, (region.row, region.col))
    assert lands_on(strokes, (40, 70), image, (40, 70))
    assert controller.accept() == 1
    objects = viewer.layers["image objects"]
    assert objects.data[60, 90] == 1
    assert lands_on(objects, (60, 90), image, (60, 90))
    assert objects.data.shape == blobs.shape


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_layers_follow_a_transform_that_comes_later(begin, blobs, transform) -> None:
    viewer, image, controller = begin(blobs)
    controller.add(PROMPTS[0])
    assert controller.wait()
    for name, value in transform.items():
        setattr(image, name, value)
    assert controller.workspace.prompts.read() == PROMPTS[:1]
    region = controller.session.region
    assert lands_on(viewer.layers["Current object"], (0, 0), image, (region.row, region.col))
    controller.add(PROMPTS[2])
    assert controller.wait()
    assert controller.session.prompts == (PROMPTS[0], PROMPTS[2])


@pytest.mark.parametrize(
    ("shape", "options", "plane"),
    [
        pytest.param((4,), {"scale": (5, 0.2, 0.3)}, (2,), id="ZYX"),
        pytest.param((4,), {"units": ("um", "um", "um"), "rotate": 0}, (2,), id="units"),
        pytest.param((2, 4), {"translate": (1, 2, 3, 4)}, (1, 2), id="TZYX"),
        pytest.param((2, 3, 4), {"scale": (1, 1, 4, 0.5, 0.5)}, (1, 2), id="TCZYX"),
        pytest.param((3,), {"axis_labels": ("c", "y", "x"), "scale": (1, 2, 2)}, (), id="CYX"),
    ],
)
def test_planes_of_any_layer_have_their_masks(begin, blobs, shape, options, plane) -> None:
    viewer, _, controller = begin(np.broadcast_to(blobs, (*shape, *blobs.shape)), **options)
    work = controller.workspace
    work.travel(plane)
    controller.add(PROMPTS[0])
    assert controller.wait()
    assert controller.session.plane == plane
    assert controller.accept() == 1
    np.testing.assert_array_equal(np.argwhere(controller.session.labels)[0][:-2], plane)
    shown = work.frame.planes_first(viewer.layers["image objects"].data)[plane]
    assert shown[60, 90] == 1
    assert (viewer.layers["image objects"].data == 1).sum() == (shown == 1).sum()


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_object_of_labels_on_another_grid_is_opened_in_place(begin, blobs, transform) -> None:
    """Labels of half the size, laid over the image by scale alone, before a transform of both."""
    viewer, image, controller = begin(blobs)
    small = np.zeros((48, 64), np.uint8)
    small[20:30, 40:50] = 3
    layer = viewer.add_labels(small, name="theirs", scale=(2, 2), translate=(0.5, 0.5))
    affine = transform.get("affine")
    if affine is not None:
        image.affine = layer.affine = affine
    viewer.cursor.position = tuple(image.data_to_world((50, 90)))
    controller.open_at_cursor()
    np.testing.assert_array_equal(controller.session.mask, square(blobs))
    assert controller.accept() == 3


def test_labels_in_other_units_are_opened_in_place(begin, blobs) -> None:
    viewer, image, controller = begin(blobs, units=("um", "um"), scale=(0.5, 0.5))
    theirs = np.zeros(blobs.shape, np.uint8)
    theirs[40:60, 80:100] = 4
    viewer.add_labels(theirs, name="theirs", units=("nm", "nm"), scale=(500, 500))
    world = np.array(image.data_to_world((50, 90))) / unit_ratios(image, viewer)
    viewer.cursor.position = tuple(world)
    controller.open_at_cursor()
    np.testing.assert_array_equal(controller.session.mask, theirs == 4)
