"""Image encoder of InterFormer: an MAE ViT with relative positions, and a simple feature pyramid.

The ViT is the one that mmsegmentation trains from MAE weights: a class token, learned absolute
positions, a table of relative position biases in every layer, and learned scales of the residual
branches. Names of parameters are timm's where timm has them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import ChannelNorm
from napari_pvpu.networks.pooling_attention import DropPath
from napari_pvpu.networks.vision_transformer import PatchEmbed

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPS = 1e-6


def nearest_cells(cells: int, side: int) -> Tensor:
    """Return which of `side` cells lies nearest to each of `cells`, as nearest resizing has it.

    Examples
    --------
    >>> nearest_cells(6, 4).tolist()
    [0, 0, 1, 2, 2, 3]
    """
    return torch.arange(cells) * side // cells


def relative_index(size: tuple[int, int], side: int) -> Tensor:
    """Rows of the bias table for every pair of tokens, the class token first.

    Parameters
    ----------
    size : tuple of int
        Rows and columns of the grid of tokens.
    side : int
        Side of the grid that the table was laid out for. Other grids take the bias of the nearest
        cells there.

    Returns
    -------
    Tensor
        ``(1 + N, 1 + N)`` int64, query by key: ``(dy + side - 1) (2 side - 1) + dx + side - 1``
        for the offset ``(dy, dx)`` of query minus key; the last three rows of the table are for
        class token to cell, cell to class token, and class token to itself.
    """
    rows, columns = (nearest_cells(n, side) for n in size)
    row = rows[:, None].expand(size).flatten()
    column = columns[None].expand(size).flatten()
    span = 2 * side - 1
    offset = (row[:, None] - row + side - 1) * span + column[:, None] - column + side - 1
    index = F.pad(offset, (1, 0, 1, 0))
    index[0, :] = span**2
    index[:, 0] = span**2 + 1
    index[0, 0] = span**2 + 2
    return index


class RelativeAttention(nn.Module):
    """Self-attention with a learned bias for each offset between two tokens.

    Parameters
    ----------
    dim, heads : int
        Channels and attention heads.
    side : int
        Side of the grid of tokens that the table is laid out for.
    """

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros((2 * side - 1) ** 2 + 3, heads)
        )

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Map tokens ``(B, 1 + N, dim)`` to the same shape; `index` from `relative_index`."""
        # As an embedding: its gradient is far quicker than that of indexing.
        bias = F.embedding(index, self.relative_position_bias_table).permute(2, 0, 1)[None]
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(out.transpose(1, 2).flatten(2))


class _MLP(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class ScaledBlock(nn.Module):
    """Pre-norm transformer block whose two branches have learned scales for each channel.

    Parameters
    ----------
    dim, heads, side : int
        As for `RelativeAttention`.
    mlp_ratio : float
        Hidden channels of the MLP over `dim`.
    scale : float
        Initial scale of the branches.
    drop_path : float
        Chance that a sample skips a branch in training.
    """

    def __init__(
        self, dim: int, heads: int, side: int, mlp_ratio: float, scale: float, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=_EPS)
        self.attn = RelativeAttention(dim, heads, side)
        self.gamma_1 = nn.Parameter(torch.full((dim,), scale))
        self.norm2 = nn.LayerNorm(dim, eps=_EPS)
        self.mlp = _MLP(dim, int(dim * mlp_ratio))
        self.gamma_2 = nn.Parameter(torch.full((dim,), scale))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Map tokens ``(B, 1 + N, dim)`` to the same shape; `index` from `relative_index`."""
        x = x + self.drop_path(self.gamma_1 * self.attn(self.norm1(x), index))
        return x + self.drop_path(self.gamma_2 * self.mlp(self.norm2(x)))


class MAEBackbone(nn.Module):
    """ViT as mmsegmentation trains it from MAE weights; the result is the last block's map.

    Parameters
    ----------
    width, depth, heads : int
        Channels, blocks and attention heads: 768, 12, 12 (ViT-B) or 1024, 24, 16 (ViT-L).
    patch_size, image_size : int
        Side of a patch, and of the images that positions are laid out for, in pixels. Positions
        of other sizes are those of the nearest cells.
    mlp_ratio : float
        Hidden channels of the MLPs over `width`.
    scale : float
        Initial scale of the residual branches.
    drop_path : float
        Chance of skipping a branch in the last block; it rises from zero.

    Raises
    ------
    ValueError
        If the heads do not divide the width or the patch does not divide the image size.

    Notes
    -----
    Source: InterFormer's configuration of mmsegmentation's MAE: no normalisation after the last
    block, nearest resizing of positions, scale 1, drop path 0.1.
    """

    def __init__(
        self,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        patch_size: int = 16,
        image_size: int = 512,
        mlp_ratio: float = 4.0,
        scale: float = 1.0,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        if image_size < patch_size or image_size % patch_size:
            raise ValueError(
                f"image_size has to be a multiple of the patch size {patch_size}, not {image_size}"
            )
        self.grid = image_size // patch_size
        self.patch_embed = PatchEmbed(3, width, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid**2 + 1, width))
        self.blocks = nn.ModuleList(
            ScaledBlock(
                width, heads, self.grid, mlp_ratio, scale, drop_path * i / max(depth - 1, 1)
            )
            for i in range(depth)
        )
        self._start()

    def _start(self) -> None:
        """Set the weights as MAE's fine-tuning does, deeper layers with smaller outputs."""
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for i, block in enumerate(self.blocks, start=1):
                assert isinstance(block, ScaledBlock)
                block.attn.proj.weight /= math.sqrt(2 * i)
                block.mlp.fc2.weight /= math.sqrt(2 * i)

    def _positions(self, size: tuple[int, int]) -> Tensor:
        """Absolute positions ``(1, 1 + N, width)`` of a grid, the class token first."""
        if size == (self.grid, self.grid):
            return self.pos_embed
        rows, columns = (nearest_cells(n, self.grid).to(self.pos_embed.device) for n in size)
        cells = (rows[:, None] * self.grid + columns).flatten() + 1
        return torch.cat([self.pos_embed[:, :1], self.pos_embed[:, cells]], dim=1)

    def forward(self, image: Tensor) -> Tensor:
        """Encode images.

        Parameters
        ----------
        image : Tensor
            ``(B, 3, H, W)``, normalised; sides that the patch does not divide are padded with
            zeros on the right and below.

        Returns
        -------
        Tensor
            ``(B, width, ceil(H / p), ceil(W / p))``.
        """
        patches = self.patch_embed(image)
        size = (patches.shape[2], patches.shape[3])
        x = torch.cat([self.cls_token.expand(len(image), -1, -1), patches.flatten(2).mT], dim=1)
        x = x + self._positions(size)
        index = relative_index(size, self.grid).to(image.device)
        for block in self.blocks:
            x = block(x, index)
        return x[:, 1:].mT.unflatten(2, size)


class SimpleFeaturePyramid(nn.Module):
    """Maps at strides 4, 8, 16 and 32 from the last map of a plain ViT at stride 16.

    Parameters
    ----------
    inputs : int
        Channels of the ViT.
    outputs : sequence of int
        Channels at the four strides.

    Notes
    -----
    Source: InterFormer and SimpleClick, after Li et al., Exploring plain vision transformer
    backbones for object detection, 2022: transposed convolutions upwards, a strided one downwards,
    a 1 x 1 to the final width; after each a normalisation with one group, and GELU where the next
    layer is not the 1 x 1. Hidden channels are never fewer than what comes out.
    """

    def __init__(self, inputs: int, outputs: Sequence[int]) -> None:
        super().__init__()
        s4, s8, s16, s32 = outputs
        wide4, wide8 = max(inputs // 2, 2 * s4), max(inputs // 2, s8)
        wide32 = max(2 * inputs, s32)
        self.levels = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ConvTranspose2d(inputs, wide4, 2, stride=2),
                    ChannelNorm(wide4),
                    nn.GELU(),
                    nn.ConvTranspose2d(wide4, wide4 // 2, 2, stride=2),
                    ChannelNorm(wide4 // 2),
                    *_narrow(wide4 // 2, s4),
                ),
                nn.Sequential(
                    nn.ConvTranspose2d(inputs, wide8, 2, stride=2),
                    ChannelNorm(wide8),
                    *_narrow(wide8, s8),
                ),
                nn.Sequential(*_narrow(inputs, s16)),
                nn.Sequential(
                    nn.Conv2d(inputs, wide32, 2, stride=2),
                    ChannelNorm(wide32),
                    *_narrow(wide32, s32),
                ),
            ]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map ``(B, inputs, h, w)``, h and w even, to maps of 4 h, 2 h, h and h / 2 rows."""
        return tuple(level(x) for level in self.levels)


def _narrow(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 1), ChannelNorm(outputs), nn.GELU()
