"""Train a promptable network on views of many images, on a CPU or a CUDA device.

One step: cut ``B`` views, encode each once, take ``M`` objects of each, let the simulated user
answer for a random number of rounds; only the last round carries gradients.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.losses import dice_loss, normalized_focal_loss, p2c_loss
from napari_pvpu.networks.models import PVPUNet, build_model
from napari_pvpu.networks.prompt_encoding import EMPTY
from napari_pvpu.training.datasets import Atlas, Views, ViewSampling, augment
from napari_pvpu.training.simulate import (
    PromptMemory,
    SimulatedUser,
    UserHabits,
    coarsen_masks,
    corrupt_masks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.interface import Features


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of a run.

    Attributes
    ----------
    steps : int
        Length of the run. The learning rate rises over `warmup` steps, stays, and falls to zero
        as one minus the square root over the last `decay` share (warm-up, stable, decay), so
        that a run may be made longer from a checkpoint taken before the decay.
    views, objects : int
        Views a step and objects a view.
    rounds : tuple of float
        Chances of 1, 2, ... rounds in a step.
    rate, weight_decay : float
        AdamW's.
    warmup : int
        Steps of linear warm-up.
    decay : float
        Share of `steps` over which the rate falls.
    average : float
        Decay of the moving average of the weights, which is what is kept in the end.
    p2c, score : float
        Weights of the prompt-to-pixel and of the score loss beside NFL + Dice.
    prior : float
        Chance that an object starts from a spoilt mask instead of nothing.
    coarse : float
        Share of spoilt masks that are blurred too, as a mask from a coarser view is.
    forget : float
        Chance that the last round is answered without the mask before it, from the prompts alone,
        so that a wrong mask is not clung to.
    seed : int
        Of the weights and of all that is drawn.
    precision : str
        ``"bf16"`` or ``"float32"``.
    log_every, save_every : int
        Steps between lines of the log and between checkpoints.
    """

    steps: int = 20_000
    views: int = 36
    objects: int = 2
    rounds: tuple[float, ...] = (0.27, 0.2, 0.17, 0.14, 0.12, 0.1)
    rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup: int = 300
    decay: float = 0.3
    average: float = 0.998
    p2c: float = 0.5
    score: float = 0.2
    prior: float = 0.15
    coarse: float = 0.5
    forget: float = 0.25
    seed: int = 0
    precision: str = "bf16"
    log_every: int = 50
    save_every: int = 500
    sampling: ViewSampling = field(default_factory=ViewSampling)
    habits: UserHabits = field(default_factory=UserHabits)


class Losses(NamedTuple):
    """Mean losses of a step and what the user would see.

    Attributes
    ----------
    total, focal, dice, p2c, score, iou : Tensor
        Scalars; `iou` is the mean over objects after the last round.
    """

    total: Tensor
    focal: Tensor
    dice: Tensor
    p2c: Tensor
    score: Tensor
    iou: Tensor


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Return the rate of a step: warm-up, stable, decay.

    Examples
    --------
    >>> config = TrainingConfig(steps=1000, warmup=10, rate=1.0, decay=0.2)
    >>> learning_rate(500, config), learning_rate(1000, config)
    (1.0, 0.0)
    """
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    start = config.steps * (1 - config.decay)
    if step <= start:
        return config.rate
    return config.rate * (1 - math.sqrt(min(1.0, (step - start) / (config.steps - start))))


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
    """

    def __init__(
        self, model: ModelConfig, config: TrainingConfig, atlas: Atlas, folder: Path
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.atlas, self.folder = config, atlas, folder
        self.device = atlas.device
        self.net = build_model(model).to(self.device)
        self.average = deepcopy(self.net).requires_grad_(False).eval()
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        self.user = SimulatedUser(config.habits, self.generator)
        self.optimizer = torch.optim.AdamW(
            self._parameter_groups(), lr=config.rate, betas=(0.9, 0.98), fused=True
        )
        self.step = 0
        self.images = 0
        folder.mkdir(parents=True, exist_ok=True)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Exempt biases, norms and scales from weight decay."""
        wide = [p for p in self.net.parameters() if p.ndim > 1]
        narrow = [p for p in self.net.parameters() if p.ndim <= 1]
        return [
            {"params": wide, "weight_decay": self.config.weight_decay},
            {"params": narrow, "weight_decay": 0.0},
        ]

    def _autocast(self) -> Any:
        if self.config.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def run(self, minutes: float = math.inf) -> None:
        """Train until the run's end or for `minutes`, and save a checkpoint.

        Parameters
        ----------
        minutes : float
            Wall time of this piece.
        """
        end = time.monotonic() + 60 * minutes
        sums, seen, started = torch.zeros(6, device=self.device), 0, time.monotonic()
        while self.step < self.config.steps and time.monotonic() < end:
            losses = self.train_step()
            sums += torch.stack([x.detach() for x in losses])
            seen += 1
            if self.step % self.config.log_every == 0:
                spent = time.monotonic() - started
                self._log(sums / seen, seen * self.config.views / spent)
                sums, seen, started = torch.zeros_like(sums), 0, time.monotonic()
            if self.step % self.config.save_every == 0:
                self.save()
        self.save()

    def train_step(self) -> Losses:
        """Cut views, play the rounds, take one gradient step."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, config)
        views = self.atlas.sample(config.views, config.sampling, self.generator)
        image = augment(views.image, self.generator)
        truth = pick_objects(views, config.objects, self.generator)
        rounds = 1 + int(
            torch.multinomial(
                torch.tensor(config.rounds, device=self.device), 1, generator=self.generator
            )
        )
        with self._autocast():
            features = self.net.encode(image).repeat(config.objects)
            losses = self._play(features, truth, rounds)
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        self.images += config.views
        return losses

    def _play(self, features: Features, truth: Tensor, rounds: int) -> Losses:
        """Prompt, predict and correct for `rounds` rounds; the last one gives the loss."""
        memory = PromptMemory()
        previous, prediction = self._start(truth)
        kept = features.detach()
        for _ in range(rounds - 1):
            self.user.answer(truth, prediction, memory)
            with torch.no_grad():
                probability = self.net.decode(kept, memory.batch(), previous).logits.sigmoid()
            previous, prediction = probability, probability[:, 0] > 0.5
        self.user.answer(truth, prediction, memory)
        if len(memory.rounds) > 1 and self._draw() < self.config.forget:
            previous = None
        return self._loss(features, truth, memory, previous)

    def _draw(self) -> float:
        """Draw a number between 0 and 1 for the whole step."""
        return float(torch.rand((), generator=self.generator, device=self.device))

    def _start(self, truth: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Begin with nothing, or in some steps with a spoilt mask for every object."""
        if self._draw() >= self.config.prior:
            return None, None
        spoilt = corrupt_masks(truth, self.generator)
        if self._draw() >= self.config.coarse:
            return spoilt[:, None].float(), spoilt
        coarse = coarsen_masks(spoilt, self.generator)
        return coarse[:, None], coarse > 0.5

    def _loss(
        self, features: Features, truth: Tensor, memory: PromptMemory, previous: Tensor | None
    ) -> Losses:
        prompts = memory.batch()
        out = self.net.decode(features, prompts, previous)
        # A view in which no object is seen teaches nothing; neither does what lies outside.
        counts = truth.flatten(1).any(1).float()
        target = truth[:, None].float()
        focal = normalized_focal_loss(out.logits, target, valid=features.inside)
        dice = dice_loss(out.logits, target, valid=features.inside)
        slots = prompts.kind != EMPTY
        p2c = p2c_loss(
            out.pixels.float(),
            out.prompt_features.float(),
            self._regions(truth, memory, out.pixels.shape[-1]),
            slots,
        )
        predicted = out.logits.detach()[:, 0] > 0
        overlap = (predicted & truth).flatten(1).sum(1)
        union = (predicted | truth).flatten(1).sum(1)
        iou = overlap / union.clamp(min=1)
        score = F.mse_loss(out.score, iou, reduction="none")
        total = focal + dice + self.config.p2c * p2c + self.config.score * score

        def mean(x: Tensor) -> Tensor:
            return (x * counts).sum() / counts.sum().clamp(min=1)

        return Losses(*(mean(x) for x in (total, focal, dice, p2c, score, iou)))

    @staticmethod
    def _regions(truth: Tensor, memory: PromptMemory, size: int) -> Tensor:
        """Return what each prompt should attract: ``(N, K, size, size)`` float32.

        For the first prompt the object; for a later one the region that it answers (PVPUFormer,
        released trainer).
        """
        masks = torch.stack([truth, *memory.regions[1:]], dim=1).float()
        return F.adaptive_avg_pool2d(masks, size)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self._floats(self.average), self._floats(self.net), strict=True):
            mean.lerp_(value, 1 - decay)

    @staticmethod
    def _floats(net: PVPUNet) -> Iterator[Tensor]:
        return (x for x in net.state_dict().values() if x.is_floating_point())

    def _log(self, means: Tensor, speed: float) -> None:
        values = [round(v, 4) for v in means.tolist()]
        entry = {
            "step": self.step,
            "images": self.images,
            "rate": round(learning_rate(self.step, self.config), 7),
            **dict(zip(Losses._fields, values, strict=True)),
            "images_per_second": round(speed, 1),
            "time": round(time.time()),
        }
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")

    def save(self) -> None:
        """Write the checkpoint beside the log, whole or not at all."""
        state = {
            "step": self.step,
            "images": self.images,
            "model": self.net.config.to_dict(),
            "config": asdict(self.config),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
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
        """
        # Checkpoints are our own files and hold only tensors and plain values.
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.step, self.images = state["step"], state["images"]
