"""The controller in a window: images and layers that come and go, other displays, the end."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from napari.utils.notifications import notification_manager

from attached import attached, names
from napari_pvpu import Click, attach
from napari_pvpu.features.runners import TorchRunner
from napari_pvpu.napari_side.controller import Controller, Tool

pytestmark = pytest.mark.gui

WORKING = {"Current object", "Boxes and scribbles", "Clicks"}
INSIDE = (30.0, 40.0)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def controller(viewer, blobs) -> Controller:
    return attached(viewer, blobs)


# The beginning


def test_attach_gives_one_controller_per_viewer(make_napari_viewer) -> None:
    one, two = make_napari_viewer(), make_napari_viewer()
    assert attach(one) is attach(one)
    assert attach(one) is not attach(two)


def test_attach_knows_the_viewer_behind_a_proxy(viewer) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    assert attach(PublicOnlyProxy(viewer)) is attach(viewer)


def test_attach_before_the_image(viewer, blobs) -> None:
    controller = attach(viewer)
    assert controller.image is None
    assert names(viewer) == set()
    image = viewer.add_image(blobs, name="blobs")
    assert controller.wait()
    assert controller.image is image
    assert names(viewer) == {"blobs", "blobs objects"} | WORKING
    assert controller.session is not None


def test_attach_after_the_image_arms_the_click_tool(controller, viewer) -> None:
    assert controller.tool is Tool.CLICK
    assert viewer.layers.selection.active.name == "Clicks"
    assert viewer.layers["Clicks"].mode == "add"


# From prompt to labels


def test_works_with_asynchronous_slicing(make_napari_viewer, blobs) -> None:
    from napari.settings import get_settings

    viewer = make_napari_viewer()
    get_settings().experimental.async_ = True
    viewer.add_image(blobs, name="blobs")
    controller = attach(viewer)
    controller.add(Click(INSIDE))
    controller.accept()
    assert viewer.layers["blobs objects"].data[30, 40] == 1
    controller.undo()
    assert not viewer.layers["blobs objects"].data.any()
    assert controller.wait()


# What cannot be segmented


def test_three_dimensional_display_pauses(controller, viewer, notices) -> None:
    controller.add(Click(INSIDE))
    assert controller.wait()
    viewer.dims.ndisplay = 3
    assert "2D display" in notices()[-1]
    assert controller.image is None
    assert not WORKING & names(viewer)
    viewer.dims.ndisplay = 2
    assert controller.image.name == "blobs"
    assert controller.session.prompts == controller.workspace.prompts.read() == (Click(INSIDE),)


# Several images


def test_each_image_has_its_session(controller, viewer, blobs) -> None:
    first = controller.image
    controller.add(Click(INSIDE))
    assert controller.wait()
    second = viewer.add_image(blobs[::-1].copy(), name="other")
    controller.image = second
    assert controller.wait()
    assert controller.workspace.prompts.read() == ()
    controller.add(Click((65.0, 40.0)))
    assert controller.accept() == 1
    assert viewer.layers["other objects"].data[65, 40] == 1
    controller.image = first
    assert controller.session.prompts == controller.workspace.prompts.read() == (Click(INSIDE),)
    assert controller.accept() == 1
    assert viewer.layers["blobs objects"].data[30, 40] == 1


# The end


def test_removed_image_ends_its_session_and_keeps_the_labels(
    controller, viewer, notices, qtbot
) -> None:
    controller.add(Click(INSIDE))
    controller.accept()
    controller.add(Click((60, 90)))
    viewer.layers.remove("blobs")
    qtbot.waitUntil(lambda: names(viewer) == {"blobs objects"})
    assert viewer.layers["blobs objects"].data[30, 40] == 1
    assert "“blobs” was removed" in notices()[-1]
    assert controller.image is None
    assert not controller._worker.thread_alive
    assert controller.accept() is None


def test_next_image_takes_over_from_a_removed_one(controller, viewer, blobs, qtbot) -> None:
    viewer.add_image(blobs, name="other")
    viewer.layers.remove("blobs")
    qtbot.waitUntil(lambda: controller.image is not None and controller.image.name == "other")
    controller.add(Click(INSIDE))
    assert controller.accept() == 1


@pytest.mark.parametrize("name", sorted(WORKING))
def test_working_layer_removed_or_renamed_is_put_right(
    controller, viewer, qtbot, notices, name
) -> None:
    controller.add(Click(INSIDE))
    assert controller.wait()
    before = [layer.name for layer in viewer.layers]
    viewer.layers.remove(name)
    qtbot.waitUntil(lambda: name in names(viewer))
    assert f"“{name}” is needed" in notices()[-1]
    viewer.layers[name].name = "mine"
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == before)
    assert controller.tool is Tool.CLICK, "the tool is in hand again"
    assert controller.session.prompts == controller.workspace.prompts.read() == (Click(INSIDE),)
    controller.undo()
    assert controller.workspace.prompts.read() == ()


def test_layer_of_objects_removed_is_put_back_and_may_have_any_name(
    controller, viewer, qtbot
) -> None:
    controller.add(Click(INSIDE))
    assert controller.accept() == 1
    labels = viewer.layers["blobs objects"].data.copy()
    viewer.layers.remove("blobs objects")
    qtbot.waitUntil(lambda: "blobs objects" in names(viewer))
    np.testing.assert_array_equal(viewer.layers["blobs objects"].data, labels)
    viewer.layers["blobs objects"].name = "nuclei"
    controller.add(Click((60, 90)))
    assert controller.accept() == 2
    assert viewer.layers["nuclei"].data.max() == 2


def test_image_and_all_layers_removed_at_once_stay_away(controller, viewer, qtbot) -> None:
    controller.add(Click(INSIDE))
    viewer.layers.clear()
    qtbot.waitUntil(lambda: controller.workspace is None)
    assert controller.wait()
    assert not names(viewer)


def test_close_leaves_results_and_nothing_else(controller, viewer) -> None:
    controller.add(Click(INSIDE))
    controller.accept()
    controller.add(Click((60, 90)))
    controller.close()
    assert names(viewer) == {"blobs", "blobs objects"}
    assert not controller._worker.thread_alive
    assert not controller.busy
    viewer.add_image(np.zeros((5, 5)))
    assert controller.image is None


def test_attach_after_close_goes_on_where_it_was(controller, viewer) -> None:
    controller.add(Click(INSIDE))
    assert controller.wait()
    controller.close()
    assert attach(viewer) is controller
    assert controller.session.prompts == controller.workspace.prompts.read() == (Click(INSIDE),)
    assert controller.accept() == 1


def test_closing_the_viewer_ends_the_thread(make_napari_viewer, blobs, qtbot) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(blobs, name="blobs")
    controller = attach(viewer)
    controller.add(Click(INSIDE))
    qtbot.waitUntil(lambda: controller._worker.thread_alive)
    viewer.close()
    assert not controller._worker.thread_alive
    assert not controller.busy or controller.wait(1)


# The console


def test_session_in_the_hands_of_the_console_shows(controller, viewer, qtbot) -> None:
    session = controller.session
    session.add(Click(INSIDE))
    qtbot.waitUntil(lambda: len(viewer.layers["Clicks"].data) == 1)
    assert viewer.layers["Current object"].data.any()
    session.accept()
    qtbot.waitUntil(lambda: viewer.layers["blobs objects"].data[30, 40] == 1)
    assert len(viewer.layers["Clicks"].data) == 0
    session.value_propagation = True
    session.add(Click(INSIDE))
    qtbot.waitUntil(lambda: controller.value_propagation)


class LostCard(TorchRunner):
    """A card that has been lost; it never was one."""

    def __init__(self, network) -> None:
        super().__init__(network, torch.device("cpu"), "float32")
        self.device = torch.device("cuda:7")

    def encode(self, views):
        raise RuntimeError("the card has fallen off the bus")

    def decode(self, features, prompts, previous):
        self.encode(None)


def test_a_device_that_is_lost_costs_nothing_and_is_told(
    make_napari_viewer, blobs, notices
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(blobs)
    controller = attach(viewer)
    controller.add(Click((30, 40)))
    assert controller.wait()
    assert controller.accept() == 1
    runner = controller.session.predictor._encoder._runner
    runner._runner = LostCard(runner.network)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as they are when napari runs
        with notification_manager:
            controller.add(Click((75, 20)))
            assert controller.wait()
    assert controller.session.predictor.device == "cpu"
    assert notices()[-1] == (
        "The device 'cuda:7' is not used any more, the CPU is, because it failed (the card has "
        "fallen off the bus)."
    )
    assert controller.session.prompts == (Click((75, 20)),)
    assert list(controller.session.objects) == [1]
