"""Fluorescence: nuclei, cells with nuclei, membranes, vesicles, neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_pvpu.training.scenes.layouts import cell_bodies, inner, partition, strokes
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
from napari_pvpu.training.scenes.shapes import Discs, Outline, blobs, scatter, warp_field

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pvpu.training.scenes.canvas import Canvas
    from napari_pvpu.training.scenes.shapes import Layout


def chromatin(canvas: Canvas, layout: Layout, radius: float) -> Tensor:
    """Draw the brightness of nuclei, ``(B, S, S)``: domes, grain, dark nucleoli, own levels."""
    grain = fractal_noise(canvas, max(radius * canvas.between(0.1, 0.5), 1.5), 3)
    body = dome(canvas, layout) * (1 + canvas.uniform(0, 0.35) * grain)
    body = body * per_object(canvas, layout.labels, canvas.between(0.2, 0.9), 1.0)
    if canvas.odds(0.4):
        holes = smooth_noise(canvas, max(radius * 0.2, 1.0))[:, 0] > canvas.uniform(1.2, 2.2)
        body = body * (1 - canvas.uniform(0.2, 0.8) * holes)
    return body.clamp(min=0)


def nuclei(canvas: Canvas) -> Painting:
    """Stained nuclei, loose or in clumps; blurred others above and below are no objects."""
    radius = scene_radius(canvas, 0.015, 0.16)
    discs = scatter(
        canvas,
        radius,
        canvas.between(0.2, 1.0),
        spread=canvas.between(0.05, 0.35),
        gap=canvas.between(0.55, 1.05),
        clusters=0.4,
    )
    warp = warp_field(canvas, radius, radius * 0.12)
    outline = Outline(canvas.between(0.0, 0.1), canvas.choose((1.3, 1.6, 2.2)))
    layout = blobs(canvas, discs, outline, warp=warp, over=canvas.odds(0.3))
    image = chromatin(canvas, layout, radius)
    if canvas.odds(0.25):
        bright = some_objects(canvas, layout.labels, 0.02, 0.2)
        image = image * (1 + canvas.uniform(0.5, 3) * bright)
    if canvas.odds(0.4):
        ghosts = blobs(canvas, scatter(canvas, radius * 1.3, 0.4), outline)
        glow = blur((ghosts.labels > 0).float(), radius * canvas.between(0.3, 0.8))
        image = torch.maximum(image, canvas.uniform(0.05, 0.4) * glow)
    image = image + canvas.uniform(0, 0.3) * blur(image, radius * canvas.between(0.5, 2))
    image = image + canvas.uniform(0, 0.06) * (1 + wander(canvas))
    if canvas.odds(0.3):
        image = image + canvas.uniform(0, 0.08) * texture(canvas, canvas.between(1, 6))
    return Painting(image, layout.labels, Look(noise=0.1, dark=0.25, tint=0.15))


def cells(canvas: Canvas) -> Painting:
    """Cells whose bodies glow, with brighter, darker or otherwise coloured nuclei as parts."""
    layout, discs, radius = cell_bodies(canvas, 0.03, 0.25)
    core = inner(canvas, discs, layout, canvas.between(0.3, 0.6))
    fibres = texture(canvas, max(radius * canvas.between(0.04, 0.15), 1.0))
    body = dome(canvas, layout) * (1 + canvas.uniform(0, 0.4) * fibres)
    body = body * per_object(canvas, layout.labels, canvas.between(0.2, 0.9), 1.0)
    body = body.clamp(min=0) + canvas.uniform(0, 0.05) * (1 + wander(canvas))
    nucleus = chromatin(canvas, core, radius * 0.4)
    look = Look(noise=0.1, dark=0.2, tint=0.2)
    if canvas.odds(0.5):
        contrast = canvas.uniform(0.35, 1.3) if canvas.odds(0.65) else canvas.uniform(-0.8, -0.4)
        image = body + contrast * nucleus * (0.3 + body)
        return Painting(image, layout.labels, look, core.labels)
    dyes = canvas.rand(2, 3) ** 2
    dyes = dyes / dyes.amax(2, keepdim=True).clamp(min=0.2)
    planes = torch.stack([body, nucleus * canvas.uniform(0.5, 1)], 1).flatten(2)
    image = (dyes.mT @ planes).view(-1, 3, *body.shape[1:])
    return Painting(image, layout.labels, look, core.labels)


def membranes(canvas: Canvas) -> Painting:
    """A sheet of cells of which the borders are stained, at times the nuclei as well."""
    spacing = scene_radius(canvas, 0.05, 0.3, 10)
    warp = warp_field(canvas, spacing * 0.6, spacing * 0.1)
    sheet = partition(
        canvas,
        spacing,
        stretch=canvas.choose((1.0, 1.0, 1.6, 3.0)),
        warp=warp,
        order=canvas.between(0, 0.5),
        uneven=canvas.between(0, 0.4),
    )
    wall = canvas.uniform(0.6, max(1.5, spacing * 0.06))
    line = torch.exp(-((sheet.edge / wall) ** 2))
    patchy = 1 + canvas.uniform(0, 0.5) * smooth_noise(canvas, max(spacing / 3, 2))[:, 0]
    image = line * patchy.clamp(min=0.1)
    inside = per_object(canvas, sheet.labels, 0, 1) + 0.3 * texture(canvas, spacing * 0.1)
    image = image + canvas.uniform(0, 0.3) * inside * (1 - line)
    labels = sheet.labels * (sheet.edge > canvas.uniform(0, 0.5) * wall)
    parts = None
    if canvas.odds(0.45):
        lumpy = sheet.middle + 0.05 * smooth_noise(canvas, spacing * 0.3)[:, 0]
        core = (lumpy < canvas.uniform(0.18, 0.3)) & (sheet.edge > 2 * wall)
        parts = labels * core
        image = image + canvas.uniform(0.25, 0.9) * core * per_object(canvas, labels, 0.6, 1)
    return Painting(image, labels, Look(invert=0.3, noise=0.08, tint=0.2), parts)


def vesicles(canvas: Canvas) -> Painting:
    """Hollow spheres in section: vesicles, droplets, organoids; their inside is a part."""
    radius = scene_radius(canvas, 0.02, 0.22, 5)
    discs = scatter(
        canvas,
        radius,
        canvas.between(0.2, 0.9),
        spread=canvas.between(0.1, 0.5),
        gap=canvas.between(0.8, 1.1),
        clusters=0.2,
    )
    warp = warp_field(canvas, radius, radius * canvas.between(0, 0.15))
    layout = blobs(canvas, discs, Outline(canvas.between(0, 0.08), 1.4), warp=warp)
    inside = (layout.labels > 0).float()
    wide = per_object(canvas, layout.labels, 0.05, canvas.between(0.1, 0.4))
    hollow = (layout.rho < 1 - 1.5 * wide) & (layout.labels > 0)
    shell = torch.exp(-(((layout.rho - 1 + wide) / wide) ** 2)) * inside
    image = shell * per_object(canvas, layout.labels, 0.4, 1.0)
    image = image * (1 + canvas.uniform(0, 0.4) * texture(canvas, max(radius * 0.1, 1.0)))
    image = image + canvas.uniform(-0.3, 0.5) * hollow
    image = image + canvas.uniform(0, 0.1) * wander(canvas)
    parts = layout.labels * hollow if radius > 9 else None
    return Painting(image, layout.labels, Look(invert=0.35, tint=0.2), parts)


def neurons(canvas: Canvas) -> Painting:
    """Cell bodies with neurites: the neuron is the object, its body a part of it."""
    radius = scene_radius(canvas, 0.02, 0.07, 5)
    bodies = scatter(canvas, radius, canvas.between(0.03, 0.15), gap=1.5, spread=0.2)
    number = min(bodies.centre.shape[1], 40)
    bodies = Discs(bodies.centre[:, :number], bodies.radius[:, :number], bodies.largest)
    soma = blobs(canvas, bodies, Outline(0.12, 1.8))
    arms = canvas.choose((2, 3, 5))
    ids = torch.arange(1, number + 1, device=canvas.device).repeat(arms).expand(canvas.count, -1)
    there = (bodies.radius > 0).repeat(1, arms)
    width = max(radius * canvas.between(0.1, 0.25), 1.2)
    web = strokes(
        canvas,
        number * arms,
        canvas.between(0.15, 0.6) * canvas.size,
        width,
        wiggle=canvas.between(0.1, 0.4),
        ids=ids,
        taper=0.5,
        over=True,
        start=torch.where(there[..., None], bodies.centre.repeat(1, arms, 1), -1e4),
    )
    labels = torch.where(soma.labels > 0, soma.labels, web.labels)
    body = dome(canvas, soma) * per_object(canvas, soma.labels, 0.5, 1)
    neurite = (1 - web.rho**2).clamp(min=0) * per_object(canvas, web.labels, 0.3, 1)
    beads = (1 + 0.4 * smooth_noise(canvas, 2 * width)[:, 0]).clamp(min=0.3)
    image = torch.maximum(body, canvas.uniform(0.25, 0.9) * neurite * beads)
    image = image * (1 + canvas.uniform(0, 0.2) * texture(canvas, 2.0))
    image = image + canvas.uniform(0, 0.2) * blur(image, radius) + 0.04 * wander(canvas)
    return Painting(image, labels, Look(softest=1.2, tint=0.35, invert=0.2), soma.labels)
