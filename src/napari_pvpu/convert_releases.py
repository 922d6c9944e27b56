"""Official checkpoints as weights files that every part of this package opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from napari_pvpu.errors import ModelNotFoundError, WeightsError
from napari_pvpu.networks.models import PRESETS, build_model
from napari_pvpu.networks.released_names import INTERFORMER, PVPUFORMER, SIMPLECLICK
from napari_pvpu.networks.released_weights import load_released
from napari_pvpu.networks.weights import save_weights

if TYPE_CHECKING:
    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.released_names import Release
    from napari_pvpu.networks.released_weights import Conversion

__all__ = ["RELEASES", "OfficialModel", "convert_checkpoint"]


class OfficialModel(NamedTuple):
    """A published network.

    Attributes
    ----------
    names : Release
        The table of its tensors' names.
    config : ModelConfig
        What it was trained as.
    """

    names: Release
    config: ModelConfig


def _as_released(config: ModelConfig) -> ModelConfig:
    """PVPUFormer as its released code runs, without what we repaired or added."""
    prompts = replace(config.prompts, rows_first=True, mask_empty_slots=False, gamma=0.0)
    return replace(config, prompts=prompts)


RELEASES: dict[str, OfficialModel] = {
    "interformer-light": OfficialModel(INTERFORMER, PRESETS["interformer-light"]),
    "interformer-tiny": OfficialModel(INTERFORMER, PRESETS["interformer-tiny"]),
    "simpleclick-vit-b": OfficialModel(SIMPLECLICK, PRESETS["simpleclick-vit-b"]),
    "pvpuformer-vit-b16": OfficialModel(PVPUFORMER, _as_released(PRESETS["pvpuformer-vit-b16"])),
}
"""By the name of the preset."""


def convert_checkpoint(
    release: str, checkpoint: str | Path, out: str | Path, *, half: bool = False
) -> Conversion:
    """Write an official checkpoint's weights in this package's format.

    Parameters
    ----------
    release : str
        One of `RELEASES`.
    checkpoint : str or Path
        The official file. Nothing that is in it is run.
    out : str or Path
        File to write, with its model's settings in it.
    half : bool
        Numbers of 16 bits instead of the checkpoint's 32.

    Returns
    -------
    Conversion
        What became of every name.

    Raises
    ------
    ModelNotFoundError
        If there is no such release or no such file.
    WeightsError
        If the checkpoint cannot be read, holds a tensor that is in no table, lacks one, or is of
        other sizes; the message gives the first ten. Also if `out` is no ``.safetensors`` name.
    """
    if release not in RELEASES:
        raise ModelNotFoundError(f"there is no release {release!r}; use {', '.join(RELEASES)}")
    out = Path(out)
    if out.suffix != ".safetensors":
        raise WeightsError(f"weights cannot be written as {out.name!r}; use a name in .safetensors")
    official = RELEASES[release]
    network = build_model(official.config)
    done = load_released(network, official.names, checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"converted from": f"{Path(checkpoint).name}, a release of {official.names.name}"}
    save_weights(network, out, facts, torch.float16 if half else torch.float32)
    return done
