"""Which device runs the network."""

from __future__ import annotations

import torch

from napari_pvpu.errors import DeviceError

__all__ = ["choose_device"]


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
