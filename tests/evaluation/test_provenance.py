from __future__ import annotations

import hashlib
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

import napari_pvpu
from napari_pvpu.evaluation.provenance import _program, command_line, machine, weights_of
from napari_pvpu.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:
    from pathlib import Path


def test_weights_are_known_by_their_bytes(small_weights: Path, tmp_path: Path) -> None:
    told = weights_of(EvaluationSettings(model=str(small_weights)))
    data = small_weights.read_bytes()
    assert told == {
        "model": "small",
        "file": "small.safetensors",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "config": None,
    }
    assert weights_of(EvaluationSettings(method="otsu")) is None
    assert weights_of(EvaluationSettings(model="interformer-tiny")) is None


def test_what_a_yaml_file_says_counts_too(small_weights: Path, tmp_path: Path) -> None:
    from napari_pvpu.model_files import config_as_yaml, find_model

    mine = tmp_path / "mine.yaml"
    text = config_as_yaml(find_model(small_weights).config) + f"weights: {small_weights}\n"
    found = []
    for depth in (1, 2):
        mine.write_text(text.replace("depth: 1", f"depth: {depth}"))
        found.append(weights_of(EvaluationSettings(model=str(mine))))
    assert found[0]["sha256"] == found[1]["sha256"]
    assert found[0]["config"] != found[1]["config"]


def test_the_machine() -> None:
    told = machine("cpu", processes=3)
    assert told["device"] == "cpu"
    assert told["processes"] == 3
    assert told["cores"] >= 1
    assert told["threads"] >= 1
    assert all(told[key] for key in ("processor", "system", "python", "torch", "program"))


def test_a_checkout_is_known_by_its_commit(tmp_path: Path) -> None:
    version = f"version {napari_pvpu.__version__}"
    assert _program(tmp_path) == version
    (tmp_path / ".git").write_text("no checkout at all")
    assert _program(tmp_path) == version
    checkout = tmp_path / "checkout"
    author = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    checkout.mkdir()
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "First"]):
        subprocess.run(["git", *words], cwd=checkout, check=True)
    assert re.fullmatch("commit [0-9a-f]{7,40}", _program(checkout))


@pytest.mark.parametrize(
    ("settings", "parts", "expected"),
    [
        ({}, None, ""),
        ({"limit": 300, "min_area": 30, "device": "cuda"}, None, " --limit 300 --min-area 30"),
        ({"model": "/runs/a b/w 1.safetensors"}, None, " --model 'w 1.safetensors'"),
        ({"targets": [0.5, 0.9]}, ["clicks", "em"], " --targets 0.5 0.9 --parts clicks,em"),
        ({"iou_to": 5, "flip": False, "zoom_in": "none", "dataset": "/d"}, None, ""),
    ],
    ids=["defaults", "limits", "path", "targets", "not-options"],
)
def test_the_command_line(settings, parts, expected) -> None:
    assert command_line(settings, parts) == f"napari-pvpu evaluate DATA --report OUT{expected}"
