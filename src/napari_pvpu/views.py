"""Which square window of the image, at which scale, answers a set of prompts.

The network always sees S x S model pixels. A view is a window of ``extent`` x ``extent`` data
pixels shown at that size. Extents are half-octaves and origins multiples of a quarter of the
extent, so that neighbouring objects share views, and with them cached features.

All lengths below are in data pixels unless their name says otherwise; how much of a view an
object "fills" is the longer side of its box as a share of the extent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_pvpu.prompts import (
    Bounds,
    Box,
    Click,
    Polygon,
    PriorMask,
    Prompt,
    Scribble,
    clip_bounds,
    joint_bounds,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Edges", "View", "ViewPolicy", "extent_for", "first_views", "next_view", "view_around"]

SMALLEST_STEP = -6
"""Half-octaves below one data pixel per model pixel: eight times magnification at most."""

Edges: TypeAlias = tuple[bool, bool, bool, bool]
"""Top, left, bottom, right."""


@dataclass(frozen=True, slots=True)
class View:
    """A square window of the image at the network's size.

    Parameters
    ----------
    row, col : int
        First data pixel of the window; it may lie outside the image.
    extent : int
        Side of the window in data pixels.
    size : int
        Side of the view in model pixels.
    aspect : float
        Height of a data pixel in its widths. The window is a square of the world: its side is
        ``extent`` columns, and ``extent / aspect`` rows.
    """

    row: int
    col: int
    extent: int
    size: int = 128
    aspect: float = 1.0

    @property
    def scale(self) -> float:
        """Model pixels per data pixel, along a row."""
        return self.size / self.extent

    @property
    def spacing(self) -> tuple[float, float]:
        """Data pixels per model pixel, down and across."""
        return 1 / (self.scale * self.aspect), 1 / self.scale

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Window ``(row0, col0, row1, col1)`` in data pixels, the last two exclusive."""
        height = math.ceil(self.extent / self.aspect)
        return (self.row, self.col, self.row + height, self.col + self.extent)

    def to_view(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn data coordinates (..., 2) into view coordinates (model pixels)."""
        origin = np.array((self.row, self.col), np.float64)
        return (np.asarray(points, np.float64) + 0.5 - origin) * self._scales - 0.5

    def to_data(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn view coordinates (..., 2) into data coordinates."""
        origin = np.array((self.row, self.col), np.float64)
        return (np.asarray(points, np.float64) + 0.5) / self._scales - 0.5 + origin

    def contains(
        self, bounds: Bounds, margin: float = 0.0, shape: tuple[int, int] | None = None
    ) -> bool:
        """Tell whether a box lies in the window, `margin` model pixels from its edges at least.

        With the image's `shape` given, edges beyond the image do not count.
        """
        down, across = (margin * step for step in self.spacing)
        cut = (True,) * 4 if shape is None else self.inner_edges(shape)
        row1, col1 = self._far
        gaps = (
            bounds[0] - self.row + 0.5 >= down,
            bounds[1] - self.col + 0.5 >= across,
            row1 - 0.5 - bounds[2] >= down,
            col1 - 0.5 - bounds[3] >= across,
        )
        return all(held or not edge for held, edge in zip(gaps, cut, strict=True))

    def inner_edges(self, shape: tuple[int, int]) -> Edges:
        """Tell which sides of the window cut through the image."""
        row1, col1 = self._far
        return (self.row > 0, self.col > 0, row1 < shape[0], col1 < shape[1])

    def prompt_to_view(self, prompt: Prompt) -> Prompt:
        """Return a click, scribble or box in view coordinates; a prior mask as it is."""
        if isinstance(prompt, Click):
            return Click(self._pair(prompt.position), prompt.positive)
        if isinstance(prompt, Scribble):
            path = self.to_view(prompt.path)
            return Scribble(tuple(map(tuple, path.tolist())), prompt.positive)
        if isinstance(prompt, Box):
            return Box(self._pair(prompt.start), self._pair(prompt.stop), prompt.positive)
        return prompt

    @property
    def _scales(self) -> npt.NDArray[np.float64]:
        return np.array((self.scale * self.aspect, self.scale))

    @property
    def _far(self) -> tuple[float, float]:
        return self.row + self.extent / self.aspect, self.col + self.extent

    def _pair(self, point: tuple[float, float]) -> tuple[float, float]:
        row, col = self.to_view(point).tolist()
        return row, col


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
    click_steps: tuple[float, ...] = (1.0, 2.0, 0.5, 4.0, 0.25, 8.0)
    sure_score: float = 0.8
    sure_agreement: float = 0.8
    agreement_base: float = 0.05
    cut_worth: float = 0.5
    explored_prompts: int = 3
    explored_score: float = 0.7
    feed_reviews: bool = True
    lost_share: float = 0.25


def extent_for(length: float, fill: float, size: int) -> int:
    """Return the extent, of the half-octaves, in which `length` fills a share nearest to `fill`.

    Parameters
    ----------
    length : float
        Data pixels.
    fill : float
        Share, 0 to 1.
    size : int
        Model pixels per side.
    """
    return _extent(_step(max(length, 1.0) / fill, size), size)


def view_around(
    center: tuple[float, float],
    extent: int,
    size: int,
    shape: tuple[int, int],
    keep: Bounds | None = None,
    aspect: float = 1.0,
) -> View:
    """Return the view of this extent whose centre is nearest to `center`.

    Windows do not leave the image further than they must: on an axis on which the image is
    larger than the window by at most a quarter extent, on which it is smaller it lies inside.

    Parameters
    ----------
    center : (row, col)
        Data coordinates.
    extent : int
        One of the half-octave extents.
    size : int
        Model pixels per side.
    shape : (rows, cols)
        The image's.
    keep : (row0, col0, row1, col1), optional
        A box that has to stay in the window; it overrules the grid of origins where it must.
    aspect : float
        Height of a data pixel in its widths.
    """
    spans = ((keep[0], keep[2]), (keep[1], keep[3])) if keep else (None, None)
    sides = (extent / aspect, extent)
    row, col = (_origin(*each) for each in zip(center, sides, shape, spans, strict=True))
    return View(row, col, extent, size, aspect)


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
        extents = [extent_for(_length(around, aspect), policy.object_fill, size)]
    else:
        drawn = [prompt.bounds for prompt in prompts if _is_positive(prompt)]
        around = clip_bounds(joint_bounds(drawn), shape) if drawn else bounds
        seen = (shape[0] * aspect, shape[1])
        lengths = _guess_lengths(seen, object_length, canvas_extent, policy)
        least = _length(around, aspect) * policy.object_fill / policy.scribble_fill
        extents = [extent_for(max(length, least), policy.object_fill, size) for length in lengths]
    center = _center(around)
    views = [
        _holding(center, extent, size, shape, bounds, policy, aspect) for extent in extents
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
        extent = max(view.extent, extent_for(_length(prompts, aspect), policy.keep_high, size))
        return _holding(_center(prompts), extent, size, shape, prompts, policy, aspect)
    if any(touched):
        wanted = extent_for(view.extent * policy.grow, 1.0, size)
        around = joint_bounds([found, prompts])
        return _holding(_center(around), wanted, size, shape, prompts, policy, aspect)
    fill = _length(found, aspect) / view.extent
    if held and policy.keep_low <= fill <= policy.keep_high:
        return view
    # A prompt beyond the view says that the object goes on there, who knows how far.
    aim = policy.object_fill if held else policy.scribble_fill
    wanted = extent_for(_length(found, aspect), aim, size)
    around = joint_bounds([found, prompts])
    center = _center(found) if held else _center(around)
    fresh = _holding(center, wanted, size, shape, around, policy, aspect)
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
    guess = policy.usual_length * math.sqrt(min(shape))
    if canvas_extent is not None:
        guess = min(guess, policy.canvas_share * canvas_extent)
    lengths = [step * guess for step in policy.click_steps]
    return [object_length, *lengths] if object_length else lengths


def _holding(
    center: tuple[float, float],
    extent: int,
    size: int,
    shape: tuple[int, int],
    bounds: Bounds,
    policy: ViewPolicy,
    aspect: float,
) -> View:
    """Smallest view of at least this extent that holds `bounds`, near `center`.

    None is larger than it takes to show the whole image, prompts that leave it aside.
    """
    side = max(shape[0] * aspect, shape[1])
    step = _step(min(extent, _extent(_covering(side, size), size)), size)
    most = _covering(3 * max(side, _length(bounds, aspect)), size)
    while True:
        extent = _extent(step, size)
        pad = policy.margin * extent / size
        high = pad / aspect
        keep = (
            min(bounds[0], max(bounds[0] - high, -0.5)),
            min(bounds[1], max(bounds[1] - pad, -0.5)),
            max(bounds[2], min(bounds[2] + high, shape[0] - 0.5)),
            max(bounds[3], min(bounds[3] + pad, shape[1] - 0.5)),
        )
        view = view_around(center, extent, size, shape, keep, aspect)
        if view.contains(bounds, policy.margin, shape) or step >= most:
            return view
        step += 1


def _origin(center: float, extent: float, length: int, keep: tuple[float, float] | None) -> int:
    """Nearest origin of the grid for one axis that holds `keep` and stays with the image."""
    step = extent / 4
    # An image shorter than the window lies inside it; a longer one fills it but for the last
    # quarter, so that every place can be near the middle of some window.
    low, high = sorted((0.0, (length - extent) / step))
    index = min(max(round((center + 0.5 - extent / 2) / step), math.ceil(low)), math.ceil(high))
    if keep is None:
        return round(index * step)
    least, most = math.ceil(keep[1] + 0.5 - extent), math.floor(keep[0] + 0.5)
    if least > most:
        return round(index * step)
    index = min(max(index, math.ceil(least / step)), math.floor(most / step))
    return min(max(round(index * step), least), most)


def _step(extent: float, size: int) -> int:
    """Half-octave nearest to an extent."""
    return round(2 * math.log2(extent / size))


def _covering(length: float, size: int) -> int:
    """Smallest half-octave whose extent is not below `length`."""
    step = _step(length, size)
    return step + 1 if _extent(step, size) < length else step


def _extent(step: int, size: int) -> int:
    return round(size * 2 ** (max(step, SMALLEST_STEP) / 2))


def _length(bounds: Bounds, aspect: float) -> float:
    return max((bounds[2] - bounds[0] + 1.0) * aspect, bounds[3] - bounds[1] + 1.0)


def _center(bounds: Bounds) -> tuple[float, float]:
    return ((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)


def _is_positive(prompt: Prompt) -> bool:
    return isinstance(prompt, PriorMask) or prompt.positive


def _tells_size(prompt: Prompt) -> bool:
    return isinstance(prompt, PriorMask | Box | Polygon) and _is_positive(prompt)
