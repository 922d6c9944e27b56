"""What a correction is for: the error that it answers, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_pvpu.training.pixel_choice import depth_map, dilate

if TYPE_CHECKING:
    from napari_pvpu.training.draws import Draws

__all__ = [
    "Aim", "Scene", "aim_at_error", "aim_at_nothing", "aim_at_object", "halved", "imagine",
]  # fmt: skip

_BESIDE = 6  # rows and columns of the halved view that are still beside the object


class Aim(NamedTuple):
    """What a prompt is for, of each object.

    Attributes
    ----------
    region : Tensor
        ``(N, S, S)`` bool, where scribbles stay.
    depth : Tensor
        ``(N, S / 2, S / 2)`` float32, depth at half resolution; 0 where no prompt may begin.
    positive : Tensor
        ``(N,)`` bool, its polarity.
    meant : Tensor
        ``(N, S, S)`` bool, what it points at.
    idle : Tensor, optional
        ``(N,)`` bool, whose prompts correct nothing; nobody's without.
    """

    region: Tensor
    depth: Tensor
    positive: Tensor
    meant: Tensor
    idle: Tensor | None = None


class Scene(NamedTuple):
    """What the user sees of each object.

    Attributes
    ----------
    truth : Tensor
        ``(N, S, S)`` bool, S even, the objects.
    prediction : Tensor, optional
        ``(N, S, S)`` bool, the masks so far.
    others : Tensor, optional
        ``(N, S, S)`` bool, other objects of the same views, as far as they are known.
    inside : Tensor, optional
        ``(N, S, S)`` bool, where the views show the image; everywhere without.
    """

    truth: Tensor
    prediction: Tensor | None = None
    others: Tensor | None = None
    inside: Tensor | None = None


def halved(mask: Tensor, shift: tuple[int, int] = (0, 0)) -> Tensor:
    """Return every second row and column of ``(N, S, S)``, beginning at `shift`."""
    return mask[:, shift[0] :: 2, shift[1] :: 2]


def aim_at_object(truth: Tensor, shift: tuple[int, int]) -> Aim:
    """Aim at objects of which there is no mask yet."""
    positive = torch.ones(len(truth), dtype=torch.bool, device=truth.device)
    return Aim(truth, depth_map(halved(truth, shift)), positive, truth)


def aim_at_error(
    truth: Tensor, prediction: Tensor, shift: tuple[int, int], second: float, draws: Draws
) -> Aim:
    """Aim at what is missed or too much, whichever is deeper.

    Parameters
    ----------
    truth, prediction : Tensor
        ``(N, S, S)`` bool.
    shift : tuple of int
        First row and column of the halved view.
    second : float
        Chance to aim at the second deepest error.
    draws : Draws
        On the device of the masks.
    """
    missed, extra = truth & ~prediction, prediction & ~truth
    depth = depth_map(torch.cat([halved(missed, shift), halved(extra, shift)]))
    both = torch.stack(depth.chunk(2), dim=1)
    chosen = draws.some(second, truth)
    if chosen is not None:
        both = torch.where(chosen[:, None, None, None], _without_largest(both), both)
    positive = both[:, 0].flatten(1).amax(1) >= both[:, 1].flatten(1).amax(1)
    choose = positive[:, None, None]
    region = torch.where(choose, missed, extra)
    return Aim(region, torch.where(choose, both[:, 0], both[:, 1]), positive, region)


def aim_at_nothing(
    aim: Aim, scene: Scene, shift: tuple[int, int], needless: float, draws: Draws
) -> Aim:
    """Let some point at what is right already: the object, its surroundings, a neighbour.

    Parameters
    ----------
    aim : Aim
        What all others aim at.
    scene : Scene
        With a prediction.
    shift : tuple of int
        First row and column of the halved view.
    needless : float
        The chance.
    draws : Draws
        On the device of the masks.
    """
    truth, prediction, others, inside = scene
    chosen = draws.some(needless, truth)
    if chosen is None or prediction is None:
        return aim
    background = ~(truth | prediction)
    background = background if inside is None else background & inside
    positive = draws.uniform(truth) < 0.5
    choose = positive[:, None, None]
    region = torch.where(choose, truth & prediction, background)
    beside = dilate(halved(truth, shift), _BESIDE) & halved(background, shift)
    if others is not None:
        on_neighbour = beside & halved(others, shift)
        wanted = (draws.uniform(truth) < 0.5) & on_neighbour.flatten(1).any(1)
        beside = torch.where(wanted[:, None, None], on_neighbour, beside)
    goal = torch.where(choose, halved(region, shift), beside)
    idle = chosen & goal.flatten(1).any(1)
    apply = idle[:, None, None]
    return Aim(
        torch.where(apply, region, aim.region),
        # Nobody cares how deep a pixel lies in what is right.
        torch.where(apply, goal.float(), aim.depth),
        torch.where(idle, positive, aim.positive),
        torch.where(apply, torch.where(choose, truth, ~truth), aim.meant),
        idle,
    )


def imagine(truth: Tensor, draws: Draws) -> Tensor:
    """Return predictions that miss the object or hold its surroundings, for a blind prompt."""
    beside = (draws.uniform(truth) < 0.5)[:, None, None]
    return torch.where(beside, dilate(truth, 8), torch.zeros_like(truth))


def _without_largest(depth: Tensor) -> Tensor:
    """Take out the square around the deepest pixel, where something of width is left.

    Parameters
    ----------
    depth : Tensor
        ``(N, 2, H, W)``, depth maps of what is missed and what is too much.

    Returns
    -------
    Tensor
        ``(N, 2, H, W)``.
    """
    _, sides, height, width = depth.shape
    deepest, at = depth.flatten(1).max(1)
    reach = (deepest + 2)[:, None, None, None]
    side, pixel = at // (height * width), at % (height * width)
    row, col = (x[:, None, None, None] for x in (pixel // width, pixel % width))
    rows = torch.arange(height, device=depth.device)[:, None]
    cols = torch.arange(width, device=depth.device)
    near = ((rows - row).abs() <= reach) & ((cols - col).abs() <= reach)
    same = torch.arange(sides, device=depth.device) == side[:, None]
    left = torch.where(near & same[..., None, None], 0.0, depth)
    # A sliver is not what anybody would correct before the rest.
    enough = left.flatten(1).amax(1) >= 2
    return torch.where(enough[:, None, None, None], left, depth)
