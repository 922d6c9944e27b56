"""Tokens of one view's prompts, for inference: clicks from a table, all else as in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.inference_parts import Perceptron
from napari_pvpu.networks.prompt_batch import CLICK, PromptBatch
from napari_pvpu.networks.prompt_encoding import LABELS

if TYPE_CHECKING:
    from napari_pvpu.networks.prompt_encoding import PPuE


class PromptTokens:
    """`PPuE` for one view on a CPU, of the size that it was trained for.

    Most prompts are clicks, and a click lies on a bin: its Gaussian, its peak and the pixels that
    it is compared with are functions of a whole number of bins, which are looked up. Bins are
    counted by Python, for a handful of numbers costs less there than one operation of torch, and
    what operations there are have their price for being called at all.

    Parameters
    ----------
    encoder : PPuE
        The trained module.
    """

    def __init__(self, encoder: PPuE) -> None:
        config = encoder.config
        self._encoder, self._size, self._tau = encoder, config.size, config.tau
        self._mlp = Perceptron(encoder.mlp)
        size, self._margin = config.size, math.floor(3 * config.sigma) + 1
        # Clicks up to a margin outside the view are seen in it; at the margin nothing is left.
        clicked = torch.arange(-self._margin, size + self._margin)[:, None]
        offset = (torch.arange(size) - clicked).abs()
        gauss = torch.exp(-0.5 * (offset / config.sigma) ** 2) * (offset <= 3 * config.sigma)
        # What stands alone, and what the visual similarity is multiplied with.
        self._alone = (1 - config.gamma) * gauss + config.peak * (offset == 0)
        self._scale = config.gamma * gauss
        self._labels = torch.eye(LABELS)
        self._pixels = _lines(size)

    def __call__(self, prompts: PromptBatch, image: Tensor) -> Tensor:
        """Encode K prompts of a view.

        Parameters
        ----------
        prompts : PromptBatch
            (1, K, ...), no slot empty.
        image : Tensor
            (1, C, S, S), finite.

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
        size, last = self._size, self._size - 1
        places: list[int] = []  # of each click, the column and then the row
        lines, centres, labels = [], [], []
        valid, positive = prompts.valid[0, :, 0].tolist(), prompts.positive[0].tolist()
        bins = torch.floor(prompts.points[0, :, 0] + 0.5).tolist()  # halves up, as everywhere
        for k, (row, column) in enumerate(bins):
            for at in (column, row):
                near = int(min(max(at, -self._margin), last + self._margin))
                places.append(near + self._margin if valid[k] else 0)
            lines += [int(min(max(at, -1), size)) + 1 for at in (row, column)]
            lines[-1] += size + 2
            within = [int(min(max(at, 0), last)) for at in (column, row)]
            centres += [2 * k * size + within[0], (2 * k + 1) * size + within[1]]
            labels.append(int(not positive[k]))
        count = len(lines)
        index = torch.tensor(places + lines + centres + labels)
        place, line, centre, label = index.split([count, count, count, count // 2])
        similarity = self._similarity(image, line, centre)
        scale = self._scale.index_select(0, place).mul_(similarity)
        pair = self._alone.index_select(0, place).add_(scale).view(count // 2, -1)
        return torch.cat([pair, self._labels.index_select(0, label)], 1)[None]

    def _similarity(self, image: Tensor, line: Tensor, centre: Tensor) -> Tensor:
        """Visual similarity to the clicked patches along their rows and columns, (2 K, S).

        Parameters
        ----------
        image : Tensor
            (C, S, S).
        line : Tensor
            (2 K,) where each click's row and column are in `_lines`.
        centre : Tensor
            (2 K,) where the clicked pixels are among all pixels of these lines.
        """
        channels, wide = len(image), self._size + 2
        pixels = self._pixels.index_select(0, line).view(-1)
        lines = image.view(channels, -1).index_select(1, pixels).view(-1, 3, wide)
        lines = F.avg_pool2d(lines, 3, 1).view(channels, len(line), -1)
        clicked = lines.view(channels, -1).index_select(1, centre)[..., None]
        distance = (lines - clicked).square_().mean(0)
        return distance.mul_(-1 / (2 * self._tau**2)).exp_()


def _lines(size: int) -> Tensor:
    """Pixels of all rows and then all columns of a view, each with what it is blurred with.

    Returns
    -------
    Tensor
        (2 (S + 2), 3 (S + 2)) int32 index into the flat view: the line before, the line and the
        line after it, each from one pixel before its first to one after its last, as the lines
        themselves are. Lines and pixels that the view lacks are its outermost.
    """
    around = torch.arange(-2, size + 2).clamp_(0, size - 1)
    near, along = around.unfold(0, 3, 1)[..., None], around[1:-1]
    both = torch.cat([near * size + along, near + along * size])
    return both.flatten(1).int()
