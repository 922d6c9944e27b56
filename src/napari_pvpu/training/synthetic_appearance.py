"""Light, optics and cameras: from a clean synthetic picture to what an instrument records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    coordinates,
    log_uniform,
    smooth_noise,
    texture,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_shapes import Labels


@dataclass(frozen=True, slots=True)
class Look:
    """How strongly a kind is degraded; probabilities 0..1, sigmas in pixels, noise in 0..1."""

    invert: float = 0.1
    sharpest: float = 0.3
    softest: float = 2.0
    noise: float = 0.05
    uneven: float = 0.4
    lines: float = 0.05
    blocks: float = 0.2
    tint: float = 0.08
    low_range: float = 0.35


def per_object(labels: Labels, rng: np.random.Generator, mean: float, spread: float) -> Field:
    """One normal value for each object, looked up for every pixel (background 0)."""
    values = rng.normal(mean, spread, int(labels.max(initial=0)) + 1).astype(np.float32)
    values[0] = 0
    return np.asarray(values[labels], dtype=np.float32)


def radial_profile(rho: Field, rng: np.random.Generator) -> Field:
    """A random smooth function of rho in 0..1: domes, plateaus, bright or dark rims, rings."""
    knots = np.linspace(0, 1, 6)
    family = rng.integers(0, 4)
    if family == 0:
        values = np.sqrt(np.maximum(1 - knots**2, 0)) ** rng.uniform(0.3, 1.5)
    elif family == 1:
        values = np.ones(6) - rng.uniform(0, 0.6) * (knots > 0.75)
    elif family == 2:
        values = rng.uniform(0.3, 0.8) + (1 - rng.uniform(0.3, 0.8)) * knots ** rng.uniform(1, 6)
    else:
        values = np.clip(0.7 + 0.25 * np.cumsum(rng.normal(0, 1, 6)), 0.35, 1.2)
    table = np.interp(np.linspace(0, 1, 257), knots, values).astype(np.float32)
    table = ndimage.gaussian_filter1d(table, 12, mode="nearest")
    index = (np.clip(rho, 0, 1) * 256).astype(np.int32)
    return np.asarray(table[index], dtype=np.float32)


def illumination(size: Size, rng: np.random.Generator, strength: float) -> Field:
    """Multiplicative light field around 1: a tilt, a vignette and slow clouds."""
    rows, cols = coordinates(size)
    y, x = rows / size[0] - 0.5, cols / size[1] - 0.5
    tilt = rng.normal(0, 1) * y + rng.normal(0, 1) * x
    centre = rng.uniform(-0.3, 0.3, 2)
    vignette = -((y - centre[0]) ** 2 + (x - centre[1]) ** 2) * abs(rng.normal(0, 2))
    clouds = smooth_noise(size, max(size) / rng.uniform(1, 3), rng) * rng.uniform(0, 0.5)
    return np.asarray(np.clip(1 + strength * (tilt + vignette + clouds), 0.15, 3), np.float32)


def blocks8(image: Field, strength: float) -> Field:
    """Quantise the coefficients of 8 x 8 cosine blocks, as JPEG does; strength 0.02 .. 0.3."""
    height, width = image.shape[:2]
    pad = [(0, -height % 8), (0, -width % 8)] + [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image, pad, mode="edge")
    rows, cols = padded.shape[0] // 8, padded.shape[1] // 8
    tiles = padded.reshape(rows, 8, cols, 8, -1)
    order = np.arange(8, dtype=np.float32)
    step = strength * (0.3 + 0.25 * (order[:, None] + order[None, :]))
    step = step.reshape(1, 8, 1, 8, 1).astype(np.float32)
    coefficients = fft.dctn(tiles, axes=(1, 3), norm="ortho")
    coefficients = np.round(coefficients / step) * step
    restored = fft.idctn(coefficients, axes=(1, 3), norm="ortho").reshape(padded.shape)
    return np.asarray(restored[:height, :width], dtype=np.float32)


def scan_lines(size: Size, rng: np.random.Generator) -> Field:
    """Additive stripes of a scanning instrument or a camera, along rows or columns."""
    if chance(rng, 0.75):
        lines = np.broadcast_to(smooth_noise((size[0], 1), (rng.uniform(0.5, 4), 1.0), rng), size)
    else:
        lines = np.broadcast_to(smooth_noise((1, size[1]), (1.0, rng.uniform(0.5, 4)), rng), size)
    return np.asarray(lines, dtype=np.float32)


def _noise(image: Field, rng: np.random.Generator, level: float) -> Field:
    """Shot noise (grows with the signal) and read noise, now and then correlated."""
    shot = rng.uniform(0, 1)
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    if chance(rng, 0.3):
        soft = rng.uniform(0.5, 1.0)
        grain = blur(grain, soft) * np.float32(2 * np.sqrt(np.pi) * soft)
    sigma = level * np.sqrt(shot * np.clip(image, 0, None) + (1 - shot))
    return np.asarray(image + sigma * grain, dtype=np.float32)


def stretch(image: Field, low: float, high: float) -> Field:
    """Map the 0.5 to 99.5 percentiles to the given bounds."""
    sample = image[::3, ::3]
    dark, bright = np.quantile(sample, (0.005, 0.995))
    scale = (high - low) / max(float(bright - dark), 1e-3)
    return np.asarray(low + (image - np.float32(dark)) * np.float32(scale), dtype=np.float32)


def _tint(image: Field, rng: np.random.Generator) -> Field:
    """Grey (H, W) to colour (H, W, 3): a dye on black, or a ramp between two colours."""
    if chance(rng, 0.5):
        colour = rng.dirichlet((0.5, 0.5, 0.5))
        colour = colour / colour.max()
        ramp = image[..., None] * colour.astype(np.float32)
    else:
        dark, light = rng.uniform(0, 0.5, 3), rng.uniform(0.5, 1, 3)
        bend = rng.uniform(0.6, 1.6, 3)
        ramp = dark + (light - dark) * np.clip(image, 0, 1)[..., None] ** bend
    return np.asarray(ramp, dtype=np.float32)


def _colour_shift(image: Field, rng: np.random.Generator) -> Field:
    """Mix the channels of a colour picture slightly, seldom thoroughly."""
    strength = 0.6 if chance(rng, 0.15) else rng.uniform(0, 0.12)
    mix = np.eye(3) + strength * rng.normal(0, 0.5, (3, 3))
    mix /= np.maximum(np.abs(mix).sum(axis=1, keepdims=True), 0.5)
    return np.asarray(image @ mix.T.astype(np.float32), dtype=np.float32)


def record(image: Field, rng: np.random.Generator, look: Look) -> NDArray[np.uint8]:
    """Degrade a clean picture and store it as 8-bit RGB.

    Parameters
    ----------
    image
        (H, W) grey or (H, W, 3) colour, float32, any range; percentiles are mapped to the output.
    rng
        Source of randomness.
    look
        Strengths and probabilities.

    Returns
    -------
    ndarray
        (H, W, 3) uint8.
    """
    size = (image.shape[0], image.shape[1])
    colour = image.ndim == 3
    if chance(rng, 0.06):  # plainly out of focus
        image = blur(image, min(size) * log_uniform(rng, 0.006, 0.02))
    elif chance(rng, 0.95):
        image = blur(image, log_uniform(rng, look.sharpest, look.softest))
    if not colour:
        image = stretch(image, 0, 1)
    if chance(rng, look.uneven):
        light = illumination(size, rng, log_uniform(rng, 0.05, 0.6))
        image = image * (light[..., None] if colour else light)
    if chance(rng, look.lines):
        lines = scan_lines(size, rng) * log_uniform(rng, 0.005, 0.06)
        image = image + (lines[..., None] if colour else lines)
    if chance(rng, 0.9):
        image = _noise(image, rng, log_uniform(rng, 0.003, max(look.noise, 0.004)))
    if colour:
        image = _colour_shift(image, rng)
    else:
        if chance(rng, look.invert):
            image = 1 - image
        span = rng.uniform(look.low_range, 1.0)
        low = rng.uniform(0, 1 - span) if chance(rng, 0.6) else 0.0
        image = low + span * np.clip(image, 0, 1.1) ** np.float32(log_uniform(rng, 0.6, 1.6))
        if chance(rng, look.tint):
            image = _tint(image, rng)
    if chance(rng, look.blocks):
        image = blocks8(image, log_uniform(rng, 0.02, 0.2))
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.asarray(np.clip(image * 255 + 0.5, 0, 255), dtype=np.uint8)


def debris(image: Field, rng: np.random.Generator, strength: float) -> Field:
    """Add unlabelled specks, soft out-of-focus blobs or scratches to a grey picture."""
    size = (image.shape[0], image.shape[1])
    count = int(rng.integers(1, 12))
    canvas = np.zeros(size, dtype=np.float32)
    at = (rng.integers(0, size[0], count), rng.integers(0, size[1], count))
    canvas[at] = rng.normal(1, 0.5, count)
    sigma = log_uniform(rng, 0.7, max(1.0, min(size) / 20))
    canvas = blur(canvas, sigma) * np.float32(2 * np.pi * sigma**2)
    return np.asarray(image + strength * canvas, dtype=np.float32)


def painted(size: Size, rng: np.random.Generator, level: float, contrast: float) -> Field:
    """A textured surface with mean `level` and texture of standard deviation `contrast`."""
    if contrast <= 0:
        return np.full(size, level, dtype=np.float32)
    return np.asarray(level + contrast * texture(size, rng), dtype=np.float32)
