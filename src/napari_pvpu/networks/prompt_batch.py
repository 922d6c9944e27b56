"""Prompts of several views as tensors, the form in which networks take them."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

__all__ = ["BOX", "CLICK", "EMPTY", "SCRIBBLE", "PromptBatch"]

EMPTY: Final = 0
CLICK: Final = 1
BOX: Final = 2
SCRIBBLE: Final = 3


class PromptBatch(NamedTuple):
    """Prompts of a batch of views, padded to K slots of P points each.

    Coordinates are (row, col) in view pixels, pixel centres at integers. They may lie outside
    the view. Points that `valid` does not mark are ignored whatever they hold.

    Attributes
    ----------
    points : Tensor
        (B, K, P, 2) float32. A click uses the first point, a box the first two (opposite
        corners), a scribble as many as are valid, in the order of the path, about a pixel apart.
    valid : Tensor
        (B, K, P) bool, which points exist.
    kind : Tensor
        (B, K) int64, one of `EMPTY`, `CLICK`, `BOX`, `SCRIBBLE`.
    positive : Tensor
        (B, K) bool, the polarity; of no meaning where a slot is empty.
    """

    points: Tensor
    valid: Tensor
    kind: Tensor
    positive: Tensor

    def to(self, device: torch.device | str) -> PromptBatch:
        """Return the same prompts on another device."""
        return PromptBatch(*(tensor.to(device) for tensor in self))

    @staticmethod
    def empty(
        batch: int, slots: int, points: int = 2, device: torch.device | str = "cpu"
    ) -> PromptBatch:
        """Return a batch of empty slots, to be filled in place."""
        return PromptBatch(
            points=torch.zeros(batch, slots, points, 2, device=device),
            valid=torch.zeros(batch, slots, points, dtype=torch.bool, device=device),
            kind=torch.zeros(batch, slots, dtype=torch.int64, device=device),
            positive=torch.zeros(batch, slots, dtype=torch.bool, device=device),
        )
