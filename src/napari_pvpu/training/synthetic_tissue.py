"""Synthetic tissue: H&E sections, electron microscopy of cells and organelles, axons, colonies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import Look, per_object
from napari_pvpu.training.synthetic_cells import Painting, _count, _radius
from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    fractal_noise,
    log_uniform,
    oriented_noise,
    rotated,
    smooth_noise,
    smoothstep,
    spots,
    texture,
    warp_field,
)
from napari_pvpu.training.synthetic_shapes import (
    Blob,
    circle,
    edge_distance,
    harmonic,
    islands,
    nucleus_blob,
    partition,
    scatter,
    settle,
    superellipse,
)

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Labels, Layout


def _stroma(size: Size, radius: float, rng: np.random.Generator) -> Field:
    """Eosin density of connective tissue: wavy fibres, sheets and cracks, 0 to about 1."""
    angle = rng.uniform(0, np.pi)
    fibres = oriented_noise(
        size,
        radius * rng.uniform(3, 10),
        radius * rng.uniform(0.15, 0.6),
        angle,
        rng,
        bend=radius * rng.uniform(1, 6),
    )
    sheets = fractal_noise(size, radius * rng.uniform(2, 6), rng)
    mix = rng.uniform(0.2, 0.8)
    return np.asarray(np.clip(0.5 + 0.25 * (mix * fibres + (1 - mix) * sheets), 0, 1.5), np.float32)


def histology(size: Size, rng: np.random.Generator) -> Painting:
    """H&E section: blue-violet nuclei in pink tissue with pale cells, white lumina and fat."""
    radius = _radius(size, rng, 0.02, 0.16)
    placed = scatter(
        size,
        _count(size, radius, rng.uniform(0.2, 1.6), 150),
        lambda: radius * float(np.exp(rng.normal(0, 0.3))),
        rng,
        gap=rng.uniform(0.8, 1.3),
        clusters=int(rng.integers(0, 5)),
    )
    blobs = []
    for row, col, r in placed:
        thin = chance(rng, 0.2)
        aspect = rng.uniform(2.2, 5) if thin else float(np.exp(abs(rng.normal(0, 0.3))))
        blobs.append(
            Blob(
                row,
                col,
                r * (0.8 if thin else 1),
                harmonic(rng, 0.08),
                aspect,
                rng.uniform(0, np.pi),
                rng.normal(0, 0.1),
            )
        )
    warp = warp_field(size, radius, 0.08 * radius, rng)
    layout = settle(blobs, size, warp=warp)
    labels = layout.labels
    eosin = _stroma(size, radius, rng)
    if chance(rng, 0.5):
        cytoplasm = settle(blobs, size, warp=warp, limit=rng.uniform(1.6, 2.6))
        pale = (cytoplasm.labels > 0) & (labels == 0)
        border = np.exp(-((edge_distance(cytoplasm.labels) / rng.uniform(1, 2.5)) ** 2))
        eosin = np.where(pale, rng.uniform(0.2, 0.9) * eosin + 0.4 * border, eosin)
    white = np.zeros(size, dtype=np.float32)
    if chance(rng, 0.5):
        lumen = islands(size, min(size) * rng.uniform(0.15, 0.6), rng.uniform(0.05, 0.35), rng)
        white = blur((lumen.labels > 0).astype(np.float32), 1.0)
        labels = np.where(white > 0.5, 0, labels)
    inside = blur((labels > 0).astype(np.float32), rng.uniform(0.5, 1.0))
    chromatin = fractal_noise(size, max(radius * rng.uniform(0.15, 0.5), 1.2), rng)
    rim = np.exp(-(((layout.rho - 0.95) / 0.15) ** 2)) * rng.uniform(0, 0.8)
    blue = inside * (rng.uniform(0.5, 1.1) + rng.uniform(0.05, 0.4) * chromatin + rim)
    blue = blue * np.exp(per_object(labels, rng, 0, rng.uniform(0.1, 0.4)))
    blue = blue + rng.uniform(0, 0.25) * np.clip(fractal_noise(size, 4 * radius, rng), 0, None)
    pink = eosin * rng.uniform(0.3, 1.0) * (1 - rng.uniform(0.2, 0.9) * inside)
    return Painting(
        _absorb(blue, pink, white, rng),
        labels.astype(np.int32),
        Look(uneven=0.2, blocks=0.5, noise=0.04, softest=1.8),
    )


def _absorb(blue: Field, pink: Field, white: Field, rng: np.random.Generator) -> Field:
    """Colours by Beer-Lambert absorption of two dyes, drawn near haematoxylin and eosin."""
    haematoxylin = np.clip(np.array((0.9, 1.0, 0.45)) + rng.normal(0, 0.12, 3), 0.05, None)
    eosin = np.clip(np.array((0.1, 0.8, 0.4)) + rng.normal(0, 0.12, 3), 0.02, None)
    if chance(rng, 0.2):  # diaminobenzidine brown, or another pair of dyes
        eosin = np.clip(rng.normal((0.35, 0.6, 0.9), 0.2), 0.05, None)
    keep = (1 - white)[..., None]
    density = keep * (blue[..., None] * haematoxylin + pink[..., None] * eosin)
    lamp = rng.uniform(0.85, 1.0) + rng.normal(0, 0.02, 3)
    return np.asarray(lamp * np.exp(-density), dtype=np.float32)


def _mitochondria(size: Size, radius: float, rng: np.random.Generator) -> tuple[Layout, Field]:
    """Mitochondria (layout) and their density with a double rim and cristae (H, W)."""
    placed = scatter(
        size,
        _count(size, radius * 1.6, rng.uniform(0.2, 0.8), 60),
        lambda: radius * float(np.exp(rng.normal(0, 0.2))),
        rng,
        gap=1.5,
    )
    blobs = [
        Blob(
            row,
            col,
            r,
            harmonic(rng, 0.05),
            rng.uniform(1.1, 3.5),
            rng.uniform(0, np.pi),
            rng.normal(0, 0.12),
        )
        for row, col, r in placed
    ]
    layout = settle(blobs, size, warp=warp_field(size, radius, 0.08 * radius, rng), mode="under")
    inside = layout.labels > 0
    _, across = rotated(size, rng.uniform(0, np.pi), radius * 0.5, rng)
    cristae = np.sin(across * np.float32(2 * np.pi / max(radius * rng.uniform(0.25, 0.5), 2.5)))
    rim = np.exp(-(((layout.rho - 0.92) / 0.1) ** 2))
    density = inside * (rng.uniform(0.3, 0.7) + rng.uniform(0, 0.3) * cristae + 0.4 * rim)
    return layout, np.asarray(density, dtype=np.float32)


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
    layout = settle([Blob(*p, harmonic(rng, 0.03)) for p in placed], size)
    ring = np.exp(-(((layout.rho - 0.8) / 0.2) ** 2)) * (layout.labels > 0)
    fill = (layout.labels > 0) * rng.uniform(-0.2, 0.3)
    return np.asarray(0.6 * ring + fill, dtype=np.float32), layout.labels


def tissue_em(size: Size, rng: np.random.Generator) -> Painting:
    """Electron micrograph of tissue: membranes, mitochondria, vesicles, nuclei, gritty cytoplasm.

    Labels take the cells, the mitochondria, the nuclei or the vesicles.
    """
    spacing = min(size) * log_uniform(rng, 0.1, 0.7)
    warp = warp_field(size, spacing * 0.4, spacing * rng.uniform(0.05, 0.2), rng)
    cells = partition(size, spacing, rng, disorder=1.0, stretch=log_uniform(rng, 1, 3), warp=warp)
    distance = edge_distance(cells.labels)
    membrane = max(rng.uniform(0.004, 0.012) * min(size), 1.0)
    dark = rng.uniform(0.5, 1.0) * np.exp(-((distance / membrane) ** 2))
    if chance(rng, 0.3):
        dark = dark - rng.uniform(0.3, 0.8) * (distance < rng.uniform(0.6, 2) * membrane)
    grit = texture(size, rng, scale=rng.uniform(1.2, 4), family="fractal")
    dark = dark + rng.uniform(0.05, 0.2) * grit + per_object(cells.labels, rng, 0.2, 0.12)
    organelle = min(size) * log_uniform(rng, 0.02, 0.09)
    mito, density = _mitochondria(size, max(organelle, 3.5), rng)
    open_space = distance > 2 * membrane
    dark = np.where((mito.labels > 0) & open_space, density, dark)
    choice = rng.choice(["cells", "mitochondria", "nuclei", "vesicles"], p=[0.4, 0.35, 0.15, 0.1])
    labels = cells.labels if choice == "cells" else np.where(open_space, mito.labels, 0)
    if choice == "nuclei" or chance(rng, 0.3):
        nuclei, shade = _em_nuclei(size, spacing, rng)
        dark = np.where(nuclei.labels > 0, shade, dark)
        labels = nuclei.labels if choice == "nuclei" else np.where(nuclei.labels > 0, 0, labels)
        if choice == "cells":
            labels = cells.labels
    if choice == "vesicles" or chance(rng, 0.4):
        rings, found = _vesicles(size, rng)
        dark = np.where(found > 0, rings, dark)
        labels = found if choice == "vesicles" else labels
    return Painting(
        (1 - dark).astype(np.float32),
        labels.astype(np.int32),
        Look(invert=0.3, tint=0.03, noise=0.12, lines=0.1, softest=1.6),
    )


def _em_nuclei(size: Size, spacing: float, rng: np.random.Generator) -> tuple[Layout, Field]:
    """Nuclei with an envelope and dark chromatin near it: layout and density."""
    radius = max(0.3 * spacing, 6.0)
    placed = scatter(size, 12, lambda: radius * rng.uniform(0.7, 1.3), rng, gap=1.3)
    layout = settle(
        [nucleus_blob(rng, *p) for p in placed],
        size,
        warp=warp_field(size, radius * 0.6, radius * 0.06, rng),
    )
    clumps = smoothstep(0, 1, fractal_noise(size, radius * 0.4, rng) + layout.rho**4)
    envelope = np.exp(-(((layout.rho - 0.97) / 0.04) ** 2))
    shade = rng.uniform(0.1, 0.4) + rng.uniform(0.2, 0.5) * clumps + 0.4 * envelope
    return layout, np.asarray(shade, dtype=np.float32)


def axons(size: Size, rng: np.random.Generator) -> Painting:
    """Cross-sections of nerve fibres: axon inside a myelin ring; labels axon, fibre or ring."""
    spacing = min(size) * log_uniform(rng, 0.06, 0.4)
    spread = rng.uniform(0.2, 0.6)
    placed = scatter(
        size,
        _count(size, spacing / 2, 3.0, 260),
        lambda: 0.5 * spacing * float(np.exp(rng.normal(-0.2, spread))),
        rng,
        gap=rng.uniform(0.85, 1.0),
    )
    sheath = rng.uniform(0.55, 0.85)
    blobs = [
        Blob(
            row,
            col,
            r,
            harmonic(rng, rng.uniform(0.03, 0.12)),
            float(np.exp(abs(rng.normal(0, 0.25)))),
            rng.uniform(0, np.pi),
        )
        for row, col, r in placed
    ]
    warp = warp_field(size, spacing * 0.5, spacing * rng.uniform(0.02, 0.07), rng)
    fibre = settle(blobs, size, warp=warp, limit=rng.uniform(1.0, 1.15))
    inner = sheath * np.exp(per_object(fibre.labels, rng, 0, 0.08))
    # The myelin keeps a minimal width, also where neighbours cut a fibre short.
    wall = edge_distance(fibre.labels)
    least = max(spacing * rng.uniform(0.02, 0.06), 1.2)
    axon = (fibre.labels > 0) & (fibre.rho < inner) & (wall > least)
    myelin = (fibre.labels > 0) & ~axon
    grit = texture(size, rng, scale=rng.uniform(1.2, 5))
    ground = rng.uniform(0.3, 0.6) + 0.1 * fractal_noise(size, spacing / 2, rng)
    image = np.where(myelin, rng.uniform(0.75, 1.0), ground)
    image = np.where(axon, rng.uniform(0.0, 0.45) + per_object(fibre.labels, rng, 0, 0.07), image)
    seam = np.exp(-((wall / rng.uniform(0.8, 2)) ** 2))
    image = image - rng.uniform(0, 0.5) * seam + rng.uniform(0.02, 0.08) * grit
    if chance(rng, 0.4):
        dots = spots(size, 0.05, max(spacing * 0.03, 0.8), rng)
        image = image + rng.normal(0, 0.3) * np.clip(dots, 0, 1.5) * axon
    choice = rng.random()
    mask = axon if choice < 0.6 else (fibre.labels > 0) if choice < 0.85 else myelin
    return Painting(
        blur(image.astype(np.float32), rng.uniform(0.3, 1.2)),
        np.where(mask, fibre.labels, 0).astype(np.int32),
        Look(invert=0.4, tint=0.05, noise=0.08, lines=0.1),
    )


def colonies(size: Size, rng: np.random.Generator) -> Painting:
    """Large regions of crowded cells (colonies, organoids, wound edges): labels are the regions."""
    radius = _radius(size, rng, 0.012, 0.04)
    region = islands(size, min(size) * rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.65), rng)
    inside = region.labels > 0
    warp = warp_field(size, 2 * radius, 0.4 * radius, rng)
    crowd = partition(size, 2 * radius, rng, warp=warp)
    height = np.sqrt(np.clip(1 - (crowd.rho / 1.4) ** 2, 0, 1)) + per_object(
        crowd.labels, rng, 0, 0.3
    )
    if chance(rng, 0.5):
        slope_r, slope_c = np.gradient(blur(height.astype(np.float32), 0.8))
        matter = rng.normal(0, 1) * slope_r + rng.normal(0, 1) * slope_c
    else:
        matter = height + 0.3 * texture(size, rng, scale=radius)
    matter = matter / (matter.std() + 1e-6)
    image = rng.uniform(0.1, 0.5) * inside * matter + rng.uniform(-0.4, 0.4) * inside
    rim = np.exp(-((edge_distance(inside.astype(np.int32)) / rng.uniform(1, 4)) ** 2))
    image = image + rng.uniform(-0.2, 0.5) * rim
    image = image + rng.uniform(0.01, 0.1) * texture(size, rng)
    if chance(rng, 0.4):
        loose = settle([Blob(*p, circle()) for p in scatter(size, 20, lambda: radius, rng)], size)
        image = image + 0.3 * ((loose.labels > 0) & ~inside) * matter
    return Painting(
        image.astype(np.float32), region.labels, Look(invert=0.3, uneven=0.6, softest=1.5)
    )


def muscle(size: Size, rng: np.random.Generator) -> Painting:
    """Bundles of fibres cut across (muscle, wood, composites): packed polygons or discs."""
    spacing = min(size) * log_uniform(rng, 0.06, 0.3)
    if chance(rng, 0.5):
        warp = warp_field(size, spacing, 0.08 * spacing, rng)
        layout = partition(size, spacing, rng, disorder=rng.uniform(0.2, 0.9), warp=warp)
        distance = edge_distance(layout.labels)
        seam = rng.uniform(0.02, 0.12) * spacing + 0.8
        labels = np.where(distance > seam, layout.labels, 0)
    else:
        placed = scatter(
            size,
            _count(size, spacing / 2, 3.0),
            lambda: 0.5 * spacing * rng.uniform(0.9, 1.1),
            rng,
            gap=1.0,
        )
        layout = settle([Blob(*p, superellipse(2.2)) for p in placed], size)
        labels, distance = layout.labels, edge_distance(layout.labels)
    inside = labels > 0
    image = np.where(inside, rng.uniform(0.5, 1.0), rng.uniform(0, 0.45))
    image = image + per_object(labels, rng, 0, rng.uniform(0, 0.15))
    image = image + rng.uniform(0, 0.2) * inside * np.exp(-distance / (0.1 * spacing + 1))
    image = image + rng.uniform(0.01, 0.12) * texture(size, rng)
    image = image + rng.uniform(0, 0.1) * smooth_noise(size, spacing, rng)
    return Painting(image.astype(np.float32), labels.astype(np.int32), Look(invert=0.4, tint=0.3))
