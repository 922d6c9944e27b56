"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from napari_pvpu.training.datasets import ViewSampling
from napari_pvpu.training.engine import SceneStreamConfig  # noqa: TC001 - read at run time
from napari_pvpu.training.habits import UserHabits
from napari_pvpu.training.rounds import LossConfig, PlayConfig
from napari_pvpu.training.schedules import OptimizerConfig

__all__ = ["Stage", "TrainingConfig"]


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
        Length of the run. One that is saved before its rate falls may go on to a later end, see
        `OptimizerConfig`.
    views, objects : int
        Views a step, over all shards and processes, and objects a view.
    shards : int
        Parts of a step with random numbers of their own; 0 for one in each process. Gradients
        and running statistics are means over them, so that more shards take less memory.
    rounds : tuple of float
        Chances of 1, 2, ... rounds in a step.
    average : float
        Decay of the moving average of the weights, which is what is kept in the end.
    seed : int
        Of the weights and of all that is drawn.
    precision : str
        ``"bf16"`` or ``"float32"``.
    compile : str
        What ``torch.compile`` works on: ``"none"``; the ``"encoder"``, which always sees the same
        shapes; or ``"all"``. Compiling takes a minute or more at the start of each piece of a run
        and changes rounding; on a CPU it gains nothing.
    log_every, save_every : int
        Steps between lines of the log and between checkpoints.
    optimizer, losses, play, sampling, habits : dataclass
        See there.
    stream : SceneStreamConfig, optional
        Scenes that are drawn as the run goes, for those who build the run's data; none by default.
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
    precision: Literal["bf16", "float32"] = "bf16"
    compile: Literal["none", "encoder", "all"] = "none"
    log_every: int = 50
    save_every: int = 500
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    play: PlayConfig = field(default_factory=PlayConfig)
    sampling: ViewSampling = field(default_factory=ViewSampling)
    habits: UserHabits = field(default_factory=UserHabits)
    stream: SceneStreamConfig | None = None
    curriculum: tuple[Stage, ...] = ()

    def at(self, step: int) -> tuple[tuple[float, ...], UserHabits]:
        """Return chances of rounds and the user's habits at a step."""
        for stage in self.curriculum:
            if step < stage.until * self.steps:
                return stage.rounds, stage.habits
        return self.rounds, self.habits
