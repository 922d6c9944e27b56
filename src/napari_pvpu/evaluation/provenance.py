"""Where numbers come from: the weights, the machine, the program and what was typed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari_pvpu
from napari_pvpu.evaluation.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_pvpu.evaluation.settings import EvaluationSettings

__all__ = ["command_line", "machine", "weights_of"]


def weights_of(settings: EvaluationSettings) -> dict[str, Any] | None:
    """Say which weights an evaluation uses.

    Parameters
    ----------
    settings : EvaluationSettings
        Its method and model matter.

    Returns
    -------
    dict or None
        ``model`` (name in its config), ``file`` (without folder), ``bytes`` and ``sha256``, and
        ``config``, a digest of what a YAML file says of the model, None when there is no such
        file; None for a method without weights.

    Raises
    ------
    ModelNotFoundError, ConfigError, WeightsError
        From `find_model`.
    """
    if settings.method != "pvpu":
        return None
    from napari_pvpu.model_files import find_model

    source = find_model(settings.model)
    if source.weights is None:
        return None
    data = source.weights.read_bytes()
    described = json.dumps(source.config.to_dict(), sort_keys=True).encode()
    return {
        "model": source.config.name,
        "file": source.weights.name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "config": hashlib.sha256(described).hexdigest() if source.file else None,
    }


def machine(device: str, processes: int = 1) -> dict[str, Any]:
    """Describe what computes.

    Parameters
    ----------
    device : str
        As asked for; see `choose_device`.
    processes : int
        How many evaluate at the same time.

    Returns
    -------
    dict
        ``processor``, ``cores`` (that this process may use), ``device``, ``threads`` (of torch),
        ``processes``, ``system``, ``python``, ``torch``, ``program`` (version of this package, or
        the commit of the checkout that it runs from).
    """
    import torch

    from napari_pvpu.features.devices import choose_device

    place = choose_device(device)
    named = torch.cuda.get_device_name(place) if place.type == "cuda" else str(place)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "device": named,
        "threads": torch.get_num_threads(),
        "processes": processes,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "program": _program(Path(napari_pvpu.__file__).parents[2]),
    }


def _program(checkout: Path) -> str:
    """Return this package's version; in a checkout, whose version was noted once, its commit."""
    if (checkout / ".git").exists():
        words = ["git", "-C", str(checkout), "describe", "--always", "--dirty=, changed"]
        with suppress(OSError, subprocess.CalledProcessError):
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            return f"commit {done.stdout.strip()}"
    return f"version {napari_pvpu.__version__}"


def _processor() -> str:
    """The processor's name where the system tells it, else its kind."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def command_line(settings: Mapping[str, Any], parts: Sequence[str] | None = None) -> str:
    """Write the command that measures the same again.

    Parameters
    ----------
    settings : mapping
        As written into results.
    parts : sequence of str, optional
        Parts of the report; None when all were run.

    Returns
    -------
    str
        With DATA and OUT for the folders, and only the name of a weights file. What is as by
        default is left out.
    """
    words = ["napari-pvpu", "evaluate", "DATA", "--report", "OUT"]
    for option in OPTIONS:
        value = settings.get(option.name, option.default)
        value = tuple(value) if option.several else value
        # What the device was is the machine's; what the protocol decides is None by default.
        if value == option.default or option.name in ("device", "flip", "zoom_in"):
            continue
        if option.name == "model":
            value = Path(str(value)).name
        words.append(option.flag)
        every = value if option.several else [value]
        words += [f"{each:g}" if option.kind is float else str(each) for each in every]
    if parts is not None:
        words += ["--parts", ",".join(parts)]
    return shlex.join(words)
