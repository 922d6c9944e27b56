"""Small building blocks shared by the encoder and the decoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.em_steps import key_adaptation as adapt_keys
from napari_pvpu.networks.mixture import Tokens, Units, exact

# Attention maps above this many entries go to the fused kernel.
_FUSE_ABOVE = 512 * 512


class ChannelNorm(nn.GroupNorm):
    """Group normalisation with one group, as in the simple feature pyramid.

    It does not depend on the batch, so that the rounds of an interaction, whose statistics
    differ much, can share it.

    Parameters
    ----------
    channels : int
        Channels of the ``(B, channels, H, W)`` input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)


class SeparableBlock(nn.Module):
    """Residual depthwise 3 x 3 convolution followed by a two-layer pointwise network.

    Depthwise 3 x 3 in channels-last is the cheapest spatial mixing on two CPU cores, forward
    and backward; a 7 x 7 kernel costs six times as much.

    Parameters
    ----------
    channels : int
        Input and output channels.
    expansion : float
        Width of the hidden layer over `channels`.
    norm : type of nn.Module
        Called with `channels`; ``nn.BatchNorm2d`` in the encoder, `ChannelNorm` in the decoder.
    """

    def __init__(
        self, channels: int, expansion: float = 2.0, norm: type[nn.Module] = ChannelNorm
    ) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = norm(channels)
        self.widen = nn.Conv2d(channels, hidden, 1)
        self.narrow = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        return x + self.narrow(F.relu(self.widen(self.norm(self.spatial(x)))))


class Downsample(nn.Sequential):
    """Halve height and width: depthwise 3 x 3 with stride 2, normalisation, 1 x 1.

    Parameters
    ----------
    inputs, outputs : int
        Channels before and after.
    norm : type of nn.Module
        Called with `inputs`.
    """

    def __init__(self, inputs: int, outputs: int, norm: type[nn.Module] = ChannelNorm) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, stride=2, padding=1, groups=inputs, bias=False),
            norm(inputs),
            nn.Conv2d(inputs, outputs, 1),
        )


class Attention(nn.Module):
    """Multi-head scaled dot-product attention between two sets of tokens.

    Parameters
    ----------
    dim : int
        Channels of queries, keys, values and output.
    heads : int
        Number of heads.
    inner_dim : int, optional
        Channels over all heads; `dim` by default.
    key_adaptation : int
        EM steps by which keys move towards the queries that they answer before they are attended
        to (arXiv 2106.15338, eq. 18); 0 is plain attention. There are no parameters in it.
    key_prior : float
        theta_xi, the weight of a key before each step; 0 is maximum likelihood.

    Raises
    ------
    ValueError
        If the heads do not divide the inner channels, or a setting of the adaptation is negative.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        inner_dim: int | None = None,
        *,
        key_adaptation: int = 0,
        key_prior: float = 0.001,
    ) -> None:
        super().__init__()
        if key_adaptation < 0 or key_prior < 0:
            raise ValueError(
                f"key_adaptation is {key_adaptation} and key_prior {key_prior}; choose 0 or more"
            )
        inner = dim if inner_dim is None else inner_dim
        if inner % heads:
            raise ValueError(f"{heads} heads do not divide {inner} channels")
        self.heads = heads
        self.key_adaptation = key_adaptation
        self.key_prior = key_prior
        self.query = nn.Linear(dim, inner)
        self.key = nn.Linear(dim, inner)
        self.value = nn.Linear(dim, inner)
        self.project = nn.Linear(inner, dim)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        allowed: Tensor | None = None,
        *,
        counted: Tensor | None = None,
    ) -> Tensor:
        """Attend from `query` to `key`.

        Parameters
        ----------
        query : Tensor
            ``(B, I, dim)``.
        key, value : Tensor
            ``(B, K, dim)``.
        allowed : Tensor, optional
            ``(B, K)`` bool, False where a key must not be seen. At least one key of each
            sample has to be allowed.
        counted : Tensor, optional
            ``(B, I)`` bool, the queries that keys adapt to, all by default; of no meaning without
            key adaptation.

        Returns
        -------
        Tensor
            ``(B, I, dim)``.
        """
        mask = None if allowed is None else allowed[:, None, None, :]
        q, k, v = (
            self._split(layer(x))
            for layer, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        if self.key_adaptation:
            k = self._adapted(q, k, mask, counted)
        out = attend(q, k, v, mask)
        return self.project(out.transpose(1, 2).flatten(2))

    def _adapted(
        self, query: Tensor, key: Tensor, mask: Tensor | None, counted: Tensor | None
    ) -> Tensor:
        """Keys after key adaptation, summed in float32 and given back as they came."""
        if counted is not None:
            rows = counted[:, None, :, None]
            mask = rows if mask is None else rows & mask
            mask = mask.expand(-1, -1, -1, key.shape[-2])
        # Values take no part in it.
        units = Units(exact(key), exact(key), alpha=query.shape[-1] ** -0.5)
        moved = adapt_keys(units, Tokens(query, mask=mask), self.key_adaptation, self.key_prior)
        return moved.keys.to(key.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None) -> Tensor:
    """Scaled dot-product attention of ``(B, H, I, d)`` queries to ``(B, H, K, d)`` keys.

    Small maps are written out: on a CPU in bf16 the fused kernel takes ten times as long for the
    gradients of a few hundred queries and a handful of keys, its blocks being far larger.
    """
    if query.shape[-2] * key.shape[-2] > _FUSE_ABOVE:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    return logits.softmax(-1) @ value


class TransformerBlock(nn.Module):
    """Pre-norm transformer block of a plain ViT.

    Parameters
    ----------
    dim, heads : int
        Channels and attention heads.
    mlp_ratio : float
        Hidden channels of the MLP over `dim`.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 3.0) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, dim)`` to the same shape."""
        y = self.norm1(x)
        x = x + self.attention(y, y, y)
        return x + self.mlp(self.norm2(x))


def sine_position_encoding(channels: int, height: int, width: int) -> Tensor:
    """Fixed two-dimensional sine and cosine position encoding.

    The first half of the channels encodes the column, the second the row, as PVPUFormer's
    merging attention does (arXiv 2306.06656, released code).

    Parameters
    ----------
    channels : int
        A multiple of 4.
    height, width : int
        Size of the token grid.

    Returns
    -------
    Tensor
        ``(height * width, channels)`` float32, in row-major order.

    Raises
    ------
    ValueError
        If `channels` is not a multiple of 4.

    Examples
    --------
    >>> sine_position_encoding(8, 2, 3).shape
    torch.Size([6, 8])
    """
    if channels % 4:
        raise ValueError(f"the position encoding needs a multiple of 4 channels, not {channels}")
    quarter = channels // 4
    frequency = torch.exp(-math.log(10000.0) * torch.arange(quarter) / max(quarter, 1))

    def encode(n: int) -> Tensor:
        # Positions run over the unit interval times 2 pi, so that grids of another size agree.
        angle = ((torch.arange(n) + 0.5) / n * 2 * math.pi)[:, None] * (frequency * 16)[None]
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    columns = encode(width)[None].expand(height, -1, -1)
    rows = encode(height)[:, None].expand(-1, width, -1)
    return torch.cat([columns, rows], dim=2).flatten(0, 1)


def to_tokens(x: Tensor) -> Tensor:
    """Flatten ``(B, C, H, W)`` to ``(B, H * W, C)``."""
    return x.flatten(2).transpose(1, 2)


def to_grid(tokens: Tensor, like: Tensor) -> Tensor:
    """Reshape ``(B, H * W, C)`` to ``(B, C, H, W)`` with the height and width of `like`."""
    grid = tokens.transpose(1, 2).unflatten(2, like.shape[-2:])
    return grid.contiguous(memory_format=torch.channels_last)


def upsample(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Resize ``(B, C, h, w)`` bilinearly to ``(B, C, *size)``, pixel areas aligned."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
