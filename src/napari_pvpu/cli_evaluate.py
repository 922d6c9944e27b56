"""Commands that measure: ``evaluate``, ``evaluate-all`` and ``report``."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

from napari_pvpu.cli_parsing import (
    Device,
    Em,
    Model,
    ProtocolChoice,
    Seed,
    Threshold,
    ZoomChoice,
    protocol_settings,
)
from napari_pvpu.waiting import wait_passively

__all__ = ["evaluate", "evaluate_all", "report"]


class PromptKind(StrEnum):
    """Kind of the first interaction."""

    click = "click"
    box = "box"
    scribble = "scribble"
    mixed = "mixed"


Kind = Annotated[
    PromptKind,
    typer.Option(help="Kind of the first interaction, clicks follow; mixed: every one at random."),
]
Most = Annotated[int, typer.Option(min=1, help="Interactions per object at most.")]
Targets = Annotated[list[float], typer.Option(help="IoUs to reach, several after one flag.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Objects per set, spread over images.")]
MinArea = Annotated[int, typer.Option(min=1, help="Leave out smaller objects (pixels).")]
Jitter = Annotated[float, typer.Option(min=0, help="Clicks land up to this many pixels off.")]
Protocol = Annotated[
    ProtocolChoice,
    typer.Option(help="session: as a person works; ritm: the network alone, as in the papers."),
]
Flip = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="ritm: mirrored image as well; on by default."),
]
Zoom = Annotated[
    ZoomChoice | None,
    typer.Option(help="ritm: crops around the object; simpleclick (as PVPUFormer) by default."),
]
ViewSize = Annotated[
    int | None,
    typer.Option(min=32, help="ritm: side of what the network sees, if not the model's own."),
]
Seeds = Annotated[
    int, typer.Option(min=1, help="Segment this often, with other jitter; gives mean and spread.")
]
IouAnalysis = Annotated[
    bool, typer.Option("--iou-analysis", help="Make all interactions, targets met or not.")
]
Layout = Annotated[str, typer.Option(help="auto, folder, grabcut, berkeley, davis, sbd or voc.")]


def evaluate(
    dataset: Annotated[
        Path, typer.Argument(help="Folder with images/ and masks/, or in a benchmark's layout.")
    ],
    prompts: Kind = PromptKind.click,
    max_interactions: Most = 20,
    targets: Targets = [0.8, 0.85, 0.9],  # noqa: B006 - typer copies it
    model: Model = "pvpu-nano",
    method: Annotated[
        str, typer.Option(help="pvpu, random-walker, grabcut, watershed, flood or otsu.")
    ] = "pvpu",
    em: Em = False,
    limit: Limit = None,
    min_area: MinArea = 1,
    seed: Seed = 0,
    device: Device = "auto",
    threshold: Threshold = 0.49,
    jitter: Jitter = 0.0,
    seeds: Seeds = 1,
    protocol: Protocol = ProtocolChoice.session,
    flip: Flip = None,
    zoom_in: Zoom = None,
    view_size: ViewSize = None,
    iou_analysis: IouAnalysis = False,
    split: Annotated[str, typer.Option(help="Of layouts that have lists of images.")] = "val",
    layout: Layout = "auto",
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the result here.")] = None,
) -> None:
    """Count how many prompts a method needs on a folder of images with masks."""
    wait_passively()  # torch is imported below
    from napari_pvpu.evaluation.report import protocol_table, seeds_table, summary_table
    from napari_pvpu.evaluation.runner import evaluate as run
    from napari_pvpu.evaluation.settings import EvaluationSettings
    from napari_pvpu.evaluation.suite import write_json

    settings = EvaluationSettings(
        prompts=prompts.value,
        max_interactions=max_interactions,
        targets=tuple(targets),
        method=method,
        model=model,
        device=device,
        em=em,
        limit=limit,
        min_area=min_area,
        seed=seed,
        threshold=threshold,
        jitter=jitter,
        seeds=seeds,
        iou_analysis=iou_analysis,
        split=split,
        layout=layout,
        view_size=view_size,
        **protocol_settings(protocol, flip, zoom_in),
    )
    result = run(dataset, settings)
    if json_path is not None:
        write_json(json_path, result)
    papers = protocol is ProtocolChoice.ritm
    typer.echo((protocol_table if papers else summary_table)([result]), nl=False)
    if seeds > 1:
        typer.echo("\n" + seeds_table(result), nl=False)


def evaluate_all(
    root: Annotated[
        Path, typer.Argument(help="Folder of sets: NAME/val or NAME with images/, or benchmarks.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for one JSON per set and method, report.md.")],
    split: Annotated[str, typer.Option(help="Which split of each set.")] = "val",
    prompts: Kind = PromptKind.click,
    max_interactions: Most = 20,
    targets: Targets = [0.8, 0.85, 0.9],  # noqa: B006 - typer copies it
    model: Model = "pvpu-nano",
    method: Annotated[list[str], typer.Option(help="As for evaluate; may be repeated.")] = ["pvpu"],  # noqa: B006
    em: Em = False,
    limit: Limit = None,
    min_area: MinArea = 1,
    seed: Seed = 0,
    device: Device = "auto",
    threshold: Threshold = 0.49,
    jitter: Jitter = 0.0,
    seeds: Seeds = 1,
    protocol: Protocol = ProtocolChoice.session,
    flip: Flip = None,
    zoom_in: Zoom = None,
    view_size: ViewSize = None,
    iou_analysis: IouAnalysis = False,
) -> None:
    """Evaluate every set below a folder, with the mean over sets and tables in Markdown.

    Results that are already in the output folder, made with the same settings, are kept.
    """
    wait_passively()  # torch is imported below
    from napari_pvpu.evaluation.settings import EvaluationSettings
    from napari_pvpu.evaluation.suite import evaluate_suite, find_sets

    settings = EvaluationSettings(
        prompts=prompts.value,
        max_interactions=max_interactions,
        targets=tuple(targets),
        model=model,
        device=device,
        em=em,
        limit=limit,
        min_area=min_area,
        seed=seed,
        threshold=threshold,
        jitter=jitter,
        seeds=seeds,
        iou_analysis=iou_analysis,
        split=split,
        view_size=view_size,
        **protocol_settings(protocol, flip, zoom_in),
    )
    each = [replace(settings, method=name) for name in method]
    typer.echo(evaluate_suite(find_sets(root, split), each, out), nl=False)


def report(
    results: Annotated[list[Path], typer.Argument(help="JSON files, or folders of them.")],
    at: Annotated[int, typer.Option(min=1, help="Interactions at which methods compare.")] = 3,
) -> None:
    """Print Markdown tables of results: methods side by side, then all measures."""
    from napari_pvpu.evaluation.report import comparison_table, load_results, summary_table

    found = load_results(results)
    typer.echo(comparison_table(found, at) + "\n" + summary_table(found), nl=False)
