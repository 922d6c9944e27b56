"""Train a promptable network on views of many images, on a CPU, a GPU, or several processes.

One step: cut ``B`` views, encode each once, take ``M`` objects of each, let the simulated user
answer for a random number of rounds. A step may be cut into shards with random numbers of their
own, which one process plays one after another and several processes side by side, to the same end.

What the host has to know is drawn on the host, and what the device finds out stays there until a
line of the log is written: a GPU is never waited for within a step.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import record_function

from napari_pvpu.errors import PvpuError
from napari_pvpu.networks.models import build_model
from napari_pvpu.training.checkpoints import differences, read_checkpoint, write_checkpoint
from napari_pvpu.training.compilation import compile_network
from napari_pvpu.training.datasets import Views, ViewSampling, augment
from napari_pvpu.training.object_choice import other_objects, pick_objects
from napari_pvpu.training.rounds import Losses, Rounds
from napari_pvpu.training.run_log import RunLog
from napari_pvpu.training.running_means import ShardStatistics, WeightAverage
from napari_pvpu.training.schedules import (
    clip_gradients,
    learning_rate,
    make_optimizer,
    set_rate,
    step_if,
)
from napari_pvpu.training.settings import Stage, TrainingConfig
from napari_pvpu.training.simulate import SimulatedUser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["Stage", "Trainer", "TrainingConfig", "TrainingData"]

LOGGER = logging.getLogger(__name__)


class TrainingData(Protocol):
    """What views are cut from; an `Atlas`, or one with scenes that are made as they are needed.

    Attributes
    ----------
    device : torch.device
        Where views are.
    """

    device: torch.device

    def sample(self, count: int, how: ViewSampling, generator: torch.Generator) -> Views:
        """Cut `count` views."""

    def advance(self, step: int) -> None:
        """Make ready for a step, counted from 0, after the one before it."""

    def restore(self, step: int) -> None:
        """Make ready to go on after `step` steps, as if they had been taken here."""


class Trainer:
    """The loop, with everything that a checkpoint holds.

    Where a process group of `torch.distributed` is set up, each process plays its share of the
    shards, and the first one writes log and checkpoint.

    Parameters
    ----------
    model : ModelConfig
        What to train.
    config : TrainingConfig
        How.
    data : TrainingData
        On what; its device is the run's.
    folder : Path
        Where the log and the checkpoint go.

    Attributes
    ----------
    net, average : PromptableNetwork
        What is trained, and the moving average of its weights.
    generators, hosts : list of torch.Generator
        For each shard of this process: one on the device, and one on the CPU for what the host has
        to know.
    step, images : int
        Steps taken and views seen.

    Raises
    ------
    ValueError
        If the shards do not divide the views or cannot be shared by the processes.
    """

    def __init__(
        self, model: ModelConfig, config: TrainingConfig, data: TrainingData, folder: Path
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.data, self.folder = config, data, folder
        self.device = data.device
        self.rank, self.world = _place()
        self.shards = config.shards or self.world
        if self.shards % self.world or config.views % self.shards:
            raise ValueError(
                f"{config.views} views a step cannot be shared by {self.shards} shards on "
                f"{self.world} processes; each has to divide the one before"
            )
        self.net: PromptableNetwork = build_model(model).to(self.device)
        self._format = torch.contiguous_format
        if self.device.type == "cuda":
            self._format = torch.channels_last
            self.net.to(memory_format=self._format)
            torch.set_float32_matmul_precision("high")
        self._mean = WeightAverage(self.net, config.average)
        self._statistics = ShardStatistics(self.net)
        self._trained = [p for p in self.net.parameters() if p.requires_grad]
        share = self.shards // self.world
        self._first_shard = self.rank * share
        self.generators = [self._generator(self._first_shard + i) for i in range(share)]
        self.hosts = [self._host(self._first_shard + i) for i in range(share)]
        self.optimizer = make_optimizer(self.net, config.optimizer)
        compile_network(self.net, config.compile, self._blank(), config.objects, self._autocast())
        rounds: nn.Module = Rounds(self.net, config.losses, config.play)
        if self.world > 1:
            # Which parts are used depends on what is drawn: prior masks, kinds of prompts.
            rounds = DistributedDataParallel(rounds, find_unused_parameters=True)
        self.rounds = rounds
        self.step = 0
        self.images = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.log = RunLog(None if self.rank else folder / "log.jsonl", self.device)

    @property
    def average(self) -> PromptableNetwork:
        """The moving average, which is what is kept in the end."""
        return self._mean.network

    def _generator(self, shard: int, step: int = 0) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(self._seed(shard, step))

    def _host(self, shard: int, step: int = 0) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed(shard, step) + 1_000_003)

    def _seed(self, shard: int, step: int) -> int:
        return self.config.seed + 7919 * shard + 15_485_863 * step

    def _autocast(self) -> Any:
        if self.config.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _blank(self) -> Tensor:
        size, count = self.config.sampling.size, self.config.views // self.shards
        blank = torch.zeros(count, 3, size, size, device=self.device)
        return blank.contiguous(memory_format=self._format)

    def run(self, minutes: float = math.inf, stop: Callable[[], bool] = lambda: False) -> None:
        """Train until the run's end, for `minutes` or until told to stop; save a checkpoint.

        Parameters
        ----------
        minutes : float
            Wall time of this piece.
        stop : callable
            Asked after each step, see `stopping_on_signals`. With several processes the first
            one to stop, or whose time is over, stops them all.

        Raises
        ------
        PvpuError
            If the last checkpoint cannot be written. If an earlier one cannot, training goes on
            after a warning.
        """
        end = time.monotonic() + 60 * minutes
        saved = -1
        while self.step < self.config.steps and self._agree(time.monotonic() < end and not stop()):
            self.train_step()
            if self.step % self.config.log_every == 0:
                self.log.write(self.step, self.images, self._rate())
            if self.step % self.config.save_every == 0:
                try:
                    self.save()
                    saved = self.step
                except PvpuError as error:
                    LOGGER.warning("%s", error)
        if saved != self.step:
            self.save()

    def _agree(self, go_on: bool) -> bool:
        """Let all processes go on or none, so that none waits for one that has ended."""
        if self.world == 1:
            return go_on
        word = torch.tensor([float(go_on)])
        distributed.all_reduce(word, distributed.ReduceOp.MIN)
        return bool(word)

    def _rate(self) -> float:
        return learning_rate(self.step, self.config.steps, self.config.optimizer)

    def train_step(self) -> Losses:
        """Cut views, play the rounds, take one gradient step; return the means over own shards.

        A step whose gradients are not finite is left out, and counted in the log.
        """
        config = self.config
        set_rate(self.optimizer, self._rate())
        with record_function("scenes"):
            self.data.advance(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        self._statistics.begin()
        parts = []
        for index, (generator, host) in enumerate(zip(self.generators, self.hosts, strict=True)):
            self._statistics.restore()
            more = self.world > 1 and index < len(self.generators) - 1
            # Gradients travel once, with the last shard of a process.
            with self.rounds.no_sync() if more else nullcontext():  # type: ignore[operator]
                losses = self._play(generator, host)
                with record_function("backward"):
                    # Several processes average their gradients.
                    (losses.total * (self.world / self.shards)).backward()
            self._statistics.add()
            parts.append(Losses(*(x.detach() for x in losses)))
        with record_function("update"):
            # After processes have shared their gradients, all come to the same judgement.
            good = clip_gradients(self._trained, config.optimizer.clip).isfinite()
            step_if(good, self.optimizer)
            self._statistics.end(self.shards, good)
            self._mean.update(self.step)
        self.step += 1
        self.images += config.views
        means = Losses(*(torch.stack(part).mean() for part in zip(*parts, strict=True)))
        self.log.add(means, good, config.views)
        return means

    def _play(self, generator: torch.Generator, host: torch.Generator | None = None) -> Losses:
        """Play one shard's rounds."""
        config = self.config
        chances, habits = config.at(self.step)
        with record_function("views"):
            views = self.data.sample(config.views // self.shards, config.sampling, generator)
        with record_function("augment"):
            image = augment(views.image, generator).contiguous(memory_format=self._format)
        with record_function("objects"):
            truth = pick_objects(views, config.objects, generator)
            others = other_objects(views, truth)
        user = SimulatedUser(habits, generator, host)
        count = _drawn(chances, user.chance())
        with self._autocast(), record_function("rounds"):
            losses: Losses = self.rounds(image, truth, config.objects, count, user, others)
        return losses

    def save(self) -> None:
        """Write the checkpoint beside the log, whole or not at all.

        Raises
        ------
        PvpuError
            If it cannot be written; the one before is as it was.
        """
        own = (
            [each.get_state() for each in self.generators],
            [each.get_state() for each in self.hosts],
        )
        gathered: list[Any] = [own]
        if self.world > 1:
            gathered = [None] * self.world
            distributed.all_gather_object(gathered, own)
        if self.rank:
            return
        state = {
            "step": self.step,
            "images": self.images,
            "model": self.net.config.to_dict(),
            "config": asdict(self.config),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": [state for part, _ in gathered for state in part],
            "hosts": [state for _, part in gathered for state in part],
            "log": self.log.state_dict(),
        }
        write_checkpoint(state, self.folder)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint; settings of this run hold, weights and state are taken over.

        A damaged one is replaced by the one before it, and settings that differ from those of the
        checkpoint are named, each in a line of warning. On another kind of device the random
        numbers are others than they would have been.

        Parameters
        ----------
        path : Path
            A file written by `save`.

        Raises
        ------
        ValueError
            If it was written by a run with another number of shards or another optimiser.
        WeightsError
            If neither it nor the one before can be read.
        """
        state = read_checkpoint(path)
        if len(state["generators"]) != self.shards:
            raise ValueError(
                f"{path} is of a run with {len(state['generators'])} shards, this one has "
                f"{self.shards}; set shards to {len(state['generators'])}"
            )
        self.step, self.images = state["step"], state["images"]
        self._resume_optimizer(state, path)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._resume_generators(state)
        self.data.restore(self.step)
        if "log" in state:
            self.log.load_state_dict(state["log"], self.step)
        changes = differences(state["config"], asdict(self.config), asdict(TrainingConfig()))
        if changes and not self.rank:
            LOGGER.warning(
                "goes on from step %d with other settings than before: %s",
                self.step,
                ", ".join(changes),
            )

    def _resume_optimizer(self, state: dict[str, Any], path: Path) -> None:
        ours = [{k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups]
        kind = state["config"]["optimizer"]["kind"]
        try:
            if kind != self.config.optimizer.kind:
                raise ValueError(f"its kind is {kind!r}, not {self.config.optimizer.kind!r}")
            self.optimizer.load_state_dict(state["optimizer"])
        except ValueError as error:
            raise ValueError(
                f"the optimiser in {path} does not fit ({error}); keep optimizer.kind and "
                "optimizer.layer_decay, or start a new run from the weights"
            ) from error
        for group, settings in zip(self.optimizer.param_groups, ours, strict=True):
            group.update(settings)

    def _resume_generators(self, state: dict[str, Any]) -> None:
        for index in range(len(self.generators)):
            shard = self._first_shard + index
            try:
                self.generators[index].set_state(state["generators"][shard])
            except RuntimeError:  # of another kind of device
                self.generators[index] = self._generator(shard, self.step)
            if "hosts" in state:
                self.hosts[index].set_state(state["hosts"][shard])


def _drawn(chances: tuple[float, ...], chance: float) -> int:
    """Return a number of rounds, from 1 on, by their chances and a number between 0 and 1."""
    left = chance * sum(chances)
    for count, share in enumerate(chances, start=1):
        left -= share
        if left < 0:
            return count
    return max(n for n, share in enumerate(chances, start=1) if share > 0)


def _place() -> tuple[int, int]:
    """Return this process's number and how many there are."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()
