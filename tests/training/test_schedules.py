"""Learning rates over steps and layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from napari_pvpu.training.schedules import (
    OptimizerConfig,
    clip_gradients,
    layer_of,
    learning_rate,
    make_optimizer,
    parameter_groups,
    set_rate,
)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("wsd", 0, 0.1),
        ("wsd", 9, 1.0),
        ("wsd", 700, 1.0),
        ("wsd", 775, 0.5),
        ("wsd", 1000, 0.0),
        ("cosine", 10, 1.0),
        ("cosine", 505, 0.5),
        ("cosine", 1000, 0.0),
        ("poly", 10, 1.0),
        ("poly", 155, 0.55),
        ("poly", 300, 0.1),
        ("poly", 900, 0.1),
        ("steps", 799, 1.0),
        ("steps", 800, 0.1),
        ("steps", 950, 0.01),
    ],
)
def test_learning_rate(schedule: str, step: int, expected: float) -> None:
    config = OptimizerConfig(
        schedule=schedule,  # type: ignore[arg-type]
        warmup=10,
        rate=1.0,
        decay=0.3,
        floor=0.1,
        milestones=(0.8, 0.9),
    )
    assert learning_rate(step, 1000, config) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("decay", "cooldown_from", "step", "expected"),
    [
        (0.3, 400, 399, 1.0),
        (0.3, 400, 400, 1.0),
        (0.3, 400, 550, 0.5),
        (0.3, 400, 1000, 0.0),
        (0.3, 0, 250, 0.5),
        (0.3, 950, 800, 1.0),
        (0.5, None, 625, 0.5),
        (0.0, None, 999, 1.0),
    ],
)
def test_the_rate_falls_from_any_step(
    decay: float, cooldown_from: int | None, step: int, expected: float
) -> None:
    config = OptimizerConfig(warmup=10, rate=1.0, decay=decay, cooldown_from=cooldown_from)
    assert learning_rate(step, 1000, config) == pytest.approx(expected)


def test_a_stable_rate_does_not_depend_on_the_length_of_the_run() -> None:
    config = OptimizerConfig(warmup=5, decay=0.6)
    short, long = ([learning_rate(s, steps, config) for s in range(80)] for steps in (100, 200))
    assert short[:41] == long[:41]
    assert short[41] < long[41]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cooldown_from": -1}, "cooldown_from is -1; give a step"),
        ({"cooldown_from": 5, "schedule": "cosine"}, "does not go with schedule 'cosine'"),
    ],
)
def test_cooldowns_that_have_no_effect(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**settings)


def test_gradients_are_shortened_and_measured() -> None:
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    assert float(clip_gradients(parameters, 0)) == 5.0
    assert parameters[0].grad.tolist() == [3.0, 0.0]
    assert float(clip_gradients(parameters, 1.0)) == 5.0
    assert parameters[0].grad.tolist() == pytest.approx([0.6, 0.0], rel=1e-5)
    parameters[1].grad[0] = torch.nan
    assert not clip_gradients(parameters, 1.0).isfinite()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.patch_embed = nn.Linear(2, 3)
        self.encoder.blocks = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.head = nn.Linear(3, 1)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("encoder.patch_embed.proj.weight", 0),
        ("encoder.cls_token", 0),
        ("encoder.blocks.0.attn.qkv.weight", 1),
        ("encoder.blocks.1.mlp.fc1.bias", 2),
        ("encoder.norm.weight", 3),
        ("decoder.blocks.0.weight", 3),
    ],
)
def test_layer_of(name: str, layer: int) -> None:
    assert layer_of(name, 2) == layer


def test_rates_fall_with_depth_and_biases_do_not_decay() -> None:
    config = OptimizerConfig(layer_decay=0.5, weight_decay=0.1)
    groups = parameter_groups(Net(), config)
    got = [(g["scale"], g["weight_decay"], [p.ndim for p in g["params"]]) for g in groups]
    expected = []
    for scale in (0.125, 0.25, 0.5, 1.0):
        expected += [(scale, 0.0, [1]), (scale, 0.1, [2])]
    assert got == expected


@pytest.mark.parametrize("kind", ["adamw", "adam", "radam", "muon"])
def test_optimisers_take_steps_at_scaled_rates(kind: str) -> None:
    net = Net()
    config = OptimizerConfig(kind=kind, layer_decay=0.5)  # type: ignore[arg-type]
    optimizer = make_optimizer(net, config)
    set_rate(optimizer, 0.1)
    assert sorted({g["lr"] for g in optimizer.param_groups}) == [0.0125, 0.025, 0.05, 0.1]
    before = net.head.weight.detach().clone()
    net.head(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert not torch.equal(net.head.weight, before)


def test_frozen_parameters_are_left_out() -> None:
    net = Net()
    net.encoder.requires_grad_(False)
    assert sum(len(g["params"]) for g in parameter_groups(net, OptimizerConfig())) == 2
