"""Random fields, blur and textures, as products of small matrices.

Smooth noise is a random grid spread by cubic B-splines, blur a product with Gaussian bands: one
batched matrix product a side, whatever the scale, with a scale of its own for each scene.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from napari_pvpu.training.scenes.canvas import Canvas

# Mean over a cell of the sum of squared cubic B-spline weights: the variance that remains.
_SPLINE_POWER = 0.4794


def spline_weights(position: Tensor, knots: int) -> Tensor:
    """Weights of cubic B-splines.

    Parameters
    ----------
    position : Tensor
        ``(..., S)`` float, in units of knots, 1 to ``knots - 2``.
    knots : int
        Number of knots ``G``.

    Returns
    -------
    Tensor
        ``(..., S, G)`` float32; sums to 1 over the knots.
    """
    away = position[..., None] - torch.arange(knots, device=position.device)
    away = away.abs_()
    outer = (2 - away).clamp_(min=0)
    inner = (1 - away).clamp_(min=0)
    return (outer**3 - 4 * inner**3) / 6


def smooth_noise(
    canvas: Canvas, scale: float, channels: int = 1, *, vary: float = 1.3, aspect: float = 1.0
) -> Tensor:
    """Gaussian noise without detail below a scale.

    Parameters
    ----------
    canvas : Canvas
        Gives ``B``, ``S`` and randomness.
    scale : float
        Distance of the knots in pixels, at least 1; features are about twice as wide.
    channels : int
        Independent fields ``C``.
    vary : float
        Each scene multiplies its scale by up to this, or divides by it.
    aspect : float
        Ratio of the scale along columns to that along rows.

    Returns
    -------
    Tensor
        ``(B, C, S, S)`` float32 of about mean 0 and deviation 1.
    """
    sides = []
    for side in (scale / math.sqrt(aspect), scale * math.sqrt(aspect)):
        smallest = max(side / vary, 1.0)
        knots = math.ceil(canvas.size / smallest) + 4
        step = (canvas.log_uniform(1 / vary, vary, 1) * side).clamp(min=smallest)
        start = 1 + canvas.rand(1)
        axis = torch.arange(canvas.size, device=canvas.device)
        sides.append(spline_weights(axis / step + start, knots))
    grid = canvas.randn(channels, sides[0].shape[-1], sides[1].shape[-1])
    field = sides[0][:, None] @ grid @ sides[1][:, None].mT
    return field / _SPLINE_POWER


def fractal_noise(canvas: Canvas, scale: float, octaves: int = 3, fall: float = 0.6) -> Tensor:
    """Sum noise of falling scale and strength, ``(B, S, S)`` of about deviation 1."""
    total = smooth_noise(canvas, scale)[:, 0]
    power, weight = 1.0, 1.0
    for octave in range(1, octaves):
        if scale / 2**octave < 1:
            break
        weight *= fall
        power += weight**2
        total = total + weight * smooth_noise(canvas, scale / 2**octave)[:, 0]
    return total / math.sqrt(power)


def blur(image: Tensor, sigma: Tensor | float) -> Tensor:
    """Blur with a Gaussian of each scene's own width.

    Parameters
    ----------
    image : Tensor
        ``(B, S, S)`` or ``(B, C, S, S)`` float32.
    sigma : Tensor or float
        ``(B, 1, 1)`` or one for all, in pixels; under 0.2 there is next to no blur.

    Returns
    -------
    Tensor
        Shape of `image`. Weights at the border are those inside, scaled to sum to 1.
    """
    axis = torch.arange(image.shape[-1], device=image.device, dtype=torch.float32)
    squares = (axis[:, None] - axis[None, :]) ** 2
    if not isinstance(sigma, Tensor):
        sigma = torch.full((), sigma, device=image.device)
    # Far tails are cut: products of denormal numbers take a CPU ten times as long.
    band = torch.exp((squares * (-0.5 / sigma.clamp(min=0.15) ** 2)).clamp(min=-16))
    band = band / band.sum(-1, keepdim=True)
    if image.dim() == 4 and band.dim() == 3:
        band = band[:, None]
    return band @ image @ band.mT


def standardise(field: Tensor) -> Tensor:
    """Shift and scale each field of ``(B, S, S)`` to mean 0 and deviation 1."""
    mean = field.mean((-2, -1), keepdim=True)
    spread = field.std((-2, -1), keepdim=True)
    return (field - mean) / (spread + 1e-4)


def smoothstep(low: float | Tensor, high: float | Tensor, value: Tensor) -> Tensor:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


TEXTURES = ("fractal", "grain", "streaks", "ridges", "stripes", "spots", "checker", "plain")
"""Families of `texture`."""

# Nature is seldom periodic.
_USUAL = 3 * ("fractal", "grain", "fractal", "streaks", "ridges", "spots", "plain") + (
    "stripes",
    "checker",
)


def texture(canvas: Canvas, scale: float, family: str | None = None) -> Tensor:
    """Draw a pattern of a family.

    Parameters
    ----------
    canvas : Canvas
        Gives ``B``, ``S`` and randomness.
    scale : float
        Size of its features in pixels, at least 1.
    family : str, optional
        One of `TEXTURES`; a random one by default.

    Returns
    -------
    Tensor
        ``(B, S, S)`` float32 of mean 0 and deviation 1.
    """
    family = family or canvas.choose(_USUAL)
    scale = max(scale, 1.0)
    if family == "fractal":
        return fractal_noise(canvas, 4 * scale, 4)
    if family == "grain":
        return smooth_noise(canvas, max(scale / 2, 1.0))[:, 0]
    if family == "streaks":
        along = canvas.log_between(4, 16)
        ratio = along if canvas.odds(0.5) else 1 / along
        return smooth_noise(canvas, scale * 2, aspect=ratio)[:, 0]
    if family == "ridges":
        field = smooth_noise(canvas, 2 * scale)[:, 0]
        return standardise(torch.exp(-((field / 0.3) ** 2)) * canvas.choose((-1.0, 1.0)))
    if family == "spots":
        field = smooth_noise(canvas, scale)[:, 0] - canvas.uniform(0.3, 1.5)
        return standardise(field.clamp(min=0).clamp(max=1.0))
    if family == "plain":
        return 0.3 * smooth_noise(canvas, canvas.size / 2)[:, 0]
    return _periodic(canvas, scale, checker=family == "checker")


def _periodic(canvas: Canvas, scale: float, *, checker: bool) -> Tensor:
    """Draw stripes or a checker board, bent and turned."""
    bend = smooth_noise(canvas, canvas.size / 4, 2) * canvas.uniform(0, 0.6)[:, None] * scale * 2
    rows, cols = (canvas.coordinates() + bend).unbind(1)
    turn = canvas.uniform(0, math.pi)
    wave = math.pi / (scale * canvas.uniform(0.8, 1.6) + 0.5)
    first = torch.sin((rows * turn.cos() + cols * turn.sin()) * wave)
    if checker:
        first = first * torch.sin((cols * turn.cos() - rows * turn.sin()) * wave)
    sharp = canvas.uniform(0.5, 4)
    return standardise(torch.tanh(first * sharp))
