"""Tune the settings of EM value propagation on training objects, with the simulated user.

First every setting is screened: the user segments each object with EM off, and after each
interaction EM is tried in every setting on that very state. All see the same states, so that few
objects show small differences. The best are then run as they are used, with EM on throughout.

    .venv/bin/python benchmarks/em_grid.py DATA --sets dsb2018 nasa_ebc --out em_grid.json

DATA holds NAME/train/images and NAME/train/masks; other splits are never read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine

from napari_pvpu import Segmenter
from napari_pvpu.evaluation.dataset import MaskFolder
from napari_pvpu.evaluation.methods import SessionMethod
from napari_pvpu.evaluation.regions import EMPTY_REGION, RegionMask
from napari_pvpu.evaluation.robot import Robot
from napari_pvpu.evaluation.runner import EvaluationSettings, ObjectResult, evaluate
from napari_pvpu.evaluation.suite import find_sets, write_json
from napari_pvpu.propagation import PropagationSettings

SHOWN = (1, 2, 3, 5)
JUDGED = (3, 5)
INTERACTIONS = max(SHOWN)
OFF = "off"
VARIED = {
    "iterations": (1, 5),
    "alpha_scale": (0.5, 2.0, 4.0),
    "beta": (0.03, 0.3),
    "theta_mu": (0.3, 3.0),
    "fixed_value": (3.0,),
    "radius": (2.0,),
    "position_length": (4.0, 8.0, 32.0),
    "blend": (0.25, 0.5),
    "grid": (16, 64),
}
"""What is tried by default, one setting at a time."""

Curves = dict[str, dict[str, list[list[float]]]]
"""IoUs by name of the settings, set, object and interaction."""


class TunedSegmenter(Segmenter):
    """A segmenter whose propagation may change, and which never encodes a view twice."""

    def __init__(self, model: str, device: str) -> None:
        super().__init__(model, device=device, store=False)
        self.chosen = PropagationSettings()
        self._known: dict[bytes, Any] = {}

    @property
    def propagation(self) -> PropagationSettings:
        """Settings of EM value propagation in use."""
        return self.chosen

    def encode(self, view: Any, key: Any = None) -> Any:
        """Return the features of a view, known by its pixels."""
        pixels = hashlib.blake2b(np.ascontiguousarray(view).tobytes()).digest()
        if pixels not in self._known:
            self._known[pixels] = super().encode(view)
        return self._known[pixels]

    def forget(self) -> None:
        """Drop all features."""
        self._known.clear()


class ScreenMethod(SessionMethod):
    """A session with EM off that also tells what EM would have made of each state.

    Parameters
    ----------
    segmenter : TunedSegmenter
        Opens the sessions.
    variants : dict
        Settings by name.
    threshold : float
        On the probability.

    Attributes
    ----------
    shown : dict of list of RegionMask
        For each variant the mask after each interaction of the present object.
    """

    def __init__(
        self,
        segmenter: TunedSegmenter,
        variants: dict[str, PropagationSettings],
        threshold: float,
    ) -> None:
        super().__init__(segmenter, em=False, threshold=threshold)
        self._tuned = segmenter
        self._variants = variants
        self.shown: dict[str, list[RegionMask]] = {}

    def start(self) -> None:
        """Drop the object."""
        super().start()
        self.shown = {name: [] for name in self._variants}

    def add(self, prompt: Any) -> Any:
        """Answer with EM off; keep what each variant makes of it."""
        answer = super().add(prompt)
        session = self._session
        assert session is not None
        for name, chosen in self._variants.items():
            self._tuned.chosen = chosen
            request = session.request(session.prompts, value_propagation=True)
            drawing = session.compute(request).drawing
            region = EMPTY_REGION
            if drawing is not None:
                region = RegionMask(drawing.row, drawing.col, drawing.mask)
            self.shown[name].append(region)
        return answer


@dataclass
class Grid:
    """One run: what is tried on what.

    Attributes
    ----------
    folders : list of Path
        Training sets.
    segmenter : TunedSegmenter
        Shared by all.
    settings : EvaluationSettings
        Without EM.
    curves : dict
        Results so far.
    """

    folders: list[Path]
    segmenter: TunedSegmenter
    settings: EvaluationSettings
    curves: Curves = field(default_factory=dict)

    def screen(self, variants: dict[str, PropagationSettings]) -> None:
        """Try each variant on the states of a user who has EM off."""
        for folder in self.folders:
            method = ScreenMethod(self.segmenter, variants, self.settings.threshold)
            truth = MaskFolder(folder, self.settings.min_area)
            index = {files.stem: i for i, files in enumerate(truth.files)}

            def keep(
                result: ObjectResult,
                folder: Path = folder,
                method: ScreenMethod = method,
                truth: MaskFolder = truth,
                index: dict[str, int] = index,
            ) -> None:
                self._keep(OFF, folder, list(result.ious))
                sample = truth[index[result.image]]
                robot = Robot(sample.labels == result.label, sample.valid)
                for name, regions in method.shown.items():
                    self._keep(name, folder, [robot.iou(region) for region in regions])

            evaluate(folder, self.settings, method=method, progress=False, on_result=keep)
            self.segmenter.forget()
            print(f"screened {len(variants)} settings on {folder.parent.name}", flush=True)

    def confirm(self, variants: dict[str, PropagationSettings]) -> None:
        """Run variants as they are used, EM on from the first prompt, and once with EM off."""
        for folder in self.folders:
            for name, chosen in [(OFF, None), *variants.items()]:
                self.segmenter.chosen = chosen or PropagationSettings()
                em = chosen is not None
                method = SessionMethod(self.segmenter, em=em, threshold=self.settings.threshold)
                result = evaluate(
                    folder, replace(self.settings, em=em), method=method, progress=False
                )
                for each in result["objects"]:
                    self._keep(name, folder, each["iou"])
            self.segmenter.forget()
            print(f"ran {len(variants)} settings on {folder.parent.name}", flush=True)

    def _keep(self, name: str, folder: Path, curve: list[float]) -> None:
        self.curves.setdefault(name, {}).setdefault(folder.parent.name, []).append(curve)


def rows(curves: Curves) -> list[dict[str, Any]]:
    """Sum up, best first.

    Parameters
    ----------
    curves : dict
        Of all variants and of EM off, for the same objects.

    Returns
    -------
    list of dict
        For each variant the mean over sets of the mean IoU after 1, 2, 3 and 5 interactions, the
        gain over EM off at 3 and 5 and their mean, and the standard error of that mean over
        objects.
    """
    out = []
    for name, sets in curves.items():
        at = {k: np.mean([np.mean(_after(sets[s], k)) for s in sets]) for k in SHOWN}
        off = {k: np.mean([np.mean(_after(curves[OFF][s], k)) for s in sets]) for k in JUDGED}
        paired = np.concatenate(
            [
                np.mean([_after(sets[s], k) - _after(curves[OFF][s], k) for k in JUDGED], axis=0)
                for s in sets
            ]
        )
        gains = {k: float(at[k] - off[k]) for k in JUDGED}
        out.append(
            {
                "settings": name,
                **{f"@{k}": round(float(at[k]), 4) for k in SHOWN},
                **{f"gain @{k}": round(gains[k], 4) for k in JUDGED},
                "gain": round(sum(gains.values()) / len(gains), 4),
                "error": round(float(paired.std() / max(len(paired), 2) ** 0.5), 4),
                "objects": len(paired),
            }
        )
    return sorted(out, key=lambda row: -row["gain"])


def _after(curves: list[list[float]], k: int) -> np.ndarray:
    """IoU of each object after k interactions; a curve that ended keeps its last value."""
    return np.array([curve[min(k, len(curve)) - 1] if curve else 0.0 for curve in curves])


def variants_of(
    base: PropagationSettings, varied: dict[str, tuple[Any, ...]], together: bool
) -> dict[str, PropagationSettings]:
    """Settings to try, by what differs from the base: one at a time, or all combinations."""
    out = {"base": base}
    if together:
        choices = [[(name, v) for v in values] for name, values in varied.items()]
        changes = [dict(each) for each in product(*choices)]
    else:
        changes = [{name: v} for name, values in varied.items() for v in values]
    for change in changes:
        out[" ".join(f"{name}={value}" for name, value in change.items())] = replace(base, **change)
    return out


def parsed(texts: list[str]) -> dict[str, tuple[Any, ...]]:
    """Read ``name=value,value`` arguments; "none" is None."""
    known = asdict(PropagationSettings())
    out: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        if name not in known or not values:
            raise SystemExit(f"cannot read {text!r}; write NAME=VALUE,... with one of {[*known]}")
        out[name] = tuple(None if v == "none" else json.loads(v) for v in values.split(","))
    return out


def table(title: str, found: list[dict[str, Any]]) -> str:
    """A Markdown table of rows with the same keys."""
    columns = list(found[0])
    lines = [f"## {title}", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row[c]) for c in columns) + " |" for row in found]
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with NAME/train/images and masks")
    parser.add_argument("--sets", nargs="+", help="names of sets; all by default")
    parser.add_argument("--out", type=Path, default=Path("em_grid.json"), help="a .md goes beside")
    parser.add_argument("--limit", type=int, default=12, help="objects of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-area", type=int, default=30)
    parser.add_argument("--model", default="pvpu-nano")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--prompts", default="click", help="click, box, scribble or mixed")
    parser.add_argument("--base", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--vary", nargs="*", metavar="NAME=VALUE,...", help="instead of all")
    parser.add_argument("--together", action="store_true", help="all combinations of --vary")
    parser.add_argument("--no-screen", action="store_true", help="run all as they are used")
    parser.add_argument("--confirm", type=int, default=0, metavar="N", help="best N run as used")
    return parser.parse_args()


def main() -> None:
    """Screen, confirm, and write a JSON file and a Markdown table beside it."""
    options = arguments()
    folders = [f for f in find_sets(options.data, "train") if f.name == "train"]
    if options.sets:
        folders = [f for f in folders if f.parent.name in options.sets]
    if not folders:
        raise SystemExit(f"no training set below {options.data}; expected NAME/train/images")
    base = replace(
        PropagationSettings(), **{name: values[0] for name, values in parsed(options.base).items()}
    )
    varied = VARIED if options.vary is None else parsed(options.vary)
    variants = variants_of(base, varied, options.together)
    settings = EvaluationSettings(
        prompts=options.prompts,
        max_interactions=INTERACTIONS,
        limit=options.limit,
        min_area=options.min_area,
        seed=options.seed,
    )
    segmenter = TunedSegmenter(options.model, options.device)
    found: dict[str, list[dict[str, Any]]] = {}
    if not options.no_screen:
        grid = Grid(folders, segmenter, settings)
        grid.screen(variants)
        found["EM tried on states reached without it"] = rows(grid.curves)
        order = [r["settings"] for r in rows(grid.curves) if r["settings"] not in (OFF, "base")]
        variants = {name: variants[name] for name in ["base", *order[: options.confirm]]}
    if options.no_screen or options.confirm:
        grid = Grid(folders, segmenter, settings)
        grid.confirm(variants)
        found["EM on from the first prompt"] = rows(grid.curves)
    text = "\n".join(table(title, each) for title, each in found.items())
    print(text)
    write_json(
        options.out,
        {
            "base": asdict(base),
            "sets": [f.parent.name for f in folders],
            "evaluation": asdict(settings),
            "machine": machine(),
            "rows": found,
        },
    )
    options.out.with_suffix(".md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
