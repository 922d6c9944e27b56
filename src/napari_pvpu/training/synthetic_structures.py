"""Synthetic structures that cross the scene: layers, melt pools, cracks and fibres, lamellae."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import Look, painted, per_object
from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    log_uniform,
    oriented_noise,
    rotated,
    smooth_noise,
    texture,
    warp_field,
)
from napari_pvpu.training.synthetic_layouts import edge_distance, partition, strokes
from napari_pvpu.training.synthetic_painting import Painting, painting, seam_line
from napari_pvpu.training.synthetic_shapes import Blob, harmonic, scatter, settle, superellipse

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Labels


def _band_edges(size: Size, count: int, rng: np.random.Generator) -> list[Field]:
    """Heights (W,) of rough, non-crossing borders between bands, sorted from the top."""
    positions = np.sort(rng.uniform(0.05, 0.95, count)) * size[0]
    line = (1, size[1])
    shared = smooth_noise(line, (1.0, size[1] / rng.uniform(1, 3)), rng)[0]
    swing = size[0] * rng.uniform(0, 0.1)
    edges = []
    for position in positions:
        scale = log_uniform(rng, 4, 60)
        rough = scale * rng.uniform(0, 0.3) * smooth_noise(line, (1.0, scale), rng)[0]
        fine = rng.uniform(0, 1.2) * smooth_noise(line, (1.0, 3.0), rng)[0]
        edges.append(np.asarray(position + swing * shared + rough + fine, dtype=np.float32))
    for above, below in pairwise(edges):
        np.maximum(below, above + 3, out=below)
    return edges


def _flaws(
    image: Field, labels: Labels, band: Labels, rng: np.random.Generator
) -> tuple[Field, Labels]:
    """Pores and cracks across one band each; now and then the cracks are the objects."""
    size = (band.shape[0], band.shape[1])
    last = int(band.max()) + 1
    if chance(rng, 0.6):
        flat, ragged = rng.uniform(1, 4), rng.uniform(0.02, 0.25)
        discs = scatter(size, 40, lambda: log_uniform(rng, 2, 14), rng, gap=1.3)
        blobs = [Blob(*d, harmonic(rng, ragged), flat, rng.normal(0, 0.3)) for d in discs]
        hit = (settle(blobs, size).labels > 0) & (band == rng.integers(0, last))
        image, labels = np.where(hit, rng.choice([0.05, 0.95]), image), np.where(hit, 0, labels)
    if chance(rng, 0.5):
        wide = rng.uniform(1.5, 5)
        count = int(rng.integers(1, 6))
        lines = strokes(size, count, lambda: wide, rng, wiggle=0.5, angle=np.pi / 2)
        lines = np.where(band == rng.integers(0, last), lines, 0)
        image = np.where(lines > 0, rng.choice([0.02, 0.98]), image)
        thin = chance(rng, 0.3) and int((lines > 0).sum()) > 60
        labels = lines if thin else np.where(lines > 0, 0, labels)
    return np.asarray(image, np.float32), np.asarray(labels, np.int32)


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
    levels = 0.5 + (levels - 0.5) * rng.uniform(0.2, 1)
    image = levels.astype(np.float32)[band]
    for index in range(len(edges) + 1):
        if chance(rng, 0.7):
            image = np.where(band == index, image + rng.uniform(0, 0.1) * texture(work, rng), image)
    labels = (band + 1).astype(np.int32)
    if len(edges) > 1 and chance(rng, 0.4):
        labels = np.where(labels == 1, 0, labels).astype(np.int32)
    image, labels = _flaws(image, labels, band, rng)
    if turn:
        image, labels = image.T, labels.T
    return painting(image, labels, Look(invert=0.2, noise=0.06, lines=0.1, tint=0.05))


def melt_pools(size: Size, rng: np.random.Generator) -> Painting:
    """Overlapping arcs with dark fusion lines in an etched, streaky metal."""
    width = min(size) * log_uniform(rng, 0.12, 0.7)
    tall = width * rng.uniform(0.4, 1.1)
    step_r, step_c = tall * rng.uniform(0.35, 0.9), width * rng.uniform(0.5, 0.95)
    top = rng.uniform(0, 0.5) * size[0] if chance(rng, 0.6) else -tall
    radius = float(np.sqrt(width * tall)) * 0.55
    blobs = []
    for level in np.arange(size[0] + tall, top - step_r / 2, -step_r):
        for place in np.arange(-width, size[1] + width, step_c) + rng.uniform(0, step_c):
            row, col = level + rng.normal(0, 0.08 * tall), place + rng.normal(0, 0.08 * width)
            aspect = max(width / tall * rng.uniform(0.85, 1.15), 0.4)
            outline = superellipse(rng.uniform(1.8, 2.6))
            blobs.append(Blob(row, col, radius, outline, aspect, rng.normal(0, 0.06)))
    warp = warp_field(size, width / 3, width * rng.uniform(0.01, 0.05), rng)
    layout = settle(blobs[-400:], size, mode="over", warp=warp)
    seam = seam_line(layout.labels, rng.uniform(0.7, 2.5))
    seam = seam * np.clip(0.7 + 0.5 * smooth_noise(size, width / 4, rng), 0, 1.3)
    long, thin = width * rng.uniform(0.3, 1.5), width * rng.uniform(0.03, 0.12)
    turn = np.pi / 2 + rng.normal(0, 0.3)
    columns = oriented_noise(size, long, thin, turn, rng, bend=width * 0.1)
    metal = 0.7 + rng.uniform(0.02, 0.1) * columns + rng.uniform(0, 0.05) * texture(size, rng)
    metal = metal + per_object(layout.labels, rng, 0, rng.uniform(0, 0.06))
    air = rng.uniform(0, 0.15) + 0.02 * texture(size, rng)
    image = np.where(layout.labels == 0, air, metal - rng.uniform(0.2, 0.6) * seam)
    labels = layout.labels
    if chance(rng, 0.3):  # only the last pools count, as where the last layer alone is marked
        newest = labels > np.quantile(np.unique(labels), 0.6)
        labels = np.where(newest, labels, 0).astype(np.int32)
    return painting(image, labels, Look(invert=0.15, tint=0.1, noise=0.05))


def filaments(size: Size, rng: np.random.Generator) -> Painting:
    """Cracks, fibres, vessels and neurites: thin curved lines on smooth or busy grounds."""
    width = max(min(size) * log_uniform(rng, 0.008, 0.06), 2.0)
    lines = strokes(
        size,
        int(rng.integers(1, 14)),
        lambda: width * rng.uniform(0.6, 1.5),
        rng,
        wiggle=log_uniform(rng, 0.2, 4),
        angle=rng.uniform(0, np.pi) if chance(rng, 0.4) else None,
        extent=rng.uniform(0.4, 1.5),
    )
    if chance(rng, 0.3):
        lines = (lines > 0).astype(np.int32)
    inside = (lines > 0).astype(np.float32)
    contrast = log_uniform(rng, 0.15, 0.8)
    ground = painted(size, rng, 0.4, contrast * rng.uniform(0, 0.35))
    depth = np.clip(edge_distance((lines > 0).astype(np.int32)) / (width / 2), 0, 1)
    core = inside * depth ** rng.uniform(0, 1)
    image = ground + contrast * core * np.clip(1 + 0.2 * smooth_noise(size, 20, rng), 0, 2)
    image = image + per_object(lines, rng, 0, 0.15 * contrast)
    return painting(image, lines, Look(invert=0.45, noise=0.06, tint=0.15))


def lamellae(size: Size, rng: np.random.Generator) -> Painting:
    """Two-phase lamellar or labyrinth structures in patches: labels are the patches or lamellae."""
    period = min(size) * log_uniform(rng, 0.03, 0.15)
    spacing = min(size) * rng.uniform(0.3, 0.8)
    patches = partition(size, spacing, rng, warp=warp_field(size, spacing, 0.1 * spacing, rng))
    angles = rng.uniform(0, np.pi, patches.count + 1).astype(np.float32)[patches.labels]
    along, across = rotated(size, 0.0, period, rng)
    phase = across * np.cos(angles) + along * np.sin(angles)
    plates = np.sin(phase * np.float32(2 * np.pi / period)) > rng.uniform(-0.3, 0.6)
    labels: Labels = patches.labels
    if chance(rng, 0.5) and period > 8:
        labels = np.where(plates, patches.labels, 0).astype(np.int32)
    contrast = log_uniform(rng, 0.15, 0.5)
    image = rng.uniform(0.2, 0.5) + contrast * blur(plates.astype(np.float32), 0.6)
    image = image + rng.uniform(0, 0.1) * texture(size, rng)
    image = image + per_object(patches.labels, rng, 0, rng.uniform(0, 0.12))
    return painting(image, labels, Look(invert=0.3, noise=0.06))
