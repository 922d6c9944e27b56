"""Which objects of a set went worst, in which order, and how many of them a report lists."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_pvpu.evaluation.collected import Collected
from napari_pvpu.evaluation.failures import JUDGED_AT, WORST, worst_objects
from napari_pvpu.evaluation.report_sections import report_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def made(image: str, label: int, *ious: float) -> dict[str, Any]:
    return {"image": image, "label": label, "area": 100 * label, "iou": list(ious)}


def result(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A result of an evaluation, with what a report's section of the worst objects reads."""
    settings = {"model": "small", "max_interactions": 8, "targets": [0.85], "method": "pvpu"}
    settings |= {"em": False, "prompts": "click", "jitter": 0, "limit": 0, "min_area": 1}
    settings |= {"seed": 0, "threshold": 0.5}
    return {
        "settings": settings,
        "objects": list(objects),
        "n_objects": len(objects),
        "noc": {"0.85": 8.0},
        "iou_at": {"1": 0.5},
        "ms_encode": {"median": 1.0, "p95": 1.0},
        "ms_per_interaction": {"median": 1.0, "p95": 1.0},
        "ms_total": {"median": 1.0, "p95": 1.0},
    }


def many(count: int) -> list[dict[str, Any]]:
    """Objects of all sorts, shuffled; after five interactions the IoU is the label's hundredth."""
    labels = np.random.default_rng(0).permutation(np.arange(1, count + 1))
    # What comes before and after the fifth interaction is worse for the better objects.
    return [
        made("a", int(n), *[1 - n / 100] * (JUDGED_AT - 1), n / 100, 1 - n / 100) for n in labels
    ]


def test_the_worst_ten_after_five_interactions_in_order() -> None:
    assert WORST == 10
    cases = worst_objects(result(many(25)))
    assert [case["label"] for case in cases] == list(range(1, 11))


def test_a_curve_that_ended_early_counts_with_its_end() -> None:
    objects = [made("a", 1, 0.2, 0.9), made("a", 2, 0.8), made("a", 3, *[0.1] * 4, 0.85, 0.0)]
    assert [case["label"] for case in worst_objects(result(objects))] == [2, 3, 1]


def test_equals_stand_by_image_and_label() -> None:
    objects = [made("b", 1, 0.5), made("a", 10, 0.5), made("a", 9, 0.5), made("c", 1, 0.4)]
    cases = worst_objects(result(objects), count=3)
    assert [(case["image"], case["label"]) for case in cases] == [("c", 1), ("a", 9), ("a", 10)]


@pytest.mark.parametrize("pictures", [False, True], ids=["listed", "drawn"])
def test_a_report_shows_ten_of_each_set_the_worst_first(tmp_path: Path, pictures: bool) -> None:
    sets = {"cells": result(many(12)), "few": result(many(2))}
    (tmp_path / "failures").mkdir()
    for name, each in sets.items():
        cases = [
            case | {"picture": f"{name}/{n:02d}.webp"}
            for n, case in enumerate(worst_objects(each), 1)
        ]
        (tmp_path / "failures" / f"{name}.json").write_text(json.dumps({"cases": cases}))
    found = Collected(tmp_path, kinds={"click": sets})
    text = report_text(found, curves=False, pictures=pictures)
    section = text.split("## The worst objects")[1].split("\n## ")[0]
    assert "The 10 of each set with the lowest IoU after 5 clicks" in section
    if pictures:
        shown = [f"pictures/cells/{n:02d}.webp" in section for n in range(1, 13)]
        assert shown == [True] * 10 + [False] * 2
        labels = [int(number) for number in re.findall(r"; a, object (\d+),", section)]
    else:
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
        assert [row[0].strip("| ") for row in rows] == ["cells"] * 10 + ["few"] * 2
        labels = [int(row[2]) for row in rows]
    assert labels == [*range(1, 11), 1, 2]
