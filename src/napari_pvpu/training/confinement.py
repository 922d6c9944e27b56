"""Corrections of a batch as a session takes them: in their own direction and neighbourhood only.

A session shows, and feeds back, what `napari_pvpu.corrections` leaves of a new answer. A network
that is trained on its raw answers learns to keep what no correction will touch, and sees masks
before it that no session gives it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_pvpu.corrections import FADE, SURE
from napari_pvpu.masks import MaskRules
from napari_pvpu.networks.prompt_encoding import CLICK, SCRIBBLE, PromptBatch

__all__ = ["confine_answers"]

_SAMPLES = 8
"""Points that stand for a stroke; between them the distance is a few pixels too large."""


def confine_answers(
    now: Tensor,
    before: Tensor,
    marks: PromptBatch,
    count: Tensor,
    rules: MaskRules | None = None,
) -> Tensor:
    """Return what a session would show after one more prompt for each object.

    Parameters
    ----------
    now, before : Tensor
        ``(N, 1, S, S)``, new logits and those that were shown before.
    marks : PromptBatch
        The new prompts, one slot each. Boxes and empty slots are free to change everything.
    count : Tensor
        ``(N,)`` int64, prompts of each object, the new one included.
    rules : MaskRules, optional
        Numbers to go by; the session's own by default.

    Returns
    -------
    Tensor
        ``(N, 1, S, S)``; gradients reach `now` alone.

    Notes
    -----
    As `napari_pvpu.corrections.hold` and `confine` at a threshold of 0.5, batched and on the device
    of the logits, but that corrections may go as deep as they reach: there is no
    `MaskRules.layer`, for that would need the distance of every pixel from the border.
    """
    rules = MaskRules() if rules is None else rules
    positive = marks.positive[:, 0, None, None]
    old, new = before[:, 0].detach(), now[:, 0]
    inside = old > 0
    held = torch.where(positive, inside & (new <= 0), ~inside & (new > 0))
    new = torch.where(held, old, new) if rules.hold else new
    away, depth = _distances(inside == positive, _samples(marks))
    factor = torch.where(
        marks.positive[:, 0], _factor(rules.reach, count), _factor(rules.negative_reach, count)
    )
    reach = (factor * depth + rules.reach_margin)[:, None, None]
    weight = ((reach - away) / (FADE * reach).clamp(min=1)).clamp(0, 1)
    # A mark that lies on the right side already tells nothing about the size of an error.
    mixed = new.clamp(-SURE, SURE) * weight + old.clamp(-SURE, SURE) * (1 - weight)
    shown = torch.where((depth > 0)[:, None, None], mixed, new)
    kind = marks.kind[:, 0]
    bound = ((kind == CLICK) | (kind == SCRIBBLE))[:, None, None]
    return torch.where(bound, shown, now[:, 0])[:, None]


def _factor(factors: tuple[float, ...], count: Tensor) -> Tensor:
    """Return the factor for so many prompts; numbers from the host would have to be waited for."""
    steps = (count - 2).clamp(0, len(factors) - 1)
    return torch.stack([(steps == i) * value for i, value in enumerate(factors)]).sum(0)


def _samples(marks: PromptBatch) -> Tensor:
    """Return `_SAMPLES` pixels along each mark, ``(N, Q, 2)``; those of a click are all one."""
    share = torch.linspace(0, 1, _SAMPLES, device=marks.points.device)
    # Valid points need not come first.
    order = (~marks.valid[:, 0]).to(torch.uint8).sort(dim=1, stable=True).indices
    last = (marks.valid[:, 0].sum(1, keepdim=True) - 1).clamp(min=0)
    at = order.gather(1, (share * last).round().long())
    points = marks.points[:, 0]
    return points.gather(1, at[..., None].expand(-1, -1, 2)).round()


def _distances(goal: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Measure how far pixels are from points, and points from pixels that are right already.

    Parameters
    ----------
    goal : Tensor
        ``(N, S, S)`` bool, pixels on the side of the marks.
    points : Tensor
        ``(N, Q, 2)``, rows and columns.

    Returns
    -------
    away : Tensor
        ``(N, S, S)``, of each pixel to the nearest point.
    depth : Tensor
        ``(N,)``, of the point farthest from `goal`; the view's diagonal where that is empty.
    """
    axis = torch.arange(goal.shape[-1], device=goal.device, dtype=points.dtype)
    farthest = 2.0 * goal.shape[-1] ** 2
    away = points.new_full(goal.shape, farthest)
    depth = points.new_zeros(len(goal))
    for point in points.unbind(1):
        rows, cols = ((axis - point[:, i, None]).square() for i in (0, 1))
        square = rows[:, :, None] + cols[:, None, :]
        away = torch.minimum(away, square)
        nearest = torch.where(goal, square, farthest).flatten(1).amin(1)
        depth = torch.maximum(depth, nearest)
    return away.sqrt(), depth.sqrt()
