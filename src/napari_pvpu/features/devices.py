"""Which device runs the network."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_pvpu.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["choose_device", "keep_memory", "one_thread"]

_LARGEST_KEPT = 2**25 - 2**16
"""Bytes, a little less than the most that glibc ever keeps for itself."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name, once it has shown that it works.

    Parameters
    ----------
    name : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` and so on, or ``"mps"``. ``"auto"`` takes
        the first CUDA device that works, else the CPU. It never takes MPS: the default network
        is so small that sending work there and back costs more than it saves.

    Raises
    ------
    DeviceError
        If the name is unknown or the device is not there or does not work.
    """
    if name == "auto":
        try:
            return _tried(torch.device("cuda"))
        except DeviceError:
            return torch.device("cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(
            f"there is no device {name!r}; choose 'auto', 'cpu', 'cuda' or 'mps'"
        ) from error
    return _tried(device)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in this thread alone.

    The default network is made of some hundred operations of a few dozen microseconds. To share
    one of them out among threads takes as long as to do it, and longer as soon as another
    program, or napari's own drawing, keeps a core busy: the threads wait for each other a
    hundred times in each answer.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_memory() -> None:
    """Have glibc keep memory that was freed, so that it is there for the next answer.

    Intermediate results are a quarter to one megabyte large. By default glibc gives as much back
    to the system at once and gets it again as empty pages, one by one, which costs a third of
    an answer's time. It learns from what it sees: after a block of 32 MB has been freed it keeps
    up to 64 MB. Nothing is written to that block, so this costs neither memory nor time. Other
    systems do not care.
    """
    np.empty(_LARGEST_KEPT, np.uint8)


def _tried(device: torch.device) -> torch.device:
    """Return the device after a small calculation on it."""
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type not in ("cuda", "mps"):
        raise DeviceError(
            f"the device {device.type!r} is not supported; choose 'auto', 'cpu', 'cuda' or 'mps'"
        )
    cuda = device.type == "cuda"
    if not (torch.cuda.is_available() if cuda else torch.backends.mps.is_available()):
        raise DeviceError(
            f"the device {str(device)!r} is not available on this machine or in this build of "
            "torch; choose 'auto' or 'cpu'"
        )
    try:
        # A driver that is too old, or a card that the build has no kernels for, shows only now.
        (torch.ones(2, 2, device=device) @ torch.ones(2, 2, device=device)).cpu()
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(
            f"the device {str(device)!r} does not work ({error}); choose 'auto' or 'cpu'"
        ) from error
    return device
