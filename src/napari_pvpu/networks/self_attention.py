"""Probabilistic self-attention on feature maps, of all pixels at once or along their lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from napari_pvpu.networks.probabilistic_attention import AttentionSettings, probabilistic_attention
from napari_pvpu.networks.relative_position import FULL, RelativePosition, Term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.networks.mixture import PositionTerms


def grid_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    settings: AttentionSettings | None = None,
    *,
    axial: bool = False,
    position: RelativePosition | None = None,
    fixed_values: Tensor | None = None,
    fixed: Tensor | None = None,
) -> Tensor:
    """Probabilistic attention of a map's pixels to each other.

    The axial form attends along columns, then along rows to what came out, with the same queries
    and keys. What a prompt fixes in one pixel reaches its column in the first pass and the whole
    map in the second.

    Parameters
    ----------
    queries, keys : Tensor
        (B, heads, d, H, W).
    values : Tensor
        (B, heads, m, H, W).
    settings : AttentionSettings, optional
        As for `probabilistic_attention`.
    axial : bool
        Whether to attend along lines, at a cost of H W (H + W) instead of (H W)^2.
    position : RelativePosition, optional
        Relative position terms; lines use the vectors of their own axis.
    fixed_values : Tensor, optional
        (B, m, H, W), values that pixels are known to have, in every head.
    fixed : Tensor, optional
        (B, H, W) bool, the pixels for which that is so; all by default.

    Returns
    -------
    Tensor
        (B, heads, m, H, W) float32 or better.

    Notes
    -----
    Source: arXiv 2106.15338, section 4.3 for the axial form; that both passes share queries and
    keys, and that fixed pixels enter the second pass with their value, are ours.
    """
    settings = settings or AttentionSettings()
    height, width = queries.shape[-2:]
    sizes: tuple[tuple[int | None, int | None], ...] = ((height, width),)
    if axial:
        sizes = ((height, None), (None, width))
    for size in sizes:
        out = _attend(
            _Lines(_lines(queries, size), _lines(keys, size), _lines(values, size)),
            settings,
            None if position is None else position(*size),
            _fixed_lines(fixed_values, fixed, size),
            # What the first pass fixed has to stay so for the second.
            clamp=settings.clamp or size != sizes[-1],
        )
        values = _from_lines(out, size, queries)
    return values


class _Lines(NamedTuple):
    """Queries, keys and values of N lines, (N, heads, L, channels)."""

    queries: Tensor
    keys: Tensor
    values: Tensor

    def take(self, index: Tensor) -> _Lines:
        return _Lines(*(x[index] for x in self))


class _Fixed(NamedTuple):
    """Fixed values of N lines, (N, 1, L, m), and where they are, (N, 1, L) bool."""

    values: Tensor
    where: Tensor


def _lines(x: Tensor, size: tuple[int | None, int | None]) -> Tensor:
    """(B, h, c, H, W) to (N, h, L, c): columns, rows, or all pixels of a map as one line."""
    if size[1] is None:
        return x.permute(0, 4, 1, 3, 2).flatten(0, 1)
    if size[0] is None:
        return x.permute(0, 3, 1, 4, 2).flatten(0, 1)
    return x.flatten(-2).transpose(-1, -2)


def _from_lines(x: Tensor, size: tuple[int | None, int | None], like: Tensor) -> Tensor:
    """Undo `_lines`, for a map of the batch, height and width of `like`."""
    if size[1] is None:
        return x.unflatten(0, (len(like), -1)).permute(0, 2, 4, 3, 1)
    if size[0] is None:
        return x.unflatten(0, (len(like), -1)).permute(0, 2, 4, 1, 3)
    return x.transpose(-1, -2).unflatten(-1, like.shape[-2:])


def _fixed_lines(
    values: Tensor | None, where: Tensor | None, size: tuple[int | None, int | None]
) -> _Fixed | None:
    """What is fixed in each line, or None if nothing is anywhere."""
    if values is None or (where is not None and not bool(where.any())):
        return None
    if where is None:
        where = torch.ones_like(values[:, 0], dtype=torch.bool)
    return _Fixed(_lines(values[:, None], size), _lines(where[:, None, None], size)[..., 0])


def _attend(
    lines: _Lines,
    settings: AttentionSettings,
    place: PositionTerms | None,
    fixed: _Fixed | None,
    clamp: bool,
) -> Tensor:
    """Attention within each line; value propagation only in those with a fixed pixel."""
    if fixed is None:
        return probabilistic_attention(*lines, settings, position=place)
    touched = fixed.where.flatten(1).any(1)
    inside, outside = touched.nonzero()[:, 0], (~touched).nonzero()[:, 0]
    out = probabilistic_attention(
        *lines.take(inside),
        replace(settings, clamp=clamp),
        fixed_values=fixed.values[inside],
        fixed=fixed.where[inside],
        position=place,
    )
    rest = probabilistic_attention(*lines.take(outside), settings, position=place)
    return torch.cat([out, rest])[torch.cat([inside, outside]).argsort()]


class ProbabilisticSelfAttention(nn.Module):
    """Multi-head self-attention of a feature map, with key adaptation and relative positions.

    Parameters
    ----------
    channels : int
        Channels of the map.
    heads : int
        Attention heads.
    out_channels : int, optional
        Channels of the result; `channels` by default.
    key_dim : int, optional
        Channels of queries and keys in each head; ``channels // heads`` by default.
    axial : bool
        Whether to attend along columns and rows instead of to all pixels.
    settings : AttentionSettings, optional
        EM steps, priors and precisions; plain attention by default.
    position : sequence of {"query", "key", "value"}
        Relative position terms; empty for none.
    max_side : int
        Longest side in pixels with position vectors for all its offsets; farther ones share the
        last.

    Raises
    ------
    ValueError
        If the heads do not divide the channels of the result.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        *,
        out_channels: int | None = None,
        key_dim: int | None = None,
        axial: bool = False,
        settings: AttentionSettings | None = None,
        position: Sequence[Term] = FULL,
        max_side: int = 32,
    ) -> None:
        super().__init__()
        outputs = channels if out_channels is None else out_channels
        key_dim = max(channels // heads, 1) if key_dim is None else key_dim
        if outputs % heads:
            raise ValueError(f"{heads} heads do not divide {outputs} channels")
        self.heads = heads
        self.axial = axial
        self.settings = settings or AttentionSettings()
        self.query = nn.Conv2d(channels, heads * key_dim, 1, bias=False)
        self.key = nn.Conv2d(channels, heads * key_dim, 1, bias=False)
        self.value = nn.Conv2d(channels, outputs, 1, bias=False)
        self.position = (
            RelativePosition(key_dim, outputs // heads, max_side, position) if position else None
        )

    def forward(
        self, x: Tensor, fixed_values: Tensor | None = None, fixed: Tensor | None = None
    ) -> Tensor:
        """Let the pixels of a map attend to each other.

        Parameters
        ----------
        x : Tensor
            (B, channels, H, W).
        fixed_values : Tensor, optional
            (B, out_channels / heads, H, W), values fixed in every head.
        fixed : Tensor, optional
            (B, H, W) bool, the pixels where they are.

        Returns
        -------
        Tensor
            (B, out_channels, H, W), of the type that the projections give.
        """
        q, k, v = (
            layer(x).unflatten(1, (self.heads, -1)) for layer in (self.query, self.key, self.value)
        )
        out = grid_attention(
            q,
            k,
            v,
            self.settings,
            axial=self.axial,
            position=self.position,
            fixed_values=fixed_values,
            fixed=fixed,
        )
        return out.flatten(1, 2).to(v.dtype)
