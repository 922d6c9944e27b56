"""The walk over accepted objects, the least certain first, in a real window."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from flood_engine import FloodEngine
from napari_pvpu import Click
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.napari_side.looking import look_at
from napari_pvpu.napari_side.reviewing import least_certain_first
from napari_pvpu.napari_side.views.objects_section import ObjectsSection

pytestmark = pytest.mark.gui

SHIFT = Qt.KeyboardModifier.ShiftModifier
NO_KEY = Qt.KeyboardModifier.NoModifier
SPOTS = {1: (30, 40), 2: (60, 90), 3: (80, 20)}


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def controller(viewer, blobs, qtbot):
    viewer.add_image(np.stack([blobs, blobs[::-1]]), name="blobs", scale=(3, 0.5, 0.5))
    controller = Controller(viewer)
    controller._engine = FloodEngine()
    controller.open()
    assert controller.wait()
    yield controller
    controller.close()


@pytest.fixture
def objects(controller, viewer):
    """Three objects, the last of them in the second plane; their ids, least certain first."""
    for object_id, position in SPOTS.items():
        if object_id == 3:
            viewer.dims.set_current_step(0, 1)
        controller.add(Click(position))
        assert controller.accept() == object_id
    viewer.dims.set_current_step(0, 0)
    return least_certain_first(controller.session.objects)


def test_order_of_doubt() -> None:
    scores = {1: 0.9, 2: None, 3: 0.2, 4: 0.9, 5: None}
    records = {number: SimpleNamespace(score=score) for number, score in scores.items()}
    assert least_certain_first(records) == [3, 1, 4, 2, 5]


def test_the_walk_opens_each_object_in_the_middle_and_leaves_no_trace(
    controller, viewer, objects, notices
) -> None:
    session = controller.session
    labels, steps = np.array(session.labels), session.history_position
    records = dict(session.objects)
    for object_id in objects:
        controller.next_uncertain()
        assert session.opened == object_id
        assert session.prompts, "with its prompts"
        record = records[object_id]
        assert controller.workspace.frame.plane == record.plane
        row0, col0, row1, col1 = record.box
        middle = (record.plane[0] * 3, (row0 + row1 - 1) / 4, (col0 + col1 - 1) / 4)
        np.testing.assert_allclose(viewer.scene.camera.center[1:], middle[1:], atol=0.01)
    controller.next_uncertain()
    assert session.opened is None
    assert any("All objects" in told for told in notices())
    assert session.history_position == steps, "looking is no step"
    np.testing.assert_array_equal(session.labels, labels)

    controller.next_uncertain()
    controller.next_uncertain()
    controller.previous_uncertain()
    assert session.opened == objects[0]
    controller.previous_uncertain()
    assert any("no object before" in told for told in notices())


def test_what_was_corrected_on_the_way_is_kept_and_what_is_skipped_is_not(
    controller, objects
) -> None:
    session, (first, second, third) = controller.session, objects
    sizes = {each: int((session.labels == each).sum()) for each in objects}
    row, col = SPOTS[first]
    plane = session.objects[first].plane
    controller.next_uncertain()
    controller.add(Click((row + 3, col), positive=False))
    controller.next_uncertain()
    assert session.opened == second
    assert not session.objects[first].prompts[-1].positive
    assert session.labels[(*plane, row + 3, col)] != first

    controller.add(Click((5, 5)))
    controller.skip()
    assert session.opened == third
    controller.skip()
    assert session.opened is None
    for each in (second, third):
        assert int((session.labels == each).sum()) == sizes[each]


def test_without_objects_it_says_so(controller, notices) -> None:
    controller.next_uncertain()
    controller.previous_uncertain()
    controller.skip()
    assert any("no accepted objects" in told for told in notices())
    controller.add(Click(SPOTS[1]))
    controller.accept()
    controller.add(Click(SPOTS[2]))
    controller.skip()
    assert controller.session.prompts == (), "a new one is dropped, and none is opened"
    controller.skip()
    assert controller.session.opened == 1


def test_the_table_tells_scores_and_leads_to_objects(controller, objects, qtbot) -> None:
    section = ObjectsSection(controller)
    qtbot.addWidget(section)
    controller.changed.connect(section.render_state)
    section.show()
    model = section.table.model()
    shown = [[model.index(row, col).data() for col in range(4)] for row in range(3)]
    records = controller.session.objects
    assert shown == [
        [str(each), f"{records[each].score:.2f}", "1", str(records[each].plane[0])]
        for each in objects
    ]
    section.table.clicked.emit(model.index(1, 0))
    assert controller.target == objects[1]
    assert section.table.selectionModel().selectedRows()[0].row() == 1
    assert controller.session.opened is None
    section.table.activated.emit(model.index(2, 0))
    assert controller.session.opened == objects[2]
    section.following.click()
    assert controller.session.opened == objects[0]
    section.skip.click()
    assert controller.session.opened == objects[1]
    controller.changed.disconnect(section.render_state)


def test_keys_of_the_walk(make_napari_viewer, blobs, make_mouse) -> None:
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(blobs, name="blobs")
    controller = Controller(viewer)
    controller._engine = FloodEngine()
    controller.open()
    assert controller.wait()
    mouse = make_mouse(viewer, image)
    for object_id in (1, 2):
        mouse.click(SPOTS[object_id])
        controller.wait()
        mouse.press_key(Qt.Key.Key_Return)
    opened = []
    for key, modifier in (
        (Qt.Key.Key_N, NO_KEY), (Qt.Key.Key_N, NO_KEY), (Qt.Key.Key_N, SHIFT),
        (Qt.Key.Key_U, NO_KEY), (Qt.Key.Key_U, NO_KEY),
    ):  # fmt: skip
        mouse.press_key(key, modifier)
        opened.append(controller.session.opened)
    assert opened == [1, 2, 1, 2, None]
    controller.close()


def test_the_zoom_changes_only_where_it_has_to(controller, viewer) -> None:
    frame, camera = controller.workspace.frame, viewer.scene.camera
    viewer.reset_view()
    zoom = camera.zoom
    look_at(viewer, frame, (20, 20, 50, 50))
    assert camera.zoom == zoom
    look_at(viewer, frame, (20, 20, 21, 21))
    assert camera.zoom > zoom
    close = camera.zoom
    look_at(viewer, frame, (0, 0, 96, 128))
    assert camera.zoom < close
