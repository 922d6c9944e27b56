"""Torch or ONNX Runtime: each part of a network by what is faster at it on this machine."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import median
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, NamedTuple

import torch

from napari_pvpu.features.device_trial import Trial, compare
from napari_pvpu.features.devices import one_thread
from napari_pvpu.features.onnx_files import kept_name, kept_runner
from napari_pvpu.features.runners import TorchRunner

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pvpu.features.runners import Runner
    from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
    from napari_pvpu.networks.prompt_batch import PromptBatch

__all__ = ["Choice", "FasterRunner", "Times", "measure"]

LOGGER = logging.getLogger(__name__)

_ROUNDS = 9
_EQUAL = 1e-3
"""Largest difference of a logit between both; it is 1e-5 for pvpu-nano."""


class Times(NamedTuple):
    """Medians of the same work by both, milliseconds."""

    torch: float
    onnx: float

    @property
    def faster(self) -> str:
        """``"torch"`` or ``"onnx"``."""
        return "onnx" if self.onnx < self.torch else "torch"

    def __str__(self) -> str:
        if self.faster == "onnx":
            return f"ONNX Runtime ({self.onnx:.1f} ms, torch {self.torch:.1f} ms)"
        return f"torch ({self.torch:.1f} ms, ONNX Runtime {self.onnx:.1f} ms)"


@dataclass(frozen=True, slots=True)
class Choice:
    """What takes which part, and why; its text says so.

    Attributes
    ----------
    encoder, decoder : Times
        Of one view, and of one interaction.
    difference : float
        Largest difference of a logit between both.
    """

    encoder: Times
    decoder: Times
    difference: float

    @property
    def equal(self) -> bool:
        """Whether ONNX Runtime gives torch's numbers; otherwise it is not used at all."""
        return self.difference <= _EQUAL

    @property
    def uses_onnx(self) -> bool:
        """Whether ONNX Runtime takes a part."""
        return self.equal and "onnx" in (self.encoder.faster, self.decoder.faster)

    def __str__(self) -> str:
        if not self.equal:
            return (
                "torch, because ONNX Runtime gives other numbers (logits differ by up to "
                f"{self.difference:.2g})"
            )
        return f"encoder: {self.encoder}; decoder: {self.decoder}"


_LOCK = threading.Lock()
_CHOICES: dict[tuple[str, int], Choice] = {}
"""By a network's files and the number of threads: a machine is measured once in a process."""


class FasterRunner:
    """A `Runner` on the CPU in float32 that shares its work out to torch and ONNX Runtime.

    Both answer the same fixed questions in turns, once in a process for the same network and
    threads; what is faster at encoding encodes, what is faster at decoding decodes. Where both are
    about as fast, the choice, and with it the last digits of answers, may be another one at the
    next start.

    Parameters
    ----------
    network : PromptableNetwork
        Of a kind that `export_onnx` takes, on the CPU, in evaluation mode.
    threads : int
        Of ONNX Runtime, and what torch will have.

    Attributes
    ----------
    choice : Choice
        What takes which part.

    Raises
    ------
    ConfigError
        If the network is of another kind, or a package of the extra "onnx" is missing.
    """

    def __init__(self, network: PromptableNetwork, threads: int = 1) -> None:
        self.device, self.precision = torch.device("cpu"), "float32"
        plain: Runner = TorchRunner(network, self.device)
        other = plain
        key = kept_name(network), threads
        with _LOCK:
            known = _CHOICES.get(key)
            if known is None or known.uses_onnx:
                other = kept_runner(network, threads)
            if known is None:
                trial = Trial(network.config.view_size)
                known = _CHOICES[key] = measure(plain, other, trial, threads)
                LOGGER.info("%s: %s", network.config.name, known)
        self.choice = known
        parts = {"torch": plain, "onnx": other if known.uses_onnx else plain}
        self._encoder, self._decoder = parts[known.encoder.faster], parts[known.decoder.faster]

    @property
    def runtime(self) -> str:
        """What computes which part, and both times."""
        return str(self.choice)

    def encode(self, views: Tensor) -> Features:
        """Do as `Runner.encode`."""
        return self._encoder.encode(views)

    def decode(self, features: Features, prompts: PromptBatch, previous: Tensor | None) -> Decoded:
        """Do as `Runner.decode`."""
        return self._decoder.decode(features, prompts, previous)


def measure(plain: Runner, other: Runner, trial: Trial, threads: int = 1) -> Choice:
    """Compare torch and ONNX Runtime in what they answer, and how soon.

    What counts is the processor's time where one thread does all the work, as other programs
    hardly disturb that, else the time on the wall.

    Parameters
    ----------
    plain, other : Runner
        The same network by torch and by ONNX Runtime.
    trial : Trial
        What they are asked.
    threads : int
        With 1, torch is kept to one thread meanwhile; otherwise it has those that it has.
    """
    # Windows counts a thread's time in steps of 16 ms.
    clock = thread_time if threads == 1 and sys.platform != "win32" else perf_counter
    encode: tuple[list[float], list[float]] = ([], [])
    decode: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode(), one_thread() if threads == 1 else nullcontext():
        found = compare(trial.ask(other), trial.ask(plain))  # warms both up, too
        features = plain.encode(trial.view)
        for _ in range(_ROUNDS):  # in turns, so that other programs disturb both alike
            for number, runner in enumerate((plain, other)):
                start = clock()
                runner.encode(trial.view)
                encode[number].append((clock() - start) * 1e3)
                # A first click, and a later one, for which a decoder may read twice.
                for prompts, before in trial.questions[:2]:
                    start = clock()
                    runner.decode(features, prompts, before)
                    decode[number].append((clock() - start) * 1e3)
    return Choice(Times(*map(median, encode)), Times(*map(median, decode)), found.difference)
