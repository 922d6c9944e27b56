"""What came out of a played session, as files: labels, the session, and a report to read."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pvpu.demo.recording import Recording, describe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_pvpu.demo.recording import RecordedObject

__all__ = ["TARGET", "ObjectResult", "PictureResult", "failures", "markdown", "save"]

TARGET = 0.8
"""IoU that every object with a known truth has to reach."""


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """One object after its last prompt.

    Parameters
    ----------
    recorded : RecordedObject
        What was asked for.
    label : int
        Its number in the label image; 0 if it came out empty.
    ious : tuple of float
        IoU with the truth after each prompt; empty if the truth is unknown.
    iou : float or None
        IoU of what was accepted, which leaves pixels of objects accepted before to those; None
        if the truth is unknown.
    milliseconds : tuple of float
        For each prompt, from adding it to its layer until the mask was in the viewer.
    """

    recorded: RecordedObject
    label: int
    ious: tuple[float, ...]
    iou: float | None
    milliseconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PictureResult:
    """A whole played session.

    Parameters
    ----------
    recording : Recording
        What was played.
    truth_source : str
        How the truth was made.
    labels : ndarray of uint16, shape (H, W)
        The accepted objects.
    objects : tuple of ObjectResult
        In the order played.
    """

    recording: Recording
    truth_source: str
    labels: NDArray[np.uint16]
    objects: tuple[ObjectResult, ...]


def failures(results: Sequence[PictureResult]) -> list[str]:
    """Say which objects with known truth stayed below `TARGET`, one sentence each."""
    return [
        f"{result.recording.name}: {one.recorded.name} reached IoU {one.iou:.3f}, below {TARGET}"
        for result in results
        for one in result.objects
        if one.iou is not None and one.iou < TARGET
    ]


def save(result: PictureResult, folder: Path) -> None:
    """Write ``NAME.labels.tif`` and ``NAME.session.json`` into a folder."""
    import tifffile

    name = result.recording.name
    tifffile.imwrite(folder / f"{name}.labels.tif", result.labels, compression="zlib")
    session = result.recording.to_json()
    for values, one in zip(session["objects"], result.objects, strict=True):
        values["label"] = one.label
        values["milliseconds"] = [round(value, 1) for value in one.milliseconds]
        values["iou"] = None if one.iou is None else round(one.iou, 4)
        values["iou_after_each"] = [round(value, 4) for value in one.ious]
    (folder / f"{name}.session.json").write_text(json.dumps(session, indent=1) + "\n", "utf-8")


def markdown(results: Sequence[PictureResult], model: str, device: str) -> str:
    """Write the report.

    Parameters
    ----------
    results : sequence of PictureResult
        Played sessions.
    model, device : str
        What predicted, and where.
    """
    lines = ["# What the demo did", "", f"Model `{model}` on {device}. Milliseconds are from "]
    lines[-1] += "adding a prompt to its layer until the mask was in the viewer, one per prompt."
    for result in results:
        recording = result.recording
        lines += ["", f"## {recording.title}", "", f"![]({recording.name}.png)", ""]
        lines += ["| object | prompts | IoU | ms per interaction |", "|---|---|---|---|"]
        lines += [_row(one) for one in result.objects]
        lines += ["", f"Truth: {result.truth_source}."]
    times = [ms for result in results for one in result.objects for ms in one.milliseconds]
    ious = [one.iou for result in results for one in result.objects if one.iou is not None]
    lines += ["", "## Altogether", ""]
    lines += [f"{len(times)} interactions, median {statistics.median(times):.0f} ms."]
    if ious:
        lines += [
            f"{len(ious)} objects with known truth: IoU {min(ious):.3f} to {max(ious):.3f}, "
            f"mean {statistics.fmean(ious):.3f}; {TARGET} is asked of each."
        ]
    lines += [f"- Too low: {sentence}" for sentence in failures(results)]
    return "\n".join(lines) + "\n"


def _row(one: ObjectResult) -> str:
    iou = "unknown" if one.iou is None else f"{one.iou:.3f}"
    times = ", ".join(f"{value:.0f}" for value in one.milliseconds)
    return f"| {one.recorded.name} | {describe(one.recorded.prompts)} | {iou} | {times} |"
