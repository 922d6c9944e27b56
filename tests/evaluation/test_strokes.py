from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_pvpu.evaluation.strokes import box_around, longest_path, scribble_within


@given(
    row=st.integers(0, 90),
    col=st.integers(0, 60),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    seed=st.integers(0, 999),
)
def test_a_box_is_off_by_a_tenth_of_its_side_at_most(row, col, height, width, seed) -> None:
    shape = (100, 70)
    rect = (row, col, min(row + height, 100), min(col + width, 70))
    start, stop = box_around(rect, shape, np.random.default_rng(seed))
    for axis in (0, 1):
        side = rect[axis + 2] - rect[axis]
        # Half a pixel more where the box was cut by the image or widened to a whole pixel.
        assert abs(start[axis] - (rect[axis] - 0.5)) <= 0.1 * side + 0.5
        assert abs(stop[axis] - (rect[axis + 2] - 0.5)) <= 0.1 * side + 0.5
        assert 0 <= start[axis] < stop[axis] <= shape[axis] - 1


def test_noise_on_large_boxes_is_limited_to_twenty_pixels() -> None:
    rng = np.random.default_rng(0)
    starts = [box_around((500, 500, 1500, 1500), (2000, 2000), rng)[0] for _ in range(200)]
    off = np.array(starts) - 499.5
    assert np.abs(off).max() <= 20
    assert np.abs(off).max() > 15
    assert off.min() < 0 < off.max()


def test_longest_path_of_a_cross_leaves_out_the_short_arms() -> None:
    skeleton = np.zeros((9, 20), bool)
    skeleton[4, 1:19] = True
    skeleton[2:7, 10] = True
    path = longest_path(skeleton)
    np.testing.assert_array_equal(np.sort(path[:, 1]), np.arange(1, 19))
    assert set(path[:, 0]) == {4}


def test_longest_path_takes_the_largest_piece() -> None:
    skeleton = np.zeros((9, 20), bool)
    skeleton[1, 1:4] = True
    skeleton[7, 5:12] = True
    assert set(longest_path(skeleton)[:, 0]) == {7}


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1)])
def test_longest_path_of_a_dot_or_nothing(count: int, expected: int) -> None:
    skeleton = np.zeros((3, 3), bool)
    skeleton.flat[:count] = True
    assert len(longest_path(skeleton)) == expected


def random_part(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(48, 64))
    parts, count = ndimage.label(ndimage.gaussian_filter(noise, 3) > 0, np.ones((3, 3)))
    return parts == 1 + seed % count


@given(seed=st.integers(0, 500))
def test_scribbles_stay_inside_and_have_two_points(seed: int) -> None:
    part = random_part(seed)
    path = scribble_within(part, np.random.default_rng(seed))
    if path is None:
        assert part.sum() < 9
        return
    rows, cols = np.rint(path).astype(int).T
    assert part[rows, cols].all()
    assert len(np.unique(path, axis=0)) >= 2


def test_a_scribble_is_not_longer_than_its_arc() -> None:
    part = np.zeros((20, 400), bool)
    part[5:15, 5:395] = True
    lengths = []
    for seed in range(10):
        path = scribble_within(part, np.random.default_rng(seed))
        assert path is not None
        lengths.append(np.ptp(path[:, 1]))
    assert max(lengths) <= 64 + 2 * 2
    assert min(lengths) >= 50


def test_a_disk_gets_a_stroke_through_its_middle() -> None:
    row, col = np.mgrid[:41, :41]
    part = np.hypot(row - 20, col - 20) < 15
    path = scribble_within(part, np.random.default_rng(1))
    assert path is not None
    assert np.linalg.norm(path[-1] - path[0]) > 5
    assert np.linalg.norm(path.mean(axis=0) - 20) < 4


def test_one_pixel_is_too_small_for_a_scribble() -> None:
    part = np.zeros((5, 5), bool)
    part[2, 2] = True
    assert scribble_within(part, np.random.default_rng(0)) is None
