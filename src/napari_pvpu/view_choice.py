"""Which view, at which scale, answers a set of prompts.

How much of a view an object "fills" is the longer side of its box as a share of the extent.
Lengths are in data pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pvpu.prompts import (
    Bounds,
    Box,
    Polygon,
    PriorMask,
    Prompt,
    clip_bounds,
    joint_bounds,
)
from napari_pvpu.view_grid import extent_for, longer_side, view_holding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.views import Edges, View

__all__ = ["ViewPolicy", "first_views", "next_view"]


@dataclass(frozen=True, slots=True)
class ViewPolicy:
    """Every number that decides on views, in one place.

    Attributes
    ----------
    object_fill : float
        Share of a new view that a known object is given.
    scribble_fill : float
        The same for the box of scribbles, which lie inside an object and are smaller than it.
    keep_low, keep_high : float
        A view is kept while the object fills a share between these.
    grow : float
        Factor on the extent when the mask touches the window's border.
    margin : float
        Model pixels that prompts keep from the window's border.
    max_reviews : int
        New views that one interaction may take.
    usual_length, canvas_share : float
        When nothing is known but a click, the object's size is guessed as `usual_length` times
        the root of the image's shorter side (people take images in which objects are neither a
        few pixels nor the whole), or as this share of the canvas if that is less.
    most_side : float
        Pixels of the shorter side that count for that guess: a slide scanner's images show more
        objects, not larger ones.
    click_steps : tuple of float
        Multiples of the guess that are tried, best first.
    sure_score, sure_agreement : float
        Looks through several scales end early at one whose expected IoU and agreement with the
        others reach these.
    explored_prompts, explored_score : int, float
        After up to so many prompts the scales beside the present one are looked at again while
        the expected IoU is below this.
    feed_reviews : bool
        Whether a new view is fed what the view before showed.
    lost_share : float
        A new view that shows less than this share of the length seen before is given up.
    agreement_base, cut_worth : float
        Worth of a look that agrees with no other, as a share of one that agrees with all; and of
        one in which the object runs into the window's border.
    """

    object_fill: float = 0.6
    scribble_fill: float = 0.35
    keep_low: float = 0.4
    keep_high: float = 0.85
    grow: float = 2.0
    margin: float = 3.0
    max_reviews: int = 3
    usual_length: float = 1.6
    canvas_share: float = 0.12
    most_side: float = 4096.0
    click_steps: tuple[float, ...] = (1.0, 2.0, 0.5, 4.0, 0.25, 8.0)
    sure_score: float = 0.8
    sure_agreement: float = 0.8
    agreement_base: float = 0.05
    cut_worth: float = 0.5
    explored_prompts: int = 3
    explored_score: float = 0.7
    feed_reviews: bool = True
    lost_share: float = 0.25


def first_views(
    prompts: Sequence[Prompt],
    shape: tuple[int, int],
    size: int,
    *,
    object_length: float | None = None,
    canvas_extent: float | None = None,
    policy: ViewPolicy | None = None,
    aspect: float = 1.0,
) -> list[View]:
    """Return candidate views for an object of which only prompts are known, best guess first.

    Parameters
    ----------
    prompts : sequence of Prompt
        At least one.
    shape : (rows, cols)
        The image's.
    size : int
        Model pixels per side.
    object_length : float, optional
        Longer side of the last accepted object.
    canvas_extent : float, optional
        Data pixels visible on the short side of the canvas.
    policy : ViewPolicy, optional
        The numbers to go by.
    aspect : float
        Height of a data pixel in its widths; lengths above are in widths.

    Returns
    -------
    list of View
        One if boxes, polygons or a prior mask tell the size, else several scales. All hold all
        prompts.
    """
    policy = policy or ViewPolicy()
    bounds = clip_bounds(joint_bounds(prompt.bounds for prompt in prompts), shape)
    sized = [prompt.bounds for prompt in prompts if _tells_size(prompt)]
    if sized:
        around = clip_bounds(joint_bounds(sized), shape)
        extents = [extent_for(longer_side(around, aspect), policy.object_fill, size)]
    else:
        drawn = [prompt.bounds for prompt in prompts if _is_positive(prompt)]
        around = clip_bounds(joint_bounds(drawn), shape) if drawn else bounds
        seen = (shape[0] * aspect, shape[1])
        lengths = _guess_lengths(seen, object_length, canvas_extent, policy)
        least = longer_side(around, aspect) * policy.object_fill / policy.scribble_fill
        extents = [extent_for(max(length, least), policy.object_fill, size) for length in lengths]
    center = _center(around)
    views = [
        view_holding(center, extent, size, shape, bounds, policy.margin, aspect)
        for extent in extents
    ]
    return list(dict.fromkeys(views))


def next_view(
    view: View,
    found: Bounds | None,
    touched: Edges,
    prompts: Bounds,
    shape: tuple[int, int],
    policy: ViewPolicy | None = None,
) -> View:
    """Return the view to look through next; `view` itself where it still serves.

    A view is left only for a reason: a prompt lies outside it, the object runs into its border
    (other than the image's), fills too much or too little of it.

    Parameters
    ----------
    view : View
        The present one.
    found : (row0, col0, row1, col1) or None
        Box of what is known of the object, data coordinates: the mask found in the view and the
        positive prompts; None if there is neither.
    touched : (top, left, bottom, right) of bool
        Sides of the window, inside the image, that the mask runs into.
    prompts : (row0, col0, row1, col1)
        Box of all prompts of the object.
    shape : (rows, cols)
        The image's.
    policy : ViewPolicy, optional
        The numbers to go by.
    """
    policy = policy or ViewPolicy()
    size, aspect = view.size, view.aspect
    held = view.contains(prompts, policy.margin, shape)
    if found is None:
        if held:
            return view
        extent = max(view.extent, extent_for(longer_side(prompts, aspect), policy.keep_high, size))
        return view_holding(_center(prompts), extent, size, shape, prompts, policy.margin, aspect)
    if any(touched):
        wanted = extent_for(view.extent * policy.grow, 1.0, size)
        around = joint_bounds([found, prompts])
        return view_holding(_center(around), wanted, size, shape, prompts, policy.margin, aspect)
    fill = longer_side(found, aspect) / view.extent
    if held and policy.keep_low <= fill <= policy.keep_high:
        return view
    # A prompt beyond the view says that the object goes on there, who knows how far.
    aim = policy.object_fill if held else policy.scribble_fill
    wanted = extent_for(longer_side(found, aspect), aim, size)
    around = joint_bounds([found, prompts])
    center = _center(found) if held else _center(around)
    fresh = view_holding(center, wanted, size, shape, around, policy.margin, aspect)
    if held and fill < policy.keep_low and fresh.extent >= view.extent:
        return view  # distant prompts keep the view from closing in
    return fresh


def _guess_lengths(
    shape: tuple[float, float],
    object_length: float | None,
    canvas_extent: float | None,
    policy: ViewPolicy,
) -> list[float]:
    """Sizes that an object may have, best guess first."""
    guess = policy.usual_length * math.sqrt(min(*shape, policy.most_side))
    if canvas_extent is not None:
        guess = min(guess, policy.canvas_share * canvas_extent)
    lengths = [step * guess for step in policy.click_steps]
    return [object_length, *lengths] if object_length else lengths


def _center(bounds: Bounds) -> tuple[float, float]:
    return ((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)


def _is_positive(prompt: Prompt) -> bool:
    return isinstance(prompt, PriorMask) or prompt.positive


def _tells_size(prompt: Prompt) -> bool:
    return isinstance(prompt, PriorMask | Box | Polygon) and _is_positive(prompt)
