"""The sections of a full report, in Markdown."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from napari_pvpu.evaluation import statistics
from napari_pvpu.evaluation.collected import FAILURES
from napari_pvpu.evaluation.failures import JUDGED_AT, WORST, worst_objects
from napari_pvpu.evaluation.metrics import WORSE_BY
from napari_pvpu.evaluation.parts import JITTER
from napari_pvpu.evaluation.provenance import command_line
from napari_pvpu.evaluation.report import markdown_table, method_name
from napari_pvpu.evaluation.report_tables import (
    KIND_NAMES,
    baseline_table,
    difference_table,
    kinds_table,
    set_difference_table,
    set_table,
    timing_table,
)
from napari_pvpu.evaluation.settings import IOU_AT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_pvpu.evaluation.collected import Collected, OfSets

    Result: TypeAlias = Mapping[str, Any]

__all__ = ["MACRO_CURVES", "SET_CURVES", "machine_text", "report_text"]

MACRO_CURVES = "pictures/curves.svg"
SET_CURVES = "pictures/curves-by-set.svg"

_PICTURES_IN_A_ROW = 5
_FIRST = {
    "click": "Clicks",
    "box": "Box first, then clicks",
    "scribble": "Scribble first, then clicks",
    "mixed": "Mixed: every interaction a click, a box or a scribble at random",
}


def report_text(found: Collected, *, curves: bool, pictures: bool) -> str:
    """Write a report.

    Parameters
    ----------
    found : Collected
        What was measured; parts that are not there have no section.
    curves : bool
        Refer to `MACRO_CURVES` and `SET_CURVES`.
    pictures : bool
        Refer to pictures of failures, where they were drawn: ``pictures/<set>/01.webp``, ...

    Returns
    -------
    str
        Markdown.
    """
    sections = [_head(found)]
    if found.kinds:
        sections.append(_glance(found, curves))
        sections += [_of_kind(kind, found.kinds[kind]) for kind in found.kinds]
        if curves and len(found.sets) > 1:
            sections.append(f"## Curves of each set\n\n![Curves of each set]({SET_CURVES})\n")
    sections += [
        section
        for section in (
            _em(found),
            _jitter(found),
            _baselines(found),
            _failures(found, pictures),
            _timings(found),
            _how(found),
        )
        if section
    ]
    return "\n".join(sections)


def _head(found: Collected) -> str:
    first = found.first
    counts = {
        name: result["n_objects"] for kind in found.kinds.values() for name, result in kind.items()
    }
    lines = [f"# How good {_model(first)} is", ""]
    told = [found.run["date"]] if found.run.get("date") else []
    weights = first.get("weights")
    if weights:
        told.append(
            f"weights `{weights['file']}`, {weights['bytes'] / 1e6:.2f} MB, sha256 "
            f"`{weights['sha256']}`"
        )
    objects = f", {_counted(sum(counts.values()), 'object')}" if counts else ""
    told.append(_counted(len(found.sets), "set") + objects)
    return "\n".join([*lines, "; ".join(told) + ".", ""])


def _glance(found: Collected, curves: bool) -> str:
    text = (
        "## At a glance\n\n"
        "Means over sets with their standard errors (bootstrap over the objects of each set, the "
        "sets given). IoU@k: mean IoU after k interactions. NoC@t: interactions until the IoU is "
        f"t %; objects that never get there count {_most(found)}. failed@t: objects that never "
        f"get there. worse: interactions that lower the IoU by more than {WORSE_BY:g}.\n\n"
        + kinds_table(found.kinds)
    )
    if curves:
        text += (
            f"\n![Mean IoU after each interaction]({MACRO_CURVES})\n\nBands are one standard error."
        )
        if found.em:
            text += " Dashed, with hollow marks: EM value propagation on."
        if found.baselines:
            text += " Grey: classical methods on the same clicks."
        settings = found.first["settings"]
        if _most(found) > settings.get("iou_to", max(IOU_AT)):
            text += (
                f" After {settings.get('iou_to', max(IOU_AT))} interactions objects that have "
                f"reached an IoU of {max(settings['targets']):g} are left as they are."
            )
        text += "\n"
    return text


def _of_kind(kind: str, of_sets: OfSets) -> str:
    return f"## {_FIRST[kind]}\n\n{set_table(of_sets)}"


def _em(found: Collected) -> str:
    pairs = {
        KIND_NAMES[kind]: (found.kinds[kind], found.em[kind])
        for kind in found.em
        if kind in found.kinds
    }
    if not pairs:
        return ""
    (off, on), k = next(iter(pairs.values())), 5
    limit = min(result["settings"]["max_interactions"] for result in on.values())
    measure = statistics.iou_measure(min(k, limit))
    names = ("EM off", "EM on")
    text = (
        "## EM value propagation on and off\n\n"
        f"The same objects with and without, {limit} interactions at most (NoC counts objects that "
        f"never get there as {limit}). Means over sets; differences whose interval leaves out 0 "
        "are bold.\n\n" + difference_table(pairs, names, worse=True)
    )
    if len(on) > 1:
        title = next(iter(pairs))
        text += f"\nSet by set, {title}:\n\n" + set_difference_table(off, on, names, measure)
    return text


def _jitter(found: Collected) -> str:
    exact = found.kinds.get("click", {})
    if not found.jitter or not exact:
        return ""
    return (
        "## Clicks that miss\n\n"
        f"Clicks that land up to {JITTER:g} pixels from where they were aimed, uniformly in a "
        "disk, but on the side of the outline that was meant; against exact ones on the same "
        "objects. Means over sets.\n\n"
        + difference_table(
            {"clicks": (exact, found.jitter)},
            ("exact", f"up to {JITTER:g} px off"),
            worse=False,
        )
    )


def _baselines(found: Collected) -> str:
    clicks = found.kinds.get("click", {})
    if not found.baselines or not clicks:
        return ""
    lacking = found.run.get("missing_baselines", [])
    note = f"\nNot measured, as its library is missing: {', '.join(lacking)}.\n" if lacking else ""
    return (
        "## Classical methods\n\n"
        "The same objects and clicks from the same simulated user; the best of each set is bold. "
        "The classical methods look at windows around the prompts.\n\n"
        + baseline_table(clicks, found.baselines)
        + note
    )


def _failures(found: Collected, pictures: bool) -> str:
    clicks = found.kinds.get("click", {})
    if not clicks or "failures" not in found.run.get("parts", ["failures"]):
        return ""
    at = min(JUDGED_AT, _most(found))
    if not pictures:
        rows = [["set", "image", "object", "pixels", *(f"IoU@{k}" for k in _shown(at))]]
        for name, result in clicks.items():
            for case in worst_objects(result):
                rows.append([name, *_told(case, at)])
        return (
            f"## The worst objects\n\nThe {WORST} of each set with the lowest IoU after {at} "
            "clicks.\n\n" + markdown_table(rows)
        )
    text = (
        f"## The worst objects\n\nThe {WORST} of each set with the lowest IoU after {at} clicks, "
        f"as they look then. Cyan: the truth. Orange: the result. Numbers: the clicks in order, "
        "green disks positive, red squares negative.\n"
    )
    for name in clicks:
        listed = found.folder / FAILURES / f"{name}.json"
        if listed.is_file():
            cases = json.loads(listed.read_text(encoding="utf-8"))["cases"]
            text += f"\n### {name}\n\n" + _gallery(name, cases, at)
    return text


def _gallery(name: str, cases: Sequence[Mapping[str, Any]], at: int) -> str:
    """A table with a picture in each cell and what it shows below."""
    rows = []
    for start in range(0, len(cases), _PICTURES_IN_A_ROW):
        row = cases[start : start + _PICTURES_IN_A_ROW]
        shown = [
            f"![{name}, worst object {start + index}](pictures/{quote(case['picture'])})"
            for index, case in enumerate(row, 1)
        ]
        words = []
        for case in row:
            image, label, area, *ious = _told(case, at)
            after = ", ".join(str(k) for k in _shown(at))
            curve = " → ".join(ious)
            words.append(
                f"**IoU {ious[-1]}** ({curve} after {after}); {image}, object {label}, {area} px"
            )
        blank = [""] * (_PICTURES_IN_A_ROW - len(row))
        rows += [[*shown, *blank], [*words, *blank]]
    return markdown_table(rows, left=True)


def _told(case: Mapping[str, Any], at: int) -> list[str]:
    ious = case["iou"]
    curve = [ious[min(k, len(ious)) - 1] if ious else 0.0 for k in _shown(at)]
    # File names are not Markdown; an underscore within a word is no mark there either.
    image = re.sub(r"([\\`*\[\]<>#]|\b_|_\b)", r"\\\1", str(case["image"]))
    return [image, str(case["label"]), str(case["area"]), *(f"{iou:.2f}" for iou in curve)]


def _shown(at: int) -> list[int]:
    return sorted({k for k in (1, 3, at) if k <= at})


def _timings(found: Collected) -> str:
    of_sets = found.timings or found.kinds.get("click", {})
    if not of_sets:
        return ""
    alone = bool(found.timings)
    result = next(iter(of_sets.values()))
    count = f"{result['n_objects']} objects a set at most, each alone" if alone else "all objects"
    return (
        "## How long it takes\n\n"
        f"Milliseconds of an interaction with clicks through a session, {count}. Encoding: all "
        "views that an interaction encoded, among those that encoded any. Interaction: everything "
        f"else. {machine_text(result)}\n\n" + timing_table(of_sets)
    )


def machine_text(result: Result) -> str:
    """The machine that made a result, as a sentence."""
    told = result.get("machine")
    if not told:
        return "The machine was not recorded."
    return (
        f"{told['processor']}, {told['cores']} cores, device {told['device']}, "
        f"{told['processes']} process{'es' * (told['processes'] != 1)} at the same time, "
        f"{told['threads']} thread{'s' * (told['threads'] != 1)} each; torch {told['torch']}, "
        f"Python {told['python']}, {told['system']}."
    )


def _how(found: Collected) -> str:
    result = next(iter(found.kinds.get("click", {}).values()), found.first)
    settings = result["settings"]
    parts = found.run.get("parts")
    every = found.run.get("all_parts", False)
    lines = [
        "## How it was measured",
        "",
        f"    {command_line(settings, None if every else parts)}",
        "",
        f"with the sets {', '.join(found.sets)} below DATA.",
        "",
        f"- Objects: {settings['min_area']} pixels or more, "
        + (
            f"at most {settings['limit']} of a set, spread over its images"
            if settings["limit"]
            else "all"
        )
        + f", seed {settings['seed']}.",
        "- The simulated user: RITM's clicker (deepest pixel of the larger error), SAM 2's noisy "
        "boxes, scribbles along the centre line; each object on its own, on the whole image.",
        f"- At most {settings['max_interactions']} interactions, threshold "
        f"{settings['threshold']:g} on the probability.",
    ]
    if result.get("machine"):
        lines.append(f"- Measured with {result['machine']['program']} on {machine_text(result)}")
    return "\n".join(lines) + "\n"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _model(result: Result) -> str:
    weights = result.get("weights")
    if weights:
        return str(weights["model"])
    return method_name(
        {"settings": {**result["settings"], "prompts": "click", "em": False, "jitter": 0}}
    )


def _most(found: Collected) -> int:
    kinds = next(iter(found.kinds.values()), {})
    return min((result["settings"]["max_interactions"] for result in kinds.values()), default=20)
