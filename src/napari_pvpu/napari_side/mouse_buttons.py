"""What the buttons of the mouse mean while one draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["BUTTONS", "OPPOSITE", "is_positive"]

OPPOSITE = "opposite"
BUTTONS = {
    OPPOSITE: "Right: the opposite",
    "fixed": "Left +, right -",
    "swapped": "Left -, right +",
    "accept": "Right: accept object",
    "none": "Right: nothing",
}
"""The choices, with the words of the panel."""

RIGHT = 2


def is_positive(meaning: str, chosen: bool, button: int, modifiers: Collection[str]) -> bool:
    """Return the polarity of what is drawn.

    Parameters
    ----------
    meaning : str
        One of `BUTTONS`.
    chosen : bool
        The polarity chosen in the panel; left and right button can have their own.
    button : int
        1 is the left one, 2 the right one.
    modifiers : collection of str
        Keys held; Shift or Control turn the polarity round.
    """
    turned = "Shift" in modifiers or "Control" in modifiers
    if meaning in ("fixed", "swapped"):
        positive = (button == RIGHT) == (meaning == "swapped")
    else:
        positive = chosen != (meaning == OPPOSITE and button == RIGHT)
    return positive != turned
