"""The layers that show masks, on bare layers without a viewer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_pvpu.napari_side.frame import Frame
from napari_pvpu.napari_side.result_layers import INSIDE, RIM, Preview, Results

MASK = np.array(
    [
        [0, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
        [0, 1, 1, 1, 0],
    ],
    bool,
)


def image(**transform: Any) -> Image:
    return Image(np.zeros((20, 30), np.uint8), name="picture", **transform)


@pytest.mark.parametrize(
    "transform",
    [
        pytest.param({}, id="plain"),
        pytest.param({"scale": (0.5, 2), "rotate": 30, "translate": (4, 5)}, id="transformed"),
    ],
)
def test_preview_is_as_large_as_the_object_and_lies_on_it(transform) -> None:
    picture = image(**transform)
    preview = Preview(Frame(picture))
    preview.show(MASK, 7, 11)
    assert preview.layer.data.shape == MASK.shape
    np.testing.assert_array_equal(preview.layer.data > 0, MASK)
    np.testing.assert_allclose(
        preview.layer.data_to_world((1, 2)), picture.data_to_world((8, 13)), atol=1e-9
    )


def test_preview_marks_the_rim() -> None:
    preview = Preview(Frame(image()))
    preview.show(MASK, 0, 0)
    assert preview.layer.data[1].tolist() == [RIM, INSIDE, INSIDE, INSIDE, RIM]
    assert (preview.layer.data[0][MASK[0]] == RIM).all()


def test_mask_is_told_of_once_and_the_extent_of_all_layers_is_left_alone() -> None:
    preview, told = Preview(Frame(image())), []
    preview.layer.events.set_data.connect(lambda event: told.append("data"))
    preview.layer.events.extent.connect(lambda event: told.append("extent"))
    for row in (7, 8):
        preview.show(MASK, row, 11)
    assert told == ["data", "data"]
    np.testing.assert_allclose(preview.layer.extent.world, [(8, 11), (10, 15)])


def test_preview_of_nothing_shows_nothing() -> None:
    preview = Preview(Frame(image()))
    preview.show(MASK, 3, 4)
    preview.clear()
    assert not preview.layer.data.any()


def test_preview_follows_the_image() -> None:
    picture = image()
    preview = Preview(Frame(picture))
    preview.show(MASK, 7, 11)
    picture.scale, picture.rotate = (2, 3), 45
    preview.match()
    np.testing.assert_allclose(
        preview.layer.data_to_world((0, 0)), picture.data_to_world((7, 11)), atol=1e-9
    )


@pytest.fixture
def results():
    """Results on screen (napari writes what it has sliced), and labels as a session holds them."""
    viewer = ViewerModel()
    picture = viewer.add_layer(image())
    results = Results(Frame(picture))
    viewer.add_layer(results.layer)
    return results, np.zeros((20, 30), np.uint16)


def test_results_are_uint16_of_the_images_size(results) -> None:
    layer = results[0].layer
    assert (layer.data.shape, layer.data.dtype, layer.name) == (
        (20, 30),
        np.uint16,
        "picture objects",
    )


def test_new_object_is_written_as_one_step_of_the_layers_history(results) -> None:
    shown, labels = results
    labels[2:5, 3:8][MASK] = 1
    shown.update(labels, {1: {(): (2, 3, 5, 8)}})
    np.testing.assert_array_equal(shown.layer.data, labels)
    shown.layer.undo()
    assert not shown.layer.data.any()


def test_object_that_is_gone_is_wiped_out(results) -> None:
    shown, labels = results
    labels[2:5, 3:8][MASK] = 1
    labels[10:12, 10:12] = 2
    shown.update(labels, {1: {(): (2, 3, 5, 8)}, 2: {(): (10, 10, 12, 12)}})
    labels[10:12, 10:12] = 0
    shown.update(labels, {1: {(): (2, 3, 5, 8)}})
    np.testing.assert_array_equal(shown.layer.data, labels)


def test_what_the_user_has_painted_elsewhere_stays(results) -> None:
    shown, labels = results
    shown.layer.data[3, 4] = 77  # within the box of object 1 and on its pixels
    shown.layer.data[2, 3] = 78  # within the box, not on its pixels
    shown.layer.data[15, 15] = 79
    labels[2:5, 3:8][MASK] = 1
    shown.update(labels, {1: {(): (2, 3, 5, 8)}})
    assert shown.layer.data[3, 4] == 1
    shown.layer.data[4, 5] = 80  # over the object, after it was accepted
    labels[:] = 0
    shown.update(labels, {})
    assert (np.unique(shown.layer.data) == [0, 78, 79, 80]).all()


def test_labels_are_written_before_the_layer_has_been_drawn(results, monkeypatch) -> None:
    shown, labels = results
    labels[2:5, 3:8][MASK] = 1
    monkeypatch.setattr(type(shown.layer), "loaded", False)
    shown.update(labels, {1: {(): (2, 3, 5, 8)}})
    np.testing.assert_array_equal(shown.layer.data, labels)


@pytest.mark.parametrize("row", [7, 3], ids=["same-place", "moved"])
def test_preview_is_drawn_once_per_mask_and_in_its_place(row) -> None:
    preview = Preview(Frame(image()))
    preview.show(MASK, 7, 11)
    drawn = []
    preview.layer.events.set_data.connect(lambda: drawn.append(tuple(preview.layer.translate)))
    preview.show(MASK[:, :3], row, 11)
    assert drawn == [(row, 11)]
