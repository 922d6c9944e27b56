"""Tokens of one view's prompts, for inference: clicks from a table, all else as in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.inference_parts import Perceptron
from napari_pvpu.networks.prompt_encoding import CLICK, LABELS, PromptBatch

if TYPE_CHECKING:
    from napari_pvpu.networks.prompt_encoding import PPuE


class PromptTokens:
    """`PPuE` for one view on a CPU, of the size that it was trained for.

    Most prompts are clicks, and a click lies on a bin: its Gaussian and its peak are functions of
    a whole number of bins, which are looked up. The two lines of pixels through each of them are
    read, blurred and compared together. That takes 24 operations instead of 70, whose price is
    that they are called at all.

    Parameters
    ----------
    encoder : PPuE
        The trained module.
    """

    def __init__(self, encoder: PPuE) -> None:
        config = encoder.config
        self._encoder, self._size, self._tau = encoder, config.size, config.tau
        self._mlp = Perceptron(encoder.mlp)
        bins = torch.arange(math.floor(3 * config.sigma) + 2.0)
        gauss = torch.exp(-0.5 * (bins / config.sigma) ** 2) * (bins <= 3 * config.sigma)
        # What stands alone, and what the visual similarity is multiplied with; (bins, 2).
        alone = (1 - config.gamma) * gauss + config.peak * (bins == 0)
        self._shape = torch.stack([alone, config.gamma * gauss], 1)
        steps = torch.arange(config.size)
        self._steps = steps.int()
        edge = torch.cat([steps[:1], steps, steps[-1:]])  # for a blur that repeats the last pixel
        # Index into the flat view of a pixel along the row, and along the column.
        self._along = torch.stack([edge, edge * config.size])[:, None]  # (2, 1, S + 2)
        self._across = torch.tensor([config.size, 1])[:, None, None]
        self._around = torch.arange(-1, 2)

    def __call__(self, prompts: PromptBatch, image: Tensor) -> Tensor:
        """Encode K prompts of a view.

        Parameters
        ----------
        prompts : PromptBatch
            (1, K, ...), no slot empty.
        image : Tensor
            (1, C, S, S).

        Returns
        -------
        Tensor
            (1, K, dim).
        """
        kinds = prompts.kind[0].tolist()
        clicks = [slot for slot, kind in enumerate(kinds) if kind == CLICK]
        if len(clicks) == len(kinds):
            return self._mlp(self._clicks(prompts, image[0]))
        if not clicks:
            return self._mlp(self._encoder.vectors(prompts, image))
        others = [slot for slot, kind in enumerate(kinds) if kind != CLICK]
        vectors = image.new_empty(1, len(kinds), 2 * self._size + LABELS)
        for slots in (clicks, others):
            chosen = PromptBatch(*(each[:, slots] for each in prompts))
            told = slots is clicks
            vectors[:, slots] = (
                self._clicks(chosen, image[0]) if told else self._encoder.vectors(chosen, image)
            )
        return self._mlp(vectors)

    def _clicks(self, prompts: PromptBatch, image: Tensor) -> Tensor:
        """Vector pairs and labels of K clicks on a view (C, S, S): (1, K, 2 S + 3)."""
        clicked = torch.floor(prompts.points[0, :, 0].flip(-1) + 0.5).long()  # (K, 2), x and y
        offset = (self._steps - clicked[..., None]).abs_().clamp_(max=len(self._shape) - 1)
        alone, scale = F.embedding(offset, self._shape).unbind(-1)
        pair = torch.addcmul(alone, scale, self._similarity(image, clicked))
        pair = pair * prompts.valid[0, :, :1, None]
        positive = prompts.positive[0, :, None]
        label = torch.cat([positive, ~positive, torch.zeros_like(positive)], 1)
        return torch.cat([pair.flatten(1), label.to(pair.dtype)], 1)[None]

    def _similarity(self, image: Tensor, clicked: Tensor) -> Tensor:
        """Visual similarity to the clicked patch along its row and its column, (K, 2, S)."""
        near = (clicked.flip(-1)[..., None] + self._around).clamp_(0, self._size - 1)  # y, then x
        pixels = torch.addcmul(self._along, near[..., None], self._across)  # (K, 2, 3, S + 2)
        lines = image.flatten(1).index_select(1, pixels.flatten()).view(-1, *pixels.shape)
        lines = F.avg_pool1d(lines.mean(3).nan_to_num_().flatten(1, 2), 3, 1)
        lines = lines.view(len(image), *clicked.shape, self._size)
        at = clicked.clamp(0, self._size - 1)[None, ..., None].expand(len(image), -1, -1, -1)
        distance = (lines - lines.gather(-1, at)).square_().mean(0)
        return distance.mul_(-1 / (2 * self._tau**2)).exp_()
