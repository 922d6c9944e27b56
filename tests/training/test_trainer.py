"""The training loop: it learns, it resumes exactly, its schedule is as documented."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_pvpu.training.datasets import Atlas, Views, ViewSampling
from napari_pvpu.training.schedules import OptimizerConfig
from napari_pvpu.training.trainer import Trainer, TrainingConfig, pick_objects

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig

CONFIG = TrainingConfig(
    steps=8,
    views=2,
    objects=2,
    optimizer=OptimizerConfig(warmup=2),
    precision="float32",
    log_every=2,
    save_every=100,
    sampling=ViewSampling(size=64),
)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    """Bright disks on a dark, noisy ground."""
    rng = np.random.default_rng(0)
    labels = np.zeros((160, 160), np.uint16)
    axis = np.arange(160)
    for i, (row, col) in enumerate([(30, 30), (30, 100), (100, 40), (110, 110)], start=1):
        labels[(axis[:, None] - row) ** 2 + (axis - col) ** 2 < 20**2] = i
    image = (labels > 0) * 120 + rng.normal(60, 10, labels.shape)
    return Atlas([(image.clip(0, 255).astype(np.uint8), labels, "disks")])


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    mean = {f"mean {name}": value for name, value in trainer.average.state_dict().items()}
    return trainer.net.state_dict() | mean


def test_two_pieces_equal_one_run(atlas: Atlas, small_config: ModelConfig, tmp_path: Path) -> None:
    whole = Trainer(small_config, CONFIG, atlas, tmp_path / "whole")
    whole.run()
    first = Trainer(small_config, CONFIG, atlas, tmp_path / "pieces")
    for _ in range(3):
        first.train_step()
    first.save()
    second = Trainer(small_config, replace(CONFIG, seed=99), atlas, tmp_path / "pieces")
    second.resume(tmp_path / "pieces" / "checkpoint.pt")
    second.run()
    assert second.step == whole.step == 8
    expected = weights(whole)
    for name, value in weights(second).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)


def test_log_has_a_line_for_every_interval(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    Trainer(small_config, CONFIG, atlas, tmp_path).run()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert all(np.isfinite(line["total"]) for line in lines)
    assert lines[-1]["images"] == 16


@pytest.mark.slow
def test_a_small_network_learns_disks(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    config = replace(CONFIG, steps=40, views=4, log_every=10)
    config = replace(config, optimizer=OptimizerConfig(warmup=5, rate=3e-3))
    trainer = Trainer(small_config, config, atlas, tmp_path)
    trainer.run()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["iou"] > lines[0]["iou"] + 0.1


def test_objects_of_a_view() -> None:
    labels = torch.zeros(2, 32, 32, dtype=torch.int16)
    labels[0, :8, :8] = 3
    labels[0, 16:, 16:] = 5
    labels[1, 8:24, 8:24] = 2
    views = Views(torch.rand(2, 3, 32, 32), labels, torch.tensor([3, 9], dtype=torch.int16))
    masks = pick_objects(views, 2, torch.Generator().manual_seed(0)).view(2, 2, 32, 32)
    assert torch.equal(masks[0, 0], labels[0] == 3)
    assert torch.equal(masks[0, 1], labels[0] == 5)
    # The label that the second view was made for is not seen in it.
    assert torch.equal(masks[1, 0], labels[1] == 2)
