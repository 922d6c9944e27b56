"""Nothing in a training step makes the host wait for the device.

On a CPU nobody waits, so the steps run on torch's ``meta`` device: its tensors have shapes but no
values, and to ask for one is an error, as it would be a wait on a GPU. What is no error there but
a wait on a GPU is forbidden by hand. Where there is a GPU, torch itself watches.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from napari_pvpu.training.datasets import Atlas, ViewSampling
from napari_pvpu.training.engine import DataEngine, SceneStreamConfig
from napari_pvpu.training.recipes import changed
from napari_pvpu.training.schedules import OptimizerConfig
from napari_pvpu.training.trainer import Trainer, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig

CONFIG = TrainingConfig(
    steps=8,
    views=2,
    objects=2,
    precision="float32",
    optimizer=OptimizerConfig(warmup=2),
    sampling=ViewSampling(size=64),
)


Pairs = list[tuple[np.ndarray, np.ndarray, str]]


class Waited(AssertionError):
    """Something would make the host wait for a GPU."""


class NoWaiting(TorchDispatchMode):
    """Raise where a device is waited for, or would be if it were a GPU."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        self.seen.add(name)
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        here = [x for x in given if x.device.type == self.device]
        self._check(name, args, kwargs, here)
        if here and name not in ("_to_copy", "copy_"):
            # A GPU takes numbers of the host as arguments of its kernels.
            args, kwargs = tree_map(self._number, (args, kwargs))
        out = function(*args, **kwargs)
        made = [x for x in tree_leaves(out) if isinstance(x, torch.Tensor)]
        if given and not here and any(x.device.type == self.device for x in made):
            raise Waited(f"{name} brings a tensor to the device; fill one there instead")
        return out

    def _number(self, value: Any) -> Any:
        scalar = isinstance(value, torch.Tensor) and value.device.type == "cpu" and not value.ndim
        return value.to(self.device) if scalar else value

    def _check(self, name: str, args: Any, kwargs: Any, here: list[torch.Tensor]) -> None:
        if not here:
            return
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique_dim"):
            raise Waited(name)
        if name == "_to_copy" and kwargs.get("device", here[0].device) != here[0].device:
            raise Waited("a tensor is brought to the host")
        if name == "lift_fresh":
            raise Waited("torch.tensor copies values of the host; use torch.full and torch.where")
        if name == "index" and any(x is not None and x.dtype == torch.bool for x in args[1]):
            raise Waited("indexing with a mask counts it")
        if name == "repeat_interleave" and kwargs.get("output_size") is None:
            raise Waited("repeat_interleave without output_size counts")


@pytest.fixture
def _any_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let code ask for a precision on the device that has none."""
    real, enabled = torch.autocast, torch.is_autocast_enabled

    def autocast(device: str, *args: Any, **kwargs: Any) -> Any:
        return nullcontext() if device == "meta" else real(device, *args, **kwargs)

    monkeypatch.setattr(torch, "autocast", autocast)
    monkeypatch.setattr(
        torch, "is_autocast_enabled", lambda *where: where != ("meta",) and enabled(*where)
    )


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    labels = np.zeros((96, 96), np.uint16)
    labels[10:40, 20:60], labels[55:90, 30:80] = 1, 2
    return [(labels * 90, labels, "squares")]


class MetaGenerator(torch.Generator):
    """A generator that says it is where the data are; torch makes none for this device."""

    device = torch.device("meta")


class OnMeta(Trainer):
    """A trainer on a device without values, whose random numbers have none either."""

    def _generator(self, shard: int, step: int = 0) -> torch.Generator:
        return MetaGenerator()


@pytest.mark.parametrize(
    "changes",
    [
        {"rounds": [0.0, 1.0], "play": {"prior": 1.0, "coarse": 1.0}},
        {"rounds": [0.0, 1.0], "losses": {"rounds": [1.0, 2.0]}, "habits": {"blind": 1.0}},
        {"rounds": [1.0], "objects": 1, "optimizer": {"kind": "muon"}},
    ],
    ids=["prior", "every-round", "muon"],
)
@pytest.mark.usefixtures("_any_precision")
def test_a_step_waits_for_nothing(
    pairs: Pairs, small_config: ModelConfig, tmp_path: Path, changes: dict[str, Any]
) -> None:
    trainer = OnMeta(small_config, changed(CONFIG, changes), Atlas(pairs, device="meta"), tmp_path)
    with NoWaiting("meta") as watched:
        losses = trainer.train_step()
    assert losses.total.device.type == "meta"
    assert {"convolution_backward", "searchsorted"} <= watched.seen


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x + torch.tensor([1.0, 2.0], device="meta"),
        lambda x: x.repeat_interleave(x.long()),
        lambda x: x + torch.rand(2).to("meta"),
        lambda x: x.cpu(),
        lambda x: bool(x.any()),
    ],
    ids=["item", "mask", "constant", "counts", "to-device", "to-host", "bool"],
)
def test_waits_are_found(wait: Callable[[torch.Tensor], Any]) -> None:
    values = torch.ones(2, device="meta")
    with pytest.raises(Waited), NoWaiting("meta"):
        wait(values)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_gpu_is_not_waited_for(
    pairs: Pairs, small_config: ModelConfig, tmp_path: Path, kind: str
) -> None:
    config = changed(CONFIG, {"precision": "bf16", "optimizer": {"kind": kind}})
    stream = SceneStreamConfig(scenes=4, fresh=2)
    data = DataEngine(Atlas(pairs, device="cuda"), stream, 0, "cuda")
    trainer = Trainer(small_config, config, data, tmp_path)
    for _ in range(4):  # libraries may wait when they are first called
        trainer.train_step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(8):
            trainer.train_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    trainer.save()
    assert trainer.step == 12
