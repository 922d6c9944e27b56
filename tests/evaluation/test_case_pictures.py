from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.evaluation.case_pictures import FOUND, TRUE, case_rect, draw_case
from napari_pvpu.evaluation.regions import EMPTY_REGION, RegionMask
from napari_pvpu.prompts import Box, Click, Scribble


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        # 40 long, with 15 % more on each side: 52.
        ((50, 60, 90, 80), (0, 0, 0, 0), (44, 44, 96, 96)),
        ((50, 60, 90, 80), (55, 40, 70, 75), (44, 34, 96, 86)),
        # 48 pixels at least, moved into the image.
        ((0, 190, 10, 200), (0, 0, 0, 0), (0, 152, 48, 200)),
        # Four times the object at most, however far the result ran.
        ((50, 80, 80, 110), (0, 0, 150, 200), (-3, 17, 153, 173)),
    ],
    ids=["nothing-found", "found", "corner", "leak"],
)
def test_case_rect(truth, found, expected) -> None:
    assert case_rect(truth, found, (150, 200)) == expected


spans = st.tuples(st.integers(0, 90), st.integers(1, 30))


@given(spans, spans, st.tuples(st.integers(20, 200), st.integers(20, 200)))
def test_the_square_holds_the_object(rows, cols, shape) -> None:
    top, left = min(rows[0], shape[0] - 1), min(cols[0], shape[1] - 1)
    truth = (top, left, min(top + rows[1], shape[0]), min(left + cols[1], shape[1]))
    row0, col0, row1, col1 = case_rect(truth, (0, 0, *shape), shape)
    assert row1 - row0 == col1 - col0 >= 48
    assert row0 <= truth[0] < truth[2] <= row1
    assert col0 <= truth[1] < truth[3] <= col1


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(pixels.astype(int) - colour) < 3).all(axis=2)


def square(row: int, col: int, side: int) -> RegionMask:
    return RegionMask(row, col, np.ones((side, side), bool))


def test_outlines_stand_at_the_edges_of_masks() -> None:
    image = np.full((48, 48), 100, np.uint8)
    image[::7] = 120
    pixels = np.array(draw_case(image, square(10, 12, 20), square(14, 12, 20), [], side=480))
    assert pixels.shape == (480, 480, 3)
    # Ten pixels of the picture for each of the image: edges at 100 and 300, 140 and 340.
    true, found = near(pixels, TRUE), near(pixels, FOUND)
    assert np.flatnonzero(true[:, 220]) == pytest.approx([98, 99, 100, 101, 298, 299, 300, 301])
    assert np.flatnonzero(found[:, 220]) == pytest.approx([139, 140, 339, 340])
    assert not true[150:280, 160:300].any()


def test_nothing_found_is_no_outline() -> None:
    picture = draw_case(np.eye(60), square(20, 20, 9), EMPTY_REGION, [])
    assert not near(np.array(picture), FOUND).any()
    assert near(np.array(picture), TRUE).any()


def test_marks_tell_order_and_polarity() -> None:
    image = np.zeros((48, 48, 3), np.uint8)
    truth = square(4, 4, 4)
    clicks = [Click((30, 12)), Click((30, 36), positive=False)]
    pixels = np.array(draw_case(image, truth, EMPTY_REGION, clicks, side=480)).astype(int)
    green, red = pixels[299, 125], pixels[299, 365]
    assert green[1] > green[0]
    assert red[0] > red[1]
    # A disk leaves the corners of its box free, a square does not.
    corner = (slice(296, 299), slice(356, 359))
    assert pixels[corner][..., 0].min() > 150
    assert pixels[296:299, 116:118].max() == 0


def test_marks_carry_numbers() -> None:
    image = np.zeros((48, 48), np.uint8)
    clicks = [Click((30, 12)), Click((30, 36))]
    pixels = np.array(draw_case(image, square(4, 4, 4), EMPTY_REGION, clicks, side=480))
    one, two = (pixels[295:316, col - 10 : col + 11] for col in (125, 365))
    for mark in (one, two):
        assert mark[6:15, 6:15].min(axis=2).max() > 150  # white within the disk's rim
    assert not np.array_equal(one, two)


def test_boxes_and_scribbles_are_drawn() -> None:
    image = np.zeros((48, 48), np.uint16)
    prompts = [Box((10, 10), (30, 40)), Scribble(((35, 10), (42, 40)), positive=False)]
    pixels = np.array(draw_case(image, square(2, 2, 4), EMPTY_REGION, prompts, side=480))
    assert pixels[305, 250, 1] > 100  # the box's lower edge, green
    assert pixels[250, 250].max() == 0  # it is not filled
    assert pixels[390, 255, 0] > 150  # the scribble's middle, red


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 5])
def test_any_number_of_channels(channels: int | None) -> None:
    shape = (50, 64) if channels is None else (50, 64, channels)
    image = np.random.default_rng(0).normal(size=shape)
    pixels = np.array(draw_case(image, square(20, 30, 6), EMPTY_REGION, []))
    grey = (pixels == pixels[..., :1]).all(axis=2).mean()
    assert (grey > 0.9) == (channels in (None, 1))


def test_what_lies_outside_the_image_is_grey() -> None:
    image = np.tile(np.array([0, 255], np.uint8), (20, 10))
    pixels = np.array(draw_case(image, square(5, 5, 8), EMPTY_REGION, [], side=96))
    # 48 pixels are shown of 20: 14 on each side are not of the image.
    assert (pixels[:24] == 128).all()
    assert (pixels[-24:] == 128).all()
