from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.runner import EvaluationSettings
from napari_pvpu.evaluation.suite import _slug, evaluate_suite, find_sets, write_json

if TYPE_CHECKING:
    from pathlib import Path

FAST = EvaluationSettings(method="watershed", max_interactions=1, limit=2)


@pytest.fixture
def sets(mask_folder: Path) -> Path:
    root = mask_folder.parent / "sets"
    shutil.copytree(mask_folder, root / "one" / "val")
    shutil.copytree(mask_folder, root / "one" / "train")
    shutil.copytree(mask_folder, root / "two")
    (root / "notes").mkdir()
    return root


def test_find_sets(sets: Path) -> None:
    assert find_sets(sets) == [sets / "one" / "val", sets / "two"]
    assert find_sets(sets, "train") == [sets / "one" / "train", sets / "two"]
    assert find_sets(sets / "two") == [sets / "two"]


@pytest.mark.parametrize("name", ["notes", "nowhere"])
def test_no_sets(sets: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="no set below"):
        find_sets(sets / name)


def test_results_are_kept_and_made_again_only_for_other_settings(
    sets: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    folders = find_sets(sets)
    text = evaluate_suite(folders, [FAST, replace(FAST, method="flood")], out)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "one.watershed.click.json",
        "one.flood.click.json",
        "two.watershed.click.json",
        "two.flood.click.json",
        "report.md",
    }
    assert (out / "report.md").read_text() == text
    assert text.startswith("| IoU@1 | watershed | flood |")
    path = out / "two.flood.click.json"
    marked = json.loads(path.read_text()) | {"n_objects": 77}
    path.write_text(json.dumps(marked))
    assert " 77 " in evaluate_suite(folders, [replace(FAST, method="flood")], out)
    changed = evaluate_suite(folders, [replace(FAST, method="flood", limit=1)], out)
    assert " 77 " not in changed
    path.write_text("{ damaged")
    assert "| two | flood | 2 |" in evaluate_suite(folders, [replace(FAST, method="flood")], out)


def test_results_of_an_earlier_make_count_as_made_by_default(sets: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    folders = find_sets(sets)[1:]
    evaluate_suite(folders, [FAST], out)
    path = out / "two.watershed.click.json"
    value = json.loads(path.read_text()) | {"n_objects": 77}
    for name in (
        "protocol",
        "flip",
        "zoom_in",
        "view_size",
        "seeds",
        "iou_analysis",
        "split",
        "layout",
    ):
        del value["settings"][name]
    path.write_text(json.dumps(value))
    assert " 77 " in evaluate_suite(folders, [FAST], out)
    assert " 77 " not in evaluate_suite(folders, [replace(FAST, layout="folder")], out)


def test_find_sets_knows_benchmarks(mask_folder: Path) -> None:
    root = mask_folder.parent / "benchmarks"
    shutil.copytree(mask_folder / "images", root / "DAVIS" / "img")
    shutil.copytree(mask_folder / "masks", root / "DAVIS" / "gt")
    shutil.copytree(mask_folder, root / "other")
    assert find_sets(root) == [root / "DAVIS", root / "other"]


def test_protocols_have_results_of_their_own() -> None:
    names = set()
    for more in ({}, {"protocol": "ritm"}, {"protocol": "ritm", "flip": True, "zoom_in": "ritm"}):
        names.add(_slug(EvaluationSettings(**more)))
    names.add(_slug(EvaluationSettings(protocol="ritm", view_size=672)))
    assert names == {
        "pvpu-nano.click",
        "pvpu-nano.ritm-none.click",
        "pvpu-nano.ritm-flip-ritm.click",
        "pvpu-nano.ritm-none-672.click",
    }


def test_write_json_leaves_no_part(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "x.json", {"a": 1})
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.json"]
    assert json.loads((tmp_path / "deep" / "x.json").read_text()) == {"a": 1}
