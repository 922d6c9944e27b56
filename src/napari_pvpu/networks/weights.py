"""Reading and writing weights: safetensors files that carry their model's config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_pvpu.errors import ModelNotFoundError, WeightsError
from napari_pvpu.networks.config import ModelConfig
from napari_pvpu.networks.models import PRESETS, build_model

if TYPE_CHECKING:
    from napari_pvpu.networks.interface import PromptableNetwork

BUNDLED = Path(__file__).parent.parent / "weights"
_FORMAT = "napari-pvpu 1"


def bundled_path(name: str) -> Path:
    """Return where the package keeps the weights of a preset, whether or not they are there."""
    return BUNDLED / f"{name}.safetensors"


def save_weights(
    model: PromptableNetwork,
    path: str | Path,
    metadata: dict[str, str] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network's weights and config.

    Parameters
    ----------
    model : PromptableNetwork
        The network.
    path : str or Path
        File to write.
    metadata : dict of str to str, optional
        More facts for the file's header, such as the number of images seen.
    dtype : torch.dtype
        Floating-point type in the file. Counters keep theirs.
    """
    state = {
        name: value.detach().cpu().to(dtype if value.is_floating_point() else value.dtype)
        for name, value in model.state_dict().items()
    }
    header = dict(metadata or {})
    header |= {"format": _FORMAT, "config": json.dumps(model.config.to_dict())}
    save_file({name: value.contiguous() for name, value in state.items()}, str(path), header)


def read_config(path: str | Path) -> ModelConfig:
    """Read the config from a weights file without reading the weights.

    Parameters
    ----------
    path : str or Path
        A file written by `save_weights`.

    Returns
    -------
    ModelConfig
        What the network is built from.

    Raises
    ------
    ModelNotFoundError
        If there is no such file.
    WeightsError
        If the file is damaged or of another origin.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelNotFoundError(f"there are no weights at {path}; check the path")
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read as safetensors ({error}); it may be cut off: fetch it again"
        ) from error
    if header.get("format") != _FORMAT:
        raise WeightsError(
            f"{path} is not a weights file of napari-pvpu (format {header.get('format')!r}, "
            f"expected {_FORMAT!r})"
        )
    try:
        return ModelConfig.from_dict(_nested(json.loads(header["config"])))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} holds a config that cannot be used: {error}") from error


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    """Read the flat config of the first weights files."""
    if "vit_width" not in values:
        return values
    encoder = {k: values[k] for k in ("stem", "stage_channels", "stage_depths")}
    encoder |= {k: values[f"vit_{k}"] for k in ("width", "depth", "heads", "mlp_ratio")}
    prompts = {k: values[f"ppue_{k}"] for k in ("sigma", "gamma", "tau", "hidden")}
    prompts["disk_radius"] = values["disk_radius"]
    decoder = {
        "depth": values["decoder_depth"],
        "heads": values["decoder_heads"],
        "pixel_channels": values["pixel_dim"],
    }
    return {
        "name": values["name"],
        "view_size": values["view_size"],
        "pyramid": values["pyramid_channels"],
        "encoder": encoder,
        "prompts": prompts,
        "decoder": decoder,
    }


def load_model(name_or_path: str | Path, device: str | torch.device = "cpu") -> PromptableNetwork:
    """Load a network that is ready to run.

    Parameters
    ----------
    name_or_path : str or Path
        A preset whose weights come with the package, or a path to a ``.safetensors`` file.
    device : str or torch.device
        Where to put it.

    Returns
    -------
    PromptableNetwork
        float32, in evaluation mode, without gradients.

    Raises
    ------
    ModelNotFoundError
        If the name is no preset and the path no file, or the preset has no weights here.
    WeightsError
        If the file is damaged, of another origin or does not fit its config.
    """
    path = resolve_weights(name_or_path)
    model = build_model(read_config(path))
    try:
        with safe_open(str(path), framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}
        model.load_state_dict(state)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WeightsError(f"the weights in {path} do not fit their config: {error}") from error
    return model.to(device).eval().requires_grad_(False)


def resolve_weights(name_or_path: str | Path) -> Path:
    """Return the file behind a preset's name or a path.

    Raises
    ------
    ModelNotFoundError
        If it is neither; the message lists the presets.
    """
    name = str(name_or_path)
    if name in PRESETS:
        if not bundled_path(name).is_file():
            raise ModelNotFoundError(
                f"the weights of {name!r} are not part of this installation; "
                "give the path of a .safetensors file instead"
            )
        return bundled_path(name)
    if Path(name).is_file():
        return Path(name)
    raise ModelNotFoundError(
        f"there is no model {name!r}: it is neither one of {sorted(PRESETS)} nor a weights file"
    )
