"""Scribbles in many styles, for many objects at once.

A scribble grows from its first pixel in two arms, by steps of two pixels, until it would leave its
region. Bent and straight lines are computed at once. Centre lines, lines along the border and
zigzags look at the depth of the region before each step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.training.pixel_choice import values_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.training.habits import UserHabits

__all__ = [
    "BENT", "CENTRE", "CONTOUR", "POINTS", "STRAIGHT", "ZIGZAG", "Ground", "Strokes",
    "draw_strokes",
]  # fmt: skip

BENT: Final = 0
STRAIGHT: Final = 1
CENTRE: Final = 2
CONTOUR: Final = 3
ZIGZAG: Final = 4

POINTS: Final = 32
"""Samples of a scribble; two pixels apart, they are as long as what becomes one token in use."""

_HALF = POINTS // 2
_STEP = 2.0
_TREMBLE = 1.5  # pixels
_TURN = 0.6  # radians, and twice that, that a guided line may turn at a step
_STIFFNESS = 0.7  # depth that a guided line gives up for going straight, by radian


class Strokes(NamedTuple):
    """Scribbles.

    Attributes
    ----------
    points : Tensor
        ``(N, POINTS, 2)`` float32, row and column.
    valid : Tensor
        ``(N, POINTS)`` bool, one run of points.
    """

    points: Tensor
    valid: Tensor


class Ground(NamedTuple):
    """What strokes are drawn on.

    Attributes
    ----------
    region : Tensor
        ``(N, S, S)`` bool, where they stay.
    depth : Tensor
        ``(N, S / 2, S / 2)`` float32, its depth map at half resolution.
    shift : tuple of int
        Row and column of the depth map's first pixel in the view.
    image : Tensor, optional
        ``(N, S, S)`` bool, where the view shows the image; everywhere without.
    """

    region: Tensor
    depth: Tensor
    shift: tuple[int, int]
    image: Tensor | None = None

    def depth_at(self, position: Tensor) -> Tensor:
        """Read the depth at positions ``(N, ..., 2)``."""
        halved = [(position[..., axis] - self.shift[axis]) / 2 for axis in (0, 1)]
        return values_at(self.depth, torch.stack(halved, dim=-1))

    def holds(self, position: Tensor) -> Tensor:
        """Tell whether positions ``(N, ..., 2)`` lie on the image and in the region."""
        return self.shows(position) & values_at(self.region, position)

    def shows(self, position: Tensor) -> Tensor:
        """Tell whether positions ``(N, ..., 2)`` lie on the view and on the image."""
        on_view = ((position > -0.5) & (position < self.region.shape[-1] - 0.5)).all(-1)
        return on_view if self.image is None else on_view & values_at(self.image, position)


def draw_strokes(
    start: Tensor,
    ground: Ground,
    style: Tensor | None,
    habits: UserHabits,
    generator: torch.Generator,
    *,
    guided: bool = False,
) -> Strokes:
    """Draw one scribble through each given pixel.

    Parameters
    ----------
    start : Tensor
        ``(N, 2)`` float32, a pixel of the region.
    ground : Ground
        The regions.
    style : Tensor, optional
        ``(N,)`` int64: `BENT` or `STRAIGHT` if not `guided`, else one of the others. All bent
        without.
    habits : UserHabits
        How the hand behaves.
    generator : torch.Generator
        On the device of `start`.
    guided : bool
        Whether the lines are guided by the region; for all, since it takes a loop.

    Returns
    -------
    Strokes
        A scribble that cannot take a step has a single valid point.
    """
    count, device = len(start), start.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    allowed = torch.zeros(count, dtype=torch.int64, device=device)
    if habits.spill:
        # One or two steps beyond the border, at either end.
        allowed = (uniform(count) < habits.spill) * (1 + (uniform(count) < 0.5).long())
    if guided and style is not None:
        paths, inside = _guided_arms(start, ground, style, uniform)
    else:
        paths, inside = _free_arms(start, ground, style, uniform)
    step = torch.arange(1, _HALF + 1, device=device)
    alive = []
    for path, held in zip(paths, inside, strict=True):
        # Nobody draws across a slit that lies between two samples.
        middle = (path + torch.cat([start[:, None], path[:, :-1]], dim=1)) / 2
        held = held & ground.holds(middle)
        reach = 1 + (uniform(count) * _HALF).long()
        outside = (~held).long().cumsum(1)
        stopped = step > reach[:, None]
        if habits.spill:
            stopped = stopped | ~ground.shows(path)
        alive.append((outside <= allowed[:, None]) & (stopped.long().cumsum(1) == 0))
    points = torch.cat([paths[0].flip(1)[:, 1:], start[:, None], paths[1]], dim=1)
    here = torch.ones(count, 1, dtype=torch.bool, device=device)
    strokes = Strokes(points, torch.cat([alive[0].flip(1)[:, 1:], here, alive[1]], dim=1))
    return _by_hand(strokes, ground, allowed > 0, habits, uniform)


def _free_arms(
    start: Tensor, ground: Ground, style: Tensor | None, uniform: Callable[..., Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Two arms of bent or straight lines, ``(N, POINTS / 2, 2)``, and where they are inside."""
    count = len(start)
    angle = uniform(count) * 2 * math.pi
    bend = (uniform(count) - 0.5) * 0.3
    step = torch.arange(1, _HALF + 1, device=start.device)
    wobble = (uniform(count, _HALF) - 0.5) * 0.6
    if style is not None:
        straight = style == STRAIGHT
        # Most straight lines are drawn the long way.
        angle = torch.where(straight & (uniform(count) < 0.7), _long_axis(start, ground), angle)
        bend = torch.where(straight, 0.0, bend)
        wobble = torch.where(straight[:, None], 0.2 * wobble, wobble)
    paths, inside = [], []
    for direction in (math.pi, 0.0):
        heading = angle[:, None] + direction + bend[:, None] * step + wobble
        path = start[:, None] + _moves(heading).cumsum(1)
        paths.append(path)
        inside.append(ground.holds(path))
    return paths, inside


def _guided_arms(
    start: Tensor, ground: Ground, style: Tensor, uniform: Callable[..., Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Two arms of lines that follow depth, ``(N, POINTS / 2, 2)``, and where they are inside."""
    count = len(start)
    smooth = F.avg_pool2d(ground.depth[:, None], 3, 1, 1)[:, 0]
    # Both arms take their steps together.
    both = Ground(ground.region.repeat(2, 1, 1), smooth.repeat(2, 1, 1), ground.shift)
    zigzag, contour = ((style == kind).repeat(2)[:, None] for kind in (ZIGZAG, CONTOUR))
    axis = _first_heading(start, ground._replace(depth=smooth), style, uniform)
    axis = torch.cat([axis + math.pi, axis])
    lean = ((0.9 + 0.4 * uniform(count)) * torch.where(uniform(count) < 0.5, 1.0, -1.0)).repeat(2)
    heading = torch.where(zigzag[:, 0], axis + lean, axis)
    position = start.repeat(2, 1)
    level = both.depth_at(position)[:, None]
    turns = _TURN * (torch.arange(5, device=start.device) - 2.0)
    leg = (3 + 6 * uniform(count)).long().repeat(2)[:, None]
    path, inside = [], []
    for step in range(_HALF):
        # A zigzag goes on, or turns back at the border or after some steps.
        back = torch.stack([torch.zeros_like(lean), *[axis * 2 - heading * 2] * 4], dim=1)
        turn = torch.where(zigzag, back, turns)
        ahead = position[:, None] + _moves(heading[:, None] + turn)
        depth, held = both.depth_at(ahead), both.holds(ahead)
        score = torch.where(contour, -(depth - level).abs(), depth) - _STIFFNESS * turn.abs()
        sign = torch.where((step % leg == leg - 1), 1.0, -1.0)
        score = torch.where(zigzag, sign * turn.abs(), score) - 100.0 * ~held
        best = score.argmax(1, keepdim=True)
        heading = heading + turn.gather(1, best)[:, 0]
        position = position + _moves(heading)
        path.append(position)
        # A centre line ends where its ridge does, before it turns along the border.
        ends = (depth.gather(1, best) < 0.4 * level) & ~zigzag
        inside.append((held.gather(1, best) & ~ends)[:, 0])
    return (
        list(torch.stack(path, dim=1).chunk(2)),
        list(torch.stack(inside, dim=1).chunk(2)),
    )


def _first_heading(
    start: Tensor, ground: Ground, style: Tensor, uniform: Callable[..., Tensor]
) -> Tensor:
    """Choose how a guided line leaves its first pixel: along the ridge, or along the border."""
    angles = torch.arange(8, device=start.device) * (math.pi / 8)
    angles = angles + uniform(len(start), 1) * (math.pi / 8)
    offset = _moves(angles)
    here = ground.depth_at(start)[:, None]
    deep, level = uniform(len(start), 8) * 0.2, torch.zeros_like(angles)
    for distance in (2.0, 5.0):
        for side in (-distance, distance):
            depth = ground.depth_at(start[:, None] + side * offset)
            deep = deep + depth
            level = level - (depth - here).abs()
    best = torch.where((style == CONTOUR)[:, None], level, deep).argmax(1, keepdim=True)
    return angles.gather(1, best)[:, 0]


def _moves(heading: Tensor) -> Tensor:
    """One step in each direction, ``(..., 2)``."""
    return torch.stack([heading.sin(), heading.cos()], dim=-1) * _STEP


def _long_axis(start: Tensor, ground: Ground) -> Tensor:
    """Direction in which the pixels around `start` spread the most: ``(N,)``, radians."""
    inside = (ground.depth > 0).float()
    axis = torch.arange(inside.shape[-1], device=start.device)
    row = axis - (start[:, :1] - ground.shift[0]) / 2
    col = axis - (start[:, 1:] - ground.shift[1]) / 2
    rows = (inside.sum(2) * row * row).sum(1)
    cols = (inside.sum(1) * col * col).sum(1)
    mixed = ((inside * col[:, None]).sum(2) * row).sum(1)
    return 0.5 * torch.atan2(2 * mixed, cols - rows)


def _by_hand(
    strokes: Strokes,
    ground: Ground,
    spills: Tensor,
    habits: UserHabits,
    uniform: Callable[..., Tensor],
) -> Strokes:
    """Let some hands go to and fro, and some tremble; points stay in their region."""
    points, valid = strokes
    count = len(points)
    moved = points
    if habits.thick:
        chosen = (uniform(count) < habits.thick) & (valid.sum(1) >= 5)
        aside, there = _to_and_fro(strokes, ground, uniform)
        inside = ground.holds(aside) | (spills[:, None] & ground.shows(aside))
        # The way back is drawn over the way there where there is no room beside it.
        aside = torch.where(inside[..., None], aside, there)
        moved = torch.where(chosen[:, None, None], aside, moved)
        points = torch.where(chosen[:, None, None], there, points)
        valid = valid | chosen[:, None]
    if habits.shaky:
        chosen = uniform(count) < habits.shaky
        knots = (uniform(count, 2, 7) * 2 - 1) * _TREMBLE
        tremble = F.interpolate(knots, size=POINTS, mode="linear", align_corners=True)
        moved = torch.where(chosen[:, None, None], moved + tremble.transpose(1, 2), moved)
    if habits.thick or habits.shaky:
        inside = ground.holds(moved) | (spills[:, None] & ground.shows(moved))
        points = torch.where(inside[..., None], moved, points)
    return Strokes(points, valid)


def _to_and_fro(
    strokes: Strokes, ground: Ground, uniform: Callable[..., Tensor]
) -> tuple[Tensor, Tensor]:
    """Go along the middle of strokes and back beside it; also return it without the distance."""
    points, valid = strokes
    device = points.device
    index = torch.arange(POINTS, device=device)
    first = torch.where(valid, index, POINTS).amin(1).clamp(min=_HALF - 8)[:, None]
    last = torch.where(valid, index, -1).amax(1).clamp(max=_HALF + 6)[:, None]
    share = 1 - (1 - 2 * index / (POINTS - 1)).abs()
    at = first + share * (last - first)
    low = at.floor()
    before, after = (
        points.gather(1, k.clamp(0, POINTS - 1).long()[..., None].expand(-1, -1, 2))
        for k in (low, torch.minimum(low + 1, last))
    )
    there = torch.lerp(before, after, (at - low)[..., None])
    there = torch.where(ground.holds(there)[..., None], there, before)
    along = there[:, _HALF - 1] - there[:, 0]
    across = torch.stack([along[:, 1], -along[:, 0]], dim=1)
    across = across / across.norm(dim=1, keepdim=True).clamp(min=1e-3)
    back = ((index - _HALF + 2) / 4).clamp(0, 1)[:, None]
    return there + back * (2 + 2 * uniform(len(points), 1, 1)) * across[:, None], there
