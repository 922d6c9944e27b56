"""The tables of a full report: sets in rows, differences with how settled they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_pvpu.evaluation import statistics
from napari_pvpu.evaluation.collected import curves_of, paired_curves
from napari_pvpu.evaluation.report import comparison_table, markdown_table, number
from napari_pvpu.evaluation.settings import IOU_AT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_pvpu.evaluation.collected import OfSets
    from napari_pvpu.evaluation.statistics import Measure

    Result: TypeAlias = Mapping[str, Any]

__all__ = [
    "KIND_NAMES",
    "baseline_table",
    "difference_table",
    "kinds_table",
    "measures_of",
    "set_difference_table",
    "set_table",
    "timing_table",
]

_COMPARED = ("IoU@1", "IoU@3", "IoU@5", "IoU@10", "NoC@85", "NoC@90", "worse")
"""What differences are shown of: the rest moves with these."""

KIND_NAMES = {
    "click": "clicks",
    "box": "box first",
    "scribble": "scribble first",
    "mixed": "mixed",
}


def measures_of(results: Sequence[Result], *, worse: bool = True) -> list[Measure]:
    """The measures that all of some results have, with what they were given to work with."""
    limit = min(result["settings"]["max_interactions"] for result in results)
    ks = [k for k in IOU_AT if all(result["iou_at"].get(str(k)) is not None for result in results)]
    targets = [float(key) for key in results[0]["noc"]]
    out = [statistics.iou_measure(k) for k in ks]
    out += [statistics.noc_measure(target, limit) for target in targets]
    out += [statistics.failure_measure(target, limit) for target in targets]
    return [*out, statistics.worse_measure()] if worse else out


def set_table(of_sets: OfSets, unseen: Sequence[str] = ()) -> str:
    """One row per set with all measures, their plain mean, and its standard error.

    Parameters
    ----------
    of_sets : dict
        Results by set.
    unseen : sequence of str
        Sets of kinds that were never trained on, marked with a star.

    Returns
    -------
    str
        Markdown.
    """
    results = list(of_sets.values())
    measures = measures_of(results)
    values = [statistics.object_values(curves_of(result), measures) for result in results]
    rows = [["set", "objects", *(measure.title for measure in measures)]]
    for name, result, each in zip(of_sets, results, values, strict=True):
        cells = _cells(statistics.macro_mean([each]), measures)
        rows.append([_starred(name, unseen), str(result["n_objects"]), *cells])
    if len(results) > 1:
        total = str(sum(result["n_objects"] for result in results))
        means = _cells(statistics.macro_mean(values), measures)
        rows.append(["**mean**", total, *(f"**{cell}**" for cell in means)])
    errors = statistics.bootstrap_macro(values).std(axis=0)
    rows.append(["± standard error", "", *_cells(errors, measures)])
    return markdown_table(rows)


def kinds_table(kinds: Mapping[str, OfSets]) -> str:
    """One row per kind of the first prompt: means over sets with their standard errors."""
    results = [result for of_sets in kinds.values() for result in of_sets.values()]
    measures = measures_of(results)
    rows = [["first prompt", "sets", "objects", *(measure.title for measure in measures)]]
    for kind, of_sets in kinds.items():
        values = [
            statistics.object_values(curves_of(result), measures) for result in of_sets.values()
        ]
        means = _cells(statistics.macro_mean(values), measures)
        errors = _cells(statistics.bootstrap_macro(values).std(axis=0), measures)
        total = sum(result["n_objects"] for result in of_sets.values())
        cells = [f"{mean} ± {error}" for mean, error in zip(means, errors, strict=True)]
        rows.append([KIND_NAMES[kind], str(len(of_sets)), str(total), *cells])
    return markdown_table(rows)


def difference_table(
    pairs: Mapping[str, tuple[OfSets, OfSets]], names: tuple[str, str], *, worse: bool
) -> str:
    """Two ways side by side on the same objects: both means, their difference, its interval.

    Parameters
    ----------
    pairs : mapping
        By title of a group of rows: results by set of the first way and of the second.
    names : (str, str)
        Of the two ways.
    worse : bool
        Whether the share of interactions for the worse is comparable: both made as many.

    Returns
    -------
    str
        Markdown. A difference whose interval (95 %, bootstrap over objects) leaves out 0 is bold.
    """
    first, second = names
    rows = [["", "measure", first, second, f"{second} minus {first}", "95 % interval"]]
    for title, (one, other) in pairs.items():
        shared = [name for name in one if name in other]
        if not shared:
            continue
        both = [of_sets[name] for of_sets in (one, other) for name in shared]
        measures = [each for each in measures_of(both, worse=worse) if each.title in _COMPARED]
        limit = min(result["settings"]["max_interactions"] for result in both)
        values = []
        for name in shared:
            ways = paired_curves(one[name], other[name])
            cut = [[curve[:limit] for curve in way] for way in ways]
            values.append([statistics.object_values(way, measures) for way in cut])
        rows += _difference_rows(title, values, measures)
    return markdown_table(rows)


def _difference_rows(
    title: str, values: Sequence[Sequence[Any]], measures: Sequence[Measure]
) -> list[list[str]]:
    ways = [[each[way] for each in values] for way in (0, 1)]
    means = [statistics.macro_mean(way) for way in ways]
    # The same seed draws the same objects for both ways, which is what makes them a pair.
    draws = [statistics.bootstrap_macro(way) for way in ways]
    low, high = statistics.interval(draws[1] - draws[0])
    rows = []
    for index, measure in enumerate(measures):
        spec = {".3f": ".4f", ".2f": ".3f"}.get(measure.spec, measure.spec)
        change = means[1][index] - means[0][index]
        text = format(change, "+" + spec)
        settled = low[index] > 0 or high[index] < 0
        rows.append(
            [
                title,
                measure.title,
                *(format(mean[index], spec) for mean in means),
                f"**{text}**" if settled else text,
                f"{format(low[index], '+' + spec)} … {format(high[index], '+' + spec)}",
            ]
        )
    return rows


def set_difference_table(
    one: OfSets, other: OfSets, names: tuple[str, str], measure: Measure
) -> str:
    """One measure of two ways, set by set, with the interval of each difference."""
    first, second = names
    rows = [["set", f"{measure.title} {first}", second, f"{second} minus {first}", "95 % interval"]]
    for name in [each for each in one if each in other]:
        ways = paired_curves(one[name], other[name])
        values = [statistics.object_values(way, [measure]) for way in ways]
        rows += [[name, *row[2:]] for row in _difference_rows(name, [values], [measure])]
    return markdown_table(rows)


def baseline_table(clicks: OfSets, baselines: Mapping[str, OfSets]) -> str:
    """Classical methods beside the model, by IoU after three clicks at most."""
    compared = [
        result
        for of_sets in (clicks, *baselines.values())
        for name, result in of_sets.items()
        if all(name in other for other in baselines.values()) and name in clicks
    ]
    most = min(result["settings"]["max_interactions"] for result in compared)
    return comparison_table(compared, max(k for k in IOU_AT if k <= min(most, 3)))


def timing_table(of_sets: OfSets) -> str:
    """What encoding and interactions took, in milliseconds: median and 95th percentile."""
    keys = ("ms_encode", "ms_per_interaction", "ms_total")
    rows = [["set", "encoding, median", "p95", "interaction, median", "p95", "both, median", "p95"]]
    times = []
    for name, result in of_sets.items():
        each = [result[key][part] for key in keys for part in ("median", "p95")]
        times.append([np.nan if value is None else value for value in each])
        rows.append([name, *(number(value, ".1f") for value in each)])
    if len(of_sets) > 1:
        means = np.mean(times, axis=0)
        shown = [number(None if np.isnan(value) else float(value), ".1f") for value in means]
        rows.append(["**mean**", *(f"**{cell}**" for cell in shown)])
    return markdown_table(rows)


def _cells(values: Any, measures: Sequence[Measure]) -> list[str]:
    return [format(value, each.spec) for value, each in zip(values, measures, strict=True)]


def _starred(name: str, unseen: Sequence[str]) -> str:
    return f"{name}\\*" if name in unseen else name
