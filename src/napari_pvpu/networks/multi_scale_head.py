"""PVPUFormer's multi-scale head, and a small one of ours that judges the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import upsample
from napari_pvpu.networks.probabilistic_head import ProbabilisticHead

if TYPE_CHECKING:
    from collections.abc import Sequence


class MultiScaleHead(nn.Module):
    """Bring maps of several strides together and classify each pixel.

    Each map goes through a 1 x 1 convolution and a ReLU and is enlarged to the finest; their
    concatenation goes through another 1 x 1 and ReLU, which gives the pixel features Z; a last
    1 x 1 gives the logits.

    Parameters
    ----------
    inputs : sequence of int
        Channels of the maps, finest first.
    channels : int
        Channels of each map after its convolution and of the pixel features (256 as published).
    dropout : float
        Chance that a channel of the pixel features is dropped before the logits.

    Notes
    -----
    Source: PVPUFormer and SimpleClick, released code: no normalisation.
    """

    def __init__(self, inputs: Sequence[int], channels: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(i, channels, 1) for i in inputs)
        self.fusion = nn.Conv2d(channels * len(self.convs), channels, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.classify: nn.Conv2d | ProbabilisticHead = nn.Conv2d(channels, 1, 1)

    def make_probabilistic(self, max_side: int) -> None:
        """Replace the classifier by probabilistic self-attention (arXiv 2106.15338).

        Parameters
        ----------
        max_side : int
            Longest side of the finest map with position vectors for all its offsets.
        """
        assert isinstance(self.classify, nn.Conv2d)
        self.classify = ProbabilisticHead.from_classifier(self.classify, max_side=max_side)

    @property
    def probabilistic(self) -> bool:
        """Whether the classifier takes values that prompts fix."""
        return isinstance(self.classify, ProbabilisticHead)

    def forward(self, maps: Sequence[Tensor], fixed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Answer with logits and pixel features.

        Parameters
        ----------
        maps : sequence of Tensor
            ``(B, C_i, H_i, W_i)``, finest first.
        fixed : Tensor, optional
            ``(B, H_0, W_0)``, what prompts fix, for a probabilistic classifier.

        Returns
        -------
        logits : Tensor
            ``(B, 1, H_0, W_0)`` float32.
        pixels : Tensor
            ``(B, channels, H_0, W_0)``.
        """
        size = maps[0].shape[-2:]
        each = [F.relu(conv(x)) for conv, x in zip(self.convs, maps, strict=True)]
        each = [x if x.shape[-2:] == size else upsample(x, size) for x in each]
        pixels = F.relu(self.fusion(torch.cat(each, dim=1)))
        dropped = self.dropout(pixels)
        if isinstance(self.classify, ProbabilisticHead):
            return self.classify(dropped, fixed), pixels
        return self.classify(dropped).float(), pixels


class ScoreHead(nn.Module):
    """Judge a mask from the features inside and outside it and from the prompts.

    It sees detached features, so that what it learns changes nothing else.

    Parameters
    ----------
    channels : int
        Channels of pixel and prompt features.
    hidden : int
        Hidden channels.

    Notes
    -----
    Ours; the paper has none. The published networks have 122 million parameters, this 49 thousand.
    """

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(3 * channels, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, logits: Tensor, pixels: Tensor, prompts: Tensor, shown: Tensor) -> Tensor:
        """Return the logit of the expected intersection over union.

        Parameters
        ----------
        logits : Tensor
            ``(B, 1, H, W)``.
        pixels : Tensor
            ``(B, channels, H, W)``.
        prompts : Tensor
            ``(B, K, channels)``.
        shown : Tensor
            ``(B, K)`` bool, prompts that count; at least one in each sample.

        Returns
        -------
        Tensor
            ``(B,)`` float32.
        """
        weight = logits.detach().sigmoid().flatten(2)
        flat = pixels.detach().float().flatten(2)
        inside = (flat * weight).sum(2) / weight.sum(2).clamp(min=1e-3)
        outside = (flat * (1 - weight)).sum(2) / (1 - weight).sum(2).clamp(min=1e-3)
        counted = shown[..., None].float()
        mean = (prompts.detach().float() * counted).sum(1) / counted.sum(1)
        return self.mlp(torch.cat([inside, outside, mean], dim=1))[:, 0].float()
