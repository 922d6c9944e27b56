"""Unstained specimens: phase contrast, DIC, quantitative phase, bright field, bacteria, yeast."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from napari_pvpu.training.scenes.layouts import cell_bodies, inner
from napari_pvpu.training.scenes.noise import blur, fractal_noise, smooth_noise, texture
from napari_pvpu.training.scenes.optics import Look
from napari_pvpu.training.scenes.painting import (
    Painting,
    dome,
    per_object,
    scene_radius,
    some_objects,
    wander,
)
from napari_pvpu.training.scenes.shapes import Discs, Layout, Outline, blobs, scatter

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pvpu.training.scenes.canvas import Canvas
    from napari_pvpu.training.scenes.layouts import Bodies


def thickness(canvas: Canvas, bodies: Bodies, core: Layout) -> Tensor:
    """Draw the optical thickness of living cells, ``(B, S, S)`` of 0 to about 2.

    Parameters
    ----------
    canvas : Canvas
        Gives randomness.
    bodies : Bodies
        The cells.
    core : Layout
        Their nuclei.
    """
    layout, _, radius = bodies
    height = dome(canvas, layout) * per_object(canvas, layout.labels, 0.6, 1.3)
    bulge = (1 - core.rho**2).clamp(min=0).sqrt()
    height = height + canvas.uniform(-0.3, 0.6) * bulge
    grain = max(radius * canvas.between(0.05, 0.12), 1.0)
    dots = (smooth_noise(canvas, grain)[:, 0] - canvas.uniform(0.2, 1.5)).clamp(0, 1.5)
    zone = (layout.rho < canvas.uniform(0.6, 0.95)) & (layout.labels > 0)
    height = height + canvas.uniform(0, 0.6) * dots * zone
    nucleoli = (smooth_noise(canvas, 1.5 * grain)[:, 0] - 1.2).clamp(0, 1) * (core.labels > 0)
    height = height + canvas.uniform(0, 0.6) * nucleoli
    height = height * (1 + canvas.uniform(0.02, 0.2) * fractal_noise(canvas, 6 * grain))
    return blur(height * (layout.labels > 0), canvas.uniform(0.4, 1.2))


def _living(canvas: Canvas) -> tuple[Bodies, Layout, Tensor, Tensor | None]:
    """Draw cells, their nuclei, thickness, and the nuclei as parts where they are to be seen."""
    bodies = cell_bodies(canvas, 0.03, 0.25)
    core = inner(canvas, bodies.discs, bodies.layout, canvas.between(0.25, 0.5))
    optical = thickness(canvas, bodies, core)
    seen = canvas.odds(0.4) and bodies.radius > 12
    if seen:
        rim = torch.exp(-(((core.rho - 0.95) / 0.12) ** 2)) * (core.labels > 0)
        optical = optical + canvas.uniform(-0.5, 0.5) * rim
    return bodies, core, optical, core.labels if seen else None


def _grit(canvas: Canvas, most: float) -> Tensor:
    """Draw dirt and texture of medium and detector."""
    grit = canvas.log_uniform(0.01, most) * texture(canvas, canvas.between(1, 5))
    if canvas.odds(0.3):
        specks = (smooth_noise(canvas, canvas.between(1, 3))[:, 0] - 2.8).clamp(0, 1)
        grit = grit + canvas.uniform(-1.5, 1.5) * specks
    return grit


def phase_contrast(canvas: Canvas) -> Painting:
    """Grey ground, dark or bright cells with a halo; round ones turn bright."""
    bodies, _, optical, parts = _living(canvas)
    labels = bodies.layout.labels
    halo = max(bodies.radius * canvas.log_between(0.15, 0.6), 1.5)
    wide = blur(optical, halo)
    image = canvas.uniform(0.3, 1.3) * (wide - optical)
    image = image + canvas.uniform(0.3, 1.5) * (wide - blur(optical, halo / 4))
    if canvas.odds(0.5):
        bright = some_objects(canvas, labels, 0.1, 0.7)
        image = image + canvas.uniform(0.8, 2) * optical * bright
    inside = (labels > 0).float()
    edge = blur(inside, max(halo / 3, 1.0)) * (1 - inside)
    image = image + canvas.uniform(-0.2, 1.2) * edge
    image = image + _grit(canvas, 0.1) + canvas.uniform(0, 0.1) * wander(canvas)
    return Painting(image, labels, Look(invert=0.25, uneven=0.6, softest=1.4), parts)


def dic(canvas: Canvas) -> Painting:
    """Relief lit from one side on an even grey, as in differential interference contrast."""
    bodies, _, optical, parts = _living(canvas)
    height = optical + canvas.uniform(0, 0.1) * fractal_noise(canvas, canvas.size * 0.1)
    turn = canvas.uniform(0, 2 * math.pi)
    slope = turn.cos() * (height - height.roll(1, 1)) + turn.sin() * (height - height.roll(1, 2))
    # The first row and column would meet the opposite side.
    slope[:, 0], slope[:, :, 0] = 0, 0
    slope = slope / (slope.std((1, 2), keepdim=True) + 1e-4)
    image = torch.tanh(canvas.log_uniform(0.1, 1.0) * slope)
    image = image + canvas.uniform(-0.2, 0.3) * blur(optical, 1.0) * canvas.chance(0.5)
    image = image + _grit(canvas, 0.12)
    if canvas.odds(0.4):
        image = image + canvas.uniform(0, 0.5) * wander(canvas, 1.0)
    return Painting(image, bodies.layout.labels, Look(uneven=0.6, softest=1.3), parts)


def quantitative_phase(canvas: Canvas) -> Painting:
    """Brightness is optical thickness; round cells outshine those that have spread."""
    bodies, _, optical, parts = _living(canvas)
    labels = bodies.layout.labels
    if canvas.odds(0.6):
        tall = some_objects(canvas, labels, 0.05, 0.3)
        optical = optical * (1 + canvas.uniform(0.5, 2) * tall * (1 - bodies.layout.rho**2))
    image = optical + canvas.uniform(0, 0.1) * wander(canvas) + _grit(canvas, 0.04)
    return Painting(image, labels, Look(softest=1.5, noise=0.04), parts)


def brightfield(canvas: Canvas) -> Painting:
    """Cells slightly out of focus: dark and bright rims on a bright ground."""
    bodies, _, optical, parts = _living(canvas)
    near = canvas.uniform(0.6, 2.0)
    far = near + canvas.uniform(1.0, 4.0)
    image = canvas.choose((-1.0, 1.0)) * (blur(optical, near) - blur(optical, far))
    image = image * canvas.uniform(2, 5) - canvas.uniform(-0.1, 0.4) * optical
    image = image + _grit(canvas, 0.08)
    return Painting(image, bodies.layout.labels, Look(uneven=0.7, tint=0.25), parts)


def _rods(canvas: Canvas, half: float) -> Layout:
    """Draw rods, curved rods or spheres, loose or side by side, or in chains."""
    aspect = canvas.choose((1.05, 2.0, 3.0, 5.0))
    packed = canvas.odds(0.5)
    radius = half * math.sqrt(aspect)
    discs = scatter(
        canvas,
        radius,
        canvas.between(0.7, 1.4) if packed else canvas.between(0.1, 0.6),
        spread=0.12,
        gap=0.7 if packed else 0.9,
        clusters=0.7 if packed else 0.2,
        reach=1.9,
    )
    number = discs.centre.shape[1]
    if aspect < 1.5 and canvas.odds(0.6):
        discs = _chained(canvas, discs, half)
    # Neighbours lie alike: directions come from a smooth field.
    field = smooth_noise(canvas, canvas.size / canvas.choose((1.5, 4, 12)))[:, 0]
    spots = discs.centre.round().long().clamp(0, canvas.size - 1)
    turns = field.flatten(1).gather(1, spots[..., 0] * canvas.size + spots[..., 1])
    turn = turns * canvas.uniform(0.1, 3, 1) + canvas.uniform(0, math.pi, 1)
    turn = turn + 0.1 * canvas.randn(number)
    if aspect > 1.5 and canvas.odds(0.25):
        outline = Outline(0.0, aspect, bend=0.25)
    else:
        outline = Outline(0.0, aspect, rod=True)
    return blobs(canvas, discs, outline, turn=turn)


def _chained(canvas: Canvas, discs: Discs, half: float) -> Discs:
    """Move discs onto strings of eight."""
    number = discs.centre.shape[1]
    place = torch.arange(number, device=canvas.device)
    head = discs.centre[:, place - place % 8]
    angle = canvas.uniform(0, 2 * math.pi, number)[:, place - place % 8]
    bent = angle + 0.15 * (place % 8) * canvas.randn(number)[:, place - place % 8]
    away = (place % 8)[:, None] * torch.stack([bent.sin(), bent.cos()], -1)
    return Discs(head + away * half * 2.0, discs.radius, discs.largest)


def bacteria(canvas: Canvas) -> Painting:
    """Bacteria: phase dark or bright, or fluorescent, alone, in chains or in packed colonies."""
    half = scene_radius(canvas, 0.012, 0.06, 3.2)
    layout = _rods(canvas, half)
    inside = (layout.labels > 0).float()
    body = inside * (1 - layout.rho ** canvas.uniform(2, 8))
    body = body * per_object(canvas, layout.labels, canvas.between(0.4, 0.95), 1.0)
    body = body * (1 + canvas.uniform(0, 0.3) * smooth_noise(canvas, max(half, 1.0))[:, 0])
    if canvas.odds(0.4):
        image = body + canvas.uniform(0, 0.5) * blur(body, 2 * half) + 0.03 * wander(canvas)
        return Painting(image, layout.labels, Look(tint=0.3, softest=1.6))
    image = canvas.uniform(0.3, 1.2) * blur(inside, half * canvas.between(0.8, 2)) - body
    image = image + _grit(canvas, 0.1)
    return Painting(image, layout.labels, Look(invert=0.3, uneven=0.5, softest=1.3))


def yeast(canvas: Canvas) -> Painting:
    """Budding yeast and other walled cells: bright or dark walls, vacuoles, groups."""
    radius = scene_radius(canvas, 0.025, 0.14, 5)
    discs = scatter(
        canvas,
        radius,
        canvas.between(0.2, 1.0),
        spread=0.2,
        clusters=0.6,
        gap=canvas.between(0.9, 1.05),
    )
    number = discs.centre.shape[1]
    turn = canvas.uniform(0, 2 * math.pi, number)
    bud = discs.radius * canvas.uniform(0.35, 0.7, number) * canvas.chance(0.35, number)
    away = (1.05 * discs.radius + 0.8 * bud)[..., None]
    beside = discs.centre + away * torch.stack([turn.cos(), turn.sin()], -1)
    joined = Discs(
        torch.cat([discs.centre, beside], 1),
        torch.cat([discs.radius, bud.clamp(max=discs.largest)], 1),
        discs.largest,
    )
    layout = blobs(canvas, joined, Outline(0.02, 1.25), turn=turn.repeat(1, 2))
    inside = (layout.labels > 0).float()
    place, width = canvas.uniform(0.8, 1.0), canvas.uniform(0.05, 0.2)
    wall = torch.exp(-(((layout.rho - place) / width) ** 2)) * inside
    image = canvas.choose((-1.0, 1.0)) * wall + canvas.uniform(-0.6, 0.6) * inside
    image = image + canvas.uniform(-0.8, 0.8) * blur(inside, max(radius * 0.3, 1.0))
    parts = None
    if radius > 10:
        vacuole = inner(canvas, joined, layout, canvas.between(0.35, 0.6), chance=0.7)
        filled = (vacuole.labels > 0).float()
        image = image + canvas.choose((-1.0, 1.0)) * canvas.uniform(0.2, 0.6) * filled
        parts = vacuole.labels
    return Painting(
        image + _grit(canvas, 0.12),
        layout.labels,
        Look(invert=0.2, uneven=0.5, tint=0.15, softest=1.6),
        parts,
    )
