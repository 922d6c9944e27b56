"""Start or continue a training run from folders of images and synthetic scenes."""

from __future__ import annotations

import math
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_pvpu.errors import ConfigError, PvpuError
from napari_pvpu.features.devices import choose_device
from napari_pvpu.model_files import find_model, sketch_network
from napari_pvpu.networks.models import PRESETS
from napari_pvpu.networks.weights import check_fit, fill, read_state, save_weights
from napari_pvpu.training.checkpoints import find_checkpoint, read_checkpoint
from napari_pvpu.training.processes import is_first, stopping_on_signals, training_processes
from napari_pvpu.training.profiling import profile_steps
from napari_pvpu.training.recipes import recipe_for
from napari_pvpu.training.run_data import (
    group_weights,
    read_pairs,
    synthetic_pairs,
    training_data,
)
from napari_pvpu.training.trainer import Trainer, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.interface import PromptableNetwork
    from napari_pvpu.training.datasets import Atlas
    from napari_pvpu.training.engine import DataEngine
    from napari_pvpu.training.profiling import ProfileReport

__all__ = ["RunOptions", "group_weights", "profile", "synthetic_pairs", "train"]

_SCENE_SIZE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run trains, on what besides its sources, and how.

    Attributes
    ----------
    images, min_area
        Folder of the annotation files' images, and the least area of their objects.
    skip_bad : bool
        Leave out data with mistakes in them instead of stopping.
    model : str or Path
        A preset, which starts from random weights; or a YAML or weights file, which starts from
        the weights that it names or holds, if any.
    steps : int, optional
        Length of the whole run, if not the recipe's.
    synthetic, synthetic_share : int, float
        Number of synthetic scenes made beforehand, and their share of what is not streamed.
    seed : int, optional
        Of weights, scenes and all that is drawn; the recipe's by default.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    workers : int
        Processes that make scenes beforehand.
    config : TrainingConfig, optional
        How to train, if not by the model's own recipe for the device; its `stream` says whether
        scenes are drawn all the time.
    """

    images: str | Path | None = None
    min_area: int = 1
    skip_bad: bool = False
    model: str | Path = "pvpu-nano"
    steps: int | None = None
    synthetic: int = 2000
    synthetic_share: float = 0.4
    seed: int | None = None
    device: str = "cpu"
    workers: int = 2
    config: TrainingConfig | None = None

    def settings(self, model: ModelConfig) -> TrainingConfig:
        """Return how to train a model, with what these options change."""
        settings = self.config or recipe_for(model, choose_device(self.device).type)
        if self.steps is not None:
            settings = replace(settings, steps=self.steps)
        return settings if self.seed is None else replace(settings, seed=self.seed)


def train(
    sources: Sequence[str | Path], out: str | Path, *, minutes: float = math.inf, **options: Any
) -> PromptableNetwork:
    """Train a model and write its averaged weights.

    A checkpoint in `out` is continued. Processes that ``torchrun`` started share each step; the
    first one writes the files. On SIGTERM or Ctrl+C the run stops after the step with a
    checkpoint.

    Parameters
    ----------
    sources : sequence of str or Path
        Dataset folders, packed sets and annotation files, see `load_sources`.
    out : str or Path
        Folder for ``log.jsonl``, checkpoints and ``weights.safetensors``.
    minutes : float
        Length of this piece.
    **options
        Fields of `RunOptions`.

    Returns
    -------
    PromptableNetwork
        The averaged network.

    Raises
    ------
    ModelNotFoundError, ConfigError, WeightsError
        If the model is unknown, cannot be built or trained so, or weights or checkpoint are of
        another architecture.
    DatasetError
        If the data cannot be used or show no object. If there are mistakes in them, it is a
        `BadDataError` that lists all of them, and nothing is trained, unless `skip_bad`.
    DeviceError
        If the device cannot be used.
    PvpuError
        If a file cannot be written. The last checkpoint stays.
    """
    out, chosen = Path(out), RunOptions(**options)
    with _opened(sources, out, chosen) as trainer:
        with stopping_on_signals() as stop:
            trainer.run(minutes, stop)
        if is_first():
            facts = {"steps": str(trainer.step), "images": str(trainer.images)}
            _write_weights(trainer.average, out / "weights.safetensors", facts)
    return trainer.average


def profile(sources: Sequence[str | Path], options: RunOptions, steps: int = 10) -> ProfileReport:
    """Find out where the time of training steps goes. Nothing is kept.

    Parameters
    ----------
    sources : sequence of str or Path
        See `train`.
    options : RunOptions
        The run.
    steps : int
        Steps that are profiled.

    Raises
    ------
    PvpuError
        See `train`.
    """
    with tempfile.TemporaryDirectory() as out, _opened(sources, Path(out), options) as trainer:
        return profile_steps(trainer, steps)


@contextmanager
def _opened(sources: Sequence[str | Path], out: Path, options: RunOptions) -> Iterator[Trainer]:
    """Set up a run with its data and processes, or go on with the one that is there."""
    source = find_model(options.model)
    start = None if str(options.model) in PRESETS else source.weights
    _check(source.config, start, find_checkpoint(out))
    settings = options.settings(source.config)
    with training_processes(options.device) as place, _disk_errors(out):
        data = _data(sources, out, options, settings, place)
        torch.set_float32_matmul_precision("high")
        yield _trainer(source.config, start, settings, data, out)


def _data(
    sources: Sequence[str | Path],
    out: Path,
    options: RunOptions,
    settings: TrainingConfig,
    place: torch.device,
) -> Atlas | DataEngine:
    pairs = read_pairs(sources, options.images, options.min_area, options.skip_bad)
    if options.synthetic:
        cache = out / "cache"
        count, seed = options.synthetic, settings.seed
        pairs += synthetic_pairs(count, _SCENE_SIZE, seed, cache, options.workers)
    share = options.synthetic_share
    return training_data(pairs, share, settings.stream, settings.seed, place)


def _check(model: ModelConfig, start: Path | None, checkpoint: Path | None) -> None:
    """Find out what is wrong with model and weights before minutes are spent on data."""
    sketch = sketch_network(model)
    if checkpoint is not None:
        saved = read_checkpoint(checkpoint, "meta")
        check_fit(saved["net"], sketch, f"the weights in {checkpoint}")
    elif start is not None:
        check_fit(read_state(start), sketch, f"the weights in {start}")


def _trainer(
    model: ModelConfig,
    start: Path | None,
    settings: TrainingConfig,
    data: Atlas | DataEngine,
    out: Path,
) -> Trainer:
    checkpoint = find_checkpoint(out)
    try:
        trainer = Trainer(model, settings, data, out)
        if checkpoint is not None:
            trainer.resume(checkpoint)
        elif start is not None:
            for network in (trainer.net, trainer.average):
                fill(network, start)
    except (ValueError, ConnectionError) as error:
        raise ConfigError(f"{model.name!r} cannot be trained so: {error}") from error
    return trainer


def _write_weights(network: PromptableNetwork, path: Path, facts: dict[str, str]) -> None:
    """Write weights whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        save_weights(network, partial, facts)
        partial.replace(path)
    # A full disk reaches us as the error of the writer's own, which is no OSError.
    except Exception as error:
        raise PvpuError(
            f"{path} cannot be written: {error}; free space and run again, the checkpoint is whole"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Say in a sentence what a full or missing disk did."""
    try:
        yield
    except OSError as error:
        raise PvpuError(
            f"the run in {out} stopped, since a file could not be read or written: {error}; the "
            "last checkpoint is whole, run again to go on"
        ) from error
