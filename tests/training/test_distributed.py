"""Several processes train to the same weights as one with the same batch."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from napari_pvpu.training.datasets import Atlas, ViewSampling
from napari_pvpu.training.schedules import OptimizerConfig
from napari_pvpu.training.trainer import Trainer, TrainingConfig

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig

CONFIG = TrainingConfig(
    steps=3,
    views=4,
    objects=1,
    shards=2,
    rounds=(0.5, 0.5),
    precision="float32",
    log_every=1,
    optimizer=OptimizerConfig(warmup=1),
    sampling=ViewSampling(size=64),
)


def make_atlas() -> Atlas:
    labels = np.zeros((96, 96), np.uint16)
    labels[10:40, 20:60] = 1
    labels[55:90, 30:80] = 2
    image = (labels > 0) * 150 + np.random.default_rng(0).normal(50, 9, labels.shape)
    return Atlas([(image.clip(0, 255).astype(np.uint8), labels, "squares")])


def train_one(rank: int, port: int, model: ModelConfig, folder: Path) -> None:
    """Train as one of two processes; run in a process of its own."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    Trainer(model, CONFIG, make_atlas(), folder).run()
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(not distributed.is_available(), reason="torch without distributed")
def test_two_processes_train_as_one(small_config: ModelConfig, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = Trainer(small_config, CONFIG, make_atlas(), tmp_path / "one")
    one.run()
    torch.set_num_threads(threads)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = (port, small_config, tmp_path / "two")
    multiprocessing.spawn(train_one, arguments, nprocs=2)
    saved = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    for name, value in one.net.state_dict().items():
        torch.testing.assert_close(saved["net"][name], value, rtol=1e-3, atol=1e-5, msg=name)
    assert len((tmp_path / "two" / "log.jsonl").read_text().splitlines()) == CONFIG.steps
    # A checkpoint of two processes goes on in one.
    resumed = Trainer(small_config, CONFIG, make_atlas(), tmp_path / "two")
    resumed.resume(tmp_path / "two" / "checkpoint.pt")
    for mine, theirs in zip(resumed.generators, one.generators, strict=True):
        assert torch.equal(mine.get_state(), theirs.get_state())


def test_shards_have_to_divide_the_views(small_config: ModelConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 views a step cannot be shared by 3 shards"):
        Trainer(small_config, replace(CONFIG, shards=3), make_atlas(), tmp_path)


def test_a_checkpoint_of_other_shards_is_refused(small_config: ModelConfig, tmp_path: Path) -> None:
    Trainer(small_config, CONFIG, make_atlas(), tmp_path).save()
    other = Trainer(small_config, replace(CONFIG, shards=1), make_atlas(), tmp_path)
    with pytest.raises(ValueError, match="a run with 2 shards, this one has 1"):
        other.resume(tmp_path / "checkpoint.pt")
