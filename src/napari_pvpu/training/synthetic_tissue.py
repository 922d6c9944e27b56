"""Synthetic electron micrographs of tissue, axons, crowded colonies, bundles of fibres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import Look, per_object
from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    coordinates,
    fractal_noise,
    log_uniform,
    smooth_noise,
    smoothstep,
    spots,
    standardise,
    texture,
    warp_field,
)
from napari_pvpu.training.synthetic_layouts import edge_distance, islands, partition
from napari_pvpu.training.synthetic_painting import (
    Painting,
    cell_bodies,
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
    circle,
    harmonic,
    nucleus_blob,
    scatter,
    settle,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Labels


def mitochondria(
    size: Size, radius: float, rng: np.random.Generator, blocked: Labels
) -> tuple[Layout, Field]:
    """Mitochondria that avoid membranes, and their density with a rim and cristae.

    Parameters
    ----------
    size
        (rows, cols) of the scene.
    radius
        Typical radius in pixels.
    rng
        Source of randomness.
    blocked
        (H, W), non-zero where no mitochondrion may lie; those that would are left out.

    Returns
    -------
    tuple
        Layout, and density (H, W) float32, zero outside.
    """
    count = tries(size, radius * 1.6, rng.uniform(0.5, 3), 120)
    placed = scatter(size, count, lambda: varied(radius, 0.2, rng), rng, gap=1.4)
    blobs = []
    for disc in placed:
        outline = harmonic(rng, 0.06, last=6, decay=1.7)
        turn = rng.uniform(0, np.pi)
        blobs.append(Blob(*disc, outline, rng.uniform(1.1, 3.5), turn, rng.normal(0, 0.05)))
    warp = warp_field(size, 1.5 * radius, 0.06 * radius, rng)
    layout = settle(blobs, size, warp=warp, mode="under")
    hit = np.bincount(layout.labels.ravel(), (blocked != 0).ravel(), len(blobs) + 1)
    area = np.bincount(layout.labels.ravel(), minlength=len(blobs) + 1)
    keep = hit < 0.1 * np.maximum(area, 1)
    keep[0] = False
    labels = np.where(keep[layout.labels], layout.labels, 0).astype(np.int32)
    # Cristae run across the long axis of each one, somewhat wavy.
    angles = np.array([0.0] + [b.angle for b in blobs], dtype=np.float32)
    angles = angles + rng.normal(0, 0.3, len(angles)).astype(np.float32)
    rows, cols = coordinates(size)
    along = cols * np.cos(angles)[labels] + rows * np.sin(angles)[labels]
    along = along + 0.25 * radius * smooth_noise(size, radius, rng)
    cristae = np.sin(along * np.float32(2 * np.pi / max(radius * rng.uniform(0.25, 0.5), 2.5)))
    cristae = cristae * (layout.rho < 0.85) * np.clip(0.6 + smooth_noise(size, radius, rng), 0, 1.5)
    rim = np.exp(-(((layout.rho - 0.92) / 0.1) ** 2))
    density = rng.uniform(0.3, 0.8) + rng.uniform(0, 0.25) * cristae + rng.uniform(0.1, 0.5) * rim
    return Layout(labels, layout.rho), np.asarray(density * (labels > 0), dtype=np.float32)


def _vesicles(size: Size, rng: np.random.Generator) -> tuple[Field, Labels]:
    """Small rings: density and labels."""
    radius = max(min(size) * log_uniform(rng, 0.012, 0.04), 3.0)
    placed = scatter(
        size,
        int(rng.integers(5, 60)),
        lambda: radius * rng.uniform(0.7, 1.3),
        rng,
        gap=1.1,
        clusters=int(rng.integers(0, 4)),
    )
    layout = settle([Blob(*disc, harmonic(rng, 0.03)) for disc in placed], size)
    ring = np.exp(-(((layout.rho - 0.8) / 0.2) ** 2)) * (layout.labels > 0)
    fill = (layout.labels > 0) * rng.uniform(-0.2, 0.3)
    return np.asarray(0.6 * ring + fill, dtype=np.float32), layout.labels


def _em_nuclei(size: Size, spacing: float, rng: np.random.Generator) -> tuple[Layout, Field]:
    """Nuclei with an envelope and dark chromatin near it: layout and density."""
    radius = max(0.3 * spacing, 6.0)
    placed = scatter(size, 12, lambda: radius * rng.uniform(0.7, 1.3), rng, gap=1.3)
    warp = warp_field(size, radius * 0.8, radius * 0.05, rng)
    layout = settle([nucleus_blob(rng, *disc) for disc in placed], size, warp=warp)
    clumps = smoothstep(0, 1, fractal_noise(size, radius * 0.4, rng) + layout.rho**4)
    envelope = np.exp(-(((layout.rho - 0.97) / 0.04) ** 2))
    shade = rng.uniform(0.1, 0.4) + rng.uniform(0.2, 0.5) * clumps + 0.4 * envelope
    shade = shade + rng.uniform(0.03, 0.1) * smooth_noise(size, 1.5, rng)
    return layout, np.asarray(shade, dtype=np.float32)


def _neuropil(size: Size, rng: np.random.Generator) -> tuple[Labels, Field, Field, float]:
    """Packed cells: labels, density, distance to the membranes and their width."""
    spacing = min(size) * log_uniform(rng, 0.1, 0.7)
    warp = warp_field(size, spacing * 0.5, spacing * rng.uniform(0.05, 0.18), rng)
    cells = partition(
        size,
        spacing,
        rng,
        disorder=1.0,
        stretch=log_uniform(rng, 1, 3),
        uneven=rng.uniform(0.1, 0.5),
        warp=warp,
    )
    distance = edge_distance(cells.labels)
    width = max(rng.uniform(0.004, 0.012) * min(size), 1.0)
    dark = rng.uniform(0.5, 1.0) * np.exp(-((distance / width) ** 2))
    if chance(rng, 0.3):  # a pale gap between two dark membranes
        dark = dark - rng.uniform(0.3, 0.8) * (distance < rng.uniform(0.6, 2) * width)
    grit = texture(size, rng, scale=rng.uniform(1.2, 4), family="fractal")
    dark = dark + rng.uniform(0.04, 0.18) * grit + per_object(cells.labels, rng, 0.2, 0.12)
    return cells.labels, np.asarray(dark, dtype=np.float32), distance, width


def tissue_em(size: Size, rng: np.random.Generator) -> Painting:
    """Electron micrograph of tissue: membranes, mitochondria, vesicles, nuclei, gritty cytoplasm.

    Labels take the cells, the mitochondria, the nuclei or the vesicles.
    """
    cells, dark, distance, width = _neuropil(size, rng)
    near = (distance < 1.5 * width).astype(np.int32)
    choice = rng.choice(["cells", "mitochondria", "nuclei", "vesicles"], p=[0.4, 0.35, 0.15, 0.1])
    found = {"cells": cells}
    if choice == "nuclei" or chance(rng, 0.3):
        inner, shade = _em_nuclei(size, min(size) * log_uniform(rng, 0.2, 0.8), rng)
        dark = np.where(inner.labels > 0, shade, dark)
        near = np.where(inner.labels > 0, 1, near).astype(np.int32)
        found["nuclei"] = inner.labels
        found["cells"] = np.where(inner.labels > 0, 0, cells).astype(np.int32)
    if choice == "vesicles" or chance(rng, 0.4):
        rings, found["vesicles"] = _vesicles(size, rng)
        dark = np.where(found["vesicles"] > 0, rings + 0.5 * dark, dark)
        near = np.where(found["vesicles"] > 0, 1, near).astype(np.int32)
    radius = max(min(size) * log_uniform(rng, 0.02, 0.1), 3.5)
    mito, density = mitochondria(size, radius, rng, near)
    dark = np.where(mito.labels > 0, density + 0.3 * dark, dark)
    found["mitochondria"] = mito.labels
    look = Look(invert=0.3, tint=0.02, noise=0.12, lines=0.1, softest=1.6)
    return painting(1 - dark, found[str(choice)], look)


def axons(size: Size, rng: np.random.Generator) -> Painting:
    """Cross-sections of nerve fibres: axon inside a myelin ring; labels axon, fibre or ring."""
    spacing = min(size) * log_uniform(rng, 0.06, 0.45)
    spread = rng.uniform(0.3, 0.7)
    placed = scatter(
        size,
        tries(size, spacing / 2, 8.0, 400),
        lambda: varied(0.4 * spacing, spread, rng, least=4.0),
        rng,
        gap=rng.uniform(0.85, 1.0),
        big_first=chance(rng, 0.8),
    )
    calm = log_uniform(rng, 0.02, 0.12)
    blobs = [
        Blob(*disc, harmonic(rng, calm, decay=1.5), elongation(rng, 0.25), rng.uniform(0, np.pi))
        for disc in placed
    ]
    warp = warp_field(size, spacing * 0.6, spacing * rng.uniform(0.01, 0.05), rng)
    fibre = settle(blobs, size, warp=warp, limit=rng.uniform(1.0, 1.25))
    inner = rng.uniform(0.5, 0.85) * np.exp(per_object(fibre.labels, rng, 0, 0.1))
    # The myelin keeps a minimal width, also where neighbours cut a fibre short.
    wall = edge_distance(fibre.labels)
    least = max(spacing * rng.uniform(0.02, 0.06), 1.2)
    inside = fibre.labels > 0
    axon = inside & (fibre.rho < inner) & (wall > least)
    image = _nerve(fibre, axon, wall, spacing, rng)
    choice = rng.random()
    mask = axon if choice < 0.6 else inside if choice < 0.85 else inside & ~axon
    look = Look(invert=0.4, tint=0.03, noise=0.08, lines=0.1)
    return painting(image, np.where(mask, fibre.labels, 0), look)


def _nerve(
    fibre: Layout, axon: NDArray[np.bool_], wall: Field, spacing: float, rng: np.random.Generator
) -> Field:
    """Brightness of nerve tissue: bright sheaths, dark axons, a mottled ground between."""
    size = (wall.shape[0], wall.shape[1])
    mottle = fractal_noise(size, spacing / 2, rng)
    ground = rng.uniform(0.25, 0.6) + rng.uniform(0.02, 0.12) * mottle
    sheath = rng.uniform(0.7, 1.0) + rng.uniform(0, 0.08) * smooth_noise(size, 3, rng)
    if chance(rng, 0.5):  # lamellae
        sheath = sheath + rng.uniform(0.02, 0.12) * np.sin(wall * rng.uniform(1.2, 2.2))
    core = rng.uniform(0.0, 0.45) + per_object(fibre.labels, rng, 0, 0.07)
    image = np.where(axon, core, np.where(fibre.labels > 0, sheath, ground))
    image = image - rng.uniform(0, 0.5) * np.exp(-((wall / rng.uniform(0.8, 2)) ** 2))
    image = image + rng.uniform(0.02, 0.08) * texture(size, rng, scale=rng.uniform(1.2, 5))
    if chance(rng, 0.4):
        dots = np.clip(spots(size, 0.05, max(spacing * 0.03, 0.8), rng), 0, 1.5)
        image = image + rng.normal(0, 0.3) * dots * axon
    return blur(np.asarray(image, dtype=np.float32), rng.uniform(0.3, 1.2))


def colonies(size: Size, rng: np.random.Generator) -> Painting:
    """Large regions of crowded cells (colonies, organoids, wound edges): labels are the regions."""
    radius = scene_radius(size, rng, 0.015, 0.05)
    if chance(rng, 0.5):
        scale = min(size) * rng.uniform(0.2, 0.8)
        region = islands(size, scale, rng.uniform(0.15, 0.65), rng)
    else:
        region = cell_bodies(size, rng, confluent=0.0, largest=0.45)
    inside = region.labels > 0
    warp = warp_field(size, 2 * radius, 0.4 * radius, rng)
    crowd = partition(size, 2 * radius, rng, warp=warp)
    level = per_object(crowd.labels, rng, 0, 0.3)
    height = np.asarray(np.sqrt(np.clip(1 - crowd.rho**2, 0, 1)) + level, dtype=np.float32)
    if chance(rng, 0.5):
        slope_r, slope_c = np.gradient(blur(height, 0.8))
        matter = rng.normal(0, 1) * slope_r + rng.normal(0, 1) * slope_c
    else:
        matter = height + 0.3 * texture(size, rng, scale=radius)
    matter = standardise(np.asarray(matter, dtype=np.float32))
    image = rng.uniform(0.1, 0.5) * inside * matter + rng.uniform(-0.4, 0.4) * inside
    rim = rim_line(inside.astype(np.float32), rng.uniform(1, 4))
    image = image + rng.uniform(-0.2, 0.5) * rim + rng.uniform(0.01, 0.1) * texture(size, rng)
    if chance(rng, 0.4):
        discs = scatter(size, 20, lambda: radius, rng)
        loose = settle([Blob(*disc, circle()) for disc in discs], size).labels > 0
        image = image + 0.3 * (loose & ~inside) * matter
    return painting(image, region.labels, Look(invert=0.3, uneven=0.6, softest=1.5))


def muscle(size: Size, rng: np.random.Generator) -> Painting:
    """Bundles of fibres cut across (muscle, wood, composites): packed polygons or discs."""
    spacing = max(min(size) * log_uniform(rng, 0.06, 0.3), 10.0)
    warp = warp_field(size, spacing, 0.06 * spacing, rng)
    if chance(rng, 0.5):
        layout = partition(size, spacing, rng, disorder=rng.uniform(0.2, 0.9), warp=warp)
        seam = rng.uniform(0.02, 0.12) * spacing + 0.8
        labels = np.where(edge_distance(layout.labels) > seam, layout.labels, 0)
    else:
        discs = scatter(
            size,
            tries(size, spacing / 2, 4.0, 400),
            lambda: 0.5 * spacing * rng.uniform(0.85, 1.1),
            rng,
            gap=0.98,
        )
        bean = rng.uniform(0.0, 0.08)
        labels = settle([Blob(*disc, harmonic(rng, bean)) for disc in discs], size).labels
    inside = labels > 0
    image = np.where(inside, rng.uniform(0.5, 1.0), rng.uniform(0, 0.45))
    image = image + per_object(labels.astype(np.int32), rng, 0, rng.uniform(0, 0.15))
    image = image + rng.uniform(0, 0.3) * inside * seam_line(labels, 0.1 * spacing + 1)
    image = image + rng.uniform(0.01, 0.12) * texture(size, rng)
    image = image + rng.uniform(0, 0.1) * smooth_noise(size, spacing, rng)
    return painting(image, labels, Look(invert=0.4, tint=0.2))
