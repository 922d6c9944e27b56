"""Scenes of no field: any shapes, any textures, objects within objects, hardly any contrast."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from napari_pvpu.training.scenes.layouts import islands, partition
from napari_pvpu.training.scenes.noise import blur, fractal_noise, smooth_noise, texture
from napari_pvpu.training.scenes.optics import Look, shading
from napari_pvpu.training.scenes.painting import (
    Painting,
    border_distance,
    looked_up,
    per_object,
    scene_radius,
)
from napari_pvpu.training.scenes.shapes import (
    Discs,
    Layout,
    blobs,
    random_outline,
    scatter,
    warp_field,
)

if TYPE_CHECKING:
    from napari_pvpu.training.scenes.canvas import Canvas


def any_layout(canvas: Canvas, largest: float = 0.4, *, over: bool = False) -> Layout:
    """Draw blobs of any outline, islands, or a partition of which half is ground."""
    scale = scene_radius(canvas, 0.03, largest, 5)
    family = canvas.choose(("blobs", "blobs", "blobs", "islands", "cells"))
    if family == "islands":
        mark = islands(canvas, scale, canvas.between(0.15, 0.5))
        return Layout(mark.long(), 1 - (border_distance(mark, 10) / 10) * mark)
    warp = warp_field(canvas, scale * canvas.between(0.3, 1.5), scale * canvas.between(0, 0.2))
    if family == "cells":
        sheet = partition(
            canvas, scale * 1.5, stretch=canvas.choose((1.0, 2.0)), warp=warp, uneven=0.4
        )
        kept = looked_up(canvas.chance(0.5, 2039), sheet.labels) > 0
        return Layout(sheet.labels * kept, torch.where(kept, sheet.middle.clamp(max=1), 1.0))
    discs = scatter(
        canvas,
        scale,
        canvas.between(0.2, 1.2),
        spread=canvas.between(0.1, 0.6),
        gap=canvas.choose((0.0, 0.6, 1.0)),
        clusters=0.2,
    )
    return blobs(canvas, discs, random_outline(canvas), over=over, warp=warp)


def textures(canvas: Canvas) -> Painting:
    """Objects that differ from their ground in texture alone."""
    layout = any_layout(canvas)
    first = texture(canvas, canvas.log_between(1.2, 10))
    second = texture(canvas, canvas.log_between(1.2, 10))
    mix = blur((layout.labels > 0).float(), canvas.uniform(0.3, 1.0))
    step = canvas.uniform(-0.6, 0.6)
    image = mix * (first + step) + (1 - mix) * second
    # Where two touch nothing shows it: they are one.
    return Painting(image, (layout.labels > 0).long(), Look(noise=0.04, softest=1.0, tint=0.2))


def leaves(canvas: Canvas) -> Painting:
    """Opaque shapes that hide each other, each with a colour and a texture of its own."""
    layout = any_layout(canvas, 0.5, over=True)
    sheets = torch.stack([texture(canvas, canvas.log_between(1, 10)) for _ in range(3)], 1)
    pick = looked_up(canvas.rand(2039, 3), layout.labels)
    pattern = (pick * sheets).sum(1)
    centre, width = canvas.uniform(0.3, 0.7, 1, 3), canvas.log_uniform(0.08, 0.4)
    colours = (centre + width * canvas.randn(2039, 3)).clamp(0, 1)
    image = looked_up(colours, layout.labels) + canvas.uniform(0, 0.15)[:, None] * pattern[:, None]
    shade = torch.exp(-border_distance(layout.labels, 8) / canvas.uniform(0.7, 5))
    image = image * (1 - canvas.uniform(-0.2, 0.5) * shade)[:, None]
    if canvas.odds(0.4):
        return Painting(image.mean(1), layout.labels, Look(tint=0.15))
    return Painting(image, layout.labels, Look(blocks=0.4, noise=0.05))


def solids(canvas: Canvas) -> Painting:
    """Shaded bodies with highlights and shadows before a cluttered ground, as in photographs."""
    radius = scene_radius(canvas, 0.05, 0.4, 8)
    discs = scatter(canvas, radius, canvas.between(0.2, 0.8), spread=0.35)
    outline = random_outline(canvas)
    layout = blobs(
        canvas, discs, outline, over=True, warp=warp_field(canvas, radius, radius * 0.06)
    )
    clutter = blobs(
        canvas,
        scatter(canvas, radius * canvas.between(0.3, 1.2), 1.0, spread=0.5),
        random_outline(canvas),
        over=True,
    )
    ground = looked_up(canvas.rand(2039, 3), clutter.labels)
    ground = ground + 0.1 * texture(canvas, canvas.log_between(1, 8))[:, None]
    if canvas.odds(0.6):
        ground = blur(ground, canvas.log_uniform(0.5, 6))
    lift = (1 - layout.rho**2).clamp(1e-4, 1).sqrt()
    height = blur(lift, max(radius * 0.06, 1.0))
    turn = canvas.uniform(0, 2 * math.pi)
    slope = turn.cos() * (height - height.roll(2, 1)) + turn.sin() * (height - height.roll(2, 2))
    light = 0.75 + canvas.uniform(0.5, 2.5) * slope * min(radius / 8, 3.0)
    colour = looked_up(canvas.rand(2039, 3) ** 0.7, layout.labels)
    pattern = 1 + canvas.uniform(0, 0.25) * texture(canvas, max(radius * 0.1, 1.0))
    gloss = canvas.chance(0.6) * torch.exp(
        -((((slope / (slope.amax((1, 2), True) + 1e-4)) - 0.8) / 0.12) ** 2)
    )
    body = colour * (light.clamp(0.2, 1.4) * pattern)[:, None]
    body = body + 0.5 * (gloss * (layout.rho < 0.9))[:, None]
    inside = (layout.labels > 0)[:, None]
    shadow = blur((layout.labels > 0).float(), max(radius * 0.2, 1.5))
    image = torch.where(inside, body, ground * (1 - 0.5 * shadow)[:, None])
    return Painting(image * shading(canvas)[:, None], layout.labels, Look(blocks=0.5, noise=0.05))


def regions(canvas: Canvas) -> Painting:
    """Large areas that meet at ragged borders: fields, tissues, water and land."""
    spacing = canvas.between(0.3, 0.9) * canvas.size
    warp = warp_field(canvas, spacing * 0.3, spacing * 0.15)
    warp = warp + warp_field(canvas, spacing * 0.06, spacing * canvas.between(0, 0.04))
    sheet = partition(canvas, spacing, warp=warp, uneven=0.4)
    sheets = torch.stack([texture(canvas, canvas.log_between(1, 12)) for _ in range(3)], 1)
    pick = looked_up(canvas.rand(2039, 3), sheet.labels)
    strength = canvas.uniform(0.05, 0.3)
    image = per_object(canvas, sheet.labels, 0, 1) * canvas.uniform(0.4, 1.2)
    image = image + strength * (pick * sheets).sum(1)
    image = image + canvas.uniform(0, 0.2) * fractal_noise(canvas, canvas.size / 5, 4)
    if canvas.odds(0.4):
        tint = looked_up(0.3 * canvas.randn(2039, 3), sheet.labels)
        image = (0.3 + 0.5 * image)[:, None] + tint
        return Painting(image.clamp(0, 1), sheet.labels, Look(blocks=0.3))
    return Painting(image, sheet.labels, Look(noise=0.08))


def nested(canvas: Canvas) -> Painting:
    """Objects of any look that hold other objects: the inner ones are parts."""
    radius = scene_radius(canvas, 0.1, 0.4, 14)
    discs = scatter(canvas, radius, canvas.between(0.3, 0.9), spread=0.3, gap=1.0)
    warp = warp_field(canvas, radius, radius * 0.1)
    outer = blobs(canvas, discs, random_outline(canvas), warp=warp)
    if canvas.odds(0.5):
        shrunk = Discs(discs.centre, discs.radius * 0.5, discs.largest * 0.6)
        content = blobs(canvas, shrunk, random_outline(canvas), warp=warp)
    else:
        small = max(radius * canvas.between(0.15, 0.35), 4.5)
        seeds = scatter(canvas, small, 0.5, spread=0.25, gap=1.1)
        content = blobs(canvas, seeds, random_outline(canvas), warp=warp)
    within = (content.labels > 0) & (outer.rho < 0.85)
    parts = content.labels * within
    tone = per_object(canvas, outer.labels, 0.3, 0.7) * canvas.uniform(0.5, 1.5)
    tone = tone + canvas.uniform(0, 0.15) * texture(canvas, canvas.log_between(1, 8))
    core = per_object(canvas, content.labels, 0.3, 0.6) * canvas.choose((-1.0, 1.0))
    core = core + canvas.uniform(0, 0.15) * texture(canvas, canvas.log_between(1, 8))
    ground = canvas.uniform(0.0, 0.2) * texture(canvas, canvas.log_between(1, 10))
    image = torch.where(outer.labels > 0, tone + within * core, ground)
    rim = torch.exp(-border_distance(outer.labels, 5) / canvas.uniform(0.6, 2))
    image = image + canvas.uniform(-0.5, 0.5) * canvas.chance(0.5) * rim
    return Painting(image, outer.labels, Look(invert=0.4, tint=0.25), parts)


def ghosts(canvas: Canvas) -> Painting:
    """Objects that hardly differ from their ground, under noise, clutter and shading."""
    layout = any_layout(canvas)
    body = (layout.labels > 0).float()
    clutter = smooth_noise(canvas, canvas.log_between(2, 12))[:, 0] * canvas.uniform(0.1, 0.4)
    rim = torch.exp(-border_distance(layout.labels, 5) / canvas.uniform(0.6, 2))
    image = body + clutter + canvas.uniform(-0.4, 0.4) * rim
    image = image + canvas.uniform(0, 0.6) * smooth_noise(canvas, canvas.size / 3)[:, 0]
    return Painting(
        image, (layout.labels > 0).long(), Look(noise=0.2, invert=0.4, uneven=0.7, dark=0.3)
    )
