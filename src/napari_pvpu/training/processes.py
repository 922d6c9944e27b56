"""Several processes that train together, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import distributed

from napari_pvpu.errors import DeviceError
from napari_pvpu.features.devices import choose_device

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["first_alone", "is_first", "training_processes"]

# The first process may take long to make scenes while the others wait.
_PATIENCE = timedelta(hours=6)


@contextmanager
def training_processes(device: str) -> Iterator[torch.device]:
    """Join the other processes of a run if ``torchrun`` started several, else do nothing.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``; each process takes the GPU of its local number.

    Yields
    ------
    torch.device
        This process's. GPUs talk by NCCL, CPUs by Gloo.

    Raises
    ------
    DeviceError
        If the device cannot be used, or there are fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield choose_device(device)
        return
    place = choose_device(device)
    if place.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise DeviceError(
                f"process {local} of this machine has no GPU: there are "
                f"{torch.cuda.device_count()}; start as many processes, or use --device cpu"
            )
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    backend = "nccl" if place.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield place
    finally:
        distributed.destroy_process_group()


def is_first() -> bool:
    """Whether this is the process that writes files: the only one, or number 0."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


@contextmanager
def first_alone() -> Iterator[None]:
    """Let the first process go through a block before the others, to make what they read there."""
    several = distributed.is_initialized()
    if several and not is_first():
        distributed.barrier()
    yield
    if several and is_first():
        distributed.barrier()
