from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.report import (
    comparison_table,
    load_results,
    macro_average,
    method_name,
    protocol_table,
    seeds_table,
    set_name,
    summary_table,
)

if TYPE_CHECKING:
    from pathlib import Path


def result(dataset: str, method: str, value: float, **settings) -> dict:
    return {
        "n_objects": 10,
        "iou_at": {"1": value - 0.1, "3": value, "5": None},
        "noc": {"0.85": 4.0 - value},
        "failures": {"0.85": 0.125},
        "worse_share": value / 10,
        "ms_per_interaction": {"median": 12.34, "p95": 20.0},
        "ms_encode": {"median": None, "p95": None},
        "settings": {
            "dataset": dataset,
            "method": method,
            "model": "pvpu-nano",
            "em": False,
            "prompts": "click",
            **settings,
        },
    }


def test_comparison_marks_the_best_and_averages_complete_columns() -> None:
    table = comparison_table(
        [
            result("data/x/val", "pvpu", 0.9),
            result("data/y/val", "pvpu", 0.7),
            result("data/x/val", "flood", 0.5),
            result("data/y/val", "flood", 0.8),
            result("data/x/val", "otsu", 0.4),
        ]
    )
    assert table == (
        "| IoU@3 | pvpu-nano | flood | otsu |\n"
        "|---|---:|---:|---:|\n"
        "| x | **0.900** | 0.500 | 0.400 |\n"
        "| y | 0.700 | **0.800** | – |\n"
        "| **mean** | **0.800** | 0.650 | – |\n"
    )


def test_summary_has_a_row_per_set_and_one_of_means() -> None:
    table = summary_table([result("x", "flood", 0.5), result("y", "flood", 0.8)])
    lines = table.splitlines()
    assert lines[0] == (
        "| set | method | objects | IoU@1 | IoU@3 | IoU@5 | NoC@85 | failures@85 | worse | ms "
        "| ms encode |"
    )
    assert lines[2] == "| x | flood | 10 | 0.400 | 0.500 | – | 3.50 | 12.5% | 5.0% | 12.3 | – |"
    assert lines[4].startswith("| **mean** | flood | 20 | 0.550 | 0.650 | – | 3.35 |")


def test_macro_average_is_plain_and_knows_what_is_missing() -> None:
    mean = macro_average([result("x", "flood", 0.5), result("y", "flood", 0.8)])
    assert mean["iou_at"] == {"1": pytest.approx(0.55), "3": pytest.approx(0.65), "5": None}
    assert mean["noc"]["0.85"] == pytest.approx(3.35)
    assert mean["worse_share"] == pytest.approx(0.065)
    assert (mean["n_sets"], mean["n_objects"]) == (2, 20)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/dsb2018/val", "dsb2018"),
        ("/data/mine", "mine"),
        ("/data/mine/", "mine"),
        ("val", "val"),
    ],
)
def test_set_name(path: str, expected: str) -> None:
    assert set_name(path) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "pvpu-nano"),
        ({"em": True}, "pvpu-nano + EM"),
        ({"prompts": "box"}, "pvpu-nano (box)"),
        ({"model": "/runs/7/weights.safetensors"}, "weights"),
        ({"method": "otsu"}, "otsu"),
        ({"protocol": "session", "flip": False, "zoom_in": "none"}, "pvpu-nano"),
        (
            {"protocol": "ritm", "flip": True, "zoom_in": "simpleclick", "jitter": 2.0},
            "pvpu-nano (ritm, flip, zoom-in simpleclick, jitter 2 px)",
        ),
        (
            {"protocol": "ritm", "flip": False, "zoom_in": "none", "prompts": "box"},
            "pvpu-nano (box, ritm)",
        ),
    ],
    ids=["model", "em", "box", "path", "method", "session", "ritm", "ritm-box"],
)
def test_method_name(settings, expected) -> None:
    value = result("x", "pvpu", 0.5)
    value["settings"] |= settings
    assert method_name(value) == expected


def test_load_results_from_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(result("x", "flood", 0.5)))
    (tmp_path / "b.json").write_text(json.dumps({"something": "else"}))
    assert len(load_results([tmp_path])) == 1
    assert load_results([tmp_path / "a.json"])[0]["iou_at"]["3"] == 0.5
    with pytest.raises(DatasetError, match="is not a result"):
        load_results([tmp_path / "b.json"])


def test_load_results_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no result in"):
        load_results([tmp_path])
    with pytest.raises(DatasetError, match="cannot be read"):
        load_results([tmp_path / "nowhere.json"])
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_results([tmp_path / "broken.json"])


def test_protocol_table_has_the_columns_of_the_papers() -> None:
    value = result("x", "pvpu", 0.5, max_interactions=20) | {
        "nof": {"at_limit": {"0.85": 3}, "never": {"0.85": 2.5}},
        "speed": {"t_encode": 400.0, "t_click": 30.0, "spc": {"20": 50.0}},
    }
    header, _, row = protocol_table([value]).splitlines()
    assert header == (
        "| set | method | objects | NoC@85 | NoC=20@85 | never@85 | IoU@1 | IoU@3 | IoU@5 "
        "| t_encode ms | t_click ms | SPC_20 ms |"
    )
    assert row == (
        "| x | pvpu-nano | 10 | 3.50 | 3 | 2.5 | 0.400 | 0.500 | – | 400.0 | 30.0 | 50.0 |"
    )


def test_seeds_table() -> None:
    spread = {"mean": 2.0, "std": 0.25, "min": 1.5, "max": 2.5}
    share = {"mean": 0.5, "std": 0.25, "min": 0.25, "max": 0.75}
    value = result("x", "pvpu", 0.5, seeds=5) | {
        "over_seeds": {"noc": {"0.85": spread}, "failures": {"0.85": share}, "iou_at": {"1": share}}
    }
    assert seeds_table(value).splitlines() == [
        "| over 5 seeds | mean | std | min | max |",
        "|---|---:|---:|---:|---:|",
        "| NoC@85 | 2.000 | 0.250 | 1.500 | 2.500 |",
        "| failures@85 | 50.0% | 25.0% | 25.0% | 75.0% |",
        "| IoU@1 | 0.500 | 0.250 | 0.250 | 0.750 |",
    ]
