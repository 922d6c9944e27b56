"""Which window answers which prompts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_pvpu.prompts import Box, Click, PriorMask, Scribble
from napari_pvpu.views import View, ViewPolicy, extent_for, first_views, next_view, view_around

# The arithmetic below is for these numbers, whatever the defaults are tuned to.
POLICY = ViewPolicy(object_fill=0.45, keep_low=0.25, keep_high=0.8)
NOWHERE = (False,) * 4
LADDER = [round(128 * 2 ** (k / 2)) for k in range(-6, 30)]

shapes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@st.composite
def bounds_in(draw, shape):
    sides = []
    for length in shape:
        two = [draw(st.floats(-0.5, length - 0.5)) for _ in range(2)]
        sides.append(sorted(two))
    return (sides[0][0], sides[1][0], sides[0][1], sides[1][1])


@st.composite
def scenes(draw):
    shape = draw(shapes)
    return shape, draw(bounds_in(shape))


def test_pixel_centres_map_to_pixel_centres():
    view = View(row=10, col=20, extent=64, size=128)
    # The first data pixel covers model pixels 0 and 1, so its centre lies between them.
    assert view.to_view((10, 20)).tolist() == [0.5, 0.5]
    assert view.to_view((73, 83)).tolist() == [126.5, 126.5]
    assert View(10, 20, 128).to_view([(10, 20), (137, 147)]).tolist() == [[0, 0], [127, 127]]
    assert View(0, 0, 256).to_data((0, 0)).tolist() == [0.5, 0.5]


@given(
    st.builds(View, st.integers(-999, 999), st.integers(-999, 999), st.sampled_from(LADDER)),
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1),
)
def test_to_data_undoes_to_view(view, points):
    assert np.allclose(view.to_data(view.to_view(points)), points, atol=1e-6)


def test_prompts_move_with_the_view():
    view = View(8, 16, 64, 128)
    assert view.prompt_to_view(Click((8, 16), False)) == Click((0.5, 0.5), False)
    assert view.prompt_to_view(Scribble([(8, 16), (9, 16)])) == Scribble([(0.5, 0.5), (2.5, 0.5)])
    assert view.prompt_to_view(Box((8, 16), (9, 18))) == Box((0.5, 0.5), (2.5, 4.5))


@pytest.mark.parametrize(
    ("length", "fill", "extent"),
    [(58, 0.45, 128), (1, 0.45, 16), (81, 0.45, 181), (115, 0.45, 256), (6000, 0.5, 11585)],
)
def test_extents_are_half_octaves(length, fill, extent):
    assert extent_for(length, fill, 128) == extent
    assert extent in LADDER


@given(st.floats(0.1, 1e5), st.sampled_from([64, 128, 256]))
def test_extent_is_the_nearest_of_the_ladder(length, size):
    extent = extent_for(length, 0.45, size)
    wanted = max(length, 1) / 0.45
    if wanted >= size / 8:
        assert abs(math.log2(extent / wanted)) <= 0.25 + 0.02  # rounding to whole pixels
    else:
        assert extent == size // 8


@given(scenes(), st.sampled_from(LADDER))
def test_a_window_stays_with_the_image(scene, extent):
    shape, bounds = scene
    view = view_around((bounds[0], bounds[1]), extent, 128, shape)
    for origin, length in zip(view.box, shape, strict=False):
        if length >= extent:
            assert 0 <= origin <= length - extent / 2
        else:
            assert length - extent <= origin <= 0


@given(scenes(), st.sampled_from(LADDER[:12]))
def test_origins_lie_on_a_grid_of_quarters(scene, extent):
    shape, bounds = scene
    view = view_around((bounds[0], bounds[1]), extent, 128, shape)
    for origin in (view.row, view.col):
        assert round(round(origin / (extent / 4)) * (extent / 4)) == origin


def test_neighbours_share_a_view():
    one = view_around((512, 512), 128, 128, (1000, 1000))
    assert one == view_around((520, 500), 128, 128, (1000, 1000))


@given(scenes(), st.sampled_from(["click", "scribble", "box", "negative"]), st.data())
def test_first_views_hold_all_prompts(scene, kind, data):
    shape, bounds = scene
    corners = bounds[:2], bounds[2:]
    if kind == "box":
        assume(bounds[0] < bounds[2] and bounds[1] < bounds[3])
        prompts = [Box(*corners), Click(corners[0], False)]
    elif kind == "scribble":
        prompts = [Scribble(corners)]
    else:
        prompts = [Click(corners[0], kind == "click"), Click(corners[1], False)]
    canvas = data.draw(st.none() | st.floats(1, 1e5))
    views = first_views(prompts, shape, 128, canvas_extent=canvas, policy=POLICY)
    assert len(views) == len(set(views)) >= 1
    for view in views:
        assert view.contains(bounds, POLICY.margin, shape)
        assert view.extent in LADDER


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param(Box((100, 200), (160, 230)), id="box"),
        pytest.param(PriorMask(np.ones((61, 31), bool), (100, 200)), id="mask"),
    ],
)
def test_what_tells_the_size_gets_one_view_that_it_nearly_half_fills(prompt):
    (view,) = first_views(
        [prompt], (1000, 1000), 128, object_length=500, canvas_extent=900, policy=POLICY
    )
    assert 0.38 <= 61 / view.extent <= 0.54
    center = np.array(view.box).reshape(2, 2).mean(axis=0)
    assert np.abs(center - (130.5, 215.5)).max() <= view.extent / 8


def test_a_negative_box_does_not_tell_the_size():
    views = first_views([Click((50, 50)), Box((60, 60), (70, 70), False)], (999, 999), 128)
    assert len(views) > 1


def test_the_last_object_and_the_canvas_guide_the_first_guess():
    click = [Click((5000, 5000))]
    far, near, like_last = (
        first_views(click, (9999, 9999), 128, policy=POLICY, **hints)[0].extent
        for hints in ({}, {"canvas_extent": 500}, {"canvas_extent": 500, "object_length": 29})
    )
    assert far > 2 * near
    assert like_last == 64


def test_a_scribble_is_given_more_room_than_a_box():
    line = Scribble([(500, 500), (600, 500)])
    assert min(v.extent for v in first_views([line], (999, 999), 128, policy=POLICY)) > 100 / 0.45


@pytest.mark.parametrize(
    ("found", "prompts"),
    [
        pytest.param((40, 40, 90, 80), (60, 60, 60, 60), id="fits"),
        pytest.param((14, 14, 110, 110), (60, 60, 60, 60), id="three-quarters"),
        pytest.param(None, (60, 60, 60, 60), id="nothing-found"),
        pytest.param((55, 55, 60, 60), (9, 9, 120, 120), id="small-but-prompts-are-spread"),
    ],
)
def test_a_view_that_serves_is_kept(found, prompts):
    view = View(0, 0, 128)
    assert next_view(view, found, NOWHERE, prompts, (512, 512), POLICY) == view


def test_a_mask_that_runs_into_the_border_gets_a_larger_view():
    view = View(128, 128, 128)
    new = next_view(
        view, (150, 140, 255, 200), (False, False, True, False), (160,) * 4, (999, 999), POLICY
    )
    assert new.extent == 256
    assert new.contains((128, 128, 255, 255), 0)


def test_the_border_of_the_image_is_no_reason_to_zoom_out():
    shape = (128, 512)
    assert View(0, 0, 128).inner_edges(shape) == (False, False, False, True)


def test_an_object_that_is_small_in_its_view_gets_a_closer_one():
    new = next_view(View(0, 0, 512), (100, 100, 139, 139), NOWHERE, (120,) * 4, (512, 512), POLICY)
    assert new.extent == 91
    assert new.contains((100, 100, 139, 139), POLICY.margin)


def test_a_prompt_outside_the_view_moves_it():
    view = View(0, 0, 128)
    prompts = (60.0, 60.0, 60.0, 300.0)
    new = next_view(view, (40, 40, 90, 90), NOWHERE, prompts, (512, 512))
    assert new.contains(prompts, POLICY.margin)
    assert new.contains((40, 40, 90, 90))


@given(scenes(), st.data())
def test_the_next_view_always_holds_prompts_and_object(scene, data):
    shape, prompts = scene
    found = data.draw(st.none() | bounds_in(shape))
    extent = data.draw(st.sampled_from(LADDER[:20]))
    view = view_around((prompts[0], prompts[1]), extent, 128, shape)
    touched = tuple(data.draw(st.booleans()) and edge for edge in view.inner_edges(shape))
    new = next_view(view, found, touched, prompts, shape, POLICY)
    assert new.contains(prompts, POLICY.margin, shape)
    if found is not None and new != view and not any(touched):
        assert new.contains(found, POLICY.margin, shape)


@given(scenes())
def test_zooming_out_ends_with_the_whole_image(scene):
    shape, prompts = scene
    view = view_around((prompts[0], prompts[1]), 32, 128, shape)
    for _ in range(20):
        edges = view.inner_edges(shape)
        if not any(edges):
            break
        view = next_view(view, prompts, edges, prompts, shape, POLICY)
    assert not any(view.inner_edges(shape))
    assert view.extent <= max(32, 2 * max(shape))


def test_the_policy_is_asked():
    eager = replace(POLICY, keep_low=0.4)
    view = View(0, 0, 128)
    found, click = (50, 50, 88, 88), (60.0,) * 4
    assert next_view(view, found, NOWHERE, click, (512, 512), POLICY) == view
    assert next_view(view, found, NOWHERE, click, (512, 512), eager).extent == 91
