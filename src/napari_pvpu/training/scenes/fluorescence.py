"""Fluorescence: nuclei, cells with nuclei, membranes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

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
from napari_pvpu.training.scenes.shapes import Outline, blobs, scatter, warp_field

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
    outline = Outline(canvas.between(0.0, 0.15), canvas.choose((1.3, 1.6, 2.2)))
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
