"""Synthetic cells: fluorescence, phase contrast, DIC, quantitative phase, bacteria, yeast, stains.

Every painter takes (size, rng) and returns a `Painting`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    warp_field,
)
from napari_pvpu.training.synthetic_shapes import (
    Blob,
    Layout,
    bumps,
    circle,
    edge_distance,
    harmonic,
    nucleus_blob,
    partition,
    raster,
    scatter,
    settle,
    strokes,
    superellipse,
)

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Labels


@dataclass(frozen=True, slots=True)
class Painting:
    """A clean picture (H, W) or (H, W, 3) float32, its labels (H, W) int32 and its `Look`."""

    image: Field
    labels: Labels
    look: Look


def _radius(size: Size, rng: np.random.Generator, low: float = 0.02, high: float = 0.3) -> float:
    """Typical object radius of a scene, log-uniform in units of its short side, at least 4 px."""
    return max(log_uniform(rng, low, high) * min(size), 4.0)


def _count(size: Size, radius: float, cover: float, most: int = 220) -> int:
    """Number of tries that covers about `cover` of the scene with circles."""
    return int(np.clip(cover * size[0] * size[1] / (np.pi * radius**2), 2, most))


def _warp(size: Size, radius: float, rng: np.random.Generator) -> tuple[Field, Field] | None:
    """Irregularities that all outlines of a scene share."""
    if chance(rng, 0.4):
        return None
    return warp_field(size, radius * rng.uniform(0.4, 1.2), radius * rng.uniform(0.02, 0.12), rng)


def cell_bodies(
    size: Size, rng: np.random.Generator, *, confluent: float = 0.35, largest: float = 0.3
) -> Layout:
    """Adherent cells: spread with arms, rounded, spindles, or a confluent sheet."""
    radius = _radius(size, rng, 0.05, largest)
    if chance(rng, confluent):
        warp = warp_field(size, radius, radius * rng.uniform(0.05, 0.25), rng)
        sheet = partition(
            size,
            2 * radius,
            rng,
            disorder=rng.uniform(0.4, 1),
            stretch=log_uniform(rng, 1, 2.5),
            warp=warp,
        )
        if chance(rng, 0.6):
            hole = fractal_noise(size, min(size) / 3, rng) > rng.uniform(0.2, 1.5)
            return Layout(np.where(hole, 0, sheet.labels), np.where(hole, 1, sheet.rho))
        return sheet
    style = rng.integers(0, 4)
    clusters = int(rng.integers(1, 5)) if chance(rng, 0.4) else 0
    placed = scatter(
        size,
        _count(size, radius, rng.uniform(0.3, 1.5), 90),
        lambda: radius * float(np.exp(rng.normal(0, 0.25))),
        rng,
        gap=rng.uniform(0.6, 1.1),
        clusters=clusters,
    )
    blobs = []
    for row, col, r in placed:
        kind = style if chance(rng, 0.75) else rng.integers(0, 4)
        aspect, bend = float(np.exp(abs(rng.normal(0, 0.3)))), 0.0
        if kind == 0:
            outline = harmonic(rng, 0.12, last=7)
        elif kind == 1:
            arms = bumps(
                rng, int(rng.integers(2, 6)), rng.uniform(0.3, 1.3), rng.uniform(0.12, 0.4)
            )
            outline = 0.75 * arms * harmonic(rng, 0.1)
        elif kind == 2:
            outline, aspect = harmonic(rng, 0.08), rng.uniform(2.5, 6)
            bend = rng.normal(0, 0.2)
        else:
            outline, r = harmonic(rng, 0.03), 0.7 * r
        blobs.append(
            Blob(row, col, r, outline.astype(np.float32), aspect, rng.uniform(0, np.pi), bend)
        )
    warp = warp_field(size, radius * 0.6, radius * rng.uniform(0, 0.15), rng)
    return settle(blobs, size, warp=warp)


def nuclei_within(layout: Layout, rng: np.random.Generator, share: float) -> tuple[Labels, Field]:
    """One nucleus near the middle of every object: labels and rho; `share` of the cell's radius."""
    size = layout.labels.shape
    flat = layout.labels.ravel()
    count = layout.count
    area = np.bincount(flat, minlength=count + 1).astype(np.float64)
    rows = np.bincount(flat, np.repeat(np.arange(size[0]), size[1]), count + 1) / np.maximum(
        area, 1
    )
    cols = np.bincount(flat, np.tile(np.arange(size[1]), size[0]), count + 1) / np.maximum(area, 1)
    labels = np.zeros(size, dtype=np.int32)
    best = np.ones(size, dtype=np.float32)
    for label in range(1, count + 1):
        if area[label] < 60:
            continue
        r = float(np.sqrt(area[label] / np.pi))
        blob = nucleus_blob(
            rng,
            rows[label] + rng.normal(0, 0.12 * r),
            cols[label] + rng.normal(0, 0.12 * r),
            share * r,
        )
        drawn = raster(blob, (size[0], size[1]))
        if drawn is None:
            continue
        window, rho = drawn
        inside = (rho < 1) & (layout.labels[window] == label)
        labels[window][inside] = label
        best[window][inside] = rho[inside]
    return labels, best


def nuclei(size: Size, rng: np.random.Generator) -> Painting:
    """Fluorescent nuclei, scattered or touching, with chromatin, neighbours out of focus, haze."""
    radius = _radius(size, rng, 0.02, 0.28)
    clusters = int(rng.integers(1, 6)) if chance(rng, 0.5) else 0
    spread = rng.uniform(0.05, 0.35)
    placed = scatter(
        size,
        _count(size, radius, rng.uniform(0.3, 2)),
        lambda: radius * float(np.exp(rng.normal(0, spread))),
        rng,
        gap=rng.uniform(0.65, 1.15),
        clusters=clusters,
    )
    blobs = [nucleus_blob(rng, *p) for p in placed]
    layout = settle(
        blobs, size, warp=_warp(size, radius, rng), mode="split" if chance(rng, 0.7) else "over"
    )
    body = radial_profile(layout.rho, rng) * (layout.labels > 0)
    chromatin = fractal_noise(size, max(radius * rng.uniform(0.15, 0.6), 1.5), rng)
    body = body * (1 + rng.uniform(0, 0.4) * chromatin)
    body = body * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0, 0.6)))
    if chance(rng, 0.3):
        holes = spots(size, 0.05, max(radius * 0.12, 0.8), rng)
        body = body * np.exp(rng.choice([-1.5, 0.8]) * np.clip(holes, 0, 1))
    image = body + rng.uniform(0, 0.4) * blur(body, radius)
    if chance(rng, 0.4):
        ghosts = settle(
            [nucleus_blob(rng, *p) for p in scatter(size, 8, lambda: radius, rng)], size
        )
        image = image + rng.uniform(0.1, 0.6) * blur(
            (ghosts.labels > 0).astype(np.float32), radius * rng.uniform(0.3, 0.8)
        )
    if chance(rng, 0.3):
        image = image + rng.uniform(0.02, 0.2) * fractal_noise(size, 3 * radius, rng)
    if chance(rng, 0.3):
        image = debris(image, rng, rng.uniform(0.2, 1.0))
    return Painting(image, layout.labels, Look(invert=0.12, tint=0.3, lines=0.02, softest=2.5))


def cells_fluorescence(size: Size, rng: np.random.Generator) -> Painting:
    """Stained cell bodies, with a nucleus of its own brightness; labels are cells or nuclei."""
    layout = cell_bodies(size, rng)
    inside = (layout.labels > 0).astype(np.float32)
    grain = max(min(size) * rng.uniform(0.005, 0.03), 1.2)
    fibres = oriented_noise(size, 10 * grain, grain, rng.uniform(0, np.pi), rng, bend=20 * grain)
    matter = fractal_noise(size, 2 * grain, rng) if chance(rng, 0.5) else fibres
    depth = radial_profile(layout.rho, rng)
    body = inside * depth * (1 + rng.uniform(0.05, 0.5) * matter)
    body = body * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0.05, 0.6)))
    seeds, rho = nuclei_within(layout, rng, rng.uniform(0.3, 0.6))
    core = smoothstep(1.02, 0.8, rho)
    look = Look(invert=0.1, tint=0.3, softest=2.0, noise=0.08)
    labels = seeds if chance(rng, 0.3) else layout.labels
    if chance(rng, 0.35):
        colours = rng.permutation(3)
        image = np.zeros((*size, 3), dtype=np.float32)
        image[..., colours[0]] = 0.7 * body * (1 - 0.5 * core)
        image[..., colours[1]] = core * (0.7 + 0.15 * matter)
        if chance(rng, 0.4):
            image[..., colours[2]] = 0.5 * spots(size, 0.1, grain, rng) * inside
        return Painting(image * rng.uniform(0.5, 1.2), labels, look)
    strength = rng.uniform(0.5, 1.3) if labels is seeds else rng.uniform(-0.9, 1.0)
    if labels is seeds and chance(rng, 0.3):
        strength = -rng.uniform(0.6, 0.9)
    body = body * (1 + strength * core)
    if chance(rng, 0.3):
        body = body + inside * spots(size, rng.uniform(0.02, 0.2), grain, rng)
    body = body + rng.uniform(0, 0.3) * blur(body, 8 * grain)
    return Painting(body, labels, look)


def membranes(size: Size, rng: np.random.Generator) -> Painting:
    """Epithelia with stained borders: cells told apart by thin bright (or dark) lines only."""
    layout = cell_bodies(size, rng, confluent=0.85)
    distance = edge_distance(layout.labels)
    width = log_uniform(rng, 0.8, 4)
    line = np.exp(-((distance / width) ** 2))
    line = line * np.clip(1 + rng.uniform(0, 0.6) * smooth_noise(size, 12, rng), 0.1, 2)
    body = rng.uniform(0, 0.35) * (layout.labels > 0) * (1 + 0.3 * texture(size, rng, scale=4))
    body = body * np.exp(per_object(layout.labels, rng, 0, 0.3))
    if chance(rng, 0.3):
        _, rho = nuclei_within(layout, rng, rng.uniform(0.4, 0.7))
        body = body + rng.uniform(-0.2, 0.6) * smoothstep(1.0, 0.8, rho)
    return Painting((line + body).astype(np.float32), layout.labels, Look(invert=0.25, tint=0.3))


def _thickness(layout: Layout, rng: np.random.Generator) -> Field:
    """Optical thickness of living cells: domes, nuclei, granules, a rim; zero outside."""
    size = (layout.labels.shape[0], layout.labels.shape[1])
    inside = layout.labels > 0
    height = np.sqrt(np.clip(1 - layout.rho**2, 0, 1)) ** rng.uniform(0.5, 1.5)
    height = height * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0.1, 0.6)))
    _, rho = nuclei_within(layout, rng, rng.uniform(0.25, 0.5))
    height = height + rng.uniform(0, 0.6) * np.sqrt(np.clip(1 - rho**2, 0, 1))
    grain = max(min(size) * rng.uniform(0.004, 0.012), 0.8)
    height = height + rng.uniform(0.05, 0.5) * np.clip(
        spots(size, rng.uniform(0.05, 0.4), grain, rng), 0, 2
    ) * (layout.rho < 0.85)
    height = height * (1 + rng.uniform(0.02, 0.2) * fractal_noise(size, 6 * grain, rng))
    return blur((height * inside).astype(np.float32), rng.uniform(0.5, 1.5))


def phase_contrast(size: Size, rng: np.random.Generator) -> Painting:
    """Phase contrast: grey ground, dark (or bright) cells, halo around them, bright round cells."""
    layout = cell_bodies(size, rng, confluent=0.2, largest=0.22)
    thickness = _thickness(layout, rng)
    halo = min(size) * log_uniform(rng, 0.01, 0.05)
    wide = blur(thickness, halo)
    image = rng.uniform(0.5, 1.5) * (wide - thickness) + rng.uniform(0.2, 0.8) * (
        wide - blur(thickness, halo / 3)
    )
    if chance(rng, 0.6):
        # Rounded cells bend light too strongly for the phase ring: they shine.
        bright = rng.random(layout.count + 1) < rng.uniform(0.1, 0.7)
        bright[0] = False
        image = image + rng.uniform(0.8, 2) * thickness * bright[layout.labels]
    rim = np.exp(-((edge_distance((layout.labels > 0).astype(np.int32)) / rng.uniform(1, 3)) ** 2))
    image = image + rng.uniform(-0.2, 0.4) * rim * (layout.labels == 0)
    image = image + rng.uniform(0.01, 0.08) * texture(size, rng, scale=rng.uniform(1.5, 6))
    if chance(rng, 0.4):
        image = debris(image, rng, rng.normal(0, 0.5))
    return Painting(
        image.astype(np.float32),
        layout.labels,
        Look(invert=0.25, uneven=0.6, softest=1.5, tint=0.12),
    )


def dic(size: Size, rng: np.random.Generator) -> Painting:
    """Differential interference contrast: relief lit from one side on an even grey."""
    layout = cell_bodies(size, rng, confluent=0.15, largest=0.3)
    thickness = _thickness(layout, rng) * min(size) * rng.uniform(0.03, 0.12)
    ground = rng.uniform(0, 0.15) * fractal_noise(size, min(size) * 0.1, rng)
    slope_r, slope_c = np.gradient(thickness + ground)
    angle = rng.uniform(0, 2 * np.pi)
    image = np.tanh(rng.uniform(0.5, 2) * (np.cos(angle) * slope_r + np.sin(angle) * slope_c))
    image = image + rng.uniform(0, 0.2) * per_object(layout.labels, rng, 0.3, 0.3)
    image = image + rng.uniform(0.01, 0.06) * texture(size, rng, scale=rng.uniform(1, 4))
    return Painting(
        image.astype(np.float32),
        layout.labels,
        Look(invert=0.1, uneven=0.7, softest=1.5, lines=0.1, tint=0.1),
    )


def quantitative_phase(size: Size, rng: np.random.Generator) -> Painting:
    """Quantitative phase: brightness is optical thickness; round cells outshine spread ones."""
    layout = cell_bodies(size, rng, confluent=0.3, largest=0.25)
    thickness = _thickness(layout, rng)
    image = thickness + rng.uniform(0, 0.1) * fractal_noise(size, min(size) / 3, rng)
    image = image + rng.uniform(0.005, 0.05) * texture(size, rng, scale=rng.uniform(1, 8))
    if chance(rng, 0.5):
        image = np.minimum(image, float(np.quantile(image, rng.uniform(0.95, 0.995))))
    return Painting(
        image.astype(np.float32),
        layout.labels,
        Look(invert=0.1, softest=1.5, noise=0.03, tint=0.15),
    )


def brightfield(size: Size, rng: np.random.Generator) -> Painting:
    """Unstained cells slightly out of focus: dark and bright rims on a bright ground."""
    layout = cell_bodies(size, rng, confluent=0.1, largest=0.25)
    thickness = _thickness(layout, rng)
    near, far = rng.uniform(0.8, 2.5), rng.uniform(2.5, 6)
    image = rng.choice([-1, 1]) * (blur(thickness, near) - blur(thickness, far))
    image = image * rng.uniform(2, 5) - rng.uniform(-0.1, 0.4) * thickness
    image = image + rng.uniform(0.01, 0.08) * texture(size, rng, scale=rng.uniform(1, 6))
    return Painting(image.astype(np.float32), layout.labels, Look(uneven=0.7, tint=0.3))


def bacteria(size: Size, rng: np.random.Generator) -> Painting:
    """Rods, cocci and chains, loose or in packed colonies; phase dark, bright or fluorescent."""
    radius = max(log_uniform(rng, 0.012, 0.06) * min(size), 3.0)
    aspect = 1.1 if chance(rng, 0.2) else rng.uniform(1.8, 6)
    packed = chance(rng, 0.5)
    placed = scatter(
        size,
        _count(size, radius * np.sqrt(aspect), 2.5 if packed else 0.8, 160),
        lambda: radius * float(np.exp(rng.normal(0, 0.1))),
        rng,
        gap=0.95 if packed else 1.0,
        clusters=int(rng.integers(1, 4)) if packed else 0,
    )
    lean, order = rng.uniform(0, np.pi), rng.uniform(0.05, 2)
    field = smooth_noise(size, min(size) / 3, rng) * order
    blobs = []
    for row, col, r in placed:
        at = (int(np.clip(row, 0, size[0] - 1)), int(np.clip(col, 0, size[1] - 1)))
        length = aspect * float(np.exp(rng.normal(0, 0.25)))
        blobs.append(
            Blob(
                row,
                col,
                r * np.sqrt(max(length, 1)) * 0.9,
                superellipse(rng.uniform(2.3, 4)),
                max(length, 1),
                lean + float(field[at]),
                rng.normal(0, 0.06),
            )
        )
    layout = settle(blobs, size, mode="split" if packed else "under")
    inside = (layout.labels > 0).astype(np.float32)
    gap = rng.uniform(0.3, 1.2)
    body = inside * smoothstep(0.2, gap + 1.0, edge_distance(layout.labels))
    body = body * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0.02, 0.4)))
    body = body * (1 + rng.uniform(0, 0.3) * fractal_noise(size, radius, rng))
    if chance(rng, 0.5):
        image = body + rng.uniform(0, 0.5) * blur(body, 2 * radius)
        look = Look(tint=0.3, softest=1.8)
    else:
        image = rng.uniform(0.3, 1.2) * blur(inside, radius * rng.uniform(0.8, 2)) - body
        image = image + rng.uniform(0, 0.1) * texture(size, rng)
        look = Look(invert=0.3, uneven=0.5, softest=1.5)
    return Painting(image.astype(np.float32), layout.labels, look)


def yeast(size: Size, rng: np.random.Generator) -> Painting:
    """Budding yeast: round cells with bright or dark walls, vacuoles, buds; touching groups."""
    radius = _radius(size, rng, 0.025, 0.12)
    placed = scatter(
        size,
        _count(size, radius, rng.uniform(0.3, 1.2), 120),
        lambda: radius * float(np.exp(rng.normal(0, 0.15))),
        rng,
        gap=rng.uniform(0.9, 1.05),
        clusters=int(rng.integers(0, 5)),
    )
    blobs = []
    for row, col, r in placed:
        turn = rng.uniform(0, 2 * np.pi)
        blobs.append(Blob(row, col, r, harmonic(rng, 0.02), rng.uniform(1, 1.5), turn))
        if chance(rng, 0.35):
            bud = r * rng.uniform(0.35, 0.7)
            blobs.append(
                Blob(
                    row + np.sin(turn) * (1.1 * r + bud * 0.8),
                    col + np.cos(turn) * (1.1 * r + bud * 0.8),
                    bud,
                    circle(),
                    1.1,
                    turn,
                )
            )
    layout = settle(blobs, size)
    inside = layout.labels > 0
    wall = np.exp(-(((layout.rho - rng.uniform(0.8, 1.0)) / rng.uniform(0.05, 0.2)) ** 2)) * inside
    image = rng.choice([-1, 1]) * wall + rng.uniform(-0.6, 0.6) * inside
    image = image + rng.uniform(-0.8, 0.8) * blur(inside.astype(np.float32), radius * 0.3)
    vacuole = scatter(size, 2 * len(placed), lambda: radius * rng.uniform(0.2, 0.45), rng)
    inner = settle([Blob(*p, circle()) for p in vacuole], size)
    image = image + rng.uniform(-0.5, 0.5) * (inner.labels > 0) * (layout.rho < 0.7)
    image = image + rng.uniform(0.02, 0.15) * texture(size, rng, scale=rng.uniform(1, 5))
    look = Look(invert=0.2, uneven=0.5, tint=0.2, softest=1.8)
    return Painting(image.astype(np.float32), layout.labels, look)


def smear(size: Size, rng: np.random.Generator) -> Painting:
    """Giemsa-like stains on a bright slide: purple nuclei or cells, pale discs, colour absorbed."""
    layout = cell_bodies(size, rng, confluent=0.05, largest=0.3)
    inside = (layout.labels > 0).astype(np.float32)
    seeds, rho = nuclei_within(layout, rng, rng.uniform(0.45, 0.75))
    core = smoothstep(1.03, 0.9, rho) * (1 + 0.25 * fractal_noise(size, min(size) * 0.03, rng))
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
    image = np.exp(-(density + ground[..., None])) * rng.uniform(0.8, 1.0, 3)
    labels = seeds if with_core and chance(rng, 0.6) else layout.labels
    return Painting(image.astype(np.float32), labels, Look(uneven=0.4, blocks=0.4, noise=0.03))


def neurons(size: Size, rng: np.random.Generator) -> Painting:
    """Neurons: bright bodies with thin branches over haze; labels take bodies or branches."""
    radius = _radius(size, rng, 0.03, 0.12)
    placed = scatter(size, int(rng.integers(3, 20)), lambda: radius * rng.uniform(0.6, 1.4), rng)
    blobs = [
        Blob(
            row,
            col,
            r,
            bumps(rng, int(rng.integers(1, 5)), 0.8, 0.25),
            rng.uniform(1, 2.2),
            rng.uniform(0, np.pi),
        )
        for row, col, r in placed
    ]
    bodies = settle(blobs, size, warp=_warp(size, radius, rng))
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
    glow = np.where(lines > 0, rng.uniform(0.2, 0.8), 0).astype(np.float32)
    haze = np.clip(fractal_noise(size, min(size) / 3, rng), 0, None) * rng.uniform(0, 0.5)
    image = np.maximum(body, glow) + haze * (1 + 0.5 * texture(size, rng))
    trace = chance(rng, 0.35)
    labels = lines if trace else bodies.labels
    look = replace(Look(tint=0.5, softest=1.8, noise=0.08), invert=0.2)
    return Painting(image.astype(np.float32), labels, look)
