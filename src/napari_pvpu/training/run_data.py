"""What a training run is fed: images of one's own, scenes made beforehand, streamed scenes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_pvpu.errors import DatasetError
from napari_pvpu.training.data_check import CheckedSources
from napari_pvpu.training.data_report import A_FEW
from napari_pvpu.training.datasets import Atlas
from napari_pvpu.training.engine import DataEngine, SceneStreamConfig
from napari_pvpu.training.processes import first_alone, is_first
from napari_pvpu.training.synthetic import generate_scenes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import torch

__all__ = [
    "default_stream",
    "group_weights",
    "read_pairs",
    "synthetic_pairs",
    "training_data",
]

LOGGER = logging.getLogger(__name__)
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
    try:
        with partial.open("wb") as stream:
            np.savez(
                stream,
                images=np.stack([s.image for s in scenes]),
                labels=np.stack([s.labels for s in scenes]),
                kinds=np.array([s.kind for s in scenes]),
            )
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


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


def read_pairs(
    sources: Sequence[str | Path],
    images: str | Path | None = None,
    min_area: int = 1,
    skip_bad: bool = False,
) -> list[Pair]:
    """Read and check training data.

    Parameters
    ----------
    sources, images, min_area
        See `load_sources`.
    skip_bad : bool
        Leave out what cannot be used instead of refusing all; a warning says what. Images that
        show no object are left out in any case; a line says how many.

    Returns
    -------
    list of (image, labels, group)
        As `Atlas` takes them.

    Raises
    ------
    BadDataError
        If there is a mistake in the data, unless `skip_bad`; it lists all of them.
    """
    checked = CheckedSources(sources, images, min_area)
    pairs: list[Pair] = [(e.image, e.labels, e.group) for e in checked.usable(skip_bad)]
    report = checked.report()
    if is_first():
        if not report.ok:
            LOGGER.warning("trains on the rest of the data\n%s", report.text(A_FEW))
        elif report.problems:
            # No mistake, but who expects all images to be learnt from has to hear of it.
            LOGGER.warning("passed over: %s", report.passed_over())
    return pairs


def training_data(
    pairs: list[Pair],
    synthetic_share: float,
    stream: SceneStreamConfig | None,
    seed: int,
    place: torch.device,
) -> Atlas | DataEngine:
    """Put what a run is fed on its device.

    Parameters
    ----------
    pairs : list of (image, labels, group)
        Images and scenes made beforehand; may be empty if there is a stream.
    synthetic_share : float
        Share of the scenes among them, 0 to 1, where there are both.
    stream : SceneStreamConfig or None
        Scenes that are drawn all the time; their share is of all views.
    seed : int
        Of the stream.
    place : torch.device
        Where to.

    Raises
    ------
    DatasetError
        If nothing can be learnt from the pairs.
    """
    atlas = None
    if pairs or stream is None:
        names = [group for *_, group in pairs]
        real = [name for name in names if not name.startswith("synthetic/")]
        # Where there is one sort only it has the whole share.
        share = synthetic_share if len(real) < len(names) else 0.0
        weights = group_weights(names, share if real else 1.0)
        try:
            atlas = Atlas(pairs, weights, place)
        except ValueError as error:
            raise DatasetError(f"nothing can be learnt from these data: {error}") from error
    if stream is None:
        assert atlas is not None
        return atlas
    return DataEngine(atlas, stream, seed, place)


def default_stream(place: torch.device) -> SceneStreamConfig:
    """Return the stream of scenes of a run whose recipe says nothing of one.

    Parameters
    ----------
    place : torch.device
        The run's; on a CPU there are fewer scenes, and they are renewed less often.
    """
    if place.type != "cpu":
        return SceneStreamConfig()
    # Drawing a scene takes a CPU about as long as learning from as many views.
    return SceneStreamConfig(scenes=64, fresh=2, every=4)
