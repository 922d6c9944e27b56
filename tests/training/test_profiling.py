"""Where the time of training steps goes, by literal traces and by a real one."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_pvpu.training.datasets import Atlas, ViewSampling
from napari_pvpu.training.profiling import PARTS, ProfileReport, profile_steps, read_trace
from napari_pvpu.training.simulate import SimulatedUser
from napari_pvpu.training.trainer import Trainer, TrainingConfig

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig


def event(kind: str, name: str, start: float, long: float, thread: int = 1) -> dict[str, Any]:
    return {"ph": "X", "cat": kind, "name": name, "ts": start, "dur": long, "tid": thread}


def test_kernels_count_once_where_they_overlap() -> None:
    events = [
        event("kernel", "gemm", 100, 50),
        event("kernel", "add", 120, 10),  # on another stream
        event("kernel", "add", 140, 30),
        event("kernel", "gemm", 170, 10),  # touches
        event("kernel", "gemm", 300, 100),
        event("gpu_user_annotation", "rounds", 0, 1000),
        event("gpu_memcpy", "Memcpy HtoD", 500, 100),
        event("cuda_runtime", "cudaStreamSynchronize", 0, 5),
        event("cuda_runtime", "cudaLaunchKernel", 0, 5),
        event("user_annotation", "rounds", 0, 400),
        event("user_annotation", "user", 180, 100),
        event("user_annotation", "ProfilerStep#1", 0, 400),
        {"ph": "M", "name": "process_name"},
    ]
    timeline = read_trace(events)
    assert timeline.busy == pytest.approx(180e-6)
    assert timeline.operations == {
        "gemm": (pytest.approx(160e-6), 3),
        "add": (pytest.approx(40e-6), 2),
    }
    assert timeline.gaps == ((pytest.approx(120e-6), "user"),)
    assert timeline.waits == 1
    assert timeline.parts == {"user": pytest.approx(1e-4), "rounds": pytest.approx(3e-4)}


def test_operations_count_without_those_they_call() -> None:
    events = [
        event("cpu_op", "conv", 0, 100),
        event("cpu_op", "copy", 10, 30),
        event("cpu_op", "empty", 15, 5),
        event("cpu_op", "copy", 50, 20),
        event("cpu_op", "copy", 100, 10),
        event("cpu_op", "conv", 20, 40, thread=2),
    ]
    timeline = read_trace(events)
    assert timeline.operations == {
        "conv": (pytest.approx(90e-6), 2),
        "copy": (pytest.approx(55e-6), 3),
        "empty": (pytest.approx(5e-6), 1),
    }
    assert (timeline.busy, timeline.gaps, timeline.waits) == (0, (), 0)


def test_a_report_of_a_gpu_says_how_busy_it_is() -> None:
    events = [event("kernel", "gemm", 0, 600_000), event("kernel", "gemm", 800_000, 200_000)]
    report = ProfileReport("H100", 2, 64, 0.5, 0.4, 0.8, read_trace(events))
    lines = report.text.splitlines()
    assert lines[0] == (
        "2 steps of 64 views on H100: 500.0 ms a step (400.0 ms unprofiled, 160.0 views a second)"
    )
    assert lines[1] == "kernels run in 80.0% of the wall time; the host waits 0.0 times a step"
    assert lines[2] == "longest gaps between kernels: 200.00 ms in between parts"
    assert lines[-1] == "   80.0%      1.0 x  gemm"


@pytest.fixture
def trainer(small_config: ModelConfig, tmp_path: Path) -> Trainer:
    labels = np.zeros((96, 96), np.uint16)
    labels[10:40, 20:60] = 1
    atlas = Atlas([(labels * 90, labels, "square")])
    sampling = ViewSampling(size=64)
    config = TrainingConfig(views=1, objects=1, rounds=(0.0, 1.0), sampling=sampling)
    return Trainer(small_config, config, atlas, tmp_path)


def test_real_steps(trainer: Trainer, tmp_path: Path) -> None:
    answer = SimulatedUser.answer
    report = profile_steps(trainer, 1, warmup=1, trace=tmp_path / "trace.json.gz")
    assert trainer.step == 3
    assert (report.device, report.steps, report.views) == ("cpu", 1, 1)
    assert report.kernel_share is None
    for part in ("views", "augment", "encode", "user", "decode", "backward", "update"):
        assert 0 < report.shares[part] < 1
    assert 0.5 < sum(report.shares.values()) <= 1
    assert set(report.shares) == set(PARTS)
    assert "aten::convolution_backward" in report.timeline.operations
    assert "time of the host" in report.text
    assert "traceEvents" in json.loads(gzip.decompress((tmp_path / "trace.json.gz").read_bytes()))
    # The marks are gone again.
    assert SimulatedUser.answer is answer
    assert "encode" not in vars(trainer.net)


def test_no_steps_are_refused(trainer: Trainer) -> None:
    with pytest.raises(ValueError, match="steps is 0; profile at least one"):
        profile_steps(trainer, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_real_steps_on_a_gpu(small_config: ModelConfig, tmp_path: Path) -> None:
    labels = np.zeros((96, 96), np.uint16)
    labels[10:40, 20:60] = 1
    atlas = Atlas([(labels * 90, labels, "square")], device="cuda")
    config = TrainingConfig(views=8, sampling=ViewSampling(size=64))
    report = profile_steps(Trainer(small_config, config, atlas, tmp_path), 3)
    assert report.kernel_share is not None
    assert 0 < report.kernel_share <= 1
    assert report.timeline.waits == 0
