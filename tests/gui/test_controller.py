"""The controller with the real network (small, of random weights), in a viewer without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from attached import attached, names
from napari_pvpu import Box, Click, Scribble, SessionError, attach
from napari_pvpu.napari_side.controller import KEYS, Controller, Tool
from napari_pvpu.napari_side.engine import Look
from napari_pvpu.prompts import PriorMask

pytestmark = pytest.mark.gui

AFFINE = np.array([[1.1, 0.3, 5.0], [-0.2, 0.9, -7.0], [0.0, 0.0, 1.0]])
INSIDE = (30.0, 40.0)


@pytest.fixture
def viewer(qapp):
    viewer = ViewerModel()
    yield viewer
    attach(viewer).close()


@pytest.fixture
def controller(viewer, blobs) -> Controller:
    return attached(viewer, blobs)


# The beginning


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
    keys = {action: key for action, key in KEYS.items() if key and action != "hold"}
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


@pytest.fixture
def other_model(tmp_path, weights) -> str:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    return str(copy)


def objects_layers(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers if "objects" in layer.name]


def test_another_model_goes_on_in_the_same_layer(controller, viewer, other_model, notices) -> None:
    controller.add(Click(INSIDE))
    controller.accept()
    controller.overlap = "ask"
    first = viewer.layers["blobs objects"].data == 1
    controller.model = other_model
    assert controller.wait()
    assert "history begin anew" in notices()[-1]
    assert controller.workspace.earlier is None, "there is nothing in place of these objects"
    controller.session.open_mask(np.ones((10, 10), bool), offset=(26, 36))
    controller.workspace.follow()
    assert controller.accept() is None
    assert "belong to others already" in controller.question.text()
    controller.question.defaultButton().click()
    assert objects_layers(viewer) == ["blobs objects"]
    layer = viewer.layers["blobs objects"]
    np.testing.assert_array_equal(layer.data == 1, first)
    np.testing.assert_array_equal(layer.data, controller.session.labels)
    assert 1 in controller.session.objects
    controller.undo()
    assert controller.workspace.has_object


def test_object_at_work_goes_on_with_another_model(controller, viewer, other_model) -> None:
    controller.add(Click(INSIDE))
    controller.wait()
    mask = controller.session.mask
    controller.model = other_model
    assert controller.wait()
    np.testing.assert_array_equal(controller.session.mask, mask)
    [prior] = controller.workspace.prompts.read()
    assert isinstance(prior, PriorMask)
    controller.add(Click((60, 90)))
    assert controller.accept() == 1


def test_opened_object_stays_open_with_another_model(controller, viewer, other_model) -> None:
    controller.add(Click(INSIDE))
    controller.accept()
    labels = np.array(controller.session.labels)
    controller.open_object(1)
    controller.model = other_model
    assert controller.wait()
    assert controller.session.opened == 1
    controller.reset()
    np.testing.assert_array_equal(viewer.layers["blobs objects"].data, labels)


def test_nothing_is_lost_by_a_model_that_cannot_be_loaded(controller, viewer) -> None:
    controller.add(Click(INSIDE))
    controller.accept()
    good = controller.model
    controller.model = "no-such-model"
    assert controller.wait()
    controller.model = good
    assert controller.wait()
    assert list(controller.session.objects) == [1]
    assert objects_layers(viewer) == ["blobs objects"]


def test_other_images_keep_their_objects_with_another_model(
    controller, viewer, blobs, other_model
) -> None:
    controller.add(Click(INSIDE))
    controller.accept()
    first = controller.image
    controller.image = viewer.add_image(blobs, name="second")
    controller.model = other_model
    assert controller.wait()
    controller.image = first
    assert controller.wait()
    assert list(controller.session.objects) == [1]
    assert objects_layers(viewer) == ["blobs objects", "second objects"]


def test_other_axes_of_the_same_planes_keep_the_objects(viewer, blobs) -> None:
    viewer.add_image(np.stack([blobs] * 3), name="stack", axis_labels=("z", "y", "x"))
    controller = attach(viewer)
    assert controller.wait()
    controller.session.open_mask(np.ones((5, 5), bool), offset=(10, 10))
    controller.workspace.follow()
    controller.accept()
    controller.look = Look(axes="TYX")
    assert controller.wait()
    assert list(controller.session.objects) == [1]
    assert objects_layers(viewer) == ["stack objects"]
    controller.look = Look(axes="CYX")
    assert controller.wait()
    assert not controller.session.objects
