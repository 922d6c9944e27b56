"""The command ``train``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

from napari_pvpu.cli_parsing import Seed  # noqa: TC001 - typer reads annotations at run time
from napari_pvpu.errors import PvpuError
from napari_pvpu.waiting import wait_passively

__all__ = ["train"]


def train(
    out: Annotated[Path, typer.Argument(help="Folder for log, checkpoint and weights.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with images/ and masks/, in a benchmark's layout, or COCO or "
            "LVIS annotations (.json, with --images); may be repeated."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images of annotation files.")
    ] = None,
    min_area: Annotated[
        int, typer.Option(min=1, help="Leave out smaller objects of annotation files (pixels).")
    ] = 1,
    model: Annotated[
        str,
        typer.Option(
            help="Preset or YAML file to train from nothing; a weights file, or a YAML file "
            "that names weights, to go on from them."
        ),
    ] = "pvpu-nano",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="pvpu, pvpuformer, simpleclick, interformer, probabilistic, or a YAML file; the "
            "model's own by default."
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Change the recipe: optimizer.rate=1e-4; repeat."
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show-recipe", help="Print the recipe as YAML and train nothing.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Length of the whole run; the recipe's by default.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Stop after this long; run again to go on.")] = 1e9,
    synthetic: Annotated[int, typer.Option(min=0, help="Number of synthetic scenes.")] = 2000,
    synthetic_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of synthetic scenes in each batch.")
    ] = 0.4,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Processes that make scenes.")] = 2,
) -> None:
    """Train a model on folders and synthetic scenes; goes on from a checkpoint in OUT.

    On several GPUs: torchrun --nproc-per-node 2 -m napari_pvpu train OUT --device cuda
    """
    wait_passively()  # torch is imported below
    from dataclasses import replace

    from napari_pvpu.model_files import find_model
    from napari_pvpu.training.command import train as run
    from napari_pvpu.training.recipe_files import find_recipe, recipe_as_yaml

    config = find_recipe(find_model(model).config, recipe, setting or ())
    config = config if steps is None else replace(config, steps=steps)
    if show:
        typer.echo(recipe_as_yaml(config), nl=False)
        return
    if not data and not synthetic:
        raise PvpuError("there is nothing to train on; give --data or --synthetic above 0")
    run(
        [str(source) for source in data or ()],
        out,
        images=images,
        min_area=min_area,
        model=model,
        minutes=minutes,
        synthetic=synthetic,
        synthetic_share=synthetic_share,
        synthetic_seed=seed,
        device=device,
        workers=workers,
        config=config,
    )
