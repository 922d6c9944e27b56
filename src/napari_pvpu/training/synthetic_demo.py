"""Three simulated micrographs with exact truth, to show and to try the program on.

Unlike the training scenes, whose every parameter is drawn at random, these have fixed parameters
chosen to look like a common recording: fluorescent nuclei, cells in phase contrast, and an
electron micrograph of neuropil. All lengths are for a 512 x 512 picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_fields import (
    blur,
    fractal_noise,
    oriented_noise,
    smooth_noise,
    smoothstep,
    spots,
    warp_field,
    white_noise,
)
from napari_pvpu.training.synthetic_layouts import edge_distance, partition
from napari_pvpu.training.synthetic_painting import nuclei_within, varied
from napari_pvpu.training.synthetic_shapes import (
    Blob,
    Layout,
    bumps,
    harmonic,
    nucleus_blob,
    scatter,
    settle,
)
from napari_pvpu.training.synthetic_tissue import mitochondria

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.training.synthetic_fields import Field
    from napari_pvpu.training.synthetic_shapes import Labels

SIZE = (512, 512)


def _levels(layout: Layout, rng: np.random.Generator, spread: float) -> Field:
    """A log-normal level for each object, 1 in the background."""
    values = np.exp(spread * rng.standard_normal(layout.count + 1)).astype(np.float32)
    values[0] = 1
    return np.asarray(values[layout.labels], dtype=np.float32)


def _photons(image: Field, rng: np.random.Generator, full: float, read: float) -> Field:
    """Shot noise of `full` photons at brightness 1 and read noise of `read` (brightness)."""
    shot = rng.poisson(np.clip(image, 0, None) * full).astype(np.float32) / np.float32(full)
    return np.asarray(shot + np.float32(read) * white_noise(SIZE, rng), dtype=np.float32)


def fluorescence(rng: np.random.Generator) -> tuple[Field, Labels]:
    """Stained nuclei, some touching, one dividing here and there, over a faint haze."""
    loose = scatter(SIZE, 55, lambda: varied(19, 0.16, rng), rng, gap=1.1)
    near = scatter(SIZE, 90, lambda: varied(18, 0.16, rng), rng, gap=0.86, clusters=4)
    discs = loose + [
        d
        for d in near
        if all(np.hypot(d[0] - e[0], d[1] - e[1]) > 0.9 * (d[2] + e[2]) for e in loose)
    ]
    layout = settle([nucleus_blob(rng, *disc) for disc in discs], SIZE)
    inside = layout.labels > 0
    dome = np.clip(1 - layout.rho**2, 0, 1) ** 0.3
    clumps = fractal_noise(SIZE, 7, rng, gain=0.7)
    foci = np.clip(spots(SIZE, 0.06, 1.8, rng), 0, 1.5)
    nucleoli = np.clip(spots(SIZE, 0.03, 2.6, rng), 0, 1.2)
    body = inside * dome * (0.8 + 0.13 * clumps + 0.35 * foci - 0.35 * nucleoli)
    body = np.clip(body, 0, None) * _levels(layout, rng, 0.3)
    sharp = np.asarray(body, dtype=np.float32)
    image = 0.42 * (blur(sharp, 1.1) + 0.22 * blur(sharp, 7) + 0.3 * blur(sharp, 45))
    haze = np.clip(0.03 + 0.012 * fractal_noise(SIZE, 90, rng), 0.01, None)
    return _photons(np.asarray(image + haze, np.float32), rng, 260, 0.008), layout.labels


def _spread_cells(rng: np.random.Generator) -> tuple[Layout, NDArray[np.bool_]]:
    """Adherent cells with arms, some rounded up to divide: layout, and where the round are."""
    discs = scatter(SIZE, 160, lambda: varied(36, 0.18, rng), rng, gap=0.8)
    blobs = []
    rounded = [False]
    for row, col, radius in discs:
        turn = float(rng.uniform(0, np.pi))
        rounded.append(bool(rng.random() < 0.14))
        if rounded[-1]:
            blobs.append(Blob(row, col, 0.45 * radius, harmonic(rng, 0.02), 1.05, turn))
            continue
        arms = bumps(rng, int(rng.integers(1, 4)), 0.9, 0.3) * harmonic(rng, 0.09, decay=1.6)
        outline = np.asarray(0.78 * arms, dtype=np.float32)
        blobs.append(Blob(row, col, radius, outline, float(rng.uniform(1.2, 2.6)), turn))
    layout = settle(blobs, SIZE, warp=warp_field(SIZE, 40, 3.0, rng))
    return layout, np.array(rounded)[layout.labels]


def phase(rng: np.random.Generator) -> tuple[Field, Labels]:
    """Adherent cells in phase contrast: grey bodies with granules, halos, bright round cells."""
    layout, is_round = _spread_cells(rng)
    inside = (layout.labels > 0).astype(np.float32)
    core = nuclei_within(layout, rng, 0.4)
    bulge = np.sqrt(np.clip(1 - core.rho**2, 0, 1))
    dots = np.clip(spots(SIZE, 0.35, 0.9, rng), 0, 2) * (layout.rho < 0.8) * (bulge < 0.15)
    nucleoli = np.clip(spots(SIZE, 0.2, 1.7, rng), 0, 1.5) * (bulge > 0.45)
    dome = np.clip(1 - layout.rho**2, 0, 1)
    height = inside * (0.35 + 0.5 * dome**0.8 + 0.2 * bulge)
    height = height + inside * (0.3 * dots * ~is_round + 0.45 * nucleoli * ~is_round)
    height = (
        height * (1 + 0.16 * fractal_noise(SIZE, 12, rng, gain=0.8)) * _levels(layout, rng, 0.12)
    )
    optical = blur(np.asarray(height * (1 + 0.8 * is_round), np.float32), 0.8)
    wide = blur(optical, 12)
    image = 0.55 - 0.17 * (optical - wide) - 0.3 * (optical - blur(optical, 3))
    image = image + 0.45 * is_round * np.sqrt(dome) * inside
    light = 1 + 0.05 * smooth_noise(SIZE, 400, rng)
    dust = blur(smooth_noise(SIZE, 2.5, rng), 1.0) * 0.012
    seen = blur(np.asarray(image * light + dust, np.float32), 0.7)
    return _photons(seen, rng, 1800, 0.008), layout.labels


def _axoplasm(cells: Layout, distance: Field, rng: np.random.Generator) -> Field:
    """Density of neuropil without organelles: grit, microtubules, a level for each process."""
    grit = smooth_noise(SIZE, 1.6, rng)
    tubes = oriented_noise(SIZE, 22, 2.2, 0.7, rng, bend=60)
    level = 0.2 + 0.05 * np.log(_levels(cells, rng, 1.0))
    dark = level + 0.045 * grit + 0.03 * fractal_noise(SIZE, 12, rng) + 0.03 * tubes
    return np.asarray(dark + 0.62 * np.exp(-((distance / 1.9) ** 2)), dtype=np.float32)


def em(rng: np.random.Generator) -> tuple[Field, Labels]:
    """Neuropil in the electron microscope; the truth is the mitochondria."""
    warp = warp_field(SIZE, 34, 8.0, rng)
    cells = partition(SIZE, 78, rng, disorder=1.0, uneven=0.42, stretch=1.5, warp=warp)
    distance = edge_distance(cells.labels)
    dark = _axoplasm(cells, distance, rng)
    near = distance < 4
    mito, density = mitochondria(SIZE, 14.0, rng, near.astype(np.int32))
    free = (mito.labels == 0) & ~near
    discs = scatter(SIZE, 260, lambda: varied(4.2, 0.12, rng), rng, gap=1.05, clusters=6)
    vesicles = settle([Blob(*disc, harmonic(rng, 0.04)) for disc in discs], SIZE)
    crossing = np.bincount(vesicles.labels.ravel(), (~free).ravel(), vesicles.count + 1)
    whole = (crossing == 0)[vesicles.labels] & (vesicles.labels > 0)
    ring = np.exp(-(((vesicles.rho - 0.8) / 0.25) ** 2))
    dark = np.where(whole, 0.12 + 0.4 * ring, dark)
    # Dense patches along some membranes stand for synapses.
    patch = smoothstep(1.5, 2.0, smooth_noise(SIZE, 16, rng))
    dark = dark + 0.45 * patch * np.exp(-((distance / 4.5) ** 2))
    body = 0.52 + 0.5 * (density - density[mito.labels > 0].mean())
    dark = np.where(mito.labels > 0, body + 0.05 * smooth_noise(SIZE, 1.6, rng), dark)
    image = 0.86 - 0.78 * blur(np.asarray(dark, np.float32), 0.8)
    return _photons(np.asarray(image, np.float32), rng, 320, 0.015), mito.labels


def to_grey8(image: Field) -> NDArray[np.uint8]:
    """Map the 0.05 and 99.8 percentiles of a grey picture to 0 and 255 and repeat it as RGB."""
    dark, bright = np.percentile(image, (0.05, 99.8))
    scaled = np.clip((image - dark) / (bright - dark), 0, 1) * 255 + 0.5
    return np.repeat(scaled.astype(np.uint8)[..., None], 3, axis=2)
