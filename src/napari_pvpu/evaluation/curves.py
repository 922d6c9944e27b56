"""Curves of mean IoU against interactions, as SVG. Needs matplotlib (extra ``report``).

Dark text on a white panel: a report is read in light and in dark, and a picture in a page does not
know in which.
"""

from __future__ import annotations

import math
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation import statistics
from napari_pvpu.evaluation.collected import curves_of
from napari_pvpu.evaluation.report_tables import KIND_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
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
_GREY = "#888888"
_BASELINE_MARKERS = "xv+<*"
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


def draw_macro_curves(
    kinds: Mapping[str, OfSets],
    path: Path,
    em: Mapping[str, OfSets] | None = None,
    baselines: Mapping[str, OfSets] | None = None,
) -> None:
    """Draw the mean over sets for each kind of prompts, with a band of one standard error.

    Parameters
    ----------
    kinds : mapping
        Results by kind of prompts, then by set.
    path : Path
        SVG to write; the same results give the same file.
    em : mapping, optional
        The same with EM value propagation: dashed, in the colours of the kinds.
    baselines : mapping, optional
        Results by classical method, on clicks, then by set: grey, with their names.

    Notes
    -----
    A mean over other sets than those of the kind that it is compared with is not drawn.
    """
    with _style():
        # Classical methods begin far below the model, whose curves keep their height.
        figure, (axes,) = _panels(1, 1, (8.6, 5.4 if baselines else 4.2))
        classical = _comparable(baselines or {}, lambda _: kinds.get("click"))
        for (name, of_sets), marker in zip(classical, cycle(_BASELINE_MARKERS)):
            means, _ = _macro(of_sets)
            steps = np.arange(1, len(means) + 1)
            axes.plot(steps, means, color=_GREY, marker=marker, markersize=4, label=name)
        for kind, of_sets in kinds.items():
            means, error = _macro(of_sets)
            _draw(axes, kind, means)
            steps = np.arange(1, len(means) + 1)
            colour = _STYLES[kind][0]
            axes.fill_between(
                steps, means - error, means + error, color=colour, alpha=0.15, linewidth=0
            )
        for kind, of_sets in _comparable(em or {}, kinds.get):
            _draw_with_em(axes, kind, _macro(of_sets)[0])
        axes.set(xlabel="interactions", ylabel="mean IoU, mean over sets")
        figure.legend(*_model_first(axes), loc="outside right upper")
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


def _comparable(
    more: Mapping[str, OfSets], counterpart: Callable[[str], OfSets | None]
) -> Iterator[tuple[str, OfSets]]:
    """Results on the sets that what they are drawn beside was measured on, and on no others."""
    for name, of_sets in more.items():
        beside = counterpart(name)
        if beside and set(beside) <= set(of_sets):
            yield name, {each: of_sets[each] for each in beside}


def _macro(of_sets: OfSets) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over sets and its standard error after each interaction."""
    sets = [_values(result) for result in of_sets.values()]
    return statistics.macro_mean(sets), statistics.bootstrap_macro(sets).std(axis=0)


def _values(result: Mapping[str, Any]) -> NDArray[np.float64]:
    limit = result["settings"]["max_interactions"]
    measures = [statistics.iou_measure(k) for k in range(1, limit + 1)]
    return statistics.object_values(curves_of(result), measures)


def _draw(axes: Any, kind: str, means: NDArray[np.float64]) -> None:
    colour, marker = _STYLES[kind]
    steps = np.arange(1, len(means) + 1)
    axes.plot(steps, means, color=colour, marker=marker, label=KIND_NAMES[kind])


def _draw_with_em(axes: Any, kind: str, means: NDArray[np.float64]) -> None:
    """Draw a dashed curve, whose hollow markers show where it lies on the one without EM."""
    colour, marker = _STYLES[kind]
    steps = np.arange(1, len(means) + 1)
    label = f"{KIND_NAMES[kind]}, EM on"
    axes.plot(steps, means, "--", color=colour, marker=marker, markerfacecolor="white", label=label)


def _model_first(axes: Any) -> tuple[list[Any], list[str]]:
    """Handles and labels of a legend: classical methods lie below, and are named last."""
    rows = list(zip(*axes.get_legend_handles_labels(), strict=True))
    rows.sort(key=lambda row: row[0].get_color() == _GREY)
    return [handle for handle, _ in rows], [label for _, label in rows]


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
