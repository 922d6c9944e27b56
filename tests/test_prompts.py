"""Prompts check themselves and survive a round trip through JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_pvpu.errors import PromptError
from napari_pvpu.prompts import (
    Box,
    Click,
    Polygon,
    PriorMask,
    Scribble,
    joint_bounds,
    prompt_from_json,
    prompt_to_json,
)

coordinate = st.floats(-1e6, 1e6, allow_nan=False)
point = st.tuples(coordinate, coordinate)
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=11)).filter(np.any)
prompts = st.one_of(
    st.builds(Click, point, st.booleans()),
    st.builds(Scribble, st.lists(point, min_size=2, max_size=9), st.booleans()),
    st.builds(
        lambda start, size, positive: Box(
            start, (start[0] + size[0], start[1] + size[1]), positive
        ),
        point,
        st.tuples(st.floats(0.5, 99), st.floats(0.5, 99)),
        st.booleans(),
    ),
    st.builds(
        lambda start, corners, *flags: Polygon(
            (start, (start[0] + 1, start[1] + 2), *corners), *flags
        ),
        point,
        st.lists(point, min_size=1, max_size=5),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(PriorMask, masks, st.tuples(st.integers(-9, 99), st.integers(-9, 99))),
)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda: Click((math.nan, 3)), "finite", id="click-nan"),
        pytest.param(lambda: Click((3, math.inf)), "finite", id="click-inf"),
        pytest.param(lambda: Click((3,)), r"two numbers \(row, col\)", id="click-one-number"),
        pytest.param(lambda: Click((1, 2, 3)), "two numbers", id="click-three-numbers"),
        pytest.param(lambda: Click("ab"), "two numbers", id="click-text"),
        pytest.param(lambda: Click(7), "two numbers", id="click-number"),
        pytest.param(lambda: Scribble([(1, 2)]), "use Click", id="scribble-one-point"),
        pytest.param(lambda: Scribble([]), "at least two points but has 0", id="scribble-empty"),
        pytest.param(lambda: Scribble([(1, 2), (math.nan, 2)]), "finite", id="scribble-nan"),
        pytest.param(lambda: Scribble([(1, 2), 5]), "two numbers", id="scribble-no-points"),
        pytest.param(lambda: Scribble(5), "sequence of", id="scribble-number"),
        pytest.param(lambda: Box((1, 2), (1, 9)), "has no area", id="box-flat"),
        pytest.param(lambda: Box((1, 2), (8, 2)), "has no area", id="box-narrow"),
        pytest.param(lambda: Box((1, 2), (math.inf, 9)), "finite", id="box-inf"),
        pytest.param(lambda: PriorMask(np.zeros((3, 4), bool)), "marks no pixel", id="mask-blank"),
        pytest.param(lambda: PriorMask(np.ones(4, bool)), "two-dimensional", id="mask-1d"),
        pytest.param(lambda: PriorMask(np.ones((2, 2))), "float64", id="mask-floats"),
        pytest.param(lambda: PriorMask(np.eye(2, dtype=bool), (0.5, 0)), "whole", id="mask-offset"),
    ],
)
def test_bad_prompts_say_what_is_wrong(make, says):
    with pytest.raises(PromptError, match=says):
        make()


def test_values_are_plain_floats_whatever_came_in():
    click = Click(np.array([1, 2]), np.bool_(False))
    assert click == Click((1.0, 2.0), False)
    assert {type(value) for value in click.position} == {float}
    assert type(click.positive) is bool
    scribble = Scribble(np.array([[1, 2], [3, 4]], np.float32))
    assert scribble.path == ((1.0, 2.0), (3.0, 4.0))


def test_box_corners_are_sorted():
    assert Box((9, 2), (1, 5)) == Box((1, 5), (9, 2)) == Box((1, 2), (9, 5))
    assert Box((9, 2), (1, 5)).bounds == (1, 2, 9, 5)


def test_bounds():
    mask = np.zeros((5, 6), bool)
    mask[1:3, 4] = True
    assert Click((4, 7.5)).bounds == (4, 7.5, 4, 7.5)
    assert Scribble([(4, 7), (2, 9), (3, 1)]).bounds == (2, 1, 4, 9)
    assert PriorMask(mask, (10, 20)).bounds == (11, 24, 12, 24)
    assert joint_bounds([(4, 7, 4, 7), (2, 9, 3, 9)]) == (2, 7, 4, 9)


def test_prior_mask_keeps_its_own_copy():
    mask = np.eye(3, dtype=bool)
    prior = PriorMask(mask)
    mask[:] = False
    assert prior.mask.sum() == 3
    with pytest.raises(ValueError, match="read-only"):
        prior.mask[0, 0] = False


def test_prior_masks_compare_by_value():
    one, same = PriorMask(np.eye(3, dtype=bool)), PriorMask(np.eye(3, dtype=np.uint8))
    assert one == same
    assert hash(one) == hash(same)
    assert one != PriorMask(np.eye(3, dtype=bool), (0, 1))
    assert one != PriorMask(np.ones((3, 3), bool))
    assert one != Click((0, 0))


@given(prompts)
def test_json_round_trip(prompt):
    assert prompt_from_json(json.loads(json.dumps(prompt_to_json(prompt)))) == prompt


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param({"type": "lasso"}, "unknown prompt type 'lasso'", id="type"),
        pytest.param({}, "does not describe a prompt", id="empty"),
        pytest.param({"type": "click"}, "position", id="key"),
        pytest.param({"type": "click", "position": None}, "two numbers", id="value"),
        pytest.param(
            {"type": "prior_mask", "shape": [4, 4], "bits": "?"}, "damaged", id="not-base64"
        ),
        pytest.param(
            {"type": "prior_mask", "shape": [4, 4], "bits": "//////8="}, "takes 2 bytes", id="long"
        ),
        pytest.param({"type": "prior_mask", "shape": 4, "bits": ""}, "describe", id="shape"),
    ],
)
def test_bad_json_is_refused(values, says):
    with pytest.raises(PromptError, match=says):
        prompt_from_json(values)
