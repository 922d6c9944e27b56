"""The reference map of one view and its embeddings, for inference: look-ups, not whole maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.prompt_encoding import BOX
from napari_pvpu.networks.reference_map import DEFINITE_FOREGROUND, ReferenceMap, _strokes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.networks.prompt_encoding import PromptBatch
    from napari_pvpu.networks.reference_map import ReferenceMapEmbedding


def reference_readings(
    prompts: PromptBatch, size: int, radius: float, readings: Sequence[Tensor | None]
) -> Tensor:
    """Reference maps of one view's prompts with several predictions before them.

    The same states as `reference_states`, with what does not depend on the prediction done once
    and strokes painted pixel by pixel.

    Parameters
    ----------
    prompts : PromptBatch
        K prompts of one view.
    size, radius
        As for `reference_states`.
    readings : sequence of Tensor or None
        (1, 1, S, S) probabilities, None for no prediction.

    Returns
    -------
    Tensor
        (R, S, S) int8.
    """
    blank = ReferenceMap.blank(1, size, prompts.kind.device)
    if bool((prompts.kind == BOX).any()):
        blank = blank.with_boxes(prompts)
    states = torch.cat(
        [(blank if each is None else blank.with_prediction(each)).states for each in readings]
    )
    pixels, claims = _marked(prompts, size, radius)
    states.flatten(1)[:, pixels] = (DEFINITE_FOREGROUND * (claims & 1)).to(states.dtype)
    return states


def _marked(prompts: PromptBatch, size: int, radius: float) -> tuple[Tensor, Tensor]:
    """Pixels of one view under clicks and scribbles, with repeats, and who claims them.

    Returns
    -------
    tuple of Tensor
        (n,) int64 index into the flat view, (n,) int16 ``2 (k + 1) + positive`` of the last
        slot k that the pixel lies under.
    """
    batch, slot, position = _strokes(prompts)
    steps = torch.arange(-math.floor(radius), math.floor(radius) + 1, device=batch.device)
    disk = torch.cartesian_prod(steps, steps)
    disk = disk[(disk**2).sum(1) <= radius**2]
    nearest = torch.floor(position + 0.5)  # halves up, as everywhere
    pixel = (nearest[:, None] + disk).flatten(0, 1)
    claim = (2 * (slot + 1) + prompts.positive[batch, slot]).short()
    claim = claim.repeat_interleave(len(disk))
    inside = ((pixel >= 0) & (pixel < size)).all(1)
    pixel, claim = pixel[inside].long(), claim[inside]
    index = pixel[:, 0] * size + pixel[:, 1]
    claims = torch.zeros(size * size, dtype=torch.int16, device=batch.device)
    claims.scatter_reduce_(0, index, claim, reduce="amax")
    return index, claims[index]


class ReferenceTable:
    """Both embeddings of the reference map, as sums of table entries.

    A cell of 2 x 2 pixels with 5 states each has 625 appearances; what the one-hot planes of
    each contribute to a feature is computed once. A cell of 4 x 4 is four of those.

    Parameters
    ----------
    stride2, stride4 : ReferenceMapEmbedding
        The trained modules.
    """

    def __init__(self, stride2: ReferenceMapEmbedding, stride4: ReferenceMapEmbedding) -> None:
        self._states = states = len(stride2.values)
        digits = torch.arange(states).expand(4, -1)
        cells = torch.cartesian_prod(*digits)  # (625, 4): upper row, then lower row
        planes = F.one_hot(cells, states).to(stride2.projection.weight.dtype)
        two, four = stride2.projection, stride4.projection
        assert two.bias is not None
        assert four.bias is not None
        kernel = two.weight[:, :states].flatten(2)  # (C, states, 4)
        self._table2 = torch.einsum("npk,ckp->nc", planes, kernel) + two.bias
        # (C, states, block row, row, block column, column)
        kernel = four.weight[:, :states].unflatten(3, (2, 2)).unflatten(2, (2, 2))
        kernel = kernel.permute(2, 4, 0, 1, 3, 5).flatten(4).flatten(0, 1)  # (4, C, states, 4)
        table = torch.einsum("npk,bckp->bnc", planes, kernel)
        table[0] += four.bias
        self._table4 = table.flatten(0, 1)
        self._starts = torch.arange(4) * len(cells)
        self._soft2, self._soft4 = (
            layer.weight[:, states].flatten(1).t().contiguous() for layer in (two, four)
        )

    def __call__(self, states: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor]:
        """Embed reference maps (R, S, S) and, in the first, the probability (1, 1, S, S).

        Returns
        -------
        tuple of Tensor
            (R, S / 2, S / 2, C_2) and (R, S / 4, S / 4, C_4).
        """
        readings, half = len(states), states.shape[1] // 2
        quarter = half // 2
        quads = states.view(readings, half, 2, half, 2).int()
        n = self._states
        upper, lower = quads[:, :, 0], quads[:, :, 1]
        code = ((upper[..., 0] * n + upper[..., 1]) * n + lower[..., 0]) * n + lower[..., 1]
        two = F.embedding(code, self._table2)
        blocks = code.view(readings, quarter, 2, quarter, 2).transpose(2, 3).reshape(-1, 4)
        four = F.embedding_bag(blocks + self._starts, self._table4, mode="sum")
        four = four.view(readings, quarter, quarter, -1)
        if previous is not None:
            for out, weight, side in ((two, self._soft2, 2), (four, self._soft4, 4)):
                count = states.shape[1] // side
                cells = previous.view(count, side, count, side).transpose(1, 2)
                out[0].view(-1, out.shape[-1]).addmm_(cells.reshape(-1, side * side), weight)
        return two, four
