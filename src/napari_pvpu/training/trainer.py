"""Train a promptable network on views of many images, on a CPU, a GPU, or several processes.

One step: cut ``B`` views, encode each once, take ``M`` objects of each, let the simulated user
answer for a random number of rounds. A step may be cut into shards with random numbers of their
own, which one process plays one after another and several processes side by side, to the same end.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from napari_pvpu.networks.models import build_model
from napari_pvpu.training.datasets import Atlas, Views, ViewSampling, augment
from napari_pvpu.training.rounds import LossConfig, Losses, PlayConfig, Rounds
from napari_pvpu.training.schedules import (
    OptimizerConfig,
    clip_gradients,
    learning_rate,
    make_optimizer,
    set_rate,
)
from napari_pvpu.training.simulate import SimulatedUser, UserHabits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.interface import PromptableNetwork


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a run in which the user behaves in another way.

    Attributes
    ----------
    until : float
        Share of the run at which it ends.
    rounds : tuple of float
        Chances of 1, 2, ... rounds.
    habits : UserHabits
        The simulated user's.
    """

    until: float
    rounds: tuple[float, ...]
    habits: UserHabits


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of a run.

    Attributes
    ----------
    steps : int
        Length of the run.
    views, objects : int
        Views a step, over all shards and processes, and objects a view.
    shards : int
        Parts of a step with random numbers of their own; 0 for one in each process. Gradients
        and running statistics are means over them.
    rounds : tuple of float
        Chances of 1, 2, ... rounds in a step.
    average : float
        Decay of the moving average of the weights, which is what is kept in the end.
    seed : int
        Of the weights and of all that is drawn.
    precision : str
        ``"bf16"`` or ``"float32"``.
    log_every, save_every : int
        Steps between lines of the log and between checkpoints.
    optimizer, losses, play, sampling, habits : dataclass
        See there.
    curriculum : tuple of Stage
        What `rounds` and `habits` are at first; they hold after the last stage.
    """

    steps: int = 20_000
    views: int = 36
    objects: int = 2
    shards: int = 0
    rounds: tuple[float, ...] = (0.27, 0.2, 0.17, 0.14, 0.12, 0.1)
    average: float = 0.998
    seed: int = 0
    precision: str = "bf16"
    log_every: int = 50
    save_every: int = 500
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    play: PlayConfig = field(default_factory=PlayConfig)
    sampling: ViewSampling = field(default_factory=ViewSampling)
    habits: UserHabits = field(default_factory=UserHabits)
    curriculum: tuple[Stage, ...] = ()

    def at(self, step: int) -> tuple[tuple[float, ...], UserHabits]:
        """Return chances of rounds and the user's habits at a step."""
        for stage in self.curriculum:
            if step < stage.until * self.steps:
                return stage.rounds, stage.habits
        return self.rounds, self.habits


def pick_objects(views: Views, count: int, generator: torch.Generator) -> Tensor:
    """Choose objects of each view: the one it was made for, and others seen in it.

    Parameters
    ----------
    views : Views
        ``B`` views.
    count : int
        Objects ``M`` a view.
    generator : torch.Generator
        On the views' device.

    Returns
    -------
    Tensor
        ``(B * M, S, S)`` bool. Where nothing else is seen the first object comes again; where
        it is not seen itself, another takes its place.
    """
    labels, target = views.labels, views.target[:, None]
    coarse = labels[:, ::4, ::4].flatten(1)
    weights = (coarse > 0).float()
    mine = coarse == target
    others = weights * torch.where(mine, 1e-4, 1.0) + 1e-9 * (1 - weights)
    drawn = torch.multinomial(others, count, True, generator=generator)
    chosen = coarse.gather(1, drawn)
    seen = (labels == target[..., None]).flatten(1).sum(1) >= 16
    chosen[:, 0] = torch.where(seen, target[:, 0], chosen[:, 0])
    chosen = torch.where(chosen > 0, chosen, chosen[:, :1])
    masks = (labels[:, None] == chosen[:, :, None, None]) & (chosen > 0)[:, :, None, None]
    return masks.flatten(0, 1)


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
    atlas : Atlas
        On what; its device is the run's.
    folder : Path
        Where the log and the checkpoint go.

    Raises
    ------
    ValueError
        If the shards do not divide the views or cannot be shared by the processes.
    """

    def __init__(
        self, model: ModelConfig, config: TrainingConfig, atlas: Atlas, folder: Path
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.atlas, self.folder = config, atlas, folder
        self.device = atlas.device
        self.rank, self.world = _place()
        self.shards = config.shards or self.world
        if self.shards % self.world or config.views % self.shards:
            raise ValueError(
                f"{config.views} views a step cannot be shared by {self.shards} shards on "
                f"{self.world} processes; each has to divide the one before"
            )
        self.net: PromptableNetwork = build_model(model).to(self.device)
        self.average = deepcopy(self.net).requires_grad_(False).eval()
        share = self.shards // self.world
        self._first_shard = self.rank * share
        self.generators = [self._generator(self._first_shard + i) for i in range(share)]
        self.optimizer = make_optimizer(self.net, config.optimizer)
        rounds: nn.Module = Rounds(self.net, config.losses, config.play)
        if self.world > 1:
            # Which parts are used depends on what is drawn: prior masks, kinds of prompts.
            rounds = DistributedDataParallel(rounds, find_unused_parameters=True)
        self.rounds = rounds
        self.step = 0
        self.images = 0
        folder.mkdir(parents=True, exist_ok=True)

    def _generator(self, shard: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(self.config.seed + 7919 * shard)

    def _autocast(self) -> Any:
        if self.config.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def run(self, minutes: float = math.inf) -> None:
        """Train until the run's end or for `minutes`, and save a checkpoint.

        Parameters
        ----------
        minutes : float
            Wall time of this piece; with several processes the first one's clock counts.
        """
        end = time.monotonic() + 60 * minutes
        sums, seen, started = torch.zeros(6, device=self.device), 0, time.monotonic()
        while self.step < self.config.steps and self._agree(time.monotonic() < end):
            sums += torch.stack([x.detach() for x in self.train_step()])
            seen += 1
            if self.step % self.config.log_every == 0:
                spent = time.monotonic() - started
                self._log(sums / seen, seen * self.config.views / spent)
                sums, seen, started = torch.zeros_like(sums), 0, time.monotonic()
            if self.step % self.config.save_every == 0:
                self.save()
        self.save()

    def _agree(self, go_on: bool) -> bool:
        """Let the first process decide, so that none waits for one that has ended."""
        if self.world == 1:
            return go_on
        word = torch.tensor([float(go_on)], device=self.device)
        distributed.broadcast(word, 0)
        return bool(word)

    def train_step(self) -> Losses:
        """Cut views, play the rounds, take one gradient step; return the means over own shards."""
        config = self.config
        set_rate(self.optimizer, learning_rate(self.step, config.steps, config.optimizer))
        self.optimizer.zero_grad(set_to_none=True)
        statistics = _Statistics(self.net)
        parts = []
        for index, generator in enumerate(self.generators):
            statistics.restore()
            more = self.world > 1 and index < len(self.generators) - 1
            # Gradients travel once, with the last shard of a process.
            with self.rounds.no_sync() if more else nullcontext():  # type: ignore[operator]
                losses = self._play(generator)
                # Several processes average their gradients.
                (losses.total * (self.world / self.shards)).backward()
            statistics.add()
            parts.append(losses)
        statistics.average(self.shards)
        clip_gradients(self.net.parameters(), config.optimizer.clip)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        self.images += config.views
        return Losses(*(torch.stack(part).mean() for part in zip(*parts, strict=True)))

    def _play(self, generator: torch.Generator) -> Losses:
        """Play one shard's rounds."""
        config = self.config
        chances, habits = config.at(self.step)
        views = self.atlas.sample(config.views // self.shards, config.sampling, generator)
        image = augment(views.image, generator)
        truth = pick_objects(views, config.objects, generator)
        weights = torch.tensor(chances, device=self.device)
        count = 1 + int(torch.multinomial(weights, 1, generator=generator))
        user = SimulatedUser(habits, generator)
        with self._autocast():
            losses: Losses = self.rounds(image, truth, config.objects, count, user)
        return losses

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        for mean, value in zip(_floats(self.average), _floats(self.net), strict=True):
            mean.lerp_(value, 1 - decay)

    def _log(self, means: Tensor, speed: float) -> None:
        if self.rank:
            return
        values = [round(v, 4) for v in means.tolist()]
        rate = learning_rate(self.step, self.config.steps, self.config.optimizer)
        entry = {
            "step": self.step,
            "images": self.images,
            "rate": round(rate, 7),
            **dict(zip(Losses._fields, values, strict=True)),
            "images_per_second": round(speed, 1),
            "time": round(time.time()),
        }
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")

    def save(self) -> None:
        """Write the checkpoint beside the log, whole or not at all."""
        states = [generator.get_state() for generator in self.generators]
        if self.world > 1:
            gathered: list[Any] = [None] * self.world
            distributed.all_gather_object(gathered, states)
            states = [state for part in gathered for state in part]
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
            "generators": states,
        }
        partial = self.folder / "checkpoint.tmp"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint; settings of this run hold, weights and state are taken over.

        Parameters
        ----------
        path : Path
            A file written by `save`.

        Raises
        ------
        ValueError
            If it was written by a run with another number of shards.
        """
        # Checkpoints are our own files and hold only tensors and plain values.
        state = torch.load(path, map_location=self.device, weights_only=True)
        if len(state["generators"]) != self.shards:
            raise ValueError(
                f"{path} is of a run with {len(state['generators'])} shards, this one has "
                f"{self.shards}; set shards to {len(state['generators'])}"
            )
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        mine = state["generators"][self._first_shard :]
        for generator, saved in zip(self.generators, mine, strict=False):
            generator.set_state(saved.cpu())
        self.step, self.images = state["step"], state["images"]


class _Statistics:
    """Running statistics of a network's norms, averaged over the shards of a step."""

    def __init__(self, network: nn.Module) -> None:
        self._all = list(network.buffers())
        self._before = [b.clone() for b in self._all]
        # Counters need no mean: they begin and end alike in every shard.
        self._buffers = [b for b in self._all if b.is_floating_point()]
        self._sums = [torch.zeros_like(b) for b in self._buffers]

    @torch.no_grad()
    def restore(self) -> None:
        """Begin a shard where the step began."""
        for buffer, before in zip(self._all, self._before, strict=True):
            buffer.copy_(before)

    @torch.no_grad()
    def add(self) -> None:
        """Take in what a shard left."""
        for total, buffer in zip(self._sums, self._buffers, strict=True):
            total += buffer

    @torch.no_grad()
    def average(self, shards: int) -> None:
        """Set the mean over the shards of all processes."""
        for total, buffer in zip(self._sums, self._buffers, strict=True):
            if distributed.is_initialized():
                distributed.all_reduce(total)
            buffer.copy_(total / shards)


def _place() -> tuple[int, int]:
    """Return this process's number and how many there are."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def _floats(network: nn.Module) -> Iterator[Tensor]:
    return (x for x in network.state_dict().values() if x.is_floating_point())
