from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_pvpu.errors import DatasetError, PvpuError
from napari_pvpu.evaluation.dataset import MaskFolder
from napari_pvpu.evaluation.methods import PredictorMethod, Step
from napari_pvpu.evaluation.regions import RegionMask
from napari_pvpu.evaluation.runner import (
    EvaluationSettings,
    ObjectResult,
    evaluate,
    run_object,
    summarise,
)

if TYPE_CHECKING:
    from pathlib import Path


class Grower:
    """Knows the truth; shows one more of its columns with each prompt, up to `most`."""

    def __init__(self, truth: np.ndarray, most: int = 100) -> None:
        self.truth = truth
        self.most = most
        self.asked: list[tuple] = []

    def predict(self, image, prompts, previous):
        self.asked.append(tuple(prompts))
        mask = self.truth.copy()
        columns = np.flatnonzero(mask.any(axis=0))
        mask[:, columns[min(len(prompts), self.most) :]] = False
        return RegionMask(0, 0, mask)


def run(folder: MaskFolder, label: int, most: int = 100, **options) -> tuple:
    sample = folder[0]
    (ref,) = [ref for ref in folder.objects(0) if ref.label == label]
    grower = Grower(sample.labels == label, most)
    method = PredictorMethod(grower)
    method.open(sample.image)
    return run_object(method, sample, ref, EvaluationSettings(**options)), grower


def test_the_curve_is_the_iou_after_each_interaction(mask_folder: Path) -> None:
    result, _ = run(MaskFolder(mask_folder), label=2, max_interactions=5)
    assert result.ious == pytest.approx((1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8))
    assert result.kinds == ("click",) * 5
    assert (result.image, result.label, result.area) == ("a", 2, 64)


def test_ends_when_nothing_is_wrong_any_more(mask_folder: Path) -> None:
    result, _ = run(MaskFolder(mask_folder), label=1)
    assert result.ious == pytest.approx((1 / 4, 2 / 4, 3 / 4, 1))


def test_goes_on_to_ten_though_targets_are_met(mask_folder: Path) -> None:
    # 12 columns: 0.8 is met at the tenth, the highest target here.
    result, _ = run(MaskFolder(mask_folder), label=3, targets=(0.5, 0.8))
    assert len(result.ious) == 10
    result, _ = run(MaskFolder(mask_folder), label=3, targets=(0.3,))
    assert len(result.ious) == 10


def test_goes_on_after_ten_until_the_highest_target(mask_folder: Path) -> None:
    result, _ = run(MaskFolder(mask_folder), label=4, targets=(0.5, 0.85))
    assert len(result.ious) == 14  # 14 of 16 columns
    result, _ = run(MaskFolder(mask_folder), label=4, most=8)
    assert len(result.ious) == 20


def test_box_first_then_clicks(mask_folder: Path) -> None:
    result, grower = run(MaskFolder(mask_folder), label=4, prompts="box", max_interactions=3)
    assert result.kinds == ("box", "click", "click")
    assert [len(prompts) for prompts in grower.asked] == [1, 2, 3]


def test_an_object_is_the_same_whatever_else_is_evaluated(mask_folder: Path) -> None:
    prompts = []
    for _ in range(2):
        _, grower = run(MaskFolder(mask_folder), label=4, prompts="mixed", seed=3)
        prompts.append(grower.asked)
    assert prompts[0] == prompts[1]
    _, grower = run(MaskFolder(mask_folder), label=4, prompts="mixed", seed=4)
    assert grower.asked != prompts[0]


def result_of(*ious: float, encode: float = 0.0) -> ObjectResult:
    steps = tuple(Step(10.0 + index, encode if index == 0 else 0.0) for index in range(len(ious)))
    return ObjectResult("a", 1, 50, ious, ("click",) * len(ious), steps)


def test_summary() -> None:
    settings = EvaluationSettings(max_interactions=4, targets=(0.8, 0.85))
    results = [result_of(0.5, 0.9, 0.8, 0.8, encode=4.0), result_of(0.82, 0.82, 0.82, 0.82)]
    summary = summarise(results, settings, dataset="somewhere", n_images=1)
    assert json.loads(json.dumps(summary)) == summary
    assert summary["n_objects"] == 2
    assert summary["iou_at"] == {
        "1": pytest.approx(0.66),
        "2": pytest.approx(0.86),
        "3": pytest.approx(0.81),
        "5": None,
        "10": None,
    }
    assert summary["noc"] == {"0.8": 1.5, "0.85": 3.0}
    assert summary["failures"] == {"0.8": 0.0, "0.85": 0.5}
    assert summary["worse_share"] == pytest.approx(1 / 8)
    assert summary["ms_encode"] == {"median": 4.0, "p95": 4.0}
    assert summary["ms_per_interaction"]["median"] == pytest.approx(
        np.median([6, 11, 12, 13, 10, 11, 12, 13])
    )
    assert summary["ms_total"] == {"median": 11.5, "p95": 13.0}
    assert summary["settings"]["max_interactions"] == 4
    assert summary["settings"]["dataset"] == "somewhere"
    assert summary["objects"][0]["iou"] == [0.5, 0.9, 0.8, 0.8]


def test_summary_of_nof_and_speed() -> None:
    settings = EvaluationSettings(max_interactions=2, targets=(0.8,))
    results = [result_of(0.5, 0.9, encode=4.0), result_of(0.1, 0.2), result_of(0.85)]
    summary = summarise(results, settings)
    assert summary["nof"] == {"at_limit": {"0.8": 2}, "never": {"0.8": 1}}
    # 10, 11 ms with 4 of encoding; 10, 11; 10.
    assert summary["speed"]["t_encode"] == 4.0
    assert summary["speed"]["t_click"] == pytest.approx((6 + 11 + 10 + 11 + 10) / 5)
    assert summary["speed"]["spc"]["20"] == pytest.approx(4 / 20 + 9.6)
    assert summary["over_seeds"] is None
    assert summary["iou_curve"] is None


def test_summary_over_seeds() -> None:
    settings = EvaluationSettings(max_interactions=2, targets=(0.8,), seeds=2, jitter=1)
    results = [result_of(0.9), result_of(0.1, 0.2), result_of(0.5, 0.9), result_of(0.1, 0.9)]
    results = [replace(r, repeat=i % 2) for i, r in enumerate(results)]
    summary = summarise(results, settings)
    assert summary["n_objects"] == 2
    # Seed 0: NoC 1 and 2, no failure. Seed 1: 2 and 2, one failure of two.
    assert summary["over_seeds"]["noc"]["0.8"] == {
        "mean": 1.75,
        "std": pytest.approx(0.125**0.5),
        "min": 1.5,
        "max": 2.0,
    }
    assert summary["over_seeds"]["failures"]["0.8"]["max"] == 0.5
    assert list(summary["over_seeds"]["iou_at"]) == ["1", "2"]
    assert summary["noc"]["0.8"] == 1.75
    assert summary["nof"] == {"at_limit": {"0.8": 1.5}, "never": {"0.8": 0.5}}
    assert [entry["seed"] for entry in summary["objects"]] == [0, 1, 0, 1]


def test_summary_of_an_iou_analysis() -> None:
    settings = EvaluationSettings(max_interactions=3, iou_analysis=True)
    summary = summarise([result_of(0.5, 0.9), result_of(0.1, 0.2, 0.3)], settings)
    assert summary["iou_curve"] == pytest.approx([0.3, 0.55, 0.6])


def test_an_iou_analysis_makes_all_interactions(mask_folder: Path) -> None:
    options = {"targets": (0.3,), "max_interactions": 15}
    result, _ = run(MaskFolder(mask_folder), label=4, iou_analysis=True, **options)
    assert len(result.ious) == 15


def test_seeds_move_the_clicks_of_every_object_and_nothing_else(mask_folder: Path) -> None:
    results = []
    settings = EvaluationSettings(
        method="watershed", max_interactions=1, limit=2, min_area=60, jitter=4, seeds=3, seed=5
    )
    summary = evaluate(mask_folder, settings, progress=False, on_result=results.append)
    assert [(r.image, r.label) for r in results[::3]] == [(r.image, r.label) for r in results[2::3]]
    assert [r.repeat for r in results] == [0, 1, 2] * 2
    assert summary["n_objects"] == 2
    again = evaluate(mask_folder, replace(settings, seeds=1, seed=6, limit=None), progress=False)
    alike = [
        (entry["image"], entry["label"], entry["iou"])
        for entry in summary["objects"]
        if entry["seed"] == 6
    ]
    assert set(map(str, alike)) <= {
        str((entry["image"], entry["label"], entry["iou"])) for entry in again["objects"]
    }


def test_reads_benchmark_layouts(mask_folder: Path) -> None:
    (mask_folder / "images").rename(mask_folder / "img")
    (mask_folder / "masks").rename(mask_folder / "gt")
    settings = EvaluationSettings(method="watershed", max_interactions=1)
    summary = evaluate(mask_folder, settings, progress=False)
    assert summary["n_objects"] == 2  # DAVIS has one object an image


def test_summary_of_nothing() -> None:
    with pytest.raises(DatasetError, match="no result"):
        summarise([], EvaluationSettings())


def test_evaluate_opens_each_image_once(mask_folder: Path) -> None:
    opened = []

    class Watershed(PredictorMethod):
        def open(self, image):
            opened.append(image.shape)
            super().open(image)

    from napari_pvpu.evaluation.baselines import make_baseline

    seen = []
    settings = EvaluationSettings(method="watershed", max_interactions=2, limit=5, min_area=20)
    summary = evaluate(
        mask_folder,
        settings,
        method=Watershed(make_baseline("watershed")),
        progress=False,
        on_result=seen.append,
    )
    assert opened == [(40, 60), (30, 30, 3)]
    assert summary["n_objects"] == len(seen) == 5
    assert summary["n_images"] == 2
    assert summary["iou_at"]["2"] > 0.9
    assert summary["settings"]["dataset"] == str(mask_folder)


@pytest.mark.parametrize(
    "options",
    [
        {"max_interactions": 0},
        {"targets": ()},
        {"targets": (0.8, 1.2)},
        {"limit": 0},
        {"threshold": 1.0},
        {"seeds": 0},
        {"seeds": 3},
        {"protocol": "fbrs"},
        {"protocol": "ritm", "zoom_in": "focal"},
        {"flip": True},
        {"zoom_in": "ritm"},
        {"view_size": 672},
        {"protocol": "ritm", "view_size": 16},
        {"protocol": "ritm", "method": "watershed"},
    ],
    ids=[
        "interactions",
        "no-targets",
        "target",
        "limit",
        "threshold",
        "no-seeds",
        "equal-seeds",
        "protocol",
        "zoom-in",
        "flip-in-a-session",
        "zoom-in-a-session",
        "view-size-in-a-session",
        "tiny-view",
        "no-network",
    ],
)
def test_settings_out_of_range(options) -> None:
    with pytest.raises(PvpuError):
        EvaluationSettings(**options)
