"""How the default model was trained, and how the papers train theirs.

The published schedules count epochs of their own data sets; here they are steps. Their crops
become views: an object of a published crop fills a tenth of it to nearly all, which `sampling`
says in this package's words, since objects of microscopy come at all sizes.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from napari_pvpu.networks.config import from_plain
from napari_pvpu.training.datasets import ViewSampling
from napari_pvpu.training.habits import EXACT
from napari_pvpu.training.rounds import LossConfig, PlayConfig
from napari_pvpu.training.schedules import OptimizerConfig
from napari_pvpu.training.trainer import Stage, TrainingConfig
from napari_pvpu.yaml_files import merged

if TYPE_CHECKING:
    from napari_pvpu.networks.config import ModelConfig

_ALONE = PlayConfig(prior=0.0, coarse=0.0, forget=0.0)
_CLICKS = (1.0, 0.0, 0.0)
_BOXES = (0.0, 1.0, 0.0)

PVPUFORMER = TrainingConfig(
    steps=575_000,  # 230 epochs of 30,000 samples in batches of 12
    views=12,
    objects=1,
    rounds=(1 / 3, 1 / 3, 1 / 3),
    optimizer=OptimizerConfig(
        kind="adam",
        rate=5e-5,
        weight_decay=0.0,
        betas=(0.9, 0.999),
        clip=0.0,
        schedule="steps",
        warmup=0,
        milestones=(190 / 230, 210 / 230),
    ),
    losses=LossConfig(p2c=2.0, score=0.2, rounds=(1.0, 2.0, 3.0)),
    play=_ALONE,
    sampling=ViewSampling(size=448, fill=(0.1, 1.2), fill_mode=0.5, stretch=0.0),
    # The mixture of kinds is ours: the released code takes clicks and boxes evenly, and says
    # that scribbles were tried.
    habits=replace(
        EXACT, first=(0.5, 0.25, 0.25), later=(0.6, 0.15, 0.25), central=0.0, depth=(0.5, 0.5)
    ),
)

INTERFORMER = TrainingConfig(
    steps=320_000,
    views=16,  # four on each of four devices
    objects=1,
    rounds=tuple(0.6**n for n in range(21)),
    optimizer=OptimizerConfig(
        rate=1e-4,
        weight_decay=0.05,
        betas=(0.9, 0.999),
        layer_decay=0.65,
        clip=0.0,
        schedule="poly",
        warmup=1500,
        decay=1.0,
        power=1.0,
    ),
    losses=LossConfig(dice=0.0, p2c=0.0, score=0.0, auxiliary=0.4),
    play=_ALONE,
    sampling=ViewSampling(size=512, fill=(0.1, 1.2), fill_mode=0.5, stretch=0.0),
    habits=replace(
        EXACT,
        first=_CLICKS,
        later=_CLICKS,
        central=0.0,
        central_first=1.0,
        depth=(1 / 1.7, 1 / 1.7),
    ),
)

PROBABILISTIC = TrainingConfig(
    steps=105_000,  # 150 epochs of about 11,000 images in batches of 16
    views=16,
    objects=1,
    rounds=(0.2, 0.2, 0.2, 0.2, 0.2),
    optimizer=OptimizerConfig(
        kind="radam",
        rate=1e-4,
        weight_decay=0.0,
        betas=(0.9, 0.999),
        clip=0.0,
        schedule="poly",
        warmup=0,
        decay=70 / 150,
        power=0.9,
        floor=1e-5,
    ),
    losses=LossConfig(dice=0.0, p2c=0.0, score=0.0),
    play=_ALONE,
    sampling=ViewSampling(size=256, fill=(0.1, 1.2), fill_mode=0.5, stretch=0.0),
    habits=replace(EXACT, first=_BOXES, later=_CLICKS, central=0.0, depth=(0.5, 0.5)),
    curriculum=(
        Stage(20 / 150, (1.0,), replace(EXACT, first=_BOXES)),
        Stage(
            40 / 150,
            (0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
            replace(EXACT, first=_BOXES, later=_CLICKS, central=0.0, blind=1.0),
        ),
    ),
)

RECIPES: dict[str, TrainingConfig] = {
    "pvpu": TrainingConfig(),
    "pvpuformer": PVPUFORMER,
    # Ours: as PVPUFormer is trained, without the loss on prompt features that it has not.
    "simpleclick": replace(PVPUFORMER, losses=replace(PVPUFORMER.losses, p2c=0.0, score=0.0)),
    "interformer": INTERFORMER,
    "probabilistic": PROBABILISTIC,
    # As pvpu, on a GPU, which a few dozen views leave idle: as many views as keep it busy, and a
    # rate that grows with less than the root of their number, which is what large ones stand.
    "pvpu-gpu": TrainingConfig(
        views=256,
        objects=3,
        average=0.999,
        # Prompts come in numbers that change, for which decoders would be compiled again.
        compile="encoder",
        save_every=1000,
        optimizer=OptimizerConfig(rate=2.5e-3, warmup=1000),
    ),
}
"""By name; see papers' sections on training for their numbers."""


def recipe_for(model: ModelConfig, device: str = "cpu") -> TrainingConfig:
    """Return the recipe that belongs to a model, for views of its size.

    Parameters
    ----------
    model : ModelConfig
        The classifier and the decoder decide.
    device : str
        Type of the device that trains. On ``"cuda"`` our own models take as many views as keep
        it busy; published schedules stay as they are.
    """
    names = {"light": "pvpu", "dma": "pvpuformer", "imsa": "interformer"}
    name = names.get(model.decoder.kind, model.decoder.kind)
    if model.decoder.classifier == "probabilistic" or model.encoder.kind == "botnet":
        name = "probabilistic"
    if name == "pvpu" and device == "cuda":
        name = "pvpu-gpu"
    changes: dict[str, Any] = {"sampling": {"size": model.view_size}}
    if name == "interformer" and model.encoder.width >= 1024:
        changes["optimizer"] = {"layer_decay": 0.75}
    return changed(RECIPES[name], changes)


def changed(config: TrainingConfig, changes: dict[str, Any]) -> TrainingConfig:
    """Return a config with some settings changed, as a user's file gives them.

    Parameters
    ----------
    config : TrainingConfig
        What is not changed.
    changes : dict
        Nested by name, such as ``{"optimizer": {"rate": 1e-4}}``.

    Raises
    ------
    ValueError
        If a setting does not exist or has the wrong type.
    """
    return from_plain(TrainingConfig, merged(asdict(config), changes))
