"""Settings of value propagation, free of torch so that anything may hold them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PropagationSettings:
    """How far and how strongly prompts spread within a view.

    Attributes
    ----------
    iterations : int
        EM steps, 1 to 5.
    alpha_scale : float
        Sharpness of likeness, in units of the ``1 / sqrt(d)`` of attention; above 0.
    beta : float
        Pull of a fixed token on the units that explain it, above 0.
    theta_mu : float
        Weight of a unit's own value in each step, 0 or more; larger is gentler.
    fixed_value : float
        L, the logit that prompts fix; the view's logits count from -L to L; above 0.
    radius : float
        Tokens with a pixel up to this many view pixels from a click or stroke are fixed.
    position_length : float or None
        Distance in view pixels over which likeness fades by a factor e; None to let values
        spread to look-alikes wherever they are.
    blend : float
        Share of the change that is added to the logits, 0 to 1.
    grid : int
        Most tokens per side; finer features are averaged.
    contradicted_only : bool
        Whether only tokens that the logits have on the wrong side are fixed. A prompt that the
        network obeys already has nothing to tell its surroundings: fixing it too made masks
        worse on training objects, while this does not.
    """

    iterations: int = 3
    alpha_scale: float = 1.0
    beta: float = 0.1
    theta_mu: float = 1.0
    fixed_value: float = 6.0
    radius: float = 1.0
    position_length: float | None = 16.0
    blend: float = 1.0
    grid: int = 32
    contradicted_only: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a setting is out of its range.
        """
        if not 1 <= self.iterations <= 5:
            raise ValueError(f"iterations is {self.iterations}; choose 1 to 5")
        for name in ("alpha_scale", "beta", "fixed_value"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; choose a number above 0")
        for name in ("theta_mu", "radius"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; choose 0 or more")
        if self.position_length is not None and not self.position_length > 0:
            raise ValueError(
                f"position_length is {self.position_length}; choose a number above 0, or None"
            )
        if not 0 <= self.blend <= 1:
            raise ValueError(f"blend is {self.blend}; choose 0 to 1")
        if self.grid < 1:
            raise ValueError(f"grid is {self.grid}; choose 1 or more")
