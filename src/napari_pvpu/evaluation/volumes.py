"""Volumes and movies with exact truth, drawn from a seed, to measure propagation on.

The objects come first, the picture is painted from them: blurred by a point spread function that
is longer along Z, with shot and camera noise. Nothing here is taken from a real image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KINDS", "Volume", "draw_volume"]

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint16]

PSF = (1.2, 1.0, 1.0)
"""Standard deviations of the blur, in pixels along Z, Y, X."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A stack of planes, or a movie.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    image : array, (N, H, W), uint8
        What is seen.
    truth : array, (N, H, W), uint16
        The objects, 0 is background.
    """

    kind: str
    image: npt.NDArray[np.uint8]
    truth: Labels


def draw_volume(kind: str, seed: int = 0, shape: tuple[int, int, int] = (48, 256, 256)) -> Volume:
    """Draw a volume.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        The same seed draws the same volume.
    shape : (planes, rows, cols)
        At least 8 planes of 64 x 64.

    Returns
    -------
    Volume

    Raises
    ------
    DatasetError
        If there is no such kind, or the shape is too small.
    """
    if kind not in KINDS:
        raise DatasetError(f"there is no kind {kind!r} of volume; there are {', '.join(KINDS)}")
    if shape[0] < 8 or min(shape[1:]) < 64:
        raise DatasetError(f"a volume has 8 planes of 64 x 64 at least, not the shape {shape}")
    rng = np.random.default_rng(seed)
    truth, light = KINDS[kind](rng, shape)
    blur = (0.0, *PSF[1:]) if kind == "movie" else PSF
    seen = ndimage.gaussian_filter(light, blur)
    photons = rng.poisson(np.maximum(seen, 0) * 0.6) / 0.6
    image = photons + rng.normal(0, 4, shape)
    return Volume(kind, image.clip(0, 255).astype(np.uint8), truth)


def _tube(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[Labels, Floats]:
    """A winding vessel through all planes, beside three others of the same brightness."""
    depth, height, width = shape
    truth = np.zeros(shape, np.uint16)
    rows, cols = np.mgrid[:height, :width]
    side = min(height, width)
    corners = np.array([(0.28, 0.28), (0.7, 0.3), (0.3, 0.72), (0.72, 0.7)])
    for number, corner in enumerate(corners, start=1):
        middle = _walk(rng, depth, 0.006 * side) + corner * (height, width)
        radius = side * (0.07 + 0.02 * np.sin(_walk(rng, depth, 0.12)[:, 0]))
        aspect = np.exp(0.3 * np.sin(_walk(rng, depth, 0.08)[:, 0]))
        for z in range(depth):
            away = ((rows - middle[z, 0]) * aspect[z]) ** 2 + (
                (cols - middle[z, 1]) / aspect[z]
            ) ** 2
            truth[z][(away < radius[z] ** 2) & (truth[z] == 0)] = number
    light = 55 + 18 * _texture(rng, shape, 12) + np.where(truth > 0, 70.0, 0.0)
    return truth, light + 14 * _texture(rng, shape, 3)


def _spheres(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[Labels, Floats]:
    """Ellipsoids apart from each other, that begin and end within the volume."""
    truth = _ellipsoids(rng, shape, radii=(0.08, 0.15), gap=1.15, tries=500)
    levels = np.r_[0.0, rng.uniform(50, 100, int(truth.max()))]
    light = (
        40 + 12 * _texture(rng, shape, 15) + levels[truth] * (1 + 0.25 * _texture(rng, shape, 4))
    )
    return truth, light


def _nuclei(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[Labels, Floats]:
    """Nuclei pressed against each other, of nearly the same brightness, with a thin dark gap."""
    truth = _ellipsoids(rng, shape, radii=(0.09, 0.13), gap=0.8, tries=4000)
    levels = np.r_[0.0, rng.uniform(85, 110, int(truth.max()))]
    rim = ndimage.maximum_filter(truth, (1, 3, 3)) != ndimage.minimum_filter(truth, (1, 3, 3))
    light = 30 + levels[truth] * (1 + 0.2 * _texture(rng, shape, 4))
    return truth, np.where(rim, 0.55 * light, light)


def _cells(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[Labels, Floats]:
    """Cells that fill the volume, all alike within, apart by dark membranes only."""
    depth, height, width = shape
    count = 26
    spots = rng.uniform(0, 1, (count, 3)) * (1.6 * depth, height, width) - (0.3 * depth, 0, 0)
    z, y, x = np.ogrid[:depth, :height, :width]
    stretch = min(height, width) / depth / 1.6
    warp = [0.06 * min(height, width) * _texture(rng, shape, 20) for _ in range(2)]
    nearest = np.full(shape, np.inf)
    second = np.full(shape, np.inf)
    truth = np.zeros(shape, np.uint16)
    for number, (sz, sy, sx) in enumerate(spots, start=1):
        away = np.sqrt(
            ((z - sz) * stretch) ** 2 + (y + warp[0] - sy) ** 2 + (x + warp[1] - sx) ** 2
        )
        closer = away < nearest
        second = np.where(closer, nearest, np.minimum(second, away))
        nearest = np.where(closer, away, nearest)
        truth[closer] = number
    membrane = second - nearest < 4
    truth[membrane] = 0
    light = np.where(membrane, 70.0, 150.0) + 16 * _texture(rng, shape, 2)
    return truth, light


def _movie(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[Labels, Floats]:
    """Cells that wander and change shape from frame to frame; planes are frames here."""
    frames, height, width = shape
    rows, cols = np.mgrid[:height, :width]
    side = min(height, width)
    truth = np.zeros(shape, np.uint16)
    places = [(r, c) for r in (0.2, 0.5, 0.8) for c in (0.2, 0.5, 0.8)]
    for number, place in enumerate(places, start=1):
        path = _walk(rng, frames, 0.008 * side) + np.array(place) * (height, width)
        turn = _walk(rng, frames, 0.25)[:, 0]
        long, short = side * rng.uniform(0.075, 0.1), side * rng.uniform(0.05, 0.065)
        for frame in range(frames):
            dy, dx = rows - path[frame, 0], cols - path[frame, 1]
            sin, cos = np.sin(turn[frame]), np.cos(turn[frame])
            away = ((dy * cos + dx * sin) / long) ** 2 + ((dx * cos - dy * sin) / short) ** 2
            truth[frame][(away < 1) & (truth[frame] == 0)] = number
    levels = np.r_[0.0, rng.uniform(50, 90, len(places))]
    light = 60 + 15 * _texture(rng, shape, 10) + levels[truth]
    return truth, light


def _ellipsoids(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    radii: tuple[float, float],
    gap: float,
    tries: int,
) -> Labels:
    """Place ellipsoids at random, none nearer to another than `gap` times both radii."""
    depth, height, width = shape
    side = min(height, width)
    stretch = 0.35 * depth / (radii[1] * side)
    truth = np.zeros(shape, np.uint16)
    best = np.ones(shape)
    placed: list[tuple[Floats, float]] = []
    z, y, x = np.ogrid[:depth, :height, :width]
    for _ in range(tries):
        radius = rng.uniform(*radii) * side
        spot = rng.uniform(0, 1, 3) * (depth / stretch, height - 2 * radius, width - 2 * radius)
        spot += (0, radius, radius)
        if any(np.linalg.norm(spot - other) < gap * (radius + size) for other, size in placed):
            continue
        placed.append((spot, radius))
        squash = np.exp(rng.normal(0, 0.12, 2))
        away = (
            ((z / stretch - spot[0]) / radius) ** 2
            + ((y - spot[1]) / radius / squash[0]) ** 2
            + ((x - spot[2]) / radius / squash[1]) ** 2
        )
        # What two ellipsoids share is the one's whose middle is nearer.
        mine = away < best
        truth[mine] = len(placed)
        best = np.minimum(best, away)
    return truth


def _walk(rng: np.random.Generator, steps: int, size: float) -> Floats:
    """Return a smooth walk from the origin, (steps, 2), of about `size` a step."""
    speed = ndimage.gaussian_filter1d(rng.normal(0, 1, (steps, 2)), 3, axis=0)
    speed *= size / max(np.abs(speed).mean(), 1e-9)
    return np.asarray(np.cumsum(speed, axis=0) - speed[0])


def _texture(rng: np.random.Generator, shape: tuple[int, int, int], grain: float) -> Floats:
    """Return smooth noise of mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.normal(0, 1, shape), (grain / 2, grain, grain))
    return np.asarray((noise - noise.mean()) / max(noise.std(), 1e-9))


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, int, int]], tuple[Labels, Floats]]] = {
    "tube": _tube,
    "spheres": _spheres,
    "nuclei": _nuclei,
    "cells": _cells,
    "movie": _movie,
}
"""What can be drawn."""
