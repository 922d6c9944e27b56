"""Evaluate several methods on several sets, keep each result as JSON, and compare."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.benchmark_layouts import recognise
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

__all__ = ["evaluate_suite", "find_sets", "write_json"]


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


def evaluate_suite(sets: Sequence[Path], settings: Sequence[EvaluationSettings], out: Path) -> str:
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

    Returns
    -------
    str
        What ``report.md`` holds: a comparison of the methods when there are several, and a table
        of all measures for each, with means over sets.
    """
    parts = []
    results: list[list[Mapping[str, Any]]] = []
    for choice in settings:
        method: Method | None = None
        of_method: list[Mapping[str, Any]] = []
        for folder in sets:
            path = out / f"{set_name(folder)}.{_slug(choice)}.json"
            result = _stored(path, folder, choice)
            if result is None:
                method = method or choice.make_method()
                result = evaluate(folder, choice, method=method)
                write_json(path, result)
            of_method.append(result)
        results.append(of_method)
        papers = choice.protocol == "ritm"
        parts.append((protocol_table if papers else summary_table)(of_method))
    if len(settings) > 1:
        at = max((k for k in (1, 3) if k <= settings[0].max_interactions), default=1)
        parts.insert(0, comparison_table([r for group in results for r in group], at))
    text = "\n".join(parts)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(text, encoding="utf-8")
    return text


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
    return f"{name}.{settings.prompts}"


def _stored(path: Path, folder: Path, settings: EvaluationSettings) -> dict[str, Any] | None:
    """A result made before with the same settings, but not from weights written since."""
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        # What a result of an earlier make does not name was as it is by default now.
        known = json.loads(json.dumps(asdict(EvaluationSettings())))
        asked = json.loads(json.dumps(asdict(settings))) | {"dataset": str(folder)}
        same = known | value["settings"] == asked
    except (ValueError, TypeError, KeyError):
        return None  # damaged or of another make: do it again
    if settings.method == "pvpu":
        from napari_pvpu.model_files import find_model

        same = same and find_model(settings.model).changed_at() < path.stat().st_mtime
    return dict(value) if same else None
