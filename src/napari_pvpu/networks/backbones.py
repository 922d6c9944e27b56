"""Image encoders: one pass over a view gives features at strides 2, 4, 8 and 16."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import (
    Downsample,
    SeparableBlock,
    TransformerBlock,
    sine_position_encoding,
    to_grid,
    to_tokens,
)

# A standard deviation below this share of the value range is taken for noise of a flat view.
_FLAT = 0.02


class Levels(NamedTuple):
    """Raw encoder maps, finest first.

    Attributes
    ----------
    s2, s4, s8, s16 : Tensor
        ``(B, C_i, S / i, S / i)``.
    """

    s2: Tensor
    s4: Tensor
    s8: Tensor
    s16: Tensor


def normalize_view(view: Tensor) -> tuple[Tensor, Tensor]:
    """Give a view zero mean and unit variance over the pixels inside the image.

    Mean and deviation are taken over all channels together, so that the relation of the
    channels, the colour, is kept.

    Parameters
    ----------
    view : Tensor
        ``(B, 3, S, S)`` float32, values about 0 to 1, NaN where the window leaves the image.

    Returns
    -------
    image : Tensor
        ``(B, 3, S, S)`` float32, zero outside the image.
    inside : Tensor
        ``(B, 1, S, S)`` float32, one inside the image.
    """
    inside = ~view.isnan().any(1, keepdim=True)
    image = torch.where(inside, view, 0.0)
    count = inside.sum((1, 2, 3), keepdim=True).clamp(min=1) * view.shape[1]
    mean = image.sum((1, 2, 3), keepdim=True) / count
    image = torch.where(inside, image - mean, 0.0)
    deviation = ((image**2).sum((1, 2, 3), keepdim=True) / count).sqrt()
    return image / deviation.clamp(min=_FLAT), inside.to(image.dtype)


class ConvStemViT(nn.Module):
    """A convolutional stem to stride 8 and a plain ViT at stride 16.

    Parameters
    ----------
    view_size : int
        Side of the view in pixels for which the position encoding is laid out; other multiples
        of 16 work too.
    stem : int
        Channels at stride 2.
    channels : tuple of int
        Channels at strides 4 and 8.
    depths : tuple of int
        Separable blocks at strides 4 and 8.
    width, depth, heads : int
        Channels, blocks and heads of the ViT.
    mlp_ratio : float
        Hidden channels of the ViT's MLP over `width`.
    frozen : bool
        Whether it stays as it is, statistics of its normalisations included, while the rest of
        a network trains.
    """

    position: Tensor

    def __init__(
        self,
        view_size: int = 128,
        stem: int = 32,
        channels: tuple[int, ...] = (64, 128),
        depths: tuple[int, ...] = (2, 3),
        width: int = 192,
        depth: int = 6,
        heads: int = 6,
        mlp_ratio: float = 3.0,
        *,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        norm = nn.BatchNorm2d
        self.out_channels = (stem, channels[0], channels[1], width)
        self.stem = nn.Conv2d(4, stem, 3, stride=2, padding=1, bias=False)
        self.stem_norm = norm(stem)
        self.down4 = Downsample(stem, channels[0], norm)
        self.stage4 = nn.Sequential(
            *(SeparableBlock(channels[0], 2, norm) for _ in range(depths[0]))
        )
        self.down8 = Downsample(channels[0], channels[1], norm)
        self.stage8 = nn.Sequential(
            *(SeparableBlock(channels[1], 2, norm) for _ in range(depths[1]))
        )
        self.down16 = Downsample(channels[1], width, norm)
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, heads, mlp_ratio) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width)
        grid = view_size // 16
        self.register_buffer(
            "position", sine_position_encoding(width, grid, grid), persistent=False
        )
        self.position_scale = nn.Parameter(torch.full((width,), 0.2))
        self.frozen = frozen
        self.requires_grad_(not frozen).train(self.training)

    def train(self, mode: bool = True) -> ConvStemViT:
        """Switch to training or evaluation; if it is frozen it stays in evaluation."""
        return super().train(mode and not self.frozen)

    def _positions(self, like: Tensor) -> Tensor:
        n = like.shape[-2] * like.shape[-1]
        if n == self.position.shape[0]:
            return self.position * self.position_scale
        encoding = sine_position_encoding(like.shape[1], *like.shape[-2:]).to(like.device)
        return encoding * self.position_scale

    def forward(self, image: Tensor, inside: Tensor) -> Levels:
        """Encode views.

        Parameters
        ----------
        image : Tensor
            ``(B, 3, S, S)`` from `normalize_view`, S a multiple of 16.
        inside : Tensor
            ``(B, 1, S, S)``, one inside the image.

        Returns
        -------
        Levels
            Maps at strides 2, 4, 8 and 16.
        """
        x = torch.cat([image, inside], dim=1).contiguous(memory_format=torch.channels_last)
        s2 = F.relu(self.stem_norm(self.stem(x)))
        s4 = self.stage4(self.down4(s2))
        s8 = self.stage8(self.down8(s4))
        s16 = self.down16(s8)
        tokens = self.norm(self.blocks(to_tokens(s16) + self._positions(s16)))
        return Levels(s2, s4, s8, to_grid(tokens, s16))
