"""How good the default model is after how many views.

    napari-pvpu evaluate-all DATA --model OUT/weights.safetensors --out RESULTS --min-area 30
    .venv/bin/python benchmarks/learning_curve.py --views 72000 --results RESULTS

adds a point to docs/learning-curve.json, or replaces the one of the same number of views and the
same words, and draws docs/performance/learning-curve.svg. Without arguments it draws only. Runs of
different lengths are compared, each with a learning rate that fell to zero, not moments of one run:
before the rate falls weights are worth less than they could be.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_pvpu.evaluation.collected import curves_of
from napari_pvpu.evaluation.statistics import (
    bootstrap_macro,
    iou_measure,
    macro_mean,
    object_values,
)
from napari_pvpu.evaluation.suite import write_json

DOCS = Path(__file__).parents[1] / "docs"
OUT = DOCS / "learning-curve.json"
PICTURE = DOCS / "performance" / "learning-curve.svg"
SHOWN = (1, 3, 5)
TARGETS = {1: 0.75, 3: 0.88, 5: 0.91}
COLOURS = {1: "#0072b2", 3: "#009e73", 5: "#d55e00"}  # Okabe and Ito's


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", type=int, help="seen in training up to these weights")
    parser.add_argument("--results", type=Path, help="folder that evaluate-all wrote")
    parser.add_argument("--about", default="", help="a few words on the run")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON of all points")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    if (options.views is None) != (options.results is None):
        parser.error("--views and --results belong together")
    return options


def point(views: int, folder: Path, about: str) -> dict[str, Any]:
    """Sum up a folder of results: means over sets and their standard errors."""
    results = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    results = [each for each in results if "iou_at" in each]
    if not results:
        raise SystemExit(f"{folder} holds no result of evaluate-all")
    sets = [object_values(curves_of(each), [iou_measure(k) for k in SHOWN]) for each in results]
    means, errors = macro_mean(sets), bootstrap_macro(sets).std(axis=0)
    return {
        "views": views,
        "about": about,
        "sets": len(sets),
        "objects": sum(len(values) for values in sets),
        "iou_at": {str(k): round(float(m), 4) for k, m in zip(SHOWN, means, strict=True)},
        "error": {str(k): round(float(e), 4) for k, e in zip(SHOWN, errors, strict=True)},
    }


def draw(points: list[dict[str, Any]], path: Path) -> None:
    """Draw IoU after some clicks against views, with a logarithmic axis; the same, byte by byte."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {"svg.fonttype": "none", "svg.hashsalt": "napari-pvpu", "font.size": 9}
    with rc_context(style):
        figure = Figure(figsize=(7.0, 4.2), layout="constrained", facecolor="white")
        axes = figure.subplots()
        views = [each["views"] for each in points]
        for k in SHOWN:
            means = [each["iou_at"][str(k)] for each in points]
            errors = [each["error"][str(k)] for each in points]
            axes.errorbar(
                views, means, errors, fmt="o", ms=4, color=COLOURS[k], label=f"IoU@{k}", lw=1
            )
            best = np.maximum.accumulate(means)
            axes.plot(views, best, color=COLOURS[k], lw=1, alpha=0.6)
            axes.axhline(TARGETS[k], color=COLOURS[k], lw=0.8, ls=":")
        axes.set(xscale="log", xlabel="views seen in training", ylabel="mean IoU, mean over sets")
        axes.grid(color="#dddddd", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right", frameon=False, title="line: best so far, dotted: wanted")
        figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> None:
    """Add a point if one is given, and draw."""
    options = arguments()
    points: list[dict[str, Any]] = []
    if options.out.is_file():
        points = json.loads(options.out.read_text("utf-8"))["points"]
    if options.results is not None:
        new = point(options.views, options.results, options.about)
        print(new)
        same = (new["views"], new["about"])
        points = [each for each in points if (each["views"], each["about"]) != same]
        points = sorted([*points, new], key=lambda each: each["views"])
        write_json(options.out, {"points": points})
    draw(points, options.picture)


if __name__ == "__main__":
    main()
