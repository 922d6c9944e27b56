"""Commands about models: ``models``, ``models show`` and ``convert``."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated, Any

import typer

from napari_pvpu.waiting import wait_passively

__all__ = ["convert", "models"]


class Timing(StrEnum):
    """Which presets are timed."""

    none = "none"
    some = "some"
    all = "all"


models = typer.Typer(
    name="models",
    invoke_without_command=True,
    help="List the presets; `models show NAME` prints the settings of one.",
)


@models.callback()
def list_models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    time: Annotated[
        Timing, typer.Option(help="Time presets: those with weights and small ones, all, or none.")
    ] = Timing.some,
    device: Annotated[str, typer.Option(help="Where to time: auto, cpu, cuda, mps.")] = "auto",
) -> None:
    """List the presets: parameters, those at work in each interaction, view, speed, weights."""
    if context.invoked_subcommand is not None:
        return
    wait_passively()
    from napari_pvpu.model_listing import describe_presets, listing

    rows = describe_presets(time.value, device)
    typer.echo(json.dumps([row.to_dict() for row in rows], indent=2) if as_json else listing(rows))


@models.command()
def show(
    name: Annotated[str, typer.Argument(help="A preset, or path of a YAML or weights file.")],
) -> None:
    """Print a model's settings as YAML: a file to change and to name as a model."""
    from napari_pvpu.model_files import config_as_yaml, find_model

    typer.echo(config_as_yaml(find_model(name).config), nl=False)


def convert(
    release: Annotated[
        str,
        typer.Argument(
            help="interformer-light, interformer-tiny, simpleclick-vit-b or pvpuformer-vit-b16."
        ),
    ],
    checkpoint: Annotated[Path, typer.Argument(help="The official checkpoint (.pth).")],
    out: Annotated[Path, typer.Argument(help="Weights file to write: .safetensors.")],
    half: Annotated[bool, typer.Option("--half", help="16-bit numbers, half the size.")] = False,
) -> None:
    """Turn an official checkpoint into a weights file; every tensor of it is accounted for."""
    wait_passively()
    from napari_pvpu.convert_releases import convert_checkpoint

    done = convert_checkpoint(release, checkpoint, out, half=half)
    typer.echo(f"{out}: {len(done.state)} tensors taken, {out.stat().st_size / 1e6:.0f} MB")
    for title, reasons in (("left out", done.left_out), ("not in it", done.not_released)):
        for reason, names in _by_reason(reasons).items():
            typer.echo(f"{len(names)} {title} ({reason}): {_few(names)}")


def _by_reason(reasons: dict[str, str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        out.setdefault(reason, []).append(name)
    return out


def _few(names: list[Any]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
