"""Prompts drawn as images, for networks that take them in beside the view (early fusion)."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.networks.reference_map import DEFINITE_FOREGROUND, ReferenceMap


def prompt_maps(
    prompts: PromptBatch, size: int, radius: float = 5.0, line_width: int = 3
) -> Tensor:
    """Draw prompts as two maps, one for each polarity.

    Clicks are disks, scribbles lines along their path, boxes outlines centred on their edges.
    What lies outside the view is cut off.

    Parameters
    ----------
    prompts : PromptBatch
        K prompts for each of B views, in pixels of the view.
    size : int
        S, the view's side in pixels.
    radius : float
        Pixels up to this distance from a click belong to its disk.
    line_width : int
        Width in pixels, odd, of scribbles and of box outlines.

    Returns
    -------
    Tensor
        ``(B, 2, S, S)`` float32, 0 or 1: positive map, negative map.

    Raises
    ------
    ValueError
        If `line_width` is not an odd positive number.

    Notes
    -----
    Source: PVPUFormer, released code: disks of radius 5, lines 3 pixels thick, there for positive
    scribbles only.
    """
    if line_width < 1 or line_width % 2 == 0:
        raise ValueError(f"line_width has to be odd and positive, not {line_width}")
    batch = len(prompts.kind)
    both = PromptBatch(*(torch.cat([x, x]) for x in prompts))
    side = torch.arange(2 * batch, device=prompts.kind.device) < batch
    kind = torch.where(both.positive == side[:, None], both.kind, EMPTY)
    reach = line_width // 2
    drawn = _outlines(both, kind, size, reach)
    for mark, width in ((CLICK, radius), (SCRIBBLE, line_width / 2)):
        chosen = torch.where(kind == mark, kind, EMPTY)
        if chosen.any():
            one_sided = both._replace(kind=chosen, positive=torch.ones_like(both.positive))
            blank = ReferenceMap.blank(2 * batch, size, kind.device)
            drawn |= blank.with_strokes(one_sided, width).states == DEFINITE_FOREGROUND
    return drawn.float().unflatten(0, (2, batch)).transpose(0, 1)


def _outlines(prompts: PromptBatch, kind: Tensor, size: int, reach: int) -> Tensor:
    """Union of the outlines of all boxes, ``(B, S, S)`` bool."""
    if prompts.points.shape[2] < 2:
        return kind.new_zeros((len(kind), size, size), dtype=torch.bool)
    boxes = (kind == BOX) & prompts.valid[..., :2].all(-1)
    corners = torch.floor(prompts.points[:, :, :2] + 0.5)
    start, stop = corners.amin(2)[..., None], corners.amax(2)[..., None]  # (B, K, 2, 1)
    steps = torch.arange(size, device=kind.device)
    outer = (steps >= start - reach) & (steps <= stop + reach) & boxes[..., None, None]
    inner = (steps > start + reach) & (steps < stop - reach)
    # One box at a time: there are few, and all at once would take K maps of memory.
    drawn = kind.new_zeros((len(kind), size, size), dtype=torch.bool)
    for k in torch.nonzero(boxes.any(0))[:, 0].tolist():
        filled = outer[:, k, 0, :, None] & outer[:, k, 1, None, :]
        drawn |= filled & ~(inner[:, k, 0, :, None] & inner[:, k, 1, None, :])
    return drawn
