"""One page for a bug report: what is installed, what computes how fast, and what is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import DeviceError, PvpuError
from napari_pvpu.screen_probe import has_screen

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Page", "examine"]

_NEEDED = ("torch", "timm", "numpy", "scipy", "scikit-image", "pillow", "safetensors", "tifffile")
_ON_SCREEN = ("napari", "qtpy", "superqt", "vispy", "npe2")
_IF_THERE = ("torchvision", "dask", "zarr", "onnxruntime")
_PATIENCE = 120.0
"""Seconds until a process that asks Qt and OpenGL is given up."""


@dataclass
class Page:
    """What was found.

    Attributes
    ----------
    sections : dict of str to dict of str to str
        By title; each a list of facts.
    devices : list of dict
        One for each device and precision: ``device``, ``precision``, ``difference`` (largest of a
        logit from the CPU's in float32), ``iou`` (of masks with the CPU's), ``encode_ms``,
        ``interaction_ms`` (medians) and ``problem``, with None for what is not known.
    problems : list of str
        What is wrong, each with what to do.
    """

    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    devices: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {"sections": self.sections, "devices": self.devices, "problems": self.problems}

    def as_markdown(self) -> str:
        """Return the page as Markdown."""
        lines = ["# napari-pvpu doctor", "", "## Problems", ""]
        lines += [f"- {problem}" for problem in self.problems] or ["None found."]
        for title, facts in self.sections.items():
            lines += ["", f"## {title}", ""]
            lines += [f"- {name}: {fact}" for name, fact in facts.items()]
        if self.devices:
            lines += ["", "## Devices, against the CPU in float32", "", *_table(self.devices)]
        return "\n".join(lines) + "\n"


def examine(model: str = "pvpu-nano", *, screen: bool = True) -> Page:
    """Look at everything that the program depends on; takes some seconds.

    Parameters
    ----------
    model : str
        As for `find_model`; compared and timed on every device.
    screen : bool
        Ask Qt, OpenGL and npe2 too, in a process of its own.
    """
    page = Page()
    page.sections["Machine"] = _machine()
    page.sections["Versions"] = _versions(page.problems)
    if screen:
        page.sections["Window"] = _window(page)
    if page.sections["Versions"]["torch"] == "missing":
        return page
    page.sections["Model"] = _weights(model, page.problems)
    page.sections["Feature store"] = _store(page.problems)
    _compare_devices(model, page)
    if page.sections["Versions"]["onnxruntime"] != "missing":
        page.sections["ONNX Runtime"] = _onnx(model)
    return page


def _machine() -> dict[str, str]:
    from napari_pvpu.evaluation.provenance import _processor

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {
        "system": platform.platform(),
        "processor": f"{_processor()}, {usable} of {os.cpu_count()} cores",
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
    }
    if hasattr(os, "getloadavg"):
        facts["load"] = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    try:
        import psutil  # type: ignore[import-untyped]

        memory = psutil.virtual_memory()
        sizes = (memory.total, memory.available)
        facts["memory"] = "{:.1f} GB, {:.1f} GB free".format(*(size / 1e9 for size in sizes))
    except ImportError:
        facts["memory"] = "unknown (psutil is missing)"
    return facts


def _versions(problems: list[str]) -> dict[str, str]:
    found = {"napari-pvpu": _version("napari-pvpu")}
    for name in (*_NEEDED, *_ON_SCREEN, *_IF_THERE):
        found[name] = _version(name)
    missing = [name for name in _NEEDED if found[name] == "missing"]
    if missing:
        problems.append(f"missing: {', '.join(missing)}; install with: pip install napari-pvpu")
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _window(page: Page) -> dict[str, str]:
    if page.sections["Versions"]["napari"] == "missing":
        return {"napari": "missing; install it with: pip install 'napari-pvpu[all]'"}
    found, ended = _probed()
    errors = found.get("errors", {})
    facts = {name: found.get(name, "unknown") for name in ("qt", "opengl", "manifest")}
    if not has_screen():
        facts["opengl"] = "not asked, there is no screen"
    facts |= errors
    advice = {
        "qt": "install a Qt binding: pip install 'napari[all]'",
        "opengl": "update the graphics driver, or set LIBGL_ALWAYS_SOFTWARE=1",
        "manifest": "install the package anew: pip install --force-reinstall napari-pvpu",
    }
    page.problems += [f"{name}: {error}; {advice[name]}" for name, error in errors.items()]
    if ended:
        page.problems.append(f"asking Qt and OpenGL {ended}; {advice['opengl']}")
    return facts


def _probed(command: tuple[str, ...] = ("-m", "napari_pvpu.screen_probe")) -> tuple[Any, str]:
    """Return what a process of its own found, and how it ended if that was not well."""
    try:
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            env=os.environ | {"PYTHONFAULTHANDLER": "1"},
        )
    except subprocess.TimeoutExpired:
        return {}, f"took more than {_PATIENCE:.0f} s"
    try:
        return json.loads(done.stdout.splitlines()[-1]), ""
    except (IndexError, ValueError):
        said = (done.stderr.strip().splitlines() or ["without a word"])[0]
        return {}, f"ended with code {done.returncode} ({said})"


def _weights(model: str, problems: list[str]) -> dict[str, str]:
    """Whose weights these are, and whether they are those that the model card describes."""
    from napari_pvpu.model_files import find_model
    from napari_pvpu.networks.weights import read_state

    try:
        source = find_model(model)
        if source.weights is None:
            problems.append(f"{model} has no weights here; see 'napari-pvpu models'")
            return {"name": model, "weights": "missing"}
        tensors = read_state(source.weights)
    except PvpuError as error:
        problems.append(str(error))
        return {"name": model}
    digest = hashlib.sha256(source.weights.read_bytes()).hexdigest()
    facts = {
        "name": source.config.name,
        "file": f"{source.weights} ({len(tensors)} tensors)",
        "sha256": digest,
    }
    told = _digest_on_card(source.weights)
    if told is None:
        facts["check"] = "no model card beside it"
    elif told == digest:
        facts["check"] = "as on the model card"
    else:
        facts["check"] = f"not as on the model card, {told}"
        problems.append(
            f"{source.weights} is not the file that its model card describes; install the package "
            "anew, or remove the card if the weights are yours"
        )
    return facts


def _digest_on_card(weights: Path) -> str | None:
    card = weights.with_suffix(".md")
    if not card.is_file():
        return None
    found = re.search(r"sha256 \| `([0-9a-f]{64})`", card.read_text(encoding="utf-8"))
    return found and found.group(1)


def _store(problems: list[str]) -> dict[str, str]:
    import numpy as np

    from napari_pvpu.features.store import VARIABLE, open_store
    from napari_pvpu.features.store_care import look_into
    from napari_pvpu.features.store_files import path_of

    store = open_store(True)
    if store is None:
        return {"state": f"off, because {VARIABLE} says so"}
    space, key = "doctor", secrets.token_hex(16)
    numbers = {"x": np.arange(4, dtype=np.float32)}
    kept = store.put(space, key, numbers) and store.get(space, key) is not None
    written = path_of(store.folder, space, key)
    with suppress(OSError):  # not there, or not empty because another doctor is at work
        written.unlink()
        written.parent.rmdir()
        written.parent.parent.rmdir()
    info = look_into(store)
    if not kept:
        problems.append(
            f"the feature store cannot write to {store.folder} ({store.trouble}); make room or "
            f"rights there, or name another folder in {VARIABLE}"
        )
    return {
        "folder": str(info.folder),
        "size": f"{info.size / 1e6:.1f} of {info.limit / 1e6:.0f} MB, {info.views} views",
        "written and read back": "yes" if kept else "no",
    }


def _onnx(model: str) -> dict[str, str]:
    """What ``runtime="onnx"`` chooses here; files are not made for that, which takes too long."""
    from napari_pvpu.features.devices import one_thread
    from napari_pvpu.features.faster_runner import FasterRunner
    from napari_pvpu.features.onnx_files import are_kept, kept_folder
    from napari_pvpu.model_files import load_network

    try:
        network = load_network(model)
        folder = kept_folder(network)
        if folder is None or not are_kept(folder):
            return {"files": "none yet; they are made where runtime 'onnx' is asked for first"}
        with one_thread():
            return {"files": str(folder), "faster here": FasterRunner(network).runtime}
    except PvpuError as error:
        return {"trouble": str(error)}


def _compare_devices(model: str, page: Page) -> None:
    """Fill in `Page.devices`."""
    import torch

    from napari_pvpu.features.device_trial import Trial, present_devices
    from napari_pvpu.features.devices import one_thread
    from napari_pvpu.features.runners import TorchRunner
    from napari_pvpu.model_files import load_network

    try:
        network = load_network(model)
    except PvpuError as error:
        if str(error) not in page.problems:
            page.problems.append(str(error))
        return
    with one_thread():
        trial = Trial(network.config.view_size)
        wanted = trial.ask(TorchRunner(network, torch.device("cpu")))
        for name in present_devices():
            for precision in ("float32", "bf16", "float16"):
                row = _compared(load_network(model), name, precision, trial, wanted)
                page.devices.append(row)
                # Half precision is never used where it is wrong, so that is no problem.
                if row["problem"] and precision == "float32":
                    page.problems.append(
                        f"the device {name!r} {row['problem']}; the CPU is used instead: update "
                        "its driver or torch"
                    )


def _compared(
    network: Any, name: str, precision: str, trial: Any, wanted: list[Any]
) -> dict[str, Any]:
    from napari_pvpu.features.device_trial import compare, time_runner
    from napari_pvpu.features.devices import choose_device
    from napari_pvpu.features.runners import TorchRunner

    row: dict[str, Any] = dict.fromkeys(("difference", "iou", "encode_ms", "interaction_ms"))
    row = {"device": name, "precision": precision, **row, "problem": None}
    try:
        runner = TorchRunner(network, choose_device(name), precision)
        found = compare(trial.ask(runner), wanted)
        row |= {"difference": found.difference, "iou": found.iou}
        row["encode_ms"], row["interaction_ms"] = time_runner(runner, trial)
        if not found.equal(precision):
            row["problem"] = f"gives other numbers than the CPU ({found})"
    except (DeviceError, RuntimeError) as error:
        row["problem"] = f"fails ({' '.join(str(error).split())[:200]})"
    return row


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| device | precision | largest difference of a logit | mask IoU | encode ms "
        "| interaction ms | problem |",
        "|---|---|---|---|---|---|---|",
    ]
    shapes = {"difference": "{:.2g}", "iou": "{:.4f}", "encode_ms": "{:.1f}"}
    shapes["interaction_ms"] = "{:.1f}"
    for row in rows:
        cells = [
            "-" if value is None else shapes.get(name, "{}").format(value)
            for name, value in row.items()
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
