"""Compare designs of the default model at equal processor time, before one is trained for long.

Each variant trains from nothing for the same number of processor seconds, so that a cheap network
sees more pictures than a dear one, and so that other work on the machine changes nothing. Then it
plays five clicks on objects of training folders whose images it has not seen: validation folders
are never opened. Each result is written as soon as it is there; called again, the script goes on
where it stopped.

    .venv/bin/python benchmarks/search.py --data DATA --seconds 600

DATA holds NAME/train, each with images/ and masks/.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ablation import markdown_table
from measured import machine
from torch.nn import functional as F

from napari_pvpu.evaluation.suite import find_sets, write_json
from napari_pvpu.networks.config import EncoderConfig
from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.networks.models import PRESETS, build_model
from napari_pvpu.training.annotations import load_sources
from napari_pvpu.training.command import group_weights
from napari_pvpu.training.datasets import Atlas, ViewSampling
from napari_pvpu.training.recipes import changed
from napari_pvpu.training.simulate import PromptMemory, SimulatedUser, UserHabits
from napari_pvpu.training.synthetic import generate_scenes
from napari_pvpu.training.trainer import Trainer, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_pvpu.networks.config import ModelConfig
    from napari_pvpu.networks.interface import PromptableNetwork
    from napari_pvpu.networks.prompt_batch import PromptBatch

OUT = Path(__file__).parents[1] / "docs" / "search.json"
HELD_OUT = 5
"""Of so many images of a training folder one is kept for judging."""

JUDGED_AT = 256
"""Side in pixels of the pictures on which all variants are judged, whatever they see of them."""

CLICKS = 5
SHOWN = (1, 3, 5)
BASE = "base"
HYBRIDS = (
    "tiny_vit_5m_224",
    "efficientvit_b1",
    "repvit_m0_9",
    "mobilenetv4_conv_small",
    "convnextv2_atto",
    "levit_128",
)


@dataclass(frozen=True)
class Variant:
    """One design: a network, and what of its training differs from the base's."""

    model: ModelConfig
    about: str
    training: dict[str, Any] = field(default_factory=dict)


def variants() -> dict[str, Variant]:
    """All designs by name, the one that is shipped first."""
    base = PRESETS["pvpu-nano"]
    encoder, prompts, decoder = base.encoder, base.prompts, base.decoder
    found = {BASE: Variant(base, "the default model and its recipe")}

    def add(name: str, about: str, model: ModelConfig = base, **training: Any) -> None:
        found[name] = Variant(replace(model, name=name), about, training)

    narrow = replace(encoder, width=128, heads=4, stage_channels=(48, 96))
    wide = replace(encoder, width=256, heads=8, stage_channels=(80, 160))
    add("encoder narrow", "ViT of width 128, stem stages 48 and 96", replace(base, encoder=narrow))
    add("encoder wide", "ViT of width 256, stem stages 80 and 160", replace(base, encoder=wide))
    add("encoder shallow", "3 ViT blocks for 6", replace(base, encoder=replace(encoder, depth=3)))
    add("no ViT blocks", "stem stages alone", replace(base, encoder=replace(encoder, depth=0)))
    for name in HYBRIDS:
        add(name, "timm's, from random weights", _with_timm(base, name))
    for size in (96, 192):
        add(f"view {size}", f"views of {size} px", replace(base, view_size=size),
            sampling={"size": size})  # fmt: skip
    half = replace(base, pyramid=(16, 32, 64, 64))
    add("decoder half", "half the channels", _with_decoder(half, pixel_channels=32))
    add("decoder wide", "1.5 times the channels", replace(base, pyramid=(32, 96, 192, 192)))
    add("decoder 1 block", "one dual-cross block for two", _with_decoder(base, depth=1))
    add("decoder 3 blocks", "three", _with_decoder(base, depth=3))
    add("no tokens", "prompts as disks in the reference map alone",
        replace(base, prompts=replace(prompts, tokens=False)))  # fmt: skip
    add("gamma 0", "PPuE without its visual term", replace(base, prompts=replace(prompts, gamma=0)))
    for sigma in (1.0, 4.0):
        add(f"sigma {sigma:g}", "width of a click's Gaussian, 2 px in the base",
            replace(base, prompts=replace(prompts, sigma=sigma)))  # fmt: skip
    adapted = replace(base, decoder=replace(decoder, key_adaptation=1))
    add("key adaptation", "one iteration in the cross attentions", adapted)
    for weight in (0.0, 1.0, 2.0):
        add(f"P2C {weight:g}", "weight of the prompt-to-pixel loss", losses={"p2c": weight})
    add("rate x 2", "twice the learning rate", optimizer={"rate": 3e-3})
    add("Muon", "matrices by Muon, the rest by AdamW", optimizer={"kind": "muon"})
    return found


def _with_timm(base: ModelConfig, name: str) -> ModelConfig:
    return replace(base, encoder=EncoderConfig(kind="timm", name=name))


def _with_decoder(base: ModelConfig, **settings: Any) -> ModelConfig:
    return replace(base, decoder=replace(base.decoder, **settings))


def split_data(folders: list[Path], scenes: int) -> tuple[Atlas, Atlas]:
    """Training images and scenes; and the images that are kept for judging."""
    learnt: list[Any] = []
    kept: list[Any] = []
    for folder in folders:
        for index, pair in enumerate(load_sources([folder])):
            (kept if index % HELD_OUT == HELD_OUT - 1 else learnt).append(pair)
    learnt += [
        (scene.image, scene.labels, f"synthetic/{scene.kind}")
        for scene in generate_scenes(scenes, (256, 256), seed=1)
    ]
    return _atlas(learnt, 0.4), _atlas(kept, 0.0)


def _atlas(pairs: list[Any], synthetic: float) -> Atlas:
    return Atlas(pairs, group_weights((group for *_, group in pairs), synthetic))


def recipe(views: int, seed: int, training: dict[str, Any]) -> TrainingConfig:
    """The default recipe with small batches, as a short training wants them."""
    base = TrainingConfig(views=views, seed=seed, average=0.98, log_every=10**9)
    settings = {"optimizer": {"warmup": 60, "decay": 0.5}}
    return changed(changed(base, settings), training)


def train(variant: Variant, config: TrainingConfig, atlas: Atlas, seconds: float) -> Trainer:
    """Train for so many processor seconds, with a schedule that ends there."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Trainer(variant.model, replace(config, steps=1000), atlas, Path(folder))
        for _ in range(3):
            trial.train_step()
        begin = time.process_time()
        for _ in range(10):
            trial.train_step()
        cost = (time.process_time() - begin) / 10
        steps = max(1, int(seconds / cost))
        trainer = Trainer(variant.model, replace(config, steps=steps), atlas, Path(folder))
        for _ in range(steps):
            trainer.train_step()
    return trainer


@torch.inference_mode()
def judge(network: PromptableNetwork, size: int, atlas: Atlas, count: int) -> dict[str, float]:
    """Mean IoU after each of five clicks at the middle of the largest error.

    Parameters
    ----------
    network : PromptableNetwork
        In evaluation mode.
    size : int
        Side of its views.
    atlas : Atlas
        Images to play on.
    count : int
        Objects; the same ones for every network.
    """
    generator = torch.Generator().manual_seed(99)
    habits = UserHabits(first=(1.0, 0.0, 0.0), later=(1.0, 0.0, 0.0), central=1.0)
    sampling = ViewSampling(size=JUDGED_AT, fill=(0.15, 1.2), stretch=0.0)
    curves = []
    for start in range(0, count, 40):
        views = atlas.sample(min(40, count - start), sampling, generator)
        truth = views.labels == views.target[:, None, None]
        user = SimulatedUser(habits, torch.Generator().manual_seed(start))
        curves.append(_play(network, _shrunk(views.image, size), truth, user))
    means = torch.cat(curves, dim=1).mean(1)
    return {str(k): round(float(means[k - 1]), 4) for k in SHOWN}


def _play(
    network: PromptableNetwork, image: torch.Tensor, truth: torch.Tensor, user: SimulatedUser
) -> torch.Tensor:
    """IoU after each click, ``(CLICKS, N)``; objects that are not seen are left out."""
    features = network.encode(image)
    inside = F.interpolate(features.inside, (JUDGED_AT, JUDGED_AT))[:, 0] > 0
    memory, previous, prediction, ious = PromptMemory(), None, None, []
    for _ in range(CLICKS):
        user.answer(truth, prediction, memory)
        told = _scaled(memory.batch(), image.shape[-1] / JUDGED_AT)
        logits = network.decode(features, told, previous).logits
        previous = logits.sigmoid()
        wide = F.interpolate(logits, (JUDGED_AT, JUDGED_AT), mode="bilinear")
        prediction = (wide[:, 0] > 0) & inside
        overlap = (prediction & truth).flatten(1).sum(1)
        ious.append(overlap / (prediction | truth).flatten(1).sum(1).clamp(min=1))
    return torch.stack(ious)[:, truth.flatten(1).any(1)]


def _shrunk(image: torch.Tensor, size: int) -> torch.Tensor:
    """Bring pictures to a network's size; a pixel that is outside in part is outside."""
    return F.interpolate(image, (size, size), mode="bilinear", antialias=True)


def _scaled(prompts: PromptBatch, factor: float) -> PromptBatch:
    return prompts._replace(points=(prompts.points + 0.5) * factor - 0.5)


def page(values: dict[str, Any]) -> str:
    """The table, with what has to be known to read it."""
    base = values["runs"].get(BASE)
    rows = []
    for name, run in values["runs"].items():
        mean = float(np.mean(list(run["iou_at"].values())))
        cells = {
            "variant": name,
            "parameters": f"{run['parameters'] / 1e6:.2f} M",
            "interactive": f"{run['interactive'] / 1e6:.2f} M",
            "views seen": f"{run['views']:,}",
            **{f"IoU@{k}": f"{run['iou_at'][str(k)]:.3f}" for k in SHOWN},
            "mean": f"{mean:.3f}",
        }
        if base:
            cells["against base"] = f"{mean - np.mean(list(base['iou_at'].values())):+.3f}"
        rows.append(cells)
    budget = values["budget"]
    about = [f"- **{name}**: {values['about'][name]}." for name in values["runs"]]
    return "\n".join(
        [
            "# Search among designs",
            "",
            "Designs of the default model after equal processor time, from nothing. Written by",
            "",
            f"    {values['command']}",
            "",
            markdown_table(rows),
            "",
            f"{budget['seconds']:g} processor seconds of one core each, {budget['views']} views of "
            f"two objects a step, on {', '.join(budget['sets'])} without every "
            f"{HELD_OUT}th image, and {budget['scenes']} synthetic scenes. Judged on "
            f"{budget['objects']} objects of the images left out, by clicks at the middle of the "
            f"largest error, at {JUDGED_AT} px for all. No validation image was used. One run "
            "each, and what a step costs depends on what else the machine does: differences below "
            "about 0.04 may be chance.",
            "",
            *about,
            "",
            "; ".join(f"{key} {value}" for key, value in values["machine"].items()) + ".",
            "",
        ]
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME/train")
    parser.add_argument("--seconds", type=float, default=600, help="processor seconds a variant")
    parser.add_argument("--views", type=int, default=8, help="a step")
    parser.add_argument("--scenes", type=int, default=400, help="synthetic ones to train on")
    parser.add_argument("--objects", type=int, default=240, help="to judge on")
    parser.add_argument("--only", nargs="+", help="names of variants; all by default")
    parser.add_argument("--out", type=Path, default=OUT, help="a .md goes beside")
    return parser.parse_args()


def main() -> None:
    """Run what is missing; write JSON and the page after each run."""
    options = arguments()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    torch.set_num_threads(1)
    folders = [f for f in find_sets(options.data, "train") if f.name == "train"]
    budget = {key: getattr(options, key) for key in ("seconds", "views", "scenes", "objects")}
    budget["sets"] = [f.parent.name for f in folders]
    values: dict[str, Any] = {"budget": budget, "runs": {}}
    if options.out.is_file():
        values = json.loads(options.out.read_text("utf-8"))
        if values["budget"] != budget:
            raise SystemExit(f"{options.out} holds runs of another budget; give another --out")
    values["command"] = (
        f"python benchmarks/search.py --data DATA --seconds {options.seconds:g} "
        f"--views {options.views} --scenes {options.scenes} --objects {options.objects}"
    )
    chosen = variants()
    values["about"] = {name: variant.about for name, variant in chosen.items()}
    values.setdefault("machine", machine())
    run_missing(values, _wanted(chosen, options.only), folders, options)


def _wanted(chosen: dict[str, Variant], names: Iterable[str] | None) -> dict[str, Variant]:
    unknown = set(names or ()) - set(chosen)
    if unknown:
        raise SystemExit(f"no variant {sorted(unknown)}; there are {', '.join(chosen)}")
    return {name: chosen[name] for name in names or chosen}


def run_missing(
    values: dict[str, Any],
    wanted: dict[str, Variant],
    folders: list[Path],
    options: argparse.Namespace,
) -> None:
    """Train and judge what is not there yet."""
    data: tuple[Atlas, Atlas] | None = None
    for name, variant in wanted.items():
        if name in values["runs"]:
            continue
        data = data or split_data(folders, options.scenes)
        config = recipe(options.views, 3, variant.training)
        trainer = train(variant, config, data[0], options.seconds)
        network = build_model(variant.model).eval()
        network.load_state_dict(trainer.average.state_dict())
        total, interactive = count_parameters(network)
        found = judge(network, variant.model.view_size, data[1], options.objects)
        values["runs"][name] = {
            "parameters": total,
            "interactive": interactive,
            "views": trainer.images,
            "iou_at": found,
        }
        write_json(options.out, values)
        options.out.with_suffix(".md").write_text(page(values), "utf-8")
        print(name, trainer.images, found, flush=True)


if __name__ == "__main__":
    main()
