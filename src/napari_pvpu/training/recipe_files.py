"""What a recipe's name may be, and settings of it that are changed in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import ConfigError
from napari_pvpu.training.recipes import RECIPES, changed, recipe_for
from napari_pvpu.yaml_files import nested, read_yaml, to_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.training.trainer import TrainingConfig

__all__ = ["find_recipe", "recipe_as_yaml"]


def find_recipe(
    model: ModelConfig,
    name: str | Path | None = None,
    settings: Iterable[str] = (),
    device: str = "cpu",
) -> TrainingConfig:
    """Return how to train a model.

    Parameters
    ----------
    model : ModelConfig
        Its view size is the size of the views in training, unless a file or setting says other.
    name : str or Path, optional
        One of `RECIPES`, or a YAML file with settings of `TrainingConfig`; what the file does not
        name is as in the recipe that its ``base:`` names. Left out, here or there: the model's own.
    settings : iterable of str
        Changes to that, such as ``"optimizer.rate=1e-4"``.
    device : str
        Type of the device that trains; the model's own recipe depends on it.

    Raises
    ------
    ConfigError
        If there is no such recipe, the file cannot be used, or a setting is unknown or of the
        wrong type; the message says where and what is allowed.
    """
    recipe = _read(model, str(name), device) if name else recipe_for(model, device)
    for assignment in settings:
        recipe = _changed(recipe, nested(assignment), f"--set {assignment}")
    return recipe


def recipe_as_yaml(recipe: TrainingConfig) -> str:
    """Return a recipe as the text of a YAML file that says the same."""
    from dataclasses import asdict

    return to_yaml(asdict(recipe))


def _read(model: ModelConfig, name: str, device: str) -> TrainingConfig:
    size = {"sampling": {"size": model.view_size}}
    if name in RECIPES:
        return changed(RECIPES[name], size)
    path = Path(name).expanduser()
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        raise ConfigError(
            f"there is no recipe {name!r}: it is neither one of {', '.join(RECIPES)} nor a YAML "
            "file"
        )
    values = read_yaml(path)
    base = values.pop("base", None)
    if base is not None and base not in RECIPES:
        raise ConfigError(f"{path}: base is {base!r}; use one of {', '.join(RECIPES)}")
    start = recipe_for(model, device) if base is None else changed(RECIPES[base], size)
    return _changed(start, values, str(path))


def _changed(recipe: TrainingConfig, changes: dict[str, Any], where: str) -> TrainingConfig:
    try:
        return changed(recipe, changes)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
