"""Parts of a network run by ``torch.compile``, where that works."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import torch

from napari_pvpu.networks.prompt_batch import CLICK, PromptBatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["compile_network"]

LOGGER = logging.getLogger(__name__)


def compile_network(
    network: PromptableNetwork,
    what: Literal["none", "encoder", "all"],
    view: Tensor,
    objects: int,
    autocast: AbstractContextManager[None],
    backend: str = "inductor",
) -> None:
    """Have parts of a network compiled, and try whether they work.

    Names of weights and the Python side of the network stay as they are. If anything fails, one
    line of warning says so and the network is as before.

    Parameters
    ----------
    network : PromptableNetwork
        In training mode, on its device. Its running statistics, gradients and the random numbers
        of the device come out as they went in.
    what : str
        See `TrainingConfig`.
    view : Tensor
        ``(B, 3, S, S)``, of the shape that is trained on.
    objects : int
        Objects of each view.
    autocast : context manager
        The precision that is trained with.
    backend : str
        Of ``torch.compile``.
    """
    if what == "none":
        return
    parts = list(_parts(network, what))
    buffers = [b.clone() for b in network.buffers()]
    devices = [view.device] if view.device.type == "cuda" else []
    try:
        for part in parts:
            # Prompts come one by one: their number varies, the shapes of views do not.
            part.compile(dynamic=None if what == "all" else False, backend=backend)
        with torch.random.fork_rng(devices), autocast:
            _try(network, view, objects)
    # Whatever a compiler trips over, training goes on without it.
    except Exception as error:
        for part in parts:
            part._compiled_call_impl = None
        LOGGER.warning(
            "torch.compile fails here, training goes on without it: %s",
            (str(error).strip() or type(error).__name__).splitlines()[0],
        )
    finally:
        network.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in zip(network.buffers(), buffers, strict=True):
                buffer.copy_(before)


def _parts(network: PromptableNetwork, what: str) -> Iterator[nn.Module]:
    yield from network.encoder_modules()
    if what == "all":
        once = {id(m) for m in network.encoder_modules()}
        yield from (m for m in network.children() if id(m) not in once)


def _try(network: PromptableNetwork, view: Tensor, objects: int) -> None:
    """Go forward and back with one prompt an object and with two."""
    for slots in (1, 2):
        features = network.encode(view).repeat(objects)
        count = len(view) * objects
        prompts = PromptBatch.empty(count, slots, device=view.device)
        prompts.kind.fill_(CLICK)
        prompts.positive.fill_(True)
        prompts.valid[..., 0] = True
        previous = None if slots == 1 else features.inside * 0.5
        network.decode(features, prompts, previous).logits.float().mean().backward()
