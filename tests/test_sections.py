"""Sections across the planes of an image: where they lie, and what is read of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.errors import ImageError
from napari_pvpu.prompts import Box, Click
from napari_pvpu.sections import SHOWN, Grid
from napari_pvpu.source import ImageSource
from napari_pvpu.view_choice import first_views
from napari_pvpu.views import View

ZYX = Grid("ZYX", (3, 4, 5))
TZYX = Grid("TZYX", (2, 3, 4, 5))


@pytest.mark.parametrize(
    ("grid", "positions", "address", "shape", "fixed"),
    [
        pytest.param(ZYX, {"Z": 2}, (2,), (4, 5), "Z", id="own plane"),
        pytest.param(ZYX, {"Y": 3}, (-1, 3, -1), (3, 5), "Y", id="ZX"),
        pytest.param(ZYX, {"X": 4}, (-1, -1, 4), (3, 4), "X", id="ZY"),
        pytest.param(TZYX, {"T": 1, "Y": 0}, (1, -1, 0, -1), (3, 5), "TY", id="ZX of a frame"),
        pytest.param(TZYX, {"Y": 2, "X": 3}, (-1, -1, 2, 3), (2, 3), "YX", id="TZ"),
        pytest.param(Grid("YX", (4, 5)), {}, (), (4, 5), "", id="one plane"),
    ],
)
def test_planes_are_told_by_the_axes_they_cut(grid, positions, address, shape, fixed) -> None:
    assert grid.address(positions) == address
    assert grid.shape(address) == shape
    assert grid.fixed_axes(address) == fixed
    assert grid.check(grid.whole(address)) == address


@pytest.mark.parametrize(
    "plane",
    [(3,), (-1,), (0, 0), (0, 1, 2), (-1, 4, -1), (-1, -1, -1), (-2, 1, -1), (-1, -1), 3, "a"],
)
def test_what_is_no_plane_is_refused(plane) -> None:
    with pytest.raises(ImageError, match="plane"):
        ZYX.check(plane)


def test_axes_that_are_not_there_are_refused() -> None:
    with pytest.raises(ImageError, match="Z, Y, X"):
        ZYX.address({"T": 1})
    with pytest.raises(ImageError, match="along 1 of them"):
        ZYX.address({"Z": 1, "Y": 1})


@given(st.data())
def test_a_part_of_a_section_is_the_lines_that_it_is_taken_apart_into(data) -> None:
    grid = data.draw(st.sampled_from([ZYX, TZYX]))
    count = len(grid.axes)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count) if i < grid.depth]
    shown = data.draw(st.sampled_from(pairs))
    section = tuple(
        SHOWN if axis in shown else data.draw(st.integers(0, length - 1))
        for axis, length in enumerate(grid.lengths)
    )
    rows, cols = grid.shape(section)
    row0, col0 = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    box = (
        row0,
        col0,
        data.draw(st.integers(row0 + 1, rows)),
        data.draw(st.integers(col0 + 1, cols)),
    )
    array = np.arange(np.prod(grid.lengths)).reshape(grid.lengths)
    part = array[grid.window(section, box)]
    assert part.shape == (box[2] - box[0], box[3] - box[1])
    covered = np.zeros(part.shape, int)
    for plane, line, where in grid.own_windows(section, box):
        there = array[plane][line[0] : line[2], line[1] : line[3]]
        np.testing.assert_array_equal(there.ravel(), part[where].ravel())
        covered[where] += 1
        crossed = grid.crossing(section, plane, box)
        assert crossed is not None
        np.testing.assert_array_equal(part[crossed], part[where])
    assert (covered == 1).all()


def test_the_part_of_a_section_that_boxes_reach_into() -> None:
    boxes = {(0,): (1, 2, 3, 4), (2,): (2, 0, 4, 3)}
    assert ZYX.section_box((-1, 2, -1), boxes) == (0, 0, 3, 4)
    assert ZYX.section_box((-1, 1, -1), boxes) == (0, 2, 1, 4)
    assert ZYX.section_box((-1, -1, 3), boxes) == (0, 1, 1, 3)
    assert ZYX.section_box((-1, 0, -1), boxes) is None


def test_sections_are_read_through_views() -> None:
    image = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    source = ImageSource(image, axes="ZYX", limits=(0, 24))
    view = View(0, 0, 4, 4)
    along_zx = source.at((-1, 1, -1))
    assert along_zx.shape == (2, 4)
    np.testing.assert_allclose(along_zx.read_view(view)[0, :2] * 24, image[:, 1], atol=1e-5)
    assert np.isnan(along_zx.read_view(view)[0, 2:]).all()
    along_zy = source.at((-1, -1, 3)).read_view(view)
    np.testing.assert_allclose(along_zy[0, :2, :3] * 24, image[:, :, 3], atol=1e-5)
    tokens = {source.at(plane).token for plane in [(1,), (-1, 1, -1), (-1, -1, 1)]}
    assert len(tokens) == 3
    assert source.at((-1, 1, -1)).token == along_zx.token


def test_sections_of_channels_last_and_of_a_pyramid() -> None:
    rng = np.random.default_rng(0)
    fine = rng.random((6, 8, 8, 2)).astype(np.float32)
    coarse = fine.reshape(6, 4, 2, 4, 2, 2).mean(axis=(2, 4))
    source = ImageSource([fine, coarse], axes="ZYXC", limits=(0, 1))
    section = source.at((-1, 5, -1))
    assert section.shape == (6, 8)
    seen = section.read_view(View(0, 0, 8, 8))
    np.testing.assert_allclose(seen[:2, :6], fine[:, 5].transpose(2, 0, 1), atol=1e-6)
    small = section.read_view(View(0, 0, 16, 4))
    assert small.shape == (3, 4, 4)


def test_a_section_is_shown_as_high_as_it_is_in_the_world() -> None:
    image = np.zeros((4, 5, 16), np.float32)
    image[2] = 1
    source = ImageSource(image, axes="ZYX", limits=(0, 1)).spaced((4, 1, 1))
    assert source.at((1,)).aspect == 1, "the image's own planes are seen pixel by pixel"
    section = source.at((-1, 2, -1))
    assert (section.shape, section.aspect) == ((4, 16), 4)
    seen = section.read_view(View(0, 0, 16, 16, 4.0))[0]
    assert not np.isnan(seen).any(), "four rows of four pixels fill the view"
    assert seen[:, 3].argmax() in (9, 10)
    np.testing.assert_allclose(seen[[9, 10], 0], 0.875)
    np.testing.assert_allclose(seen[:6], 0, atol=1e-6)


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, float("nan")), (-1, 1, 1)])
def test_spacing_has_to_fit(spacing) -> None:
    with pytest.raises(ImageError, match="spacing"):
        ImageSource(np.eye(3)[None].repeat(9, 0), axes="ZYX").spaced(spacing)


def test_views_of_high_pixels_are_squares_of_the_world() -> None:
    view = View(2, 10, 64, 128, 4.0)
    assert view.box == (2, 10, 18, 74)
    assert view.spacing == (0.125, 0.5)
    np.testing.assert_allclose(view.to_data(view.to_view((7.3, 20.1))), (7.3, 20.1))
    assert view.contains((2, 10, 17, 73))
    assert not view.contains((2, 10, 18, 73))
    box = Box((5, 100), (14, 139))  # as high as wide
    (found,) = first_views([box], (30, 400), 128, aspect=4.0)
    assert found.aspect == 4
    assert found.extent == first_views([Box((50, 100), (89, 139))], (400, 400), 128)[0].extent
    assert found.contains(box.bounds)
    assert all(
        v.contains((3, 3, 3, 3)) for v in first_views([Click((3, 3))], (9, 500), 128, aspect=9)
    )
