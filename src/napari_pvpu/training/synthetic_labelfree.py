"""Synthetic label-free pictures: phase contrast, DIC, quantitative phase, bacteria, yeast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import Look, debris, per_object
from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    fractal_noise,
    log_uniform,
    smooth_noise,
    smoothstep,
    spots,
    standardise,
    texture,
)
from napari_pvpu.training.synthetic_layouts import edge_distance
from napari_pvpu.training.synthetic_painting import (
    Painting,
    cell_bodies,
    nuclei_within,
    painting,
    rim_line,
    scene_radius,
    tries,
    varied,
)
from napari_pvpu.training.synthetic_shapes import Blob, capsule, circle, harmonic, scatter, settle

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Layout


def thickness(layout: Layout, rng: np.random.Generator) -> Field:
    """Optical thickness of living cells: domes, nuclei, nucleoli, granules; zero outside.

    Parameters
    ----------
    layout
        The cells.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        (H, W) float32, about 0.2 to 2 inside the cells.
    """
    size = (layout.labels.shape[0], layout.labels.shape[1])
    # Exponents below 1/2 make steep rims, above 1 a flat skirt that fades into the ground.
    dome = np.clip(1 - layout.rho**2, 0, 1) ** log_uniform(rng, 0.15, 2)
    height = rng.uniform(0, 0.4) * (layout.rho < 1) + dome
    height = height * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0.1, 0.6)))
    core = nuclei_within(layout, rng, rng.uniform(0.25, 0.5))
    bulge = np.sqrt(np.clip(1 - core.rho**2, 0, 1))
    height = height + rng.uniform(-0.3, 0.6) * bulge
    grain = max(min(size) * rng.uniform(0.004, 0.015), 0.8)
    nucleoli = np.clip(spots(size, 0.12, 1.5 * grain, rng), 0, 1.5) * (bulge > 0.5)
    # Granules crowd around the nucleus and leave the thin skirt free.
    dots = np.clip(spots(size, log_uniform(rng, 0.03, 0.6), grain, rng), 0, 2)
    zone = (layout.rho < rng.uniform(0.6, 0.95)) & (core.labels == 0)
    height = height + rng.uniform(0, 0.6) * nucleoli + rng.uniform(0, 0.5) * dots * zone
    height = height * (1 + rng.uniform(0.02, 0.2) * fractal_noise(size, 6 * grain, rng))
    inside = layout.labels > 0
    return blur(np.asarray(height * inside, np.float32), rng.uniform(0.5, 1.5))


def phase_contrast(size: Size, rng: np.random.Generator) -> Painting:
    """Phase contrast: grey ground, dark (or bright) cells, halo around them, bright round cells."""
    layout = cell_bodies(size, rng, confluent=0.25, largest=0.25)
    optical = thickness(layout, rng)
    halo = min(size) * log_uniform(rng, 0.01, 0.06)
    wide = blur(optical, halo)
    image = rng.uniform(0.3, 1.3) * (wide - optical)
    image = image + rng.uniform(0.3, 1.5) * (wide - blur(optical, halo / 4))
    if chance(rng, 0.6):
        # Rounded cells shift the phase so far that the ring turns them bright.
        bright = rng.random(layout.count + 1) < rng.uniform(0.1, 0.7)
        bright[0] = False
        image = image + rng.uniform(0.8, 2) * optical * bright[layout.labels]
    outside = layout.labels == 0
    rim = rim_line((~outside).astype(np.float32), rng.uniform(1, 4))
    image = image + rng.uniform(-0.2, 0.5) * rim * outside
    image = image + log_uniform(rng, 0.01, 0.1) * texture(size, rng, scale=rng.uniform(1.5, 6))
    image = image + rng.uniform(0, 0.1) * fractal_noise(size, min(size) / 4, rng)
    if chance(rng, 0.4):
        image = debris(image, rng, rng.normal(0, 0.5))
    look = Look(invert=0.25, uneven=0.6, softest=1.5)
    return painting(image, layout.labels, look)


def dic(size: Size, rng: np.random.Generator) -> Painting:
    """Differential interference contrast: relief lit from one side on an even grey."""
    layout = cell_bodies(size, rng, confluent=0.2, largest=0.3)
    optical = thickness(layout, rng)
    ground = rng.uniform(0, 0.1) * fractal_noise(size, min(size) * 0.1, rng)
    slope_r, slope_c = np.gradient(optical + ground)
    turn = rng.uniform(0, 2 * np.pi)
    slope = standardise(np.asarray(np.cos(turn) * slope_r + np.sin(turn) * slope_c, np.float32))
    gain = log_uniform(rng, 0.08, 1.2)
    image = np.tanh(gain * slope)
    image = image + gain * rng.uniform(-0.5, 0.8) * blur(optical, 1.0) * chance(rng, 0.5)
    grit = gain * log_uniform(rng, 0.02, 0.3)
    image = image + grit * texture(size, rng, scale=rng.uniform(1, 4))
    if chance(rng, 0.5):  # a shear of the light across the field
        image = image + gain * rng.uniform(0.5, 2) * smooth_noise(size, 2.0 * max(size), rng)
    return painting(image, layout.labels, Look(invert=0.1, uneven=0.7, softest=1.5, lines=0.1))


def quantitative_phase(size: Size, rng: np.random.Generator) -> Painting:
    """Quantitative phase: brightness is optical thickness; round cells outshine spread ones."""
    layout = cell_bodies(size, rng, confluent=0.3, largest=0.25)
    image = thickness(layout, rng)
    if chance(rng, 0.5):
        tall = rng.random(layout.count + 1) < rng.uniform(0.05, 0.3)
        tall[0] = False
        image = image * (1 + rng.uniform(0.5, 2) * tall[layout.labels] * (1 - layout.rho**2))
    image = image + rng.uniform(0, 0.1) * fractal_noise(size, min(size) / 3, rng)
    image = image + rng.uniform(0.005, 0.05) * texture(size, rng, scale=rng.uniform(1, 8))
    if chance(rng, 0.5):
        image = np.minimum(image, float(np.quantile(image, rng.uniform(0.95, 0.995))))
    return painting(image, layout.labels, Look(invert=0.1, softest=1.5, noise=0.03))


def brightfield(size: Size, rng: np.random.Generator) -> Painting:
    """Unstained cells slightly out of focus: dark and bright rims on a bright ground."""
    layout = cell_bodies(size, rng, confluent=0.15, largest=0.25)
    optical = thickness(layout, rng)
    near, far = rng.uniform(0.8, 2.5), rng.uniform(2.5, 6)
    image = rng.choice([-1, 1]) * (blur(optical, near) - blur(optical, far))
    image = image * rng.uniform(2, 5) - rng.uniform(-0.1, 0.4) * optical
    image = image + rng.uniform(0.01, 0.08) * texture(size, rng, scale=rng.uniform(1, 6))
    return painting(image, layout.labels, Look(uneven=0.7, tint=0.2))


def _rods(size: Size, rng: np.random.Generator, *, packed: bool) -> tuple[Layout, float]:
    """Rods, cocci or curved rods whose directions vary smoothly, and their half-width."""
    half = max(log_uniform(rng, 0.012, 0.07) * min(size), 3.0)
    aspect = 1.1 if chance(rng, 0.2) else rng.uniform(1.8, 7)
    placed = scatter(
        size,
        tries(size, half * np.sqrt(aspect), 2.5 if packed else 0.8, 160),
        lambda: varied(half, 0.1, rng),
        rng,
        gap=0.95 if packed else 1.0,
        clusters=int(rng.integers(1, 4)) if packed else 0,
    )
    turns = rng.uniform(0, np.pi) + rng.uniform(0.05, 2) * smooth_noise(size, min(size) / 3, rng)
    bend = 0.0 if chance(rng, 0.6) else rng.uniform(0, 0.1)
    blobs = []
    for row, col, r in placed:
        at = (int(np.clip(row, 0, size[0] - 1)), int(np.clip(col, 0, size[1] - 1)))
        length = max(aspect * float(np.exp(rng.normal(0, 0.25))), 1.0)
        curve = bend * rng.normal(0, 1)
        angle = float(turns[at])
        blobs.append(Blob(row, col, r * np.sqrt(length), capsule(length), length, angle, curve))
    return settle(blobs, size, mode="split" if packed else "under"), half


def bacteria(size: Size, rng: np.random.Generator) -> Painting:
    """Rods, cocci and chains, loose or in packed colonies; phase dark, bright or fluorescent."""
    layout, half = _rods(size, rng, packed=chance(rng, 0.5))
    inside = (layout.labels > 0).astype(np.float32)
    body = inside * smoothstep(0.2, rng.uniform(1.3, 2.2), edge_distance(layout.labels))
    body = body * np.exp(per_object(layout.labels, rng, 0, rng.uniform(0.02, 0.4)))
    body = body * (1 + rng.uniform(0, 0.3) * fractal_noise(size, half, rng))
    if chance(rng, 0.5):
        image = body + rng.uniform(0, 0.5) * blur(body, 2 * half)
        return painting(image, layout.labels, Look(tint=0.25, softest=1.8))
    image = rng.uniform(0.3, 1.2) * blur(inside, half * rng.uniform(0.8, 2)) - body
    image = image + rng.uniform(0, 0.1) * texture(size, rng)
    return painting(image, layout.labels, Look(invert=0.3, uneven=0.5, softest=1.5))


def yeast(size: Size, rng: np.random.Generator) -> Painting:
    """Budding yeast: round cells with bright or dark walls, vacuoles, buds; touching groups."""
    radius = scene_radius(size, rng, 0.025, 0.16)
    placed = scatter(
        size,
        tries(size, radius, rng.uniform(0.3, 1.2), 120),
        lambda: varied(radius, 0.15, rng),
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
            away = 1.1 * r + 0.8 * bud
            down, across = away * np.sin(turn), away * np.cos(turn)
            blobs.append(Blob(row + down, col + across, bud, circle(), 1.1, turn))
    layout = settle(blobs, size)
    inside = layout.labels > 0
    place, width = rng.uniform(0.8, 1.0), rng.uniform(0.05, 0.2)
    wall = np.exp(-(((layout.rho - place) / width) ** 2)) * inside
    image = rng.choice([-1, 1]) * wall + rng.uniform(-0.6, 0.6) * inside
    image = image + rng.uniform(-0.8, 0.8) * blur(inside.astype(np.float32), radius * 0.3)
    inner = scatter(size, 2 * len(placed), lambda: radius * rng.uniform(0.2, 0.45), rng)
    vacuoles = settle([Blob(*disc, circle()) for disc in inner], size).labels > 0
    image = image + rng.uniform(-0.5, 0.5) * vacuoles * (layout.rho < 0.7)
    image = image + log_uniform(rng, 0.01, 0.15) * texture(size, rng, scale=rng.uniform(1, 5))
    return painting(image, layout.labels, Look(invert=0.2, uneven=0.5, tint=0.15, softest=1.8))
