"""Reading and writing weights: safetensors files that carry their model's config."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from napari_pvpu.errors import ConfigError, ModelNotFoundError, WeightsError
from napari_pvpu.networks.config import ModelConfig
from napari_pvpu.networks.models import PRESETS, build_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_pvpu.networks.interface import PromptableNetwork

BUNDLED = Path(__file__).parent.parent / "weights"
_FORMAT = "napari-pvpu 1"
_SHOWN = 10


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
    tensors = {name: value.contiguous() for name, value in state.items()}
    # Not `save_file`, whose files nobody but their owner can read.
    Path(path).write_bytes(save(tensors, header))


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
        return ModelConfig.from_dict(json.loads(header["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} holds a config that cannot be used: {error}") from error


def load_model(
    name_or_path: str | Path,
    device: str | torch.device = "cpu",
    config: ModelConfig | None = None,
) -> PromptableNetwork:
    """Load a network that is ready to run.

    Parameters
    ----------
    name_or_path : str or Path
        A preset whose weights come with the package, or a path to a ``.safetensors`` file.
    device : str or torch.device
        Where to put it.
    config : ModelConfig, optional
        What to build, instead of what the weights were saved with.

    Returns
    -------
    PromptableNetwork
        float32, in evaluation mode, without gradients.

    Raises
    ------
    ModelNotFoundError
        If the name is no preset and the path no file, or the preset has no weights here.
    WeightsError
        If the file is damaged, of another origin or does not fit the config.
    ConfigError
        If the config cannot be built: a package is missing, or parts do not go together.
    """
    path = resolve_weights(name_or_path)
    config = config or read_config(path)
    try:
        # These weights replace what a backbone would fetch.
        model = build_model(replace(config, encoder=replace(config.encoder, pretrained=False)))
    except (ValueError, ImportError) as error:
        raise ConfigError(f"the model {config.name!r} cannot be built: {error}") from error
    model.config = config
    return fill(model, path).to(device).eval().requires_grad_(False)


def fill(model: PromptableNetwork, path: str | Path) -> PromptableNetwork:
    """Give a network the weights of a file, whatever config the file carries.

    Parameters
    ----------
    model : PromptableNetwork
        The network; left as it is if anything does not fit.
    path : str or Path
        A file written by `save_weights`.

    Returns
    -------
    PromptableNetwork
        The same one.

    Raises
    ------
    ModelNotFoundError, WeightsError
        As from `read_config`, and if the file is of another architecture; the message gives the
        first ten names that are missing, are too many, or have another shape.
    """
    state = read_state(path)
    check_fit(state, model, f"the weights in {path}")
    model.load_state_dict(state)
    return model


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a weights file; errors as from `read_config`."""
    read_config(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); fetch it again") from error


def check_fit(state: Mapping[str, Tensor], model: PromptableNetwork, what: str) -> None:
    """Compare names and shapes of weights with those of a network.

    Parameters
    ----------
    state : mapping of str to Tensor
        The weights.
    model : PromptableNetwork
        The network.
    what : str
        What the weights are, as a plural, for the message.

    Raises
    ------
    WeightsError
        If they differ: the first ten names each of what is missing, of what the network does not
        have, and of what has another shape.
    """
    own = model.state_dict()
    both = [name for name in own if name in state and state[name].shape != own[name].shape]
    shapes = [f"{name} is {_shape(state[name])}, not {_shape(own[name])}" for name in both]
    differences = [
        _listed("missing", [name for name in own if name not in state]),
        _listed("unknown", [name for name in state if name not in own]),
        _listed("of another shape", shapes),
    ]
    if any(differences):
        raise WeightsError(
            f"{what} do not fit the network {model.config.name!r}, which is of another "
            f"architecture: {'; '.join(filter(None, differences))}"
        )


def _listed(kind: str, items: list[str]) -> str:
    if not items:
        return ""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{len(items)} {kind} ({', '.join(items[:_SHOWN])}{more})"


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"


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
