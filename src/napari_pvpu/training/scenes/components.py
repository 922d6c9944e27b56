"""Connected components, small objects and object tables of label maps, in batches."""

from __future__ import annotations

import torch
from torch import Tensor

# Enough for a spiral that fills a scene of 256 pixels, the worst there is; noise needs seven.
_ROUNDS = 8


def components(labels: Tensor, rounds: int = _ROUNDS) -> Tensor:
    """Find connected pieces of equal labels.

    Each pixel points at another of its piece with a smaller number; in a round every pixel hooks
    the one it points at, and itself, to the smallest that its neighbours point at, and pointers
    are followed once (FastSV: Zhang, Azad, Hu 2020). Rows start as one. The number of rounds is
    fixed, so that the host need not wait; what is not joined by then stays in pieces.

    Parameters
    ----------
    labels : Tensor
        ``(B, H, W)`` integers, 0 for background.
    rounds : int
        Rounds of hooking.

    Returns
    -------
    Tensor
        ``(B, H, W)`` int64: number of the first pixel of the piece among all pixels of the
        batch; a background pixel's own.
    """
    number = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    joined = labels > 0
    right = (labels[..., 1:] == labels[..., :-1]) & joined[..., 1:]
    down = (labels[..., 1:, :] == labels[..., :-1, :]) & joined[..., 1:, :]
    # A pixel's neighbours in its piece; the pixel itself where there is none.
    neighbours = [number.clone() for _ in range(4)]
    neighbours[0][..., 1:] -= right.long()
    neighbours[1][..., :-1] += right.long()
    neighbours[2][..., 1:, :] -= down.long() * labels.shape[-1]
    neighbours[3][..., :-1, :] += down.long() * labels.shape[-1]
    around = [n.flatten() for n in neighbours]
    starts = number.clone()
    starts[..., 1:].masked_fill_(right, 0)
    pointer = starts.cummax(-1).values.maximum(number[..., :1]).flatten()
    for _ in range(rounds):
        up = pointer.gather(0, pointer)
        least = up
        for place in around:
            least = torch.minimum(least, up.gather(0, place))
        hooked = pointer.scatter_reduce(0, pointer, least, "amin")
        pointer = torch.minimum(hooked, least)
        pointer = pointer.gather(0, pointer)
    return pointer.gather(0, pointer).view(labels.shape)


def tidy(labels: Tensor, least: int) -> Tensor:
    """Number connected pieces from 1 in each scene and drop the small ones.

    Parameters
    ----------
    labels : Tensor
        ``(B, H, W)`` integers, 0 for background.
    least : int
        Smallest area to keep, in pixels.

    Returns
    -------
    Tensor
        ``(B, H, W)`` int16; in order of each piece's first pixel.
    """
    roots = components(labels).flatten()
    shown = (labels > 0).flatten()
    area = torch.zeros_like(roots).scatter_add_(0, roots, shown.long())
    keep = (area >= least).view(labels.shape).flatten(1)
    rank = keep.long().cumsum(1) * keep
    return (rank.flatten().gather(0, roots) * shown).view(labels.shape).to(torch.int16)


def object_boxes(labels: Tensor, most: int, least: int) -> tuple[Tensor, Tensor]:
    """Measure centre and extent of objects.

    Parameters
    ----------
    labels : Tensor
        ``(B, H, W)`` integers, 0 for background.
    most : int
        Largest label ``K`` that is measured.
    least : int
        Smallest area of an object, in pixels.

    Returns
    -------
    boxes : Tensor
        ``(B, K, 3)`` float32: row and column of the box's centre and its longer side, of
        objects 1 to ``K``; zeros where there is none.
    there : Tensor
        ``(B, K)`` bool, whether the object has the area.
    """
    count, height, width = labels.shape
    flat = labels.flatten(1).long().clamp(max=most + 1)
    size = (count, most + 2)
    area = torch.zeros(size, dtype=torch.long, device=labels.device)
    area.scatter_add_(1, flat, torch.ones_like(flat))
    ends = []
    for axis, side in ((0, height), (1, width)):
        place = torch.arange(side, device=labels.device)
        place = place.view(1, -1, 1) if axis == 0 else place.view(1, 1, -1)
        place = place.expand(count, height, width).flatten(1)
        low = torch.full(size, side, device=labels.device)
        high = torch.full(size, -1, device=labels.device)
        low.scatter_reduce_(1, flat, place, "amin")
        high.scatter_reduce_(1, flat, place, "amax")
        ends.append((low[:, 1:-1], high[:, 1:-1]))
    (r0, r1), (c0, c1) = ends
    extent = torch.maximum(r1 - r0, c1 - c0) + 1
    boxes = torch.stack([(r0 + r1) / 2, (c0 + c1) / 2, extent.float()], dim=-1)
    there = area[:, 1:-1] >= least
    return boxes.float() * there[..., None], there
