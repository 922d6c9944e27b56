"""Synthetic materials made of parts: powders, precipitates, particles, grains, pores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import Look, painted, per_object
from napari_pvpu.training.synthetic_fields import (
    chance,
    log_uniform,
    smoothstep,
    texture,
    warp_field,
)
from napari_pvpu.training.synthetic_layouts import edge_distance, islands, partition
from napari_pvpu.training.synthetic_painting import (
    Painting,
    elongation,
    painting,
    rim_line,
    scene_radius,
    seam_line,
    tries,
    varied,
)
from napari_pvpu.training.synthetic_shapes import (
    Blob,
    Layout,
    bumps,
    circle,
    harmonic,
    polygon,
    raster,
    scatter,
    settle,
    superellipse,
)

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Disc, Labels


def _grain(rng: np.random.Generator, disc: Disc, rough: float) -> Blob:
    """A powder particle: sphere, drop, or (with chance `rough`) an irregular splat."""
    turn = rng.uniform(0, np.pi)
    if chance(rng, rough):
        outline = harmonic(rng, log_uniform(rng, 0.05, 0.25), last=14, decay=1.0)
        return Blob(*disc, outline, rng.uniform(1, 2), turn)
    if chance(rng, 0.15):  # a satellite has fused with it
        outline = bumps(rng, int(rng.integers(1, 3)), rng.uniform(0.1, 0.3), 0.3)
        return Blob(*disc, outline, rng.uniform(1, 1.3), turn)
    return Blob(*disc, harmonic(rng, rng.uniform(0.002, 0.03)), rng.uniform(1, 1.15), turn)


def powder(size: Size, rng: np.random.Generator) -> Painting:
    """Powder in the electron microscope: overlapping shaded spheres and grains, bright edges."""
    radius = scene_radius(size, rng, 0.025, 0.3)
    spread = rng.uniform(0.15, 0.8)
    count = tries(size, radius, rng.uniform(0.4, 2.5), 160)
    placed = scatter(
        size, count, lambda: varied(radius, spread, rng, 4.0), rng, gap=rng.uniform(0.45, 1.0)
    )
    if chance(rng, 0.7):
        big_first = chance(rng, 0.5)
        placed = sorted(placed, key=lambda disc: -disc[2]) if big_first else placed[::-1]
    image = painted(size, rng, rng.uniform(0, 0.25), rng.uniform(0, 0.06))
    labels = np.zeros(size, dtype=np.int32)
    family = str(rng.choice(["ridges", "fractal", "grain", "streaks", "spots"]))
    surface = texture(size, rng, max(radius * rng.uniform(0.03, 0.3), 1.2), family)
    surface = surface * rng.uniform(0.01, 0.15)
    rough = float(rng.choice([0.05, 0.2, 0.9]))
    shade = _Shading(rng)
    for label, disc in enumerate(placed, start=1):
        drawn = raster(_grain(rng, disc, rough), size, reach=1.4)
        if drawn is None:
            continue
        window, rho = drawn
        down = (np.arange(*window[0].indices(size[0])) - disc[0])[:, None] / disc[2]
        across = (np.arange(*window[1].indices(size[1])) - disc[1])[None, :] / disc[2]
        body = shade.body(rho, down, across, label / len(placed), rng) + surface[window]
        outside = image[window] * (1 - shade.shadow * smoothstep(1.4, 1.0, rho))
        image[window] = np.where(rho < 1, np.maximum(body, 0.02), outside)
        labels[window][rho < 1] = label
    look = Look(invert=0.05, noise=0.07, lines=0.1, tint=0.04, softest=1.3)
    return painting(image, labels, look)


class _Shading:
    """How one scene's particles are lit: a slant, edges that shine, depth, cast shadow."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.light = rng.uniform(0, 2 * np.pi)
        self.slant, self.edge = rng.uniform(0, 0.4), rng.uniform(0, 0.6)
        self.power, self.base = rng.uniform(2, 6), rng.uniform(0.3, 0.6)
        self.shadow, self.depth = rng.uniform(0, 0.7), rng.uniform(0, 0.5)

    def body(
        self, rho: Field, down: Field, across: Field, rank: float, rng: np.random.Generator
    ) -> Field:
        """Brightness of one particle; rank 0 is the hindmost, 1 the foremost."""
        lit = self.slant * (np.sin(self.light) * down + np.cos(self.light) * across)
        level = self.base + rng.normal(0, 0.06) - self.depth * (1 - rank)
        return np.asarray(level + lit + self.edge * np.minimum(rho, 1) ** self.power, np.float32)


def _cuboids(size: Size, spacing: float, disorder: float, rng: np.random.Generator) -> list[Blob]:
    """Squarish blobs near a turned square lattice, some with notches."""
    angle = rng.uniform(0, np.pi / 2)
    reach = int(np.hypot(*size) / spacing / 2) + 2
    grid = np.arange(-reach, reach + 1) * spacing
    lattice = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    lattice = lattice + rng.normal(0, 0.25 * disorder * spacing, lattice.shape)
    cos, sin = np.cos(angle), np.sin(angle)
    centres = lattice @ np.array([[cos, sin], [-sin, cos]]) + np.asarray(size) / 2
    near = np.all((centres > -spacing) & (centres < np.asarray(size) + spacing), axis=1)
    exponent = log_uniform(rng, 2, 8)
    blobs = []
    for row, col in centres[near][:300].tolist():
        outline = superellipse(exponent) * harmonic(rng, 0.05 * disorder)
        if chance(rng, 0.2):
            outline = outline * bumps(rng, int(rng.integers(1, 4)), -0.5, rng.uniform(0.1, 0.25))
        radius = 0.56 * spacing * float(np.exp(rng.normal(0, 0.3 * disorder)))
        turn = -angle + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.3 * disorder)
        aspect = elongation(rng, 0.3 * disorder)
        blobs.append(Blob(row, col, radius, np.asarray(outline, np.float32), aspect, turn))
    return blobs


def _fine(size: Size, spacing: float, free: Labels, rng: np.random.Generator) -> Labels:
    """Fine secondary precipitates in the wide channels, labelled from 1."""
    tiny = max(spacing * 0.08, 4.0)
    clusters = int(rng.integers(2, 8))
    placed = scatter(
        size, 150, lambda: tiny * rng.uniform(0.7, 1.4), rng, gap=1.2, clusters=clusters
    )
    layout = settle([Blob(*disc, circle()) for disc in placed], size)
    # One that does not fit whole into the channel is left out whole.
    outside = np.bincount(layout.labels.ravel(), (free == 0).ravel(), len(placed) + 1)
    return np.asarray(np.where((outside == 0)[layout.labels], layout.labels, 0), dtype=np.int32)


def precipitates(size: Size, rng: np.random.Generator) -> Painting:
    """Densely packed cuboid or rounded precipitates with thin channels, and fine secondary ones."""
    spacing = min(size) * log_uniform(rng, 0.05, 0.5)
    if chance(rng, 0.35):
        layout = islands(size, spacing, rng.uniform(0.3, 0.7), rng)
    else:
        warp = warp_field(size, spacing * 0.6, spacing * rng.uniform(0.02, 0.1), rng)
        blobs = _cuboids(size, spacing, rng.uniform(0.1, 0.9), rng)
        layout = settle(blobs, size, warp=warp, limit=rng.uniform(0.75, 1.15))
    channel = rng.uniform(0.02, 0.12) * spacing + 0.7
    distance = edge_distance(layout.labels)
    labels = np.where(distance > channel, layout.labels, 0)
    if chance(rng, 0.5):
        free = ((distance > channel) & (layout.labels == 0)).astype(np.int32)
        fine = _fine(size, spacing, free, rng)
        labels = np.where(fine > 0, fine + layout.count, labels)
    inside = labels > 0
    contrast = rng.choice([-1, 1]) * log_uniform(rng, 0.08, 0.5)
    matrix = painted(size, rng, rng.uniform(0.4, 0.6), abs(contrast) * rng.uniform(0, 0.4))
    body = matrix + contrast + abs(contrast) * rng.uniform(0, 0.3) * texture(size, rng)
    body = body + per_object(labels.astype(np.int32), rng, 0, abs(contrast) * rng.uniform(0, 0.2))
    image = np.where(inside, body, matrix)
    rim = rim_line(inside.astype(np.float32), rng.uniform(1, 5))
    image = image + rng.normal(0, 0.3) * rim * (~inside if chance(rng, 0.7) else 1)
    look = Look(invert=0.2, noise=0.06, softest=2.5, tint=0.03, low_range=0.25)
    return painting(image, labels, look)


def particles(size: Size, rng: np.random.Generator) -> Painting:
    """Small bright (or dark) particles with sharp or rounded corners on a busy ground."""
    radius = scene_radius(size, rng, 0.016, 0.1)
    spread = rng.uniform(0.2, 0.6)
    placed = scatter(
        size,
        tries(size, radius, rng.uniform(0.05, 0.8), 240),
        lambda: varied(radius, spread, rng, 2.5),
        rng,
        gap=rng.uniform(0.8, 1.1),
        clusters=int(rng.integers(0, 6)),
    )
    lean, order = rng.uniform(0, np.pi), rng.uniform(0.1, 3)
    slender = 8.0 if chance(rng, 0.2) else 2.5
    sharp = log_uniform(rng, 3, 20)
    blobs = []
    for disc in placed:
        outline = polygon(rng, int(rng.integers(4, 9)), sharpness=sharp)
        turn = lean + order * float(rng.standard_normal())
        blobs.append(Blob(*disc, outline, rng.uniform(1, slender), turn, rng.normal(0, 0.03)))
    layout = settle(blobs, size, mode="under", warp=warp_field(size, radius, 0.05 * radius, rng))
    contrast = log_uniform(rng, 0.2, 0.8)
    ground = painted(size, rng, 0.3, contrast * rng.uniform(0.05, 0.45))
    inside = layout.labels > 0
    body = ground.mean() + contrast * (1 - rng.uniform(0, 0.4) * smoothstep(0.5, 1, layout.rho))
    image = np.where(inside, body + per_object(layout.labels, rng, 0, 0.1 * contrast), ground)
    rim = rim_line(inside.astype(np.float32), rng.uniform(0.8, 3))
    image = image + rng.normal(0, 0.3) * contrast * rim * ~inside
    return painting(image, layout.labels, Look(invert=0.35, noise=0.08, lines=0.1))


def grains(size: Size, rng: np.random.Generator) -> Painting:
    """Polycrystals: cells told apart by grey value, by etched borders, or by stripe direction."""
    spacing = min(size) * log_uniform(rng, 0.08, 0.6)
    warp = warp_field(size, spacing * 0.5, spacing * rng.uniform(0, 0.1), rng)
    uneven = rng.uniform(0.05, 0.5)
    stretch = log_uniform(rng, 1, 4)
    layout = partition(size, spacing, rng, stretch=stretch, uneven=uneven, warp=warp)
    labels = layout.labels
    image = np.full(size, 0.5, dtype=np.float32)
    style = rng.integers(0, 3)
    if style != 1:
        image = image + per_object(labels, rng, 0, rng.uniform(0.08, 0.3))
    if style != 0:
        seam = seam_line(labels, rng.uniform(0.8, 2.5))
        image = image + rng.choice([-1, 1]) * rng.uniform(0.2, 0.6) * seam
    if chance(rng, 0.25):
        angles = rng.uniform(0, np.pi, layout.count + 1).astype(np.float32)[labels]
        rows, cols = np.indices(size, dtype=np.float32)
        period = max(spacing * rng.uniform(0.06, 0.25), 4.0)
        wave = np.sin((rows * np.cos(angles) + cols * np.sin(angles)) * (2 * np.pi / period))
        image = image + rng.uniform(0.05, 0.25) * wave
    image = image + rng.uniform(0, 0.08) * texture(size, rng)
    return painting(image, labels, Look(invert=0.2, tint=0.15, noise=0.06))


def _voids(size: Size, rng: np.random.Generator) -> Layout:
    """Ragged patches of noise, or round to ragged blobs."""
    if chance(rng, 0.5):
        scale = min(size) * log_uniform(rng, 0.04, 0.3)
        return islands(size, scale, rng.uniform(0.08, 0.4), rng)
    radius = scene_radius(size, rng, 0.02, 0.2)
    count = tries(size, radius, 0.6, 120)
    placed = scatter(size, count, lambda: varied(radius, 0.5, rng), rng, gap=1.1)
    ragged = rng.uniform(0, 0.25)
    blobs = [
        Blob(*disc, harmonic(rng, ragged), rng.uniform(1, 2), rng.uniform(0, np.pi))
        for disc in placed
    ]
    return settle(blobs, size, mode="over")


def pores(size: Size, rng: np.random.Generator) -> Painting:
    """Voids, inclusions and bubbles in a solid: dark round or ragged patches with bright edges."""
    ground = painted(size, rng, 0.6, rng.uniform(0, 0.08))
    layout = _voids(size, rng)
    inside = layout.labels > 0
    depth = log_uniform(rng, 0.1, 0.6)
    hollow = ground - depth * (1 - rng.uniform(0, 0.7) * layout.rho ** rng.uniform(1, 4))
    image = np.where(inside, hollow + rng.uniform(0, 0.08) * texture(size, rng), ground)
    rim = rim_line(inside.astype(np.float32), rng.uniform(0.8, 3))
    image = image + rng.uniform(-0.1, 0.4) * rim
    return painting(image, layout.labels, Look(invert=0.4, noise=0.07))
