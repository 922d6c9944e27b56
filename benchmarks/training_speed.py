"""Speed of training on this machine, and where a step's time goes.

Takes real steps of a recipe on synthetic scenes and writes docs/performance/training.json and
docs/performance.md, with a row for each device and recipe that was ever measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measured import FOLDER, machine, save

from napari_pvpu.waiting import wait_passively

if TYPE_CHECKING:
    from napari_pvpu.training.profiling import ProfileReport

NAME = "training"


def main() -> None:
    """Measure, print the profile, then write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    parser.add_argument("--recipe", help="by default pvpu-gpu on a GPU, else the model's own")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--scenes", type=int, default=64)
    parser.add_argument("--threads", type=int, help="of a CPU; PyTorch's own choice by default")
    parser.add_argument("--trace", type=Path, help="also write the trace, .json or .json.gz")
    parser.add_argument("--no-save", action="store_true", help="print, and write no files")
    options = parser.parse_args()
    wait_passively()  # torch is imported below
    where = machine()
    report = measured(options)
    print(report.text)
    if options.no_save:
        return
    row = {
        "device": report.device if report.kernel_share is not None else where["processor"],
        "model": options.model,
        "recipe": " ".join([options.recipe or "its own", *options.set]),
        "threads": where["torch threads"] if options.threads is None else options.threads,
        "load": where["load average before"],
        "steps/s": round(1 / report.plain_seconds, 3),
        "views/s": round(report.views / report.plain_seconds, 1),
        "kernels": None if report.kernel_share is None else f"{report.kernel_share:.0%}",
        **{name: f"{share:.0%}" for name, share in report.shares.items()},
    }
    # Devices are in different machines; what was measured elsewhere stays.
    same = ("device", "model", "recipe", "threads")
    kept = [r for r in earlier() if any(r[key] != row[key] for key in same)]
    command = ".venv/bin/python benchmarks/training_speed.py"
    title = "Training: steps and views a second, share of time in kernels and in each part"
    save(NAME, title, command, [*kept, row], machine=where)


def measured(options: argparse.Namespace) -> ProfileReport:
    """Train for a few steps in a folder that is thrown away."""
    import torch

    from napari_pvpu.features.devices import choose_device
    from napari_pvpu.model_files import find_model
    from napari_pvpu.training.engine import DataEngine, SceneStreamConfig
    from napari_pvpu.training.profiling import profile_steps
    from napari_pvpu.training.recipe_files import find_recipe
    from napari_pvpu.training.trainer import Trainer

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    model = find_model(options.model).config
    if options.recipe is None and device.type == "cuda":
        options.recipe = "pvpu-gpu"
    config = find_recipe(model, options.recipe, options.set)
    stream = config.stream or SceneStreamConfig(scenes=options.scenes, share=1.0)
    data = DataEngine(None, stream, 0, device)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, config, data, Path(folder))
        return profile_steps(trainer, options.steps, trace=options.trace)


def earlier() -> list[dict[str, object]]:
    """Return the rows that were written before."""
    file = FOLDER / f"{NAME}.json"
    return list(json.loads(file.read_text("utf-8"))["rows"]) if file.is_file() else []


if __name__ == "__main__":
    main()
