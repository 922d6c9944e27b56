"""Sections across the planes of a volume, in a real window: rolled axes, real mouse and keys."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt

from fakes import FloodPredictor
from flood_engine import FloodEngine
from napari_pvpu import Box, Click, Polygon, Scribble
from napari_pvpu.errors import SessionError
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.operations import Operation
from napari_pvpu.replay import apply
from napari_pvpu.scripts import source_settings
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource

pytestmark = pytest.mark.gui

SHAPE = (24, 60, 70)
MIDDLE = (12, 28, 34)
SCALE = (3.0, 1.0, 1.0)
ROLLED = [
    pytest.param((1, 0, 2), (-1, 28, -1), (12.0, 34.0), id="ZX"),
    pytest.param((2, 0, 1), (-1, -1, 34), (12.0, 28.0), id="ZY"),
    pytest.param((2, 1, 0), (-1, -1, 34), (12.0, 28.0), id="YZ, turned"),
]


def volume() -> np.ndarray:
    """A ball, in the world, of three units a plane."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    away = (3 * (z - 12)) ** 2 + (y - 28) ** 2 + (x - 34) ** 2
    return np.where(away <= 16**2, 180, 50).astype(np.uint8)


VOLUME = volume()


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def begin(viewer):
    """Open the ball; a flood fill answers."""
    begun = []

    def begin(order=(0, 1, 2)):
        image = viewer.add_image(VOLUME, name="ball", scale=SCALE)
        controller = Controller(viewer)
        begun.append(controller)
        controller._engine = FloodEngine()
        controller.open()
        assert controller.wait()
        roll(viewer, order)
        return controller, image

    yield begin
    for controller in begun:
        controller.close()


def roll(viewer, order) -> None:
    """Show other axes, as the button below the layer list does, and go to the ball's middle."""
    viewer.dims.order = order
    viewer.dims.point = [at * step for at, step in zip(MIDDLE, SCALE, strict=True)]


def bounds_of(path) -> tuple[float, ...]:
    return (*np.min(path, axis=0), *np.max(path, axis=0))


class Shown:
    """What is on the canvas as the mouse sees it: (row, col) of the plane at work."""

    def __init__(self, viewer, image, turned=False) -> None:
        self._viewer, self._image, self._turned = viewer, image, turned

    def data_to_world(self, position):
        first, second = sorted(self._viewer.dims.displayed)
        index = np.array(MIDDLE, float)
        index[[first, second]] = position
        world = np.array(self._image.data_to_world(index))
        return world[list(self._viewer.dims.displayed)]


@pytest.mark.parametrize(("order", "plane", "middle"), ROLLED)
def test_click_on_a_section_is_answered_there(
    begin, viewer, make_mouse, order, plane, middle
) -> None:
    controller, image = begin(order)
    mouse = make_mouse(viewer, Shown(viewer, image))
    mouse.click(middle)
    assert controller.wait()
    session = controller.session
    assert session.plane == plane
    assert session.spacing == SCALE
    (prompt,) = session.prompts
    np.testing.assert_allclose(prompt.position, middle, atol=0.6)
    truth = VOLUME[session.source.grid.window(plane, (0, 0, *session.mask.shape))] > 110
    assert (session.mask & truth).sum() / (session.mask | truth).sum() > 0.8
    assert session.view.aspect == 3, "the network sees a ball"
    world = image.data_to_world(MIDDLE)
    assert viewer.layers["Current object"].get_value(world, world=True) > 0
    assert viewer.layers["Clicks"]._view_data.shape[0] == 1, "the click is to be seen"
    mouse.press_key(Qt.Key.Key_Return)
    assert controller.wait()
    labels = viewer.layers["ball objects"].data
    np.testing.assert_array_equal(labels, session.labels)
    assert labels[MIDDLE] == 1
    index = session.source.grid.window(plane, (0, 0, *truth.shape))
    assert (labels > 0).sum() == (labels[index] > 0).sum(), "in this section alone"
    controller.undo()
    controller.undo()
    assert not labels.any()
    controller.redo()
    controller.redo()
    assert labels[MIDDLE] == 1


@pytest.mark.parametrize("tool", ["boxes", "scribbles", "lasso"])
def test_other_prompts_are_drawn_on_sections(begin, viewer, make_mouse, tool) -> None:
    controller, image = begin((1, 0, 2))
    mouse = make_mouse(viewer, Shown(viewer, image))
    getattr(controller, f"use_{tool}")()
    path = {
        "boxes": [(6.0, 17.0), (18.0, 52.0)],
        "scribbles": [(11.0, 26.0), (13.0, 42.0)],
        "lasso": [(6.0, 30.0), (10.0, 50.0), (18.0, 36.0), (14.0, 18.0), (7.0, 24.0)],
    }[tool]
    mouse.drag(path)
    assert controller.wait()
    session = controller.session
    assert session.plane == (-1, 28, -1)
    (prompt,) = session.prompts
    assert type(prompt) is {"boxes": Box, "scribbles": Scribble, "lasso": Polygon}[tool]
    np.testing.assert_allclose(prompt.bounds, bounds_of(path), atol=1.5)
    assert session.mask[12, 34] == (tool != "lasso"), "a flood fill knows no outlines"


def test_an_object_is_seen_and_corrected_from_all_sides(begin, viewer, make_mouse) -> None:
    controller, image = begin()
    mouse = make_mouse(viewer, Shown(viewer, image))
    mouse.click((28.0, 34.0))
    assert controller.wait()
    controller.accept()
    controller.propagate()
    assert controller.wait()
    session = controller.session
    labels = viewer.layers["ball objects"].data
    roll(viewer, (1, 0, 2))
    mouse.click((12.0, 34.0), Qt.KeyboardModifier.AltModifier)
    assert controller.wait()
    assert (session.opened, session.plane) == (1, (-1, 28, -1))
    before = session.mask.copy()
    assert before.sum() > 200, "what was carried along Z, from the side"
    mouse.click((12.0, 46.0), Qt.KeyboardModifier.ShiftModifier)
    assert controller.wait()
    assert not session.mask[12, 46]
    mouse.press_key(Qt.Key.Key_Return)
    assert controller.wait()
    assert labels[12, 28, 46] == 0
    assert set(np.unique(labels)) == {0, 1}
    np.testing.assert_array_equal(labels, session.labels)
    roll(viewer, (0, 1, 2))
    assert controller.workspace.frame.plane == (12,)
    controller.undo()
    assert viewer.dims.displayed == (0, 2), "undo shows where the step was made"
    assert controller.workspace.frame.plane == (-1, 28, -1)
    controller.redo()
    again = Session(ImageSource(VOLUME, **source_settings(session.first_source)), FloodPredictor())
    for operation in session.operations:
        apply(again, Operation.from_json(json.loads(json.dumps(operation.to_json()))))
    np.testing.assert_array_equal(again.labels, session.labels)


def test_objects_are_carried_along_the_axis_that_is_cut(begin, viewer, make_mouse) -> None:
    controller, image = begin((1, 0, 2))
    assert (controller.axes, controller.axis) == ("Y", "Y")
    assert (controller.position, controller.length) == (28, 60)
    mouse = make_mouse(viewer, Shown(viewer, image))
    mouse.click((12.0, 34.0))
    assert controller.wait()
    controller.carry_range = (20, 36)
    mouse.press_key(Qt.Key.Key_C)
    assert controller.wait()
    labels = viewer.layers["ball objects"].data
    assert set(np.flatnonzero(labels.any(axis=(0, 2)))) == set(range(20, 37))
    assert set(controller.confidences) == set(range(20, 37))
    controller.go_to_position(24)
    assert controller.workspace.frame.plane == (-1, 24, -1)
    assert viewer.dims.point[1] == 24
    controller.undo()
    assert set(np.flatnonzero(labels.any(axis=(0, 2)))) == {28}


def test_paint_and_foreign_labels_in_sections(begin, viewer, make_mouse) -> None:
    controller, image = begin((1, 0, 2))
    other = np.zeros(SHAPE, np.uint8)
    other[8:16, 20:40, 24:44] = 7
    foreign = viewer.add_labels(other, name="theirs", scale=SCALE)
    mouse = make_mouse(viewer, Shown(viewer, image))
    mouse.click((12.0, 34.0), Qt.KeyboardModifier.AltModifier)
    assert controller.wait()
    np.testing.assert_array_equal(controller.session.mask, other[:, 28] == 7)
    controller.accept()
    viewer.layers.remove(foreign)
    np.testing.assert_array_equal(viewer.layers["ball objects"].data[:, 28], other[:, 28])
    controller.add(Click((3.0, 60.0)))
    assert controller.wait()
    controller.reset()
    controller.use_paint()
    preview = viewer.layers["Current object"]
    assert isinstance(preview, Labels)
    mouse.drag([(4.0, 10.0), (4.0, 18.0)])
    assert controller.wait()
    assert controller.session.mask[4, 10:18].all()
    assert controller.session.plane == (-1, 28, -1)


def test_three_dimensions_are_refused_with_a_sentence(begin, viewer) -> None:
    controller, _ = begin((1, 0, 2))
    viewer.dims.ndisplay = 3
    with pytest.raises(SessionError, match="2D display"):
        controller.add(Click((28, 34)))
    viewer.dims.ndisplay = 2
    controller.add(Click((12, 34)))
    assert controller.wait()
    assert controller.session.plane == (-1, 28, -1)
