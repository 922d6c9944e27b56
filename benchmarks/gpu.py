"""Interactions a second on a device, one object at a time and many at a time.

One at a time as a session asks: prompts from Python, the mask's logits back in numpy. Many at a
time as a script would that corrects many objects of one view: one batch, the logits back as well.
Meant for a CUDA GPU; runs on any device, and needs nothing but what the plain checkout needs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from measured import machine, save

from napari_pvpu import Click, Segmenter, samples
from napari_pvpu.features.prompt_tensors import prompt_batch
from napari_pvpu.model_files import load_network
from napari_pvpu.networks.inference import fast_decode
from napari_pvpu.networks.prompt_batch import PromptBatch
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

if TYPE_CHECKING:
    from napari_pvpu.networks.interface import Features

Ask = Callable[[], Any]

TARGETS = {1: 300, 64: 5000}
"""Interactions a second on a CUDA GPU, by the number of objects at a time."""

SECONDS = 3.0


def main() -> None:
    """Measure, then write docs/performance/gpu.json and docs/performance.md if it is a GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement")
    options = parser.parse_args()
    where = machine()
    segmenter = Segmenter(options.model, device=options.device, store=False)
    if segmenter.notice:
        raise SystemExit(segmenter.notice)
    device = torch.device(segmenter.device)
    rows = []
    for count, target in TARGETS.items():
        ask = one(segmenter) if count == 1 else many(segmenter, options.model, device, count)
        found = count * rate(ask, device, options.seconds)
        rows.append(
            {
                "objects at a time": count, "interactions a second": round(found),
                "target": target if device.type == "cuda" else None,
            }
        )  # fmt: skip
        print(rows[-1])
    if device.type == "cuda":
        command = ".venv/bin/python benchmarks/gpu.py"
        title = f"Interactions a second: {options.model} on {torch.cuda.get_device_name(device)}"
        save("gpu", title, command, rows, machine=where)


def one(segmenter: Segmenter) -> Ask:
    """Return what answers three clicks as a session does."""
    features, prompts, previous = question(segmenter)
    return lambda: segmenter.decode(features, prompts, previous, None)


def many(segmenter: Segmenter, model: str, device: torch.device, count: int) -> Ask:
    """Return what answers three clicks on each of many objects of a view in one batch."""
    features, prompts, previous = question(segmenter)
    decode = fast_decode(load_network(model, device))
    batch = PromptBatch(*(each.repeat_interleave(count, 0) for each in prompt_batch(prompts)))
    fed = torch.from_numpy(previous)[None, None].expand(count, -1, -1, -1)

    def ask() -> torch.Tensor:
        with torch.inference_mode():
            repeated = features.repeat(count)
            answer = decode(repeated, batch.to(device), fed.to(device), second_reading=False)
            return answer.logits.cpu()

    return ask


def question(segmenter: Segmenter) -> tuple[Features, list[Click], Any]:
    """Features of a view, prompts, and the probability before, as a session hands them over."""
    size = segmenter.view_size
    view = ImageSource(samples.load("coins").image).read_view(View(100, 100, 128, size))
    prompts = [
        Click((size / 2, size / 2)),
        Click((5.0, 5.0), positive=False),
        Click((size / 2 + 9, size / 2)),
    ]
    previous = np.random.default_rng(0).random((size, size), np.float32)
    return segmenter.encode(view), prompts, previous


def rate(ask: Ask, device: torch.device, seconds: float) -> float:
    """Calls a second, after a warm-up."""
    for _ in range(5):
        ask()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        ask()  # ends with a copy to the host, and so waits for the device
        calls += 1
    return calls / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
