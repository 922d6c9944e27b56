"""How a simulated user behaves, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EXACT", "UserHabits"]


@dataclass(frozen=True, slots=True)
class UserHabits:
    """How the simulated user behaves; chances from 0 to 1, lengths in model pixels.

    Whatever is not drawn by one of the chances below is as careful as the evaluation's robot: with
    the chances that are set here about half of all prompts.

    Attributes
    ----------
    first, later : tuple of float
        Chances of a click, a box and a scribble as the first and as a later prompt.
    central, central_first : float
        Chance that a click goes to the very centre of its region, as the evaluation's robot
        does; else it goes anywhere at least `depth` of the way in. `central_first` for the first
        click alone; below 0 for the same.
    depth : tuple of float
        Range of the share of the largest depth that a click's pixel reaches at least, for the
        first click and for later ones the same.
    anywhere, rim : float
        Chances that a click goes to any pixel of its region, all alike, or to one near the border;
        both come before `central` and `depth`.
    imprecise : float
        Chance that a click misses its pixel, by up to `jitter`. It stays on the side of the object
        that was meant, but for a share `stray` of these clicks.
    jitter : float
        Largest distance of a missed pixel, drawn uniformly from a disk. The evaluation's jitter is
        in pixels of the image, of which a small object's view has fewer than model pixels.
    stray : float
        Share of imprecise clicks that may land a little beyond the border.
    second : float
        Chance that a correction answers the second largest error instead of the largest.
    needless : float
        Chance that a later prompt corrects nothing: a positive one on what is right already, or a
        negative one on background beside the object or on a neighbour. Half of the objects do so,
        in twice as many rounds.
    neighbour : float
        Chance that the first prompt comes with a negative one on a neighbour close by; at most
        half.
    box_noise : float
        Largest error of a box's side over the box's extent, of a box drawn with care.
    sloppy : float
        Chance of a box whose sides are off independently, by twice as much and more often outward.
    oversized, cutting : float
        Chances of a box that is much too large, and of one that cuts off a part of the object.
    strokes : tuple of float
        Chances of a scribble to be a bent line, a straight one, the centre line of its region, a
        line along the border inside it, and a zigzag across it.
    thick : float
        Chance that a scribble goes to and fro, side by side with itself.
    shaky : float
        Chance that the hand trembles along a scribble.
    spill : float
        Chance that a scribble runs over the border by a few pixels.
    blind : float
        Chance that a later round is played without looking at the prediction: a prompt anywhere
        on the object, or beside it as a negative one.
    """

    first: tuple[float, float, float] = (0.6, 0.22, 0.18)
    later: tuple[float, float, float] = (0.78, 0.04, 0.18)
    central: float = 0.4
    central_first: float = -1.0
    depth: tuple[float, float] = (0.1, 0.8)
    anywhere: float = 0.1
    rim: float = 0.06
    imprecise: float = 0.25
    jitter: float = 4.0
    stray: float = 0.25
    second: float = 0.08
    needless: float = 0.05
    neighbour: float = 0.08
    box_noise: float = 0.12
    sloppy: float = 0.3
    oversized: float = 0.04
    cutting: float = 0.04
    strokes: tuple[float, float, float, float, float] = (0.4, 0.16, 0.24, 0.08, 0.12)
    thick: float = 0.1
    shaky: float = 0.25
    spill: float = 0.1
    blind: float = 0.0


EXACT = UserHabits(
    anywhere=0.0,
    rim=0.0,
    imprecise=0.0,
    second=0.0,
    needless=0.0,
    neighbour=0.0,
    sloppy=0.0,
    oversized=0.0,
    cutting=0.0,
    strokes=(1.0, 0.0, 0.0, 0.0, 0.0),
    thick=0.0,
    shaky=0.0,
    spill=0.0,
)
"""A user who never slips, as the papers' are; scribbles are bent lines."""
