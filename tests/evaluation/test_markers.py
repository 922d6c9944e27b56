from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.evaluation.markers import (
    BACKGROUND,
    OBJECT,
    candidate_windows,
    make_window,
)
from napari_pvpu.evaluation.regions import EMPTY_REGION, RegionMask
from napari_pvpu.prompts import Box, Click, Scribble

IMAGE = np.linspace(0, 1, 500 * 600, dtype=np.float32).reshape(500, 600, 1)


def test_one_click_tries_windows_of_all_sizes_around_it() -> None:
    windows = candidate_windows([Click((250, 300))], (500, 600))
    assert [rect[2] - rect[0] for rect in windows] == [25, 49, 97, 193, 385]
    assert all((r0 + r1 - 1) / 2 == 250 for r0, _, r1, _ in windows)
    assert all((c0 + c1 - 1) / 2 == 300 for _, c0, _, c1 in windows)


def test_windows_hold_negative_clicks_too() -> None:
    windows = candidate_windows([Click((250, 300)), Click((250, 340), False)], (500, 600))
    assert [rect[2] - rect[0] for rect in windows] == [97, 193, 385]


def test_far_apart_clicks_get_one_large_window() -> None:
    ((top, left, bottom, right),) = candidate_windows(
        [Click((10, 10)), Click((480, 590))], (500, 600)
    )
    assert (top, left, bottom, right) == (0, 0, 500, 600)


def test_a_box_is_one_window_with_a_margin() -> None:
    windows = candidate_windows([Box((100, 200), (140, 280))], (500, 600))
    assert windows == [(90, 180, 151, 301)]


def test_windows_are_cut_at_the_image() -> None:
    windows = candidate_windows([Click((2, 3))], (500, 600))
    assert all(rect[0] == 0 and rect[1] == 0 for rect in windows)


def test_free_edges_are_background_and_clicks_are_dots() -> None:
    window = make_window(
        IMAGE, (0, 50, 40, 90), [Click((20, 60)), Click((30, 80), False)], EMPTY_REGION
    )
    markers = window.markers
    assert (markers[-1] == BACKGROUND).all()
    assert (markers[:, [0, -1]] == BACKGROUND).all()
    assert (markers[0, 1:-1] == 0).all()  # on the image's border
    assert markers[20, 10] == OBJECT
    assert markers[30, 30] == BACKGROUND
    assert (markers == OBJECT).sum() == 9


def test_a_window_over_the_whole_image_has_background_edges() -> None:
    image = np.zeros((20, 30, 1), np.float32)
    window = make_window(image, (0, 0, 20, 30), [Click((10, 10))], EMPTY_REGION)
    assert (window.markers[0] == BACKGROUND).all()


def test_outside_a_box_is_background_and_its_middle_is_object() -> None:
    window = make_window(IMAGE, (90, 180, 151, 301), [Box((100, 200), (140, 280))], EMPTY_REGION)
    assert (window.markers[:9] == BACKGROUND).all()
    assert window.markers[30, 60] == OBJECT
    assert (window.markers == OBJECT).sum() == 11 * 21
    assert window.markers[30, 25] == 0


def test_a_click_in_a_box_replaces_its_middle() -> None:
    prompts = [Box((100, 200), (140, 280)), Click((110, 210))]
    window = make_window(IMAGE, (90, 180, 151, 301), prompts, EMPTY_REGION)
    assert window.markers[30, 60] == 0
    assert window.markers[20, 30] == OBJECT


def test_scribbles_are_lines() -> None:
    scribble = Scribble([(20.0, 10.0), (20.0, 30.0)])
    window = make_window(IMAGE, (0, 0, 40, 40), [scribble], EMPTY_REGION)
    assert (window.markers[20, 10:31] == OBJECT).all()


def test_later_prompts_overrule_earlier_ones() -> None:
    prompts = [Click((20, 20)), Click((20, 20), False)]
    window = make_window(IMAGE, (0, 0, 40, 40), prompts, EMPTY_REGION)
    assert not (window.markers == OBJECT).any()


@pytest.mark.parametrize("side", [128, 129, 300])
def test_large_windows_are_reduced_and_masks_come_back_in_place(side: int) -> None:
    rect = (10, 20, 10 + side, 20 + side)
    before = RegionMask(12, 25, np.ones((60, 50), bool))
    window = make_window(IMAGE, rect, [Click((100.0, 120.0))], before)
    assert window.step == -(-side // 128)
    assert max(window.markers.shape) <= 128
    np.testing.assert_allclose(
        window.image.mean(), IMAGE[10 : 10 + side, 20 : 20 + side].mean(), atol=0.01
    )
    back = window.to_region(window.previous)
    assert back.rect == rect
    off = back.crop(rect) ^ before.crop(rect)
    assert off.mean() <= (window.step - 1) * 0.01
    dots = np.argwhere(window.to_region(window.markers == OBJECT).mask) + np.array([10, 20])
    np.testing.assert_allclose(dots.mean(axis=0), (100, 120), atol=window.step / 2)
