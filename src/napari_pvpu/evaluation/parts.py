"""The parts of a report: which evaluations each of them asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.baselines import BASELINES, make_baseline

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_pvpu.evaluation.robot import PromptMode
    from napari_pvpu.evaluation.settings import EvaluationSettings

__all__ = ["JITTER", "KINDS", "PARTS", "PartName", "Variant", "missing_baselines", "variants"]

PartName: TypeAlias = Literal[
    "clicks", "boxes", "scribbles", "mixed", "em", "jitter", "baselines", "failures", "timings"
]
PARTS: tuple[PartName, ...] = get_args(PartName)

KINDS: dict[PartName, PromptMode] = {
    "clicks": "click",
    "boxes": "box",
    "scribbles": "scribble",
    "mixed": "mixed",
}
"""Parts that differ by the kind of the first interaction."""

JITTER = 3.0
"""Pixels that the perturbed clicks of the part "jitter" are off at most."""

_EM_TO = 10
_JITTER_IOU_TO = 5
_BASELINES_TO = 3
_TIMED_OBJECTS = 8
_TIMED_TO = 5


@dataclass(frozen=True, slots=True)
class Variant:
    """One evaluation of every set.

    Parameters
    ----------
    part : str
        Whose it is.
    settings : EvaluationSettings
        What it measures.
    alone : bool
        It measures time, so nothing of ours may run beside it.
    """

    part: PartName
    settings: EvaluationSettings
    alone: bool = False


def variants(settings: EvaluationSettings, parts: Collection[PartName]) -> list[Variant]:
    """List the evaluations that some parts of a report need.

    Parameters
    ----------
    settings : EvaluationSettings
        Model, objects, targets and the most interactions; prompts, method, EM and jitter are set
        here.
    parts : collection of str
        Some of `PARTS`. What "em", "jitter", "baselines" and "failures" are held against, exact
        clicks, comes with them.

    Returns
    -------
    list of Variant
        The longest first, so that many processes end at about the same time. EM is measured for
        ten interactions, on every kind of prompts that is: without EM those of the kind itself are
        compared. Perturbed clicks are compared by NoC and IoU@5, baselines by IoU@3.
    """
    most = settings.max_interactions
    needed = [part for part in KINDS if part in parts]
    if "clicks" not in needed and set(parts) - {"boxes", "scribbles", "mixed", "timings"}:
        needed.insert(0, "clicks")
    out = [Variant(part, replace(settings, prompts=KINDS[part])) for part in needed]
    if "em" in parts:
        brief = replace(settings, em=True, max_interactions=min(most, _EM_TO))
        out += [Variant("em", replace(brief, prompts=KINDS[part])) for part in needed]
    if "jitter" in parts:
        to = min(_JITTER_IOU_TO, settings.iou_to)
        out.append(Variant("jitter", replace(settings, jitter=JITTER, iou_to=to)))
    if "baselines" in parts:
        brief = replace(settings, max_interactions=min(most, _BASELINES_TO))
        lacking = missing_baselines()
        names = [name for name in BASELINES if name not in lacking]
        out += [Variant("baselines", replace(brief, method=name)) for name in names]
    if "timings" in parts:
        limit = min(_TIMED_OBJECTS, settings.limit or _TIMED_OBJECTS)
        brief = replace(settings, limit=limit, max_interactions=min(most, _TIMED_TO))
        out.append(Variant("timings", brief, alone=True))
    return out


def missing_baselines() -> Sequence[str]:
    """Baselines whose library is not installed."""
    missing = []
    for name in BASELINES:
        try:
            make_baseline(name)
        except PvpuError:
            missing.append(name)
    return missing
