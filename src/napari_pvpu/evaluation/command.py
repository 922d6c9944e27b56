"""What the two command lines of an evaluation do once they have read their words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.options import changed_options, settings_values
from napari_pvpu.evaluation.parts import PARTS
from napari_pvpu.evaluation.report import protocol_table, seeds_table, summary_table
from napari_pvpu.evaluation.runner import evaluate
from napari_pvpu.evaluation.settings import EvaluationSettings
from napari_pvpu.evaluation.suite import find_sets, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_pvpu.evaluation.parts import PartName

__all__ = ["evaluate_one", "evaluate_with_report", "make_settings", "read_parts"]

_DECIDED = (
    "prompts",
    "method",
    "em",
    "jitter",
    "seeds",
    "protocol",
    "flip",
    "zoom_in",
    "view_size",
    "iou_analysis",
)
"""Settings that the parts of a report choose."""


def make_settings(values: Mapping[str, Any]) -> EvaluationSettings:
    """Settings from the words of a command line; see `options.settings_values`."""
    return EvaluationSettings(**settings_values(values))


def evaluate_one(dataset: Path, values: Mapping[str, Any], json_path: Path | None = None) -> str:
    """Evaluate one set.

    Parameters
    ----------
    dataset : Path
        A folder as `open_dataset` takes it.
    values : mapping
        See `make_settings`.
    json_path : Path, optional
        Where to write the result.

    Returns
    -------
    str
        Its tables in Markdown.
    """
    settings = make_settings(values)
    result = evaluate(dataset, settings)
    if json_path is not None:
        write_json(json_path, result)
    text = (protocol_table if settings.protocol == "ritm" else summary_table)([result])
    return text + ("\n" + seeds_table(result) if settings.seeds > 1 else "")


def evaluate_with_report(
    dataset: Path,
    values: Mapping[str, Any],
    out: Path,
    *,
    parts: str | None = None,
    workers: int = 1,
    pictures: bool = True,
    markdown_only: bool = False,
) -> list[Path]:
    """Evaluate one set, or each of a folder of sets, and write a report.

    Parameters
    ----------
    dataset : Path
        As `find_sets` takes it; with a layout named, one set.
    values : mapping
        See `make_settings`.
    out : Path
        Folder for the report and its results.
    parts : str, optional
        Names of parts with commas between; all by default.
    workers, pictures, markdown_only
        See `full_report.run_report`.

    Returns
    -------
    list of Path
        The files to open.

    Raises
    ------
    PvpuError
        When a part is unknown, or an option is given that the report decides.
    """
    from napari_pvpu.evaluation.full_report import run_report

    changed = changed_options(values, _DECIDED)
    if changed:
        raise PvpuError(
            f"--report chooses prompts, methods, EM and jitter itself; leave out "
            f"{', '.join(changed)}, or use evaluate without --report"
        )
    settings = make_settings(values)
    sets = [dataset] if settings.layout != "auto" else find_sets(dataset, settings.split)
    return run_report(
        sets,
        settings,
        out,
        parts=read_parts(parts),
        workers=workers,
        pictures=pictures,
        markdown_only=markdown_only,
    )


def read_parts(text: str | None) -> Sequence[PartName]:
    """Parts named in a text with commas between; all of them for None.

    Raises
    ------
    PvpuError
        When one is unknown, or none is named.
    """
    if text is None:
        return PARTS
    names = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        said = f"there is no part {unknown[0]!r}" if unknown else "no part is named"
        raise PvpuError(f"{said}; parts are {', '.join(PARTS)}")
    return [part for part in PARTS if part in names]
