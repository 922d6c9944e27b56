"""What a batch of scenes is drawn with: its size, its device and its random numbers."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

Choice = TypeVar("Choice")


def host_random(generator: torch.Generator) -> random.Random:
    """Make a source of random numbers for Python from the state of a generator.

    Nothing waits for a GPU: the state of a CUDA generator (a seed and a counter) lives on the
    host. A CPU generator moves on by one draw; a CUDA generator moves on with its next draw.

    Parameters
    ----------
    generator : torch.Generator
        On any device.

    Returns
    -------
    random.Random
        The same for the same state.
    """
    if generator.device.type == "cpu":
        return random.Random(int(torch.randint(0, 2**62, (1,), generator=generator)))
    return random.Random(generator.get_state().numpy().tobytes())


class Canvas:
    """A batch of ``B`` square scenes that share how they are built and differ in what they hold.

    What a scene is built of (which shapes, how many at most, which steps) is drawn on the host,
    once for the batch; everything else is drawn for each scene on the device.

    Parameters
    ----------
    count, size : int
        Scenes ``B`` and their side ``S`` in pixels.
    generator : torch.Generator
        Of the numbers on the device, which is the scenes'.
    host : random.Random
        Of the choices in Python.
    """

    def __init__(
        self, count: int, size: int, generator: torch.Generator, host: random.Random
    ) -> None:
        self.count, self.size = count, size
        self.generator, self.host = generator, host
        self.device = generator.device

    def rand(self, *shape: int) -> Tensor:
        """Draw uniform numbers of 0 to 1, ``(B, *shape)``."""
        return torch.rand(self.count, *shape, generator=self.generator, device=self.device)

    def randn(self, *shape: int) -> Tensor:
        """Draw normal numbers, ``(B, *shape)``."""
        return torch.randn(self.count, *shape, generator=self.generator, device=self.device)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw a number for each scene, ``(B, 1, 1)``, or ``(B, *shape)`` of them."""
        return low + (high - low) * self.rand(*(shape or (1, 1)))

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw like `uniform`, evenly in the logarithm."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def chance(self, share: float, *shape: int) -> Tensor:
        """Draw 1.0 with a chance of `share`, else 0.0, ``(B, 1, 1)`` or ``(B, *shape)``."""
        return (self.rand(*(shape or (1, 1))) < share).float()

    def odds(self, share: float) -> bool:
        """Decide for the whole batch, True with a chance of `share`."""
        return self.host.random() < share

    def between(self, low: float, high: float) -> float:
        """Draw one number for the whole batch."""
        return self.host.uniform(low, high)

    def log_between(self, low: float, high: float) -> float:
        """Draw one number for the whole batch, evenly in the logarithm."""
        return math.exp(self.host.uniform(math.log(low), math.log(high)))

    def choose(self, options: Sequence[Choice]) -> Choice:
        """Take one of the options for the whole batch."""
        return self.host.choice(options)

    def coordinates(self) -> Tensor:
        """Return rows and columns of all pixels, ``(2, S, S)`` float32."""
        axis = torch.arange(self.size, device=self.device, dtype=torch.float32)
        return torch.stack(torch.meshgrid(axis, axis, indexing="ij"))
