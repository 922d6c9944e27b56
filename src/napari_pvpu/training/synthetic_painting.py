"""What the painters of synthetic scenes share: their result, sizes, cell bodies, nuclei."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.training.synthetic_fields import chance, log_uniform, warp_field
from napari_pvpu.training.synthetic_layouts import drop_cells, edge_distance, partition
from napari_pvpu.training.synthetic_shapes import (
    Blob,
    Layout,
    bumps,
    harmonic,
    nucleus_blob,
    raster,
    scatter,
    settle,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.training.synthetic_appearance import Look
    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Labels, Warp


@dataclass(frozen=True, slots=True)
class Painting:
    """A clean picture (H, W) or (H, W, 3) float32, its labels (H, W) int32 and its `Look`."""

    image: Field
    labels: Labels
    look: Look


def painting(image: NDArray[Any], labels: NDArray[Any], look: Look) -> Painting:
    """A `Painting` with its arrays in the right types."""
    return Painting(
        np.ascontiguousarray(image, dtype=np.float32),
        np.ascontiguousarray(labels, dtype=np.int32),
        look,
    )


def scene_radius(
    size: Size, rng: np.random.Generator, low: float = 0.02, high: float = 0.3
) -> float:
    """Typical object radius of a scene, log-uniform in units of its short side, at least 4 px."""
    return max(log_uniform(rng, low, high) * min(size), 4.0)


def tries(size: Size, radius: float, cover: float, most: int = 220) -> int:
    """Number of circles that covers about `cover` of the scene, within 4 .. `most`."""
    return int(np.clip(cover * size[0] * size[1] / (np.pi * radius**2), 4, most))


def varied(radius: float, spread: float, rng: np.random.Generator, least: float = 3.0) -> float:
    """A radius drawn log-normally around `radius`."""
    return max(radius * float(np.exp(rng.normal(0, spread))), least)


def elongation(rng: np.random.Generator, spread: float = 0.3) -> float:
    """An aspect ratio of at least 1, usually near it."""
    return float(np.exp(abs(rng.normal(0, spread))))


def gentle_warp(size: Size, radius: float, rng: np.random.Generator) -> Warp | None:
    """Irregularities that all outlines of a scene share, smooth on the scale of an object."""
    if chance(rng, 0.4):
        return None
    return warp_field(size, radius * rng.uniform(0.7, 1.5), radius * rng.uniform(0.02, 0.1), rng)


def seam_line(labels: Labels, width: float) -> Field:
    """A line of Gaussian profile along all borders of a label map, 1 on the border."""
    return np.asarray(np.exp(-((edge_distance(labels) / width) ** 2)), dtype=np.float32)


def rim_line(inside: Field, width: float) -> Field:
    """A line along the border of a mask, 1 on the border."""
    return seam_line((inside > 0.5).astype(np.int32), width)


def _body(rng: np.random.Generator, style: int, row: float, col: float, r: float) -> Blob:
    """One cell body: 0 smooth, 1 with arms, 2 spindle, 3 rounded up, 4 spread fan."""
    angle, aspect, bend = rng.uniform(0, np.pi), elongation(rng), 0.0
    calm = harmonic(rng, log_uniform(rng, 0.02, 0.2), last=7, decay=1.4)
    if style == 1:
        count = int(rng.integers(2, 7))
        arms = bumps(rng, count, log_uniform(rng, 0.3, 2), log_uniform(rng, 0.07, 0.4))
        outline = 0.75 * arms * calm
    elif style == 2:
        outline, aspect, bend = calm, rng.uniform(2.2, 7), rng.normal(0, 0.06)
    elif style == 3:
        outline, r, aspect = harmonic(rng, 0.02), 0.65 * r, rng.uniform(1, 1.2)
    elif style == 4:
        tail = bumps(rng, 1, rng.uniform(0.5, 1.5), rng.uniform(0.2, 0.5))
        outline, aspect = tail * calm * 0.8, rng.uniform(1, 1.8)
    else:
        outline = calm
    return Blob(row, col, r, np.asarray(outline, dtype=np.float32), aspect, angle, bend)


def cell_bodies(
    size: Size, rng: np.random.Generator, *, confluent: float = 0.35, largest: float = 0.3
) -> Layout:
    """Adherent cells: spread with arms, rounded, spindles, or a confluent sheet with gaps.

    Parameters
    ----------
    size
        (rows, cols) of the scene.
    rng
        Source of randomness.
    confluent
        Chance of a sheet of cells that touch all around.
    largest
        Largest typical radius in units of the short side.

    Returns
    -------
    Layout
        One label for each cell.
    """
    radius = scene_radius(size, rng, 0.04, largest)
    if chance(rng, confluent):
        warp = warp_field(size, radius, radius * rng.uniform(0.03, 0.18), rng)
        stretch = log_uniform(rng, 1, 2.5)
        disorder = rng.uniform(0.4, 1)
        sheet = partition(size, 2 * radius, rng, disorder=disorder, stretch=stretch, warp=warp)
        if chance(rng, 0.7):
            sheet = drop_cells(sheet, rng, rng.uniform(0.05, 0.7), radius * rng.uniform(1, 6))
        return sheet
    style = int(rng.integers(0, 5))
    purity = rng.uniform(0.5, 1)
    placed = scatter(
        size,
        tries(size, radius, rng.uniform(0.3, 1.5), 90),
        lambda: varied(radius, 0.25, rng),
        rng,
        gap=rng.uniform(0.6, 1.1),
        clusters=int(rng.integers(1, 5)) if chance(rng, 0.4) else 0,
    )
    styles = [style if chance(rng, purity) else int(rng.integers(0, 5)) for _ in placed]
    blobs = [_body(rng, s, *disc) for s, disc in zip(styles, placed, strict=True)]
    return settle(blobs, size, warp=gentle_warp(size, radius, rng))


def nuclei_within(layout: Layout, rng: np.random.Generator, share: float) -> Layout:
    """One nucleus near the middle of every object, of `share` of the object's radius.

    A nucleus has its cell's label; rho is 1 outside the nuclei.
    """
    size = (layout.labels.shape[0], layout.labels.shape[1])
    flat = layout.labels.ravel()
    count = layout.count + 1
    area = np.bincount(flat, minlength=count)
    some = np.maximum(area, 1)
    rows = np.bincount(flat, np.repeat(np.arange(size[0]), size[1]), count) / some
    cols = np.bincount(flat, np.tile(np.arange(size[1]), size[0]), count) / some
    labels = np.zeros(size, dtype=np.int32)
    best = np.ones(size, dtype=np.float32)
    for label in np.flatnonzero(area >= 60):
        if label == 0:
            continue
        r = float(np.sqrt(area[label] / np.pi))
        row, col = np.array((rows[label], cols[label])) + rng.normal(0, 0.12 * r, 2)
        drawn = raster(nucleus_blob(rng, float(row), float(col), share * r), size)
        if drawn is None:
            continue
        window, rho = drawn
        inside = (rho < 1) & (layout.labels[window] == label)
        labels[window][inside] = label
        best[window][inside] = rho[inside]
    return Layout(labels, best)
