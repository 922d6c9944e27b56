"""Dual-cross merging attention: prompts and image attend to each other (PVPUFormer)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from napari_pvpu.networks.blocks import Attention

KeySide = Literal["pixels", "prompts", "both"]
"""Whose keys adapt: the pixels' in prompt-to-semantic attention, the prompts' in the reverse."""


def _adaptation(steps: int, side: KeySide) -> tuple[int, int]:
    """Steps for the pixels' keys and for the prompts'."""
    if side not in ("pixels", "prompts", "both"):
        raise ValueError(f"adapted_keys is {side!r}; choose 'pixels', 'prompts' or 'both'")
    return (steps if side != "prompts" else 0, steps if side != "pixels" else 0)


class DualCrossBlock(nn.Module):
    """One block of dual-cross merging attention (arXiv 2306.06656, section on DMA).

    Self-attention of the prompts, prompt-to-semantic attention, an MLP on the prompts, and
    semantic-to-prompt attention, each with a residual and a layer normalisation after it.

    Parameters
    ----------
    dim : int
        Channels of prompt and image tokens.
    heads : int
        Attention heads.
    mlp_dim : int
        Hidden channels of the prompts' MLP.
    cross_dim : int
        Channels over all heads of the two cross attentions.
    plain_start : bool
        Whether the prompts' self-attention goes without a residual and without position encoding,
        as in the first block of the released code.
    key_adaptation : int
        EM steps of key adaptation in the cross attentions (arXiv 2106.15338, eq. 18), an
        addition of ours that is off by default and has no parameters.
    key_prior : float
        theta_xi, the weight of a key before each step.
    adapted_keys : {"pixels", "prompts", "both"}
        Whose keys adapt: the pixels' to the prompts' queries, the reverse, or each in its turn.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        mlp_dim: int,
        cross_dim: int,
        plain_start: bool = False,
        *,
        key_adaptation: int = 0,
        key_prior: float = 0.001,
        adapted_keys: KeySide = "pixels",
    ) -> None:
        super().__init__()
        of_pixels, of_prompts = _adaptation(key_adaptation, adapted_keys)
        self.plain_start = plain_start
        self.self_attention = Attention(dim, heads)
        self.to_semantic = Attention(
            dim, heads, cross_dim, key_adaptation=of_pixels, key_prior=key_prior
        )
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, dim))
        self.to_prompt = Attention(
            dim, heads, cross_dim, key_adaptation=of_prompts, key_prior=key_prior
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))

    def forward(
        self, prompts: Tensor, pixels: Tensor, origin: Tensor, position: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Exchange information once in both directions.

        Parameters
        ----------
        prompts : Tensor
            ``(B, K, dim)``, the prompt tokens so far.
        pixels : Tensor
            ``(B, N, dim)``, the image tokens so far.
        origin : Tensor
            ``(B, K, dim)``, the tokens that entered the first block; they serve as the prompts'
            position encoding.
        position : Tensor
            ``(N, dim)``, position encoding of the image tokens.
        allowed : Tensor
            ``(B, K)`` bool, False for empty slots.

        Returns
        -------
        prompts, pixels : Tensor
            Updated tokens of the same shapes.
        """
        if self.plain_start:
            prompts = self.norms[0](self.self_attention(prompts, prompts, prompts, allowed))
        else:
            q = prompts + origin
            prompts = self.norms[0](prompts + self.self_attention(q, q, prompts, allowed))
        prompts = self.norms[1](
            prompts + self.to_semantic(prompts + origin, pixels + position, pixels, counted=allowed)
        )
        prompts = self.norms[2](prompts + self.mlp(prompts))
        pixels = self.norms[3](
            pixels + self.to_prompt(pixels + position, prompts + origin, prompts, allowed)
        )
        return prompts, pixels


def interactive_information_filter(
    semantic: Tensor, prompts: Tensor, pixels: Tensor, allowed: Tensor
) -> Tensor:
    """Gate image features by what prompts and image have told each other.

    ``F = X + X * sigmoid(max over prompts P) + X * sigmoid(max over channels of X~)``,
    PVPUFormer's interactive information filtering.

    Parameters
    ----------
    semantic : Tensor
        ``X`` of shape ``(B, N, dim)``.
    prompts : Tensor
        ``P`` of shape ``(B, K, dim)``.
    pixels : Tensor
        ``X~`` of shape ``(B, N, dim)``.
    allowed : Tensor
        ``(B, K)`` bool, False for empty slots, which take no part in the maximum.

    Returns
    -------
    Tensor
        ``(B, N, dim)``.
    """
    lowest = torch.finfo(prompts.dtype).min
    channel = prompts.masked_fill(~allowed[..., None], lowest).amax(1, keepdim=True).sigmoid()
    spatial = pixels.amax(2, keepdim=True).sigmoid()
    return semantic * (1 + channel + spatial)


class DualCrossMerging(nn.Module):
    """A stack of dual-cross blocks with interactive information filtering.

    As published, a level's output is the encoder's features gated, ``IIF(X)``, and the first
    block's self-attention has neither residual nor position encoding.

    The light form differs in what it gives, the gated sum of the encoder's features and the
    updated image tokens, ``IIF(X) + X~``: with two narrow blocks instead of three wide ones the
    gates alone carry too little of where the prompts lie. Its last gate opens before the prompts'
    last look at the image, and all its blocks are alike.

    Parameters
    ----------
    dim, heads, depth, mlp_dim, cross_dim : int
        Channels, heads, number of blocks, hidden channels of the prompts' MLP, channels of the
        cross attentions (768, 8, 3, 1024 and 384 as published).
    published : bool
        Whether to do as the paper's released code does, or the light form.
    key_adaptation, key_prior, adapted_keys
        As for `DualCrossBlock`.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        depth: int,
        mlp_dim: int,
        cross_dim: int,
        *,
        published: bool = False,
        key_adaptation: int = 0,
        key_prior: float = 0.001,
        adapted_keys: KeySide = "pixels",
    ) -> None:
        super().__init__()
        self.published = published
        self.blocks = nn.ModuleList(
            DualCrossBlock(
                dim,
                heads,
                mlp_dim,
                cross_dim,
                plain_start=published and i == 0,
                key_adaptation=key_adaptation,
                key_prior=key_prior,
                adapted_keys=adapted_keys,
            )
            for i in range(depth)
        )
        of_pixels, _ = _adaptation(key_adaptation, adapted_keys)
        self.final = Attention(dim, heads, cross_dim, key_adaptation=of_pixels, key_prior=key_prior)
        self.final_norm = nn.LayerNorm(dim)

    def forward(
        self, semantic: Tensor, prompts: Tensor, position: Tensor, allowed: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Merge prompts and image.

        Parameters
        ----------
        semantic : Tensor
            Image tokens ``(B, N, dim)``.
        prompts : Tensor
            Prompt tokens ``(B, K, dim)``.
        position : Tensor
            ``(N, dim)``.
        allowed : Tensor
            ``(B, K)`` bool; at least one is True in each sample.

        Returns
        -------
        filtered : list of Tensor
            One ``(B, N, dim)`` map for each block.
        prompts : Tensor
            ``(B, K, dim)``, the sum of the tokens of all blocks and the input.
        """
        origin, pixels, filtered = prompts, semantic, []
        total = origin
        for i, block in enumerate(self.blocks):
            prompts, pixels = block(prompts, pixels, origin, position, allowed)
            seen = prompts
            if i == len(self.blocks) - 1:
                look = self.final(prompts + origin, pixels + position, pixels, counted=allowed)
                prompts = self.final_norm(prompts + look)
            gate = prompts if self.published else seen
            level = interactive_information_filter(semantic, gate, pixels, allowed)
            filtered.append(level if self.published else level + pixels)
            total = total + prompts
        return filtered, total


def grid_position_encoding(channels: int, height: int, width: int) -> Tensor:
    """Sine and cosine encoding of integer grid positions, as in the released code.

    Channel ``2i`` of the first half holds ``sin(x / 10000^(2i / (channels / 2)))`` and ``2i + 1``
    the cosine, x the column; the second half holds the same of the row.

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

    Notes
    -----
    Source: PVPUFormer, released code. Unlike `blocks.sine_position_encoding` it counts cells
    and so does not stretch with the grid.
    """
    if channels % 4:
        raise ValueError(f"the position encoding needs a multiple of 4 channels, not {channels}")
    half = channels // 2
    frequency = torch.exp(torch.arange(0, half, 2) * (-math.log(10000.0) / half))

    def encode(n: int) -> Tensor:
        angle = torch.arange(n)[:, None] * frequency
        return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)

    columns = encode(width)[None].expand(height, -1, -1)
    rows = encode(height)[:, None].expand(-1, width, -1)
    return torch.cat([columns, rows], dim=2).flatten(0, 1)
