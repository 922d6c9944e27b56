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

from napari_pvpu.networks.models import PRESETS
from napari_pvpu.networks.weights import save_weights
from napari_pvpu.training.annotations import load_sources
from napari_pvpu.training.datasets import Atlas
from napari_pvpu.training.synthetic import generate_scenes
from napari_pvpu.training.trainer import Trainer, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    if not file.is_file():
        scenes = list(generate_scenes(count, (size, size), seed, workers))
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(
            file,
            images=np.stack([s.image for s in scenes]),
            labels=np.stack([s.labels for s in scenes]),
            kinds=np.array([s.kind for s in scenes]),
        )
    with np.load(file) as stored:
        rows = zip(stored["images"], stored["labels"], stored["kinds"], strict=True)
        for image, labels, kind in rows:
            yield image, labels, f"synthetic/{kind}"


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
    model: str = "pvpu-nano",
    steps: int = 20_000,
    minutes: float = math.inf,
    synthetic: int = 2000,
    synthetic_share: float = 0.4,
    synthetic_seed: int = 0,
    device: str = "cpu",
    workers: int = 2,
    config: TrainingConfig | None = None,
) -> PromptableNetwork:
    """Train a preset and write its averaged weights.

    A checkpoint in `out` is continued.

    Parameters
    ----------
    sources : sequence of str
        Dataset folders and annotation files, see `load_sources`.
    out : str or Path
        Folder for ``log.jsonl``, ``checkpoint.pt`` and ``weights.safetensors``.
    images, min_area
        Folder of the annotation files' images, and the least area of their objects.
    model : str
        Preset to train.
    steps : int
        Length of the whole run.
    minutes : float
        Length of this piece.
    synthetic, synthetic_share, synthetic_seed : int, float, int
        Number of synthetic scenes, their share of each batch, their seed.
    device : str
        ``"cpu"`` or ``"cuda"``.
    workers : int
        Processes that generate scenes.
    config : TrainingConfig, optional
        All other settings.

    Returns
    -------
    PromptableNetwork
        The averaged network.
    """
    out = Path(out)
    made = synthetic_pairs(synthetic, 256, synthetic_seed, out / "cache", workers)
    real = load_sources(sources, images, min_area)
    pairs = list(chain(real, made if synthetic else ()))
    weights = group_weights((group for *_, group in pairs), synthetic_share if sources else 1.0)
    atlas = Atlas(pairs, weights, device)
    del pairs
    torch.set_float32_matmul_precision("high")
    settings = replace(config or TrainingConfig(), steps=steps)
    trainer = Trainer(PRESETS[model], settings, atlas, out)
    if (out / "checkpoint.pt").is_file():
        trainer.resume(out / "checkpoint.pt")
    trainer.run(minutes)
    facts = {"steps": str(trainer.step), "images": str(trainer.images)}
    save_weights(trainer.average, out / "weights.safetensors", facts)
    return trainer.average
