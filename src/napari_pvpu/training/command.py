"""Start or continue a training run from folders of images and synthetic scenes."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_pvpu.errors import ConfigError, DatasetError
from napari_pvpu.model_files import find_model, sketch_network
from napari_pvpu.networks.models import PRESETS
from napari_pvpu.networks.weights import check_fit, fill, read_state, save_weights
from napari_pvpu.training.annotations import load_sources
from napari_pvpu.training.datasets import Atlas
from napari_pvpu.training.processes import first_alone, is_first, training_processes
from napari_pvpu.training.recipes import recipe_for
from napari_pvpu.training.synthetic import generate_scenes
from napari_pvpu.training.trainer import Trainer, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.interface import PromptableNetwork

Pair = tuple[NDArray[np.generic], NDArray[np.generic], str]


def synthetic_pairs(count: int, size: int, seed: int, cache: Path, workers: int) -> Iterable[Pair]:
    """Yield synthetic scenes, generated once and then read from a file.

    Parameters
    ----------
    count, size, seed : int
        Number of scenes, their side in pixels, seed of the generator.
    cache : Path
        Folder for the file.
    workers : int
        Processes that generate.

    Yields
    ------
    image, labels, group : ndarray, ndarray, str
        As `Atlas` takes them; the group is ``"synthetic/KIND"``.
    """
    file = cache / f"synthetic-{count}-{size}-{seed}.npz"
    with first_alone():
        if not file.is_file():
            _make_scenes(file, count, size, seed, workers)
    with np.load(file) as stored:
        rows = zip(stored["images"], stored["labels"], stored["kinds"], strict=True)
        for image, labels, kind in rows:
            yield image, labels, f"synthetic/{kind}"


def _make_scenes(file: Path, count: int, size: int, seed: int, workers: int) -> None:
    scenes = list(generate_scenes(count, (size, size), seed, workers))
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".tmp")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            images=np.stack([s.image for s in scenes]),
            labels=np.stack([s.labels for s in scenes]),
            kinds=np.array([s.kind for s in scenes]),
        )
    partial.replace(file)


def group_weights(names: Iterable[str], synthetic: float) -> dict[str, float]:
    """Share a batch between real and synthetic groups.

    Parameters
    ----------
    names : iterable of str
        Names of all groups; an entry for each image.
    synthetic : float
        Share of all synthetic groups together, 0 to 1.

    Returns
    -------
    dict of str to float
        Real folders by the cube root of their number of images, so that a folder of ten images
        is neither lost nor learnt by heart; synthetic kinds alike.
    """
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    weights: dict[str, float] = {}
    for made in (True, False):
        mine = {n: c ** (1 / 3) for n, c in counts.items() if n.startswith("synthetic/") == made}
        share = synthetic if made else 1 - synthetic
        weights |= {n: share * w / sum(mine.values()) for n, w in mine.items()}
    return weights


def train(
    sources: Sequence[str],
    out: str | Path,
    *,
    images: str | Path | None = None,
    min_area: int = 1,
    model: str | Path = "pvpu-nano",
    steps: int | None = None,
    minutes: float = math.inf,
    synthetic: int = 2000,
    synthetic_share: float = 0.4,
    synthetic_seed: int = 0,
    device: str = "cpu",
    workers: int = 2,
    config: TrainingConfig | None = None,
) -> PromptableNetwork:
    """Train a model and write its averaged weights.

    A checkpoint in `out` is continued. Processes that ``torchrun`` started share each step; the
    first one writes the files.

    Parameters
    ----------
    sources : sequence of str
        Dataset folders and annotation files, see `load_sources`.
    out : str or Path
        Folder for ``log.jsonl``, ``checkpoint.pt`` and ``weights.safetensors``.
    images, min_area
        Folder of the annotation files' images, and the least area of their objects.
    model : str or Path
        A preset, which starts from random weights; or a YAML or weights file, which starts from
        the weights that it names or holds, if any.
    steps : int, optional
        Length of the whole run, if not the recipe's.
    minutes : float
        Length of this piece.
    synthetic, synthetic_share, synthetic_seed : int, float, int
        Number of synthetic scenes, their share of each batch, their seed.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    workers : int
        Processes that generate scenes.
    config : TrainingConfig, optional
        How to train, if not by the model's own recipe.

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
        If the data cannot be used or show no object.
    DeviceError
        If the device cannot be used.
    """
    out, source = Path(out), find_model(model)
    start = None if str(model) in PRESETS else source.weights
    _check(source.config, start, out / "checkpoint.pt")
    settings = config or recipe_for(source.config)
    settings = settings if steps is None else replace(settings, steps=steps)
    with training_processes(device) as place:
        made = synthetic_pairs(synthetic, 256, synthetic_seed, out / "cache", workers)
        real = load_sources(sources, images, min_area)
        pairs = chain(real, made if synthetic else ())
        atlas = _atlas(list(pairs), synthetic_share if sources else 1.0, place)
        torch.set_float32_matmul_precision("high")
        trainer = _trainer(source.config, start, settings, atlas, out)
        trainer.run(minutes)
        if is_first():
            facts = {"steps": str(trainer.step), "images": str(trainer.images)}
            save_weights(trainer.average, out / "weights.safetensors", facts)
    return trainer.average


def _atlas(pairs: list[Pair], synthetic_share: float, place: torch.device) -> Atlas:
    weights = group_weights((group for *_, group in pairs), synthetic_share)
    try:
        return Atlas(pairs, weights, place)
    except ValueError as error:
        raise DatasetError(f"nothing can be learnt from these data: {error}") from error


def _check(model: ModelConfig, start: Path | None, checkpoint: Path) -> None:
    """Find out what is wrong with model and weights before minutes are spent on data."""
    sketch = sketch_network(model)
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location="meta", weights_only=True)
        check_fit(saved["net"], sketch, f"the weights in {checkpoint}")
    elif start is not None:
        check_fit(read_state(start), sketch, f"the weights in {start}")


def _trainer(
    model: ModelConfig, start: Path | None, settings: TrainingConfig, atlas: Atlas, out: Path
) -> Trainer:
    """Set up a run, or go on with the one that is there."""
    checkpoint = out / "checkpoint.pt"
    try:
        trainer = Trainer(model, settings, atlas, out)
        if checkpoint.is_file():
            trainer.resume(checkpoint)
        elif start is not None:
            for network in (trainer.net, trainer.average):
                fill(network, start)
    except (ValueError, ConnectionError) as error:
        raise ConfigError(f"{model.name!r} cannot be trained so: {error}") from error
    return trainer
