"""Presets and the network that they build: an image encoder and a prompt decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_pvpu.networks.backbones import ConvStemViT, Levels, normalize_view
from napari_pvpu.networks.blocks import upsample
from napari_pvpu.networks.config import ModelConfig
from napari_pvpu.networks.decoders import PromptDecoder
from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.networks.prompt_encoding import EMPTY, PPuE, PPuEConfig, PromptBatch
from napari_pvpu.networks.pyramids import TopDownPyramid
from napari_pvpu.networks.reference_map import ReferenceMapEmbedding, reference_states

PRESETS: dict[str, ModelConfig] = {"pvpu-nano": ModelConfig()}


class PVPUNet(PromptableNetwork):
    """Promptable segmentation of views: encode once, decode at each interaction.

    Parameters
    ----------
    config : ModelConfig
        Sizes of all parts.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        encoder, prompts, decoder = config.encoder, config.prompts, config.decoder
        c2, c4, c8, _ = config.pyramid
        self.encoder = ConvStemViT(
            config.view_size,
            encoder.stem,
            encoder.stage_channels,
            encoder.stage_depths,
            encoder.width,
            encoder.depth,
            encoder.heads,
            encoder.mlp_ratio,
        )
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
        )
        self.to(memory_format=torch.channels_last)

    def encode(self, view: Tensor) -> Features:
        """Run the image encoder; needed once for each view.

        Parameters
        ----------
        view : Tensor
            ``(B, 3, S, S)`` float32, about 0 to 1, NaN where the window leaves the image.

        Returns
        -------
        Features
            To be handed to `decode` at each interaction.
        """
        image, inside = normalize_view(view)
        levels: Levels = self.pyramid(self.encoder(image, inside))
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
            Logits at full view size, features and score.
        """
        readings = [previous, None] if second_reading and previous is not None else [previous]
        tokens = self.prompt_encoder(prompts, features.image)
        allowed = prompts.kind != EMPTY
        # A sample without any prompt keeps its first empty slot, which says just that.
        first = torch.zeros_like(allowed)
        first[:, 0] = True
        allowed = allowed | (first & ~allowed.any(1, keepdim=True))
        states = torch.cat([self._states(prompts, known) for known in readings])
        fed = None
        if previous is not None:
            unknown = torch.zeros_like(previous)
            fed = torch.cat([unknown if known is None else known for known in readings])
        levels = Levels(*features.levels)
        count, batch = len(readings), len(tokens)
        if count > 1 and batch > 1:  # a single view is broadcast without a copy
            levels = Levels._make(x.repeat(count, 1, 1, 1) for x in levels)
        out = self.decoder(
            levels,
            tokens.repeat(count, 1, 1),
            allowed.repeat(count, 1),
            self.reference2(states, fed),
            self.reference4(states, fed),
        )
        logits, pixels, prompt_features, score = (
            x.unflatten(0, (count, batch)).mean(0)
            for x in (out.logits, out.pixels, out.prompt_features, out.score)
        )
        logits = upsample(logits, features.image.shape[-2:])
        return Decoded(logits, pixels, prompt_features, score.sigmoid())

    def _states(self, prompts: PromptBatch, previous: Tensor | None) -> Tensor:
        config = self.config
        return reference_states(prompts, config.view_size, config.prompts.disk_radius, previous)

    def encoder_modules(self) -> tuple[nn.Module, ...]:
        """Return the parts that run once for each view."""
        return self.encoder, self.pyramid

    def forward(
        self, view: Tensor, prompts: PromptBatch, previous: Tensor | None = None
    ) -> Decoded:
        """Encode and decode in one go."""
        return self.decode(self.encode(view), prompts, previous)


def build_model(model: str | ModelConfig) -> PVPUNet:
    """Build a network with random weights.

    Parameters
    ----------
    model : str or ModelConfig
        A preset's name or a config.

    Returns
    -------
    PVPUNet
        In training mode, on the CPU.

    Raises
    ------
    KeyError
        If there is no preset of that name; the message lists those that exist.

    Examples
    --------
    >>> build_model("pvpu-nano").config.view_size
    128
    """
    if isinstance(model, str):
        if model not in PRESETS:
            raise KeyError(f"there is no preset {model!r}; presets are {sorted(PRESETS)}")
        model = PRESETS[model]
    return PVPUNet(model)
