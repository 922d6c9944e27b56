"""Each preset, with few channels, learns one made-up scene by heart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from napari_pvpu.networks.models import PRESETS
from napari_pvpu.training.datasets import Atlas, ViewSampling
from napari_pvpu.training.recipes import changed, recipe_for
from napari_pvpu.training.trainer import Trainer
from small_presets import SIZE, made_up_scene, small_preset

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

STEPS = 200
GOAL = 0.95
RATES = {"pvpuformer-botnet50": 5e-4}
WIDTHS = {"pvpuformer-botnet50": 1}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    """Three objects, with so much ground around that no view leaves the picture."""
    return Atlas([(*made_up_scene(margin=80), "made up")])


def trainer_of(name: str, atlas: Atlas, folder: Path) -> Trainer:
    """Train by the preset's losses, but on clicks alone and by one optimiser for all."""
    model = small_preset(name, WIDTHS.get(name, 2))
    model = replace(model, decoder=replace(model.decoder, dropout=0.0))
    config = changed(
        recipe_for(model),
        {
            "steps": STEPS,
            "views": 2,
            "objects": 2,
            "rounds": [1.0],
            "precision": "float32",
            "curriculum": [],
            "play": {"prior": 0.0, "forget": 0.0},
            "habits": {"first": [1.0, 0.0, 0.0], "central": 1.0, "central_first": 1.0},
            "optimizer": {
                "kind": "adamw",
                "rate": RATES.get(name, 1e-3),
                "betas": [0.9, 0.99],
                "weight_decay": 0.0,
                "layer_decay": 1.0,
                "clip": 1.0,
                "schedule": "cosine",
                "warmup": 5,
            },
            # Without it some recipes need longer to leave an empty mask.
            "losses": {"dice": 1.0},
        },
    )
    sampling = ViewSampling(SIZE, fill=(0.45, 0.55), fill_mode=0.5, shift=0.1, stretch=0.0)
    return Trainer(model, replace(config, sampling=sampling), atlas, folder)


def same_step(trainer: Trainer) -> None:
    """Take a step on the views, objects and clicks of all steps before."""
    for generator in (*trainer.generators, *trainer.hosts):
        generator.manual_seed(0)
    trainer.train_step()


def judged(trainer: Trainer) -> float:
    """Mean IoU on the same objects and clicks in evaluation mode."""
    trainer.net.eval()
    with torch.no_grad():
        # The trainer's own draw: any other would give other clicks.
        iou = float(trainer._play(*(torch.Generator().manual_seed(0) for _ in range(2))).iou)
    trainer.net.train()
    return iou


def as_it_is(image: Tensor, generator: torch.Generator) -> Tensor:
    return image


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_one_scene_is_learnt_by_heart(
    name: str, atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_pvpu.training.trainer.augment", as_it_is)
    trainer = trainer_of(name, atlas, tmp_path)
    reached = 0.0
    while trainer.step < STEPS and reached <= GOAL:
        same_step(trainer)
        # Running statistics lag behind at first.
        if trainer.step >= 40 and trainer.step % 10 == 0:
            reached = judged(trainer)
    assert reached > GOAL, f"IoU {reached:.3f} after {trainer.step} steps"
