"""Scribbles of every style lie where they should."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.training.habits import EXACT, UserHabits
from napari_pvpu.training.pixel_choice import depth_map, values_at
from napari_pvpu.training.simulated_strokes import (
    BENT,
    CENTRE,
    CONTOUR,
    POINTS,
    STRAIGHT,
    ZIGZAG,
    Ground,
    Strokes,
    draw_strokes,
)

SIZE = 64
STYLES = {
    "bent": BENT,
    "straight": STRAIGHT,
    "centre": CENTRE,
    "contour": CONTOUR,
    "zigzag": ZIGZAG,
}


def ground(mask: torch.Tensor, count: int, image: torch.Tensor | None = None) -> Ground:
    region = mask.expand(count, -1, -1)
    if image is not None:
        image = image.expand(count, -1, -1)
    return Ground(region, depth_map(region[:, ::2, ::2]), (0, 0), image)


def block(top: int, left: int, bottom: int, right: int) -> torch.Tensor:
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def disk(radius: int) -> torch.Tensor:
    axis = torch.arange(SIZE) - 32
    return axis[:, None] ** 2 + axis**2 <= radius * radius


def bow() -> torch.Tensor:
    """Half a ring, 9 pixels wide."""
    axis = torch.arange(SIZE) - 32
    distance = (axis[:, None] ** 2 + axis**2).float().sqrt()
    return (distance > 16) & (distance < 25) & (axis[:, None] < 0)


def strokes(
    mask: torch.Tensor,
    start: tuple[float, float],
    style: int,
    habits: UserHabits = EXACT,
    count: int = 40,
    seed: int = 0,
) -> Strokes:
    return draw_strokes(
        torch.tensor([start]).expand(count, 2),
        ground(mask, count),
        torch.full((count,), style),
        habits,
        torch.Generator().manual_seed(seed),
        guided=style >= CENTRE,
    )


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@given(seed=st.integers(0, 1000), thick=st.floats(0, 1), shaky=st.floats(0, 1))
@settings(max_examples=10, deadline=None)
def test_strokes_stay_in_their_region(style: int, seed: int, thick: float, shaky: float) -> None:
    habits = replace(EXACT, thick=thick, shaky=shaky)
    for mask, start in ((disk(14), (32, 32)), (bow(), (12, 32)), (block(10, 8, 14, 60), (12, 20))):
        points, valid = strokes(mask, start, style, habits, 8, seed)
        assert points.shape == (8, POINTS, 2)
        assert points.isfinite().all()
        assert values_at(mask.expand(8, -1, -1), points)[valid].all()
        # One run of points, of which the first pixel is one.
        assert valid[:, POINTS // 2 - 1].all()
        assert (valid.int().diff(dim=1).abs().sum(1) <= 2).all()


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_points_follow_each_other_closely(style: int) -> None:
    points, valid = strokes(disk(20), (32, 32), style)
    both = valid[:, 1:] & valid[:, :-1]
    assert (points.diff(dim=1).norm(dim=-1)[both] < 2.01).all()
    assert (valid.sum(1) >= 3).all()


def test_nobody_draws_across_a_slit() -> None:
    mask = block(20, 10, 44, 31) | block(20, 32, 44, 54)
    points, valid = strokes(mask, (32, 29), BENT, count=400)
    columns = points[..., 1][valid]
    assert float(columns.amax()) < 31
    assert float(columns.amin()) < 20


def test_straight_lines_mostly_go_the_long_way() -> None:
    points, valid = strokes(block(24, 4, 40, 60), (32, 32), STRAIGHT, count=200)
    extent = points.masked_fill(~valid[..., None], 32.0)
    wide = extent[..., 1].amax(1) - extent[..., 1].amin(1)
    tall = extent[..., 0].amax(1) - extent[..., 0].amin(1)
    assert 0.6 < float((wide > 2 * tall).float().mean()) < 0.95


def test_bent_lines_go_anywhere() -> None:
    points, _ = strokes(disk(25), (32, 32), BENT, count=400)
    step = points[:, POINTS // 2] - points[:, POINTS // 2 - 1]
    for axis in (0, 1):
        assert abs(float(step[:, axis].mean())) < 0.2


def test_centre_lines_follow_the_ridge() -> None:
    points, valid = strokes(bow(), (12, 32), CENTRE, count=100)
    distance = (points - 32).norm(dim=-1)[valid]
    assert float(((distance - 20.5).abs() <= 2.5).float().mean()) > 0.9
    long = points[valid.sum(1) >= 25]
    assert len(long) > 5
    # They go round, not straight on.
    assert float((long[:, 2, 0] - long[:, 15, 0]).amin()) > 2


def test_contours_keep_their_distance_from_the_border() -> None:
    points, valid = strokes(disk(22), (32, 13), CONTOUR, count=100)
    distance = 22 - (points - 32).norm(dim=-1)[valid]
    assert float(((distance > 0) & (distance < 7)).float().mean()) > 0.95
    assert float(valid.sum(1).float().mean()) > 10


def test_zigzags_turn_back() -> None:
    points, valid = strokes(block(26, 4, 38, 60), (32, 32), ZIGZAG, count=100)
    step = points.diff(dim=1)
    along = step / step.norm(dim=-1, keepdim=True)
    corner = (along[:, 1:] * along[:, :-1]).sum(-1) < 0.3
    drawn = valid[:, 2:] & valid[:, :-2]
    assert float((corner & drawn).sum(1).float().mean()) > 1.5
    straight, seen = strokes(block(26, 4, 38, 60), (32, 32), STRAIGHT, count=100)
    step = straight.diff(dim=1)
    turned = (step[:, 1:] * step[:, :-1]).sum(-1) < 1.2
    assert not (turned & seen[:, 2:] & seen[:, :-2]).any()


def test_thick_strokes_come_back_beside_themselves() -> None:
    habits = replace(EXACT, thick=1.0)
    points, valid = strokes(disk(25), (32, 32), STRAIGHT, habits)
    thick = valid.all(1)
    assert float(thick.float().mean()) > 0.7
    between = (points[thick, -1] - points[thick, 0]).norm(dim=-1)
    assert ((between > 1.9) & (between < 4.1)).all()
    length = points[thick].diff(dim=1).norm(dim=-1).sum(1)
    assert float(length.amax()) < 66


def test_trembling_moves_points_a_little() -> None:
    plain = strokes(disk(25), (32, 32), STRAIGHT)
    shaken = strokes(disk(25), (32, 32), STRAIGHT, replace(EXACT, shaky=1.0))
    assert torch.equal(plain.valid, shaken.valid)
    off = (plain.points - shaken.points).abs().amax(-1)[plain.valid]
    assert 0.3 < float(off.mean())
    assert float(off.amax()) <= 1.5 + 1e-4


def test_spilling_strokes_cross_the_border_by_a_few_pixels_and_stay_on_the_image() -> None:
    habits = replace(EXACT, spill=1.0)
    mask, image = block(20, 20, 44, 44), block(0, 0, 46, 64)
    count = 200
    points, valid = draw_strokes(
        torch.tensor([[40.0, 32.0]]).expand(count, 2),
        ground(mask, count, image),
        None,
        habits,
        torch.Generator().manual_seed(0),
    )
    outside = valid & ~values_at(mask.expand(count, -1, -1), points)
    assert outside.any(1).any()
    assert (outside.sum(1) <= 4).all()
    assert values_at(image.expand(count, -1, -1), points)[valid].all()
    beyond = (points - torch.tensor([31.5, 31.5])).abs().amax(-1)[outside] - 12
    assert float(beyond.amax()) < 5
