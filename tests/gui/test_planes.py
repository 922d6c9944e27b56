"""Stacks, time series and channels: prompts, masks and undo on the plane that is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_pvpu import Click, attach
from napari_pvpu.napari_side.engine import Look

pytestmark = pytest.mark.gui

ONE, TWO = (30.0, 40.0), (60.0, 90.0)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def begin(viewer, blobs):
    """Open an array made of the blobs, and segment in it."""

    def begin(shape: tuple[int, ...], index: Any = ..., **options: Any):
        data = np.zeros((*shape, *blobs.shape), np.uint8)
        data[index] = blobs
        image = viewer.add_image(data, name="blobs", **options)
        viewer.dims.point = (0,) * viewer.dims.ndim  # napari begins in the middle
        controller = attach(viewer)
        assert controller.wait()
        assert controller.trouble is None
        return controller, image

    return begin


@pytest.mark.parametrize(
    ("shape", "options", "plane", "point"),
    [
        pytest.param((4,), {}, (2,), (2, 0, 0), id="ZYX"),
        pytest.param((4,), {"scale": (3, 0.5, 0.5), "translate": (5, 1, 2)}, (2,), (11,), id="far"),
        pytest.param((3, 4), {}, (1, 3), (1, 3), id="TZYX"),
        pytest.param((3, 2, 4), {}, (2, 1), (2, 1, 1), id="TCZYX"),
        pytest.param((3,), {"axis_labels": ("c", "y", "x")}, (), (2,), id="CYX"),
    ],
)
def test_click_on_a_plane_becomes_an_object_there(
    begin, viewer, make_mouse, shape, options, plane, point
) -> None:
    controller, image = begin(shape, **options)
    at = np.array(viewer.dims.point)
    at[: len(point)] = point
    viewer.dims.point = at
    here = np.array(image.world_to_data(viewer.dims.point))
    make_mouse(viewer, AtPlane(image, here)).click(ONE)
    assert controller.wait()
    assert [prompt.positive for prompt in controller.session.prompts] == [True]
    np.testing.assert_allclose(controller.session.prompts[0].position, ONE, atol=0.6)
    assert controller.session.plane == plane
    assert controller.session.mask[30, 40]
    world = image.data_to_world([*here[:-2], *ONE])
    shown = viewer.layers["Current object"].get_value(world, world=True)
    assert shown > 0
    clicks = viewer.layers["Clicks"]
    assert clicks._view_data.shape[0] == 1, "the click is to be seen"
    assert controller.accept() == 1
    labels = controller.session.labels
    assert labels.shape == (*(n for n, _ in zip(labels.shape[:-2], plane, strict=True)), 96, 128)
    assert labels[plane][30, 40] == 1
    assert labels.sum() == labels[plane].sum()
    assert viewer.layers["blobs objects"].get_value(world, world=True) == 1
    np.testing.assert_array_equal(np.ravel(viewer.layers["blobs objects"].data), labels.ravel())


class AtPlane:
    """An image layer as the mouse sees it: positions in the plane that is shown."""

    def __init__(self, image, index) -> None:
        self._image, self._index = image, index

    def data_to_world(self, position):
        return self._image.data_to_world([*self._index[:-2], *position])[-2:]


def test_object_stays_with_its_plane_and_comes_back(begin, viewer) -> None:
    controller, _ = begin((4,))
    controller.add(Click(ONE))
    assert controller.wait()
    viewer.dims.set_point(0, 3)
    assert controller.workspace.prompts.read() == ()
    assert not viewer.layers["Current object"].data.any()
    controller.add(Click(TWO))
    assert controller.wait()
    assert controller.session.prompts == (Click(TWO),)
    viewer.dims.set_point(0, 0)
    assert controller.workspace.prompts.read() == (Click(ONE),)
    assert viewer.layers["Current object"].data.any()


def test_undo_and_redo_show_the_plane_of_the_step(begin, viewer) -> None:
    controller, _ = begin((3, 4), scale=(1, 2, 1, 1))
    controller.add(Click(ONE))
    controller.accept()
    viewer.dims.set_point((0, 1), (2, 6))
    controller.add(Click(TWO))
    controller.accept()
    labels = viewer.layers["blobs objects"].data
    assert (labels[0, 0] == 1).any()
    assert (labels[2, 3] == 2).any()
    viewer.dims.set_point((0, 1), (1, 2))
    controller.undo()
    assert viewer.dims.point[:2] == (2, 6)
    assert not labels[2, 3].any()
    assert controller.workspace.prompts.read() == (Click(TWO),)
    controller.undo()
    controller.undo()
    assert viewer.dims.point[:2] == (0, 0)
    assert not labels.any()
    for _ in range(3):
        controller.redo()
    assert viewer.dims.point[:2] == (2, 6)
    np.testing.assert_array_equal(labels, controller.session.labels)
    assert (labels[0, 0] == 1).any()
    assert (labels[2, 3] == 2).any()


def test_answer_that_comes_late_goes_to_its_plane(begin, viewer) -> None:
    controller, _ = begin((4,))
    controller.add(Click(ONE))
    viewer.dims.set_point(0, 2)
    controller.add(Click(TWO))
    assert controller.wait()
    assert controller.session.prompts_in((0,)) == (Click(ONE),)
    assert controller.session.prompts_in((2,)) == (Click(TWO),)
    viewer.dims.set_point(0, 0)
    assert viewer.layers["Current object"].data.any()


def test_colours_in_time(viewer, blobs) -> None:
    movie = np.stack([np.stack([blobs, blobs // 2, blobs // 3], axis=-1)] * 3)
    viewer.add_image(movie, name="movie", rgb=True)
    controller = attach(viewer)
    viewer.dims.set_point(0, 1)
    controller.add(Click(ONE))
    assert controller.accept() == 1
    assert controller.session.source.axes == "ZYXS"
    assert (controller.session.labels[1] == 1).any()


def test_canvas_with_channels_takes_no_prompts(begin, viewer, notices) -> None:
    controller, _ = begin((4,), axis_labels=("c", "y", "x"))
    viewer.dims.order = (1, 0, 2)
    assert not controller.workspace.on_plane
    controller.workspace.prompts.add(Click(ONE))
    assert "no plane of the image" in notices()[-1]
    assert controller.workspace.prompts.read() == ()
    viewer.dims.order = (0, 1, 2)
    controller.add(Click(ONE))
    assert controller.wait()
    assert controller.session.prompts == (Click(ONE),)


def test_volume_view_refuses_prompts_with_a_sentence(begin, viewer, notices) -> None:
    controller, _ = begin((4,))
    viewer.dims.ndisplay = 3
    assert controller.workspace is None
    assert "2D display" in str(controller.trouble)
    viewer.dims.ndisplay = 2
    assert controller.wait()
    controller.add(Click(ONE))
    assert controller.accept() == 1


def test_axes_and_channels_are_chosen(begin, viewer, notices) -> None:
    controller, _ = begin((5,))
    assert controller.session.plane_shape == (5,)
    controller.look = Look(axes="CYX", channels=(1, 3))
    assert controller.wait()
    assert controller.session.plane_shape == ()
    assert controller.session.source.channels == (1, 3)
    controller.add(Click(ONE))
    assert controller.accept() == 1
    controller.look = Look(axes="CYX", limits=(0.0, 300.0), gamma=0.5)
    assert controller.wait()
    assert controller.session.source.limits == ((0.0,) * 5, (300.0,) * 5)
    assert list(controller.session.objects) == [1]
    assert controller.history == ("Click", "Accept object 1"), "history stays"
    controller.undo()
    assert controller.workspace.prompts.read() == (Click(ONE),)
    controller.redo()
    assert controller.workspace.earlier is None, "there is nothing to go back to"
    controller.look = Look(axes="QQ")
    assert "more than once" in notices()[-1]
    assert controller.look == Look(axes="CYX", limits=(0.0, 300.0), gamma=0.5)


def test_image_that_becomes_a_stack_is_taken_up_anew(viewer, blobs) -> None:
    image = viewer.add_image(blobs, name="blobs")
    controller = attach(viewer)
    assert controller.wait()
    image.data = np.stack([blobs] * 3)
    assert controller.wait()
    assert controller.session.plane_shape == (3,)
    viewer.dims.set_point(0, 2)
    controller.add(Click(ONE))
    assert controller.accept() == 1
