"""Measure everything that is to be known of a model, and write it down to be read.

`run_report` runs what is missing and keeps each result; `build_report` makes the report from
results alone. Layout of a report's folder: ``report.md`` and ``report.html``; ``pictures/``, which
the first refers to and the second holds in itself; and ``results/``.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.benchmark_layouts import open_dataset
from napari_pvpu.evaluation.collected import FAILURES, RUN, TIMINGS, collect, read_run
from napari_pvpu.evaluation.curves import draw_macro_curves, draw_set_curves, require_matplotlib
from napari_pvpu.evaluation.failures import PictureJob, draw_worst
from napari_pvpu.evaluation.parts import PARTS, missing_baselines, variants
from napari_pvpu.evaluation.processes import run_jobs
from napari_pvpu.evaluation.report import set_name
from napari_pvpu.evaluation.report_sections import MACRO_CURVES, SET_CURVES, report_text
from napari_pvpu.evaluation.suite import Task, result_path, run_tasks, write_json
from napari_pvpu.evaluation.web_page import require_markdown_it, to_page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_pvpu.evaluation.parts import PartName, Variant
    from napari_pvpu.evaluation.settings import EvaluationSettings

__all__ = ["build_report", "run_report"]


def run_report(
    sets: Sequence[Path],
    settings: EvaluationSettings,
    out: Path,
    *,
    parts: Sequence[PartName] = PARTS,
    workers: int = 1,
    pictures: bool = True,
    markdown_only: bool = False,
) -> list[Path]:
    """Evaluate a model on sets in every way that a report shows, and write the report.

    Each result is written below ``results/`` as soon as it is there. Those that are there already,
    made with the same settings and weights, are kept, so a run that was cut off goes on, and a
    part may be added later.

    Parameters
    ----------
    sets : sequence of Path
        Folders, from `find_sets`.
    settings : EvaluationSettings
        Model, objects, targets and number of interactions; see `variants` for the rest.
    out : Path
        Folder for the report.
    parts : sequence of str
        What to measure; the report shows all that is there.
    workers : int
        Processes that share the work; the results do not depend on how many. Times are taken
        afterwards, in this process alone.
    pictures : bool
        Draw the worst objects, which shows the data.
    markdown_only : bool
        No curves and no HTML; they need matplotlib and markdown-it-py.

    Returns
    -------
    list of Path
        The files to open.

    Raises
    ------
    DatasetError
        When a set cannot be read or holds no object; nothing is evaluated then.
    PvpuError
        When the model is unknown, or a package is missing.
    """
    if not markdown_only:
        require_matplotlib()
        require_markdown_it()
    results = out / "results"
    _check_sets(sets, settings)
    chosen = variants(settings, parts)
    tasks = [task for each in chosen if not each.alone for task in _tasks(each, sets, results)]
    run_tasks(tasks, workers)
    if "failures" in parts and pictures:
        clicks = next(each for each in chosen if each.part == "clicks")
        jobs = [PictureJob(task, results / FAILURES) for task in _tasks(clicks, sets, results)]
        for _ in run_jobs(draw_worst, jobs, workers, title="pictures"):
            pass
    for each in chosen:
        if each.alone:
            run_tasks(_tasks(each, sets, results / TIMINGS))
    write_json(results / RUN, _run(results, parts))
    return build_report(results, out, pictures=pictures, markdown_only=markdown_only)


def build_report(
    results: Path, out: Path, *, pictures: bool = True, markdown_only: bool = False
) -> list[Path]:
    """Write a report from results that are there, running nothing.

    Parameters
    ----------
    results : Path
        Folder of results, or a report's folder with ``results/`` in it.
    out : Path
        Folder for ``report.md``, ``report.html`` and ``pictures/``; made when missing.
    pictures : bool
        Show the worst objects where they were drawn; else they are listed.
    markdown_only : bool
        No curves and no HTML.

    Returns
    -------
    list of Path
        The files to open.

    Raises
    ------
    DatasetError
        When there are no results, or those of several models.
    PvpuError
        When a package is missing.
    """
    if not markdown_only:
        require_matplotlib()
        require_markdown_it()
    found = collect(results)
    drawn = found.folder / FAILURES
    pictures = pictures and any(drawn.glob("*.json"))
    curves = bool(found.kinds) and not markdown_only
    text = report_text(found, curves=curves, pictures=pictures)
    out.mkdir(parents=True, exist_ok=True)
    if curves:
        draw_macro_curves(found.kinds, out / MACRO_CURVES, found.em, found.baselines)
        if len(found.sets) > 1:
            draw_set_curves(found.kinds, out / SET_CURVES)
    _copy_pictures(drawn, out / "pictures", found.sets, keep=pictures)
    written = [out / "report.md"]
    written[0].write_text(text, encoding="utf-8")
    if not markdown_only:
        written.append(out / "report.html")
        title = text.partition("\n")[0].lstrip("# ")
        written[1].write_text(to_page(text, out, title), encoding="utf-8")
    return written


def _run(results: Path, parts: Sequence[PartName]) -> dict[str, Any]:
    """What was run, in this and earlier runs of the folder."""
    before = read_run(results).get("parts", [])
    there = [part for part in PARTS if part in parts or part in before]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "parts": there,
        "all_parts": len(there) == len(PARTS),
        "missing_baselines": list(missing_baselines()),
    }


def _tasks(variant: Variant, sets: Sequence[Path], results: Path) -> list[Task]:
    settings = variant.settings
    return [Task(folder, settings, result_path(results, folder, settings)) for folder in sets]


def _check_sets(sets: Sequence[Path], settings: EvaluationSettings) -> None:
    """Raise what is wrong with any of the sets before hours are spent on the others."""
    problems = []
    names: dict[str, Path] = {}
    for folder in sets:
        other = names.setdefault(set_name(folder), folder)
        if other != folder:
            problems.append(f"{other} and {folder} have the same name; rename one")
        try:
            found = open_dataset(folder, settings.min_area, settings.split, settings.layout)
            found.sample_objects(1, settings.seed)
        except DatasetError as error:
            problems.append(str(error))
    if problems:
        raise DatasetError("; ".join(problems))


def _copy_pictures(drawn: Path, place: Path, sets: Sequence[str], *, keep: bool) -> None:
    """Put the pictures of failures beside the report; take away those of an earlier one."""
    for name in sets:
        shutil.rmtree(place / name, ignore_errors=True)
        if keep and (drawn / name).is_dir():
            shutil.copytree(drawn / name, place / name)
