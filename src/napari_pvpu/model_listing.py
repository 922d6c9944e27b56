"""What ``napari-pvpu models`` tells: every preset's size and speed, and where its weights are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_pvpu.convert_releases import RELEASES
from napari_pvpu.errors import ConfigError
from napari_pvpu.model_files import sketch_network
from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.networks.models import PRESETS, build_model
from napari_pvpu.networks.weights import bundled_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.networks.config import ModelConfig

__all__ = ["LARGE", "PresetRow", "describe_presets", "listing"]

LARGE = 30_000_000
"""Parameters from which on a preset without weights is timed only when asked for."""

_NOTE = """\
Parameters are millions: all, and those at work in each interaction; "view" is its side in model
pixels; the speed is that of this machine. Weights are the package's own, or yours to make:
  train    napari-pvpu train OUT --model NAME
  convert  napari-pvpu convert NAME CHECKPOINT OUT.safetensors, from the authors' checkpoint
Presets begin with random weights. A YAML file may ask timm for pretrained encoders
("pretrained: true"); those of MAE are for non-commercial use (CC BY-NC 4.0).
"""


@dataclass(frozen=True, slots=True)
class PresetRow:
    """One preset.

    Attributes
    ----------
    name : str
        Its name.
    parameters, interactive_parameters : int or None
        Numbers of all parameters and of those that run at each interaction; None where a package
        that the preset needs is missing.
    view_size : int
        Side of the view in model pixels.
    encode_ms, interaction_ms : float or None
        Medians on this machine, if measured.
    weights : str or None
        Path of the weights that come with the package.
    weights_mb : float or None
        Their size.
    get_weights : tuple of str
        Commands that make weights.
    problem : str or None
        Why the preset cannot be built here.
    """

    name: str
    parameters: int | None
    interactive_parameters: int | None
    view_size: int
    encode_ms: float | None
    interaction_ms: float | None
    weights: str | None
    weights_mb: float | None
    get_weights: tuple[str, ...]
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def describe_presets(
    time: Literal["none", "some", "all"] = "some", device: str = "auto"
) -> list[PresetRow]:
    """Describe every preset.

    Parameters
    ----------
    time : str
        Which presets to time: ``"none"``; ``"some"``, those whose weights are here or that have
        fewer than `LARGE` parameters; ``"all"``, which takes minutes and gigabytes.
    device : str
        Where to time them.
    """
    return [_describe(config, time, device) for config in PRESETS.values()]


def _describe(config: ModelConfig, time: str, device: str) -> PresetRow:
    name, path = config.name, bundled_path(config.name)
    here = path.is_file()
    commands = [f"napari-pvpu train OUT --model {name}"]
    if name in RELEASES:
        commands.append(f"napari-pvpu convert {name} CHECKPOINT OUT.safetensors")
    total = interactive = encode_ms = interaction_ms = problem = None
    try:
        total, interactive = count_parameters(sketch_network(config))
    except ConfigError as error:
        problem = str(error)
    if total and (time == "all" or (time == "some" and (here or total < LARGE))):
        from napari_pvpu.features.timing import measure

        encode_ms, interaction_ms = (round(ms, 1) for ms in measure(build_model(config), device))
    return PresetRow(
        name,
        total,
        interactive,
        config.view_size,
        encode_ms,
        interaction_ms,
        str(path) if here else None,
        round(path.stat().st_size / 1e6, 1) if here else None,
        tuple(commands),
        problem,
    )


def listing(rows: Sequence[PresetRow]) -> str:
    """Return a table of presets, and how to read it."""
    table = [
        ("name", "parameters", "interactive", "view", "encode ms", "interaction ms", "weights")
    ]
    table += [
        (
            row.name,
            _millions(row.parameters),
            _millions(row.interactive_parameters),
            str(row.view_size),
            _ms(row.encode_ms),
            _ms(row.interaction_ms),
            _weights(row),
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if i in (0, len(widths) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
    problems = [row.problem for row in rows if row.problem]
    return "\n".join([*lines, "", *problems, _NOTE.rstrip()])


def _millions(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.2f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _weights(row: PresetRow) -> str:
    if row.weights:
        return f"bundled, {row.weights_mb} MB"
    return "convert or train" if len(row.get_weights) > 1 else "train"
