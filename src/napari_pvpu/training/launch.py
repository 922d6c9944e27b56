"""What the commands of `options` do, for both command lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_pvpu.errors import ConfigError, PvpuError
from napari_pvpu.training.data_report import A_FEW, BadDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_pvpu.training.options import Command
    from napari_pvpu.training.settings import TrainingConfig

__all__ = ["Outcome", "launch"]

_STOCK = 2000
"""Scenes made beforehand where none are streamed."""


class Outcome(NamedTuple):
    """What a command has to say.

    Attributes
    ----------
    text : str
        To be printed.
    code : int
        Exit status.
    """

    text: str = ""
    code: int = 0


def launch(command: Command, values: dict[str, Any]) -> Outcome:
    """Do what a command says.

    Parameters
    ----------
    command : Command
        Which.
    values : dict
        Of all its options, by name.

    Returns
    -------
    Outcome
        Mistakes in data, if they are several, come as a report with exit status 2.

    Raises
    ------
    PvpuError
        Other errors, each of one sentence.
    """
    try:
        outcome: Outcome = _FUNCTIONS[command.short](**values)
    except BadDataError as error:
        if len(error.report.mistakes) < 2:
            raise
        after = "nothing was done; --skip-bad goes on without them"
        return Outcome(f"{error.report.text()}\n{after}\n", 2)
    return outcome


def train(
    *,
    data: Sequence[Path],
    recipe: str | None,
    setting: Sequence[str],
    stream: bool,
    synthetic: int | None,
    profile: int,
    out: Path | None = None,
    show_recipe: bool = False,
    minutes: float = 0.0,
    **fields: Any,
) -> Outcome:
    """Train, or show the recipe, or profile; see `command.train` and `command.profile`."""
    from napari_pvpu.features.devices import choose_device
    from napari_pvpu.model_files import find_model
    from napari_pvpu.training import command
    from napari_pvpu.training.recipe_files import find_recipe, recipe_as_yaml
    from napari_pvpu.training.run_data import default_stream

    model = find_model(fields["model"]).config
    place = choose_device(fields["device"])
    config = find_recipe(model, recipe, device=place.type)
    # Before the settings, so that they may change a stream that the recipe does not have.
    if not stream:
        config = replace(config, stream=None)
    elif config.stream is None:
        config = replace(config, stream=default_stream(place))
    fields["config"] = _with_settings(config, setting)
    fields["synthetic"] = (0 if stream else _STOCK) if synthetic is None else synthetic
    options = command.RunOptions(**fields)
    if show_recipe:
        return Outcome(recipe_as_yaml(options.settings(model)))
    if not (data or options.synthetic or fields["config"].stream):
        raise PvpuError("there is nothing to train on; give --data, --stream or --synthetic")
    sources = [str(source) for source in data]
    if profile or out is None:
        return Outcome(command.profile(sources, options, profile).text + "\n")
    command.train(sources, out, minutes=minutes, **fields)
    return Outcome()


def _with_settings(config: TrainingConfig, settings: Sequence[str]) -> TrainingConfig:
    from napari_pvpu.training.recipes import changed
    from napari_pvpu.yaml_files import nested

    for assignment in settings:
        change = nested(assignment)
        try:
            config = changed(config, change)
        except ValueError as error:
            raise ConfigError(f"--set {assignment}: {error}") from error
    return config


def pack_sources(
    *, sources: Sequence[Path], out: Path, quality: int, lossless: bool, **options: Any
) -> Outcome:
    """Pack training data; see `packing.pack`."""
    from napari_pvpu.training.packing import pack

    result = pack(sources, out, quality=None if lossless else quality, **options)
    left_out = "" if not result.report.problems else "\n" + result.report.text(A_FEW)
    return Outcome(result.text() + left_out)


def check(
    *,
    sources: Sequence[Path],
    images: Path | None,
    min_area: int,
    examples: int | None,
    list_file: Path | None,
) -> Outcome:
    """List what is wrong with training data; see `check_data`."""
    from napari_pvpu.training.data_check import check_data

    report = check_data(sources, images, min_area)
    if list_file is not None:
        report.write(list_file)
    return Outcome(report.text(examples), 0 if report.ok else 1)


def sheet(*, out: Path, **options: Any) -> Outcome:
    """Write a contact sheet; see `contact_sheet`."""
    from napari_pvpu.training.sheets import contact_sheet, write_picture

    picture = contact_sheet(**options)
    write_picture(picture, out)
    return Outcome(f"{out}: {picture.shape[1]} x {picture.shape[0]} pixels\n")


_FUNCTIONS: dict[str, Callable[..., Outcome]] = {
    "train": train,
    "profile": train,
    "pack": pack_sources,
    "check": check,
    "sheet": sheet,
}
