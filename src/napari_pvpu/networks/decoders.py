"""The light network that runs at each interaction: prompts and kept features to logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
    upsample,
)
from napari_pvpu.networks.dual_cross_merging import DualCrossMerging
from napari_pvpu.networks.probabilistic_head import ProbabilisticHead

if TYPE_CHECKING:
    from napari_pvpu.networks.backbones import Levels
    from napari_pvpu.networks.dual_cross_merging import KeySide


class DecoderOutput(NamedTuple):
    """What the decoder knows after an interaction.

    Attributes
    ----------
    logits : Tensor
        ``(B, 1, S / 2, S / 2)`` float32.
    pixels : Tensor
        ``(B, D, S / 4, S / 4)``, the pixel features that prompts are aligned with.
    prompt_features : Tensor
        ``(B, K, D)``, the prompts in the same space.
    score : Tensor
        ``(B,)`` logits of the expected intersection over union.
    """

    logits: Tensor
    pixels: Tensor
    prompt_features: Tensor
    score: Tensor


class PromptDecoder(nn.Module):
    """Merge prompts with a view's features at three strides and draw the mask at stride 2.

    The reference map enters at strides 2 and 4; what it says is carried down to strides 8 and
    16, where prompts and image merge and the image tokens exchange their news globally; a
    multi-scale head brings the levels together at stride 4 and refines them at stride 2.

    Parameters
    ----------
    channels : tuple of int
        Channels of the features at strides 2, 4, 8, 16; those at 8 are the token channels.
    view_size : int
        Side of the view for which position encodings are laid out.
    depth, heads : int
        Dual-cross blocks and their attention heads.
    pixel_dim : int
        Channels ``D`` of pixel and prompt features.
    probabilistic : bool
        Whether the last classifier is probabilistic self-attention (arXiv 2106.15338) with values
        fixed under prompts.
    key_adaptation, key_prior, adapted_keys
        As for `DualCrossMerging`.
    """

    position: Tensor

    def __init__(
        self,
        channels: tuple[int, ...] = (24, 64, 128, 128),
        view_size: int = 128,
        depth: int = 2,
        heads: int = 4,
        pixel_dim: int = 64,
        *,
        probabilistic: bool = False,
        key_adaptation: int = 0,
        key_prior: float = 0.001,
        adapted_keys: KeySide = "pixels",
    ) -> None:
        super().__init__()
        c2, c4, c8, c16 = channels
        self.mix4 = SeparableBlock(c4)
        self.down8 = Downsample(c4, c8)
        self.mix8 = SeparableBlock(c8)
        self.down16 = Downsample(c8, c16)
        self.global16 = TransformerBlock(c16, heads, 2.0)
        self.up8 = nn.Conv2d(c16, c8, 1)
        self.merging = DualCrossMerging(
            c8,
            heads,
            depth,
            2 * c8,
            c8,
            key_adaptation=key_adaptation,
            key_prior=key_prior,
            adapted_keys=adapted_keys,
        )
        self.lateral4 = nn.Conv2d(c4, pixel_dim, 1)
        self.lateral8 = nn.ModuleList(nn.Conv2d(c8, pixel_dim, 1) for _ in range(depth))
        self.lateral16 = nn.Conv2d(c16, pixel_dim, 1)
        self.fuse = nn.Sequential(SeparableBlock(pixel_dim), SeparableBlock(pixel_dim))
        self.to_stride2 = nn.Conv2d(pixel_dim, c2, 1)
        self.refine = SeparableBlock(c2)
        self.head = nn.Sequential(nn.Conv2d(c2, c2, 1), nn.ReLU(), nn.Conv2d(c2, 1, 1))
        self.probabilistic: ProbabilisticHead | None = None
        if probabilistic:
            self.head = self.head[:2]
            self.probabilistic = ProbabilisticHead(c2, max_side=view_size // 2)
        self.prompt_head = nn.Sequential(
            nn.Linear(c8, 2 * c8), nn.ReLU(), nn.Linear(2 * c8, pixel_dim)
        )
        self.score_head = nn.Sequential(
            nn.Linear(2 * pixel_dim + c8, pixel_dim), nn.ReLU(), nn.Linear(pixel_dim, 1)
        )
        grid = view_size // 8
        self.register_buffer("position", sine_position_encoding(c8, grid, grid), persistent=False)

    def _position(self, like: Tensor) -> Tensor:
        if like.shape[-2] * like.shape[-1] == self.position.shape[0]:
            return self.position
        return sine_position_encoding(like.shape[1], *like.shape[-2:]).to(like.device)

    def forward(
        self,
        levels: Levels,
        tokens: Tensor,
        allowed: Tensor,
        reference2: Tensor,
        reference4: Tensor,
        fixed: Tensor | None = None,
    ) -> DecoderOutput:
        """Answer the prompts.

        Parameters
        ----------
        levels : Levels
            Features of the view, ``(B, C_i, S / i, S / i)``.
        tokens : Tensor
            Prompt tokens ``(B, K, C_8)``, K at least 1.
        allowed : Tensor
            ``(B, K)`` bool, False for empty slots; at least one is True in each sample.
        reference2, reference4 : Tensor
            Embedded reference map at strides 2 and 4, channels as `levels`.
        fixed : Tensor, optional
            ``(B, S / 2, S / 2)``, what prompts fix, for a probabilistic classifier.

        Returns
        -------
        DecoderOutput
            Logits at stride 2, pixel and prompt features, score.
        """
        x4 = self.mix4(levels.s4 + reference4)
        x8 = self.mix8(levels.s8 + self.down8(x4))
        x16 = levels.s16 + self.down16(x8)
        x16 = to_grid(self.global16(to_tokens(x16)), x16)
        x8 = x8 + upsample(self.up8(x16), x8.shape[-2:])
        filtered, prompts = self.merging(to_tokens(x8), tokens, self._position(x8), allowed)

        pixels = self.lateral4(x4) + upsample(self.lateral16(x16), x4.shape[-2:])
        level8 = sum(
            lateral(to_grid(f, x8)) for lateral, f in zip(self.lateral8, filtered, strict=True)
        )
        pixels = self.fuse(pixels + upsample(level8, x4.shape[-2:]))

        fine = upsample(self.to_stride2(pixels), levels.s2.shape[-2:])
        logits = self.head(self.refine(fine + levels.s2 + reference2))
        if self.probabilistic is not None:
            logits = self.probabilistic(logits, fixed)
        logits = logits.float()
        score = self._score(logits, pixels, prompts, allowed)
        return DecoderOutput(logits, pixels, self.prompt_head(prompts), score)

    def _score(self, logits: Tensor, pixels: Tensor, prompts: Tensor, allowed: Tensor) -> Tensor:
        """Judge the mask from the features inside and outside it and from the prompts."""
        weight = F.avg_pool2d(logits.detach().sigmoid(), 2).flatten(2)
        flat = pixels.detach().flatten(2)
        inside = (flat * weight).sum(2) / weight.sum(2).clamp(min=1e-3)
        outside = (flat * (1 - weight)).sum(2) / (1 - weight).sum(2).clamp(min=1e-3)
        shown = allowed[..., None].to(prompts.dtype)
        mean = (prompts.detach() * shown).sum(1) / shown.sum(1)
        features = torch.cat([inside, outside, mean.to(inside.dtype)], dim=1)
        return self.score_head(features)[:, 0].float()
