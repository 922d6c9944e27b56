"""Accuracy and time of carrying an object from plane to plane.

Volumes are drawn with exact truth (`napari_pvpu.evaluation.volumes`). In each, objects are carried
from one true mask over the planes that follow, up to forty, by three ways on the same views: EM
value propagation and the decoder, which is what the program does; the mask of the plane before in
place of what EM carries; and a click in the middle of the mask before with nothing else. The mask
that each way finds is what it goes on from, so that mistakes add up.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from measured import machine, save

from napari_pvpu import Segmenter
from napari_pvpu.carrying import Carrier, CarryPolicy, PlaneMask, overlap
from napari_pvpu.evaluation.volumes import KINDS, Volume, draw_volume
from napari_pvpu.plane_walk import Plan, Walk, WalkPolicy
from napari_pvpu.source import ImageSource

SMALLEST = 60
"""Pixels; the tips of an object, which are smaller, say nothing."""
EVERY = 8
"""Between annotated planes: how far apart those are."""

SEEDS = 5
"""Volumes drawn until an object goes through all planes."""


def main() -> None:
    """Measure, then write docs/performance/propagation*.json and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    parser.add_argument("--planes", type=int, default=40)
    parser.add_argument("--objects", type=int, default=4, help="of each volume")
    parser.add_argument("--seeds", type=int, default=2, help="volumes of each kind")
    parser.add_argument("--only", choices=("accuracy", "speed"))
    options = parser.parse_args()
    where = machine()
    segmenter = Segmenter(options.model, device="cpu", store=False)
    command = " ".join([".venv/bin/python benchmarks/propagation.py", *sys.argv[1:]])
    if options.only != "speed":
        rows = accuracy_rows(segmenter, options)
        title = f"Carrying objects from plane to plane, simulated volumes: {options.model}"
        save("propagation_accuracy", title, command, rows, machine=where)
    if options.only != "accuracy":
        rows = speed_rows(segmenter)
        title = f"Carrying an object through planes of 512 x 512: {options.model} on cpu"
        save("propagation_speed", title, command, rows, machine=where)


# Accuracy


class CopyOfMask:
    """A segmenter that hands the mask of the plane before on as what was carried."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)

    def carry(self, known: Any, features: Any, settings: Any) -> Any:
        return known[0][1]


class ClickAlone(CopyOfMask):
    """A segmenter that is told nothing of the plane before but where to click."""

    def decode(self, features: Any, prompts: Any, previous: Any, propagation: Any) -> Any:
        return self._segmenter.decode(features, prompts, None, propagation)


WAYS = {"EM and decoder": lambda s: s, "mask before": CopyOfMask, "click alone": ClickAlone}


@dataclass
class Scores:
    """Intersections over union of one way."""

    objects: int = 0
    each: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


def accuracy_rows(segmenter: Segmenter, options: Any) -> list[dict[str, object]]:
    """Rows by kind of volume and way."""
    rows = []
    for kind in KINDS:
        scores = {way: Scores() for way in WAYS}
        for seed in range(options.seeds):
            volume = draw_volume(kind, seed)
            source = ImageSource(volume.image, axes="ZYX")
            for number, first, last in chosen(volume, options):
                for way, make in WAYS.items():
                    measure(volume, source, make(segmenter), number, first, last, scores[way])
        for way, found in scores.items():
            rows.append(
                {
                    "volume": kind, "way": way, "objects": found.objects,
                    "IoU, all planes": _mean(found.each), "IoU, last plane": _mean(found.last),
                    "planes above 0.8": _mean([each > 0.8 for each in found.each]),
                    f"IoU between planes {EVERY} apart": _mean(found.between),
                    "planes too far (-: too early)": _median(found.ends),
                    "IoU of objects, ended by itself": _mean(found.whole),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def chosen(volume: Volume, options: Any) -> list[tuple[int, int, int]]:
    """Objects to carry: label, the plane to begin in, and the last plane of the object."""
    found = []
    for number in range(1, int(volume.truth.max()) + 1):
        areas = (volume.truth == number).sum(axis=(1, 2))
        planes = np.flatnonzero(areas)
        if len(planes) >= 12 and areas.max() >= 300 and (np.diff(planes) == 1).all():
            through = volume.kind in ("tube", "movie")
            start = planes[0] if through else planes[int(np.argmax(areas[planes]))]
            start = planes[len(planes) // 4] if volume.kind == "cells" else start
            found.append((number, int(start), int(min(planes[-1], start + options.planes))))
    order = np.random.default_rng(0).permutation(len(found))
    return [found[i] for i in order[: options.objects]]


def measure(
    volume: Volume, source: ImageSource, predictor: Any, number: int, first: int, last: int,
    scores: Scores,
) -> None:  # fmt: skip
    """Carry one object without an end, then with one, then between annotated planes."""
    truth = volume.truth == number
    carrier = Carrier(source, predictor, policy=CarryPolicy())

    def carry(known: Any, position: int) -> Any:
        return carrier.carry([((at,), mask, much) for at, mask, much in known], (position,))

    start = PlaneMask.tight(0, 0, truth[first])
    assert start is not None
    endless = WalkPolicy(least_confidence=-1, least_of_recent=-1, least_share=0, most_share=np.inf)
    walk = Walk(Plan({first: start}, first, last), carry, endless)
    found = {each.position: each.mask for each in walk if each is not None}
    planes = [z for z in range(first + 1, last + 1) if truth[z].sum() >= SMALLEST]
    values = [_iou(found.get(z), truth[z]) for z in planes]
    scores.objects += 1
    scores.each += values
    scores.last += values[-1:]  # nothing of an object with no plane large enough to judge
    end = int(np.flatnonzero(truth.any(axis=(1, 2)))[-1])
    walk = Walk(Plan({first: start}, first, len(truth) - 1), carry)
    masks = {each.position: each.mask for each in walk if each is not None}
    if end < len(truth) - 1:
        scores.ends.append(max(masks, default=first) - end)
    if end > first:
        scores.whole.append(_iou_of_all(masks, truth, first + 1))
    anchors = {z: PlaneMask.tight(0, 0, truth[z]) for z in range(first, last + 1, EVERY)}
    known = {z: mask for z, mask in anchors.items() if mask is not None}
    walk = Walk(Plan(known, min(known), max(known)), carry)
    for each in walk:
        if each is not None and truth[each.position].sum() >= SMALLEST:
            scores.between.append(_iou(each.mask, truth[each.position]))


def _iou(mask: PlaneMask | None, truth: Any) -> float:
    if mask is None:
        return 0.0
    return overlap(mask.over((0, 0, *truth.shape)), truth)


def _iou_of_all(masks: dict[int, PlaneMask], truth: Any, first: int) -> float:
    """Of an object in all planes from one on, those where it is not to be found included."""
    box = (0, 0, *truth.shape[1:])
    empty = np.zeros(truth.shape[1:], bool)
    pairs = [
        (masks[z].over(box) if z in masks else empty, truth[z]) for z in range(first, len(truth))
    ]
    return sum(int((a & b).sum()) for a, b in pairs) / sum(int((a | b).sum()) for a, b in pairs)


def _mean(values: list[Any]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _median(values: list[int]) -> float | None:
    return round(float(np.median(values)), 1) if values else None


# Speed


def speed_rows(segmenter: Segmenter, planes: int = 100) -> list[dict[str, object]]:
    """Seconds a plane, of a whole propagation by a session, the labels written."""
    best: tuple[Any, ...] = (None, [])
    for seed in range(SEEDS):
        volume = draw_volume("tube", seed, (planes // 2, 512, 512))
        # There and back again: drawing so many planes takes longer than carrying through them.
        image, truth = (np.concatenate([x, x[::-1]]) for x in (volume.image, volume.truth))
        # That object of all which is followed furthest: the time is to be that of many planes.
        walks = [_timed_walk(segmenter, image, truth[0] == n) for n in np.unique(truth[0])[1:]]
        best = max([best, *walks], key=lambda walk: len(walk[1]))
        if len(best[1]) >= planes:
            break
    session, marks, end, used = best
    each, target = np.diff(marks), 0.15
    rows = [
        ("planes carried to", len(session.confidences(1)) - 1, None),
        ("mean of one plane, labels written", (end - marks[0]) / len(each), target),
        ("median of one plane", float(np.median(each)), None),
        ("95th percentile of one plane", float(np.quantile(each, 0.95)), None),
        ("processor time of one plane", used / len(each), None),
        ("all planes written as one step", end - marks[-1], None),
    ]
    for what, value, _ in rows:
        print(what, round(value, 3), flush=True)
    return [{"what": what, "s": round(value, 3), "target": goal} for what, value, goal in rows]


def _timed_walk(segmenter: Segmenter, image: Any, mask: Any) -> tuple[Any, list[float], float, Any]:
    """Carry an object of the first plane; return session, times of the steps, end and CPU time."""
    session = segmenter.open(image, axes="ZYX")
    session.open_mask(mask)
    session.accept()
    marks, used = [time.perf_counter()], time.process_time()
    session.propagate(progress=lambda _: marks.append(time.perf_counter()))
    return session, marks, time.perf_counter(), time.process_time() - used


if __name__ == "__main__":
    main()
