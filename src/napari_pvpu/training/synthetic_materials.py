"""Synthetic materials: powders, precipitates, grains, layers, melt pools, pores, cracks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import Look, painted, per_object
from napari_pvpu.training.synthetic_cells import Painting, _count, _radius
from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    log_uniform,
    oriented_noise,
    rotated,
    smooth_noise,
    smoothstep,
    texture,
    warp_field,
)
from napari_pvpu.training.synthetic_shapes import (
    Blob,
    bumps,
    circle,
    edge_distance,
    harmonic,
    islands,
    partition,
    polygon,
    raster,
    scatter,
    settle,
    strokes,
    superellipse,
)

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Labels


def _grain_blob(rng: np.random.Generator, row: float, col: float, r: float, rough: float) -> Blob:
    """A powder particle: sphere, satellite, drop, or (with `rough`) an irregular splat."""
    if chance(rng, rough):
        outline = harmonic(rng, rng.uniform(0.1, 0.3), last=12, decay=0.7)
        return Blob(row, col, r, outline, rng.uniform(1, 2), rng.uniform(0, np.pi))
    return Blob(
        row,
        col,
        r,
        harmonic(rng, rng.uniform(0.002, 0.04)),
        rng.uniform(1, 1.15),
        rng.uniform(0, np.pi),
    )


def powder(size: Size, rng: np.random.Generator) -> Painting:
    """Powder in the electron microscope: overlapping shaded spheres and grains, bright edges."""
    radius = _radius(size, rng, 0.025, 0.3)
    spread = rng.uniform(0.15, 0.8)
    placed = scatter(
        size,
        _count(size, radius, rng.uniform(0.4, 2.0), 140),
        lambda: radius * float(np.exp(rng.normal(0, spread))),
        rng,
        gap=rng.uniform(0.45, 1.0),
    )
    if chance(rng, 0.7):
        big_first = chance(rng, 0.5)
        placed = sorted(placed, key=lambda disc: -disc[2]) if big_first else placed[::-1]
    image = painted(size, rng, rng.uniform(0, 0.25), rng.uniform(0, 0.06))
    labels = np.zeros(size, dtype=np.int32)
    surface = texture(size, rng, scale=max(radius * rng.uniform(0.03, 0.3), 1.2))
    surface = surface * rng.uniform(0.02, 0.2)
    light = rng.uniform(0, 2 * np.pi)
    slant, edge = rng.uniform(0, 0.5), rng.uniform(0, 0.6)
    power, base, rough = rng.uniform(2, 6), rng.uniform(0.3, 0.6), rng.choice([0.05, 0.2, 0.9])
    shadow, depth = rng.uniform(0, 0.7), rng.uniform(0, 0.5)
    for label, (row, col, r) in enumerate(placed, start=1):
        drawn = raster(_grain_blob(rng, row, col, r, rough), size, reach=1.4)
        if drawn is None:
            continue
        window, rho = drawn
        inside = rho < 1
        down = (np.arange(*window[0].indices(size[0])) - row)[:, None] / r
        across = (np.arange(*window[1].indices(size[1])) - col)[None, :] / r
        lit = slant * (np.sin(light) * down + np.cos(light) * across)
        level = base + rng.normal(0, 0.06) - depth * (1 - label / len(placed))
        shade = level + lit + edge * np.minimum(rho, 1) ** power + surface[window]
        outside = image[window] * (1 - shadow * smoothstep(1.4, 1.0, rho))
        image[window] = np.where(inside, np.maximum(shade, 0.02), outside)
        labels[window][inside] = label
    return Painting(image, labels, Look(invert=0.05, noise=0.07, lines=0.1, tint=0.05, softest=1.3))


def precipitates(size: Size, rng: np.random.Generator) -> Painting:
    """Densely packed cuboid or rounded precipitates with thin channels, and fine secondary ones."""
    spacing = min(size) * log_uniform(rng, 0.05, 0.45)
    angle, disorder = rng.uniform(0, np.pi / 2), rng.uniform(0.1, 0.9)
    warp = warp_field(size, spacing * 0.6, spacing * rng.uniform(0.02, 0.12), rng)
    if chance(rng, 0.3):
        layout = islands(size, spacing, rng.uniform(0.3, 0.7), rng)
    else:
        layout = settle(
            _cuboids(size, spacing, angle, disorder, rng),
            size,
            warp=warp,
            limit=rng.uniform(0.75, 1.15),
        )
    channel = rng.uniform(0.02, 0.12) * spacing + 0.7
    distance = edge_distance(layout.labels)
    labels = np.where(distance > channel, layout.labels, 0)
    if chance(rng, 0.5):
        tiny = max(spacing * 0.08, 4.0)
        placed = scatter(
            size,
            120,
            lambda: tiny * rng.uniform(0.7, 1.4),
            rng,
            gap=1.2,
            clusters=int(rng.integers(2, 8)),
        )
        fine = settle([Blob(*p, circle()) for p in placed], size)
        free = (distance > 2 * channel) & (layout.labels == 0)
        if chance(rng, 0.5):
            labels = np.where(free & (fine.labels > 0), fine.labels + layout.count, labels)
        else:
            distance = np.where(free & (fine.labels > 0), 0, distance)
    inside = labels > 0
    matrix = painted(size, rng, rng.uniform(0.4, 0.6), rng.uniform(0.0, 0.05))
    contrast = rng.choice([-1, 1]) * log_uniform(rng, 0.08, 0.5)
    body = matrix + contrast + rng.uniform(0, 0.06) * texture(size, rng)
    body = body + per_object(labels, rng, 0, abs(contrast) * rng.uniform(0, 0.2))
    image = np.where(inside, body, matrix)
    rim = np.exp(-((edge_distance(inside.astype(np.int32)) / rng.uniform(1, 4)) ** 2))
    image = image + rng.normal(0, 0.25) * rim * (~inside if chance(rng, 0.7) else 1)
    return Painting(
        image.astype(np.float32),
        labels.astype(np.int32),
        Look(invert=0.2, noise=0.06, softest=2.5, tint=0.03, low_range=0.25),
    )


def _cuboids(
    size: Size, spacing: float, angle: float, disorder: float, rng: np.random.Generator
) -> list[Blob]:
    """Squarish blobs near a turned square lattice, some with notches."""
    reach = int(np.hypot(*size) / spacing / 2) + 2
    grid = np.arange(-reach, reach + 1) * spacing
    lattice = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    lattice = lattice + rng.normal(0, 0.25 * disorder * spacing, lattice.shape)
    cos, sin = np.cos(angle), np.sin(angle)
    centres = lattice @ np.array([[cos, sin], [-sin, cos]]) + np.asarray(size) / 2
    near = np.all((centres > -spacing) & (centres < np.asarray(size) + spacing), axis=1)
    exponent = log_uniform(rng, 2, 8)
    blobs = []
    for row, col in centres[near][:260]:
        outline = superellipse(exponent) * harmonic(rng, 0.05 * disorder)
        if chance(rng, 0.2):
            outline = outline * bumps(rng, 2, -0.5, 0.15)
        r = 0.56 * spacing * float(np.exp(rng.normal(0, 0.3 * disorder)))
        blobs.append(
            Blob(
                row,
                col,
                r,
                outline.astype(np.float32),
                float(np.exp(abs(rng.normal(0, 0.3 * disorder)))),
                -angle + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.3 * disorder),
            )
        )
    return blobs


def particles(size: Size, rng: np.random.Generator) -> Painting:
    """Small bright (or dark) particles with sharp or rounded corners on a busy ground."""
    radius = _radius(size, rng, 0.016, 0.08)
    placed = scatter(
        size,
        _count(size, radius, rng.uniform(0.05, 0.6), 220),
        lambda: max(radius * float(np.exp(rng.normal(0, 0.5))), 2.5),
        rng,
        gap=1.0,
        clusters=int(rng.integers(0, 6)),
    )
    lean = rng.uniform(0, np.pi)
    order = rng.uniform(0.1, 3)
    blobs = [
        Blob(
            row,
            col,
            r,
            polygon(rng, int(rng.integers(3, 8)), sharpness=rng.uniform(3, 20)),
            rng.uniform(1, 2.5),
            lean + order * rng.standard_normal(),
        )
        for row, col, r in placed
    ]
    layout = settle(blobs, size, mode="under")
    contrast = log_uniform(rng, 0.2, 0.8)
    ground = painted(size, rng, 0.3, contrast * rng.uniform(0.05, 0.45))
    inside = layout.labels > 0
    body = ground.mean() + contrast * (1 - rng.uniform(0, 0.4) * smoothstep(0.5, 1, layout.rho))
    image = np.where(inside, body + per_object(layout.labels, rng, 0, 0.1 * contrast), ground)
    rim = np.exp(-((edge_distance(inside.astype(np.int32)) / rng.uniform(0.8, 3)) ** 2))
    image = image + rng.normal(0, 0.3) * contrast * rim * ~inside
    return Painting(
        image.astype(np.float32), layout.labels, Look(invert=0.35, noise=0.08, lines=0.1, tint=0.08)
    )


def grains(size: Size, rng: np.random.Generator) -> Painting:
    """Polycrystals: cells told apart by grey value, by etched borders, or by stripe direction."""
    spacing = min(size) * log_uniform(rng, 0.08, 0.6)
    warp = warp_field(size, spacing * 0.5, spacing * rng.uniform(0, 0.12), rng)
    layout = partition(size, spacing, rng, stretch=log_uniform(rng, 1, 4), warp=warp)
    labels = layout.labels
    image = np.full(size, 0.5, dtype=np.float32)
    style = rng.integers(0, 3)
    if style != 1:
        image = image + per_object(labels, rng, 0, rng.uniform(0.08, 0.3))
    if style != 0:
        seam = np.exp(-((edge_distance(labels) / rng.uniform(0.8, 2.5)) ** 2))
        image = image + rng.choice([-1, 1]) * rng.uniform(0.2, 0.6) * seam
    if chance(rng, 0.4):
        angles = rng.uniform(0, np.pi, layout.count + 1).astype(np.float32)[labels]
        rows, cols = np.indices(size, dtype=np.float32)
        period = max(spacing * rng.uniform(0.06, 0.25), 4.0)
        wave = np.sin((rows * np.cos(angles) + cols * np.sin(angles)) * (2 * np.pi / period))
        image = image + rng.uniform(0.05, 0.25) * wave
    image = image + rng.uniform(0, 0.08) * texture(size, rng)
    return Painting(image.astype(np.float32), labels, Look(invert=0.2, tint=0.25, noise=0.06))


def _band_edges(size: Size, count: int, rng: np.random.Generator) -> list[Field]:
    """Heights (W,) of rough, non-crossing borders between bands, sorted from the top."""
    positions = np.sort(rng.uniform(0.05, 0.95, count)) * size[0]
    shared = smooth_noise((1, size[1]), (1.0, size[1] / rng.uniform(1, 3)), rng)[0]
    swing = size[0] * rng.uniform(0, 0.1)
    edges = []
    for position in positions:
        rough = smooth_noise((1, size[1]), (1.0, rng.uniform(4, 40)), rng)[0]
        fine = smooth_noise((1, size[1]), (1.0, 3.0), rng)[0]
        bumpy = log_uniform(rng, 0.3, 12) * rough + rng.uniform(0, 1.5) * fine
        edges.append(np.asarray(position + swing * shared + bumpy, dtype=np.float32))
    for above, below in pairwise(edges):
        np.maximum(below, above + 3, out=below)
    return edges


def layers(size: Size, rng: np.random.Generator) -> Painting:
    """Coatings and oxide scales: bands that cross the scene, with pores and vertical cracks."""
    turn = chance(rng, 0.4)
    work = (size[1], size[0]) if turn else size
    edges = _band_edges(work, int(rng.integers(1, 6)), rng)
    rows = np.arange(work[0], dtype=np.float32)[:, None]
    band = np.zeros(work, dtype=np.int32)
    for edge in edges:
        band += rows > edge[None, :]
    levels = rng.permutation(np.linspace(0.1, 0.9, len(edges) + 1))
    levels = 0.5 + (levels - 0.5) * rng.uniform(0.3, 1)
    image = levels.astype(np.float32)[band]
    for index in range(len(edges) + 1):
        patch = rng.uniform(0, 0.1) * texture(work, rng) if chance(rng, 0.7) else 0
        image = np.where(band == index, image + patch, image)
    labels = (band + 1).astype(np.int32)
    if chance(rng, 0.6):
        pores = settle(
            [
                Blob(*p, harmonic(rng, 0.2), rng.uniform(1, 4), rng.normal(0, 0.3))
                for p in scatter(work, 40, lambda: log_uniform(rng, 2, 14), rng, gap=1.3)
            ],
            work,
        )
        hit = (pores.labels > 0) & (band == rng.integers(0, len(edges) + 1))
        image = np.where(hit, rng.choice([0.05, 0.95]), image)
        labels = np.where(hit, 0, labels)
    if chance(rng, 0.5):
        lines = strokes(
            work,
            int(rng.integers(1, 6)),
            lambda: rng.uniform(1.5, 5),
            rng,
            wiggle=0.3,
            angle=np.pi / 2,
        )
        lines = np.where(band == rng.integers(0, len(edges) + 1), lines, 0)
        image = np.where(lines > 0, rng.choice([0.02, 0.98]), image)
        labels = (
            lines if chance(rng, 0.3) and (lines > 0).sum() > 60 else np.where(lines > 0, 0, labels)
        )
    if len(edges) > 1 and labels.max() > 2 and chance(rng, 0.4):
        labels = np.where(labels == 1, 0, labels)
    if turn:
        image, labels = image.T, labels.T
    return Painting(
        np.ascontiguousarray(image, dtype=np.float32),
        np.ascontiguousarray(labels, dtype=np.int32),
        Look(invert=0.2, noise=0.06, lines=0.1, tint=0.08),
    )


def melt_pools(size: Size, rng: np.random.Generator) -> Painting:
    """Overlapping arcs with dark fusion lines in an etched, streaky metal."""
    width = min(size) * log_uniform(rng, 0.12, 0.6)
    tall = width * rng.uniform(0.4, 1.1)
    step_r, step_c = tall * rng.uniform(0.35, 0.9), width * rng.uniform(0.5, 0.95)
    top = rng.uniform(0, 0.5) * size[0] if chance(rng, 0.6) else -tall
    blobs = []
    for row in np.arange(size[0] + tall, top - step_r / 2, -step_r):
        for col in np.arange(-width, size[1] + width, step_c) + rng.uniform(0, step_c):
            blobs.append(
                Blob(
                    row + rng.normal(0, 0.08 * tall),
                    col + rng.normal(0, 0.08 * width),
                    float(np.sqrt(width * tall)) * 0.55,
                    superellipse(rng.uniform(1.8, 2.6)),
                    width / tall * rng.uniform(0.85, 1.15),
                    rng.normal(0, 0.06),
                )
            )
    warp = warp_field(size, width / 3, width * rng.uniform(0.01, 0.05), rng)
    layout = settle(blobs[-400:], size, mode="over", warp=warp)
    seam = np.exp(-((edge_distance(layout.labels) / rng.uniform(0.7, 2.5)) ** 2))
    seam = seam * np.clip(0.7 + 0.5 * smooth_noise(size, width / 4, rng), 0, 1.3)
    columns = oriented_noise(
        size,
        width * rng.uniform(0.3, 1.5),
        width * rng.uniform(0.03, 0.12),
        np.pi / 2 + rng.normal(0, 0.3),
        rng,
        bend=width * 0.1,
    )
    metal = 0.7 + rng.uniform(0.02, 0.12) * columns + rng.uniform(0, 0.06) * texture(size, rng)
    metal = metal + per_object(layout.labels, rng, 0, rng.uniform(0, 0.06))
    image = metal - rng.uniform(0.1, 0.5) * seam
    outside = layout.labels == 0
    image = np.where(outside, rng.uniform(0, 0.15) + 0.02 * texture(size, rng), image)
    return Painting(
        image.astype(np.float32), layout.labels, Look(invert=0.15, tint=0.2, noise=0.05)
    )


def pores(size: Size, rng: np.random.Generator) -> Painting:
    """Voids, inclusions and bubbles in a solid: dark round or ragged patches with bright edges."""
    ground = painted(size, rng, 0.6, rng.uniform(0, 0.08))
    if chance(rng, 0.5):
        layout = islands(size, min(size) * log_uniform(rng, 0.04, 0.3), rng.uniform(0.08, 0.4), rng)
    else:
        radius = _radius(size, rng, 0.02, 0.2)
        placed = scatter(
            size,
            _count(size, radius, 0.6, 120),
            lambda: radius * float(np.exp(rng.normal(0, 0.5))),
            rng,
            gap=1.1,
        )
        layout = settle(
            [
                Blob(
                    *p,
                    harmonic(rng, rng.uniform(0, 0.25)),
                    rng.uniform(1, 2),
                    rng.uniform(0, np.pi),
                )
                for p in placed
            ],
            size,
            mode="over",
        )
    inside = layout.labels > 0
    depth = log_uniform(rng, 0.1, 0.6)
    hollow = ground - depth * (1 - rng.uniform(0, 0.7) * layout.rho ** rng.uniform(1, 4))
    image = np.where(inside, hollow + rng.uniform(0, 0.08) * texture(size, rng), ground)
    rim = np.exp(-((edge_distance(inside.astype(np.int32)) / rng.uniform(0.8, 3)) ** 2))
    image = image + rng.uniform(-0.1, 0.4) * rim
    return Painting(image.astype(np.float32), layout.labels, Look(invert=0.4, noise=0.07, tint=0.1))


def filaments(size: Size, rng: np.random.Generator) -> Painting:
    """Cracks, fibres, vessels and neurites: thin curved lines on smooth or busy grounds."""
    width = max(min(size) * log_uniform(rng, 0.008, 0.06), 2.0)
    lines = strokes(
        size,
        int(rng.integers(1, 14)),
        lambda: width * rng.uniform(0.6, 1.5),
        rng,
        wiggle=log_uniform(rng, 0.2, 4),
        extent=rng.uniform(0.4, 1.5),
        angle=rng.uniform(0, np.pi) if chance(rng, 0.4) else None,
    )
    if chance(rng, 0.3):
        lines = (lines > 0).astype(np.int32)
    inside = lines > 0
    contrast = log_uniform(rng, 0.15, 0.8)
    ground = painted(size, rng, 0.4, contrast * rng.uniform(0, 0.35))
    core = np.clip(edge_distance(inside.astype(np.int32)) / (width / 2), 0, 1) ** rng.uniform(0, 1)
    image = ground + contrast * inside * core * np.clip(1 + 0.2 * smooth_noise(size, 20, rng), 0, 2)
    image = image + per_object(lines, rng, 0, 0.15 * contrast)
    return Painting(image.astype(np.float32), lines, Look(invert=0.45, noise=0.06, tint=0.25))


def lamellae(size: Size, rng: np.random.Generator) -> Painting:
    """Two-phase lamellar or labyrinth structures in patches: labels are the patches or lamellae."""
    period = min(size) * log_uniform(rng, 0.03, 0.12)
    spacing = min(size) * rng.uniform(0.3, 0.8)
    patches = partition(size, spacing, rng, warp=warp_field(size, spacing, 0.1 * spacing, rng))
    angles = rng.uniform(0, np.pi, patches.count + 1).astype(np.float32)[patches.labels]
    along, across = rotated(size, 0.0, period, rng)
    wave = np.sin(
        (across * np.cos(angles) + along * np.sin(angles)) * np.float32(2 * np.pi / period)
    )
    plates = wave > rng.uniform(-0.3, 0.6)
    labels: Labels = patches.labels
    if chance(rng, 0.5) and period > 8:
        labels = np.where(plates, patches.labels, 0)
    image: Field = (
        rng.uniform(0.2, 0.5) + log_uniform(rng, 0.15, 0.5) * blur(plates.astype(np.float32), 0.6)
    ).astype(np.float32)
    image = (
        image
        + rng.uniform(0, 0.1) * texture(size, rng)
        + per_object(patches.labels, rng, 0, rng.uniform(0, 0.12))
    )
    return Painting(image.astype(np.float32), labels.astype(np.int32), Look(invert=0.3, noise=0.06))
