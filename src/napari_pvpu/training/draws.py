"""Random choices on the device and on the host, without one waiting for the other."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Draws", "draw_index", "host_generator"]


class Draws:
    """Two sources of random numbers.

    Parameters
    ----------
    generator : torch.Generator
        On the device of the data; draws what is chosen for each object.
    host : torch.Generator
        On the CPU; draws what holds for a whole batch.
    """

    def __init__(self, generator: torch.Generator, host: torch.Generator) -> None:
        self.generator = generator
        self.host = host

    def chance(self) -> float:
        """Draw a number between 0 and 1, for a choice that holds for the whole batch."""
        return float(torch.rand(1, generator=self.host))

    def uniform(self, like: Tensor) -> Tensor:
        """Draw ``(N,)`` numbers between 0 and 1 for a tensor of N objects, on its device."""
        return torch.rand(len(like), generator=self.generator, device=like.device)

    def some(self, chance: float, like: Tensor) -> Tensor | None:
        """Choose objects with a given chance, but in some rounds only, to save the others' cost.

        Parameters
        ----------
        chance : float
            Of an object, over all rounds.
        like : Tensor
            Of N objects.

        Returns
        -------
        Tensor or None
            ``(N,)`` bool, about half of the objects or more; None in rounds without any.
        """
        share = max(0.5, chance)
        if not chance or self.chance() >= chance / share:
            return None
        return self.uniform(like) < share


def host_generator(generator: torch.Generator) -> torch.Generator:
    """Return a generator on the CPU: the given one, or one seeded by it if it is elsewhere."""
    if generator.device.type == "cpu":
        return generator
    seed = torch.randint(0, 2**62, (1,), generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int(seed))


def draw_index(uniform: Tensor, chances: tuple[float, ...]) -> Tensor:
    """Turn uniform numbers into indices that come with given chances.

    Unlike `torch.multinomial`, it does not make the host wait for the device.

    Parameters
    ----------
    uniform : Tensor
        ``(N,)``, 0 to 1.
    chances : tuple of float
        Weights of the indices; they need not sum to 1, but not all be 0.

    Returns
    -------
    Tensor
        ``(N,)`` int64.

    Examples
    --------
    >>> draw_index(torch.tensor([0.1, 0.5, 0.9]), (1.0, 0.0, 1.0)).tolist()
    [0, 2, 2]
    """
    total, reached = sum(chances), 0.0
    index = torch.zeros_like(uniform, dtype=torch.int64)
    for chance in chances[:-1]:
        reached += chance / total
        index = index + (uniform >= reached)
    return index
