"""Tissue: stained sections and smears, electron micrographs, axons, fibres, colonies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from napari_pvpu.training.scenes.layouts import (
    inner,
    islands,
    partition,
)
from napari_pvpu.training.scenes.noise import blur, fractal_noise, smooth_noise, texture
from napari_pvpu.training.scenes.optics import Look
from napari_pvpu.training.scenes.painting import (
    Painting,
    border_distance,
    looked_up,
    per_object,
    scene_radius,
    some_objects,
    wander,
)
from napari_pvpu.training.scenes.shapes import Discs, Layout, Outline, blobs, scatter, warp_field

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pvpu.training.scenes.canvas import Canvas

# Optical densities of haematoxylin and eosin in red, green and blue (Ruifrok, Johnston 2001).
_HAEMATOXYLIN, _EOSIN = (0.650, 0.704, 0.286), (0.072, 0.990, 0.105)


def stained(canvas: Canvas, blue: Tensor, pink: Tensor) -> Tensor:
    """Colour a section by the law of Beer and Lambert.

    Parameters
    ----------
    canvas : Canvas
        Gives randomness: stains and the lamp differ from scene to scene.
    blue, pink : Tensor
        ``(B, S, S)`` densities of haematoxylin and eosin, 0 to about 2.

    Returns
    -------
    Tensor
        ``(B, 3, S, S)``, 0 to 1.
    """
    stains = torch.tensor([_HAEMATOXYLIN, _EOSIN], device=canvas.device)
    stains = (stains + 0.09 * canvas.randn(2, 3)).clamp(min=0.02)
    if canvas.odds(0.2):
        # Other stains: brown, green, red.
        stains = canvas.uniform(0.05, 1.0, 2, 3)
    density = stains.mT @ torch.stack([blue, pink], 1).clamp(min=0).flatten(2)
    lamp = 1 - canvas.uniform(0, 0.15, 3, 1)
    return (lamp * torch.exp(-density)).view(-1, 3, *blue.shape[1:])


def _ground(canvas: Canvas, scale: float) -> Tensor:
    """Draw the eosin of tissue: fibres and clouds, with clefts and lumens where nothing is."""
    fibres = smooth_noise(canvas, max(scale * 0.4, 1.5), aspect=canvas.choose((1.0, 4.0, 8.0)))
    cloud = fractal_noise(canvas, canvas.size / 5, 4)
    pink = 0.5 + 0.12 * fibres[:, 0] + canvas.uniform(0.05, 0.2) * cloud
    pink = pink * canvas.uniform(0.5, 1.3)
    if canvas.odds(0.5):
        clefts = islands(canvas, canvas.size * canvas.log_between(0.06, 0.3), 0.15)
        pink = pink * (1 - 0.95 * blur(clefts.float(), 1.0))
    return pink.clamp(min=0)


def histology(canvas: Canvas) -> Painting:
    """A stained section: nuclei, or cells with nuclei as parts, in stroma with red cells."""
    radius = scene_radius(canvas, 0.018, 0.12, 4)
    pink = _ground(canvas, radius)
    turn = None
    long = canvas.choose((1.4, 1.8, 3.5))
    discs = scatter(
        canvas,
        radius,
        canvas.between(0.15, 0.7),
        spread=canvas.between(0.1, 0.4),
        gap=canvas.between(0.7, 1.05),
        clusters=0.4,
    )
    if canvas.odds(0.4):
        turn = canvas.uniform(0, math.pi, 1) + 0.4 * canvas.randn(discs.centre.shape[1])
    warp = warp_field(canvas, radius * 0.7, radius * 0.12)
    core = blobs(canvas, discs, Outline(canvas.between(0.02, 0.12), long), turn=turn, warp=warp)
    within = (core.labels > 0).float()
    pale = per_object(canvas, core.labels, 0.35, 1.1) * canvas.uniform(0.6, 1.3)
    grain = canvas.uniform(0.05, 0.4) * fractal_noise(canvas, max(radius * 0.4, 2), 3)
    margin = canvas.uniform(0, 0.6) * (core.rho > 0.8)
    blue = within * (pale + grain + margin).clamp(min=0.15) + canvas.uniform(0, 0.25) * pink
    if canvas.odds(0.4):
        red = blobs(canvas, scatter(canvas, radius * 0.8, 0.12, clusters=0.7), Outline(0.03, 1.3))
        pink = pink + canvas.uniform(0.3, 0.9) * (red.labels > 0) * (1 - within)
    if not canvas.odds(0.35):
        return Painting(stained(canvas, blue, pink), core.labels, Look(blocks=0.4, noise=0.05))
    body = blobs(
        canvas,
        Discs(discs.centre, discs.radius * 1.7, discs.largest * 1.7),
        Outline(0.08, 1.4),
        warp=warp,
    )
    edge = torch.exp(-border_distance(body.labels, 6) / canvas.uniform(0.7, 2))
    pink = pink * 0.5 + (body.labels > 0) * (
        per_object(canvas, body.labels, 0.15, 0.7) - canvas.uniform(-0.4, 0.4) * edge
    )
    mine = core.labels * (core.labels == body.labels)
    blue = torch.where(mine > 0, blue, canvas.uniform(0, 0.2) * pink)
    return Painting(stained(canvas, blue, pink), body.labels, Look(blocks=0.4, noise=0.05), mine)


def smear(canvas: Canvas) -> Painting:
    """Blood or cytology: pale discs, and larger cells whose lobed dark nuclei are parts."""
    radius = scene_radius(canvas, 0.03, 0.12, 6)
    discs = scatter(
        canvas,
        radius,
        canvas.between(0.2, 0.9),
        spread=0.12,
        gap=canvas.between(0.75, 1.05),
        clusters=0.2,
    )
    layout = blobs(canvas, discs, Outline(0.04, 1.25), over=canvas.odds(0.4))
    within = (layout.labels > 0).float()
    white = some_objects(canvas, layout.labels, 0.1, 0.5)
    core = inner(canvas, discs, layout, canvas.between(0.5, 0.75))
    lumpy = smooth_noise(canvas, radius * 0.4)[:, 0] * canvas.uniform(0.0, 0.3)
    nucleus = (core.labels > 0) & (core.rho + lumpy < 1) & (white > 0)
    pallor = canvas.uniform(0, 0.8) * (1 - layout.rho**2).clamp(min=0)
    pink = within * (1 - pallor) * per_object(canvas, layout.labels, 0.6, 1.0)
    pink = pink * torch.where(white > 0, canvas.uniform(0.3, 0.8), 1.0)
    pink = pink * canvas.uniform(0.3, 1.0) + 0.05 * (1 + wander(canvas))
    speck = texture(canvas, max(radius * 0.08, 1.0))
    blue = white * (0.15 + canvas.uniform(0, 0.2) * speck)
    blue = blue + nucleus * (canvas.uniform(0.6, 1.4) + 0.15 * speck)
    return Painting(
        stained(canvas, blue, pink),
        layout.labels,
        Look(blocks=0.4, noise=0.04),
        layout.labels * nucleus,
    )


def _mitochondria(canvas: Canvas, radius: float) -> tuple[Layout, Tensor, Tensor]:
    """Draw mitochondria: where, how dark inside (cristae) and how dark their membrane."""
    discs = scatter(canvas, radius, canvas.between(0.08, 0.35), spread=0.3, gap=1.1)
    warp = warp_field(canvas, radius, radius * 0.15)
    layout = blobs(canvas, discs, Outline(0.06, canvas.choose((1.6, 3.0)), bend=0.2), warp=warp)
    field = smooth_noise(canvas, canvas.size / 6, 2) * radius
    rows, cols = (canvas.coordinates() + field).unbind(1)
    turn = looked_up(canvas.uniform(0, math.pi, 2039), layout.labels)
    wave = 2 * math.pi / (radius * canvas.uniform(0.25, 0.5)).clamp(min=2.2)
    cristae = torch.sin((rows * turn.cos() + cols * turn.sin()) * wave)
    cristae = cristae.clamp(min=0) * (layout.rho < 0.85)
    wall = torch.exp(-((border_distance(layout.labels, 4) / canvas.uniform(0.8, 1.8)) ** 2))
    return layout, cristae, wall * (layout.labels > 0)


def electron_tissue(canvas: Canvas) -> Painting:
    """Neuropil by electrons: profiles with membranes, mitochondria (parts or objects), vesicles."""
    spacing = scene_radius(canvas, 0.08, 0.4, 16)
    warp = warp_field(canvas, spacing * 0.5, spacing * 0.2)
    sheet = partition(
        canvas, spacing, stretch=canvas.choose((1.0, 1.5, 3.0)), uneven=0.5, warp=warp
    )
    wall = canvas.uniform(0.7, 1.6)
    image = per_object(canvas, sheet.labels, 0.45, 0.9)
    image = image + canvas.uniform(0.02, 0.12) * texture(canvas, canvas.between(1, 3), "fractal")
    small = max(spacing * 0.03, 1.5)
    dots = blobs(canvas, scatter(canvas, small, 0.1, clusters=0.9, least=1.5), Outline(0.0, 1.1))
    rings = torch.exp(-(((dots.rho - 0.8) / 0.3) ** 2)) * (dots.labels > 0)
    image = image - canvas.uniform(0.1, 0.4) * rings
    if canvas.odds(0.5):
        folds = torch.exp(-((smooth_noise(canvas, spacing * 0.15)[:, 0] / 0.12) ** 2))
        image = image - 0.25 * folds * some_objects(canvas, sheet.labels, 0.1, 0.5)
    radius = max(spacing * canvas.between(0.12, 0.25), 4.5)
    mito, cristae, skin = _mitochondria(canvas, radius)
    inside = (mito.labels > 0) & (sheet.edge > 1.5)
    dark = canvas.uniform(0.05, 0.3)
    image = image - inside * (dark + canvas.uniform(-0.25, 0.3) * cristae + 0.3 * skin)
    line = torch.exp(-((sheet.edge / wall) ** 2))
    image = image * (1 - canvas.uniform(0.6, 0.95) * line)
    parts = mito.labels * inside
    look = Look(noise=0.12, invert=0.1, softest=1.3, tint=0.03)
    if canvas.odds(0.35):
        return Painting(image, parts, look)
    return Painting(image, sheet.labels * (sheet.edge > 0.5 * wall), look, parts)


def axons(canvas: Canvas) -> Painting:
    """Fibres in cross-section: a sheath around an axon, which is a part."""
    radius = scene_radius(canvas, 0.025, 0.13, 6)
    discs = scatter(
        canvas,
        radius,
        canvas.between(0.5, 1.2),
        spread=canvas.between(0.2, 0.5),
        gap=canvas.between(0.85, 1.0),
    )
    warp = warp_field(canvas, radius * 0.8, radius * 0.15)
    layout = blobs(canvas, discs, Outline(0.07, 1.6), warp=warp)
    ratio = per_object(canvas, layout.labels, 0.45, 0.8)
    core = (layout.rho < ratio) & (layout.labels > 0)
    sheath = (layout.labels > 0) & ~core
    grain = texture(canvas, max(radius * 0.15, 1.0), "fractal")
    ground = 0.4 + 0.12 * texture(canvas, canvas.between(1, 4)) + 0.05 * wander(canvas)
    tone = canvas.uniform(0.0, 0.35)
    image = torch.where(sheath, canvas.uniform(0.7, 1.0) + 0.05 * grain, ground)
    image = torch.where(core, tone + canvas.uniform(0.02, 0.08) * grain, image)
    laminae = torch.sin(layout.rho * canvas.uniform(20, 60)) * sheath
    image = image + canvas.uniform(0, 0.15) * laminae
    parts = layout.labels * core
    return Painting(image, layout.labels, Look(invert=0.4, noise=0.1, tint=0.08), parts)


def fibres(canvas: Canvas) -> Painting:
    """Bundles cut across or along, such as muscle or wood: cells with gaps and walls."""
    spacing = scene_radius(canvas, 0.06, 0.28, 12)
    warp = warp_field(canvas, spacing * 0.5, spacing * 0.08)
    sheet = partition(
        canvas,
        spacing,
        stretch=canvas.choose((1.0, 1.4, 5.0)),
        warp=warp,
        uneven=canvas.between(0, 0.5),
        order=canvas.between(0.1, 0.7),
    )
    gap = canvas.uniform(0.5, max(2.0, spacing * 0.12))
    labels = sheet.labels * (sheet.edge > gap)
    tone = per_object(canvas, sheet.labels, 0.4, 0.9)
    tone = tone + canvas.uniform(0.02, 0.2) * texture(canvas, max(spacing * 0.06, 1.0))
    between = canvas.rand(1, 1) * 1.2 + 0.1 * wander(canvas)
    mix = torch.sigmoid((sheet.edge - gap) * 2)
    image = mix * tone + (1 - mix) * between
    if canvas.odds(0.4):
        blue = (
            1.2 * torch.exp(-(((sheet.edge - gap) / 2.0) ** 2)) * islands(canvas, spacing / 3, 0.2)
        )
        image = stained(canvas, blue, 1.2 * (1 - image.clamp(0, 1)))
        return Painting(image, labels, Look(blocks=0.3, noise=0.05))
    return Painting(image, labels, Look(invert=0.2, tint=0.3))


def colonies(canvas: Canvas) -> Painting:
    """Colonies, spheroids or glands: groups with an outline of their own; cells are parts."""
    radius = canvas.between(0.14, 0.35) * canvas.size
    discs = scatter(canvas, radius, 0.7, spread=0.25, gap=1.0)
    warp = warp_field(canvas, radius * 0.4, radius * 0.12)
    group = blobs(canvas, discs, Outline(0.12, 1.6), warp=warp)
    spacing = max(radius * canvas.between(0.15, 0.35), 10.0)
    sheet = partition(canvas, spacing, uneven=0.3, warp=warp_field(canvas, spacing, spacing * 0.1))
    inside = (group.labels > 0).float()
    line = torch.exp(-((sheet.edge / canvas.uniform(0.6, 1.5)) ** 2))
    tone = per_object(canvas, sheet.labels, 0.5, 1.0) * (1 - canvas.uniform(-0.4, 0.8) * line)
    lumpy = sheet.middle + 0.05 * smooth_noise(canvas, spacing * 0.3)[:, 0]
    tone = tone + canvas.uniform(-0.4, 0.4) * (lumpy < canvas.uniform(0.15, 0.3))
    depth = 1 - canvas.uniform(-0.3, 0.5) * group.rho
    ground = canvas.uniform(0, 0.5) + 0.05 * texture(canvas, 3.0) + 0.05 * wander(canvas)
    mix = blur(inside, 0.7)
    image = mix * tone * depth + (1 - mix) * ground
    rim = torch.exp(-((border_distance(group.labels, 8) / canvas.uniform(1, 3)) ** 2))
    image = image + canvas.uniform(-0.3, 0.3) * rim
    parts = (sheet.labels + 1) * (sheet.edge > 0.7) * (group.labels > 0)
    return Painting(image, group.labels, Look(invert=0.25, uneven=0.5, tint=0.2), parts)
