"""Curves of mean IoU against interactions, as SVG. Needs matplotlib (extra ``report``).

Dark text on a white panel: a report is read in light and in dark, and a picture in a page does not
know in which.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation import statistics
from napari_pvpu.evaluation.collected import curves_of
from napari_pvpu.evaluation.report_tables import KIND_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_pvpu.evaluation.collected import OfSets

__all__ = ["draw_macro_curves", "draw_set_curves", "require_matplotlib"]

# Okabe and Ito's colours, which stay apart for all kinds of sight; markers do without any.
_STYLES = {
    "click": ("#0072b2", "o"),
    "box": ("#d55e00", "s"),
    "scribble": ("#009e73", "^"),
    "mixed": ("#aa4499", "D"),
}
_COLUMNS = 4
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "napari-pvpu",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.markersize": 3,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def require_matplotlib() -> None:
    """Raise `PvpuError`, with what to install, when there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise PvpuError(
            "a report's curves need matplotlib, which is not installed; run: pip install "
            "'napari-pvpu[report]', or give --markdown-only"
        ) from error


def draw_macro_curves(kinds: Mapping[str, OfSets], path: Path) -> None:
    """Draw the mean over sets for each kind of prompts, with a band of one standard error.

    Parameters
    ----------
    kinds : mapping
        Results by kind of prompts, then by set.
    path : Path
        SVG to write; the same results give the same file.
    """
    with _style():
        figure, (axes,) = _panels(1, 1, (7.0, 4.2))
        for kind, of_sets in kinds.items():
            sets = [_values(result) for result in of_sets.values()]
            means = statistics.macro_mean(sets)
            error = statistics.bootstrap_macro(sets).std(axis=0)
            _draw(axes, kind, means)
            steps = np.arange(1, len(means) + 1)
            colour = _STYLES[kind][0]
            axes.fill_between(
                steps, means - error, means + error, color=colour, alpha=0.15, linewidth=0
            )
        axes.set(xlabel="interactions", ylabel="mean IoU, mean over sets")
        axes.legend(loc="lower right")
        _save(figure, path)


def draw_set_curves(kinds: Mapping[str, OfSets], path: Path) -> None:
    """Draw one panel per set, all with the same axes, and a curve for each kind of prompts."""
    names = sorted({name for of_sets in kinds.values() for name in of_sets})
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    with _style():
        figure, panels = _panels(rows, columns, (2.6 * columns + 0.4, 2.1 * rows + 0.7))
        for panel, name in zip(panels, names, strict=False):
            for kind, of_sets in kinds.items():
                if name in of_sets:
                    _draw(panel, kind, statistics.macro_mean([_values(of_sets[name])]))
            panel.set_title(name, fontsize=9)
        for index, panel in enumerate(panels):
            if index >= len(names):
                panel.set_axis_off()
            # The row below may end before this column does.
            panel.tick_params(labelbottom=index + columns >= len(names))
        figure.supxlabel("interactions", fontsize=9)
        figure.supylabel("mean IoU", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        _save(figure, path)


def _values(result: Mapping[str, Any]) -> NDArray[np.float64]:
    limit = result["settings"]["max_interactions"]
    measures = [statistics.iou_measure(k) for k in range(1, limit + 1)]
    return statistics.object_values(curves_of(result), measures)


def _draw(axes: Any, kind: str, means: NDArray[np.float64]) -> None:
    colour, marker = _STYLES[kind]
    steps = np.arange(1, len(means) + 1)
    axes.plot(steps, means, color=colour, marker=marker, label=KIND_NAMES[kind])


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """Figure and axes without the state (and window) of pyplot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel in axes.flat:
        panel.xaxis.get_major_locator().set_params(integer=True)
    return figure, list(axes.flat)


def _style() -> Any:
    from matplotlib import rc_context

    return rc_context(_STYLE)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
