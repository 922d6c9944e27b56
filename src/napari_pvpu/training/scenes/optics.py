"""Light, lenses, detectors and files: from a clean scene to a recorded picture, in batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_pvpu.training.scenes.noise import blur, smooth_noise

if TYPE_CHECKING:
    from napari_pvpu.training.scenes.canvas import Canvas


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind of scene is recorded; chances and strengths are 0 to 1.

    Attributes
    ----------
    softest : float
        Largest deviation of the point-spread function in pixels, but for defocused scenes.
    noise : float
        Largest noise, over the range of the picture.
    invert, uneven, lines, blocks, tint : float
        Chances of inverted contrast, shading, stripes, block artefacts, and of colour where the
        picture is grey.
    dark : float
        Chance of a picture that uses the lower end of its range only.
    """

    softest: float = 1.8
    noise: float = 0.08
    invert: float = 0.12
    uneven: float = 0.4
    lines: float = 0.08
    blocks: float = 0.15
    tint: float = 0.12
    dark: float = 0.1


def record(canvas: Canvas, image: Tensor, look: Look) -> Tensor:
    """Blur, shade, disturb, colour and digitise a batch of clean pictures.

    Parameters
    ----------
    canvas : Canvas
        Gives randomness.
    image : Tensor
        ``(B, S, S)`` grey or ``(B, 3, S, S)`` colour, any range; grey pictures are stretched.
    look : Look
        Chances and strengths.

    Returns
    -------
    Tensor
        ``(B, 3, S, S)`` float32, 0 to 1.
    """
    grey = image.dim() == 3
    sigma = canvas.log_uniform(0.25, look.softest)
    # Some fields of view are plainly out of focus.
    sigma = torch.where(canvas.chance(0.04) > 0, canvas.uniform(1.5, 3), sigma)
    image = blur(image, sigma)
    planes = stretched(image)[:, None] if grey else image
    if canvas.odds(look.uneven):
        planes = planes * shading(canvas)[:, None]
    if canvas.odds(look.lines):
        planes = planes + stripes(canvas)[:, None]
    planes = noisy(canvas, planes, look.noise)
    if grey:
        planes = _digitise(canvas, planes[:, 0], look)
    else:
        planes = _mix(canvas, planes)
    if canvas.odds(look.blocks):
        planes = block_artefacts(planes, canvas.log_uniform(0.02, 0.25)[:, None])
    return planes.clamp(0, 1)


def stretched(image: Tensor, low: float = 0.005, high: float = 0.995) -> Tensor:
    """Map the quantiles `low` and `high` of each picture ``(B, S, S)`` to 0 and 1."""
    sample = image[:, ::5, ::5].flatten(1).sort(1).values
    last = sample.shape[1] - 1
    dark = sample[:, round(low * last), None, None]
    bright = sample[:, round(high * last), None, None]
    return (image - dark) / (bright - dark).clamp(min=1e-3)


def shading(canvas: Canvas) -> Tensor:
    """Draw uneven light: a tilt, a vignette, slow clouds; ``(B, S, S)`` around 1."""
    y, x = (canvas.coordinates() / canvas.size - 0.5).unbind(0)
    tilt = canvas.uniform(-1, 1) * y + canvas.uniform(-1, 1) * x
    row, col = canvas.uniform(-0.3, 0.3), canvas.uniform(-0.3, 0.3)
    vignette = -2 * canvas.rand(1, 1) * ((y - row) ** 2 + (x - col) ** 2)
    clouds = smooth_noise(canvas, canvas.size / canvas.between(1, 3))[:, 0]
    strength = canvas.log_uniform(0.05, 0.8)
    return (1 + strength * (tilt + vignette + 0.2 * clouds)).clamp(0.15, 3)


def stripes(canvas: Canvas) -> Tensor:
    """Draw stripes of a scanner or a camera along rows or columns, ``(B, S, S)`` around 0."""
    lines = canvas.randn(canvas.size, 1) * canvas.log_uniform(0.005, 0.06)
    soft = smooth_noise(canvas, canvas.between(1, 6))[:, 0, :, :1] * canvas.log_uniform(0.003, 0.06)
    lines = (lines if canvas.odds(0.5) else soft).expand(-1, -1, canvas.size)
    return lines if canvas.odds(0.75) else lines.mT


def noisy(canvas: Canvas, image: Tensor, most: float) -> Tensor:
    """Add shot noise, which grows with the light, and read noise, to ``(B, C, S, S)``."""
    grain = canvas.randn(*image.shape[1:])
    if canvas.odds(0.25):
        # Neighbouring pixels share noise: binning, demosaicing, a resampled file.
        soft = canvas.between(0.4, 1.0)
        grain = blur(grain, soft) * max(2 * math.sqrt(math.pi) * soft, 1.0)
    level = canvas.log_uniform(0.002, max(most, 0.003)) * canvas.chance(0.9)
    shot = canvas.rand(1, 1)
    power = shot[:, None] * image.clamp(min=0) + (1 - shot)[:, None]
    return image + level[:, None] * power.sqrt() * grain


def block_artefacts(image: Tensor, step: Tensor) -> Tensor:
    """Round the coefficients of 8 x 8 cosine blocks, as JPEG does.

    Parameters
    ----------
    image : Tensor
        ``(B, C, H, W)``; rows and columns beyond the last whole block stay as they are.
    step : Tensor
        ``(B, 1, 1, 1)``, 0.01 (hardly seen) to 0.3 (blocks and rings): grows with frequency.

    Returns
    -------
    Tensor
        ``(B, C, H, W)``.
    """
    count, channels, height, width = image.shape
    high, wide = height // 8 * 8, width // 8 * 8
    order = torch.arange(8, device=image.device, dtype=torch.float32)
    basis = torch.cos(math.pi / 8 * order[:, None] * (order + 0.5)) * 0.5
    basis[0] *= math.sqrt(0.5)
    tiles = image[..., :high, :wide].reshape(count, channels, high // 8, 8, wide // 8, 8)
    tiles = tiles.transpose(3, 4)
    grow = 0.3 + 0.25 * (order[:, None] + order)
    steps = step[..., None, None] * grow
    coefficients = basis @ tiles @ basis.T
    coefficients = (coefficients / steps).round() * steps
    tiles = basis.T @ coefficients @ basis
    out = image.clone()
    out[..., :high, :wide] = tiles.transpose(3, 4).reshape(count, channels, high, wide)
    return out


def _digitise(canvas: Canvas, image: Tensor, look: Look) -> Tensor:
    """Choose polarity, gamma and range of grey pictures and give some colour."""
    image = torch.where(canvas.chance(look.invert) > 0, 1 - image, image)
    image = image.clamp(0, 1.1) ** canvas.log_uniform(0.6, 1.6)
    span = torch.where(
        canvas.chance(look.dark) > 0, canvas.uniform(0.1, 0.4), canvas.uniform(0.5, 1)
    )
    base = (1 - span) * canvas.rand(1, 1) * canvas.chance(0.5)
    image = base + span * image
    if canvas.odds(look.tint):
        return coloured(canvas, image)
    return image[:, None].expand(-1, 3, -1, -1)


def coloured(canvas: Canvas, image: Tensor) -> Tensor:
    """Colour ``(B, S, S)`` of 0 to 1: a dye on black, or a ramp between two random colours."""
    value = image.clamp(0, 1)[:, None]
    dye = canvas.rand(3, 1, 1) ** 3
    dye = dye / dye.amax(1, keepdim=True).clamp(min=1e-3)
    dark, light = canvas.uniform(0, 0.6, 3, 1, 1), canvas.uniform(0.3, 1, 3, 1, 1)
    middle = canvas.rand(3, 1, 1)
    bow = (4 * value * (1 - value)) * (middle - (dark + light) / 2) * canvas.chance(0.4, 1, 1, 1)
    ramp = dark + (light - dark) * value + bow
    return torch.where(canvas.chance(0.5, 1, 1, 1) > 0, value * dye, ramp)


def _mix(canvas: Canvas, image: Tensor) -> Tensor:
    """Mix the channels of ``(B, 3, S, S)``: seldom thoroughly, mostly a little."""
    strength = torch.where(canvas.chance(0.12) > 0, 0.5, canvas.uniform(0, 0.1))
    mix = torch.eye(3, device=image.device) + strength * canvas.randn(3, 3)
    mix = mix / mix.abs().sum(2, keepdim=True).clamp(min=0.5)
    return (mix @ image.flatten(2)).view(image.shape)
