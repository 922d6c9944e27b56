"""Several processes that train together, as ``torchrun`` starts them."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from napari_pvpu.errors import DeviceError
from napari_pvpu.features.devices import choose_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["first_alone", "is_first", "stopping_on_signals", "training_processes"]

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
        This process's. Tensors on GPUs travel by NCCL, on CPUs by Gloo.

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
    # What the host has to know is agreed on by Gloo, so that it need not wait for a GPU.
    backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
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


@contextmanager
def stopping_on_signals() -> Iterator[Callable[[], bool]]:
    """Take SIGTERM and SIGINT (Ctrl+C) for a wish to stop at the next good moment.

    For the main thread of a command: `Trainer.run` asks after each step, and leaves with a
    checkpoint. The first signal gives back the handlers of before, so that a second one acts as
    usual. In other threads, where Python sets no handlers, nothing is changed.

    Yields
    ------
    callable
        Whether a signal has come.
    """
    came = False
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        while before:
            number, handler = before.popitem()
            if handler is not None:  # one that Python did not set cannot be given back
                signal.signal(number, handler)

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        restore()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, note)
    try:
        yield lambda: came
    finally:
        restore()
