"""InterFormer (arXiv 2304.02942): a large encoder once for each image, I-MSA at each click."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import upsample
from napari_pvpu.networks.interactive_attention import STRIDES, InteractiveAttention
from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.networks.mae_backbone import MAEBackbone, SimpleFeaturePyramid
from napari_pvpu.networks.prompt_batch import EMPTY
from napari_pvpu.networks.reference_map import (
    DEFINITE_BACKGROUND,
    DEFINITE_FOREGROUND,
    STATES,
    reference_states,
)
from napari_pvpu.networks.regions import pool_at_prompts, region_of_interest
from napari_pvpu.networks.upernet import FCNHead, UPerHead
from napari_pvpu.networks.vision_transformer import pad_to_multiple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone
    from napari_pvpu.networks.interformer_config import InterFormerConfig
    from napari_pvpu.networks.prompt_batch import PromptBatch
    from napari_pvpu.networks.regions import Region

# Of ImageNet, for values 0 to 1: what the published weights were trained with.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class Reading(NamedTuple):
    """What the interactive part makes of a reference map, at stride 4 of the padded view.

    Attributes
    ----------
    fused : Tensor
        ``(B, D, H / 4, W / 4)``, UPerNet's fused features.
    logits : Tensor
        ``(B, 1, H / 4, W / 4)``, foreground minus background.
    stages : list of Tensor
        I-MSA's maps at strides 4, 8, 16, 32.
    """

    fused: Tensor
    logits: Tensor
    stages: list[Tensor]


class Laterals(nn.Module):
    """Bring a backbone's levels to the channels that I-MSA works with.

    Parameters
    ----------
    backbone : FeatureBackbone
        With levels at strides 4, 8, 16 and 32.
    outputs : sequence of int
        Channels wanted at these strides.

    Raises
    ------
    ValueError
        If the backbone has other levels.
    """

    def __init__(self, backbone: FeatureBackbone, outputs: Sequence[int]) -> None:
        super().__init__()
        if tuple(backbone.strides) != STRIDES:
            raise ValueError(
                f"the backbone's levels have strides {tuple(backbone.strides)}; I-MSA needs "
                f"{STRIDES}"
            )
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 1), nn.GroupNorm(1, o))
            for i, o in zip(backbone.channels, outputs, strict=True)
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Map each level."""
        return [conv(level) for conv, level in zip(self.convs, levels, strict=True)]


class ReferenceTable(nn.Module):
    """A learned vector for each state of the reference map, brought to stride 4.

    Each pixel's vector is looked up and the map of them reduced bilinearly, which takes the mean
    of the four pixels in the middle of a cell. Both are linear, so here the five one-hot planes
    are reduced first: the same result from a sixth of the memory.

    Parameters
    ----------
    channels : int
        Length of the vectors.
    states : int
        Number of states.

    Notes
    -----
    Source: InterFormer, reference embedding.
    """

    def __init__(self, channels: int, states: int = STATES) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(states, channels))
        nn.init.xavier_normal_(self.weight)

    def forward(self, states: Tensor) -> Tensor:
        """Map ``(B, H, W)`` states, sides multiples of 4, to ``(B, channels, H / 4, W / 4)``."""
        kinds = torch.arange(len(self.weight), device=states.device)[:, None, None]
        planes = (states[:, None] == kinds).to(self.weight.dtype)
        small = upsample(planes, (states.shape[1] // 4, states.shape[2] // 4))
        return torch.einsum("bshw,sc->bchw", small, self.weight)


class InterFormer(PromptableNetwork):
    """Encode a view once with an MAE ViT; answer each interaction with I-MSA and UPerNet.

    Prompts enter as a map of five states a pixel. Clicks are as published; scribbles count as
    clicks all along, and boxes make their inside possible foreground and their outside possible
    background, which is ours (see `reference_states`).

    Parameters
    ----------
    config : InterFormerConfig
        Sizes of all parts.
    backbone : FeatureBackbone, optional
        With levels at strides 4, 8, 16 and 32, to take instead of the MAE ViT and its pyramid.

    Notes
    -----
    `decode` derives the states from all prompts and the last prediction. The published loop
    remembers how every prediction changed them; for that keep a `ReferenceMap` and call `read`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: InterFormerConfig, backbone: FeatureBackbone | None = None) -> None:
        super().__init__()
        self.settings = config
        # Whoever builds this from a larger description may keep that here in its stead.
        self.config: Any = config
        self.encoder: nn.Module
        self.pyramid: nn.Module
        if backbone is None:
            self.encoder = MAEBackbone(
                config.vit_width,
                config.vit_depth,
                config.vit_heads,
                image_size=config.view_size,
                mlp_ratio=config.vit_mlp_ratio,
                drop_path=config.drop_path,
            )
            self.pyramid = SimpleFeaturePyramid(config.vit_width, config.channels)
        else:
            self.encoder = backbone
            self.pyramid = Laterals(backbone, config.channels)
        self.reference = ReferenceTable(config.channels[0])
        self.attention = InteractiveAttention(
            config.channels,
            config.heads,
            config.mlp_ratios,
            config.coarse,
            config.refine,
            config.pool_ratios,
            config.view_size,
            config.drop_path,
        )
        self.head = UPerHead(config.channels, config.head_channels, dropout=config.dropout)
        self.auxiliary = FCNHead(config.channels[2], config.head_channels, dropout=config.dropout)
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.to(memory_format=torch.channels_last)  # a fifth off an interaction on a CPU

    def encode(self, view: Tensor) -> Features:
        """Run the image encoder and its pyramid; needed once for each view.

        Parameters
        ----------
        view : Tensor
            ``(B, 3, S, S)`` float32, 0 to 1, NaN where the window leaves the image. Any S; it is
            padded on the right and below to a multiple of 32.

        Returns
        -------
        Features
            Levels at strides 4, 8, 16, 32 of the padded view; the image as it was, normalised by
            ImageNet's mean and deviation, zero outside.
        """
        inside = ~view.isnan().any(1, keepdim=True)
        image = torch.where(inside, (view - self.mean) / self.deviation, 0.0)
        levels = self.pyramid(self.encoder(pad_to_multiple(image, STRIDES[-1])))
        kept = tuple(x.contiguous(memory_format=torch.channels_last) for x in levels)
        return Features(kept, image, inside.to(image.dtype))

    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        previous: Tensor | None = None,
        *,
        second_reading: bool = False,
    ) -> Decoded:
        """Run the interactive part for one interaction.

        Parameters
        ----------
        features : Features
            From `encode`.
        prompts : PromptBatch
            All prompts of the object, K at least 1, in view pixels.
        previous : Tensor, optional
            ``(B, 1, S, S)``, probability after the interaction before; None for the first.
        second_reading : bool
            Of no effect: the network was not trained to do without the mask before.

        Returns
        -------
        Decoded
            `pixels` are UPerNet's fused features; `prompt_features` their means under each
            prompt, zero for empty slots and prompts outside the view; `score` is from `margin`.
            The last two are ours.
        """
        return self._decode(features, prompts, previous)[0]

    def decode_with_auxiliary(
        self, features: Features, prompts: PromptBatch, previous: Tensor | None = None
    ) -> tuple[Decoded, Tensor]:
        """Do as `decode` and give the auxiliary head's logits too, for training.

        Returns
        -------
        Decoded
            As from `decode`.
        auxiliary : Tensor
            ``(B, 1, S, S)`` float32, whose focal loss counts ``settings.auxiliary_weight``.
        """
        decoded, reading = self._decode(features, prompts, previous)
        logits = _foreground(self.auxiliary(reading.stages[2]))
        return decoded, _to_view(logits, 16, features.image)

    def _decode(
        self, features: Features, prompts: PromptBatch, previous: Tensor | None
    ) -> tuple[Decoded, Reading]:
        config = self.settings
        side = features.levels[0].shape[-1] * STRIDES[0]
        if previous is not None:  # the padding is background
            previous = pad_to_multiple(previous, STRIDES[-1])
        states = reference_states(prompts, side, config.click_radius, previous, config.ring_radius)
        regions = None if previous is None else self._regions(states, prompts, previous)
        reading = self.read(features, states, regions)
        logits = _to_view(reading.logits, STRIDES[0], features.image)
        cells = math.ceil(features.image.shape[-1] / STRIDES[0])
        pixels = reading.fused[..., :cells, :cells]
        pooled = pool_at_prompts(pixels, prompts, STRIDES[0])
        return Decoded(logits, pixels, pooled, margin(logits)), reading

    def read(
        self,
        features: Features,
        states: Tensor,
        regions: Sequence[Region | None] | None = None,
    ) -> Reading:
        """Answer a reference map.

        Parameters
        ----------
        features : Features
            From `encode`.
        states : Tensor
            ``(B, H, W)`` int, 0 to 4, over the padded view.
        regions : sequence of Region or None, optional
            Part of each padded view, in pixels, multiples of 32, that the refine blocks see.

        Returns
        -------
        Reading
            Everything at stride 4 and beyond.
        """
        embedded = self.reference(states)
        stages = self.attention(features.levels, embedded, regions)
        fused, logits = self.head(stages)
        return Reading(fused, _foreground(logits), stages)

    def regions_of_interest(self, states: Tensor, previous: Tensor) -> list[Region]:
        """Regions around what is predicted and what is definite.

        Parameters
        ----------
        states : Tensor
            ``(B, H, W)`` int, 0 to 4, over the padded view.
        previous : Tensor
            ``(B, 1, H, W)``, probability over the padded view.

        Returns
        -------
        list of Region
            For `read`.
        """
        definite = (states == DEFINITE_FOREGROUND) | (states == DEFINITE_BACKGROUND)
        masks = definite | (previous[:, 0] >= 0.5)
        config = self.settings
        return [
            region_of_interest(mask, config.zoom_expand, config.zoom_min_size, STRIDES[-1])
            for mask in masks
        ]

    def _regions(
        self, states: Tensor, prompts: PromptBatch, previous: Tensor
    ) -> list[Region | None] | None:
        """Return the regions of those views that had enough interactions; none in training."""
        start = self.settings.zoom_from
        if self.training or not start or not any(self.settings.refine):
            return None
        count = (prompts.kind != EMPTY).sum(1).tolist()
        found = self.regions_of_interest(states, previous)
        return [
            region if seen >= start else None for region, seen in zip(found, count, strict=True)
        ]

    def encoder_modules(self) -> tuple[nn.Module, ...]:
        """Return what is not part of an interaction: the encoder and the auxiliary head.

        The auxiliary head never runs but in training; the published counts leave it out.
        """
        return self.encoder, self.pyramid, self.auxiliary

    def forward(
        self, view: Tensor, prompts: PromptBatch, previous: Tensor | None = None
    ) -> Decoded:
        """Encode and decode in one go."""
        return self.decode(self.encode(view), prompts, previous)


def margin(logits: Tensor) -> Tensor:
    """Judge a mask by how sure the network is of it: the mean of ``2 p - 1`` over its pixels.

    Parameters
    ----------
    logits : Tensor
        ``(B, 1, S, S)``.

    Returns
    -------
    Tensor
        ``(B,)``, 0 to 1, 0 for an empty mask. Without parameters and without gradient: the paper
        has no score, this one is ours and is not calibrated.
    """
    sure = (2 * logits.detach().sigmoid() - 1).clamp_min(0).flatten(1)
    return sure.sum(1) / (sure > 0).sum(1).clamp_min(1)


def _foreground(logits: Tensor) -> Tensor:
    """Turn two classes into one logit: foreground minus background."""
    return (logits[:, 1:2] - logits[:, :1]).float()


def _to_view(logits: Tensor, stride: int, image: Tensor) -> Tensor:
    """Enlarge logits by their stride and cut the padding off."""
    height, width = image.shape[-2:]
    whole = F.interpolate(logits, scale_factor=stride, mode="bilinear", align_corners=False)
    return whole[..., :height, :width]
