"""Outlines along pixel edges."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given

from label_images import CASES, masks
from napari_pvpu.export.label_image import objects_in_plane
from napari_pvpu.export.outlines import fill, outlines, paint, without_holes

SQUARE = [[True, True], [True, True]]


def rings(mask) -> list[list[list[list[int]]]]:
    return [[ring.tolist() for ring in part.rings] for part in outlines(np.array(mask, bool))]


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        pytest.param([[1]], [[[[0, 0], [0, 1], [1, 1], [1, 0]]]], id="one pixel"),
        pytest.param([[0, 0]], [], id="nothing"),
        pytest.param(
            [[1, 1], [1, 0]],
            [[[[0, 0], [0, 2], [1, 2], [1, 1], [2, 1], [2, 0]]]],
            id="an L has a corner at each turn only",
        ),
        pytest.param(
            [[1, 0], [0, 1]],
            [[[[0, 0], [0, 1], [1, 1], [1, 0]]], [[[1, 1], [1, 2], [2, 2], [2, 1]]]],
            id="pixels that touch by a corner are two parts",
        ),
        pytest.param(
            [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
            [[[[0, 0], [0, 3], [3, 3], [3, 0]], [[1, 1], [2, 1], [2, 2], [1, 2]]]],
            id="a hole runs the other way round",
        ),
    ],
)
def test_corners(mask, expected) -> None:
    assert rings(mask) == expected


def test_origin_moves_the_corners() -> None:
    (part,) = outlines(np.ones((1, 1), bool), (10, 20))
    assert part.shell.tolist() == [[10, 20], [10, 21], [11, 21], [11, 20]]


def check(mask: np.ndarray) -> None:
    for found in (outlines(mask), without_holes(mask)):
        covered = np.zeros(mask.shape, int)
        for part in found:
            polygon = shapely.Polygon(part.shell, part.holes)
            assert polygon.is_valid, shapely.is_valid_reason(polygon)
            own = np.zeros(mask.shape, int)
            paint(own, part.rings, 1)
            assert polygon.area == own.sum()
            covered += own
        assert np.array_equal(covered, mask)  # all of it, and each pixel once


@given(masks())
def test_polygons_are_valid_and_hold_just_the_mask(mask: np.ndarray) -> None:
    check(mask)
    assert not any(part.holes for part in without_holes(mask))


@pytest.mark.parametrize("labels", CASES.values(), ids=CASES)
def test_polygons_of_hard_cases(labels: list[list[int]]) -> None:
    for _, mask, _ in objects_in_plane(np.array(labels, np.uint32)):
        check(mask)


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        pytest.param([(0.6, 0.6), (0.6, 2.6), (2.6, 2.6), (2.6, 0.6)], [(1, 1), (1, 2), (2, 1),
                     (2, 2)], id="pixels whose centre is inside"),
        pytest.param([(0, 0), (0, 4), (4, 0)], [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)],
                     id="half of a square"),
        pytest.param([(-5, -5), (-5, 1), (1, 1), (1, -5)], [(0, 0)], id="outside is left out"),
        pytest.param([(9, 9), (9, 12), (12, 12)], [], id="all outside"),
        pytest.param([(0, 0), (3, 3)], [], id="a line has no area"),
    ],
)  # fmt: skip
def test_fill_goes_by_pixel_centres(corners, expected) -> None:
    mask, (row, col) = fill([np.array(corners)], (4, 4))
    assert [(r + row, c + col) for r, c in np.argwhere(mask).tolist()] == expected


def test_fill_is_even_odd() -> None:
    outer = np.array([(0, 0), (0, 4), (4, 4), (4, 0)])
    mask, _ = fill([outer, outer[::-1] / 4 + 1, outer], (4, 4))
    assert np.argwhere(mask).tolist() == [[1, 1]]
