"""The reference map of one view and its embeddings, for inference: look-ups, not whole maps."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.prompt_batch import BOX, CLICK, SCRIBBLE
from napari_pvpu.networks.reference_map import (
    DEFINITE_BACKGROUND,
    DEFINITE_FOREGROUND,
    POSSIBLE_BACKGROUND,
    UNKNOWN,
    ReferenceMap,
    _strokes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.networks.prompt_batch import PromptBatch
    from napari_pvpu.networks.reference_map import ReferenceMapEmbedding


def reference_readings(
    prompts: PromptBatch, size: int, radius: float, readings: Sequence[Tensor | None]
) -> Tensor:
    """Reference maps of one view's prompts with several predictions before them.

    The same states as `reference_states`, with what does not depend on the prediction done once
    and strokes painted pixel by pixel; the few pixels of clicks are counted by Python.

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
    kinds = prompts.kind[0].tolist()
    if BOX in kinds:
        blank = ReferenceMap.blank(1, size, prompts.kind.device).with_boxes(prompts)
        maps = [blank if each is None else blank.with_prediction(each) for each in readings]
        states = torch.cat([each.states for each in maps])
    else:
        states = prompts.kind.new_empty((len(readings), size, size), dtype=torch.int8)
        for out, each in zip(states, readings, strict=True):
            if each is None:
                out.fill_(UNKNOWN)
            else:  # one state down or up from unknown, without a copy of the comparison
                side = (each[0, 0] >= 0.5).view(torch.int8)
                torch.add(POSSIBLE_BACKGROUND, side, alpha=2, out=out)
    if all(kind == BOX for kind in kinds):
        return states
    flat = states.view(len(states), -1)
    if SCRIBBLE in kinds:
        pixels, claims = _marked(prompts, size, radius)
        flat[:, pixels] = (DEFINITE_FOREGROUND * (claims & 1)).to(states.dtype)
        return states
    clicked = _clicked(prompts, kinds, size, radius)
    for wanted, value in ((True, DEFINITE_FOREGROUND), (False, DEFINITE_BACKGROUND)):
        chosen = [pixel for pixel, positive in clicked.items() if positive == wanted]
        if chosen:
            flat.index_fill_(1, torch.tensor(chosen), value)
    return states


def _clicked(
    prompts: PromptBatch, kinds: Sequence[int], size: int, radius: float
) -> dict[int, bool]:
    """Pixels of one view, in its flat form, under clicks, and whether the last is positive."""
    claims: dict[int, bool] = {}
    disk, margin = _offsets(radius), math.floor(radius)
    valid, positive = prompts.valid[0, :, 0].tolist(), prompts.positive[0].tolist()
    nearest = torch.floor(prompts.points[0, :, 0] + 0.5).tolist()  # halves up, as everywhere
    for k, (row, column) in enumerate(nearest):
        if kinds[k] != CLICK or not valid[k]:
            continue
        within = margin <= row < size - margin and margin <= column < size - margin
        for down, right in disk:
            y, x = row + down, column + right
            if within or (0 <= y < size and 0 <= x < size):
                claims[int(y * size + x)] = positive[k]
    return claims


def _marked(prompts: PromptBatch, size: int, radius: float) -> tuple[Tensor, Tensor]:
    """Pixels of one view under clicks and scribbles, with repeats, and who claims them.

    Returns
    -------
    tuple of Tensor
        (n,) int64 index into the flat view, (n,) int16 ``2 (k + 1) + positive`` of the last
        slot k that the pixel lies under.
    """
    _, slot, position = _strokes(prompts)
    disk = _disk(radius)
    nearest = torch.floor(position + 0.5)  # halves up, as everywhere
    pixel = (nearest[:, None] + disk).flatten(0, 1)
    claim = (2 * (slot + 1) + prompts.positive[0, slot]).short()
    claim = claim.repeat_interleave(len(disk))
    inside = ((pixel >= 0) & (pixel < size)).all(1)
    if not bool(inside.all()):
        pixel, claim = pixel[inside], claim[inside]
    index = torch.add(pixel[:, 1], pixel[:, 0], alpha=size).long()
    claims = torch.zeros(size * size, dtype=torch.int16, device=index.device)
    claims.scatter_reduce_(0, index, claim, reduce="amax")
    return index, claims[index]


@lru_cache(maxsize=8)
def _disk(radius: float) -> Tensor:
    """Offsets (n, 2) of the pixels within a radius, float32."""
    with torch.inference_mode(False):
        steps = torch.arange(-math.floor(radius), math.floor(radius) + 1.0)
        disk = torch.cartesian_prod(steps, steps)
        return disk[(disk**2).sum(1) <= radius**2]


@lru_cache(maxsize=8)
def _offsets(radius: float) -> list[tuple[int, int]]:
    """Do as `_disk`, in numbers of Python."""
    return [(int(row), int(column)) for row, column in _disk(radius).tolist()]


class ReferenceTable:
    """Both embeddings of the reference map, as sums of table entries.

    A cell of 2 x 2 pixels with 5 states each has 625 appearances; what the one-hot planes of
    each contribute to a feature is computed once. A cell of 4 x 4 is four of those.

    Parameters
    ----------
    stride2, stride4 : ReferenceMapEmbedding
        The trained modules.
    size : int
        S, the side of the view.
    """

    def __init__(
        self, stride2: ReferenceMapEmbedding, stride4: ReferenceMapEmbedding, size: int
    ) -> None:
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
        self._starts = torch.arange(4, dtype=torch.int32) * len(cells)
        half = size // 2
        blocks = _blocks(half, 2)  # cells in the order of blocks of 2 x 2, for two readings
        self._blocks = torch.cat([blocks, blocks + half**2])
        self._bags = torch.arange(0, 2 * half**2, 4, dtype=torch.int32)
        # Pixels in the order of cells, and what a cell's probabilities are multiplied with.
        self._soft = [
            (_blocks(size, side), layer.weight[:, states].flatten(1).t().contiguous())
            for side, layer in ((2, two), (4, four))
        ]

    def __call__(self, states: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor]:
        """Embed reference maps (R, S, S) and, in the first, the probability (1, 1, S, S).

        Returns
        -------
        tuple of Tensor
            (R, S / 2, S / 2, C_2) and (R, S / 4, S / 4, C_4).
        """
        readings, half = len(states), states.shape[1] // 2
        code = self._code(states)
        two = torch.embedding(self._table2, code)
        blocks = code.view(-1).index_select(0, self._blocks[: code.numel()]).view(-1, 4)
        entries, bags = blocks.add_(self._starts).view(-1), self._bags[: len(blocks)]
        four = torch.embedding_bag(self._table4, entries, bags, mode=0)[0]  # sums
        four = four.view(readings, half // 2, half // 2, -1)
        if previous is not None:
            pixels = previous.reshape(-1)
            for out, (order, weight) in zip((two, four), self._soft, strict=True):
                cells = pixels.index_select(0, order).view(-1, len(weight))
                out[0].view(len(cells), -1).addmm_(cells, weight)
        return two, four

    def _code(self, states: Tensor) -> Tensor:
        """Number of each cell's appearance, (R, S / 2, S / 2) int32.

        Two neighbours a and b, read as one number ``a + 256 b`` of 16 bits, are multiplied by
        ``256 n + 1``: the upper byte becomes ``n a + b``, and what is above it is cut off. A
        machine that has its bytes the other way round fails the trial, see `fast_decode`.
        """
        pairs = states.view(torch.int16).mul(256 * self._states + 1).bitwise_right_shift_(8)
        return torch.add(pairs[:, 1::2], pairs[:, ::2], alpha=self._states**2).int()


def _blocks(size: int, side: int) -> Tensor:
    """Order in which the pixels of a flat (size, size) map are those of one block after another.

    Returns
    -------
    Tensor
        (size^2,) int64; blocks of `side` x `side` row by row, and so the pixels of each.
    """
    pixels = torch.arange(size**2).view(size // side, side, size // side, side)
    return pixels.transpose(1, 2).flatten()
