"""Which objects of a view are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from napari_pvpu.training.datasets import Views

__all__ = ["other_objects", "pick_objects"]

_LEAST = 16  # pixels of the view in which an object has to be seen


def pick_objects(views: Views, count: int, generator: torch.Generator) -> Tensor:
    """Choose objects of each view: the one it was made for, and others seen in it.

    Parameters
    ----------
    views : Views
        ``B`` views.
    count : int
        Objects ``M`` a view.
    generator : torch.Generator
        On the views' device.

    Returns
    -------
    Tensor
        ``(B * M, S, S)`` bool. Where nothing else is seen the first object comes again; where
        it is not seen itself, another takes its place.
    """
    labels, target = views.labels, views.target[:, None]
    coarse = labels[:, ::4, ::4].flatten(1)
    weights = (coarse > 0).float()
    mine = coarse == target
    others = weights * torch.where(mine, 1e-4, 1.0) + 1e-9 * (1 - weights)
    chosen = coarse.gather(1, _draw(others, count, generator))
    seen = (labels == target[..., None]).flatten(1).sum(1) >= _LEAST
    chosen[:, 0] = torch.where(seen, target[:, 0], chosen[:, 0])
    chosen = torch.where(chosen > 0, chosen, chosen[:, :1])
    masks = (labels[:, None] == chosen[:, :, None, None]) & (chosen > 0)[:, :, None, None]
    return masks.flatten(0, 1)


def other_objects(views: Views, truth: Tensor) -> Tensor:
    """Return what else is labelled in each view.

    Parameters
    ----------
    views : Views
        ``B`` views.
    truth : Tensor
        ``(B * M, S, S)`` bool from `pick_objects`.

    Returns
    -------
    Tensor
        ``(B * M, S, S)`` bool, pixels of other objects than that of `truth`.
    """
    labelled = (views.labels > 0).repeat_interleave(len(truth) // len(views.labels), 0)
    return labelled & ~truth


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw columns of ``(B, N)`` weights with replacement: ``(B, count)`` int64.

    Unlike `torch.multinomial` it checks nothing, for which a GPU would have to be waited for.
    """
    total = weights.cumsum(1)
    wanted = torch.rand(len(weights), count, generator=generator, device=weights.device)
    drawn = torch.searchsorted(total, wanted * total[:, -1:], right=True)
    return drawn.clamp_(max=weights.shape[1] - 1)
