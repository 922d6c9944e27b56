"""Evaluate several methods on several sets, keep each result as JSON, and compare."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.benchmark_layouts import recognise
from napari_pvpu.evaluation.processes import run_jobs
from napari_pvpu.evaluation.provenance import machine, weights_of
from napari_pvpu.evaluation.report import (
    comparison_table,
    protocol_table,
    set_name,
    summary_table,
)
from napari_pvpu.evaluation.runner import evaluate
from napari_pvpu.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_pvpu.evaluation.methods import Method

__all__ = [
    "Task",
    "evaluate_suite",
    "find_sets",
    "make_method_of",
    "result_path",
    "run_tasks",
    "stored_result",
    "write_json",
]


def find_sets(root: Path, split: str = "val") -> list[Path]:
    """Folders with ``images/`` and ``masks/``, or in a benchmark's layout, below a root.

    Parameters
    ----------
    root : Path
        Holds ``NAME/<split>/images`` or ``NAME/images``, or sets as `benchmark_layouts` reads
        them; may be such a folder itself.
    split : str
        Which split of each set.

    Returns
    -------
    list of Path
        By name.

    Raises
    ------
    DatasetError
        When there is none.
    """
    if _is_set(root):
        return [root]
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    found = [place for path in folders for place in (path / split, path) if _is_set(place)]
    if not found:
        raise DatasetError(
            f"no set below {root}; expected folders NAME/{split}/ or NAME/ with images/ and masks/"
        )
    return list({path.parent if path.name == split else path: path for path in found}.values())


def _is_set(place: Path) -> bool:
    # With images/ alone, reading it says what is missing.
    return (place / "images").is_dir() or (place.is_dir() and recognise(place) is not None)


@dataclass(frozen=True, slots=True)
class Task:
    """One set, what to measure on it, and where the result is kept."""

    folder: Path
    settings: EvaluationSettings
    path: Path


def evaluate_suite(
    sets: Sequence[Path],
    settings: Sequence[EvaluationSettings],
    out: Path,
    *,
    workers: int = 1,
) -> str:
    """Evaluate every set with every method.

    Each result is written as soon as it is there, as ``<set>.<method>.json``; one that is there
    already, made with the same settings, is not made again. ``report.md`` holds the tables.

    Parameters
    ----------
    sets : sequence of Path
        Folders, from `find_sets`.
    settings : sequence of EvaluationSettings
        One for each method.
    out : Path
        Folder to write into; made when missing.
    workers : int
        Processes that share the work.

    Returns
    -------
    str
        What ``report.md`` holds: a comparison of the methods when there are several, and a table
        of all measures for each, with means over sets.
    """
    tasks = [
        Task(folder, each, result_path(out, folder, each)) for each in settings for folder in sets
    ]
    every = run_tasks(tasks, workers)
    parts = []
    results = [every[at : at + len(sets)] for at in range(0, len(every), len(sets))]
    for choice, of_method in zip(settings, results, strict=True):
        papers = choice.protocol == "ritm"
        parts.append((protocol_table if papers else summary_table)(of_method))
    if len(settings) > 1:
        at = max((k for k in (1, 3) if k <= settings[0].max_interactions), default=1)
        parts.insert(0, comparison_table(every, at))
    text = "\n".join(parts)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(text, encoding="utf-8")
    return text


def run_tasks(tasks: Sequence[Task], workers: int = 1) -> list[dict[str, Any]]:
    """Do the tasks whose results are not there yet.

    Parameters
    ----------
    tasks : sequence of Task
        In the order in which to begin them.
    workers : int
        Processes; the results do not depend on how many.

    Returns
    -------
    list of dict
        A result for each task. Its ``weights`` and ``machine`` are those of `provenance`.
    """
    results = {task: stored for task in tasks if (stored := stored_result(task)) is not None}
    missing = [task for task in tasks if task not in results]
    count = min(workers, len(missing))
    jobs = [(task, count) for task in missing]
    for (task, _), result in run_jobs(_run_task, jobs, workers, title="evaluations"):
        results[task] = result
    return [results[task] for task in tasks]


def _run_task(job: tuple[Task, int]) -> dict[str, Any]:
    task, processes = job
    method = make_method_of(task.settings)
    result = evaluate(task.folder, task.settings, method=method, progress=processes == 1)
    result["weights"] = weights_of(task.settings)
    result["machine"] = machine(task.settings.device, processes)
    write_json(task.path, result)
    return result


def make_method_of(settings: EvaluationSettings) -> Method:
    """Build a method, or take the one of the task before if it is the same, weights and all."""
    weights = weights_of(settings)
    return _make_method(_of_method(settings), weights["sha256"] if weights else "")


@lru_cache(maxsize=2)
def _make_method(settings: EvaluationSettings, weights: str) -> Method:
    del weights  # part of the cache's key: a file of the same name may hold others since
    return settings.make_method()


def _of_method(settings: EvaluationSettings) -> EvaluationSettings:
    """Only what decides the method, so that what else changes does not load it again."""
    model = ("method", "model", "device", "em", "threshold")
    protocol = ("protocol", "flip", "zoom_in", "view_size")
    return EvaluationSettings(**{name: getattr(settings, name) for name in (*model, *protocol)})


def result_path(out: Path, folder: Path, settings: EvaluationSettings) -> Path:
    """Where the result of one set is kept: ``<set>.<method>.<prompts>.json``."""
    return out / f"{set_name(folder)}.{_slug(settings)}.json"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON under another name first, so that a half-written file never stands there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def _slug(settings: EvaluationSettings) -> str:
    name = settings.method
    if name == "pvpu":
        name = f"{Path(settings.model).stem}{'-em' if settings.em else ''}"
    if settings.protocol != "session":
        size = f"-{settings.view_size}" if settings.view_size else ""
        name += f".{settings.protocol}{'-flip' if settings.flip else ''}-{settings.zoom_in}{size}"
    jitter = f"-jitter{settings.jitter:g}" if settings.jitter else ""
    return f"{name}.{settings.prompts}{jitter}"


def stored_result(task: Task) -> dict[str, Any] | None:
    """A result made before with the same settings and weights; None if there is none."""
    if not task.path.is_file():
        return None
    try:
        value = json.loads(task.path.read_text(encoding="utf-8"))
        # What a result of an earlier make does not name was as it is by default now.
        known = json.loads(json.dumps(asdict(EvaluationSettings())))
        asked = json.loads(json.dumps(asdict(task.settings))) | {"dataset": str(task.folder)}
        same = known | value["settings"] == asked
        if task.settings.method == "pvpu":
            same = same and _of_these_weights(value, task)
    except (ValueError, TypeError, KeyError):
        return None  # damaged or of another make: do it again
    return dict(value) if same else None


def _of_these_weights(value: Mapping[str, Any], task: Task) -> bool:
    if value.get("weights"):
        return bool(value["weights"] == weights_of(task.settings))
    # A result of an earlier make does not say; weights written since are others.
    from napari_pvpu.model_files import find_model

    return find_model(task.settings.model).changed_at() < task.path.stat().st_mtime
