"""Parts of a view: the region that is worth refining, and what lies under a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_pvpu.networks.prompt_batch import BOX, CLICK, SCRIBBLE

if TYPE_CHECKING:
    from napari_pvpu.networks.prompt_batch import PromptBatch


class Region(NamedTuple):
    """Part of a map, in rows and columns; the stops are not part of it.

    Attributes
    ----------
    top, left, bottom, right : int
        In pixels of a view, or in cells of a map.
    """

    top: int
    left: int
    bottom: int
    right: int

    def at(self, stride: int) -> Region:
        """Return the same part in cells of a map with this stride, which has to divide it."""
        return Region(*(edge // stride for edge in self))


def region_of_interest(
    mask: Tensor, expand: float = 1.4, min_size: int = 32, stride: int = 32
) -> Region:
    """Part of a view around a mask.

    The mask's bounding box grows about its centre by `expand`, reaches at least ``min_size / 2``
    from the centre each way, is clipped to the view and then widened to multiples of `stride`.

    Parameters
    ----------
    mask : Tensor
        ``(H, W)`` bool, sides multiples of `stride`. An empty mask gives the whole view.
    expand : float
        Side of the region over that of the mask's box, 1 or more.
    min_size : int
        Least side in pixels.
    stride : int
        Coarsest stride of the maps that are to be cropped.

    Returns
    -------
    Region
        In pixels.

    Notes
    -----
    Source: InterFormer, zoom-in. 1.4 and 32 are the published program's; the values behind the
    paper's table are unknown.
    """
    spans = []
    for dim in (1, 0):
        length = mask.shape[1 - dim]
        seen = mask.any(dim).nonzero()
        if not len(seen):
            return Region(0, 0, *mask.shape)
        start, stop = int(seen[0]), int(seen[-1]) + 1
        centre, reach = (start + stop) / 2, expand * (stop - start) / 2
        # Python rounds halves to even, as torch does.
        low = min(round(centre - reach), round(centre - min_size / 2))
        high = max(round(centre + reach), round(centre + min_size / 2))
        low, high = max(low, 0), min(high, length)
        spans.append((low // stride * stride, -(-high // stride) * stride))
    (top, bottom), (left, right) = spans
    return Region(top, left, bottom, right)


def pool_at_prompts(pixels: Tensor, prompts: PromptBatch, stride: int) -> Tensor:
    """Mean of the pixel features under each prompt.

    A click has the cell it lies in, a scribble the cells of its points, each as often as points
    lie in it, a box all cells that it touches.

    Parameters
    ----------
    pixels : Tensor
        ``(B, D, h, w)``.
    prompts : PromptBatch
        K prompts for each of B views, in pixels of the view.
    stride : int
        Pixels of the view a cell.

    Returns
    -------
    Tensor
        ``(B, K, D)``; zero for empty slots and for prompts that lie outside the view.
    """
    height, width = pixels.shape[-2:]
    weights = _stroke_weights(prompts, height, width, stride)
    if prompts.points.shape[2] > 1:
        weights = weights + _box_weights(prompts, height, width, stride)
    total = weights.sum(2, keepdim=True).clamp_min(1)
    return (weights / total).to(pixels.dtype) @ pixels.flatten(2).mT


def _stroke_weights(prompts: PromptBatch, height: int, width: int, stride: int) -> Tensor:
    """Points of clicks and scribbles in each cell, ``(B, K, height * width)`` float32."""
    points = torch.where(prompts.valid[..., None], prompts.points, 0.0)
    row, column = (points + 0.5).floor().div(stride).floor().long().unbind(-1)
    counts = (prompts.kind == SCRIBBLE)[..., None] & prompts.valid
    counts[..., 0] |= (prompts.kind == CLICK) & prompts.valid[..., 0]
    counts &= (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = torch.where(counts, row * width + column, 0)
    weights = torch.zeros(*prompts.kind.shape, height * width, device=place.device)
    return weights.scatter_add_(2, place, counts.float())


def _box_weights(prompts: PromptBatch, height: int, width: int, stride: int) -> Tensor:
    """One for each cell that a box touches, ``(B, K, height * width)`` float32."""
    boxes = (prompts.kind == BOX) & prompts.valid[..., :2].all(-1)
    corners = (prompts.points[:, :, :2] + 0.5).floor().div(stride).floor()
    start, stop = corners.amin(2), corners.amax(2)
    within = []
    for axis, length in enumerate((height, width)):
        cells = torch.arange(length, device=corners.device)
        inside = (cells >= start[..., axis, None]) & (cells <= stop[..., axis, None])
        within.append((inside & boxes[..., None]).float())
    return (within[0][..., None] * within[1][..., None, :]).flatten(2)
