"""How torch's threads are told to wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from napari_pvpu.cli import app
from napari_pvpu.waiting import wait_passively


@pytest.mark.parametrize(
    ("said", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")], ids=["nothing", "something"]
)
def test_what_the_environment_says_comes_first(monkeypatch, said, found):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if said:
        monkeypatch.setenv("OMP_WAIT_POLICY", said)
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == found


def test_a_segmenter_settles_it_before_torch_is_imported():
    program = """
import os, sys
from napari_pvpu import segmenter
assert "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ
waited = segmenter.wait_passively
def check():
    assert "torch" not in sys.modules
    waited()
    raise SystemExit(os.environ["OMP_WAIT_POLICY"] != "PASSIVE")
segmenter.wait_passively = check
segmenter.Segmenter()
"""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "nowhere"),
        ("evaluate-all", "nowhere", "--out", "nowhere"),
        ("train", "nowhere", "--model", "none"),
    ],
    ids=lambda words: words[0],
)
def test_commands_that_compute_settle_it_too(words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "to be removed")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert os.environ.get("OMP_WAIT_POLICY") == "PASSIVE", result.output
