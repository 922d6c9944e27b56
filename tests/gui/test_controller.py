"""The controller in a real viewer, with the real network (small, of random weights)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_pvpu import Box, Click, Scribble, SessionError, attach
from napari_pvpu.napari_side.controller import KEYS, Controller, Tool

pytestmark = pytest.mark.gui

AFFINE = np.array([[1.1, 0.3, 5.0], [-0.2, 0.9, -7.0], [0.0, 0.0, 1.0]])
WORKING = {"Current object", "Boxes and scribbles", "Clicks"}
INSIDE = (30.0, 40.0)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def controller(viewer, blobs) -> Controller:
    viewer.add_image(blobs, name="blobs")
    controller = attach(viewer)
    assert controller.wait()
    assert controller.trouble is None
    return controller


def names(viewer) -> set[str]:
    return {layer.name for layer in viewer.layers}


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


def test_image_layer_is_never_altered(viewer, blobs) -> None:
    image = viewer.add_image(blobs.copy(), name="blobs", scale=(0.5, 2), rotate=30)
    before = {name: np.array(getattr(image, name)) for name in ("scale", "translate", "rotate")}
    controller = attach(viewer)
    controller.add(Click(INSIDE))
    controller.accept()
    np.testing.assert_array_equal(image.data, blobs)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(image, name), value)


# From prompt to labels


@pytest.mark.parametrize(
    "transform",
    [
        pytest.param({"scale": (0.5, 2.0)}, id="scale"),
        pytest.param({"rotate": 30, "translate": (10, -5)}, id="rotate"),
        pytest.param({"affine": AFFINE, "scale": (2, 2), "shear": [0.3]}, id="affine"),
    ],
)
def test_point_in_the_world_marks_the_pixel_under_it(viewer, blobs, transform) -> None:
    image = viewer.add_image(blobs, name="blobs", **transform)
    controller = attach(viewer)
    assert controller.wait()
    clicks = viewer.layers["Clicks"]
    clicks.add(clicks.world_to_data(image.data_to_world(INSIDE)))
    assert controller.wait()
    assert controller.session.mask[30, 40]
    np.testing.assert_allclose(controller.session.prompts[0].position, INSIDE)
    preview = viewer.layers["Current object"]
    assert preview.get_value(image.data_to_world(INSIDE), world=True) > 0
    controller.accept()
    result = viewer.layers["blobs objects"]
    assert result.get_value(image.data_to_world(INSIDE), world=True) == 1


def test_prompts_of_all_kinds_obey_and_are_accepted(controller, viewer) -> None:
    controller.add(Box((14, 24), (46, 56)))
    controller.add(Click(INSIDE))
    controller.add(Scribble(((70, 20), (80, 60)), positive=False))
    controller.add(Click((80, 100), positive=False))
    assert controller.accept() == 1
    labels = viewer.layers["blobs objects"].data
    np.testing.assert_array_equal(labels, controller.session.labels)
    assert labels[30, 40] == 1
    assert labels[80, 100] == labels[75, 40] == 0


def test_accept_waits_for_the_last_prompt(controller) -> None:
    controller.add(Click(INSIDE))
    controller.add(Click((32, 42)))
    assert controller.busy
    controller.accept()
    assert len(controller.session.objects[1].prompts) == 2


def test_tool_stays_armed_after_accepting(controller, viewer) -> None:
    controller.tool = Tool.BOX
    controller.add(Box((14, 24), (46, 56)))
    controller.add(Click(INSIDE))
    controller.accept()
    assert controller.tool is Tool.BOX
    assert viewer.layers["Boxes and scribbles"].mode == "add_rectangle"
    assert len(viewer.layers["Clicks"].data) == 0


def test_ids_go_up_and_accepted_pixels_stay(controller, viewer) -> None:
    controller.add(Click(INSIDE))
    controller.accept()
    first = viewer.layers["blobs objects"].data.copy()
    controller.add(Click((60, 90)))
    controller.add(Box((40, 70), (80, 110)))
    controller.accept()
    labels = viewer.layers["blobs objects"].data
    np.testing.assert_array_equal(labels[first == 1], 1)


def test_prompts_outside_are_said_and_removed(controller, notices, qtbot) -> None:
    controller.add(Click(INSIDE))
    for prompt in (Click((-5, 10)), Click((10, 500)), Box((200, 0), (210, 9))):
        before = len(notices())
        controller.add(prompt)
        assert controller.wait()
        qtbot.waitUntil(lambda before=before: len(notices()) > before)
        assert "outside" in notices()[-1]
        assert controller.session.prompts == (Click(INSIDE),)
        assert controller.workspace.prompts.read() == (Click(INSIDE),)


def test_rgb_image(viewer, blobs) -> None:
    viewer.add_image(np.stack([blobs, blobs // 2, blobs // 3], axis=-1), rgb=True, name="rgb")
    controller = attach(viewer)
    controller.add(Click(INSIDE))
    assert controller.wait()
    assert controller.session.mask[30, 40]


def test_multiscale_image_is_segmented_at_full_resolution(viewer, blobs) -> None:
    viewer.add_image([blobs, blobs[::2, ::2]], multiscale=True, name="pyramid")
    controller = attach(viewer)
    controller.add(Click(INSIDE))
    assert controller.wait()
    assert controller.session.shape == blobs.shape
    assert controller.session.mask[30, 40]


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


# Switches


def test_polarity_is_toggled_for_the_next_prompt(controller, viewer) -> None:
    controller.toggle_polarity()
    viewer.layers["Clicks"].add(INSIDE)
    assert controller.wait()
    assert controller.session.prompts == (Click(INSIDE, positive=False),)
    controller.toggle_polarity()
    assert controller.positive


def test_em_switch_is_kept_from_object_to_object(controller) -> None:
    controller.toggle_value_propagation()
    controller.add(Click(INSIDE))
    assert controller.wait()
    assert controller.session.value_propagation
    assert controller.session.last_timing.em_ms > 0
    assert controller.session.mask[30, 40]
    controller.accept()
    assert controller.value_propagation
    controller.toggle_value_propagation()
    assert not controller.session.value_propagation


def test_threshold_orders_the_masks(controller) -> None:
    controller.add(Click(INSIDE))
    assert controller.wait()
    areas = []
    for threshold in (0.1, 0.5, 0.9):
        controller.threshold = threshold
        areas.append(controller.session.mask.sum())
        assert controller.session.mask[30, 40]
    assert areas[0] >= areas[1] >= areas[2] > 0


def test_tool_puts_its_layer_into_its_mode(controller, viewer) -> None:
    for tool in Tool:
        controller.tool = tool.value
        assert controller.tool is tool
        viewer.layers.selection.active = viewer.layers["blobs"]
        assert controller.tool is None


def test_keys_of_the_prompt_layers_run_the_actions(controller, viewer, monkeypatch) -> None:
    ran: list[str] = []
    # One action lasts as long as its key is down, see test_hands.
    keys = {action: key for action, key in KEYS.items() if action != "hold"}
    for action in keys:
        monkeypatch.setattr(controller, action, lambda action=action: ran.append(action))
    for layer in controller.workspace.prompts.layers:
        ran.clear()
        for key in keys.values():
            layer.keymap[_binding(key)](layer)
        assert ran == list(keys)


def _binding(key: str) -> Any:
    from napari.utils.key_bindings import coerce_keybinding

    return coerce_keybinding(key)


# What cannot be segmented


def test_image_of_too_many_axes_is_refused_with_a_reason(viewer, notices) -> None:
    viewer.add_image(np.zeros((2, 1, 1, 1, 20, 30), np.uint8), name="stack")
    controller = attach(viewer)
    assert controller.image is None
    assert "“stack” cannot be segmented" in notices()[-1]
    assert "(2, 1, 1, 1, 20, 30)" in str(controller.trouble)
    assert names(viewer) == {"stack"}
    with pytest.raises(SessionError, match="axes"):
        controller.add(Click((1, 1)))


def test_choosing_such_an_image_keeps_what_there_is(controller, viewer, notices) -> None:
    stack = viewer.add_image(np.zeros((2, 1, 1, 1, 20, 30), np.uint8), name="stack")
    controller.image = stack
    assert "cannot be segmented" in notices()[-1]
    assert controller.image.name == "blobs"
    controller.add(Click(INSIDE))  # a plane beside it goes on to work
    assert controller.wait()
    assert controller.session.mask[30, 40]


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


def test_constant_image_is_refused_and_the_next_one_works(viewer, blobs, notices) -> None:
    viewer.add_image(np.full((20, 30), 7, np.uint8), name="flat")
    controller = attach(viewer)
    assert controller.wait()
    assert controller.trouble is not None
    assert "constant" in notices()[-1]
    controller.image = viewer.add_image(blobs, name="blobs")
    assert controller.wait()
    assert controller.trouble is None
    controller.add(Click(INSIDE))
    assert controller.accept() == 1


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        pytest.param("model", "no-such-model", "no model 'no-such-model'", id="model"),
        pytest.param("device", "abacus", "abacus", id="device"),
    ],
)
def test_unknown_model_or_device_is_said_and_mended(
    controller, notices, attribute, value, message
) -> None:
    good = controller.model, "cpu"
    setattr(controller, attribute, value)
    assert controller.wait()
    assert message in notices()[-1]
    assert message in str(controller.trouble)
    controller.model, controller.device = good
    assert controller.wait()
    assert controller.trouble is None


def test_damaged_weights_are_said(controller, notices, tmp_path, weights) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(weights.read_bytes()[:1000])
    controller.add(Click(INSIDE))
    controller.accept()
    controller.model = str(damaged)
    assert controller.wait()
    assert "damaged.safetensors" in notices()[-1]


def test_another_model_keeps_the_accepted_labels(controller, viewer, tmp_path, weights) -> None:
    controller.add(Click(INSIDE))
    controller.accept()
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    controller.model = str(copy)
    assert controller.wait()
    assert viewer.layers["blobs objects"].data[30, 40] == 1
    controller.add(Click((60, 90)))
    controller.accept()
    assert viewer.layers["blobs objects [1]"].data[60, 90] == 1
    assert viewer.layers["blobs objects"].data.max() == 1


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
