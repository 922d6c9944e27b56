"""The network behind a numpy interface: views in, features kept, logits out."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from napari_pvpu.features.devices import choose_device, keep_memory, one_thread
from napari_pvpu.features.prompt_tensors import prompt_batch
from napari_pvpu.model_files import load_network
from napari_pvpu.networks.inference import fast_decode
from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.propagation.within_view import ValuePropagation
from napari_pvpu.records import RawPrediction

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from napari_pvpu.networks.interface import Features
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.propagation import PropagationSettings

__all__ = ["ViewEncoder"]

Floats = npt.NDArray[np.float32]

SMALL = 10_000_000
"""Parameters below which a network is faster in one thread than in several."""


class ViewEncoder:
    """A network on a device, with the features of the views it saw last.

    It computes in float32 everywhere: the default network is bound by the number of its
    operations, not by arithmetic, so half precision would change results and save nothing.
    One interaction runs at a time; other threads wait.

    Parameters
    ----------
    model : str or Path
        As for `find_model`.
    device : str
        See `choose_device`.
    cache_views : int
        Views whose features are kept in memory, the last used ones; about 1 MB each.

    Raises
    ------
    ModelNotFoundError, ConfigError, WeightsError, DeviceError
        If the model is unknown, cannot be built or is damaged, or the device cannot be used.
    """

    def __init__(
        self, model: str | Path = "pvpu-nano", device: str = "auto", cache_views: int = 64
    ) -> None:
        self._device = choose_device(device)
        self._network = load_network(model, self._device)
        self._decode = fast_decode(self._network)
        self._small = count_parameters(self._network)[0] < SMALL
        keep_memory()
        self._cache_views = max(1, cache_views)
        self._kept: OrderedDict[Hashable, Features] = OrderedDict()
        self._lock = threading.RLock()

    @property
    def device(self) -> str:
        """Device in use."""
        return str(self._device)

    @cached_property
    def weights_id(self) -> str:
        """Checksum of the network's numbers and their names, 32 hexadecimal digits."""
        digest = hashlib.blake2b(digest_size=16)
        with self._lock:
            for name, values in sorted(self._network.state_dict().items()):
                digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
                digest.update(values.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def view_size(self) -> int:
        """Model pixels per side of a view."""
        return self._network.config.view_size

    @property
    def model_name(self) -> str:
        """Name in the model's config."""
        return self._network.config.name

    def cached(self, key: Hashable) -> Features | None:
        """Return the features kept under a key, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def encode(self, view: Floats, key: Hashable | None = None) -> Features:
        """Run the image encoder on a view.

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
            features = self._network.encode(torch.from_numpy(view)[None].to(self._device))
            self._wait()
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
            batch = prompt_batch(prompts).to(self._device)
            fed = None
            if previous is not None:
                fed = torch.from_numpy(previous)[None, None].to(self._device)
            decoded = self._decode(features, batch, fed, second_reading=True)
            logits = _to_numpy(decoded.logits)
            decode_ms = _ms_since(start)
            propagated, em_ms = None, 0.0
            if propagation is not None:
                start = time.perf_counter()
                propagated = _to_numpy(ValuePropagation(propagation)(decoded, batch))
                em_ms = _ms_since(start)
            score = float(decoded.score[0])
        return RawPrediction(logits, propagated, score, decode_ms, em_ms)

    def _threads(self) -> AbstractContextManager[None]:
        """Torch's threads, one or all of them, for what is computed next."""
        return one_thread() if self._small and self._device.type == "cpu" else nullcontext()

    def _wait(self) -> None:
        """Let the device finish, so that what was measured is what was done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()


def _to_numpy(logits: torch.Tensor) -> Floats:
    return np.asarray(logits[0, 0].float().cpu().numpy(), np.float32)


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
