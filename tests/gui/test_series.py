"""A folder of images in a real viewer: one after the other, saved, left, killed, gone on with."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.utils.theme import get_theme
from PIL import Image as Picture
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton

from attached import names
from fitting import assert_fits, narrow
from napari_pvpu import Click, attach
from napari_pvpu.export import read_tiff
from napari_pvpu.napari_side import series_saving
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.napari_side.series_actions import SERIES_KEYS
from napari_pvpu.napari_side.series_panel import NARROWEST
from napari_pvpu.series import RESULTS, Series
from napari_pvpu.series_entries import State

pytestmark = pytest.mark.gui

FIRST, SECOND = Click((30, 40)), Click((60, 90))
WORKING = {"Current object", "Boxes and scribbles", "Clicks"}


@pytest.fixture
def folder(tmp_path, blobs) -> Path:
    """Three images that differ in their noise."""
    for number in (1, 2, 3):
        tifffile.imwrite(tmp_path / f"img{number}.tif", np.roll(blobs, number, axis=1))
    return tmp_path


@pytest.fixture
def viewer(make_napari_viewer):
    """With a window, which takes long to draw each image."""
    return make_napari_viewer()


@pytest.fixture
def controller(qapp):
    """In a viewer without a window, for what does not depend on how it is drawn."""
    viewer = ViewerModel()
    controller = Controller(viewer)  # which holds the viewer weakly
    controller.open()
    yield controller
    controller.close()


@pytest.fixture
def desk(controller, folder):
    return opened(controller, folder)


def opened(controller, folder):
    controller.series.open(folder)
    assert controller.series.wait()
    return controller.series


def accept(controller, click=FIRST) -> int:
    controller.add(click)
    return controller.accept()


def states(folder) -> list[str]:
    return [entry.state.value for entry in Series.open(folder).entries]


# Through it


def test_done_saves_and_goes_on_with_a_clean_viewer(viewer, folder) -> None:
    controller = attach(viewer)
    desk = opened(controller, folder)
    assert desk.entry.name == "img1.tif"
    assert names(viewer) == {"img1.tif", "img1.tif objects"} | WORKING
    assert accept(controller) == 1
    labels = np.array(controller.session.labels)
    desk.done_image()
    assert desk.wait()
    assert desk.entry.name == "img2.tif"
    assert names(viewer) == {"img2.tif", "img2.tif objects"} | WORKING
    np.testing.assert_array_equal(read_tiff(folder / RESULTS / "img1.tif").labels, labels)
    assert states(folder) == ["done", "untouched", "untouched"]
    assert not controller.session.objects
    assert str(desk.series.progress) == "1 of 3 done"


def test_done_skipped_and_untouched_images_and_the_end(desk, folder, notices) -> None:
    for action in (desk.done_image, desk.skip_image):
        action()
        assert desk.wait()
    assert not read_tiff(folder / RESULTS / "img1.tif").labels.any(), "no object is a result"
    assert [path.name for path in (folder / RESULTS).glob("*.tif")] == ["img1.tif"]
    assert states(folder) == ["done", "skipped", "untouched"]
    desk.done_image()
    assert desk.wait()
    assert "Nothing is left to do" in notices()[-1]
    desk.next_image()
    assert desk.wait()
    assert "last image" in notices()[-1]


def test_coming_back_finds_prompts_objects_and_history(desk, controller, folder) -> None:
    accept(controller)
    controller.add(SECOND)
    assert controller.wait()
    titles, labels = controller.history, np.array(controller.session.labels)
    desk.next_image()
    assert desk.wait()
    desk.previous_image()
    assert desk.wait()
    assert controller.history == titles
    assert controller.workspace.prompts.read() == (SECOND,)
    np.testing.assert_array_equal(controller.session.labels, labels)
    controller.go_to(0)
    assert not controller.session.objects
    controller.go_to(len(titles))
    assert controller.accept() == 2
    assert desk.entry.state is State.BEGUN


def test_a_series_opened_again_goes_on_with_the_image_that_was_left(desk, folder) -> None:
    desk.done_image()
    assert desk.wait()
    desk.next_image()
    assert desk.wait()
    desk.close()
    assert desk.entry is None
    desk.open(folder)
    assert desk.wait()
    assert desk.entry.name == "img3.tif"


def test_commands_without_a_series_say_what_to_do(controller, notices) -> None:
    controller.done_image()
    assert "open a folder" in notices()[-1]


# Nothing is lost


def test_labels_are_saved_a_moment_after_each_change(
    monkeypatch, controller, folder, qtbot
) -> None:
    monkeypatch.setattr(series_saving, "AUTOSAVE_MS", 1)
    desk = controller.series
    desk.open(folder)
    assert desk.wait()
    path = folder / RESULTS / "img1.tif"
    accept(controller)
    qtbot.waitUntil(lambda: path.exists() and not desk.unsaved and not desk.busy)
    assert read_tiff(path).labels.max() == 1
    controller.undo()
    qtbot.waitUntil(lambda: not desk.unsaved and not desk.busy and desk.entry.objects == 0)
    assert not read_tiff(path).labels.any()


def test_closing_saves(desk, controller, folder) -> None:
    accept(controller)
    controller.close()
    assert read_tiff(folder / RESULTS / "img1.tif").labels.max() == 1
    assert Series.open(folder)["img1.tif"].objects == 1


def test_what_cannot_be_saved_keeps_its_image(desk, controller, folder, notices) -> None:
    accept(controller)
    blocking = folder / RESULTS / "img1.tif"
    blocking.mkdir()
    desk.done_image()
    assert not desk.wait()
    assert desk.entry.name == "img1.tif"
    assert "a name that is not a folder's" in notices()[-1]
    assert list(controller.session.objects) == [1]
    blocking.rmdir()
    desk.done_image()
    assert desk.wait()
    assert desk.entry.name == "img2.tif"
    assert states(folder)[0] == "done"


def test_another_model_goes_on_with_the_objects(desk, controller, weights, tmp_path) -> None:
    accept(controller)
    labels = np.array(controller.session.labels)
    other = tmp_path / "other.safetensors"
    other.write_bytes(Path(weights).read_bytes())
    controller.model = str(other)
    assert desk.wait()
    np.testing.assert_array_equal(controller.session.labels, labels)


def test_an_image_that_changed_is_told_and_its_labels_copied(desk, controller, folder, notices):
    accept(controller)
    desk.next_image()
    assert desk.wait()
    tifffile.imwrite(folder / "img1.tif", tifffile.imread(folder / "img1.tif") // 2)
    desk.previous_image()
    assert desk.wait()
    assert any("holds other pixels than when it was begun" in each for each in notices())
    assert list(controller.session.objects) == [1]
    assert len(list((folder / RESULTS).glob("before-*"))) == 1


def test_a_killed_program_is_gone_on_with(controller, folder, weights, sessions) -> None:
    script = Path(__file__).with_name("series_until_killed.py")
    done = subprocess.run(
        [sys.executable, script, folder, weights, sessions], capture_output=True, timeout=300
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert states(folder) == ["done", "begun", "untouched"]
    assert opened(controller, folder).entry.name == "img2.tif"
    assert list(controller.session.objects) == [1]
    assert controller.workspace.prompts.read() == (SECOND,)
    labels = read_tiff(folder / RESULTS / "img2.tif").labels
    np.testing.assert_array_equal(labels, controller.session.labels)
    assert controller.accept() == 2


# What images may be like


def test_one_bad_image_stops_nothing(controller, folder, notices) -> None:
    desk = controller.series
    (folder / "img2.tif").write_bytes(b"II*\0 damaged")
    tifffile.imwrite(folder / "img0.tif", np.zeros((40, 40), np.uint8))
    desk.open(folder)
    assert desk.wait()
    assert "constant" in desk.entry.trouble
    desk.next_image()
    assert desk.wait()
    assert desk.entry.name == "img1.tif"
    (folder / "img3.tif").rename(folder / "away.tif")
    desk.done_image()
    assert desk.wait()
    told = " ".join(notices())
    assert "img2.tif" in told
    assert "img3.tif any more; put it back" in told
    assert str(desk.series.progress) == "1 of 4 done, 3 cannot be opened"
    assert desk.entry.name == "img1.tif", "which stays, for there is no other"
    (folder / "away.tif").rename(folder / "img3.tif")
    desk.go_to("img3.tif")
    assert desk.wait()
    assert desk.entry.name == "img3.tif"
    assert desk.entry.trouble is None


def test_shapes_and_kinds_may_be_mixed(viewer, tmp_path, blobs) -> None:
    controller = attach(viewer)
    Picture.fromarray(np.stack([blobs, blobs, blobs // 2], -1)).save(tmp_path / "a.png")
    scale = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(tmp_path / "b.ome.tif", np.stack([blobs] * 3), metadata=scale)
    np.save(tmp_path / "c.npy", np.tile(blobs, (2, 2)))
    desk = controller.series
    desk.open(tmp_path)
    for shape in ((96, 128), (3, 96, 128), (192, 256)):
        assert desk.wait()
        assert desk.entry.trouble is None
        assert accept(controller) == 1
        assert viewer.layers[f"{desk.entry.name} objects"].data.shape == shape
        desk.done_image()
    assert desk.wait()
    assert desk.series.progress.done == 3
    saved = read_tiff(tmp_path / RESULTS / "b.tif")
    assert (saved.axes, saved.scale[2], saved.units[2]) == ("ZYX", 0.5, "micrometer")
    assert saved.labels[1].any(), "in the plane in the middle, which is shown first"


def test_layers_of_the_user_stay_and_a_removed_image_is_let_go(
    viewer, folder, blobs, qtbot
) -> None:
    controller = attach(viewer)
    desk = opened(controller, folder)
    mine = viewer.add_image(blobs, name="mine")
    qtbot.waitUntil(lambda: not desk.busy)
    desk.next_image()
    assert desk.wait()
    assert mine in viewer.layers
    assert desk.entry.name == "img2.tif"
    viewer.layers.remove("img2.tif")
    assert desk.wait()
    assert desk.entry is None
    desk.go_to("img3.tif")
    assert desk.wait()
    assert controller.image.name == "img3.tif"
    assert accept(controller) == 1


# Ahead


def test_the_next_image_is_read_and_encoded_while_nothing_is_done(desk, controller, qtbot) -> None:
    ahead = controller.ahead
    qtbot.waitUntil(lambda: ahead.next_image is not None)
    source = controller.engine._prepared[2]
    plan = ahead.next_image
    qtbot.waitUntil(lambda: ahead.next_image is None and not ahead.working)
    assert plan.encoded == ahead.room
    desk.next_image()
    assert desk.wait()
    assert desk.entry.name == "img2.tif"
    assert controller.session.source is source, "the very one that was prepared"
    controller.add(FIRST)
    assert controller.wait()
    assert controller.session.source.at(()).token == source.at(()).token


# The panel


@pytest.fixture
def panel(viewer, folder):
    """In a window, for what is drawn there."""
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Series")
    panel.open(folder)
    assert panel.desk.wait()
    return panel


def shown(panel) -> list[tuple[str, str]]:
    rows = panel.list.rows
    return [
        (rows.data(rows.index(row, 0)), rows.data(rows.index(row, 1)))
        for row in range(rows.rowCount())
    ]


def test_panel_offers_the_series_worked_on_last(viewer, folder) -> None:
    desk = opened(attach(viewer), folder)
    desk.done_image()
    assert desk.wait()
    desk.close()
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Series")
    assert not panel.welcome.isHidden()
    assert panel._body.isHidden()
    assert f"“{folder.name[:10]}" in panel.again.text()
    assert str(folder) in panel.again.toolTip()
    panel.again.click()
    assert desk.wait()
    assert desk.entry.name == "img2.tif"
    assert panel.again.isHidden()


def test_panel_shows_states_objects_and_progress(panel) -> None:
    accept(panel.controller)
    panel.done.click()
    assert panel.desk.wait()
    assert shown(panel) == [("img1.tif", "1"), ("img2.tif", ""), ("img3.tif", "")]
    assert panel.progress.text() == "1 of 3 done · 1 object"
    assert (panel.bar.value(), panel.bar.maximum()) == (1, 3)
    assert panel.list.currentIndex().row() == 1
    tip = panel.list.rows.data(panel.list.rows.index(0, 0), Qt.ItemDataRole.ToolTipRole)
    assert tip == "img1.tif: done, 1 object"
    panel.skip.click()
    assert panel.desk.wait()
    assert panel.progress.text() == "1 of 3 done, 1 skipped · 1 object"
    assert not panel.next.isEnabled()
    entry = panel.desk.series["img3.tif"]
    actions = {each.text(): each for each in panel.list.menu_of(entry).actions()}
    assert not actions["Mark as not begun"].isEnabled()
    actions["Mark as skipped"].trigger()
    assert panel.progress.text() == "1 of 3 done, 2 skipped · 1 object"
    panel.list.doubleClicked.emit(panel.list.rows.index(0, 0))
    assert panel.desk.wait()
    assert panel.desk.entry.name == "img1.tif"
    assert not panel.previous.isEnabled()
    assert "Saved: img1.tif" in panel.hint.text()


def test_panel_opens_folders_and_files(viewer, folder, monkeypatch, notices) -> None:
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Series")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    panel.open_folder.click()
    assert panel.desk.series is None
    empty = folder / "empty"
    empty.mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(empty))
    panel.open_folder.click()
    assert "no image in" in notices()[-1]
    chosen = [str(folder / "img3.tif"), str(folder / "img1.tif")]
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: (chosen, ""))
    panel.open_files.click()
    assert panel.desk.wait()
    assert [name for name, _ in shown(panel)] == ["img3.tif", "img1.tif"]


def test_panel_changes_the_format(panel, folder) -> None:
    accept(panel.controller)
    index = panel.format.findData("geojson")
    panel.format.setCurrentIndex(index)
    panel.format.activated.emit(index)
    panel.done.click()
    assert panel.desk.wait()
    assert (folder / RESULTS / "img1.geojson").exists()


def test_closing_the_panel_saves_and_it_can_be_opened_again(panel, viewer, folder) -> None:
    accept(panel.controller)
    desk = panel.desk
    viewer.window.remove_dock_widget(panel)
    assert desk.wait()
    assert read_tiff(folder / RESULTS / "img1.tif").labels.max() == 1
    _, again = viewer.window.add_plugin_dock_widget("napari-pvpu", "Series")
    assert again.desk is desk
    assert shown(again)[0] == ("img1.tif", "1")


def test_everything_fits_and_the_keys_work(make_napari_viewer, make_mouse, folder, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    dock, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Series")
    panel.open(folder)
    assert panel.desk.wait()
    narrow(viewer, dock, NARROWEST, qtbot)
    qtbot.waitUntil(lambda: panel.minimumSizeHint().width() <= NARROWEST)
    told = {each.property("action") for each in panel.findChildren(QPushButton)} - {None}
    assert told == SERIES_KEYS.keys()
    viewer.theme = "light"
    assert get_theme("light").current.as_hex() in panel.styleSheet()
    qtbot.waitUntil(lambda: assert_fits(panel))
    for active, key, modifier, name in (
        ("Clicks", Qt.Key.Key_PageDown, Qt.KeyboardModifier.NoModifier, "img2.tif"),
        ("img2.tif", Qt.Key.Key_PageUp, Qt.KeyboardModifier.NoModifier, "img1.tif"),
        ("img1.tif objects", Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier, "img2.tif"),
        ("Current object", Qt.Key.Key_PageDown, Qt.KeyboardModifier.ShiftModifier, "img3.tif"),
    ):
        viewer.layers.selection.active = viewer.layers[active]
        make_mouse(viewer, viewer.layers[0]).press_key(key, modifier)
        assert panel.desk.wait()
        assert panel.desk.entry.name == name
    assert states(folder) == ["done", "skipped", "untouched"]
