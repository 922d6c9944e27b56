"""Which view answers which prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_pvpu.prompts import Box, Click, PriorMask, Scribble
from napari_pvpu.view_choice import ViewPolicy, first_views, next_view
from napari_pvpu.view_grid import view_around
from napari_pvpu.views import View
from view_strategies import LADDER, bounds_in, scenes

# The arithmetic below is for these numbers, whatever the defaults are tuned to.
POLICY = ViewPolicy(object_fill=0.45, keep_low=0.25, keep_high=0.8)
NOWHERE = (False,) * 4


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
    assert far >= 2 * near
    assert like_last == 64


def test_beyond_some_size_a_larger_image_shows_more_objects_not_larger_ones():
    click = [Click((1500, 1500))]
    small, slide, gigantic = (
        [view.extent for view in first_views(click, (side, side), 128, policy=POLICY)]
        for side in (2_000, 20_000, 200_000)
    )
    assert max(small) < max(slide) == max(gigantic)


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
