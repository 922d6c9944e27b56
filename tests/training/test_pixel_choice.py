"""Depth, growth and random pixels of masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_pvpu.training.draws import Draws, draw_index
from napari_pvpu.training.pixel_choice import choose_pixels, depth_map, dilate, grow, values_at


def mask(*rows: str) -> torch.Tensor:
    """One mask, of which ``#`` are the pixels."""
    return torch.tensor([[[pixel == "#" for pixel in row] for row in rows]])


@st.composite
def masks(draw: st.DrawFn) -> torch.Tensor:
    seed, share = draw(st.integers(0, 10_000)), draw(st.floats(0.1, 0.95))
    return torch.rand(3, 12, 9, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize(
    ("framed", "expected"),
    [(True, [[1, 1, 1, 0], [1, 2, 1, 0], [1, 1, 1, 0]]), (False, [[3, 2, 1, 0]] * 3)],
    ids=["framed", "open"],
)
def test_the_border_of_the_picture_may_count_as_outside(framed, expected) -> None:
    got = depth_map(mask("###.", "###.", "###."), framed=framed)
    assert got[0].tolist() == expected


@given(values=masks())
@settings(max_examples=30, deadline=None)
def test_depth_is_the_chessboard_distance_to_the_outside(values: torch.Tensor) -> None:
    for value, depth in zip(values.numpy(), depth_map(values), strict=True):
        padded = np.pad(value, 1)
        expected = ndimage.distance_transform_cdt(padded, "chessboard")[1:-1, 1:-1]
        np.testing.assert_array_equal(depth.numpy(), expected)


def test_all_that_is_deep_counts_alike() -> None:
    assert depth_map(torch.ones(1, 41, 41, dtype=torch.bool)).amax() == 13


@given(values=masks(), times=st.integers(0, 4))
@settings(max_examples=20, deadline=None)
def test_dilation_is_that_of_scipy(values: torch.Tensor, times: int) -> None:
    for value, wide in zip(values.numpy(), dilate(values, times), strict=True):
        expected = (
            ndimage.binary_dilation(value, np.ones((3, 3)), iterations=times) if times else value
        )
        np.testing.assert_array_equal(wide.numpy(), expected)


def test_growth_stays_in_the_piece_it_began_in() -> None:
    within = mask("##.#", "#..#", "#..#")
    seed = mask("....", "....", "#...")
    assert grow(seed, within, 1).equal(mask("....", "#...", "#..."))
    assert grow(seed, within, 9).equal(mask("##..", "#...", "#..."))
    assert not grow(mask("..#.", "....", "...."), within, 9).any()


@given(threshold=st.floats(0, 1), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_chosen_pixels_are_as_deep_as_asked(threshold: float, seed: int) -> None:
    depth = torch.tensor([[[0, 1, 2], [3, 0, 4]], [[0, 0, 0], [0, 5, 1]]]).float()
    pixel = choose_pixels(depth, torch.full((2,), threshold), torch.Generator().manual_seed(seed))
    for d, (row, col) in zip(depth, pixel.tolist(), strict=True):
        assert d[row, col] > 0
        assert d[row, col] >= threshold * d.max()


@pytest.mark.parametrize(
    ("ceiling", "expected"), [(1.0, {1.0}), (3.0, {1.0, 3.0}), (0.5, {1.0, 3.0, 4.0})]
)
def test_a_ceiling_holds_where_it_leaves_any(ceiling: float, expected: set[float]) -> None:
    depth = torch.tensor([[0.0, 1.0], [3.0, 4.0]]).expand(64, 2, 2)
    pixel = choose_pixels(
        depth, torch.zeros(64), torch.Generator().manual_seed(0), torch.full((64,), ceiling)
    )
    assert {float(depth[0, row, col]) for row, col in pixel.tolist()} == expected


def test_values_are_those_of_the_nearest_pixels() -> None:
    maps = torch.tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    position = torch.tensor([[[0.0, 0.6], [9.0, -3.0]], [[1.2, 0.9], [0.4, 0.4]]])
    assert values_at(maps, position).tolist() == [[2, 3], [8, 5]]
    assert values_at(maps, position[:, 0]).tolist() == [2, 8]


@given(
    chances=st.lists(st.floats(0, 1), min_size=2, max_size=5).filter(lambda c: sum(c) > 0.1),
)
@settings(max_examples=30, deadline=None)
def test_indices_come_with_their_chances(chances: list[float]) -> None:
    uniform = (torch.arange(4000) + 0.5) / 4000
    share = torch.bincount(draw_index(uniform, tuple(chances)), minlength=len(chances)) / 4000
    expected = torch.tensor(chances) / sum(chances)
    torch.testing.assert_close(share, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.8, 1.0])
def test_some_are_chosen_as_often_as_asked(chance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    draws, like = Draws(generator, generator), torch.zeros(20)
    chosen = [draws.some(chance, like) for _ in range(1500)]
    share = sum(0.0 if c is None else float(c.float().mean()) for c in chosen) / 1500
    assert share == pytest.approx(chance, abs=0.03)


def test_nobody_is_chosen_without_a_chance_and_nothing_is_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert Draws(generator, generator).some(0.0, torch.zeros(3)) is None
    assert torch.equal(generator.get_state(), before)
