"""Training and evaluation on a machine that only computes: a checkout, torch and a few others.

A fresh interpreter refuses to import everything that is neither of the standard library nor of
the packages that such a machine has, then imports all modules that run there and uses them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

THERE = ("torch", "timm", "numpy", "scipy", "scikit-image", "pillow", "safetensors", "tqdm")
# Others need these, so that they are there in practice; our code has to do without all the same.
NOT_COUNTED_ON = {"yaml", "_yaml", "tifffile"}
SOURCE = Path(__file__).parents[1] / "src"

GUARD = """
import json, sys

allowed = set(json.loads(sys.argv[1])) | set(sys.modules) | sys.stdlib_module_names

class Guarded:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        # The standard library's list of names lacks that of how Python was built.
        there = top in allowed or top.startswith("_sysconfigdata")
        return self.finder.find_spec(name, path, target) if there else None

sys.meta_path[:] = map(Guarded, sys.meta_path)
"""

IMPORT_ALL = """
import importlib, pkgutil

for room in ("networks", "training", "evaluation"):
    package = importlib.import_module(f"napari_pvpu.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"napari", "typer", "yaml"}))
"""

USE = """
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from napari_pvpu.evaluation.__main__ import main as evaluate
from napari_pvpu.networks import models
from napari_pvpu.networks.config import DecoderConfig, EncoderConfig, ModelConfig, PromptConfig
from napari_pvpu.training.__main__ import main
from napari_pvpu.training.engine import SceneStreamConfig
from napari_pvpu.training.recipes import RECIPES, changed

folder = Path(sys.argv[2])
row, col = np.mgrid[:96, :96]
labels = (1 + (row > 48) + 2 * (col > 48)) * ((row % 48 - 24) ** 2 + (col % 48 - 24) ** 2 < 300)
noise = np.random.default_rng(0).integers(0, 20, labels.shape)
for name, array in (("images", 60 * labels + noise), ("masks", labels)):
    (folder / "cells" / name).mkdir(parents=True)
    Image.fromarray(array.astype(np.uint8)).save(folder / "cells" / name / "a.png")

encoder = EncoderConfig(
    stem=8, stage_channels=(16, 16), stage_depths=(1, 1), width=32, depth=1, heads=2
)
models.PRESETS["tiny"] = ModelConfig(
    name="tiny", view_size=64, encoder=encoder, pyramid=(8, 16, 16, 16),
    prompts=PromptConfig(hidden=32), decoder=DecoderConfig(heads=2, pixel_channels=16),
)
RECIPES["tiny"] = replace(
    changed(RECIPES["pvpu"], {"views": 2, "objects": 1, "log_every": 1}),
    stream=SceneStreamConfig(scenes=2, fresh=1, size=64),
)

def run(*words, program=main, code=0):
    assert program([str(word).replace("DIR", str(folder)) for word in words]) == code, words

streamed = ["--device", "cpu", "--model", "tiny", "--recipe", "tiny"]
kept = [*streamed, "--no-stream", "--synthetic", 0]
run("check", "DIR/cells")
run("pack", "DIR/cells", "--out", "DIR/x.pvpuset", "--synthetic", 1, "--workers", 1)
run("train", "DIR/run", "--data", "DIR/x.pvpuset", "--steps", 2, *kept)
run("train", "DIR/run", "--data", "DIR/cells", "--steps", 3, *kept)
run("train", "DIR/streamed", "--data", "DIR/cells", "--steps", 2, *streamed)
run("train", "DIR/streamed", "--steps", 3, *streamed)
run("profile", "--profile", 1, "--data", "DIR/cells", *kept)
run("sheet", "--out", "DIR/sheet.png", "--data", "DIR/x.pvpuset", "--count", 2, "--size", 64)
run("sheet", "--out", "DIR/scenes.png", "--count", 1, "--kind", "nuclei")
run(
    "DIR/cells", "--model", "DIR/run/weights.safetensors", "--device", "cpu", "--limit", 1,
    "--max-interactions", 2, "--json", "DIR/result.json", program=evaluate,
)
Path(folder / "mine.yaml").write_text("base: pvpu-nano")
run("train", "DIR/none", "--data", "DIR/cells", "--model", "DIR/mine.yaml", code=2)
"""


def modules_there() -> set[str]:
    """Top-level modules of the packages and of all that they need."""
    closure: set[str] = set()
    waiting = list(THERE)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in closure:
            continue
        try:
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue  # of another platform
        closure.add(name)
        there = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
        waiting += [requirement.name for requirement in there]
    modules = {
        module
        for module, packages in packages_distributions().items()
        if any(package.lower().replace("_", "-") in closure for package in packages)
    }
    return (modules | {"napari_pvpu"}) - NOT_COUNTED_ON


def on_a_plain_machine(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(
        [sys.executable, "-c", GUARD + code, json.dumps(sorted(modules_there())), *words],
        capture_output=True,
        text=True,
        env=environment,
    )


def test_the_guard_refuses_what_is_not_there() -> None:
    allowed = modules_there()
    assert {"torch", "timm", "numpy", "scipy", "skimage", "PIL", "safetensors", "tqdm"} <= allowed
    assert not allowed & {"napari", "qtpy", "pydantic", "typer", "matplotlib", "cv2", "pytest"}
    done = on_a_plain_machine("import napari")
    assert "No module named 'napari'" in done.stderr


def test_all_that_runs_there_can_be_imported() -> None:
    done = on_a_plain_machine(IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_training_packing_and_evaluation(tmp_path: Path) -> None:
    done = on_a_plain_machine(USE, str(tmp_path))
    assert done.returncode == 0, done.stderr
    for name in ("run", "streamed"):
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    assert json.loads((tmp_path / "result.json").read_text())
    assert (tmp_path / "run" / "weights.safetensors").stat().st_size > 10_000
    assert (tmp_path / "sheet.png").is_file()
    assert "YAML files need PyYAML, which is not installed; install it" in done.stderr
