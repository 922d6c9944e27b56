"""Masks to begin with, as other tools, careless hands and coarser views give them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.training.draws import draw_index
from napari_pvpu.training.neighbours import choose_neighbours
from napari_pvpu.training.pixel_choice import choose_pixels, depth_map

__all__ = ["DAMAGES", "OUTLINES", "coarsen_masks", "corrupt_masks"]

OUTLINES: dict[str, float] = {"exact": 0.2, "uneven": 0.5, "blocky": 0.12, "smoothed": 0.18}
"""Chances of outlines: the object's, one too wide or narrow and wavy, that of blocks of 4 or 8
pixels, and that of a strongly smoothed mask."""

DAMAGES: dict[str, float] = {
    "none": 0.35,
    "shifted": 0.15,
    "cut": 0.14,
    "hole": 0.1,
    "lump": 0.08,
    "merged": 0.18,
}
"""Chances of what befalls the whole: nothing, a shift, a piece cut off, a hole or a bite, a lump
added at the border, and a neighbour joined to it."""

_REACH = (-5.0, 6.0)  # of an uneven outline, in pixels
_SHIFT = 6


def corrupt_masks(
    masks: Tensor, generator: torch.Generator, others: Tensor | None = None
) -> Tensor:
    """Make prior masks as other tools or careless hands would give them.

    Each has one of `OUTLINES` and one of `DAMAGES`, but for what would leave nothing of it. Empty
    masks stay empty.

    Parameters
    ----------
    masks : Tensor
        ``(N, S, S)`` bool, S even.
    generator : torch.Generator
        On the device of `masks`.
    others : Tensor, optional
        ``(N, S, S)`` bool, other objects in the same views; none are joined without.

    Returns
    -------
    Tensor
        ``(N, S, S)`` bool.
    """
    out = _outlined(masks, generator)
    out = torch.where(_exists(out), out, masks)
    damaged = _damaged(out, masks, generator, others)
    return torch.where(_exists(damaged), damaged, out) & _exists(masks)


def coarsen_masks(masks: Tensor, host: torch.Generator) -> Tensor:
    """Make prior masks as a view at a coarser scale gives them.

    Parameters
    ----------
    masks : Tensor
        ``(N, S, S)`` bool.
    host : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor
        ``(N, S, S)`` float32, 0 to 1: averaged over blocks of 2, 4 or 8 pixels, the same for the
        whole batch, and interpolated back.
    """
    size = masks.shape[-1]
    block = 2 ** int(torch.randint(1, 4, (1,), generator=host))
    moves = torch.randint(0, block, (2,), generator=host).tolist()
    # Blocks begin anywhere, as the grid of the coarser view does.
    padded = F.pad(masks.float()[:, None], (moves[1], block, moves[0], block), mode="replicate")
    small = F.avg_pool2d(padded, block)
    wide = F.interpolate(small, scale_factor=block, mode="bilinear", align_corners=False)
    return wide[:, 0, moves[0] : moves[0] + size, moves[1] : moves[1] + size]


def _exists(masks: Tensor) -> Tensor:
    return masks.flatten(1).any(1)[:, None, None]


def _outlined(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the outlines anew: ``(N, S, S)`` bool."""
    count, size, device = len(masks), masks.shape[-1], masks.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    style = draw_index(uniform(count), tuple(OUTLINES.values()))[:, None, None]
    half = masks[:, ::2, ::2]
    inner = depth_map(half, framed=False)
    outer = depth_map(~half, framed=False)
    # Distance to the outline in pixels, positive inside.
    field = (torch.where(half, inner - 0.5, 0.5 - outer) * 2)[:, None]
    wide = F.interpolate(field, size=(size, size), mode="bilinear", align_corners=False)[:, 0]
    # Small objects are outlined with smaller errors.
    share = (masks.flatten(1).sum(1).sqrt() / 14).clamp(max=1)[:, None, None]
    move = (_REACH[0] + (_REACH[1] - _REACH[0]) * uniform(count, 1, 1)) * share
    # Erosion leaves a core.
    move = torch.maximum(move, -inner.flatten(1).amax(1)[:, None, None])
    waves = F.interpolate(uniform(count, 1, 8, 8) * 2 - 1, size=(size, size), mode="bilinear")[:, 0]
    height = 6 * share * (uniform(count, 1, 1) - 0.4).clamp(min=0)
    uneven = wide + move + waves * height > 0
    edge = torch.where(uniform(count, 1, 1) < 0.5, _blocks(masks, 4), _blocks(masks, 8)) > 0.5
    low = F.avg_pool2d(field, 5, 2, 2, count_include_pad=False)
    smooth = F.interpolate(low, size=(size, size), mode="bilinear", align_corners=False)[:, 0] > 0
    out = torch.where(style == 1, uneven, masks)
    return torch.where(style == 2, edge, torch.where(style == 3, smooth, out))


def _blocks(masks: Tensor, block: int) -> Tensor:
    size = masks.shape[-1]
    share = F.avg_pool2d(masks.float()[:, None], block, ceil_mode=True)
    return F.interpolate(share, scale_factor=block, mode="nearest")[:, 0, :size, :size]


def _damaged(
    out: Tensor, masks: Tensor, generator: torch.Generator, others: Tensor | None
) -> Tensor:
    """Shift masks, take a piece from them or add one: ``(N, S, S)`` bool."""
    count, size, device = len(masks), masks.shape[-1], masks.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    damage = draw_index(uniform(count), tuple(DAMAGES.values()))[:, None, None]
    axis = torch.arange(size, device=device)
    rows, cols = axis[None, :, None], axis[None, None, :]
    area = out.flatten(1).sum(1).float()
    radius = (area / math.pi).sqrt()
    weight = area.clamp(min=1)[:, None]
    centre = torch.cat([(out.sum(3 - dim) * axis).sum(1, True) / weight for dim in (1, 2)], dim=1)
    half = depth_map(out[:, ::2, ::2])
    # Lumps and bites sit near the border, cuts and holes anywhere.
    shallow = torch.where(damage[:, 0, 0] == 4, 1.0, float(size))
    pixel = choose_pixels(half, torch.zeros_like(area), generator, shallow) * 2
    row, col = rows - pixel[:, 0, None, None], cols - pixel[:, 1, None, None]
    outward = (pixel - centre)[..., None, None]
    beyond = row * outward[:, 0] + col * outward[:, 1] > 0
    reach = (radius * (0.2 + 0.35 * uniform(count))).clamp(min=2)[:, None, None]
    disk = row * row + col * col <= reach * reach
    result = torch.where(damage == 1, _shifted(out, generator), out)
    result = torch.where(damage == 2, out & ~beyond, result)
    result = torch.where(damage == 3, out & ~disk, result)
    result = torch.where(damage == 4, out | disk, result)
    if others is not None:
        part = choose_neighbours(masks, others, generator).part
        # As much of the neighbour as lies within some pixels of the object.
        near = depth_map(~masks[:, ::2, ::2], framed=False) <= 2 + 11 * uniform(count, 1, 1)
        near = near.repeat_interleave(2, 1).repeat_interleave(2, 2)
        result = torch.where(damage == 5, out | (part & near), result)
    return result


def _shifted(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Move each mask by up to a few pixels, a small one by less."""
    count, size, device = len(masks), masks.shape[-1], masks.device
    area = masks.flatten(1).sum(1).float()
    most = (area.sqrt() / 3).clamp(1, _SHIFT)[:, None]
    draw = torch.rand(count, 2, generator=generator, device=device) * 2 - 1
    moves = (draw * most).round().long()
    axis = torch.arange(size, device=device)
    out = masks
    for dim in (1, 2):
        source = axis - moves[:, dim - 1, None]
        on_view = (source >= 0) & (source < size)
        shape = (count, size, 1) if dim == 1 else (count, 1, size)
        index = source.clamp(0, size - 1).view(shape).expand_as(out)
        out = out.gather(dim, index) & on_view.view(shape)
    return out
