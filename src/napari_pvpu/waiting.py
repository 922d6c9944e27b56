"""How torch's threads wait for each other; to be settled before torch is imported."""

from __future__ import annotations

import os

__all__ = ["wait_passively"]


def wait_passively() -> None:
    """Let waiting threads of torch sleep, unless the environment says how they should wait.

    By default OpenMP's threads wait by spinning. As soon as one core has something else to do
    (napari's drawing, another program, a second worker), the others burn their time waiting for
    the thread that was put off, and everything becomes up to thirty times slower. The library
    looks at the environment once, when torch is imported: call this before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
