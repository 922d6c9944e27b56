"""Boxes as careful and careless hands draw them, for many objects at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_pvpu.training.draws import draw_index

if TYPE_CHECKING:
    from napari_pvpu.training.habits import UserHabits

__all__ = ["bounds", "box_around", "box_within"]

_SLOPPY, _OVERSIZED, _CUTTING = 1, 2, 3


def bounds(region: Tensor) -> Tensor:
    """Return the outermost rows and columns of masks.

    Parameters
    ----------
    region : Tensor
        ``(N, S, S)`` bool.

    Returns
    -------
    Tensor
        ``(N, 2, 2)`` float32: first and last, of row and column. Of an empty mask the first is S
        and the last -1.
    """
    size = region.shape[-1]
    axis = torch.arange(size, device=region.device)
    found = []
    for dim in (2, 1):
        there = region.any(dim)
        low = torch.where(there, axis, size).amin(1)
        high = torch.where(there, axis, -1).amax(1)
        found.append(torch.stack([low, high], dim=1).float())
    return torch.stack(found, dim=2)


def box_around(region: Tensor, habits: UserHabits, generator: torch.Generator) -> Tensor:
    """Box whole regions, sides off by a share of their extent and clipped to the view.

    Parameters
    ----------
    region : Tensor
        ``(N, S, S)`` bool.
    habits : UserHabits
        How large errors are.
    generator : torch.Generator
        On the device of `region`.

    Returns
    -------
    Tensor
        ``(N, 2, 2)`` float32: low and high corner, of row and column.
    """
    count, size = len(region), region.shape[-1]

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=region.device)

    corners = bounds(region)
    extent = (corners[:, 1] - corners[:, 0]).clamp(min=1)[:, None]
    # Boxes are more often too large than too small.
    outward = (uniform(count, 2, 2) * 1.5 - 0.5) * habits.box_noise * uniform(count, 1, 1)
    chances = (habits.sloppy, habits.oversized, habits.cutting)
    if any(chances):
        style = draw_index(uniform(count), (max(0.0, 1 - sum(chances)), *chances))[:, None, None]
        draw = uniform(count, 2, 2)
        outward = torch.where(style == _SLOPPY, (draw * 1.6 - 0.6) * 2 * habits.box_noise, outward)
        outward = torch.where(style == _OVERSIZED, 0.1 + 0.7 * draw * draw, outward)
        # One side of four cuts off up to a third of the object.
        side = draw == draw.flatten(1).amax(1)[:, None, None]
        cut = -0.08 - 0.25 * uniform(count, 1, 1)
        outward = torch.where((style == _CUTTING) & side, cut, outward)
    moved = outward * extent
    low, high = corners[:, 0] - moved[:, 0], corners[:, 1] + moved[:, 1]
    return torch.stack([low, high], dim=1).clamp(-0.5, size - 0.5)


def box_within(centre: Tensor, depth: Tensor, size: int) -> Tensor:
    """Box the largest squares around given pixels that lie in their regions.

    Parameters
    ----------
    centre : Tensor
        ``(N, 2)``, row and column.
    depth : Tensor
        ``(N,)``, depth of the region there, in steps of two pixels.
    size : int
        Side of the view, at whose border boxes end.

    Returns
    -------
    Tensor
        ``(N, 2, 2)`` float32: low and high corner, of row and column.
    """
    reach = (depth * 2 - 1).clamp(min=1)[:, None]
    return torch.stack([centre - reach, centre + reach], dim=1).clamp(-0.5, size - 0.5)
