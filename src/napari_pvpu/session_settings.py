"""What a session draws by: the EM switch, threshold, smoothing and minimum size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from napari_pvpu.errors import SessionError

__all__ = ["OverlapRule", "SessionSettings", "check_overlap"]

OverlapRule: TypeAlias = Literal["keep", "overwrite", "ask"]
"""Whose a pixel is that two objects claim: the older one's, the newer one's, or the user's to say.
"""

LARGEST_SMOOTHING = 100.0
"""Pixels; a wider Gaussian would leave nothing of any object."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Settings that change the current object's mask, most of them without the network.

    Attributes
    ----------
    value_propagation : bool
        The EM switch.
    threshold : float
        Probability above which a pixel belongs to the object, between 0 and 1.
    smoothing : float
        Standard deviation, in data pixels, of the Gaussian that smooths the probability, 0 to 100;
        0 for none.
    min_size : int
        Parts of the object of fewer pixels are left out, unless they are the largest or hold a
        positive mark.

    Raises
    ------
    SessionError
        If a value is of the wrong kind or out of its range.
    """

    value_propagation: bool = False
    threshold: float = 0.5
    smoothing: float = 0.0
    min_size: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise SessionError(f"the threshold has to lie between 0 and 1, not at {self.threshold}")
        if not 0 <= self.smoothing <= LARGEST_SMOOTHING:
            raise SessionError(
                f"smoothing has to be 0 to {LARGEST_SMOOTHING:g} pixels, not {self.smoothing}"
            )
        if not (self.min_size >= 0 and math.isfinite(self.min_size)):
            raise SessionError(f"the minimum size has to be 0 pixels or more, not {self.min_size}")

    def with_(self, name: str, value: Any) -> SessionSettings:
        """Return the settings with one of them changed, converted to its kind."""
        kind = type(getattr(self, name))
        try:
            return replace(self, **{name: kind(value)})
        except (TypeError, ValueError, OverflowError) as error:
            raise SessionError(f"{name} has to be a number, not {value!r}") from error

    def title(self, name: str) -> str:
        """Say in a few words what one of them is, for a list of steps."""
        if name == "value_propagation":
            return "EM on" if self.value_propagation else "EM off"
        words = {"threshold": "Threshold", "smoothing": "Smoothing", "min_size": "Minimum size"}
        unit = "" if name == "threshold" else " px"
        return f"{words[name]} {getattr(self, name):g}{unit}"


def check_overlap(rule: Any) -> OverlapRule:
    """Return an overlap rule, or raise.

    Raises
    ------
    SessionError
        If it is none of the three.
    """
    for known in get_args(OverlapRule):
        if rule == known:
            return known  # type: ignore[no-any-return]
    raise SessionError(f"the overlap rule is 'keep', 'overwrite' or 'ask', not {rule!r}")
