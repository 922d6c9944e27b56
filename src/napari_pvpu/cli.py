"""The command ``napari-pvpu``: segment, evaluate, train and list models without a screen.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_pvpu.cli_parsing import (
    ErrorsInOneLine,
    ManyTargets,
    ProtocolChoice,
    ZoomChoice,
    numbers,
    point,
    protocol_settings,
    with_polarity,
)
from napari_pvpu.errors import ModelNotFoundError, PromptError, PvpuError
from napari_pvpu.waiting import wait_passively

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["app"]


class PromptKind(StrEnum):
    """Kind of the first interaction."""

    click = "click"
    box = "box"
    scribble = "scribble"
    mixed = "mixed"


app = typer.Typer(
    cls=ErrorsInOneLine,
    no_args_is_help=True,
    add_completion=False,
    help="Cut objects out of images with clicks, scribbles and boxes.",
)

Model = Annotated[str, typer.Option(help="Name of a model or path of a weights file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Em = Annotated[bool, typer.Option("--em/--no-em", help="EM value propagation.")]
Kind = Annotated[
    PromptKind,
    typer.Option(help="Kind of the first interaction, clicks follow; mixed: every one at random."),
]
Most = Annotated[int, typer.Option(min=1, help="Interactions per object at most.")]
Targets = Annotated[list[float], typer.Option(help="IoUs to reach, several after one flag.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Objects per set, spread over images.")]
MinArea = Annotated[int, typer.Option(min=1, help="Leave out smaller objects (pixels).")]
Seed = Annotated[int, typer.Option(help="Of all that is random.")]
Threshold = Annotated[float, typer.Option(help="On the probability.")]
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


@app.command(cls=ManyTargets)
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


@app.command(cls=ManyTargets)
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


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="JSON files, or folders of them.")],
    at: Annotated[int, typer.Option(min=1, help="Interactions at which methods compare.")] = 3,
) -> None:
    """Print Markdown tables of results: methods side by side, then all measures."""
    from napari_pvpu.evaluation.report import comparison_table, load_results, summary_table

    found = load_results(results)
    typer.echo(comparison_table(found, at) + "\n" + summary_table(found), nl=False)


@app.command()
def segment(
    image: Annotated[Path, typer.Argument(help="PNG, TIFF, WebP or JPEG.")],
    out: Annotated[Path, typer.Option(help="Label image to write: .tif or .png.")],
    click: Annotated[list[str] | None, typer.Option(metavar="R,C")] = None,
    negative_click: Annotated[list[str] | None, typer.Option(metavar="R,C")] = None,
    box: Annotated[list[str] | None, typer.Option(metavar="R0,C0,R1,C1")] = None,
    negative_box: Annotated[list[str] | None, typer.Option(metavar="R0,C0,R1,C1")] = None,
    scribble: Annotated[list[str] | None, typer.Option(metavar="'R,C R,C ...'")] = None,
    negative_scribble: Annotated[list[str] | None, typer.Option(metavar="'R,C R,C ...'")] = None,
    model: Model = "pvpu-nano",
    device: Device = "auto",
    em: Em = False,
    threshold: Threshold = 0.5,
) -> None:
    """Segment one object of an image with prompts given in pixels (row, column).

    Every option for a prompt may be repeated. Boxes count first, then scribbles, then clicks;
    positive ones before negative ones of the same kind.
    """
    from napari_pvpu.evaluation.dataset import read_image
    from napari_pvpu.prompts import Box, Click, Scribble
    from napari_pvpu.segmenter import Segmenter

    prompts: list[Box | Scribble | Click] = []
    for text, positive in with_polarity(box, negative_box):
        top, left, bottom, right = numbers(text, 4)
        prompts.append(Box((top, left), (bottom, right), positive))
    for text, positive in with_polarity(scribble, negative_scribble):
        prompts.append(Scribble(tuple(point(word) for word in text.split()), positive))
    for text, positive in with_polarity(click, negative_click):
        prompts.append(Click(point(text), positive))
    if not prompts:
        raise PromptError("no prompt was given; use --click, --box or --scribble")
    if out.suffix.lower() not in (".tif", ".tiff", ".png"):
        raise PvpuError(f"labels cannot be written as {out.name!r}; use a name in .tif or .png")
    session = Segmenter(model, device=device).open(read_image(image))
    session.threshold = threshold
    session.value_propagation = em
    for prompt in prompts:
        session.add(prompt)
    score, timing = session.score or 0.0, session.last_timing
    object_id = session.accept()
    _write_labels(out, session.labels)
    area = int((session.labels == object_id).sum())
    typer.echo(f"{out}: {area} pixels, expected IoU {score:.2f}, {timing.total_ms:.0f} ms")


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List models: name, parameters, and whether the weights come with the package."""
    from napari_pvpu.networks.interface import count_parameters
    from napari_pvpu.networks.models import PRESETS, build_model
    from napari_pvpu.networks.weights import bundled_path

    rows: list[dict[str, Any]] = []
    for name in PRESETS:
        total, interactive = count_parameters(build_model(name))
        path = bundled_path(name)
        present = path.is_file()
        rows.append(
            {
                "name": name,
                "parameters": total,
                "interactive_parameters": interactive,
                "weights": str(path) if present else None,
                "weights_mb": round(path.stat().st_size / 1e6, 1) if present else None,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        size = f"{row['weights_mb']} MB" if row["weights"] else "no weights here"
        both = f"{row['parameters'] / 1e6:.2f} M, {row['interactive_parameters'] / 1e6:.2f} M"
        typer.echo(f"{row['name']:<16} {both} per interaction  {size}")


@app.command()
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
    model: Annotated[str, typer.Option(help="Preset to train.")] = "pvpu-nano",
    steps: Annotated[int, typer.Option(min=1, help="Length of the whole run.")] = 20_000,
    minutes: Annotated[float, typer.Option(help="Stop after this long; run again to go on.")] = 1e9,
    synthetic: Annotated[int, typer.Option(min=0, help="Number of synthetic scenes.")] = 2000,
    synthetic_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of synthetic scenes in each batch.")
    ] = 0.4,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes that make scenes.")] = 2,
) -> None:
    """Train a preset on folders and synthetic scenes; goes on from a checkpoint in OUT."""
    wait_passively()  # torch is imported below
    from napari_pvpu.networks.models import PRESETS
    from napari_pvpu.training.command import train as run

    if model not in PRESETS:
        raise ModelNotFoundError(f"there is no preset {model!r}; use one of {sorted(PRESETS)}")
    if not data and not synthetic:
        raise PvpuError("there is nothing to train on; give --data or --synthetic above 0")
    run(
        [str(source) for source in data or ()],
        out,
        images=images,
        min_area=min_area,
        model=model,
        steps=steps,
        minutes=minutes,
        synthetic=synthetic,
        synthetic_share=synthetic_share,
        synthetic_seed=seed,
        device=device,
        workers=workers,
    )


def _write_labels(path: Path, labels: NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        from PIL import Image

        Image.fromarray(labels).save(path)
        return
    import tifffile

    tifffile.imwrite(path, labels, compression="zlib")
