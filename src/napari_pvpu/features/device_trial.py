"""Which devices are here, and whether they compute what the CPU computes in float32.

The same fixed inputs go through a network on both; the answers are compared as logits and as
masks. The program asks this of a device before it uses it, and ``napari-pvpu doctor`` of all.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import torch

from napari_pvpu.features.prompt_tensors import prompt_batch
from napari_pvpu.prompts import Box, Click, Scribble

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pvpu.features.runners import Runner
    from napari_pvpu.networks.prompt_batch import PromptBatch

__all__ = ["PRECISIONS", "Comparison", "Trial", "compare", "present_devices", "time_runner"]

PRECISIONS = ("auto", "float32", "bf16", "float16")
"""What may be asked for."""

_LOGITS = {"float32": 0.05, "float16": 0.5, "bf16": 1.0}
"""Largest difference of a logit that counts as rounding. Cards multiply float32 in convolutions
with mantissas of 10 bits (TF32); bf16 has 7."""

_IOU = 0.99
"""Least intersection over union of two masks that count as equal."""


class Comparison(NamedTuple):
    """How far answers are from those of the CPU in float32.

    Attributes
    ----------
    difference : float
        Largest absolute difference of a logit; NaN or infinite where answers are not finite.
    iou : float
        Intersection over union of the masks (logits above 0) of all questions together, 0 to 1.
    """

    difference: float
    iou: float

    def equal(self, precision: str = "float32") -> bool:
        """Whether the difference is no more than rounding in that precision."""
        return self.difference <= _LOGITS[precision] and self.iou >= _IOU

    def __str__(self) -> str:
        return f"logits differ by up to {self.difference:.2g}, masks agree to IoU {self.iou:.3f}"


class Trial:
    """Fixed inputs: one view, and four questions of all kinds of prompts.

    Parameters
    ----------
    size : int
        Model pixels per side of the view.

    Attributes
    ----------
    view : Tensor
        (1, 3, S, S) float32, 0 to 1, bright disks on a dark ground; NaN in a margin on the left,
        as where a view leaves its image.
    questions : list of tuple of PromptBatch and (Tensor or None)
        Prompts, and the probability (1, 1, S, S) before them.
    """

    def __init__(self, size: int) -> None:
        row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")

        def disk(at_row: float, at_column: float, radius: float) -> Tensor:
            distance = torch.hypot(row - at_row * size, column - at_column * size)
            return torch.sigmoid((radius * size - distance) / 2)

        ground = 0.2 + 0.1 * torch.sin(row / 9) * torch.cos(column / 7)
        first, second = disk(0.4, 0.4, 0.2), disk(0.7, 0.75, 0.13)
        pixels = (ground + 0.5 * first + 0.4 * second).clamp(0, 1)
        self.view = torch.stack([pixels, pixels**2, pixels.sqrt()])[None]
        self.view[..., : size // 16] = torch.nan
        before = (0.9 * disk(0.45, 0.4, 0.17))[None, None]
        click, other = Click((0.4 * size, 0.4 * size)), Click((0.7 * size, 0.75 * size))
        wrong = Click((0.1 * size, 0.6 * size), positive=False)
        box = Box((0.55 * size, 0.6 * size), (0.85 * size, 0.9 * size))
        line = Scribble(((0.3 * size, 0.35 * size), (0.5 * size, 0.45 * size)))
        self.questions: list[tuple[PromptBatch, Tensor | None]] = [
            (prompt_batch([click]), None),
            (prompt_batch([click, wrong]), before),
            (prompt_batch([box]), None),
            (prompt_batch([line, other, wrong]), before),
        ]

    @torch.inference_mode()
    def ask(self, runner: Runner) -> list[Tensor]:
        """Return the logits (S, S), on the CPU, that a runner gives to each question."""
        features = runner.encode(self.view)
        return [
            runner.decode(features, prompts, before).logits[0, 0].float().cpu()
            for prompts, before in self.questions
        ]


def compare(answers: list[Tensor], wanted: list[Tensor]) -> Comparison:
    """Compare answers to a trial, each (S, S), with those of the CPU in float32."""
    one, two = torch.stack(answers), torch.stack(wanted)
    inside, there = one > 0, two > 0
    union = int((inside | there).sum())
    iou = int((inside & there).sum()) / union if union else 1.0
    return Comparison(float((one - two).abs().max()), iou)


def present_devices() -> list[str]:
    """Return the names of all devices that torch sees, the CPU first."""
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names


@torch.inference_mode()
def time_runner(runner: Runner, trial: Trial, repeats: int = 9) -> tuple[float, float]:
    """Return the medians of encoding a trial's view and of one interaction, milliseconds."""
    prompts, before = trial.questions[1]
    features = runner.encode(trial.view)
    encode, interaction = [], []
    for _ in range(repeats):
        start = perf_counter()
        runner.encode(trial.view)
        encode.append((perf_counter() - start) * 1e3)
        start = perf_counter()
        # Until a number can be read, so that the device has finished.
        runner.decode(features, prompts, before).logits.sum().item()
        interaction.append((perf_counter() - start) * 1e3)
    return median(encode), median(interaction)
