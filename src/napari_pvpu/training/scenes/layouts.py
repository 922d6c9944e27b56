"""Arrangements beyond single blobs: cells that fill the plane, strokes, islands, layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_pvpu.training.scenes.noise import fractal_noise, smooth_noise
from napari_pvpu.training.scenes.shapes import (
    Discs,
    Layout,
    Outline,
    blobs,
    room,
    scatter,
    splat,
    warp_field,
)

if TYPE_CHECKING:
    from napari_pvpu.training.scenes.canvas import Canvas


class Cells(NamedTuple):
    """A partition of the plane.

    Attributes
    ----------
    labels : Tensor
        ``(B, S, S)`` int64 from 1.
    edge : Tensor
        ``(B, S, S)`` float32, about the distance from the border in pixels.
    middle : Tensor
        ``(B, S, S)`` float32, distance from the cell's seed over the spacing.
    """

    labels: Tensor
    edge: Tensor
    middle: Tensor


def partition(
    canvas: Canvas,
    spacing: float,
    *,
    stretch: float = 1.0,
    uneven: float = 0.0,
    order: float = 0.0,
    warp: Tensor | None = None,
) -> Cells:
    """Divide the plane into cells around random seeds, one to each field of a turned grid.

    A pixel asks the nine fields around it, so the cost does not depend on the number of cells.

    Parameters
    ----------
    canvas : Canvas
        Gives ``B``, ``S`` and randomness.
    spacing : float
        Distance of seeds in pixels; scenes vary it by a quarter.
    stretch : float
        Length of cells over their width.
    uneven : float
        0 to 1, how much larger some cells are than others.
    order : float
        0 for random seeds, 1 for a square grid.
    warp : Tensor, optional
        ``(B, 2, S, S)`` pixels by which places are moved.

    Returns
    -------
    Cells
        Labels and distances.
    """
    smallest = spacing * 0.8
    fields = math.ceil(canvas.size * 1.5 * math.sqrt(stretch) / smallest) + 6
    place = canvas.coordinates() - canvas.size / 2
    rows, cols = (place if warp is None else place + warp).unbind(-3)
    turn = canvas.uniform(0, math.pi)
    scale = canvas.log_uniform(0.8, 1.25) * spacing
    u = (rows * turn.cos() + cols * turn.sin()) / (scale * math.sqrt(stretch)) + fields / 2
    v = (cols * turn.cos() - rows * turn.sin()) * (math.sqrt(stretch) / scale) + fields / 2
    base_u, base_v = u.floor(), v.floor()
    seeds = canvas.rand(3, fields * fields)
    seeds[:, :2] = 0.5 + (seeds[:, :2] - 0.5) * (1 - order)
    seeds[:, 2] *= uneven
    near, second = torch.full_like(u, 9.0), torch.full_like(u, 9.0)
    zero = torch.zeros_like(u)
    first_u, first_v, other_u, other_v = zero, zero, zero, zero
    best = torch.zeros_like(u, dtype=torch.long)
    for du in (-1, 0, 1):
        for dv in (-1, 0, 1):
            cell_u, cell_v = base_u + du, base_v + dv
            field = (cell_u.clamp(0, fields - 1) * fields + cell_v.clamp(0, fields - 1)).long()
            at = [s.gather(1, field.flatten(1)).view(u.shape) for s in seeds.unbind(1)]
            to_u, to_v = cell_u + at[0] - u, cell_v + at[1] - v
            distance = torch.addcmul(to_u * to_u, to_v, to_v).add_(1e-6).sqrt_()
            away = distance + at[2]
            to_u, to_v = to_u / distance, to_v / distance
            closer, next_ = away < near, away < second
            second = torch.where(closer, near, torch.minimum(second, away))
            other_u = torch.where(closer, first_u, torch.where(next_, to_u, other_u))
            other_v = torch.where(closer, first_v, torch.where(next_, to_v, other_v))
            near = torch.where(closer, away, near)
            first_u = torch.where(closer, to_u, first_u)
            first_v = torch.where(closer, to_v, first_v)
            best = torch.where(closer, field, best)
    # The difference grows from 0 at the border, by the difference of the two directions.
    slope = ((first_u - other_u) ** 2 + (first_v - other_v) ** 2).sqrt_().clamp(min=0.8)
    return Cells(best + 1, (second - near) * scale / slope, near)


def strokes(
    canvas: Canvas,
    number: int,
    length: float,
    width: float,
    *,
    wiggle: float = 0.3,
    start: Tensor | None = None,
    direction: Tensor | None = None,
    ids: Tensor | None = None,
    taper: float = 0.0,
    spread: float = 0.25,
    over: bool = False,
) -> Layout:
    """Draw bent lines: walks of short steps whose direction drifts.

    Parameters
    ----------
    canvas : Canvas
        Gives ``B``, ``S`` and randomness.
    number : int
        Lines ``K`` in each scene, at most; fewer where their patches would cost too much.
    length, width : float
        Middle length and half the width in pixels.
    wiggle : float
        Deviation of the change of direction from step to step, in radians.
    start : Tensor, optional
        ``(B, K, 2)`` where they begin; anywhere by default.
    direction : Tensor, optional
        ``(B, K)`` radians at the start; any by default.
    ids : Tensor, optional
        ``(B, K)`` int64 labels; 1 to K by default.
    taper : float
        Share of the width that is lost on the way.
    spread : float
        Deviation of the logarithm of width and length.
    over : bool
        Whether later lines hide earlier ones; by default they meet half way.

    Returns
    -------
    Layout
        `rho` is 0 on the middle line.
    """
    step = max(2.0 * width, 5.0, length / 24)
    steps = max(2, round(length / step))
    thickest = width * math.exp(1.6 * spread)
    half = math.ceil(step / 2 + thickest) + 2
    number = max(1, min(number, room(canvas, half, number * steps) // steps))
    if start is None:
        start = canvas.uniform(-0.1 * canvas.size, 1.1 * canvas.size, number, 2)
    if direction is None:
        direction = canvas.uniform(0, 2 * math.pi, number)
    start, direction = start[:, :number], direction[:, :number]
    turns = canvas.randn(number, steps) * wiggle * canvas.uniform(0.3, 1, 1, 1)
    angle = (
        direction[..., None]
        + turns.cumsum(-1)
        + (canvas.randn(number, 1) * wiggle * 0.3) * (torch.arange(steps, device=canvas.device))
    )
    stride = (canvas.randn(number, 1) * spread).exp().clamp(0.4, 1.0) * step
    hop = torch.stack([angle.sin() * stride, angle.cos() * stride], -1)
    ends = start[:, :, None] + hop.cumsum(2)
    middle = ends - hop / 2
    thick = (canvas.randn(number, 1) * spread).exp().clamp(max=thickest / width) * width
    thick = thick * torch.linspace(1, 1 - taper, steps, device=canvas.device)
    if ids is None:
        ids = torch.arange(1, number + 1, device=canvas.device).expand(canvas.count, number)
    name = ids[:, :number, None].expand(-1, -1, steps)
    flat = [t.flatten(1, 2) for t in (middle, hop, thick, name)]
    return _segments(canvas, flat[0], flat[1], flat[2], flat[3], half, over=over)


def _segments(
    canvas: Canvas,
    middle: Tensor,
    hop: Tensor,
    thick: Tensor,
    ids: Tensor,
    half: int,
    *,
    over: bool,
) -> Layout:
    """Draw straight pieces with round ends around ``(B, N, 2)`` middles."""
    squares = (hop * hop).sum(-1).clamp(min=1e-6)[..., None, None]
    dy, dx = hop[..., 0, None, None], hop[..., 1, None, None]
    wide = thick.clamp(min=0.5)[..., None, None]

    def rho(y: Tensor, x: Tensor) -> Tensor:
        along = ((y * dy + x * dx) / squares).clamp_(-0.5, 0.5)
        return ((y - along * dy) ** 2 + (x - along * dx) ** 2).sqrt_() / wide

    return splat(canvas, middle, half, rho, ids=ids, over=over)


def islands(canvas: Canvas, scale: float, cover: float, octaves: int = 3) -> Tensor:
    """Mark where fractal noise is high: ``(B, S, S)`` bool, about `cover` of the area."""
    field = fractal_noise(canvas, max(scale, 2.0), octaves, canvas.between(0.3, 0.6))
    ranks = field[:, ::4, ::4].flatten(1).sort(1).values
    place = (1 - canvas.uniform(0.6, 1.4) * cover).clamp(0.02, 0.98) * (ranks.shape[1] - 1)
    level = ranks.gather(1, place.long().view(-1, 1))
    return field > level[:, :, None]


def bands(canvas: Canvas, number: int, rough: float) -> Tensor:
    """Stack layers with wavy borders, ``(B, S, S)`` int64, 1 to ``number + 1``."""
    size = canvas.size
    axis = canvas.coordinates()[0] / size
    thick = canvas.rand(number + 1) + 0.15
    levels = thick.cumsum(1) / thick.sum(1, keepdim=True)
    waves = smooth_noise(canvas, canvas.log_between(0.04, 0.4) * size, number + 1)[:, :, 0]
    waves = waves + 0.3 * smooth_noise(canvas, canvas.log_between(2, 10), number + 1)[:, :, 0]
    labels = torch.ones(canvas.count, size, size, dtype=torch.long, device=canvas.device)
    for layer in range(number):
        border = levels[:, layer, None] + waves[:, layer] * rough * canvas.uniform(0.2, 1, 1)
        labels += (axis > border[:, None, :]).long()
    return labels.mT.contiguous() if canvas.odds(0.3) else labels


def inner(
    canvas: Canvas, discs: Discs, layout: Layout, share: float, *, chance: float = 0.95
) -> Layout:
    """Put a smaller blob into each blob, such as a nucleus into each cell.

    Parameters
    ----------
    canvas : Canvas
        Gives randomness.
    discs : Discs
        What `layout` was drawn from.
    layout : Layout
        The outer blobs.
    share : float
        Radius over that of the outer blob.
    chance : float
        Chance that a blob has one.

    Returns
    -------
    Layout
        With the outer blobs' labels.
    """
    number = discs.centre.shape[1]
    away = canvas.randn(number, 2) * (0.15 * discs.radius * (1 - share))[..., None]
    radius = discs.radius * share * (canvas.randn(number) * 0.1).exp()
    radius = radius.clamp(max=discs.largest) * (canvas.rand(number) < chance)
    found = blobs(
        canvas,
        Discs(discs.centre + away, radius, discs.largest * share * 1.2),
        Outline(canvas.between(0.0, 0.12), 1.5),
    )
    # Rims stay the outer blob's: where a part reaches the border of its whole it is not inside.
    mine = (found.labels == layout.labels) & (layout.rho < 0.9)
    return Layout(found.labels * mine, torch.where(mine, found.rho, 1.0))


class Bodies(NamedTuple):
    """Cells of any kind: where they are, what they were drawn from, and their middle radius."""

    layout: Layout
    discs: Discs
    radius: float


def cell_bodies(canvas: Canvas, low: float = 0.03, high: float = 0.22) -> Bodies:
    """Draw cells: round, spread, spindles or lobed, loose, in clumps or in a closed layer."""
    radius = max(canvas.log_between(low, high) * canvas.size, 5.0)
    family = canvas.choose(("round", "spread", "spindle", "layer", "clump"))
    gap = {"layer": 0.75, "clump": 0.85}.get(family, canvas.between(0.8, 1.2))
    discs = scatter(
        canvas,
        radius,
        1.3 if family == "layer" else canvas.between(0.3, 0.9),
        spread=canvas.between(0.05, 0.3),
        gap=gap,
        clusters=0.8 if family == "clump" else 0.15,
        reach=2.6 if family == "spindle" else 1.5,
    )
    outline = {
        "round": Outline(0.04, 1.2),
        "spread": Outline(canvas.between(0.15, 0.35), 2.0),
        "spindle": Outline(0.08, 5.0, bend=0.15, power=canvas.between(1.0, 1.6)),
        "layer": Outline(0.05, 1.5, power=canvas.between(2.0, 4.0)),
        "clump": Outline(0.08, 1.5),
    }[family]
    turn = None
    if family == "spindle" and canvas.odds(0.6):
        turn = canvas.uniform(0, math.pi, 1) + 0.3 * canvas.randn(discs.centre.shape[1])
    warp = warp_field(canvas, radius * canvas.between(0.3, 1), radius * 0.12)
    return Bodies(blobs(canvas, discs, outline, turn=turn, warp=warp), discs, radius)
