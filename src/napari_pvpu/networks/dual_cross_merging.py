"""Dual-cross merging attention: prompts and image attend to each other (PVPUFormer)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_pvpu.networks.blocks import Attention


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
    """

    def __init__(self, dim: int, heads: int, mlp_dim: int, cross_dim: int) -> None:
        super().__init__()
        self.self_attention = Attention(dim, heads)
        self.to_semantic = Attention(dim, heads, cross_dim)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, dim))
        self.to_prompt = Attention(dim, heads, cross_dim)
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
        q = prompts + origin
        prompts = self.norms[0](prompts + self.self_attention(q, q, prompts, allowed))
        prompts = self.norms[1](
            prompts + self.to_semantic(prompts + origin, pixels + position, pixels)
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
    """A light stack of dual-cross blocks with interactive information filtering.

    It differs from the published network in one way: a level's output is the gated sum of the
    encoder's features and the updated image tokens, ``IIF(X) + X~``, where the paper gates ``X``
    alone. With two narrow blocks instead of three wide ones the gates alone carry too little of
    where the prompts lie.

    Parameters
    ----------
    dim, heads, depth, mlp_dim, cross_dim : int
        Channels, heads, number of blocks, hidden channels of the prompts' MLP, channels of the
        cross attentions.
    """

    def __init__(self, dim: int, heads: int, depth: int, mlp_dim: int, cross_dim: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            DualCrossBlock(dim, heads, mlp_dim, cross_dim) for _ in range(depth)
        )
        self.final = Attention(dim, heads, cross_dim)
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
            ``(B, K)`` bool.

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
            filtered.append(
                interactive_information_filter(semantic, prompts, pixels, allowed) + pixels
            )
            if i == len(self.blocks) - 1:
                query = prompts + origin
                prompts = self.final_norm(prompts + self.final(query, pixels + position, pixels))
            total = total + prompts
        return filtered, total
