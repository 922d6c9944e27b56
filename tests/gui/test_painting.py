"""napari's own brush, eraser and bucket on the object at work, in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_pvpu import Click, attach
from napari_pvpu.journal import read_journal
from napari_pvpu.napari_side.controller import Tool

pytestmark = pytest.mark.gui

ONE = Click((30, 40))


@pytest.fixture
def paint(controller, viewer):
    """The layer to paint on, with the brush in hand."""
    controller.use_paint()
    layer = viewer.layers["Current object"]
    layer.brush_size = 5
    return layer


def test_brush_begins_an_object_and_accepting_keeps_it(controller, mouse, paint) -> None:
    assert controller.tool is Tool.PAINT
    mouse.drag([(70, 20), (70, 40)])
    assert controller.session.mask[70, 20:41].all()
    assert controller.history[-1] == "Paint"
    painted = controller.session.mask
    mouse.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(controller.session.labels == 1, painted)
    assert controller.tool is Tool.PAINT, "the brush stays in hand"


def test_each_stroke_is_one_step(controller, mouse, paint) -> None:
    controller.add(ONE)
    assert controller.wait()
    masks = [controller.session.mask]
    for row in (70, 80):
        mouse.drag([(row, 20), (row, 40), (row - 4, 50)])
        masks.append(controller.session.mask)
    assert controller.history[-2:] == ("Paint", "Paint")
    for mask in masks[1::-1]:
        mouse.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        np.testing.assert_array_equal(controller.session.mask, mask)
    controller.redo()
    controller.redo()
    np.testing.assert_array_equal(controller.session.mask, masks[2])


def test_paint_holds_against_the_network_and_goes_into_the_file(
    controller, mouse, paint, sessions
) -> None:
    controller.add(ONE)
    assert controller.wait()
    mouse.drag([(80, 10), (80, 30)])
    before = controller.session.mask
    controller.positive = False
    assert str(paint.mode) == "erase"
    mouse.drag([(30, 30), (30, 50)])
    erased = before & ~controller.session.mask
    assert erased.any()
    assert erased.sum() < 6 * 26
    controller.add(Click((34, 44)))
    assert controller.wait()
    mask = controller.session.mask
    assert mask[80, 10:31].all()
    assert not mask[erased].any()
    assert controller.accept() == 1
    np.testing.assert_array_equal(controller.session.labels == 1, mask)
    [path] = sessions.iterdir()
    names = [operation.name for operation in read_journal(path).operations]
    assert [name for name in names if name != "set"] == [
        "prompts",
        "paint",
        "paint",
        "prompts",
        "accept",
    ]


def test_bucket_of_napari_fills(controller, mouse, paint, viewer) -> None:
    mouse.drag([(60, 20), (60, 40), (80, 40), (80, 20), (60, 20)])
    assert not controller.session.mask[70, 30]
    paint.mode = "fill"
    paint.selected_label = 1
    mouse.click((70, 30))
    assert controller.session.mask[70, 30]
    assert not controller.session.mask[85, 50]
    assert controller.history == ("Paint", "Paint")


def test_layer_taken_up_by_hand_is_one_to_paint_on(controller, mouse, viewer) -> None:
    layer = viewer.layers["Current object"]
    assert not layer.editable
    viewer.layers.selection.active = layer
    assert layer.editable
    layer.mode, layer.brush_size = "paint", 3
    mouse.click((50, 60))
    assert controller.session.mask[50, 60]
    controller.use_clicks()
    assert not layer.editable
    assert layer.data.shape == controller.session.region.mask.shape, "as large as the object"


def test_answer_that_comes_amid_a_stroke_waits(controller, mouse, paint) -> None:
    """The preview must not be drawn anew under the brush, and nothing of either may be lost."""
    work = controller.workspace
    controller.add(ONE)
    assert controller.wait()
    first = controller.session.mask
    controller.add(Click((60, 90)))
    assert controller.wait()
    row, col = np.argwhere(~first & ~controller.session.mask)[0]
    controller.undo()
    before = paint.data.copy()
    work.painting.stroking = work.preview.held = True
    paint.data_setitem((np.array([row]), np.array([col])), 1)
    controller.add(Click((60, 90)))
    assert controller.wait()
    assert (paint.data != before).sum() == 1
    work.painting._tell()
    assert controller.session.mask[row, col]
    assert controller.session.prompts == (ONE, Click((60, 90)))
    assert controller.history[-2:] == ("Click", "Paint")
    shown = work.frame.lower(paint.data) > 0
    np.testing.assert_array_equal(shown, controller.session.mask)


def test_paint_before_the_model_is_there_is_kept(viewer, make_mouse) -> None:
    controller = attach(viewer)
    controller.use_paint()
    assert controller.session is None
    mouse = make_mouse(viewer, viewer.layers["blobs"])
    mouse.drag([(70, 20), (70, 40)])
    controller.use_clicks()
    assert controller.wait()
    controller.accept()
    assert controller.session.labels[70, 20:41].all()


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        pytest.param((3, 96, 128), {}, id="planes"),
        pytest.param((96, 128, 3), {"rgb": True}, id="rgb"),
        pytest.param((96, 128), {"scale": (0.5, 2), "rotate": 20}, id="scaled and turned"),
    ],
)
def test_brush_paints_where_the_mouse_is(make_napari_viewer, make_mouse, shape, options) -> None:
    viewer, rng = make_napari_viewer(show=True), np.random.default_rng(0)
    image = viewer.add_image(rng.integers(0, 255, shape, np.uint8), name="image", **options)
    controller = attach(viewer)
    assert controller.wait()
    controller.use_paint()
    viewer.layers["Current object"].brush_size = 3
    flat = image if image.ndim == 2 else viewer.layers["Current object"]
    if image.ndim == 3:
        viewer.dims.set_point(0, 1)
    mouse = make_mouse(viewer, flat)
    if image.ndim == 3:
        mouse.on_canvas = lambda position, there=mouse.on_canvas: _on_plane(viewer, position)
    mouse.drag([(40, 30), (40, 60)])
    mask = controller.session.mask
    assert mask[40, 31:60].all()
    assert not mask[45:].any()
    assert not mask[:35].any()
    assert controller.session.plane == ((1,) if image.ndim == 3 else ())


def _on_plane(viewer, position):
    from qtpy.QtCore import QPoint

    canvas = viewer.window._qt_viewer.canvas
    x, y = canvas.view.scene.transform.map([position[1], position[0]])[:2]
    return QPoint(round(x), round(y))
