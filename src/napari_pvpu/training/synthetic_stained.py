"""Synthetic stains in transmitted light: H&E sections, smears, blood.

Colours follow from absorption: light = lamp * exp(-sum of dye density times dye colour).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import Look, per_object
from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    fractal_noise,
    log_uniform,
    oriented_noise,
    smoothstep,
    texture,
    warp_field,
)
from napari_pvpu.training.synthetic_layouts import islands
from napari_pvpu.training.synthetic_painting import (
    Painting,
    cell_bodies,
    elongation,
    nuclei_within,
    painting,
    scene_radius,
    seam_line,
    tries,
    varied,
)
from napari_pvpu.training.synthetic_shapes import Blob, harmonic, scatter, settle

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Layout, Warp


def _stroma(size: Size, radius: float, rng: np.random.Generator) -> Field:
    """Eosin density of connective tissue: wavy fibres, sheets and cracks, 0 to about 1."""
    turn = rng.uniform(0, np.pi)
    along, across = radius * rng.uniform(3, 10), radius * rng.uniform(0.15, 0.6)
    fibres = oriented_noise(size, along, across, turn, rng, bend=radius * rng.uniform(0.5, 3))
    fine = oriented_noise(size, along / 2, across / 2.5, turn, rng, bend=radius)
    sheets = fractal_noise(size, radius * rng.uniform(2, 6), rng)
    mix = rng.uniform(0.2, 0.8)
    density = 0.5 + 0.25 * (mix * (fibres + 0.5 * fine) + (1 - mix) * sheets)
    if chance(rng, 0.4):  # clefts between bundles of fibres
        density = density * (1 - 0.9 * smoothstep(1.2, 1.8, fibres))
    return np.asarray(np.clip(density, 0, 1.5), np.float32)


def _nuclei(size: Size, radius: float, rng: np.random.Generator) -> tuple[list[Blob], Warp]:
    """Nuclei of a section: ovals, beans, spindles along the fibres."""
    placed = scatter(
        size,
        tries(size, radius, rng.uniform(0.2, 1.8), 150),
        lambda: varied(radius, 0.3, rng),
        rng,
        gap=rng.uniform(0.75, 1.3),
        clusters=int(rng.integers(0, 5)),
    )
    slender, lean = rng.uniform(0, 0.5), rng.uniform(0, np.pi)
    blobs = []
    for row, col, r in placed:
        thin = chance(rng, slender)
        aspect = rng.uniform(2.2, 5) if thin else elongation(rng)
        turn = lean + 0.4 * rng.standard_normal() if thin else rng.uniform(0, np.pi)
        outline = harmonic(rng, log_uniform(rng, 0.02, 0.15), last=7, decay=1.5)
        blobs.append(Blob(row, col, r, outline, aspect, turn, rng.normal(0, 0.08)))
    return blobs, warp_field(size, 1.3 * radius, 0.06 * radius, rng)


def _absorb(blue: Field, pink: Field, white: Field, rng: np.random.Generator) -> Field:
    """Colours (H, W, 3) of two dyes, drawn near haematoxylin and eosin."""
    haematoxylin = np.clip(np.array((0.9, 1.0, 0.45)) + rng.normal(0, 0.12, 3), 0.05, None)
    eosin = np.clip(np.array((0.1, 0.8, 0.4)) + rng.normal(0, 0.12, 3), 0.02, None)
    if chance(rng, 0.2):  # diaminobenzidine brown, or another pair of dyes
        eosin = np.clip(rng.normal((0.35, 0.6, 0.9), 0.2), 0.05, None)
    keep = (1 - white)[..., None]
    density = keep * (blue[..., None] * haematoxylin + pink[..., None] * eosin)
    lamp = rng.uniform(0.85, 1.0) + rng.normal(0, 0.02, 3)
    return np.asarray(lamp * np.exp(-density), dtype=np.float32)


def _haematoxylin(layout: Layout, radius: float, rng: np.random.Generator) -> Field:
    """Density of the nuclear stain: chromatin clumps, a dark envelope, pale and dense nuclei."""
    size = (layout.labels.shape[0], layout.labels.shape[1])
    inside = blur((layout.labels > 0).astype(np.float32), rng.uniform(0.5, 1.0))
    clumps = fractal_noise(size, max(radius * rng.uniform(0.15, 0.5), 1.2), rng)
    rim = np.exp(-(((layout.rho - 0.95) / 0.15) ** 2)) * rng.uniform(0, 0.8)
    density = inside * (rng.uniform(0.4, 1.1) + rng.uniform(0.05, 0.4) * clumps + rim)
    density = density * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0.1, 0.5)))
    haze = np.clip(fractal_noise(size, 4 * radius, rng), 0, None)
    return np.asarray(np.clip(density, 0, 3) + rng.uniform(0, 0.25) * haze, dtype=np.float32)


def histology(size: Size, rng: np.random.Generator) -> Painting:
    """H&E section: blue-violet nuclei in pink tissue with pale cells, white lumina and fat."""
    radius = scene_radius(size, rng, 0.02, 0.18)
    blobs, warp = _nuclei(size, radius, rng)
    layout = settle(blobs, size, warp=warp)
    labels = layout.labels
    pink = _stroma(size, radius, rng)
    if chance(rng, 0.5):  # cell bodies around the nuclei, paler or denser, with borders
        bodies = settle(blobs, size, warp=warp, limit=rng.uniform(1.6, 2.6)).labels
        border = seam_line(bodies, rng.uniform(1, 2.5))
        own = np.clip(0.5 + 0.2 * fractal_noise(size, radius / 2, rng), 0, 1)
        body = rng.uniform(0.2, 1.0) * (pink + own) / 2 + rng.uniform(0, 0.5) * border
        pink = np.where(bodies > 0, body, pink)
    white = np.zeros(size, dtype=np.float32)
    if chance(rng, 0.5):
        scale = min(size) * rng.uniform(0.15, 0.6)
        lumen = islands(size, scale, rng.uniform(0.05, 0.35), rng).labels > 0
        white = blur(lumen.astype(np.float32), 1.0)
        labels = np.where(white > 0.5, 0, labels)
    blue = _haematoxylin(layout, radius, rng)
    pink = pink * rng.uniform(0.3, 1.0) * (1 - rng.uniform(0.2, 0.9) * (labels > 0))
    image = _absorb(blue, np.asarray(pink, np.float32), white, rng)
    return painting(image, labels, Look(uneven=0.2, lines=0.0, blocks=0.5, noise=0.03, softest=1.8))


def smear(size: Size, rng: np.random.Generator) -> Painting:
    """Giemsa-like stains on a bright slide: purple nuclei in pale cells, dye of many hues."""
    layout = cell_bodies(size, rng, confluent=0.05, largest=0.3)
    inside = (layout.labels > 0).astype(np.float32)
    seeds = nuclei_within(layout, rng, rng.uniform(0.45, 0.75))
    clumps = fractal_noise(size, max(min(size) * 0.03, 2.0), rng)
    core = smoothstep(1.03, 0.9, seeds.rho) * (1 + 0.25 * clumps)
    cell = blur(inside, 0.7) * (1 + rng.uniform(0, 0.3) * texture(size, rng))
    cell = cell * np.exp(per_object(layout.labels, rng, 0, 0.25))
    dye = np.abs(np.array((0.7, 1.0, 0.25)) + rng.normal(0, 0.2, 3))
    pale = np.abs(np.array((0.1, 0.5, 0.3)) + rng.normal(0, 0.2, 3))
    with_core = chance(rng, 0.6)
    density = rng.uniform(0.15, 0.7) * cell[..., None] * pale
    if with_core:
        density = density + rng.uniform(0.4, 1.5) * core[..., None] * dye
    else:
        density = density + rng.uniform(0.1, 0.8) * cell[..., None] * dye
    ground = rng.uniform(0, 0.08) * np.abs(fractal_noise(size, min(size) / 4, rng))
    lamp = rng.uniform(0.8, 1.0) + rng.normal(0, 0.03, 3)
    image = lamp * np.exp(-(density + ground[..., None]))
    labels = seeds.labels if with_core and chance(rng, 0.6) else layout.labels
    return painting(image, labels, Look(uneven=0.4, lines=0.0, blocks=0.4, noise=0.03))


def blood(size: Size, rng: np.random.Generator) -> Painting:
    """Crowded discs with pale middles that overlap see-through, and a few stained cells."""
    radius = scene_radius(size, rng, 0.03, 0.16)
    placed = scatter(
        size,
        tries(size, radius, rng.uniform(0.3, 2.0), 150),
        lambda: varied(radius, 0.08, rng),
        rng,
        gap=rng.uniform(0.75, 1.1),
    )
    blobs = []
    for disc in placed:
        outline = harmonic(rng, rng.uniform(0.01, 0.1), decay=1.8)
        blobs.append(Blob(*disc, outline, elongation(rng, 0.12), rng.uniform(0, np.pi)))
    layout = settle(blobs, size, mode="over")
    inside = layout.labels > 0
    dent = rng.uniform(0, 0.8) * np.exp(-((layout.rho / rng.uniform(0.3, 0.6)) ** 2))
    body = inside * (1 - dent) * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0, 0.25)))
    body = body + rng.uniform(0, 0.6) * seam_line(layout.labels, rng.uniform(0.8, 2))
    hue = np.clip(rng.normal((0.2, 0.6, 0.5), 0.2), 0.02, None)
    density = rng.uniform(0.3, 1.0) * body[..., None] * hue
    stained = rng.random(layout.count + 1) < 0.08
    purple = (stained[layout.labels] & inside) * (1 + 0.2 * texture(size, rng))
    density = density + purple[..., None] * np.array((0.9, 1.2, 0.3)) * rng.uniform(0.4, 1.2)
    image = rng.uniform(0.8, 1.0) * np.exp(-density)
    if chance(rng, 0.3):
        image = image.mean(axis=2)
    return painting(image, layout.labels, Look(uneven=0.4, blocks=0.4, noise=0.04, invert=0.2))
