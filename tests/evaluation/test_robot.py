from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.metrics import iou
from napari_pvpu.evaluation.regions import EMPTY_REGION, RegionMask
from napari_pvpu.evaluation.robot import Robot, deepest_pixel, find_error
from napari_pvpu.prompts import Box, Click, Scribble


def whole_image_click(prediction, target, valid, clicked):
    """RITM's clicker as papers describe it, without any cropping."""
    depths = []
    for wrong in (target & ~prediction & valid, ~target & prediction & valid):
        depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
        depth[clicked] = 0
        depths.append(depth)
    positive = depths[0].max() > depths[1].max()
    depth = depths[0] if positive else depths[1]
    if depth.max() == 0:
        return None
    row, col = np.argwhere(depth == depth.max())[0]
    return (float(row), float(col)), bool(positive)


def blobs(rng: np.random.Generator, shape=(37, 53)) -> np.ndarray:
    return ndimage.gaussian_filter(rng.normal(size=shape), 2.5) > 0.02


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_a_whole_series_of_clicks_is_that_of_whole_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, valid = blobs(rng), rng.random((37, 53)) > 0.1
    clicked = np.zeros(target.shape, bool)
    robot = Robot(target, valid)
    for _ in range(5):
        prediction = blobs(rng)
        expected = whole_image_click(prediction, target, valid, clicked)
        prompt = robot.next_prompt(RegionMask(0, 0, prediction))
        if expected is None:
            assert prompt is None
            return
        assert isinstance(prompt, Click)
        assert (prompt.position, prompt.positive) == expected
        clicked[int(prompt.position[0]), int(prompt.position[1])] = True


def test_the_first_click_is_the_middle_of_the_object() -> None:
    target = np.zeros((20, 30), bool)
    target[4:13, 6:15] = True
    assert Robot(target).next_prompt(EMPTY_REGION) == Click((8.0, 10.0), True)


def test_ties_are_negative() -> None:
    missing, surplus = np.zeros((2, 9, 20), bool)
    missing[2:5, 2:5] = True
    surplus[2:5, 12:15] = True
    error = find_error(missing, surplus)
    assert error is not None
    assert not error.positive
    assert error.position == (3, 13)


def test_the_first_of_equally_deep_pixels_is_taken() -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:5, 1:7] = True
    assert deepest_pixel(mask) == (2.0, (2, 2))


def test_the_image_border_counts_as_outside() -> None:
    assert deepest_pixel(np.ones((5, 5), bool)) == (3.0, (2, 2))


def test_clicked_pixels_are_not_clicked_again() -> None:
    mask = np.zeros((3, 5), bool)
    mask[1, 1:4] = True
    assert deepest_pixel(mask, np.array([[1, 1]])) == (1.0, (1, 2))
    assert deepest_pixel(mask, np.array([[1, 1], [1, 2], [1, 3]]))[0] == 0


def test_nothing_wrong_gives_no_prompt() -> None:
    target = np.zeros((8, 8), bool)
    target[2:5, 2:5] = True
    robot = Robot(target)
    assert robot.next_prompt(RegionMask(2, 2, np.ones((3, 3), bool))) is None


def test_what_is_ignored_is_neither_corrected_nor_scored() -> None:
    target = np.zeros((10, 20), bool)
    target[2:8, 2:8] = True
    valid = np.ones((10, 20), bool)
    valid[:, 10:] = False
    prediction = target.copy()
    prediction[:, 10:] = True
    robot = Robot(target, valid)
    assert robot.next_prompt(RegionMask(0, 0, prediction)) is None
    assert robot.iou(RegionMask(0, 0, prediction)) == 1.0


@given(seed=st.integers(0, 500))
def test_iou_is_that_of_the_metric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, prediction, valid = blobs(rng), blobs(rng), rng.random((37, 53)) > 0.2
    region = RegionMask(0, 0, prediction)
    assert Robot(target, valid).iou(region) == pytest.approx(iou(prediction, target, valid))


def test_box_first_then_clicks() -> None:
    target = np.zeros((60, 80), bool)
    target[10:30, 20:60] = True
    robot = Robot(target, mode="box", seed=1)
    box = robot.next_prompt(EMPTY_REGION)
    assert isinstance(box, Box)
    assert box.positive
    np.testing.assert_allclose(box.start, (9.5, 19.5), atol=4)
    np.testing.assert_allclose(box.stop, (29.5, 59.5), atol=4)
    assert isinstance(robot.next_prompt(EMPTY_REGION), Click)


def test_scribble_first_lies_on_the_object() -> None:
    target = np.zeros((60, 80), bool)
    target[10:30, 20:60] = True
    scribble = Robot(target, mode="scribble", seed=1).next_prompt(EMPTY_REGION)
    assert isinstance(scribble, Scribble)
    rows, cols = np.rint(scribble.path).astype(int).T
    assert target[rows, cols].all()


def test_a_scribble_on_a_single_pixel_becomes_a_click() -> None:
    target = np.zeros((9, 9), bool)
    target[4, 4] = True
    prompt = Robot(target, mode="scribble").next_prompt(EMPTY_REGION)
    assert prompt == Click((4.0, 4.0), True)


def test_mixed_uses_all_kinds_and_repeats_by_its_seed() -> None:
    target = np.zeros((60, 80), bool)
    target[10:40, 20:60] = True

    def prompts(seed: int) -> list:
        robot = Robot(target, mode="mixed", seed=seed)
        return [robot.next_prompt(EMPTY_REGION) for _ in range(12)]

    assert {type(prompt) for prompt in prompts(6)} == {Click, Box, Scribble}
    assert prompts(6) == prompts(6)
    assert prompts(6) != prompts(7)


def test_no_box_around_a_thin_ring_that_would_hold_more_right_than_wrong() -> None:
    target = np.zeros((60, 60), bool)
    target[20:40, 20:40] = True
    wide = np.zeros((60, 60), bool)
    wide[17:43, 17:43] = True
    kinds = set()
    for seed in range(20):
        robot = Robot(target, mode="mixed", seed=seed)
        robot.next_prompt(EMPTY_REGION)
        prompt = robot.next_prompt(RegionMask(0, 0, wide))
        assert prompt is not None
        assert not prompt.positive
        kinds.add(type(prompt))
    assert kinds == {Click, Scribble}


def test_jitter_moves_clicks_but_keeps_their_side() -> None:
    target = np.zeros((60, 60), bool)
    target[20:40, 20:40] = True
    exact = Robot(target).next_prompt(EMPTY_REGION)
    assert isinstance(exact, Click)
    off = []
    for seed in range(30):
        click = Robot(target, seed=seed, jitter=3).next_prompt(EMPTY_REGION)
        assert isinstance(click, Click)
        assert target[int(click.position[0]), int(click.position[1])]
        off.append(np.subtract(click.position, exact.position))
    assert 1 < np.abs(off).max() <= 3


@pytest.mark.parametrize("options", [{"mode": "lasso"}, {"jitter": -1.0}], ids=["mode", "jitter"])
def test_wrong_options(options) -> None:
    with pytest.raises(PvpuError):
        Robot(np.ones((3, 3), bool), **options)


def test_a_click_in_a_large_image_costs_what_the_object_costs() -> None:
    target = np.zeros((3000, 3000), bool)
    row, col = np.mgrid[-50:50, -50:50]
    target[1450:1550, 1450:1550] = np.hypot(row, col) < 48
    prediction = RegionMask(1460, 1460, target[1460:1560, 1460:1560])
    robot = Robot(target)
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        robot.next_prompt(prediction)
        times.append(time.perf_counter() - begin)
    assert np.median(times) < 0.02  # about 0.0005; a whole-image transform takes half a second
