"""What the speed benchmarks share: statistics, the machine, and the page they write."""

from __future__ import annotations

import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "performance"
PAGE = FOLDER.with_suffix(".md")


def summary(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile of some milliseconds, and how many there were."""
    ordered = sorted(values)
    last = ordered[min(round(0.95 * (len(ordered) - 1)), len(ordered) - 1)]
    median = statistics.median(ordered)
    return {"median": round(median, 2), "p95": round(last, 2), "n": len(ordered)}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import torch

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "load average before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }


def contradicting_clicks(segmenter: Any, features: Any, previous: Any) -> list[Any]:
    """Three clicks of which one is against the network's answer, so that EM has work to do.

    Where all clicks are on their own side already, value propagation has nothing to spread and
    ends at once.

    Raises
    ------
    SystemExit
        If no such clicks were found.
    """
    import numpy as np

    from napari_pvpu import Click

    side = segmenter.view_size
    for step in range(1, side // 2):
        clicks = [
            Click((side / 2, side / 2)),
            Click((side / 2 + step, side / 2), positive=False),
            Click((side / 2, side / 2 + 9)),
        ]
        answer = segmenter.decode(features, clicks, previous, segmenter.propagation)
        if not np.array_equal(answer.logits, answer.propagated):
            return clicks
    raise SystemExit("EM has nothing to do with any of the clicks tried")


def save(name: str, title: str, command: str, rows: list[dict[str, Any]], **more: Any) -> None:
    """Write one benchmark's JSON and render the page anew.

    Parameters
    ----------
    name : str
        Stem of the file.
    title, command : str
        What was measured, and how to do it again.
    rows : list of dict
        Lines of the table, all with the same keys.
    more
        Anything else worth keeping, as JSON values.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    values = {"title": title, "command": command, "rows": rows, **more}
    (FOLDER / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    render()


def render() -> None:
    """Write docs/performance.md from all JSON files beside it."""
    lines = ["# Performance", "", "Measured by the scripts in `benchmarks/`; they write this page."]
    for file in sorted(FOLDER.glob("*.json"), reverse=True):
        values = json.loads(file.read_text("utf-8"))
        lines += ["", f"## {values['title']}", "", f"    {values['command']}", ""]
        if "picture" in values:
            lines += [f"![{values['title']}](performance/{values['picture']})", ""]
        columns = list(values["rows"][0])
        lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(_cell(r[c]) for c in columns) + " |" for r in values["rows"]]
        where = values.get("machine", {})
        lines += ["", "; ".join(f"{key} {value}" for key, value in where.items()) + "."]
    PAGE.write_text("\n".join(lines) + "\n", "utf-8")


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
