"""Synthetic fluorescence: nuclei, stained cells, membranes, neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import Look, debris, per_object, radial_profile
from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    fractal_noise,
    log_uniform,
    oriented_noise,
    smooth_noise,
    smoothstep,
    spots,
    texture,
)
from napari_pvpu.training.synthetic_layouts import strokes
from napari_pvpu.training.synthetic_painting import (
    Painting,
    cell_bodies,
    gentle_warp,
    nuclei_within,
    painting,
    scene_radius,
    seam_line,
    tries,
    varied,
)
from napari_pvpu.training.synthetic_shapes import Blob, bumps, nucleus_blob, scatter, settle

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Layout


def _chromatin(layout: Layout, radius: float, rng: np.random.Generator) -> Field:
    """Brightness of stained nuclei: profile, clumps, nucleoli, a level for each."""
    size = (layout.labels.shape[0], layout.labels.shape[1])
    body = radial_profile(layout.rho, rng) * (layout.labels > 0)
    clumps = fractal_noise(size, max(radius * rng.uniform(0.15, 0.6), 1.5), rng)
    body = body * np.clip(1 + rng.uniform(0, 0.4) * clumps, 0.2, 3)
    body = body * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0, 0.6)))
    if chance(rng, 0.3):
        holes = spots(size, 0.05, max(radius * 0.12, 0.8), rng)
        body = body * np.exp(rng.choice([-1.5, 0.8]) * np.clip(holes, 0, 1))
    if chance(rng, 0.25):  # dividing or dying cells: small, compact and very bright
        hot = rng.random(layout.count + 1) < 0.1
        body = body * (1 + rng.uniform(1, 3) * hot[layout.labels])
    return np.asarray(body, dtype=np.float32)


def nuclei(size: Size, rng: np.random.Generator) -> Painting:
    """Fluorescent nuclei, scattered or touching, with chromatin, neighbours out of focus, haze."""
    radius = scene_radius(size, rng, 0.02, 0.28)
    spread = rng.uniform(0.05, 0.35)
    placed = scatter(
        size,
        tries(size, radius, rng.uniform(0.3, 2.5)),
        lambda: varied(radius, spread, rng),
        rng,
        gap=rng.uniform(0.6, 1.1),
        clusters=int(rng.integers(1, 6)) if chance(rng, 0.5) else 0,
    )
    layout = settle(
        [nucleus_blob(rng, *disc) for disc in placed],
        size,
        warp=gentle_warp(size, radius, rng),
        mode="split" if chance(rng, 0.7) else "over",
    )
    body = _chromatin(layout, radius, rng)
    image = body + rng.uniform(0, 0.4) * blur(body, radius)
    if chance(rng, 0.4):
        discs = scatter(size, 8, lambda: radius, rng)
        ghosts = settle([nucleus_blob(rng, *disc) for disc in discs], size).labels > 0
        soft = blur(ghosts.astype(np.float32), radius * rng.uniform(0.3, 0.8))
        image = image + rng.uniform(0.1, 0.6) * soft
    if chance(rng, 0.3):
        image = image + rng.uniform(0.02, 0.2) * fractal_noise(size, 3 * radius, rng)
    if chance(rng, 0.3):
        image = debris(image, rng, rng.uniform(0.2, 1.0))
    return painting(image, layout.labels, Look(invert=0.12, tint=0.2, lines=0.02, softest=2.5))


def cells_fluorescence(size: Size, rng: np.random.Generator) -> Painting:
    """Stained cell bodies, with a nucleus of its own brightness; labels are cells or nuclei."""
    layout = cell_bodies(size, rng)
    inside = (layout.labels > 0).astype(np.float32)
    grain = max(min(size) * rng.uniform(0.005, 0.03), 1.2)
    if chance(rng, 0.5):
        matter = fractal_noise(size, 2 * grain, rng)
    else:
        turn = rng.uniform(0, np.pi)
        matter = oriented_noise(size, 10 * grain, grain, turn, rng, bend=20 * grain)
    body = inside * radial_profile(layout.rho, rng) * (1 + rng.uniform(0.05, 0.4) * matter)
    body = body * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0.05, 0.6)))
    seeds = nuclei_within(layout, rng, rng.uniform(0.3, 0.6))
    core = smoothstep(1.02, 0.8, seeds.rho)
    look = Look(invert=0.1, tint=0.2, softest=2.0, noise=0.08)
    inner = chance(rng, 0.3)
    labels = seeds.labels if inner else layout.labels
    if chance(rng, 0.35):
        colours = rng.permutation(3)
        image = np.zeros((*size, 3), dtype=np.float32)
        image[..., colours[0]] = 0.7 * body * (1 - 0.5 * core)
        image[..., colours[1]] = core * (0.7 + 0.15 * matter)
        if chance(rng, 0.4):
            image[..., colours[2]] = 0.5 * spots(size, 0.1, grain, rng) * inside
        return painting(image * rng.uniform(0.5, 1.2), labels, look)
    strength = rng.uniform(-0.9, 1.0)
    if inner:
        strength = rng.uniform(0.5, 1.3) if chance(rng, 0.7) else -rng.uniform(0.6, 0.9)
    body = body * (1 + strength * core)
    if chance(rng, 0.3):
        body = body + inside * spots(size, rng.uniform(0.02, 0.2), grain, rng)
    return painting(body + rng.uniform(0, 0.3) * blur(body, 8 * grain), labels, look)


def membranes(size: Size, rng: np.random.Generator) -> Painting:
    """Epithelia with stained borders: cells told apart by thin bright (or dark) lines only."""
    layout = cell_bodies(size, rng, confluent=0.85)
    line = seam_line(layout.labels, log_uniform(rng, 0.8, 4))
    line = line * np.clip(1 + rng.uniform(0, 0.6) * smooth_noise(size, 12, rng), 0.1, 2)
    body = rng.uniform(0, 0.35) * (layout.labels > 0) * (1 + 0.3 * texture(size, rng, scale=4))
    body = body * np.exp(per_object(layout.labels, rng, 0, 0.3))
    if chance(rng, 0.3):
        rho = nuclei_within(layout, rng, rng.uniform(0.4, 0.7)).rho
        body = body + rng.uniform(-0.2, 0.6) * smoothstep(1.0, 0.8, rho)
    return painting(line + body, layout.labels, Look(invert=0.25, tint=0.2))


def neurons(size: Size, rng: np.random.Generator) -> Painting:
    """Neurons: bright bodies with thin branches over haze; labels take bodies or branches."""
    radius = scene_radius(size, rng, 0.03, 0.12)
    placed = scatter(size, int(rng.integers(3, 20)), lambda: radius * rng.uniform(0.6, 1.4), rng)
    blobs = [
        Blob(
            *disc,
            bumps(rng, int(rng.integers(1, 5)), 0.9, 0.25),
            rng.uniform(1, 2.2),
            rng.uniform(0, np.pi),
        )
        for disc in placed
    ]
    bodies = settle(blobs, size, warp=gentle_warp(size, radius, rng))
    width = max(radius * rng.uniform(0.1, 0.3), 1.0)
    lines = strokes(
        size,
        int(rng.integers(3, 12)),
        lambda: width * rng.uniform(0.7, 1.5),
        rng,
        wiggle=rng.uniform(0.5, 3),
    )
    body = (bodies.labels > 0) * np.sqrt(np.clip(1 - bodies.rho, 0, 1))
    body = body * np.exp(per_object(bodies.labels, rng, 0, 0.4))
    beads = np.clip(1 + 0.4 * smooth_noise(size, 3 * width, rng), 0.2, 2)
    glow = blur(np.where(lines > 0, rng.uniform(0.2, 0.8), 0).astype(np.float32), 0.6) * beads
    haze = np.clip(fractal_noise(size, min(size) / 3, rng), 0, None) * rng.uniform(0, 0.25)
    image = np.maximum(body, glow) + haze * (1 + 0.4 * texture(size, rng))
    labels = lines if chance(rng, 0.35) else bodies.labels
    return painting(image, labels, Look(invert=0.2, tint=0.4, softest=1.8, noise=0.08))
