"""What computes: a network on a device in a precision, and what to do when that goes wrong."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import torch

from napari_pvpu.errors import DeviceError, DeviceWarning
from napari_pvpu.features.device_trial import PRECISIONS, Trial, compare, time_runner
from napari_pvpu.features.devices import one_thread
from napari_pvpu.features.prompt_tensors import reads_twice
from napari_pvpu.networks.inference import fast_decode
from napari_pvpu.networks.inference_encoder import fast_encode
from napari_pvpu.networks.interface import Features

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_pvpu.networks.interface import Decoded, PromptableNetwork
    from napari_pvpu.networks.prompt_batch import PromptBatch

__all__ = ["Runner", "SafeRunner", "TorchRunner"]

_HALF = {"bf16": torch.bfloat16, "float16": torch.float16}
_WORTH_IT = 1.2
"""Half precision has to be this many times as fast as float32 to be chosen."""


# torch raises RuntimeError for full memory, for failed kernels and, as NotImplementedError, for
# operations that a device lacks.
class _WrongNumbersError(RuntimeError):
    """Numbers that the CPU would not give; the message begins with "it gave"."""


class Runner(Protocol):
    """What encodes views and answers prompts; tensors come from and go to the CPU or its device."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def precision(self) -> str:
        """Of the encoder: ``"float32"``, ``"bf16"`` or ``"float16"``."""

    @property
    def runtime(self) -> str:
        """What computes, for people to read."""

    def encode(self, views: Tensor) -> Features:
        """Return the features of views (B, 3, S, S), float32, NaN outside the image."""

    def decode(self, features: Features, prompts: PromptBatch, previous: Tensor | None) -> Decoded:
        """Answer prompts; `previous` is None or (B, 1, S, S)."""


class TorchRunner:
    """A network on a device.

    Only the encoder computes in half precision; what it gives is float32 again. A decoder takes
    so little arithmetic that nothing would be saved.

    Parameters
    ----------
    network : PromptableNetwork
        In evaluation mode, without gradients; it is moved to the device.
    device : torch.device
        See `choose_device`.
    precision : str
        ``"float32"``, ``"bf16"`` or ``"float16"``.
    """

    runtime = "torch"

    def __init__(
        self, network: PromptableNetwork, device: torch.device, precision: str = "float32"
    ) -> None:
        self.device, self.precision = device, precision
        self._network = network.to(device)
        with one_thread():  # what these try out is small, see there
            self._decode = fast_decode(self._network)
            self._encode = fast_encode(self._network)

    def encode(self, views: Tensor) -> Features:
        """Do as `Runner.encode`, and wait for the device, so that time measured is time used."""
        views = views.to(self.device)
        if self.precision == "float32":
            features = self._encode(views)
        else:
            with torch.autocast(self.device.type, dtype=_HALF[self.precision]):
                features = self._network.encode(views)
        self._wait()
        return features.map(_as_float32)

    def decode(self, features: Features, prompts: PromptBatch, previous: Tensor | None) -> Decoded:
        """Do as `Runner.decode`, with a second reading where that helps, see `reads_twice`."""
        if features.image.device != self.device:  # kept from before a fallback
            features = features.map(lambda tensor: tensor.to(self.device))
        if self.device.type != "cpu":
            prompts = prompts.to(self.device)
            previous = None if previous is None else previous.to(self.device)
        return self._decode(features, prompts, previous, second_reading=reads_twice(prompts))

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


class SafeRunner:
    """Runs a network on a device for as long as that gives what the CPU would give.

    On a device other than the CPU, or in half precision, fixed inputs are answered first and
    compared with the CPU's answers in float32. A device that errs, fails or whose memory is full
    is left for the CPU with one sentence, a `DeviceWarning`, that also stays in `notice`. When
    memory is full, what is kept on the device is let go and the work done once more, views in two
    halves, before it is given up.

    Parameters
    ----------
    load : callable
        Returns the network, on the CPU; called again for a fallback.
    device : torch.device
        See `choose_device`.
    precision : str
        ``"auto"`` stays with float32 on the CPU, so that the same session gives the same bits
        again; on other devices it takes the fastest that is equal, if it is clearly faster.
    release : callable, optional
        Lets go of features that are kept on the device.
    make : callable, optional
        What makes a runner of a network, a device and a precision.

    Attributes
    ----------
    network : PromptableNetwork
        The one in use.
    notice : str or None
        Why the device was left, in one sentence.

    Raises
    ------
    DeviceError
        If the precision is unknown.
    """

    def __init__(
        self,
        load: Callable[[], PromptableNetwork],
        device: torch.device,
        precision: str = "auto",
        *,
        release: Callable[[], None] = lambda: None,
        make: Callable[[PromptableNetwork, torch.device, str], Runner] = TorchRunner,
    ) -> None:
        if precision not in PRECISIONS:
            raise DeviceError(
                f"there is no precision {precision!r}; choose one of {', '.join(PRECISIONS)}"
            )
        self.notice: str | None = None
        self._load, self._make, self._release = load, make, release
        self.network = load()
        self._cpu = torch.device("cpu")
        if device.type == "cpu" and precision in ("auto", "float32"):
            self._runner = make(self.network, self._cpu, "float32")
            return
        trial = Trial(self.network.config.view_size)
        wanted = trial.ask(TorchRunner(self.network, self._cpu))
        try:
            self._runner = self._checked(device, precision, trial, wanted)
        except RuntimeError as error:
            self._fall_back(device, _reason(error))

    @property
    def device(self) -> torch.device:
        """Where it computes now."""
        return self._runner.device

    @property
    def precision(self) -> str:
        """Of the encoder, now."""
        return self._runner.precision

    @property
    def runtime(self) -> str:
        """What computes now, for people to read."""
        return self._runner.runtime

    def encode(self, views: Tensor) -> Features:
        """Do as `Runner.encode`, wherever that works."""
        if self._plain:
            return self._runner.encode(views)
        try:
            return self._encode_or_smaller(views)
        except RuntimeError as error:
            self._fall_back(self.device, _reason(error))
            return self._runner.encode(views)

    def decode(self, features: Features, prompts: PromptBatch, previous: Tensor | None) -> Decoded:
        """Do as `Runner.decode`, wherever that works, with finite logits."""
        if self._plain:
            return self._runner.decode(features, prompts, previous)
        try:
            try:
                decoded = self._runner.decode(features, prompts, previous)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                self._free()
                decoded = self._runner.decode(features, prompts, previous)
            if bool(decoded.logits.isfinite().all()):
                return decoded
            reason = "it gave logits that are not finite"
        except RuntimeError as error:
            reason = _reason(error)
        self._fall_back(self.device, reason)
        return self._runner.decode(features, prompts, previous)

    @property
    def _plain(self) -> bool:
        return self.device.type == "cpu" and self.precision == "float32"

    def _encode_or_smaller(self, views: Tensor) -> Features:
        try:
            features = self._runner.encode(views)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            self._free()
            parts = [self._runner.encode(part) for part in views.tensor_split(2) if len(part)]
            features = _joined(parts)
        if not all(bool(level.isfinite().all()) for level in features.levels):
            raise _WrongNumbersError("it gave features that are not finite")
        return features

    def _checked(
        self, device: torch.device, precision: str, trial: Trial, wanted: list[Tensor]
    ) -> Runner:
        """Return a runner that answers the trial as wanted, or raise what tells why not."""

        def tried(name: str) -> Runner:
            runner = self._make(self.network, device, name)
            found = compare(trial.ask(runner), wanted)
            if not found.equal(name):
                raise _WrongNumbersError(f"it gave other numbers in {name}: {found}")
            return runner

        if precision != "auto":
            return tried(precision)
        best = tried("float32")
        best_ms = time_runner(best, trial)[0] / _WORTH_IT
        for name in _HALF:
            with suppress(RuntimeError):  # a device need not have, or be good at, all precisions
                half = tried(name)
                half_ms = time_runner(half, trial)[0]
                if half_ms < best_ms:
                    best, best_ms = half, half_ms
        return best

    def _fall_back(self, device: torch.device, reason: str) -> None:
        self.notice = (
            f"The device {str(device)!r} is not used any more, the CPU is, because {reason}."
        )
        self.network = self._load()
        self._runner = self._make(self.network, self._cpu, "float32")
        self._free()
        warnings.warn(self.notice, DeviceWarning, stacklevel=3)

    def _free(self) -> None:
        self._release()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        elif torch.backends.mps.is_available():
            torch.mps.empty_cache()


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()


def _reason(error: Exception) -> str:
    if _is_out_of_memory(error):
        return "its memory is full"
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return words if isinstance(error, _WrongNumbersError) else f"it failed ({words[:200]})"


def _as_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _joined(parts: list[Features]) -> Features:
    levels = tuple(torch.cat(each) for each in zip(*(part.levels for part in parts), strict=True))
    image, inside = torch.cat([p.image for p in parts]), torch.cat([p.inside for p in parts])
    return Features(levels, image, inside)
