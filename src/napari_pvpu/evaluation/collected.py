"""The results of a report's parts, read from a folder and sorted by what they measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.report import load_results, set_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    Result: TypeAlias = Mapping[str, Any]
    OfSets: TypeAlias = dict[str, Result]

__all__ = [
    "FAILURES",
    "RUN",
    "TIMINGS",
    "Collected",
    "collect",
    "curves_of",
    "paired_curves",
    "read_run",
]

RUN = "run.json"
TIMINGS = "timings"
FAILURES = "failures"
_ORDER = ("click", "box", "scribble", "mixed")


@dataclass
class Collected:
    """Results by what they measured; every inner mapping goes from names of sets to results.

    Parameters
    ----------
    kinds, em : dict
        By kind of prompts, without EM and with it.
    jitter, timings : dict
        Of perturbed clicks, and of the few objects that were timed alone.
    baselines : dict
        By method.
    run : mapping
        What `run.json` says; empty without one.
    folder : Path
        Where it was read.
    """

    folder: Path
    kinds: dict[str, OfSets] = field(default_factory=dict)
    em: dict[str, OfSets] = field(default_factory=dict)
    jitter: OfSets = field(default_factory=dict)
    baselines: dict[str, OfSets] = field(default_factory=dict)
    timings: OfSets = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sets(self) -> list[str]:
        """Names of all sets, sorted."""
        return sorted({name for of_sets in self._groups() for name in of_sets})

    @property
    def first(self) -> Result:
        """Any result of the model, for what all have in common."""
        for of_sets in (*self.kinds.values(), *self.em.values(), self.jitter, self.timings):
            for result in of_sets.values():
                return result
        raise DatasetError(
            f"{self.folder} has no result of a model, only of baselines; run napari-pvpu evaluate "
            "DATA --report OUT"
        )

    def _groups(self) -> Iterable[OfSets]:
        yield from self.kinds.values()
        yield from self.em.values()
        yield from self.baselines.values()
        yield self.jitter
        yield self.timings


def collect(folder: Path) -> Collected:
    """Read what the parts of a report measured.

    Parameters
    ----------
    folder : Path
        A folder of results, or a report's folder with ``results/`` in it.

    Returns
    -------
    Collected

    Raises
    ------
    DatasetError
        When there is none, a file cannot be read, or results belong to several models.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; give the folder of a report or its results")
    if not any(folder.glob("*.json")) and (folder / "results").is_dir():
        folder = folder / "results"
    out = Collected(folder)
    for result in load_results([folder]):
        name, settings = set_name(result["settings"]["dataset"]), result["settings"]
        if settings["method"] != "pvpu":
            out.baselines.setdefault(settings["method"], {})[name] = result
        elif settings.get("jitter"):
            out.jitter[name] = result
        else:
            group = out.em if settings["em"] else out.kinds
            group.setdefault(settings["prompts"], {})[name] = result
    if any((folder / TIMINGS).glob("*.json")):
        for result in load_results([folder / TIMINGS]):
            out.timings[set_name(result["settings"]["dataset"])] = result
    for group in (out.kinds, out.em):
        for kind in [each for each in _ORDER if each in group]:
            group[kind] = dict(sorted(group.pop(kind).items()))  # in order, sets too
    out.run = read_run(folder)
    _check_one_model(out)
    return out


def read_run(folder: Path) -> dict[str, Any]:
    """What `run.json` says: ``date``, ``parts``, ``all_parts``, ``missing_baselines``.

    Empty when there is none, or a damaged one: no number depends on it.
    """
    try:
        return dict(json.loads((folder / RUN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def curves_of(result: Result) -> list[list[float]]:
    """The IoU curve of each object."""
    return [each["iou"] for each in result["objects"]]


def paired_curves(first: Result, second: Result) -> tuple[list[list[float]], list[list[float]]]:
    """Curves of the objects that two results on one set have in common, in the same order."""
    others = {(each["image"], each["label"]): each["iou"] for each in second["objects"]}
    pairs = [
        (each["iou"], others[each["image"], each["label"]])
        for each in first["objects"]
        if (each["image"], each["label"]) in others
    ]
    return [one for one, _ in pairs], [other for _, other in pairs]


def _check_one_model(found: Collected) -> None:
    models: dict[str, str] = {}
    ours: Sequence[OfSets] = [*found.kinds.values(), *found.em.values(), found.jitter]
    for of_sets in (*ours, found.timings):
        for result in of_sets.values():
            weights = result.get("weights") or {}
            name = str(result["settings"]["model"])
            digest = weights.get("sha256", "")
            models[digest or name] = f"{name} {digest[:12]}".strip()
    if len(models) > 1:
        listed = "; ".join(models.values())
        raise DatasetError(
            f"{found.folder} holds results of {len(models)} models or weights ({listed}); give "
            "each a folder of its own"
        )
