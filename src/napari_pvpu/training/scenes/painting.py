"""What all kinds of scene share: their result, values of objects, distances from borders."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_pvpu.training.scenes.noise import fractal_noise, smooth_noise
from napari_pvpu.training.scenes.optics import Look

if TYPE_CHECKING:
    from napari_pvpu.training.scenes.canvas import Canvas
    from napari_pvpu.training.scenes.shapes import Layout


class Painting(NamedTuple):
    """A batch of clean scenes before they are recorded.

    Attributes
    ----------
    image : Tensor
        ``(B, S, S)`` grey of any range, or ``(B, 3, S, S)`` colour of about 0 to 1.
    labels : Tensor
        ``(B, S, S)`` integers, 0 for background.
    look : Look
        How to record them.
    parts : Tensor or None
        ``(B, S, S)`` integers: objects inside those of `labels`, 0 for none.
    """

    image: Tensor
    labels: Tensor
    look: Look = Look()
    parts: Tensor | None = None


def looked_up(values: Tensor, labels: Tensor) -> Tensor:
    """Give pixels the value of their object.

    Parameters
    ----------
    values : Tensor
        ``(B, K)`` or ``(B, K, C)``; entry 0 is the background's.
    labels : Tensor
        ``(B, S, S)`` int64, 0 to ``K - 1``; higher ones start again from 0.

    Returns
    -------
    Tensor
        ``(B, S, S)`` or ``(B, C, S, S)``.
    """
    place = (labels % values.shape[1]).flatten(1)
    if values.dim() == 2:
        return values.gather(1, place).view(labels.shape)
    channels = values.mT.gather(2, place[:, None].expand(-1, values.shape[2], -1))
    return channels.view(len(labels), -1, *labels.shape[1:])


def per_object(canvas: Canvas, labels: Tensor, low: float, high: float) -> Tensor:
    """Give each object a uniform random number, ``(B, S, S)``; the background gets one as well."""
    return looked_up(canvas.uniform(low, high, 2039), labels)


def some_objects(canvas: Canvas, labels: Tensor, low: float, high: float) -> Tensor:
    """Mark a share of `low` to `high` of the objects, ``(B, S, S)`` of 0.0 and 1.0."""
    drawn = canvas.rand(2039) < canvas.uniform(low, high, 1)
    return looked_up(drawn.float(), labels) * (labels > 0)


def border_distance(labels: Tensor, most: int = 12) -> Tensor:
    """Measure how far pixels are from the next pixel of another label.

    Parameters
    ----------
    labels : Tensor
        ``(B, S, S)`` integers; background counts as a label.
    most : int
        Largest distance that is measured, in pixels; costs grow with it.

    Returns
    -------
    Tensor
        ``(B, S, S)`` float32: 0.5 on either side of a border, up to `most` far away. Exact
        Euclidean distance to the nearest border pixel, less a half.
    """
    far = float((most + 1) ** 2)
    edge = torch.zeros(labels.shape, dtype=torch.bool, device=labels.device)
    down = labels[:, 1:] != labels[:, :-1]
    right = labels[:, :, 1:] != labels[:, :, :-1]
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    edge[:, :, 1:] |= right
    edge[:, :, :-1] |= right
    squares = torch.where(edge, 0.0, far)
    for axis in (1, 2):
        nearest = squares.clone()
        size = labels.shape[axis]
        for step in range(1, min(most, size - 1) + 1):
            here, there = (
                nearest.narrow(axis, step, size - step),
                squares.narrow(axis, 0, size - step),
            )
            torch.minimum(here, there + step**2, out=here)
            here, there = (
                nearest.narrow(axis, 0, size - step),
                squares.narrow(axis, step, size - step),
            )
            torch.minimum(here, there + step**2, out=here)
        squares = nearest
    return (squares.sqrt() + 0.5).clamp(max=float(most))


def dome(canvas: Canvas, layout: Layout) -> Tensor:
    """Draw heights over objects, ``(B, S, S)``: domes, plateaus or pits, 0 outside."""
    power = canvas.log_uniform(0.15, 2.0)
    inside = (layout.labels > 0).float()
    height = (1 - layout.rho**2).clamp(1e-3, 1) ** power
    return inside * (height + canvas.uniform(0, 0.4))


def wander(canvas: Canvas, scale: float = 4.0) -> Tensor:
    """Draw a faint uneven ground, ``(B, S, S)`` of deviation up to about 1."""
    slow = smooth_noise(canvas, canvas.size / scale)[:, 0] * canvas.rand(1, 1)
    if canvas.odds(0.5):
        return slow
    return slow + fractal_noise(canvas, canvas.size / 8) * canvas.uniform(0, 0.5)


def scene_radius(canvas: Canvas, low: float, high: float, least: float = 4.0) -> float:
    """Draw a radius for a batch: a share of the side, evenly in the logarithm, not too small."""
    return max(canvas.log_between(low, high) * canvas.size, least)
