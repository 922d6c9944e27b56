"""Commands that measure: ``evaluate``, ``evaluate-all``, ``report`` and ``model-card``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated, Any

import typer

from napari_pvpu.cli_settings import with_settings
from napari_pvpu.errors import PvpuError
from napari_pvpu.waiting import wait_passively

__all__ = ["evaluate", "evaluate_all", "model_card", "report"]

Workers = Annotated[
    int, typer.Option(min=1, help="Processes that evaluate at the same time, a core for each.")
]
Parts = Annotated[
    str | None,
    typer.Option(
        help="With --report: parts to run, with commas between: clicks, boxes, scribbles, mixed, "
        "em, jitter, baselines, failures, timings. All by default."
    ),
]
NoPictures = Annotated[
    bool, typer.Option("--no-pictures", help="No pictures of the data in the report.")
]
MarkdownOnly = Annotated[
    bool,
    typer.Option(
        "--markdown-only", help="Tables only: no curves and no HTML, which need extra packages."
    ),
]


@with_settings
def evaluate(
    dataset: Annotated[
        Path,
        typer.Argument(
            help="Folder with images/ and masks/, or in a benchmark's layout; with --report also "
            "a folder of such sets."
        ),
    ],
    options: dict[str, Any],
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the result here.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Measure all that a model card says, and write a report into DIR."),
    ] = None,
    parts: Parts = None,
    workers: Workers = 1,
    no_pictures: NoPictures = False,
    markdown_only: MarkdownOnly = False,
) -> None:
    """Count how many prompts a method needs on a folder of images with masks."""
    wait_passively()  # torch is imported below
    from napari_pvpu.evaluation.command import evaluate_one, evaluate_with_report

    if report is not None:
        if json_path is not None:
            raise PvpuError("--report keeps a JSON for each result by itself; leave out --json")
        written = evaluate_with_report(
            dataset,
            options,
            report,
            parts=parts,
            workers=workers,
            pictures=not no_pictures,
            markdown_only=markdown_only,
        )
        typer.echo("\n".join(str(path) for path in written))
        return
    if parts is not None or workers != 1 or no_pictures or markdown_only:
        raise PvpuError(
            "--parts, --workers, --no-pictures and --markdown-only belong to a report; add "
            "--report DIR"
        )
    typer.echo(evaluate_one(dataset, options, json_path), nl=False)


@with_settings
def evaluate_all(
    root: Annotated[
        Path, typer.Argument(help="Folder of sets: NAME/val or NAME with images/, or benchmarks.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for one JSON per set and method, report.md.")],
    options: dict[str, Any],
    method: Annotated[list[str], typer.Option(help="As for evaluate; may be repeated.")] = ["pvpu"],  # noqa: B006
    workers: Workers = 1,
) -> None:
    """Evaluate every set below a folder, with the mean over sets and tables in Markdown.

    Results that are already in the output folder, made with the same settings, are kept.
    """
    wait_passively()  # torch is imported below
    from napari_pvpu.evaluation.command import make_settings
    from napari_pvpu.evaluation.suite import evaluate_suite, find_sets

    each = [make_settings({**options, "method": name}) for name in method]
    sets = find_sets(root, each[0].split)
    typer.echo(evaluate_suite(sets, each, out, workers=workers), nl=False)


def report(
    results: Annotated[list[Path], typer.Argument(help="JSON files, or folders of them.")],
    at: Annotated[int, typer.Option(min=1, help="Interactions at which methods compare.")] = 3,
    out: Annotated[
        Path | None,
        typer.Option(help="Write report.md and report.html here, from what --report measured."),
    ] = None,
    no_pictures: NoPictures = False,
    markdown_only: MarkdownOnly = False,
) -> None:
    """Print Markdown tables of results: methods side by side, then all measures.

    With --out, build the report of ``evaluate --report`` again from its results, running nothing.
    """
    if out is not None:
        from napari_pvpu.evaluation.full_report import build_report

        if len(results) != 1:
            raise PvpuError(f"--out takes one folder of results, not {len(results)}")
        written = build_report(
            results[0], out, pictures=not no_pictures, markdown_only=markdown_only
        )
        typer.echo("\n".join(str(path) for path in written))
        return
    if no_pictures or markdown_only:
        raise PvpuError("--no-pictures and --markdown-only belong to a report; add --out DIR")
    from napari_pvpu.evaluation.report import comparison_table, load_results, summary_table

    found = load_results(results)
    typer.echo(comparison_table(found, at) + "\n" + summary_table(found), nl=False)


def model_card(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of its weights.")],
    results: Annotated[Path, typer.Argument(help="Folder of results of evaluate --report.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Card to write, by default the one beside the weights."),
    ] = None,
) -> None:
    """Write what was measured into a model card, between its markers; all else stays."""
    wait_passively()  # torch is imported below
    from napari_pvpu.evaluation.model_card import write_model_card

    typer.echo(str(write_model_card(model, results, out)))
