"""Train the default model without one of its parts at a time, and see what each part is worth.

Every variant gets the same budget: same seeds, same steps, same scenes and training images, same
validation objects. Each run is written as soon as it is there; called again, the script goes on
where it stopped, so that a long table can be made piece by piece.

    .venv/bin/python benchmarks/ablation.py --data DATA --steps 2000 --seeds 3

DATA holds NAME/train and NAME/val, each with images/ and masks/. Networks are trained on synthetic
scenes and on all train folders, and judged on val objects through sessions, as a person uses them.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from measured import machine
from scipy import stats

from napari_pvpu import Segmenter
from napari_pvpu.evaluation.dataset import MaskFolder
from napari_pvpu.evaluation.methods import SessionMethod
from napari_pvpu.evaluation.runner import EvaluationSettings, evaluate
from napari_pvpu.evaluation.suite import find_sets, write_json
from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.networks.models import PRESETS
from napari_pvpu.networks.weights import save_weights
from napari_pvpu.propagation import PropagationSettings
from napari_pvpu.training.command import group_weights
from napari_pvpu.training.datasets import Atlas
from napari_pvpu.training.recipes import changed
from napari_pvpu.training.synthetic import generate_scenes
from napari_pvpu.training.trainer import Trainer, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_pvpu.networks.config import ModelConfig

BASE = "base"
SHOWN = (1, 3, 5)
OUT = Path(__file__).parents[1] / "docs" / "ablation.json"
_CHANCE = 0.05  # of calling a difference real that is none


@dataclass(frozen=True)
class Variant:
    """What is trained, and how it is judged.

    Attributes
    ----------
    model : ModelConfig
        The network.
    training : dict
        Settings of the run that differ from the base's.
    judged : dict of str to PropagationSettings or None
        Rows of the table that this network gives, with EM as said, or without.
    """

    model: ModelConfig
    training: dict[str, Any]
    judged: dict[str, PropagationSettings | None]


def variants(base: ModelConfig) -> list[Variant]:
    """All variants of a model of the default's kind, the unchanged one first."""

    def alone(name: str, model: ModelConfig = base, **training: Any) -> Variant:
        return Variant(model, training, {name: None})

    em = {f"EM {n}": PropagationSettings(iterations=n) for n in (1, 5)}
    prompts, decoder = base.prompts, base.decoder
    disks = replace(prompts, tokens=False)
    # I-MSA with about as many parameters as the decoder that it replaces; its heads take 1, 2, 4
    # and 8 parts of the channels.
    width = 9 * max(1, round(base.pyramid[1] / 32))
    levels = (width, 2 * width, 4 * width, 8 * width)
    imsa = replace(base, pyramid=levels, prompts=disks, decoder=replace(decoder, kind="imsa"))
    return [
        Variant(base, {}, {BASE: None, **em}),
        alone("disks", replace(base, prompts=disks)),
        alone("no visual term", replace(base, prompts=replace(prompts, gamma=0.0))),
        alone("I-MSA", imsa),
        alone("P2C 0", losses={"p2c": 0.0}),
        alone("P2C 1", losses={"p2c": 1.0}),
        alone("P2C 2", losses={"p2c": 2.0}),
        alone("key adaptation", replace(base, decoder=replace(decoder, key_adaptation=1))),
    ]


def described(model: ModelConfig, training: TrainingConfig) -> dict[str, str]:
    """What each row stands for, by its name."""
    return {
        BASE: f"PPuE tokens with the visual term (gamma {model.prompts.gamma:g}), dual-cross "
        f"merging, P2C weight {training.losses.p2c:g}, EM off, no key adaptation",
        "EM 1": "the base's weights, one EM iteration after each interaction",
        "EM 5": "the base's weights, five EM iterations",
        "disks": "no PPuE tokens; prompts are disks in the reference map alone",
        "no visual term": "gamma 0",
        "I-MSA": "InterFormer's decoder with disks on the same encoder, instead of DMA",
        "P2C 0": "no prompt-to-pixel loss",
        "P2C 1": "prompt-to-pixel loss with weight 1",
        "P2C 2": "prompt-to-pixel loss with weight 2",
        "key adaptation": "one iteration in the cross attentions",
    }


def base_model(narrow: bool, view_size: int | None) -> ModelConfig:
    """The default model, or one of half its widths for machines that have little time."""
    base = replace(PRESETS["pvpu-nano"], name="ablation")
    if narrow:
        encoder = replace(
            base.encoder,
            stem=16,
            stage_channels=(32, 64),
            stage_depths=(2, 2),
            width=96,
            depth=3,
            heads=3,
        )
        base = replace(
            base,
            encoder=encoder,
            pyramid=(16, 32, 64, 64),
            prompts=replace(base.prompts, hidden=128),
            decoder=replace(base.decoder, heads=2, pixel_channels=32),
        )
    return replace(base, view_size=view_size or base.view_size)


def training_data(
    folders: list[Path], images: int | None, scenes: int, workers: int, device: str
) -> Atlas:
    """Synthetic scenes and the train folders, shared as the default model's training does."""

    def real() -> Iterable[tuple[NDArray[np.generic], NDArray[np.generic], str]]:
        for folder in folders:
            for sample in islice(MaskFolder(folder), images):
                yield sample.image, sample.labels, str(folder)

    made = (
        (scene.image, scene.labels, f"synthetic/{scene.kind}")
        for scene in generate_scenes(scenes, (256, 256), 0, workers)
    )
    pairs = list(chain(real(), made))
    share = 0.4 if folders else 1.0
    return Atlas(pairs, group_weights((group for *_, group in pairs), share), device)


def recipe(options: argparse.Namespace, view_size: int) -> TrainingConfig:
    """The default model's recipe, shortened."""
    return changed(
        TrainingConfig(),
        {
            "steps": options.steps,
            "views": options.views,
            "precision": "float32" if options.device == "cpu" else "bf16",
            "save_every": options.steps,
            "log_every": max(1, options.steps // 5),
            "optimizer": {"warmup": min(300, max(1, options.steps // 10))},
            "sampling": {"size": view_size},
        },
    )


def train(variant: Variant, config: TrainingConfig, atlas: Atlas, folder: Path) -> dict[str, Any]:
    """Train one network, leave its averaged weights in a folder, return what is known of it."""
    begin = time.monotonic()
    trainer = Trainer(variant.model, changed(config, variant.training), atlas, folder)
    trainer.run()
    save_weights(trainer.average, folder / "weights.safetensors", dtype=torch.float32)
    total, interactive = count_parameters(trainer.net)
    lines = (folder / "log.jsonl").read_text("utf-8").splitlines()
    return {
        "parameters": total,
        "interactive_parameters": interactive,
        "training": json.loads(lines[-1]),
        "seconds": round(time.monotonic() - begin, 1),
    }


def judge(
    weights: Path,
    propagation: PropagationSettings | None,
    sets: list[Path],
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """IoU@k of each set, and the plain mean over sets."""
    segmenter = Segmenter(weights, settings.device, propagation=propagation, store=False)
    em = propagation is not None
    found: dict[str, dict[str, float]] = {}
    for folder in sets:
        method = SessionMethod(segmenter, em=em, threshold=settings.threshold)
        result = evaluate(folder, replace(settings, em=em), method=method, progress=False)
        found[folder.parent.name] = {
            str(k): round(float(result["iou_at"][str(k)]), 4) for k in SHOWN
        }
    mean = {str(k): float(np.mean([each[str(k)] for each in found.values()])) for k in SHOWN}
    return {"iou_at": {k: round(v, 4) for k, v in mean.items()}, "sets": found}


def rows(runs: dict[str, dict[str, dict[str, Any]]]) -> list[dict[str, str]]:
    """Sum up over seeds.

    Parameters
    ----------
    runs : dict
        By row and seed, as they are written.

    Returns
    -------
    list of dict
        For each row IoU@1, @3, @5 as mean and standard deviation over seeds, and the difference
        of their mean from the base's, seed by seed; a star where it is not likely to be chance
        (two-sided t-test at 5 %, of each row on its own).
    """
    out = []
    base = {seed: _overall(run) for seed, run in runs.get(BASE, {}).items()}
    for name, seeds in runs.items():
        first = next(iter(seeds.values()))
        cells = {
            "variant": name,
            "seeds": str(len(seeds)),
            "interactive parameters": f"{first['interactive_parameters']:,}",
        }
        for k in SHOWN:
            cells[f"IoU@{k}"] = _spread([run["iou_at"][str(k)] for run in seeds.values()])
        shared = [_overall(run) - base[seed] for seed, run in seeds.items() if seed in base]
        cells["against base"] = "" if name == BASE else _spread(shared, signed=True)
        if name != BASE and _is_likely(shared):
            cells["against base"] += " *"
        out.append(cells)
    return out


def _overall(run: dict[str, Any]) -> float:
    return float(np.mean([run["iou_at"][str(k)] for k in SHOWN]))


def _spread(values: list[float], signed: bool = False) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):{'+' if signed else ''}.3f}"
    return f"{mean} ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else mean


def _is_likely(differences: list[float]) -> bool:
    if len(differences) < 2 or np.ptp(differences) == 0:
        return False
    return bool(stats.ttest_1samp(differences, 0).pvalue < _CHANCE)


def page(values: dict[str, Any]) -> str:
    """Write the table with what has to be known to read it."""
    budget, found = values["budget"], rows(values["runs"])
    seen, whole = budget["steps"] * budget["views"], TrainingConfig()
    count = sum(len(seeds) for seeds in values["runs"].values())
    lines = [
        "# Ablations",
        "",
        "What single parts of the default model are worth, with everything else equal. Written by",
        "`benchmarks/ablation.py`:",
        "",
        f"    {values['command']}",
        "",
        markdown_table(found),
        "",
        "Mean ± standard deviation over seeds. IoU is the plain mean over the sets after 1, 3 and "
        "5 prompts of the simulated user; the last column is the difference of the mean of the "
        "three from the base's, seed by seed, with a star where a t-test at 5 % calls it real. "
        f"{_stars(found)} {_unborn(values['runs'])}".strip(),
        "",
        *(f"- **{row['variant']}**: {values['variants'][row['variant']]}" for row in found),
        "",
        "## Budget",
        "",
        f"{budget['steps']} steps of {budget['views']} views of {budget['view_size']} pixels: "
        f"{seen:,} views a network, where the default recipe has "
        f"{whole.steps * whole.views:,} ({100 * seen / whole.steps / whole.views:.2g} %). Widths "
        f"{'half of the default' if budget['narrow'] else 'as the default'}. Trained on "
        f"{budget['scenes']} synthetic scenes and {_images(budget['train_images'])} of "
        f"{len(budget['train_sets'])} train folders; judged on up to {budget['limit']} objects of "
        f"each of {len(budget['val_sets'])} val folders, first prompt: {budget['prompts']}. "
        f"{count} runs.",
        "",
        _advice(seen / whole.steps / whole.views),
        "",
        "; ".join(f"{key} {value}" for key, value in values["machine"].items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def markdown_table(rows: list[dict[str, str]]) -> str:
    """Rows as a table whose columns are the first row's keys."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _stars(found: list[dict[str, str]]) -> str:
    if not any(row["against base"].endswith("*") for row in found):
        return "No difference has one: all of them may be chance."
    return f"Among {len(found) - 1} rows one comes by chance now and then."


def _unborn(runs: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Name the variants that still answered with nothing when their training ended."""
    means = {
        name: np.mean([run["training"]["iou"] for run in seeds.values()])
        for name, seeds in runs.items()
    }
    names = [name for name, mean in means.items() if mean < 0.05]
    if not names:
        return ""
    return (
        f"At the end of its training {' and '.join(names)} still answered the simulated user with "
        "empty masks, so that its row says only that it needs longer to begin."
    )


def _images(limit: int | None) -> str:
    return "all images" if limit is None else f"up to {limit} images each"


def _advice(share: float) -> str:
    """What a budget of this share of a whole training can tell."""
    if share > 0.5:
        return "The networks are trained about to the end, so that the table says what it seems to."
    return (
        "Networks this young have hardly learnt what objects are. The table can tell whether a "
        "part makes the beginning of training easier or harder, and whether a variant trains at "
        "all. It cannot tell what a part is worth at the end: what helps early is often what has "
        "to be learnt least, a part that refines good answers has little to refine yet, and EM has "
        "more to mend in a weak network than in a good one."
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME/train and val")
    parser.add_argument("--sets", nargs="+", help="names of sets; all by default")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--views", type=int, default=12, help="a step")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no run after this")
    parser.add_argument("--out", type=Path, default=OUT, help="a .md goes beside")
    parser.add_argument("--narrow", action="store_true", help="half the widths of the default")
    parser.add_argument("--view-size", type=int, help="a multiple of 32; the default's own")
    parser.add_argument("--scenes", type=int, default=400, help="synthetic ones to train on")
    parser.add_argument("--train-images", type=int, help="of each train folder; all by default")
    parser.add_argument("--limit", type=int, default=30, help="val objects of each set")
    parser.add_argument("--prompts", default="click", help="click, box, scribble or mixed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that make scenes")
    options = parser.parse_args()
    if options.view_size is not None and options.view_size % 32:
        parser.error(f"--view-size is {options.view_size}; I-MSA needs a multiple of 32")
    return options


def command(options: argparse.Namespace) -> str:
    """How to make the same table again, whatever it was made of and where it lies."""
    words = ["python benchmarks/ablation.py --data DATA"]
    for name in ("sets", "steps", "views", "seeds", "narrow", "view_size", "scenes"):
        words.append(_as_argument(name, getattr(options, name)))
    for name in ("train_images", "limit", "prompts", "device"):
        words.append(_as_argument(name, getattr(options, name)))
    return " ".join(word for word in words if word)


def _as_argument(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    given = value if isinstance(value, list) else [] if value is True else [value]
    return shlex.join(["--" + name.replace("_", "-"), *map(str, given)])


def opened(options: argparse.Namespace, budget: dict[str, Any]) -> dict[str, Any]:
    """Read what is there already; refuse to mix runs of different budgets."""
    if not options.out.is_file():
        return {"budget": budget, "runs": {}}
    values: dict[str, Any] = json.loads(options.out.read_text("utf-8"))
    other = [key for key in budget if values["budget"].get(key) != budget[key]]
    if other:
        raise SystemExit(
            f"{options.out} holds runs with another {', '.join(other)}; give the same arguments, "
            "or another --out"
        )
    return values


def main() -> None:
    """Run what is missing; write JSON and the page after each run."""
    options = arguments()

    def chosen(split: str) -> list[Path]:
        found = [f for f in find_sets(options.data, split) if f.name == split]
        return [f for f in found if not options.sets or f.parent.name in options.sets]

    model = base_model(options.narrow, options.view_size)
    config = recipe(options, model.view_size)
    budget = {
        **{k: getattr(options, k) for k in ("steps", "views", "narrow", "scenes", "train_images")},
        **{k: getattr(options, k) for k in ("limit", "prompts", "device")},
        "view_size": model.view_size,
        "train_sets": [f.parent.name for f in chosen("train")],
        "val_sets": [f.parent.name for f in chosen("val")],
    }
    values = opened(options, budget)
    values["command"] = command(options)
    values["variants"] = described(model, config)
    values["model"], values["recipe"] = model.to_dict(), asdict(config)
    values.setdefault("machine", machine())
    settings = EvaluationSettings(
        prompts=options.prompts,
        max_interactions=max(SHOWN),
        limit=options.limit,
        min_area=30,
        device=options.device,
    )
    run_all(options, values, model, config, settings, (chosen("train"), chosen("val")))
    order = list(values["variants"])
    values["runs"] = dict(sorted(values["runs"].items(), key=lambda row: order.index(row[0])))
    write_json(options.out, values)
    if values["runs"]:
        text = page(values)
        options.out.with_suffix(".md").write_text(text, "utf-8")
        print(text)


def run_all(
    options: argparse.Namespace,
    values: dict[str, Any],
    model: ModelConfig,
    config: TrainingConfig,
    settings: EvaluationSettings,
    sets: tuple[list[Path], list[Path]],
) -> None:
    """Train and judge what is missing, one seed of all variants before the next."""
    end, atlas = time.monotonic() + 60 * options.minutes, None
    runs = values["runs"]
    for seed in range(options.seeds):
        for variant in variants(model):
            missing = [name for name in variant.judged if str(seed) not in runs.get(name, {})]
            if not missing:
                continue
            if time.monotonic() > end:
                print("out of time; call again to go on", flush=True)
                return
            if atlas is None:
                atlas = training_data(
                    sets[0], options.train_images, options.scenes, options.workers, options.device
                )
            with tempfile.TemporaryDirectory() as folder:
                known = train(variant, replace(config, seed=seed), atlas, Path(folder))
                for name in missing:
                    weights = Path(folder) / "weights.safetensors"
                    result = judge(weights, variant.judged[name], sets[1], settings)
                    runs.setdefault(name, {})[str(seed)] = {**known, **result}
                    write_json(options.out, values)
                    print(f"{name}, seed {seed}: {result['iou_at']}", flush=True)


if __name__ == "__main__":
    main()
