"""Objects over planes and frames in napari: carried, ended, divided, shown as tracks."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_pvpu import Click, attach
from napari_pvpu.napari_side import stage
from napari_pvpu.napari_side.panel import Panel
from napari_pvpu.napari_side.preferences import Preferred
from napari_pvpu.napari_side.views.confidence_strip import color_of

pytestmark = pytest.mark.gui

ONE, TWO = (30.0, 40.0), (60.0, 90.0)
LONGEST = 60_000
"""Milliseconds that a machine with much else to do may take."""


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def begin(viewer, blobs, monkeypatch):
    """Open a stack of the blobs with the bundled weights: random ones recognise nothing again."""
    monkeypatch.setattr(stage, "preferred", lambda: Preferred("pvpu-nano", "cpu"))

    def begin(planes: int = 5, **options):
        image = viewer.add_image(np.stack([blobs] * planes), name="blobs", **options)
        viewer.dims.point = (0,) * viewer.dims.ndim
        controller = attach(viewer)
        assert controller.wait()
        return controller, image

    return begin


def planes_with(controller, object_id: int) -> list[int]:
    labels = np.asarray(controller.session.labels)
    return np.flatnonzero((labels == object_id).any(axis=(1, 2))).tolist()


def test_object_at_work_is_carried_both_ways_by_a_key(begin, viewer, make_mouse, qtbot) -> None:
    controller, image = begin()
    viewer.dims.set_point(0, 2)
    controller.add(Click(ONE))
    mouse = make_mouse(viewer, image)
    mouse.press_key(Qt.Key.Key_C)
    qtbot.waitUntil(lambda: "Propagate object 1" in controller.history, timeout=LONGEST)
    carried = planes_with(controller, 1)
    assert carried == [0, 1, 2, 3, 4]
    shown = viewer.layers["blobs objects"].data
    np.testing.assert_array_equal(shown, controller.session.labels)
    assert controller.history[-1] == "Propagate object 1"
    assert viewer.dims.current_step[0] == 2, "one stays where one is"
    controller.undo()
    assert planes_with(controller, 1) == [2]
    assert viewer.dims.current_step[0] == 2
    controller.redo()
    assert planes_with(controller, 1) == carried


def test_panel_shows_progress_and_confidences(begin, viewer, qtbot) -> None:
    controller, _ = begin(planes=7)
    panel = Panel(viewer)
    section = panel.sections["volume"]
    panel.folds["volume"].expand(animate=False)
    panel.show()
    assert not section.both.isEnabled()
    controller.add(Click(ONE))
    assert controller.accept() == 1
    qtbot.waitUntil(section.both.isEnabled, timeout=LONGEST)
    assert not section.time.isVisible()
    seen = []
    controller.changed.connect(lambda: seen.append(section.progress.isVisible()))
    section.last.setValue(3)
    section.both.click()
    assert controller.wait()
    assert True in seen
    qtbot.waitUntil(lambda: not section.progress.isVisible(), timeout=LONGEST)
    assert planes_with(controller, 1) == [0, 1, 2, 3]
    assert list(controller.confidences) == [0, 1, 2, 3]
    assert controller.confidences[0] is None
    qtbot.waitUntil(lambda: "planes 0 to 3" in section.said.text(), timeout=LONGEST)
    assert section.strip.words_at(0) == "Plane 0: annotated"
    assert "sure" in section.strip.words_at(2)
    assert "not there" in section.strip.words_at(6)
    controller.go_to_position(5)
    assert section.end.text() == "Ends here"
    section.end.click()
    qtbot.waitUntil(lambda: section.end.text() == "No end here", timeout=LONGEST)
    assert "ended by hand" in section.strip.words_at(5)
    section.end.click()
    qtbot.waitUntil(lambda: section.end.text() == "Ends here", timeout=LONGEST)
    left, width = section.strip.place_of(3)
    QTest.mouseClick(
        section.strip,
        Qt.MouseButton.LeftButton,
        pos=section.strip.rect().topLeft()
        + type(section.strip.rect().topLeft())(round(left + width / 2), 5),
    )
    assert viewer.dims.current_step[0] == 3
    assert controller.session.plane == (3,)
    panel.close()


def test_what_appears_in_an_unfolded_section_squeezes_nothing(begin, viewer, qtbot) -> None:
    begin(planes=7)
    panel = Panel(viewer)
    panel.resize(300, 700)
    panel.show()
    fold = panel.folds["volume"]
    fold.expand()
    section = fold.view
    section.strip.show_planes({2: 0.9, 3: 0.8}, 7, 2)
    section.strip.show()
    section.said.setText("Object 1 is in planes 2 to 5. " * 5)
    wanted = section.heightForWidth(section.width())
    qtbot.waitUntil(lambda: section.height() >= wanted)
    for part in (section.axis, section.first, section.both, section.strip):
        assert part.height() >= part.sizeHint().height()
    for bound in (section.first, section.last):
        assert bound.focusPolicy() & Qt.FocusPolicy.TabFocus, "else the mouse is needed"
    panel.close()


def test_colours_of_doubt_are_told_apart() -> None:
    assert color_of(0).name() != color_of(1).name()
    assert color_of(-3) == color_of(0)
    assert color_of(3) == color_of(1)


def test_user_is_asked_whose_pixels_an_object_is_joined_with(begin, viewer, notices) -> None:
    controller, _ = begin(planes=2)
    labels = np.zeros((2, 96, 128), np.uint16)
    labels[0, 20:40, 30:50], labels[0, 20:40, 50:70] = 1, 2
    controller.adopt(viewer.add_labels(labels, name="theirs"))
    controller.overlap = "ask"
    controller.show_object(1)
    controller.session.open_mask(np.ones((10, 20), bool), offset=(25, 40))
    controller.workspace.follow()
    controller.accept_into()
    assert "100 to object 2" in controller.question.text()
    next(each for each in controller.question.buttons() if each.text() == "Take them").click()
    assert controller.session.labels[0, 30, 55] == 1
    assert controller.history[-1] == "Accept as object 1"
    assert not [notice for notice in notices() if "overlap=" in notice]


@pytest.mark.parametrize("keep", [True, False], ids=["stop", "cancel"])
def test_carrying_can_be_left(begin, viewer, qtbot, keep) -> None:
    controller, _ = begin(planes=16)
    controller.add(Click(ONE))
    assert controller.accept() == 1
    controller.propagate()
    qtbot.waitUntil(lambda: controller.under_way is None or controller.under_way.done > 0)
    (controller.stop_propagation if keep else controller.cancel_propagation)()
    assert controller.wait()
    assert controller.under_way is None
    carried = planes_with(controller, 1)
    assert carried == list(range(len(carried)))
    if not keep:
        assert carried == [0]
    assert controller.session.can_undo


def test_prompts_are_answered_while_an_object_is_carried(begin, viewer, qtbot) -> None:
    controller, _ = begin(planes=16)
    controller.add(Click(ONE))
    assert controller.accept() == 1
    controller.propagate()
    controller.add(Click(TWO))
    assert controller.wait()
    assert controller.session.prompts == (Click(TWO),)
    assert len(planes_with(controller, 1)) > 1
    assert controller.accept() == 2


def test_object_ends_and_is_joined_by_keys(begin, viewer, make_mouse, qtbot) -> None:
    controller, image = begin(planes=6)
    controller.add(Click(ONE))
    controller.accept()
    controller.propagate()
    assert controller.wait()
    viewer.dims.set_point(0, 3)
    mouse = make_mouse(viewer, image)
    mouse.press_key(Qt.Key.Key_X)
    qtbot.waitUntil(lambda: planes_with(controller, 1) == [0, 1, 2], timeout=LONGEST)
    viewer.dims.set_point(0, 5)
    controller.add(Click(ONE))
    mouse.press_key(Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: 5 in planes_with(controller, 1), timeout=LONGEST)
    assert controller.wait()
    # The word that it is not in plane 3 holds also where it is carried anew.
    assert planes_with(controller, 1) == [0, 1, 2, 4, 5]
    assert list(controller.session.objects) == [1]
    assert controller.ends == (3,)
    viewer.dims.set_point(0, 3)
    controller.end_here()
    assert controller.ends == (), "the second time takes the word back"
    controller.undo()
    assert controller.ends == (3,)


def test_correction_of_a_plane_reaches_the_others(begin, viewer, qtbot) -> None:
    controller, _ = begin(planes=4)
    controller.add(Click(ONE))
    controller.accept()
    controller.propagate()
    assert controller.wait()
    viewer.dims.set_point(0, 3)
    for follows, steps in ((False, 0), (True, 1)):
        controller.follows_corrections = follows
        controller.open_object(1)
        before = len(controller.session.operations)
        controller.accept()
        assert controller.wait()
        done = [operation.name for operation in controller.session.operations[before:]]
        assert done.count("propagate") == steps
        assert controller.confidences[3] is None


def test_movie_has_divisions_and_tracks(begin, viewer, qtbot, tmp_path, notices) -> None:
    controller, _ = begin(planes=4, axis_labels=("t", "y", "x"), scale=(1, 0.5, 0.5))
    assert controller.axis == "T"
    controller.add(Click(ONE))
    controller.accept()
    controller.carry_range = (0, 1)
    controller.propagate()
    assert controller.wait()
    controller.carry_range = (None, None)
    controller.show_tracks()
    tracks = viewer.layers["blobs tracks"]
    assert len(tracks.data) == 2
    viewer.dims.set_point(0, 2)
    for place in (ONE, TWO):
        controller.add(Click(place))
        controller.accept()
    controller.divide_here()
    assert controller.session.parents == {2: 1, 3: 1}
    assert "divides into 2 and 3" in notices()[-1]
    assert controller.wait()
    assert tracks.graph == {2: [1], 3: [1]}
    assert len(tracks.data) == 4
    controller.export_tracks(tmp_path / "01_RES")
    assert controller.wait()
    assert (tmp_path / "01_RES" / "res_track.txt").read_text() == "1 0 1 0\n2 2 2 1\n3 2 2 1\n"
    assert tifffile.imread(tmp_path / "01_RES" / "mask001.tif").shape == (96, 128)
    controller.undo()
    assert controller.session.parents == {}


def test_image_of_one_plane_is_told(viewer, blobs, notices) -> None:
    viewer.add_image(blobs, name="flat")
    controller = attach(viewer)
    controller.add(Click(ONE))
    controller.accept()
    controller.propagate()
    assert "one plane" in notices()[-1]
    controller.show_tracks()
    assert "time axis" in notices()[-1]
