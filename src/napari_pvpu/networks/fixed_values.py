"""Which tokens of a view have a value that the annotator has fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.reference_map import (
    DEFINITE_BACKGROUND,
    DEFINITE_FOREGROUND,
    ReferenceMap,
)

if TYPE_CHECKING:
    from napari_pvpu.networks.prompt_batch import PromptBatch


def fixed_tokens(
    prompts: PromptBatch,
    size: int,
    shape: tuple[int, int] | torch.Size,
    radius: float,
    fixed_mask: Tensor | None = None,
) -> Tensor:
    """Tokens whose value is known: those under clicks and scribbles.

    Parameters
    ----------
    prompts : PromptBatch
        In view pixels.
    size : int
        S, the view's side.
    shape : tuple of int
        Tokens per column and row.
    radius : float
        Reach of a click or stroke in view pixels.
    fixed_mask : Tensor, optional
        (B, 1, S, S) bool, pixels known to be background.

    Returns
    -------
    Tensor
        (B, h, w) float32: 1 positive, -1 negative, 0 not fixed. A token that both polarities
        touch goes with the one that has more of its pixels; a tie leaves it free.
    """
    blank = ReferenceMap.blank(len(prompts.kind), size, prompts.kind.device)
    states = blank.with_strokes(prompts, radius).states[:, None]
    signs = (states == DEFINITE_FOREGROUND).float() - (states == DEFINITE_BACKGROUND).float()
    fixed = pool(signs, shape)[:, 0].sign()
    if fixed_mask is not None:
        covered = pool(fixed_mask.float(), shape)[:, 0] > 0.5
        fixed = torch.where(covered & (fixed == 0), -1.0, fixed)
    return fixed


def pool(image: Tensor, shape: tuple[int, int] | torch.Size) -> Tensor:
    """Mean over each token's pixels."""
    height, width = image.shape[-2:]
    if (height, width) == tuple(shape):
        return image
    return F.adaptive_avg_pool2d(image, (shape[0], shape[1]))
