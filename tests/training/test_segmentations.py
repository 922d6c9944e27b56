from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.evaluation.regions import RegionMask
from napari_pvpu.training.segmentations import (
    cropped,
    decode_polygons,
    decode_rle,
    overlap,
    paint,
)


def text_of_runs(runs: list[int]) -> str:
    """COCO's text, written out from the description of its format."""
    out = ""
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        while True:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            out += chr(48 + bits + (32 if more else 0))
            if not more:
                break
    return out


def test_plain_run_lengths_go_down_the_columns() -> None:
    mask = decode_rle({"size": [3, 4], "counts": [2, 3, 5, 2]})
    np.testing.assert_array_equal(mask, [[0, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 1]])
    assert decode_rle({"size": [2, 2], "counts": [0, 4]}).all()
    assert not decode_rle({"size": [2, 2], "counts": [4]}).any()


def test_text_as_the_reference_implementation_writes_it() -> None:
    """The diagonal of 6 x 7 pixels: runs 0 1 6 1 6 1 ... 6."""
    text = "0160000000000"
    np.testing.assert_array_equal(decode_rle({"size": [6, 7], "counts": text}), np.eye(6, 7) > 0)
    both = decode_rle({"size": [6, 7], "counts": text.encode()})
    np.testing.assert_array_equal(both, np.eye(6, 7) > 0)


@given(runs=st.lists(st.integers(0, 70_000), min_size=1, max_size=12))
def test_text_and_numbers_say_the_same(runs: list[int]) -> None:
    size = [1, sum(runs)]
    plain = decode_rle({"size": size, "counts": runs})
    np.testing.assert_array_equal(decode_rle({"size": size, "counts": text_of_runs(runs)}), plain)
    expected = [index % 2 == 1 for index, run in enumerate(runs) for _ in range(run)]
    assert plain[0].tolist() == expected


def test_polygons_cover_the_pixels_whose_centres_they_hold() -> None:
    # Columns 1 to 3 and rows 2 to 4 whole; half of column 4, to its centre, is not enough.
    region = decode_polygons([[1, 2, 4.4, 2, 4.4, 5, 1, 5]], (8, 9))
    expected = np.zeros((8, 9), bool)
    expected[2:5, 1:4] = True
    np.testing.assert_array_equal(region.crop((0, 0, 8, 9)), expected)


def test_several_polygons_are_one_object_and_slivers_none() -> None:
    parts = [[0, 0, 2, 0, 2, 2, 0, 2], [5, 5, 7, 5, 7, 7, 5, 7], [1, 1, 3, 3]]
    mask = decode_polygons(parts, (8, 9)).crop((0, 0, 8, 9))
    assert np.argwhere(mask).tolist() == [
        [0, 0], [0, 1], [1, 0], [1, 1], [5, 5], [5, 6], [6, 5], [6, 6],
    ]  # fmt: skip
    assert not decode_polygons([[1, 1, 3, 3]], (8, 9)).mask.any()


def test_polygons_are_cut_at_the_image() -> None:
    mask = decode_polygons([[-5, -5, 3, -5, 3, 3, -5, 3]], (8, 9)).crop((-9, -9, 20, 20))
    assert np.argwhere(mask).min() == 9
    assert mask.sum() == 9
    assert not decode_polygons([[20, 20, 30, 20, 30, 30]], (8, 9)).mask.any()


@given(seed=st.integers(0, 10_000))
def test_polygons_against_a_test_of_every_centre(seed: int) -> None:
    """Even-odd rule, one pixel centre at a time; centres on an edge are left open."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-3, 15, (rng.integers(3, 7), 2))
    region = decode_polygons([points.ravel().tolist()], (11, 13))
    for row in range(11):
        for col in range(13):
            y, x = row + 0.5, col + 0.5
            inside = False
            for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
                if (y0 > y) != (y1 > y):
                    inside ^= bool(x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
            found = region.crop((row, col, row + 1, col + 1))[0, 0]
            assert found == inside


def test_smaller_ones_are_painted_over_larger_ones() -> None:
    objects = [
        RegionMask(1, 1, np.ones((2, 2), bool)),
        RegionMask(0, 0, np.ones((4, 5), bool)),
        RegionMask(2, 2, np.ones((2, 2), bool)),
    ]
    expected = [[1, 1, 1, 1, 1], [1, 2, 2, 1, 1], [1, 2, 3, 3, 1], [1, 1, 3, 3, 1]]
    np.testing.assert_array_equal(paint(objects, (4, 5)), expected)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 4, 4), (0, 0, 4, 4), 1.0),
        ((0, 0, 4, 4), (0, 2, 4, 4), 8 / 24),
        ((0, 0, 4, 4), (4, 0, 4, 4), 0.0),
        ((0, 0, 4, 4), (1, 1, 2, 2), 0.25),
    ],
    ids=["same", "half", "beside", "inside"],
)
def test_overlap(first, second, expected) -> None:
    one, two = (RegionMask(r, c, np.ones((h, w), bool)) for r, c, h, w in (first, second))
    assert overlap(one, two) == overlap(two, one) == pytest.approx(expected)


def test_cropped() -> None:
    mask = np.zeros((6, 7), bool)
    mask[2:4, 3:6] = True
    region = cropped(mask)
    assert region.rect == (2, 3, 4, 6)
    assert not cropped(mask & False).mask.any()
