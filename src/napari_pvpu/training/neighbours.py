"""Objects that lie close to the one that is meant."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from napari_pvpu.training.pixel_choice import choose_pixels, depth_map, dilate, grow, values_at

__all__ = ["Neighbours", "choose_neighbours"]

_NEAR = 5  # rows and columns of the halved view
_GROWTH = 16


class Neighbours(NamedTuple):
    """A part of a neighbour of each object.

    Attributes
    ----------
    pixel : Tensor
        ``(N, 2)`` float32, row and column of a pixel of the neighbour near the object.
    found : Tensor
        ``(N,)`` bool, whether there is such a neighbour.
    part : Tensor
        ``(N, S, S)`` bool, the neighbour around that pixel; empty where none was found.
    """

    pixel: Tensor
    found: Tensor
    part: Tensor


def choose_neighbours(truth: Tensor, others: Tensor, generator: torch.Generator) -> Neighbours:
    """Choose a neighbour of each object, and a pixel of it near the object.

    Works at half resolution. Which of several touching neighbours a pixel belongs to is not
    known: the part grows from the pixel through all of them, by 32 pixels at most.

    Parameters
    ----------
    truth, others : Tensor
        ``(N, S, S)`` bool, S even: the objects and all other objects of their views.
    generator : torch.Generator
        On the device of both.

    Returns
    -------
    Neighbours
        Within ten pixels of the object, and not at the very border of the neighbour where that
        is wide enough.
    """
    half, rest = truth[:, ::2, ::2], others[:, ::2, ::2]
    near = dilate(half, _NEAR) & rest
    depth = torch.where(near, depth_map(rest, framed=False).clamp(max=3), 0.0)
    anywhere = torch.zeros(len(truth), device=truth.device)
    # Thin parts would be clicked on their border; nobody does so who has a choice.
    deep = torch.where(depth >= 2, depth, 0.0)
    depth = torch.where(deep.flatten(1).any(1)[:, None, None], deep, depth)
    pixel = choose_pixels(depth, anywhere, generator).float()
    found = values_at(near, pixel)
    steps = torch.arange(half.shape[-1], device=truth.device)
    seed = (steps[:, None] == pixel[:, 0, None, None]) & (steps == pixel[:, 1, None, None])
    grown = grow(seed & near, rest, _GROWTH)
    part = grown.repeat_interleave(2, 1).repeat_interleave(2, 2)
    # Rows and columns between those of the halved view belong to it too.
    return Neighbours(pixel * 2, found, grow(part, others, 1))
