"""A whole journey with a real mouse and real keys on a real canvas.

The network is the real one with random weights: what is asserted holds for any weights.
"""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_pvpu.napari_side.controller import Tool
from napari_pvpu.prompts import Box, Click, Scribble

pytestmark = pytest.mark.gui

SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
RIGHT = Qt.MouseButton.RightButton
PIXEL = 0.75
"""How far a position may be off: the canvas has whole pixels only."""


@pytest.fixture(
    params=[
        pytest.param({}, id="plain"),
        pytest.param({"scale": (0.5, 0.8), "rotate": 20, "translate": (9, -4)}, id="transformed"),
    ]
)
def desk(request, make_napari_viewer, make_mouse, blobs):
    """A viewer on the screen with an image and the panel, and a mouse over it."""
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(blobs, name="blobs", **request.param)
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    viewer.window.resize(1100, 800)
    QTest.qWait(50)
    viewer.reset_view()
    QTest.qWait(50)
    assert panel.controller.wait()
    return viewer, panel, make_mouse(viewer, image)


def near(one, two) -> bool:
    return bool(np.abs(np.subtract(one, two)).max() <= PIXEL)


def test_journey(desk) -> None:
    viewer, panel, mouse = desk
    controller, session = panel.controller, panel.controller.session
    preview, result = viewer.layers["Current object"], viewer.layers["blobs objects"]

    # A click
    mouse.click((30, 40))
    assert controller.wait()
    [click] = session.prompts
    assert isinstance(click, Click)
    assert click.positive
    assert near(click.position, (30, 40))
    assert session.mask[30, 40]
    assert preview.data.any()

    # A negative click, with Ctrl, and one with Shift, and one with the right button
    for where, keys in (((75, 20), {"modifier": CONTROL}), ((75, 110), {"modifier": SHIFT})):
        mouse.click(where, **keys)
        assert controller.wait()
        assert not session.prompts[-1].positive
        assert near(session.prompts[-1].position, where)
        assert not session.mask[where]
    mouse.click((60, 20), button=RIGHT)
    assert controller.wait()
    assert not session.prompts[-1].positive
    assert session.mask[30, 40]
    before = session.mask

    # A box, after pressing its button
    panel.tools[Tool.BOX].click()
    mouse.drag([(15, 25), (46, 56)])
    assert controller.wait()
    box = session.prompts[-1]
    assert isinstance(box, Box)
    assert near((*box.start, *box.stop), (15, 25, 46, 56))
    assert len(session.prompts) == 5

    # Undo takes it back from everywhere, redo brings it back
    mouse.press_key(Qt.Key.Key_Z, CONTROL)
    assert len(session.prompts) == 4
    assert viewer.layers["Boxes and scribbles"].nshapes == 0
    np.testing.assert_array_equal(session.mask, before)
    mouse.press_key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert session.prompts[-1] == box
    assert viewer.layers["Boxes and scribbles"].nshapes == 1

    # A negative scribble, after pressing its key
    mouse.press_key(Qt.Key.Key_E)
    assert controller.tool is Tool.SCRIBBLE
    mouse.drag([(85, 30), (88, 60), (85, 90)], SHIFT)
    assert controller.wait()
    scribble = session.prompts[-1]
    assert isinstance(scribble, Scribble)
    assert not scribble.positive
    assert near(scribble.path[0], (85, 30))
    assert not session.mask[tuple(np.round(scribble.path[1]).astype(int))]

    # The EM switch, by key and by button
    mouse.press_key(Qt.Key.Key_M)
    assert controller.wait()
    assert session.value_propagation
    assert panel.propagation.isChecked()
    assert session.mask[30, 40]
    assert not session.mask[75, 20]
    panel.propagation.click()
    assert controller.wait()
    assert not session.value_propagation

    # Accept by key; the tool stays in hand
    mask = session.mask
    mouse.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(result.data == 1, mask)
    assert session.prompts == ()
    assert not preview.data.any()
    assert controller.tool is Tool.SCRIBBLE

    # The next object, begun by a positive scribble, accepted by the button
    mouse.drag([(56, 84), (60, 90), (66, 94)])
    assert controller.wait()
    [scribble] = session.prompts
    assert scribble.positive
    panel.accept.click()
    row, col = np.round(scribble.path[1]).astype(int)
    assert result.data[row, col] in (1, 2)  # accepted pixels stay with the first object
    assert len(session.objects) == 2 or "within accepted ones" in panel.hint.text()


def test_polarity_key_and_fast_clicks(desk) -> None:
    _, panel, mouse = desk
    controller, session = panel.controller, panel.controller.session
    mouse.press_key(Qt.Key.Key_W)
    mouse.press_key(Qt.Key.Key_Q)
    assert controller.tool is Tool.CLICK
    for row in (26, 30, 34):  # faster than they can be answered
        mouse.click((row, 40))
    mouse.press_key(Qt.Key.Key_T)
    assert panel.negative.isChecked()
    mouse.click((75, 20))
    assert controller.wait()
    assert [prompt.positive for prompt in session.prompts] == [True, True, True, False]
    assert session.mask[26, 40]
    assert session.mask[34, 40]
    assert not session.mask[75, 20]
    mouse.press_key(Qt.Key.Key_R, SHIFT)
    assert session.prompts == ()
