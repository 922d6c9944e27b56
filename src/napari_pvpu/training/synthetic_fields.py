"""Random fields and textures: the raw material of the synthetic scenes.

Every field is a ``(H, W)`` float32 array in (row, col) order with about zero mean and unit
standard deviation unless said otherwise. Smooth noise is drawn as cubic B-spline surfaces over a
coarse random lattice, which costs two small matrix products instead of a large filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field: TypeAlias = NDArray[np.float32]
    Size: TypeAlias = tuple[int, int]

# Standard deviation of a cubic B-spline surface over unit white noise (151/315 per axis).
_SPLINE_STD = 151.0 / 315.0


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A float drawn log-uniformly between two positive bounds."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)


def smoothstep(low: float, high: float, values: Field) -> Field:
    """Cubic step from 0 at `low` to 1 at `high` (`low` may exceed `high`)."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def blur(field: Field, sigma: float | tuple[float, float]) -> Field:
    """Gaussian blur over the first two axes; sigma in pixels, below 0.2 a copy."""
    if np.max(sigma) < 0.2:
        return field.copy()
    pair = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
    full = (*pair, *([0.0] * (field.ndim - 2)))
    blurred = ndimage.gaussian_filter(field, full, mode="nearest", truncate=3.0)
    return np.asarray(blurred, dtype=np.float32)


def standardise(field: Field) -> Field:
    """Shift and scale a field to zero mean and unit standard deviation."""
    centred = field - field.mean()
    return np.asarray(centred / (centred.std() + 1e-6), dtype=np.float32)


def white_noise(size: Size, rng: np.random.Generator) -> Field:
    """Independent standard normal values."""
    return rng.standard_normal(size, dtype=np.float32)


def _spline_weights(length: int, scale: float, phase: float) -> Field:
    """Cubic B-spline weights (length, knots) of a lattice with `scale` pixels between knots."""
    position = np.arange(length, dtype=np.float32) / np.float32(scale) + np.float32(phase)
    base = np.floor(position).astype(np.int64)
    t = (position - base).astype(np.float32)
    weights = np.zeros((length, int(base[-1]) + 4), dtype=np.float32)
    rows = np.arange(length)
    weights[rows, base] = (1 - t) ** 3 / 6
    weights[rows, base + 1] = (3 * t**3 - 6 * t**2 + 4) / 6
    weights[rows, base + 2] = (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6
    weights[rows, base + 3] = t**3 / 6
    return weights


def smooth_noise(size: Size, scale: float | tuple[float, float], rng: np.random.Generator) -> Field:
    """Smooth random surface; `scale` is the knot distance in pixels, per axis or for both."""
    down, across = (scale, scale) if isinstance(scale, (int, float)) else scale
    if max(down, across) < 1.0:
        return white_noise(size, rng)
    rows = _spline_weights(size[0], max(down, 1.0), float(rng.random()))
    cols = _spline_weights(size[1], max(across, 1.0), float(rng.random()))
    lattice = rng.standard_normal((rows.shape[1], cols.shape[1]), dtype=np.float32)
    return np.asarray(rows @ lattice @ cols.T / _SPLINE_STD, dtype=np.float32)


def fractal_noise(
    size: Size, scale: float, rng: np.random.Generator, *, gain: float = 0.6, octaves: int = 4
) -> Field:
    """Sum of smooth noises, each at half the scale and `gain` times the strength of the last."""
    total = np.zeros(size, dtype=np.float32)
    strength, power = 1.0, 0.0
    for _ in range(octaves):
        total += np.float32(strength) * smooth_noise(size, scale, rng)
        power += strength**2
        strength, scale = strength * gain, scale / 2
        if scale < 0.8:
            break
    return np.asarray(total / np.sqrt(power), dtype=np.float32)


def coordinates(size: Size) -> tuple[Field, Field]:
    """Row (H, 1) and column (1, W) coordinates that broadcast to the field."""
    rows = np.arange(size[0], dtype=np.float32)[:, None]
    cols = np.arange(size[1], dtype=np.float32)[None, :]
    return rows, cols


def warp_field(
    size: Size, scale: float, amplitude: float, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Smooth displacements (rows, cols) in pixels with the given standard deviation."""
    down = smooth_noise(size, scale, rng) * np.float32(amplitude)
    across = smooth_noise(size, scale, rng) * np.float32(amplitude)
    return down, across


def rotated(size: Size, angle: float, bend: float, rng: np.random.Generator) -> tuple[Field, Field]:
    """Coordinates along and across a direction, bent by smooth noise of `bend` pixels."""
    rows, cols = coordinates(size)
    along = cols * np.float32(np.cos(angle)) + rows * np.float32(np.sin(angle))
    across = rows * np.float32(np.cos(angle)) - cols * np.float32(np.sin(angle))
    if bend > 0:
        down, right = warp_field(size, max(min(size) / 3, 4.0), bend, rng)
        along, across = along + right, across + down
    return np.asarray(along, np.float32), np.asarray(across, np.float32)


def oriented_noise(
    size: Size, along: float, across: float, angle: float, rng: np.random.Generator, bend: float = 0
) -> Field:
    """Streaky noise: correlation length `along` a direction and `across` it, in pixels."""
    u, v = rotated(size, angle, bend, rng)
    # Three lattice samples per knot keep linear interpolation free of visible creases.
    u = (u - u.min()) * np.float32(3 / along)
    v = (v - v.min()) * np.float32(3 / across)
    shape = (int(v.max()) + 2, int(u.max()) + 2)
    if shape[0] * shape[1] > 4_000_000:
        return smooth_noise(size, across, rng)
    lattice = smooth_noise(shape, 3.0, rng)
    sampled = ndimage.map_coordinates(lattice, [v, u], order=1, mode="nearest")
    return np.asarray(sampled, dtype=np.float32)


def spots(size: Size, density: float, sigma: float, rng: np.random.Generator) -> Field:
    """Soft spots of random brightness; `density` is the mean number a spot's own area."""
    count = rng.poisson(density * size[0] * size[1] / (4 * np.pi * max(sigma, 0.5) ** 2))
    canvas = np.zeros(size, dtype=np.float32)
    at = (rng.integers(0, size[0], count), rng.integers(0, size[1], count))
    np.add.at(canvas, at, rng.gamma(2.0, 0.5, count).astype(np.float32))
    return blur(canvas, sigma) * np.float32(2 * np.pi * max(sigma, 0.3) ** 2)


def _stripes(size: Size, scale: float, rng: np.random.Generator) -> Field:
    _, across = rotated(size, rng.uniform(0, np.pi), scale * rng.uniform(0, 1.5), rng)
    wave = np.sin(across * np.float32(2 * np.pi / scale))
    sharp = rng.uniform(1, 4)
    return np.asarray(np.tanh(sharp * wave), dtype=np.float32)


def _ridges(size: Size, scale: float, rng: np.random.Generator) -> Field:
    return np.asarray(np.abs(fractal_noise(size, scale, rng, octaves=2)) ** 0.5, dtype=np.float32)


def _checker(size: Size, scale: float, rng: np.random.Generator) -> Field:
    along, across = rotated(size, rng.uniform(0, np.pi), scale * rng.uniform(0, 0.5), rng)
    k = np.float32(np.pi / scale)
    return np.asarray(np.tanh(3 * np.sin(along * k) * np.sin(across * k)), dtype=np.float32)


def _flakes(size: Size, scale: float, rng: np.random.Generator) -> Field:
    noise = fractal_noise(size, scale, rng, octaves=2)
    levels = rng.integers(2, 5)
    return np.asarray(np.round(noise * levels / 2), dtype=np.float32)


def texture(
    size: Size, rng: np.random.Generator, scale: float | None = None, family: str | None = None
) -> Field:
    """A texture from a random process, zero mean and unit standard deviation.

    Parameters
    ----------
    size
        (rows, cols) of the field.
    rng
        Source of randomness.
    scale
        Typical grain in pixels; drawn log-uniformly between 1.5 and a sixth of the field if None.
    family
        One of `TEXTURES`; drawn if None, the irregular ones more often, as in nature.

    Returns
    -------
    ndarray
        (H, W) float32.
    """
    if scale is None:
        scale = log_uniform(rng, 1.5, max(3.0, min(size) / 6))
    if family is None:
        family = str(rng.choice(TEXTURES, p=_NATURAL))
    if family == "fractal":
        field = fractal_noise(size, scale, rng, gain=rng.uniform(0.4, 0.9))
    elif family == "grain":
        field = smooth_noise(size, min(scale, 4.0), rng)
    elif family == "streaks":
        length = scale * rng.uniform(3, 12)
        angle = rng.uniform(0, np.pi)
        field = oriented_noise(size, length, scale, angle, rng, bend=rng.uniform(0, length))
    elif family == "stripes":
        field = _stripes(size, max(2 * scale, 4.0), rng)
    elif family == "ridges":
        field = _ridges(size, 2 * scale, rng)
    elif family == "checker":
        field = _checker(size, max(1.5 * scale, 3.0), rng)
    elif family == "flakes":
        field = _flakes(size, 2 * scale, rng)
    elif family == "spots":
        field = spots(size, rng.uniform(0.1, 1.0), max(scale / 2, 0.6), rng)
        field = field if chance(rng, 0.7) else -field
    else:
        raise ValueError(f"unknown texture family {family!r}; choose one of {TEXTURES}")
    return standardise(field)


TEXTURES = ("fractal", "grain", "streaks", "ridges", "spots", "flakes", "stripes", "checker")
"""Families of textures."""

_NATURAL = (0.32, 0.24, 0.16, 0.11, 0.11, 0.02, 0.03, 0.01)
