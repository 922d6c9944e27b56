"""The network behind a numpy interface: views in, features kept, logits out."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from contextlib import nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from napari_pvpu.errors import DeviceError
from napari_pvpu.features.devices import choose_device, keep_memory, one_thread
from napari_pvpu.features.kept_features import FeatureKeeper
from napari_pvpu.features.prompt_tensors import prompt_batch
from napari_pvpu.features.runners import SafeRunner, TorchRunner
from napari_pvpu.model_files import load_network
from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.propagation.between_planes import carry
from napari_pvpu.propagation.within_view import ValuePropagation
from napari_pvpu.records import RawPrediction

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from napari_pvpu.features.runners import Runner
    from napari_pvpu.features.store import FeatureStore
    from napari_pvpu.networks.interface import Features, PromptableNetwork
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.propagation import CarrySettings, PropagationSettings

__all__ = ["ViewEncoder"]

Floats = npt.NDArray[np.float32]

SMALL = 10_000_000
"""Parameters below which a network is faster in one thread than in several."""


class ViewEncoder:
    """A network on a device, with the features of the views it saw last.

    A device that fails, gives wrong numbers or whose memory is full is left for the CPU, see
    `SafeRunner`. One interaction runs at a time; other threads wait.

    Parameters
    ----------
    model : str or Path
        As for `find_model`.
    device : str
        See `choose_device`.
    cache_views : int
        Views whose features are kept in memory, the last used ones; about 1 MB each.
    precision : str
        Of the image encoder: ``"auto"``, ``"float32"``, ``"bf16"`` or ``"float16"``; see
        `SafeRunner`.
    store : FeatureStore, optional
        Where features are looked for before the encoder runs, and kept afterwards.
    rounded : bool, optional
        Whether features are rounded to float16 as a store does, so that answers are the same with
        and without one. By default with a store only.
    runtime : str or Path
        ``"torch"``, or a folder that `export_onnx` wrote for this model, for ONNX Runtime, or
        ``"onnx"``: each part by whichever of both is faster at it here, see `FasterRunner`.

    Raises
    ------
    ModelNotFoundError, ConfigError, WeightsError, DeviceError
        If the model is unknown, cannot be built or is damaged, or the device cannot be used.
    """

    def __init__(
        self,
        model: str | Path = "pvpu-nano",
        device: str = "auto",
        cache_views: int = 64,
        precision: str = "auto",
        *,
        store: FeatureStore | None = None,
        rounded: bool | None = None,
        runtime: str | Path = "torch",
    ) -> None:
        make: Callable[..., Runner] = TorchRunner
        if runtime != "torch":
            device, make = _on_cpu(device, precision), partial(_onnx_runner, runtime=runtime)
        place = choose_device(device)
        self._kept: OrderedDict[Hashable, Features] = OrderedDict()
        load = partial(_load, model)
        self._runner = SafeRunner(load, place, precision, release=self._kept.clear, make=make)
        self._small = count_parameters(self._runner.network)[0] < SMALL
        keep_memory()
        self._cache_views = max(1, cache_views)
        self._store = store
        self._rounded = store is not None if rounded is None else rounded
        self._lock = threading.RLock()

    @property
    def device(self) -> str:
        """Device in use."""
        return str(self._runner.device)

    @property
    def precision(self) -> str:
        """Precision in which the image encoder computes."""
        return self._runner.precision

    @property
    def runtime(self) -> str:
        """What computes, for people to read: with ``"onnx"`` which part and why."""
        return self._runner.runtime

    @property
    def notice(self) -> str | None:
        """One sentence on why a device was left for the CPU, if it was."""
        return self._runner.notice

    @cached_property
    def weights_id(self) -> str:
        """Checksum of the network's numbers and their names, 32 hexadecimal digits."""
        digest = hashlib.blake2b(digest_size=16)
        with self._lock:
            for name, values in sorted(self._runner.network.state_dict().items()):
                digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
                digest.update(values.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def view_size(self) -> int:
        """Model pixels per side of a view."""
        return self._runner.network.config.view_size

    @property
    def model_name(self) -> str:
        """Name in the model's config."""
        return self._runner.network.config.name

    @property
    def cache_views(self) -> int:
        """Views whose features are kept in memory."""
        return self._cache_views

    @property
    def store(self) -> FeatureStore | None:
        """Where features are kept beyond this program, if anywhere."""
        return self._store

    @property
    def kept_precision(self) -> str:
        """Of the features that are handed out: float16 where a store may be in play."""
        return "float16" if self._rounded else "float32"

    def cached(self, key: Hashable) -> Features | None:
        """Return the features kept under a key, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def encode(self, view: Floats, key: Hashable | None = None) -> Features:
        """Return what the store has of a view, or run the image encoder on it.

        Parameters
        ----------
        view : array, (3, S, S), float32
            0 to 1, NaN outside the image.
        key : hashable, optional
            Under which to keep the features.

        Returns
        -------
        Features
            To be handed to `decode`.
        """
        with self._lock, torch.inference_mode(), self._threads():
            features = self._recalled(view) or self._computed(view)
            if key is not None:
                self._kept[key] = features
                self._kept.move_to_end(key)
                while len(self._kept) > self._cache_views:
                    self._kept.popitem(last=False)
        return features

    def decode(
        self,
        features: Features,
        prompts: Sequence[Prompt],
        previous: Floats | None = None,
        propagation: PropagationSettings | None = None,
    ) -> RawPrediction:
        """Run the light part of the network on prompts.

        Parameters
        ----------
        features : Features
            Of the view.
        prompts : sequence of Prompt
            In view coordinates.
        previous : array, (S, S), float32, optional
            Probability after the interaction before.
        propagation : PropagationSettings, optional
            Spread the prompts' values by EM as well.

        Returns
        -------
        RawPrediction
            Logits (S, S), with and without EM.
        """
        with self._lock, torch.inference_mode(), self._threads():
            start = time.perf_counter()
            batch = prompt_batch(prompts)
            fed = None if previous is None else torch.from_numpy(previous)[None, None]
            decoded = self._runner.decode(features, batch, fed)
            logits = _to_numpy(decoded.logits)
            decode_ms = _ms_since(start)
            propagated, em_ms = None, 0.0
            if propagation is not None:
                start = time.perf_counter()
                batch = batch.to(decoded.logits.device)
                propagated = _to_numpy(ValuePropagation(propagation)(decoded, batch))
                em_ms = _ms_since(start)
            score = float(decoded.score[0])
        return RawPrediction(logits, propagated, score, decode_ms, em_ms)

    def carry(
        self,
        known: Sequence[tuple[Features, Floats, float]],
        features: Features,
        settings: CarrySettings,
    ) -> Floats:
        """Carry an object from planes where it is known to another, by EM.

        Parameters
        ----------
        known : sequence of (Features, array, float)
            For each known plane its features, the probability of the object there, (S, S)
            float32, and how much the plane counts.
        features : Features
            Of the other plane, through the same view.
        settings : CarrySettings
            See `napari_pvpu.propagation.between_planes.carry`.

        Returns
        -------
        array, (S, S), float32
            Probability of the object in the other plane.
        """
        with self._lock, torch.inference_mode(), self._threads():
            units = [(each, torch.from_numpy(seen), weight) for each, seen, weight in known]
            return np.asarray(carry(units, features, settings).cpu().numpy(), np.float32)

    def embed(self, view: Floats) -> bool:
        """Have the store hold a view's features; tell whether the encoder had to run for that."""
        with self._lock, torch.inference_mode(), self._threads():
            if self._recalled(view) is not None:
                return False
            self._computed(view)
        return True

    def _recalled(self, view: Floats) -> Features | None:
        if self._store is None:
            return None
        return self._keeper.recall(view, self._runner.network, self.precision)

    def _computed(self, view: Floats) -> Features:
        features = self._runner.encode(torch.from_numpy(view)[None])
        if not self._rounded:
            return features
        # A device may have been left for the CPU just now: ask for the precision afterwards.
        return self._keeper.keep(view, features, self._runner.network, self.precision)

    @cached_property
    def _keeper(self) -> FeatureKeeper:
        return FeatureKeeper(self._store, self.weights_id, self._runner.network)

    def _threads(self) -> AbstractContextManager[None]:
        """Torch's threads, one or all of them, for what is computed next."""
        on_cpu = self._runner.device.type == "cpu"
        return one_thread() if self._small and on_cpu else nullcontext()


def _load(model: str | Path) -> PromptableNetwork:
    with one_thread():  # many small tensors are filled
        return load_network(model)


def _on_cpu(device: str, precision: str) -> str:
    """Return the CPU's name if a device and a precision allow for it and float32."""
    if device not in ("auto", "cpu") or precision not in ("auto", "float32"):
        raise DeviceError(
            f"ONNX Runtime is used on the CPU in float32, not on {device!r} in {precision!r}; "
            "leave both at 'auto', or use runtime='torch'"
        )
    return "cpu"


def _onnx_runner(
    network: PromptableNetwork, device: torch.device, precision: str, runtime: str | Path
) -> Runner:
    from napari_pvpu.features.faster_runner import FasterRunner
    from napari_pvpu.features.onnx_runtime import OnnxRunner

    small = count_parameters(network)[0] < SMALL
    threads = 1 if small else torch.get_num_threads()
    if runtime == "onnx":  # a folder of that name is "./onnx"
        return FasterRunner(network, threads)
    return OnnxRunner(network, runtime, threads)


def _to_numpy(logits: torch.Tensor) -> Floats:
    return np.asarray(logits[0, 0].float().cpu().numpy(), np.float32)


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
