"""Each preset in a size that a test can afford: the same parts, narrow and shallow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.networks.models import PRESETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.networks.config import ModelConfig

SIZE = 64


def small_preset(name: str, times: int = 1) -> ModelConfig:
    """Return a preset for views of 64 pixels with a few channels, or `times` as many.

    Backbones of timm and segmentation-models-pytorch are the smallest of their family; BoTNet-50
    has no smaller one.
    """
    config = replace(PRESETS[name], view_size=SIZE)
    shrink = {
        "light": _small_light,
        "dma": _small_dma,
        "imsa": _small_imsa,
        "simpleclick": _small_dma,
    }
    return shrink[config.decoder.kind](config, times)


def _small_light(config: ModelConfig, times: int) -> ModelConfig:
    # pvpu-small stays the deeper of the two.
    deeper = config.name == "pvpu-small"
    encoder = replace(
        config.encoder,
        stem=8 * times,
        stage_channels=(16 * times, 16 * times),
        stage_depths=(1, 1 + deeper),
        width=32 * times,
        depth=1 + deeper,
        heads=2,
    )
    return replace(
        config,
        encoder=encoder,
        pyramid=(8 * times, 16 * times, 16 * times, 16 * times),
        prompts=replace(config.prompts, hidden=32 * times),
        decoder=replace(config.decoder, heads=2, pixel_channels=16 * times),
    )


def _small_dma(config: ModelConfig, times: int) -> ModelConfig:
    small = {"hrnet_w18_small_v2": "hrnet_w18_small", "resnet50": "resnet18"}
    encoder = replace(config.encoder, name=small.get(config.encoder.name, config.encoder.name))
    width = 48 * times
    if encoder.kind == "vit":
        encoder = replace(encoder, width=width, depth=2, heads=4, window_size=2, global_blocks=(1,))
    return replace(
        config,
        encoder=encoder,
        pyramid=(16 * times, 16 * times, 32 * times, 32 * times),
        prompts=replace(config.prompts, hidden=64 * times, slots=6),
        decoder=replace(
            config.decoder,
            heads=4,
            mlp_channels=64 * times,
            pixel_channels=32 * times,
            neck_width=width,
        ),
    )


def _small_imsa(config: ModelConfig, times: int) -> ModelConfig:
    return replace(
        config,
        encoder=replace(config.encoder, width=48 * times, depth=2, heads=4),
        pyramid=(8 * times, 16 * times, 32 * times, 64 * times),
        decoder=replace(config.decoder, pixel_channels=32 * times),
    )


def made_up_scene(side: int = 96, margin: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """A grey picture of a disk, a box and an ellipse, and their labels.

    `side` pixels hold the three; `margin` pixels of ground lie around them.
    """
    row, col = (np.mgrid[: side + 2 * margin, : side + 2 * margin] - margin) / side
    labels = np.zeros(row.shape, np.uint16)
    labels[(row - 0.27) ** 2 + (col - 0.27) ** 2 < 0.17**2] = 1
    labels[(np.abs(row - 0.7) < 0.13) & (np.abs(col - 0.28) < 0.18)] = 2
    labels[((row - 0.5) / 0.3) ** 2 + ((col - 0.74) / 0.15) ** 2 < 1] = 3
    noise = np.random.default_rng(0).normal(0, 6, labels.shape)
    image = np.array([50, 190, 140, 100])[labels] + noise
    return image.clip(0, 255).astype(np.uint8), labels
