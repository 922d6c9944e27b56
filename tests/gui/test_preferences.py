"""The preferences page: what is set there holds at once, or for the next viewer."""

from __future__ import annotations

import pytest
from napari.settings import get_plugin_settings

from napari_pvpu import attach
from napari_pvpu.features.store import open_store
from napari_pvpu.napari_side.panel import Panel
from napari_pvpu.napari_side.preferences import Preferences, Preferred

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(make_napari_viewer, blobs):
    viewer = make_napari_viewer()
    viewer.add_image(blobs, name="blobs")
    return viewer


@pytest.fixture
def controller(viewer):
    controller = attach(viewer)
    assert controller.wait()
    yield controller
    controller.close()


@pytest.fixture
def page(viewer):
    return get_plugin_settings("napari-pvpu")


MASKS = {
    "threshold": 0.3,
    "value_propagation": True,
    "smoothing": 2.0,
    "min_size": 40,
    "overlap": "ask",
}


def test_settings_of_masks_hold_at_once_and_at_the_beginning(
    controller, page, make_napari_viewer, blobs
) -> None:
    for name, value in MASKS.items():
        setattr(page.masks, name, value)
        assert getattr(controller, name) == value
        assert getattr(controller.session, name) == value
    later = make_napari_viewer()
    later.add_image(blobs)
    other = attach(later)
    assert other.wait()
    assert {name: getattr(other.session, name) for name in MASKS} == MASKS
    other.close()


def test_settings_of_the_mouse_hold_at_once(controller, page) -> None:
    page.hands.batch, page.hands.mouse_buttons = True, "swapped"
    assert (controller.batch, controller.mouse_buttons) == (True, "swapped")


def test_hands_chosen_in_the_panel_are_kept(
    controller, viewer, page, make_napari_viewer, blobs
) -> None:
    panel = Panel(viewer)
    section = panel.sections["hands"]
    controller.toggle_batch()
    assert not page.hands.batch, "a key is for now"
    for box, data in ((section.polygons, True), (section.mouse, "accept")):
        box.setCurrentIndex(box.findData(data))
        box.activated.emit(box.currentIndex())
    section.batch.setChecked(False)
    assert (controller.filled_polygons, controller.mouse_buttons) == (True, "accept")
    assert not controller.batch, "although the page has it so already"
    section.batch.setChecked(True)
    kept = page.hands.filled_polygons, page.hands.mouse_buttons, page.hands.batch
    assert kept == (True, "accept", True)
    later = make_napari_viewer()
    later.add_image(blobs)
    other = attach(later)
    assert (other.filled_polygons, other.mouse_buttons, other.batch) == kept
    other.close()
    panel.close()


def test_closed_controller_follows_no_more(controller, page) -> None:
    controller.close()
    page.masks.threshold = 0.3
    assert controller.threshold == 0.5


def test_size_of_the_store_is_told_to_it(controller, page, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("NAPARI_PVPU_CACHE", str(tmp_path))
    page.store.limit_gb = 0.5
    assert open_store(True).limit == 500_000_000


def test_store_that_cannot_be_written_is_told(controller, page, monkeypatch, tmp_path, notices):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("NAPARI_PVPU_CACHE", str(blocked))
    page.store.limit_gb = 0.5
    assert "choose a folder that you may write to" in notices()[-1]


def test_model_device_and_precision_are_for_viewers_opened_later(
    preferred, page, controller
) -> None:
    before = controller.model
    page.segmentation.precision = "bf16"
    page.segmentation.model = "other"
    page.store.keep_features = False
    assert controller.model == before
    assert preferred() == Preferred("other", precision="bf16", keep_features=False)


def test_changes_are_told_by_name(page) -> None:
    told = []
    preferences = Preferences()
    preferences.changed.connect(lambda name, value: told.append((name, value)))
    preferences.open()
    preferences.set("overlap", "overwrite")
    preferences.set("shortcuts.accept_key", "F5")
    page.panel.first_steps = False
    preferences.close()
    preferences.set("overlap", "keep")
    assert told == [
        ("overlap", "overwrite"), ("shortcuts.accept_key", "F5"), ("first_steps", False)
    ]  # fmt: skip
    with pytest.raises(ValueError, match="overlap"):
        preferences.set("overlap", "mine")
