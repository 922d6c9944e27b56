"""Prompts drawn on layers, read back, written, and told about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils._test_utils import read_only_mouse_event
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)

from napari_pvpu.napari_side.frame import Frame
from napari_pvpu.napari_side.prompt_layers import PromptLayers
from napari_pvpu.napari_side.prompt_rows import (
    COLORS,
    POSITIVE,
    SYMBOLS,
    dress,
    rows_of,
    set_defaults,
)
from napari_pvpu.prompts import Box, Click, Polygon, PriorMask, Scribble

pytestmark = pytest.mark.gui

RECTANGLE = np.array([[10, 20], [10, 50], [30, 50], [30, 20]], float)
PATH = ((5.0, 5.0), (9.0, 12.0), (20.0, 14.0))
PROMPTS = (
    Click((3.0, 4.0)),
    Box((10.0, 20.0), (30.0, 50.0)),
    Click((7.5, 8.25), positive=False),
    Scribble(PATH, positive=False),
    Box((1.0, 1.0), (4.0, 6.0), positive=False),
    Scribble(PATH[::-1]),
    Polygon(PATH, filled=True),
    Polygon(PATH[::-1], positive=False),
)


class Drawing:
    """Prompt layers on an image, what they told, and a mouse without a screen."""

    def __init__(self, **transform: Any) -> None:
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(np.zeros((60, 80), np.uint8), **transform)
        self.told: list[tuple[Any, ...]] = []
        self.notices: list[str] = []
        self.prompts = PromptLayers(
            self.viewer,
            Frame(self.image),
            lambda: self.told.append(self.prompts.read()),
            self.notices.append,
        )
        self.clicks, self.strokes = self.prompts.layers
        for layer in self.prompts.layers:
            self.viewer.add_layer(layer)

    def mouse(self, layer, path, modifiers=(), button=1) -> None:
        """Press at the first data position, go along the path, release at the last."""

        def event(kind, point):
            return read_only_mouse_event(
                type=kind,
                button=button,
                modifiers=list(modifiers),
                is_dragging=kind == "mouse_move",
                position=layer.data_to_world(point),
                pos=np.array(point, float) * 10,
                dims_displayed=[0, 1],
            )

        mouse_press_callbacks(layer, event("mouse_press", path[0]))
        for point in path[1:]:
            mouse_move_callbacks(layer, event("mouse_move", point))
        mouse_release_callbacks(layer, event("mouse_release", path[-1]))


@pytest.fixture
def drawing(qapp):
    return Drawing()


# Reading


def test_points_rectangles_and_paths_are_clicks_boxes_and_scribbles(drawing) -> None:
    drawing.clicks.add([3, 4])
    drawing.strokes.add(RECTANGLE, shape_type="rectangle")
    drawing.strokes.add(np.array(PATH), shape_type="path")
    drawing.strokes.add(np.array(PATH[:2]), shape_type="line")
    assert drawing.prompts.read() == (
        Click((3, 4)),
        Box((10, 20), (30, 50)),
        Scribble(PATH),
        Scribble(PATH[:2]),
    )


def test_an_ellipse_counts_as_the_box_around_it(drawing) -> None:
    drawing.strokes.add(RECTANGLE, shape_type="ellipse")
    assert drawing.prompts.read() == (Box((10, 20), (30, 50)),)


def test_polygons_are_filled_as_wanted_when_they_are_drawn(drawing) -> None:
    corners = tuple(map(tuple, np.asarray(RECTANGLE, float).tolist()))
    drawing.strokes.add(RECTANGLE, shape_type="polygon")
    drawing.prompts.filled = True
    drawing.prompts.positive = False  # which makes the defaults anew
    drawing.strokes.add(RECTANGLE, shape_type="polygon")
    drawing.strokes.add(RECTANGLE, shape_type="rectangle")
    wanted = (
        Polygon(corners), Polygon(corners, positive=False, filled=True),
        Box((10, 20), (30, 50), positive=False),
    )  # fmt: skip
    assert drawing.prompts.read() == wanted
    drawing.prompts.write(wanted[::-1])
    assert drawing.prompts.read() == wanted[::-1]
    assert (np.asarray(drawing.strokes.face_color)[:, 3] > 0).tolist() == [False, True, False]


def test_prompts_of_both_layers_come_in_the_order_of_drawing(drawing) -> None:
    drawing.strokes.add(np.array(PATH), shape_type="path")
    drawing.clicks.add([3, 4])
    drawing.strokes.add(RECTANGLE, shape_type="rectangle")
    drawing.clicks.add([5, 6])
    kinds = [type(prompt) for prompt in drawing.prompts.read()]
    assert kinds == [Scribble, Click, Box, Click]


def test_pasted_prompts_become_the_newest(drawing) -> None:
    drawing.clicks.add([[3, 4], [5, 6]])
    drawing.clicks.selected_data = {0}
    drawing.clicks._copy_data()
    drawing.clicks._paste_data()
    assert len(drawing.prompts.read()) == 3
    assert len(set(drawing.clicks.features["order"])) in (2, 3)
    drawing.strokes.add(RECTANGLE, shape_type="rectangle")
    assert drawing.prompts.read()[-1] == Box((10, 20), (30, 50))


@pytest.mark.parametrize(
    ("layer", "data", "shape_type", "word"),
    [
        pytest.param("clicks", [[-2, 4]], None, "outside", id="click outside"),
        pytest.param("strokes", RECTANGLE + 100, "rectangle", "outside", id="box outside"),
        pytest.param("strokes", np.array(PATH) - 50, "path", "outside", id="scribble outside"),
        pytest.param("strokes", RECTANGLE * [0, 1], "rectangle", "no area", id="flat box"),
        pytest.param("strokes", np.array([[5, 5], [5, 5.0]]), "line", "two points", id="dot"),
    ],
)
def test_useless_prompt_is_removed_with_a_notice(
    drawing, qtbot, layer, data, shape_type, word
) -> None:
    drawing.clicks.add([3, 4])
    target = getattr(drawing, layer)
    before = len(target.data)
    target.add(data, **({"shape_type": shape_type} if shape_type else {}))
    assert drawing.prompts.read() == (Click((3, 4)),)
    qtbot.waitUntil(lambda: len(drawing.notices) == 1)
    assert word in drawing.notices[0]
    assert len(target.data) == before


def test_box_that_leaves_the_image_in_part_is_kept(drawing) -> None:
    drawing.strokes.add(RECTANGLE + 40, shape_type="rectangle")
    assert drawing.prompts.read() == (Box((50, 60), (70, 90)),)


# Telling


def test_adding_moving_and_deleting_are_told(drawing) -> None:
    drawing.clicks.add([3, 4])
    assert drawing.told[-1] == (Click((3, 4)),)
    drawing.clicks.data = [[5, 6]]
    assert drawing.told[-1] == (Click((5, 6)),)
    drawing.clicks.selected_data = {0}
    drawing.clicks.remove_selected()
    assert drawing.told[-1] == ()


def test_dragging_a_click_with_the_mouse_is_told_at_its_end(drawing) -> None:
    drawing.clicks.add([30, 40])
    drawing.clicks.mode = "select"
    drawing.clicks.selected_data = {0}
    drawing.told.clear()
    with pytest.MonkeyPatch.context() as patch:  # nothing is drawn, so nothing is under the mouse
        patch.setattr(drawing.clicks, "_get_value_", lambda **_: 0)
        drawing.mouse(drawing.clicks, [(30, 40), (32, 42), (35, 45)])
    assert drawing.told == [(Click((35, 45)),)]


def test_polarity_edited_in_the_table_of_features_is_told(drawing) -> None:
    drawing.clicks.add([3, 4])
    table = drawing.clicks.features.copy()
    table["polarity"] = "negative"
    drawing.clicks.features = table
    assert drawing.told[-1] == (Click((3, 4), positive=False),)
    assert list(drawing.clicks.symbol) == [SYMBOLS["negative"]]


def test_nothing_is_told_after_disconnecting(drawing) -> None:
    drawing.prompts.disconnect()
    drawing.clicks.add([3, 4])
    assert drawing.told == []


# Writing


@pytest.mark.parametrize(
    "transform",
    [
        pytest.param({}, id="plain"),
        pytest.param({"scale": (0.3, 0.7), "rotate": 25, "translate": (3, 4)}, id="transformed"),
    ],
)
def test_what_is_written_is_read_back_exactly_and_untold(qapp, transform) -> None:
    drawing = Drawing(**transform)
    drawing.prompts.write(PROMPTS)
    assert drawing.prompts.read() == PROMPTS
    drawing.prompts.write(PROMPTS[:3])
    assert drawing.prompts.read() == PROMPTS[:3]
    drawing.prompts.write(())
    assert drawing.prompts.read() == ()
    assert drawing.told == []


def test_prompts_drawn_after_writing_are_newer(drawing) -> None:
    drawing.prompts.write(PROMPTS)
    drawing.clicks.add([40, 41])
    drawing.strokes.add(RECTANGLE, shape_type="rectangle")
    assert drawing.told[-1] == (*PROMPTS, Click((40, 41)), Box((10, 20), (30, 50)))


def test_prior_mask_is_kept_though_no_layer_shows_it(drawing) -> None:
    mask = PriorMask(np.ones((2, 3), bool), (4, 5))
    drawing.prompts.write((Click((3, 4)), mask))
    drawing.clicks.add([9, 9])
    assert drawing.told[-1] == (Click((3, 4)), mask, Click((9, 9)))


def test_add_is_like_drawing(drawing) -> None:
    drawing.prompts.add(PROMPTS[0])
    drawing.prompts.add(PROMPTS[3])
    assert drawing.told == [PROMPTS[:1], (PROMPTS[0], PROMPTS[3])]


# Polarity


def test_colours_and_symbols_tell_the_polarity(drawing) -> None:
    drawing.prompts.write(PROMPTS)
    to_rgb = lambda name: [int(COLORS[name][i : i + 2], 16) / 255 for i in (1, 3, 5)]  # noqa: E731
    expected = [to_rgb("positive"), to_rgb("negative")]
    np.testing.assert_allclose(drawing.clicks.face_color[:, :3], expected, atol=1e-6)
    assert list(drawing.clicks.symbol) == [SYMBOLS["positive"], SYMBOLS["negative"]]
    edges = np.asarray(drawing.strokes.edge_color)[:, :3]
    strokes = [prompt for prompt in PROMPTS if not isinstance(prompt, Click)]
    expected = [to_rgb("positive" if prompt.positive else "negative") for prompt in strokes]
    np.testing.assert_allclose(edges, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("modifiers", "button", "positive"),
    [
        pytest.param((), 1, True, id="plain"),
        pytest.param(("Shift",), 1, False, id="shift"),
        pytest.param(("Control",), 1, False, id="control"),
        pytest.param((), 2, False, id="right button"),
    ],
)
@pytest.mark.parametrize("default", [True, False], ids=["positive", "negative"])
def test_modifier_turns_the_polarity_round(drawing, modifiers, button, positive, default) -> None:
    drawing.prompts.positive = default
    drawing.clicks.mode = "add"
    drawing.mouse(drawing.clicks, [(3, 4)], modifiers, button)
    drawing.mouse(drawing.clicks, [(5, 6)])
    assert drawing.prompts.read() == (
        Click((3, 4), positive is default),
        Click((5, 6), default),
    )


def test_polarity_of_a_modifier_is_for_one_prompt_only(drawing, qtbot) -> None:
    drawing.clicks.mode = "add"
    drawing.mouse(drawing.clicks, [(3, 4)], ["Shift"])
    qtbot.waitUntil(lambda: not drawing.clicks.selected_data)
    assert str(drawing.clicks.current_symbol) == SYMBOLS["positive"]
    drawing.clicks.add([5, 6])  # from the console
    assert [prompt.positive for prompt in drawing.prompts.read()] == [False, True]


def test_modifier_works_for_boxes_and_scribbles(drawing) -> None:
    drawing.strokes.mode = "add_rectangle"
    drawing.mouse(drawing.strokes, [(10, 20), (15, 30), (30, 50)], ["Control"])
    drawing.strokes.mode = "add_path"
    drawing.mouse(drawing.strokes, [(5, 5), (20, 20), (40, 20), (50, 30)], ["Shift"])
    drawing.mouse(drawing.strokes, [(5, 5), (20, 20), (40, 20), (50, 30)])
    box, negative, positive = drawing.prompts.read()
    assert isinstance(box, Box)
    np.testing.assert_allclose([*box.start, *box.stop], [10, 20, 30, 50])
    assert (box.positive, negative.positive, positive.positive) == (False, False, True)
    assert negative.path == positive.path


def test_changing_the_polarity_leaves_what_is_drawn_alone(drawing) -> None:
    drawing.clicks.add([3, 4])  # napari leaves it selected
    drawing.prompts.positive = False
    assert drawing.prompts.read() == (Click((3, 4)),)
    np.testing.assert_allclose(drawing.clicks.face_color[0, 2], 1.0)
    drawing.clicks.add([5, 6])
    assert drawing.prompts.read()[1] == Click((5, 6), positive=False)


def test_selected_prompts_are_flipped(drawing) -> None:
    drawing.prompts.write(PROMPTS)
    drawing.clicks.mode = "select"
    drawing.clicks.selected_data = {1}
    assert drawing.prompts.flip_selected()
    assert drawing.told == [(*PROMPTS[:2], Click((7.5, 8.25)), *PROMPTS[3:])]


def test_what_a_tool_has_just_drawn_is_not_flipped(drawing) -> None:
    drawing.clicks.mode = "add"
    drawing.clicks.add([3, 4])
    assert not drawing.prompts.flip_selected()


# Strokes under way


def test_box_tool_that_is_clicked_and_not_dragged_leaves_nothing(drawing, qtbot) -> None:
    drawing.strokes.mode = "add_rectangle"
    drawing.mouse(drawing.strokes, [(10, 20)])
    assert drawing.prompts.read() == ()
    qtbot.waitUntil(lambda: len(drawing.notices) == 1)
    assert "drag" in drawing.notices[0]
    assert drawing.strokes.nshapes == 0


def test_stroke_under_way_is_not_read(drawing) -> None:
    drawing.strokes.mode = "add_polygon"
    for point in ((10, 10), (10, 30), (30, 30)):
        drawing.mouse(drawing.strokes, [point])
    assert drawing.strokes.nshapes == 1
    drawing.clicks.add([3, 4])
    assert drawing.told[-1] == (Click((3, 4)),)
    assert drawing.prompts.finish_drawing()
    assert drawing.told[-1] == (Click((3, 4)), Polygon(((10, 10), (10, 30), (30, 30))))
    assert not drawing.prompts.finish_drawing()


def test_scribble_given_up_half_way_leaves_nothing(drawing) -> None:
    drawing.strokes.mode = "add_path"
    drawing.mouse(drawing.strokes, [(10, 10)])
    drawing.strokes.mode = "pan_zoom"
    assert drawing.prompts.read() == ()
    drawing.strokes.mode = "add_path"
    drawing.prompts.positive = False
    drawing.mouse(drawing.strokes, [(5, 5), (20, 20), (40, 20), (50, 30)])
    [scribble] = drawing.prompts.read()
    assert not scribble.positive


def test_what_has_been_drawn_does_not_stay_selected(drawing, qtbot) -> None:
    drawing.strokes.mode = "add_rectangle"
    drawing.mouse(drawing.strokes, [(10, 20), (15, 30), (30, 50)])
    qtbot.waitUntil(lambda: not drawing.strokes.selected_data)


def test_markers_keep_their_size_on_the_screen(drawing) -> None:
    drawing.prompts.write(PROMPTS)
    drawing.viewer.scene.camera.zoom = 2
    drawing.prompts.fit_to_zoom(drawing.viewer)
    small = drawing.clicks.size.copy(), np.array(drawing.strokes.edge_width)
    drawing.viewer.scene.camera.zoom = 1
    drawing.prompts.fit_to_zoom(drawing.viewer)
    np.testing.assert_allclose(drawing.clicks.size, 2 * small[0])
    np.testing.assert_allclose(drawing.strokes.edge_width, 2 * small[1])
    assert drawing.told == []


def test_what_looks_right_already_is_not_set_again() -> None:
    drawing = Drawing()
    drawing.prompts.write(PROMPTS)
    seen: list[str] = []
    for layer in drawing.prompts.layers:
        rows = rows_of(layer)
        for name in ("features", "feature_defaults", "set_data", "current_face_color"):
            getattr(layer.events, name).connect(lambda event, name=name: seen.append(name))
        dress(layer, [polarity for polarity, _ in rows], [order for _, order in rows])
        set_defaults(layer, POSITIVE)
    assert seen == []
    dress(drawing.clicks, ["negative"] * 2, [0, 2])
    assert "features" in seen
    assert np.ptp(drawing.clicks.face_color, axis=0).max() == 0
