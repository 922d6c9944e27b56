"""Encoding ahead beside the user, and the panel's sections for it and for the store."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import ViewerModel

from attached import attached
from fitting import assert_fits, narrow
from napari_pvpu import Click, attach
from napari_pvpu.features.ahead import places_around
from napari_pvpu.features.store import VARIABLE, FeatureStore
from napari_pvpu.features.store_files import stored_files
from napari_pvpu.napari_side import encoding_ahead
from napari_pvpu.napari_side.panel import NARROWEST
from napari_pvpu.napari_side.views.store_section import amount

pytestmark = pytest.mark.gui

INSIDE = Click((30, 40))


@pytest.fixture
def store(tmp_path, monkeypatch) -> FeatureStore:
    """The store that viewers of this test use."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store"))
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def viewer(qapp):
    """Without a window, for what does not depend on how it is drawn."""
    viewer = ViewerModel()
    yield viewer
    attach(viewer).close()


@pytest.fixture
def controller(viewer, blobs):
    return attached(viewer, blobs)


def idle(controller) -> bool:
    return not controller.ahead.working and not controller.busy


def kept(store) -> int:
    return sum(1 for _ in stored_files(store.folder))


def encoder_of(controller):
    return controller.session.predictor._encoder


# The work


def test_views_around_the_one_at_work_are_in_the_store_when_asked_for(
    store, viewer, blobs, qtbot
) -> None:
    viewer.add_image(np.tile(blobs, (3, 3)), name="large")
    controller = attach(viewer)
    assert controller.wait()
    controller.add(INSIDE)
    assert controller.wait()
    session = controller.session
    around = places_around((), session.view, session.shape, ())
    assert len(around) > 1
    qtbot.waitUntil(lambda: idle(controller), timeout=60_000)
    for _, view in around:
        assert not encoder_of(controller).embed(session.source.at(()).read_view(view))


def test_all_views_at_a_scale_in_one_plane_and_in_all(store, viewer, blobs, qtbot) -> None:
    viewer.add_image(np.stack([blobs, blobs[::-1], blobs[:, ::-1]]), name="stack")
    controller = attach(viewer)
    assert controller.wait()
    ahead = controller.ahead
    ahead.around = False
    controller.add(INSIDE)
    controller.reset()
    assert controller.wait()
    before = kept(store)
    scale = ahead.scales[1]
    ahead.encode_all(scale.extent)
    assert ahead.asked.total == scale.views
    qtbot.waitUntil(lambda: idle(controller), timeout=60_000)
    assert ahead.asked is None
    here = kept(store)
    assert here <= before + scale.views
    ahead.encode_all(scale.extent, all_planes=True)
    qtbot.waitUntil(lambda: idle(controller), timeout=60_000)
    assert kept(store) == here + 2 * scale.views


def test_without_a_store_memory_takes_some_views(controller, qtbot) -> None:
    ahead = controller.ahead
    ahead.around = False
    assert ahead.room == 16
    ahead.encode_all(ahead.scales[-1].extent)
    plan = ahead.asked
    assert plan.total > 16
    qtbot.waitUntil(lambda: idle(controller), timeout=60_000)
    assert plan.encoded == 16
    assert ahead.asked is None


def test_the_user_goes_first_and_encoding_goes_on_afterwards(
    store, controller, qtbot, monkeypatch
) -> None:
    ahead, encoder = controller.ahead, encoder_of(controller)
    ahead.around = False
    at_work, go_on, order = threading.Event(), threading.Event(), []
    embed, decode = encoder.embed, encoder.decode

    def slow(view):
        order.append("ahead")
        at_work.set()
        assert go_on.wait(20)
        return embed(view)

    monkeypatch.setattr(encoder, "embed", slow)
    monkeypatch.setattr(encoder, "decode", lambda *a, **k: order.append("user") or decode(*a, **k))
    scale = next(each for each in ahead.scales if each.views > 4)
    ahead.encode_all(scale.extent)
    assert at_work.wait(20)
    controller.add(INSIDE)  # while a view is being encoded
    go_on.set()
    assert controller.wait()
    first = order.index("user")
    assert order[:first] == ["ahead"], "not one view more before the user's answer"
    last = len(order) - 1 - order[::-1].index("user")
    qtbot.waitUntil(lambda: idle(controller), timeout=60_000)
    assert order[last + 1 :].count("ahead") > 1


def test_it_can_be_cancelled(store, controller, monkeypatch, qtbot) -> None:
    ahead, encoder = controller.ahead, encoder_of(controller)
    ahead.around = False
    at_work, go_on, embed = threading.Event(), threading.Event(), encoder.embed

    def slow(view):
        at_work.set()
        assert go_on.wait(20)
        return embed(view)

    monkeypatch.setattr(encoder, "embed", slow)
    ahead.encode_all(ahead.scales[-1].extent)
    assert at_work.wait(20)
    ahead.cancel()
    assert ahead.asked is None
    go_on.set()
    qtbot.waitUntil(lambda: idle(controller), timeout=60_000)
    assert kept(store) == 1


def test_an_image_that_is_removed_is_encoded_no_more(
    controller, viewer, monkeypatch, qtbot
) -> None:
    monkeypatch.setattr(encoding_ahead, "QUIET", 60.0)
    ahead = controller.ahead
    controller.add(INSIDE)
    assert controller.wait()
    ahead.encode_all(ahead.scales[-1].extent)
    assert ahead.asked is not None
    viewer.layers.remove("blobs")
    qtbot.waitUntil(lambda: ahead.asked is None)


def test_closing_ends_the_thread(store, controller) -> None:
    controller.ahead.encode_all(controller.ahead.scales[-1].extent)
    controller.close()
    assert not controller.ahead._worker.thread_alive
    controller.open()
    assert controller.wait()
    controller.add(INSIDE)
    assert controller.wait()


# The panel


@pytest.fixture
def panel(make_napari_viewer, blobs):
    viewer = make_napari_viewer()
    viewer.add_image(blobs, name="blobs")
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert panel.controller.wait()
    return panel


def test_section_encodes_shows_progress_and_stops(make_napari_viewer, store, blobs, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(blobs, name="blobs")
    dock, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    controller, section = panel.controller, panel.sections["ahead"]
    assert controller.wait()
    controller.ahead.around = False
    panel.folds["ahead"].expand()
    panel.folds["store"].expand()
    scales = controller.ahead.scales
    qtbot.waitUntil(lambda: section.scale.count() == len(scales))
    assert section.scale.currentData() == scales[-2].extent
    assert section.scale.currentText().endswith(f"{scales[-2].views:,} views")
    assert section.all_planes.isHidden()
    section.scale.setCurrentIndex(0)
    section.encode.click()
    assert not section.encode.isEnabled()
    assert section.bar.maximum() == scales[0].views
    assert f"of {scales[0].views} views" in section.told.text()
    qtbot.waitUntil(lambda: idle(controller) and section.encode.isEnabled(), timeout=60_000)
    assert kept(store) == scales[0].views
    assert not section.cancel.isEnabled()
    section.around.click()
    assert controller.ahead.around
    narrow(viewer, dock, NARROWEST, qtbot)
    for part in (section, panel.sections["store"]):
        qtbot.waitUntil(lambda part=part: assert_fits(part))


def test_store_section_shows_and_clears(store, panel, qtbot, notices) -> None:
    controller, section = panel.controller, panel.sections["store"]
    controller.ahead.around = False
    controller.add(INSIDE)
    assert controller.wait()
    section.look()
    qtbot.waitUntil(lambda: not section.busy)
    views = kept(store)
    assert section.info.views == views > 0
    assert section.views.text() == str(views)
    assert section.size.text() == f"{amount(section.info.size)} of 2.0 GB"
    assert section.folder.toolTip() == str(store.folder)
    section.clear.click()
    qtbot.waitUntil(lambda: not section.busy)
    assert kept(store) == 0
    assert f"{views} kept views removed" in " ".join(notices())
    assert not section.clear.isEnabled()
    controller.add(Click((60, 90)))
    assert controller.wait(), "sessions go on"
    views = kept(store)
    removed, size = controller.clear_store()
    assert removed == views > 0
    assert size > 0
    assert kept(store) == 0


def test_store_section_says_when_it_is_off(panel) -> None:
    section = panel.sections["store"]
    assert not section.off.isHidden()
    assert "NAPARI_PVPU_CACHE" in section.off.text()
    section.look()
    section.clear_store()
    assert not section.busy
