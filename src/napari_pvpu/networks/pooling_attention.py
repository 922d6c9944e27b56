"""Attention to pooled positions, and the other pieces that I-MSA is made of (InterFormer).

InterFormer: arXiv 2304.02942.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import ChannelNorm, attend, to_grid, to_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence


class DropPath(nn.Module):
    """Leave a residual branch out at random, for whole samples (stochastic depth).

    Parameters
    ----------
    probability : float
        Chance that a sample goes without the branch in training; what stays is scaled up so that
        the mean is kept.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, ...)`` to the same shape."""
        if not self.training or self.probability == 0:
            return x
        kept = 1 - self.probability
        mask = x.new_empty((len(x),) + (1,) * (x.ndim - 1)).bernoulli_(kept)
        return x * (mask / kept)

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"{self.probability:g}"


def pooled_side(length: int, target: int, ratio: int) -> int:
    """Side of a pooled map of keys and values.

    The pool would give ``target / ratio`` cells, but no more than there are; the side is then
    moved to where ``length`` splits into nearly equal pieces of a whole number of cells.

    Parameters
    ----------
    length : int
        Side of the map.
    target : int
        Side that the map has at the size the network was laid out for.
    ratio : int
        Pool ratio.

    Returns
    -------
    int
        At least 1, at most `length`.

    Examples
    --------
    >>> [pooled_side(128, 128, ratio) for ratio in (12, 16, 20, 24)]
    [11, 8, 6, 5]
    """
    side = min(target / ratio, length)
    # The maximum is ours: it matters only for maps that are laid out for less than `ratio` cells.
    return max(1, round(length / round(length / side)))


class PoolingAttention(nn.Module):
    """Attention from all positions of a map to pooled positions of a map.

    For each ratio the map of keys and values is pooled to about ``target / ratio`` cells a side
    by an adaptive maximum and passed through a residual depthwise 3 x 3 convolution; the cells of
    all ratios together are normalised and projected to keys and values.

    Parameters
    ----------
    channels, heads : int
        Channels and attention heads.
    target : int
        Side of the map at the size the network was laid out for.
    ratios : sequence of int
        Pool ratios.

    Notes
    -----
    Source: InterFormer, pooling attention of I-MSA.
    """

    def __init__(self, channels: int, heads: int, target: int, ratios: Sequence[int]) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{heads} heads do not divide {channels} channels")
        self.heads, self.target, self.ratios = heads, target, tuple(ratios)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.project = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.spatial = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels) for _ in ratios
        )

    def pooled(self, source: Tensor) -> Tensor:
        """Return the positions that give keys and values, before their normalisation.

        Parameters
        ----------
        source : Tensor
            ``(B, C, H, W)``.

        Returns
        -------
        Tensor
            ``(B, N, C)``.
        """
        height, width = source.shape[-2:]
        cells = []
        for ratio, spatial in zip(self.ratios, self.spatial, strict=True):
            side = source.shape[-2:]
            if ratio > 1:
                side = torch.Size(
                    pooled_side(length, self.target, ratio) for length in (height, width)
                )
            small = source if side == source.shape[-2:] else F.adaptive_max_pool2d(source, side)
            cells.append(to_tokens(small + spatial(small)))
        return torch.cat(cells, dim=1)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Attend from `x` to `source`.

        Parameters
        ----------
        x, source : Tensor
            ``(B, C, H, W)`` and ``(B, C, H', W')``.

        Returns
        -------
        Tensor
            Shape of `x`.
        """
        key, value = self.key_value(self.norm(self.pooled(source))).chunk(2, dim=-1)
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in (self.query(to_tokens(x)), key, value)
        )
        out = attend(q, k, v, None).transpose(1, 2).flatten(2)
        return to_grid(self.project(out), x)


class InvertedResidual(nn.Sequential):
    """Widen, mix in space, narrow: 1 x 1, Hardswish, depthwise 3 x 3, Hardswish, 1 x 1.

    Parameters
    ----------
    channels : int
        Channels of input and output.
    ratio : int
        Hidden channels over `channels`.

    Notes
    -----
    Source: InterFormer, inverted-residual MLP; the residual itself is the block's.
    """

    def __init__(self, channels: int, ratio: int) -> None:
        hidden = channels * ratio
        super().__init__(
            nn.Conv2d(channels, hidden, 1),
            nn.Hardswish(),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.Hardswish(),
            nn.Conv2d(hidden, channels, 1),
        )


class PoolingBlock(nn.Module):
    """Pooling attention and an inverted residual, each with a pre-norm and a residual.

    Parameters
    ----------
    channels, heads, target, ratios
        As for `PoolingAttention`.
    mlp_ratio : int
        Hidden channels of the inverted residual over `channels`.
    drop_path : float
        Chance that a sample skips a branch in training.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        target: int,
        ratios: Sequence[int],
        mlp_ratio: int,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.norm_source = ChannelNorm(channels)
        self.attention = PoolingAttention(channels, heads, target, ratios)
        self.norm2 = ChannelNorm(channels)
        self.mlp = InvertedResidual(channels, mlp_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """Update `x` from `source`, or from itself.

        Parameters
        ----------
        x, source : Tensor
            ``(B, C, H, W)`` and ``(B, C, H', W')``.

        Returns
        -------
        Tensor
            Shape of `x`.
        """
        source = x if source is None else source
        x = x + self.drop_path(self.attention(self.norm1(x), self.norm_source(source)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    """Halve height and width, odd sides rounded up: overlapping 3 x 3 patches, LayerNorm, Linear.

    Parameters
    ----------
    inputs, outputs : int
        Channels before and after.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(9 * inputs)
        self.reduction = nn.Linear(9 * inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, (H + 1) // 2, (W + 1) // 2)``."""
        patches = F.unfold(x, 3, padding=1, stride=2).transpose(1, 2)
        merged = self.reduction(self.norm(patches)).transpose(1, 2)
        return merged.unflatten(2, ((x.shape[2] + 1) // 2, (x.shape[3] + 1) // 2))
