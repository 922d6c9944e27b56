"""Processes that torchrun starts, with the whole command line in each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch import distributed

from napari_pvpu.errors import DeviceError
from napari_pvpu.model_files import config_as_yaml
from napari_pvpu.networks.weights import load_model
from napari_pvpu.training.processes import first_alone, is_first, training_processes

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig


def test_one_process_is_the_first_and_waits_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with training_processes("cpu") as place:
        assert place == torch.device("cpu")
        assert is_first()
        with first_alone():
            assert not distributed.is_initialized()


def test_torchrun_with_one_process_is_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    with training_processes("cpu"):
        assert not distributed.is_initialized()


@pytest.mark.parametrize(("rank", "first"), [(0, True), (1, False)])
def test_the_first_goes_alone(monkeypatch: pytest.MonkeyPatch, rank: int, first: bool) -> None:
    order = []
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(distributed, "barrier", lambda: order.append("barrier"))
    with first_alone():
        order.append("work")
    assert order == (["work", "barrier"] if first else ["barrier", "work"])
    assert is_first() == first


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "2")
    cuda = torch.device("cuda")
    monkeypatch.setattr("napari_pvpu.training.processes.choose_device", lambda _: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(DeviceError, match="process 2 of this machine has no GPU: there are 2"),
        training_processes("cuda"),
    ):
        pass


@pytest.fixture
def words(tmp_path: Path, small_config: ModelConfig) -> list[str]:
    """A command line that trains a tiny model on a picture and two scenes."""
    labels = np.zeros((96, 96), np.uint8)
    labels[10:40, 20:60], labels[55:90, 30:80] = 1, 2
    for folder, array in (("images", labels * 90), ("masks", labels)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        Image.fromarray(array).save(tmp_path / "data" / folder / "one.png")
    model = tmp_path / "tiny.yaml"
    model.write_text(config_as_yaml(replace(small_config, name="tiny")))
    words = ["--model", str(model), "--data", str(tmp_path / "data"), "--synthetic", "2"]
    words += ["--steps", "3", "--device", "cpu", "--workers", "1"]
    settings = "views=4 objects=1 shards=2 precision=float32 log_every=1 optimizer.warmup=1"
    for setting in settings.split():
        words += ["--set", setting]
    return words


@pytest.mark.slow
@pytest.mark.skipif(not distributed.is_available(), reason="torch without distributed")
def test_torchrun_trains_as_one_process_does(tmp_path: Path, words: list[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, start in (("one", []), ("two", launcher)):
        out = tmp_path / name
        program = [sys.executable, *start, "-m", "napari_pvpu", "train", str(out), *words]
        done = subprocess.run(program, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    one, two = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["net"]
        for name in ("one", "two")
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5, msg=name)
    assert load_model(tmp_path / "two" / "weights.safetensors").config.name == "tiny"
    log = (tmp_path / "two" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3]
    files = sorted(path.name for path in (tmp_path / "two").rglob("*") if path.is_file())
    assert files == ["checkpoint.pt", "log.jsonl", "synthetic-2-256-0.npz", "weights.safetensors"]
