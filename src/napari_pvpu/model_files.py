"""What a model's name may be: a preset, a YAML file that describes a model, a weights file.

A YAML file names settings of `ModelConfig` and, if it likes, two things more::

    base: pvpu-nano          # a preset or another such file; what is not named is as it is there
    weights: run/weights.safetensors   # relative to this file
    decoder:
      depth: 3
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from napari_pvpu.errors import ConfigError, ModelNotFoundError
from napari_pvpu.networks import models, weights
from napari_pvpu.networks.config import ModelConfig
from napari_pvpu.yaml_files import merged, read_yaml, to_yaml

if TYPE_CHECKING:
    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["ModelSource", "config_as_yaml", "find_model", "load_network", "sketch_network"]

_YAML = (".yaml", ".yml")


class ModelSource(NamedTuple):
    """What stands behind a model's name.

    Attributes
    ----------
    config : ModelConfig
        What the network is built from.
    weights : Path or None
        Its weights, if there are any.
    file : Path or None
        The YAML file that describes it, if one does.
    """

    config: ModelConfig
    weights: Path | None
    file: Path | None = None

    def changed_at(self) -> float:
        """Return when the model was last written, in seconds since 1970."""
        files = [path for path in (self.weights, self.file) if path is not None]
        return max((path.stat().st_mtime for path in files), default=0.0)


def find_model(name: str | Path) -> ModelSource:
    """Return what stands behind a model's name, without building anything.

    Parameters
    ----------
    name : str or Path
        A preset's name, or the path of a YAML file or of a weights file.

    Raises
    ------
    ModelNotFoundError
        If it is none of them; the message lists presets.
    ConfigError
        If a YAML file cannot be used; the message says where and what is allowed.
    WeightsError
        If a weights file is damaged or of another origin.
    """
    text = str(name)
    if text in models.PRESETS:
        path = weights.bundled_path(text)
        return ModelSource(models.PRESETS[text], path if path.is_file() else None)
    path = Path(text).expanduser()
    if path.suffix.lower() in _YAML and path.is_file():
        return _read_model_file(path)
    if path.is_file():
        return ModelSource(weights.read_config(path), path)
    similar = difflib.get_close_matches(text, models.PRESETS, n=1)
    hint = f"did you mean {similar[0]!r}? " if similar else ""
    raise ModelNotFoundError(
        f"there is no model {text!r}: {hint}it is neither a preset ({', '.join(models.PRESETS)}) "
        "nor a YAML or weights file"
    )


def load_network(name: str | Path, device: str | torch.device = "cpu") -> PromptableNetwork:
    """Load a network that is ready to run.

    Parameters
    ----------
    name : str or Path
        As for `find_model`.
    device : str or torch.device
        Where to put it.

    Returns
    -------
    PromptableNetwork
        float32, in evaluation mode, without gradients.

    Raises
    ------
    ModelNotFoundError
        If there is no such model, or none with weights.
    ConfigError
        If a YAML file cannot be used.
    WeightsError
        If the weights are damaged or of another architecture.
    """
    source = find_model(name)
    if source.weights is None:
        raise ModelNotFoundError(_how_to_get_weights(str(name), source))
    return weights.load_model(source.weights, device, source.config)


def sketch_network(config: ModelConfig) -> PromptableNetwork:
    """Build a network without numbers: all names and shapes, no memory, in a moment.

    Parameters
    ----------
    config : ModelConfig
        Its settings.

    Returns
    -------
    PromptableNetwork
        On the device "meta".

    Raises
    ------
    ConfigError
        If settings do not go together, a backbone is unknown or a package is missing.
    """
    bare = replace(config, encoder=replace(config.encoder, pretrained=False))
    try:
        with torch.device("meta"):
            network = models.build_model(bare)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"the model {config.name!r} cannot be built: {error}") from error
    network.config = config
    return network


def config_as_yaml(config: ModelConfig) -> str:
    """Return a config as the text of a YAML file that describes the same model."""
    return to_yaml(config.to_dict())


def _read_model_file(path: Path, above: tuple[Path, ...] = ()) -> ModelSource:
    """Read a YAML file and those that it is based on."""
    if path.resolve() in above:
        raise ConfigError(f"{path} is based on itself, by way of {', '.join(map(str, above))}")
    values = read_yaml(path)
    base, trained = _word(values, "base", path), _word(values, "weights", path)
    start: dict[str, Any] = {}
    if base in models.PRESETS:
        start = models.PRESETS[base].to_dict()
    elif base:
        file = path.parent / Path(base).expanduser()
        if file.suffix.lower() not in _YAML or not file.is_file():
            raise ConfigError(
                f"{path}: base is {base!r}, which is neither a preset "
                f"({', '.join(models.PRESETS)}) nor a YAML file beside this one"
            )
        start = _read_model_file(file, (*above, path.resolve())).config.to_dict()
    start["name"] = path.stem
    try:
        config = ModelConfig.from_dict(merged(start, values))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    return ModelSource(config, _weights_beside(path, trained), path)


def _word(values: dict[str, Any], name: str, path: Path) -> str:
    """Take one of the two settings that are not the config's out of a file's."""
    value = values.pop(name, "")
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {name} is {value!r}; give a name or a path")
    return value


def _weights_beside(path: Path, name: str) -> Path | None:
    if not name:
        return None
    found = path.parent / Path(name).expanduser()
    if not found.is_file():
        raise ModelNotFoundError(f"{path}: there are no weights at {found}; check the path")
    return found


def _how_to_get_weights(name: str, source: ModelSource) -> str:
    if source.file is not None:
        return (
            f"{name} names no weights; train it with 'napari-pvpu train OUT --model {name}', then "
            "add a line 'weights: OUT/weights.safetensors' with the path as seen from the file"
        )
    return (
        f"the weights of {name!r} are not part of this installation; train it with 'napari-pvpu "
        f"train OUT --model {name}' and give the path of OUT/weights.safetensors, or see "
        "'napari-pvpu models'"
    )
