"""Tables in Markdown from results of evaluations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from napari_pvpu.errors import DatasetError

__all__ = [
    "comparison_table",
    "load_results",
    "macro_average",
    "markdown_table",
    "method_name",
    "number",
    "protocol_table",
    "seeds_table",
    "set_name",
    "summary_table",
]

Result: TypeAlias = Mapping[str, Any]

_SPLITS = ("train", "val", "test")


def load_results(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Read results from JSON files, and from all JSON files in folders.

    Parameters
    ----------
    paths : sequence of Path
        Files written by ``napari-pvpu evaluate``, or folders of such files; other JSON files in
        a folder are passed over.

    Returns
    -------
    list of dict

    Raises
    ------
    DatasetError
        When a named file is not such a result, or there is none at all.
    """
    results = []
    for path in paths:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        for file in files:
            try:
                value = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise DatasetError(f"{file} cannot be read as JSON: {error}") from error
            if isinstance(value, dict) and {"iou_at", "noc", "settings"} <= value.keys():
                results.append(value)
            elif not path.is_dir():
                raise DatasetError(f"{file} is not a result of napari-pvpu evaluate")
    if not results:
        raise DatasetError(f"no result in {', '.join(map(str, paths))}; run napari-pvpu evaluate")
    return results


def set_name(dataset: str | Path) -> str:
    """Short name of a dataset folder: its own name, or its parent's for a split of a set."""
    path = Path(dataset)
    return path.parent.name if path.name in _SPLITS and path.parent.name else path.name


def method_name(result: Result) -> str:
    """Column title: the method, or our model with "+ EM"; prompts and protocol if unusual."""
    settings = result["settings"]
    name = str(settings["method"])
    if name == "pvpu":
        model = str(settings["model"])
        name = Path(model).stem if model.endswith(".safetensors") else model
        name += " + EM" if settings["em"] else ""
    notes = [settings["prompts"]] if settings["prompts"] != "click" else []
    if settings.get("protocol", "session") != "session":
        notes.append(settings["protocol"])
        notes += ["flip"] if settings["flip"] else []
        notes += [f"zoom-in {settings['zoom_in']}"] if settings["zoom_in"] != "none" else []
        notes += [f"{settings['view_size']} px"] if settings.get("view_size") else []
    if settings.get("jitter"):
        notes.append(f"jitter {settings['jitter']:g} px")
    return f"{name} ({', '.join(notes)})" if notes else name


def macro_average(results: Sequence[Result]) -> dict[str, Any]:
    """Plain mean over sets.

    Parameters
    ----------
    results : sequence of dict
        One result per set, made with the same settings.

    Returns
    -------
    dict
        ``n_sets``, ``n_objects`` (sum), ``iou_at``, ``noc``, ``failures``, ``worse_share``; a
        measure that some set lacks is None.
    """

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    def by_key(name: str) -> dict[str, float | None]:
        keys = dict.fromkeys(key for result in results for key in result[name])
        return {key: mean([result[name].get(key) for result in results]) for key in keys}

    return {
        "n_sets": len(results),
        "n_objects": sum(int(result["n_objects"]) for result in results),
        "iou_at": by_key("iou_at"),
        "noc": by_key("noc"),
        "failures": by_key("failures"),
        "worse_share": mean([result["worse_share"] for result in results]),
    }


def comparison_table(results: Sequence[Result], k: int = 3) -> str:
    """Sets in rows, methods in columns, IoU@k in cells; the best of a row is bold.

    Parameters
    ----------
    results : sequence of dict
        At most one for each set and method; of several the last counts.
    k : int
        After how many interactions.

    Returns
    -------
    str
        Markdown. The last row is the mean over all sets, for methods that have them all.
    """
    cells: dict[str, dict[str, float | None]] = {}
    methods: dict[str, None] = {}
    for result in results:
        method = method_name(result)
        methods[method] = None
        row = cells.setdefault(set_name(result["settings"]["dataset"]), {})
        row[method] = result["iou_at"].get(str(k))
    lines = [[f"IoU@{k}", *methods]]
    for name, row in sorted(cells.items()):
        lines.append([name, *_row([row.get(method) for method in methods])])
    if len(cells) > 1:
        lines.append(["**mean**", *_row([_column_mean(cells, method) for method in methods])])
    return markdown_table(lines)


def summary_table(results: Sequence[Result]) -> str:
    """One row per result with all measures, and a row of means when all have the same method.

    Parameters
    ----------
    results : sequence of dict
        Results of evaluations.

    Returns
    -------
    str
        Markdown.
    """
    ks = list(dict.fromkeys(key for result in results for key in result["iou_at"]))
    targets = list(dict.fromkeys(key for result in results for key in result["noc"]))
    lines = [
        ["set", "method", "objects"]
        + [f"IoU@{k}" for k in ks]
        + [f"NoC@{float(target) * 100:g}" for target in targets]
        + [f"failures@{float(target) * 100:g}" for target in targets]
        + ["worse", "ms", "ms encode"]
    ]
    for result in results:
        name = set_name(result["settings"]["dataset"])
        times = [result[key]["median"] for key in ("ms_per_interaction", "ms_encode")]
        measures = _measures(result, ks, targets)
        lines.append(
            [name, method_name(result), str(result["n_objects"]), *measures]
            + [number(value, ".1f") for value in times]
        )
    methods = {method_name(result) for result in results}
    if len(results) > 1 and len(methods) == 1:
        mean = macro_average(results)
        lines.append(
            [
                "**mean**",
                methods.pop(),
                str(mean["n_objects"]),
                *_measures(mean, ks, targets),
                "",
                "",
            ]
        )
    return markdown_table(lines)


def protocol_table(results: Sequence[Result]) -> str:
    """One row per result with the columns of the papers' tables.

    Parameters
    ----------
    results : sequence of dict
        Results of evaluations.

    Returns
    -------
    str
        Markdown: NoC; both readings of NoF, as counts of objects ("NoC = 20", which the papers
        print as "20 or more", and "never", true failures); IoU@k; ``t_encode`` per object and
        ``t_click`` in milliseconds, and ``SPC_20 = t_encode / 20 + t_click``.
    """
    ks = list(dict.fromkeys(key for result in results for key in result["iou_at"]))
    targets = list(dict.fromkeys(key for result in results for key in result["noc"]))
    shown = [f"{float(target) * 100:g}" for target in targets]
    limits = {result["settings"]["max_interactions"] for result in results}
    limit = limits.pop() if len(limits) == 1 else "limit"
    lines = [
        ["set", "method", "objects"]
        + [f"NoC@{target}" for target in shown]
        + [f"NoC={limit}@{target}" for target in shown]
        + [f"never@{target}" for target in shown]
        + [f"IoU@{k}" for k in ks]
        + ["t_encode ms", "t_click ms", "SPC_20 ms"]
    ]
    for result in results:
        nof, times = result["nof"], result["speed"]
        lines.append(
            [set_name(result["settings"]["dataset"]), method_name(result)]
            + [str(result["n_objects"])]
            + [number(result["noc"].get(target), ".2f") for target in targets]
            + [number(nof["at_limit"].get(target), "g") for target in targets]
            + [number(nof["never"].get(target), "g") for target in targets]
            + [number(result["iou_at"].get(k), ".3f") for k in ks]
            + [number(times[key], ".1f") for key in ("t_encode", "t_click")]
            + [number((times["spc"] or {}).get("20"), ".1f")]
        )
    return markdown_table(lines)


def seeds_table(result: Result) -> str:
    """How much the measures move with the seed of the robot's clicks.

    Parameters
    ----------
    result : dict
        Of an evaluation with several seeds.

    Returns
    -------
    str
        Markdown: a row per measure with mean, standard deviation and range over seeds.
    """
    spreads = result["over_seeds"]
    seeds = result["settings"]["seeds"]
    lines = [[f"over {seeds} seeds", "mean", "std", "min", "max"]]
    for name, title in (("noc", "NoC@"), ("failures", "failures@"), ("iou_at", "IoU@")):
        for key, values in spreads[name].items():
            shown = key if name == "iou_at" else f"{float(key) * 100:g}"
            spec = ".1%" if name == "failures" else ".3f"
            numbers = [number(values[part], spec) for part in ("mean", "std", "min", "max")]
            lines.append([f"{title}{shown}", *numbers])
    return markdown_table(lines)


def _measures(result: Result, ks: Sequence[str], targets: Sequence[str]) -> list[str]:
    return (
        [number(result["iou_at"].get(k), ".3f") for k in ks]
        + [number(result["noc"].get(target), ".2f") for target in targets]
        + [number(result["failures"].get(target), ".1%") for target in targets]
        + [number(result["worse_share"], ".1%")]
    )


def number(value: float | None, spec: str) -> str:
    """A value as text; a dash for one that is missing."""
    return "–" if value is None else format(value, spec)


def _row(values: Sequence[float | None]) -> list[str]:
    best = max((value for value in values if value is not None), default=None)
    shown = []
    for value in values:
        text = number(value, ".3f")
        shown.append(f"**{text}**" if value is not None and value == best else text)
    return shown


def _column_mean(cells: Mapping[str, Mapping[str, float | None]], method: str) -> float | None:
    values = [row.get(method) for row in cells.values()]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def markdown_table(lines: Sequence[Sequence[str]], *, left: bool = False) -> str:
    """A table in Markdown from rows of cells, the first of which are titles.

    All columns but the first are numbers, written to the right, unless `left`.
    """
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines]
    rule = "|" + "|".join(["---"] + ["---" if left else "---:"] * (len(lines[0]) - 1)) + "|"
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"
