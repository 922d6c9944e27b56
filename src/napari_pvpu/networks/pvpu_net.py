"""The network of the default model: a light encoder and a light prompt decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_pvpu.networks.backbones import ConvStemViT, Levels, normalize_view
from napari_pvpu.networks.blocks import upsample
from napari_pvpu.networks.decoders import PromptDecoder
from napari_pvpu.networks.fixed_values import fixed_tokens
from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.networks.prompt_batch import EMPTY, PromptBatch
from napari_pvpu.networks.prompt_encoding import PPuE, PPuEConfig
from napari_pvpu.networks.pyramids import TopDownPyramid
from napari_pvpu.networks.reference_map import ReferenceMapEmbedding, reference_states
from napari_pvpu.networks.regions import pool_at_prompts
from napari_pvpu.networks.vision_transformer import pad_to_multiple

if TYPE_CHECKING:
    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone

STRIDE = 16
"""Of the coarsest level; views are padded to multiples of it."""

LONGEST = 12
"""Pixels between samples of a scribble in training; simulated ones are two apart as a rule."""


class LevelsOf(nn.Module):
    """Any backbone as this network's encoder.

    Parameters
    ----------
    backbone : FeatureBackbone
        With levels at strides 2, 4, 8 and 16.
    """

    def __init__(self, backbone: FeatureBackbone) -> None:
        super().__init__()
        if tuple(backbone.strides) != (2, 4, 8, 16):
            raise ValueError(
                f"the backbone's levels have strides {tuple(backbone.strides)}; this network "
                "needs 2, 4, 8 and 16"
            )
        self.backbone = backbone
        self.out_channels = tuple(backbone.channels)

    def forward(self, image: Tensor, inside: Tensor) -> Levels:
        """Encode views as `ConvStemViT` does; what lies outside the image is zero."""
        levels = []
        for level, stride in zip(self.backbone(image * inside), self.backbone.strides, strict=True):
            side = image.shape[-1] // stride
            levels.append(level if level.shape[-1] == side else upsample(level, (side, side)))
        return Levels(*levels)


class PVPUNet(PromptableNetwork):
    """Promptable segmentation of views: encode once, decode at each interaction.

    Parameters
    ----------
    config : ModelConfig
        Sizes of all parts.
    encoder : ConvStemViT or LevelsOf, optional
        What sees the image, instead of the encoder that the config describes.
    """

    def __init__(self, config: ModelConfig, encoder: ConvStemViT | LevelsOf | None = None) -> None:
        super().__init__()
        self.config = config
        prompts, decoder = config.prompts, config.decoder
        c2, c4, c8, _ = config.pyramid
        self.encoder = conv_stem_vit(config) if encoder is None else encoder
        self.pyramid = TopDownPyramid(self.encoder.out_channels, config.pyramid)
        self.prompt_encoder = PPuE(
            PPuEConfig(
                size=config.view_size,
                sigma=prompts.sigma,
                gamma=prompts.gamma,
                tau=prompts.tau,
            ),
            hidden=prompts.hidden,
            dim=c8,
        )
        self.reference2 = ReferenceMapEmbedding(c2, patch=2)
        self.reference4 = ReferenceMapEmbedding(c4, patch=4)
        self.decoder = PromptDecoder(
            config.pyramid,
            config.view_size,
            decoder.depth,
            decoder.heads,
            decoder.pixel_channels,
            probabilistic=decoder.classifier == "probabilistic",
            key_adaptation=decoder.key_adaptation,
            key_prior=decoder.key_prior,
            adapted_keys=decoder.adapted_keys,
        )
        self.to(memory_format=torch.channels_last)

    def encode(self, view: Tensor) -> Features:
        """Run the image encoder; needed once for each view.

        Parameters
        ----------
        view : Tensor
            ``(B, 3, S, S)`` float32, about 0 to 1, NaN where the window leaves the image. Any S;
            it is padded on the right and below to a multiple of 16.

        Returns
        -------
        Features
            To be handed to `decode` at each interaction.
        """
        image, inside = normalize_view(view)
        padded = (pad_to_multiple(each, STRIDE) for each in (image, inside))
        levels: Levels = self.pyramid(self.encoder(*padded))
        return Features(levels, image, inside)

    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        previous: Tensor | None = None,
        *,
        second_reading: bool = False,
    ) -> Decoded:
        """Run the light part for one interaction.

        Parameters
        ----------
        features : Features
            From `encode`.
        prompts : PromptBatch
            All prompts of the object, K at least 1, in view pixels.
        previous : Tensor, optional
            ``(B, 1, S, S)``, probability after the interaction before; None for the first.
        second_reading : bool
            With `previous`, read the prompts a second time without it, in the same batch, and
            average the two answers, so that a wrong mask is not clung to.

        Returns
        -------
        Decoded
            Logits at full view size, features and score. Without prompt tokens the prompt
            features are the means of the pixel features under each prompt.
        """
        told = prompts if self.config.prompts.tokens else _without_tokens(prompts)
        tokens = self.prompt_encoder(told, features.image)
        allowed = told.kind != EMPTY
        # A sample without any prompt keeps its first empty slot, which says just that.
        first = torch.zeros_like(allowed)
        first[:, 0] = True
        allowed = allowed | (first & ~allowed.any(1, keepdim=True))
        levels = Levels(*features.levels)
        side = 2 * levels.s2.shape[-1]
        if previous is not None:
            previous = pad_to_multiple(previous, STRIDE)
        readings = [previous, None] if second_reading and previous is not None else [previous]
        radius = self.config.prompts.disk_radius
        # A GPU that trains is not waited for; on a CPU it is quicker to count first.
        counted = not self.training or prompts.kind.device.type == "cpu"
        longest = None if counted else LONGEST
        states = torch.cat(
            [reference_states(prompts, side, radius, known, longest=longest) for known in readings]
        )
        fed = None
        if previous is not None:
            unknown = torch.zeros_like(previous)
            fed = torch.cat([unknown if known is None else known for known in readings])
        count, batch = len(readings), len(tokens)
        if count > 1 and batch > 1:  # a single view is broadcast without a copy
            levels = Levels._make(x.repeat(count, 1, 1, 1) for x in levels)
        out = self.decoder(
            levels,
            tokens.repeat(count, 1, 1),
            allowed.repeat(count, 1),
            self.reference2(states, fed),
            self.reference4(states, fed),
            self._fixed(prompts, levels.s2, count),
        )
        logits, pixels, prompt_features, score = (
            x.unflatten(0, (count, batch)).mean(0)
            for x in (out.logits, out.pixels, out.prompt_features, out.score)
        )
        height, width = features.image.shape[-2:]
        logits = upsample(logits, (side, side))[..., :height, :width]
        if not self.config.prompts.tokens:
            prompt_features = pool_at_prompts(pixels, prompts, stride=4)
        return Decoded(logits, pixels, prompt_features, score.sigmoid())

    def _fixed(self, prompts: PromptBatch, finest: Tensor, count: int) -> Tensor | None:
        """What prompts fix at stride 2, for a probabilistic classifier."""
        if self.decoder.probabilistic is None:
            return None
        radius = self.config.prompts.disk_radius
        fixed = fixed_tokens(prompts, 2 * finest.shape[-1], finest.shape[-2:], radius)
        return fixed.repeat(count, 1, 1)

    def encoder_modules(self) -> tuple[nn.Module, ...]:
        """Return the parts that run once for each view."""
        return self.encoder, self.pyramid

    def forward(
        self, view: Tensor, prompts: PromptBatch, previous: Tensor | None = None
    ) -> Decoded:
        """Encode and decode in one go."""
        return self.decode(self.encode(view), prompts, previous)


def conv_stem_vit(config: ModelConfig) -> ConvStemViT:
    """Build the encoder that a config of kind ``"conv-stem-vit"`` describes."""
    encoder = config.encoder
    return ConvStemViT(
        config.view_size,
        encoder.stem,
        encoder.stage_channels,
        encoder.stage_depths,
        encoder.width,
        encoder.depth,
        encoder.heads,
        encoder.mlp_ratio,
        frozen=encoder.frozen,
    )


def _without_tokens(prompts: PromptBatch) -> PromptBatch:
    """One empty slot for each sample: prompts are seen in the reference map alone."""
    return PromptBatch.empty(len(prompts.kind), 1, device=prompts.kind.device)
