"""Outlines as other annotators would have drawn them.

Where an object ends is a matter of taste by a pixel or two: some draw around it, some along its
edge, some inside. A set of images has one taste, and a network that saw few sets learns theirs. An
object whose outline is moved in training teaches it to read the taste from the corrections instead:
a click just outside the mask then moves the outline all around.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["restyle_outlines"]

_WIDE = 0.35  # share of moved outlines that move by two pixels
_LEAST_LEFT = 0.5  # of an object's area when its outline moves inward


def restyle_outlines(
    truth: Tensor, others: Tensor, chance: float, generator: torch.Generator
) -> Tensor:
    """Move the outlines of some objects outward or inward by one or two pixels.

    Parameters
    ----------
    truth : Tensor
        ``(N, S, S)`` bool, objects.
    others : Tensor
        ``(N, S, S)`` bool, pixels of other objects, which are never taken.
    chance : float
        Of an object to be moved, 0 to 1.
    generator : torch.Generator
        On the device of `truth`.

    Returns
    -------
    Tensor
        ``(N, S, S)`` bool. An object that would lose more than half of its pixels stays as it is,
        so nothing vanishes. The border of the view is not an outline.

    Examples
    --------
    >>> disk = torch.zeros(1, 7, 7, dtype=torch.bool)
    >>> disk[0, 3, 3] = True
    >>> free = torch.zeros_like(disk)
    >>> counts = set()
    >>> for seed in range(20):
    ...     moved = restyle_outlines(disk, free, 1.0, torch.Generator().manual_seed(seed))
    ...     counts.add(int(moved.sum()))
    >>> sorted(counts)
    [1, 5, 21]
    """
    device, count = truth.device, len(truth)
    drawn = torch.rand(3, count, 1, 1, generator=generator, device=device)
    moved, outward, wide = drawn[0] < chance, drawn[1] < 0.5, drawn[2] < _WIDE
    # Growing the background is shrinking the object.
    grown = torch.where(outward, truth, ~truth)
    one = _grow_by_cross(grown)
    grown = torch.where(wide, _grow_by_square(one), one)
    shape = torch.where(outward, (grown & ~others) | truth, ~grown)
    enough = shape.flatten(1).sum(1) >= _LEAST_LEFT * truth.flatten(1).sum(1)
    return torch.where(moved & enough[:, None, None], shape, truth)


def _grow_by_cross(mask: Tensor) -> Tensor:
    value = mask.float()[:, None]
    tall = F.max_pool2d(value, (3, 1), 1, (1, 0))
    return torch.maximum(tall, F.max_pool2d(value, (1, 3), 1, (0, 1)))[:, 0] > 0


def _grow_by_square(mask: Tensor) -> Tensor:
    return F.max_pool2d(mask.float()[:, None], 3, 1, 1)[:, 0] > 0
