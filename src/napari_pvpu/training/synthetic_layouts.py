"""Layouts that are not single blobs: partitions, islands, strokes; and what labels need.

Label maps are (H, W) int32 with 0 for the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import measure

from napari_pvpu.training.synthetic_fields import fractal_noise, smooth_noise
from napari_pvpu.training.synthetic_shapes import Blob, Layout, circle, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Labels, Warp

MIN_AREA = 24
"""Smallest area of a labelled object, in pixels."""

# With more seeds than this a distance transform is faster than drawing every cell.
_MANY_SEEDS = 150


def partition(
    size: Size,
    spacing: float,
    rng: np.random.Generator,
    *,
    disorder: float = 0.8,
    stretch: float = 1.0,
    uneven: float = 0.15,
    warp: Warp | None = None,
) -> Layout:
    """Cells that fill the scene (a power diagram of jittered, stretched seeds).

    Parameters
    ----------
    size
        (rows, cols) of the scene.
    spacing
        Mean distance of the seeds in pixels.
    rng
        Source of randomness.
    disorder
        0 a regular lattice, 1 chaos.
    stretch
        Aspect of all cells along one common direction.
    uneven
        Standard deviation of the logarithm of the cells' sizes.
    warp
        Displacements in pixels for all borders.

    Returns
    -------
    Layout
        Every pixel has an owner; rho is 0 at a cell's seed and 1 in its farthest corner.
    """
    rows = np.arange(-spacing, size[0] + spacing, spacing, dtype=float)
    cols = np.arange(-spacing, size[1] + spacing, spacing, dtype=float)
    seeds = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1)
    seeds[1::2, :, 1] += spacing / 2
    seeds = seeds.reshape(-1, 2)
    seeds = seeds + rng.uniform(-0.6, 0.6, seeds.shape) * disorder * spacing
    if len(seeds) > _MANY_SEEDS:
        labels, distance = _nearest_seed(size, seeds, stretch, warp)
    else:
        turn = rng.uniform(0, np.pi)
        sizes = spacing * np.exp(uneven * rng.standard_normal(len(seeds)))
        blobs = [
            Blob(row, col, radius, circle(), aspect=stretch, angle=turn)
            for (row, col), radius in zip(seeds.tolist(), sizes.tolist(), strict=True)
        ]
        layout = settle(blobs, size, warp=warp, limit=3.0)
        labels, distance = layout.labels, layout.rho
    farthest = np.full(len(seeds) + 1, 1e-3, dtype=np.float32)
    np.maximum.at(farthest, labels, distance)
    return Layout(labels, np.asarray(distance / farthest[labels], dtype=np.float32))


def _nearest_seed(
    size: Size, seeds: NDArray[np.float64], stretch: float, warp: Warp | None
) -> tuple[Labels, Field]:
    """Voronoi labels and distances by a distance transform, cells stretched along rows or cols."""
    pad = 16
    shape = (size[0] + 2 * pad, size[1] + 2 * pad)
    at = np.round(seeds + pad).astype(int)
    at = at[np.all((at >= 0) & (at < shape), axis=1)]
    names = np.zeros(shape, dtype=np.int32)
    names[at[:, 0], at[:, 1]] = np.arange(1, len(at) + 1)
    distance, nearest = ndimage.distance_transform_edt(
        names == 0, sampling=(1.0, stretch), return_indices=True
    )
    labels = names[nearest[0], nearest[1]]
    rows, cols = np.indices(size) + pad
    if warp is not None:
        rows = np.clip(np.round(rows + warp[0]).astype(int), 0, shape[0] - 1)
        cols = np.clip(np.round(cols + warp[1]).astype(int), 0, shape[1] - 1)
    return labels[rows, cols], np.asarray(distance[rows, cols], dtype=np.float32)


def drop_cells(layout: Layout, rng: np.random.Generator, share: float, scale: float) -> Layout:
    """Empty about `share` of a partition's cells, in patches of `scale` pixels."""
    size = (layout.labels.shape[0], layout.labels.shape[1])
    field = smooth_noise(size, scale, rng)
    flat = layout.labels.ravel()
    total = np.bincount(flat, field.ravel()) / np.maximum(np.bincount(flat), 1)
    keep = total > np.quantile(total[np.unique(flat)], min(share, 0.95))
    keep[0] = False
    inside = keep[layout.labels]
    return Layout(
        np.where(inside, layout.labels, 0).astype(np.int32),
        np.where(inside, layout.rho, 1).astype(np.float32),
    )


def islands(size: Size, scale: float, cover: float, rng: np.random.Generator) -> Layout:
    """Connected patches above a level of smooth noise that cover about `cover` of the scene."""
    noise = fractal_noise(size, scale, rng, gain=rng.uniform(0.2, 0.6), octaves=3)
    level = float(np.quantile(noise, 1 - cover))
    labels, _ = ndimage.label(noise > level)
    depth = np.clip((noise - level) / (float(noise.max()) - level + 1e-6), 0, 1)
    return Layout(labels.astype(np.int32), (1 - depth).astype(np.float32))


def strokes(
    size: Size,
    count: int,
    width: Callable[[], float],
    rng: np.random.Generator,
    *,
    wiggle: float = 0.5,
    angle: float | None = None,
    extent: float = 1.0,
) -> Labels:
    """Thin curved lines as labels 1..count; `wiggle` in radians over the scene's length."""
    labels = np.zeros(size, dtype=np.int32)
    length = max(size) * extent
    steps = max(int(length), 8)
    for label in range(1, count + 1):
        heading = rng.uniform(0, 2 * np.pi) if angle is None else angle + rng.normal(0, 0.15)
        turn = np.cumsum(rng.standard_normal(steps // 8 + 2))
        turn = np.interp(np.arange(steps), 8 * np.arange(len(turn)), turn)
        heading = heading + wiggle * turn * np.sqrt(8 / steps)
        path = np.cumsum(np.stack([np.sin(heading), np.cos(heading)]), axis=1)
        path += (rng.uniform(0, 1, 2) * size)[:, None] - path[:, steps // 2][:, None]
        half = 0.5 * width()
        taper = np.sqrt(np.sin(np.linspace(0.15, np.pi - 0.15, steps)))
        _stamp(labels, path, half * taper, label)
    return labels


def _stamp(
    labels: Labels, path: NDArray[np.float64], half: NDArray[np.float64], label: int
) -> None:
    """Stamp disks of half-width along a path of points one pixel apart."""
    reach = int(np.ceil(half.max()))
    offsets = np.arange(-reach, reach + 1)
    down, across = (o.ravel() for o in np.meshgrid(offsets, offsets, indexing="ij"))
    inside = np.hypot(down, across)[:, None] <= np.maximum(half, 0.5)
    rows = np.round(path[0]).astype(int) + down[:, None]
    cols = np.round(path[1]).astype(int) + across[:, None]
    keep = inside & (rows >= 0) & (rows < labels.shape[0]) & (cols >= 0) & (cols < labels.shape[1])
    labels[rows[keep], cols[keep]] = label


def tidy(labels: Labels, min_area: int = MIN_AREA) -> Labels:
    """Make every connected piece an object of its own, drop small ones, number them from 1."""
    pieces = measure.label(labels, background=0, connectivity=2)
    area = np.bincount(pieces.ravel())
    keep = area >= min_area
    keep[0] = False
    table = np.zeros(len(area), dtype=np.int32)
    table[keep] = np.arange(1, int(keep.sum()) + 1)
    return np.asarray(table[pieces], dtype=np.int32)


def edge_distance(labels: Labels) -> Field:
    """Distance in pixels of every pixel to the nearest one of another label (0.5 at borders)."""
    edge = np.zeros(labels.shape, dtype=bool)
    vertical = labels[1:] != labels[:-1]
    edge[1:] |= vertical
    edge[:-1] |= vertical
    horizontal = labels[:, 1:] != labels[:, :-1]
    edge[:, 1:] |= horizontal
    edge[:, :-1] |= horizontal
    if not edge.any():
        return np.full(labels.shape, float(max(labels.shape)), dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~edge) + 0.5, dtype=np.float32)
