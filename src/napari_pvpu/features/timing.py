"""How long a network takes for a view and for an interaction, on the machine at hand."""

from __future__ import annotations

import time
from contextlib import nullcontext
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import torch

from napari_pvpu.features.devices import choose_device, keep_memory, one_thread
from napari_pvpu.features.encoder import SMALL
from napari_pvpu.features.prompt_tensors import prompt_batch
from napari_pvpu.networks.inference import fast_decode
from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.prompts import Click

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["Speed", "measure"]


class Speed(NamedTuple):
    """Medians, in milliseconds."""

    encode_ms: float
    interaction_ms: float


def measure(
    network: PromptableNetwork, device: str = "auto", repeats: int = 5, seconds: float = 0.5
) -> Speed:
    """Time a network as a session uses it: one view, two clicks, a mask before.

    Parameters
    ----------
    network : PromptableNetwork
        Its weights do not matter. It is put on the device and into evaluation mode.
    device : str
        See `choose_device`.
    repeats : int
        Runs of each part, after one that does not count.
    seconds : float
        Start no further run of a part after this long; one is always made.

    Returns
    -------
    Speed
        Medians.
    """
    place = choose_device(device)
    network = network.to(place).eval().requires_grad_(False)
    keep_memory()
    size = network.config.view_size
    generator = torch.Generator().manual_seed(0)
    view = torch.rand(1, 3, size, size, generator=generator).to(place)
    previous = torch.rand(1, 1, size, size, generator=generator).to(place)
    clicks = [Click((0.3 * size, 0.4 * size)), Click((0.7 * size, 0.5 * size), positive=False)]
    prompts = prompt_batch(clicks).to(place)
    decode = fast_decode(network)
    small = place.type == "cpu" and count_parameters(network)[0] < SMALL
    with torch.inference_mode(), one_thread() if small else nullcontext():
        features = network.encode(view)
        encode_ms = _median_ms(lambda: network.encode(view).inside, repeats, seconds)
        decode_ms = _median_ms(
            lambda: decode(features, prompts, previous, second_reading=True).logits,
            repeats,
            seconds,
        )
    return Speed(encode_ms, decode_ms)


def _median_ms(run: Callable[[], torch.Tensor], repeats: int, seconds: float) -> float:
    """Median of several runs, each until its result can be read."""
    begin = time.perf_counter()
    taken: list[float] = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        run().flatten()[0].item()
        taken.append((time.perf_counter() - start) * 1e3)
        if time.perf_counter() - begin > seconds:
            break
    return median(taken[1:] or taken)
