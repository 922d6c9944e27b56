"""Settings of carrying a mask from plane to plane, free of torch so that anything may hold them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CarrySettings:
    """How a mask is carried from known planes to another one.

    Attributes
    ----------
    sharpness : float
        Precision alpha of keys of length one: how much more a unit that looks the same counts
        than one at a right angle, in powers of e; above 0.
    reach : float
        Standard deviation of the position prior, in view pixels: how far a place may have moved
        between neighbouring planes; above 0.
    iterations : int
        EM steps in which the known planes' keys move towards what the plane shows, 0 to 5.
    theta_xi : float
        Weight of a unit's own key in each of these steps, 0 or more; larger is gentler.
    grid : int
        Tokens per side, 4 to 64; finer features are averaged.
    levels : int
        How many levels of features make up the keys, at least 1: the finest of no more than
        `grid` tokens per side and those that follow.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    sharpness: float = 20.0
    reach: float = 10.0
    iterations: int = 0
    theta_xi: float = 1.0
    grid: int = 32
    levels: int = 2

    def __post_init__(self) -> None:
        for name in ("sharpness", "reach"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; choose a number above 0")
        if not 0 <= self.iterations <= 5:
            raise ValueError(f"iterations is {self.iterations}; choose 0 to 5")
        if not 0 <= self.theta_xi < math.inf:
            raise ValueError(f"theta_xi is {self.theta_xi}; choose 0 or more")
        if not 4 <= self.grid <= 64:
            raise ValueError(f"grid is {self.grid}; choose 4 to 64")
        if self.levels < 1:
            raise ValueError(f"levels is {self.levels}; choose 1 or more")
