"""From a view's logits to an object's mask in the image.

Logits of the network live in a view; here they obey what the user said, lose specks, and are
drawn into the image, over the object's box only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.polygons import exclusions
from napari_pvpu.prompts import Bounds, Click, PriorMask, Prompt, Scribble
from napari_pvpu.resample import Axis, resample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_pvpu.views import Edges, View

__all__ = [
    "Drawing",
    "MaskRules",
    "agreement",
    "carry",
    "carry_probability",
    "carry_raster",
    "dense_path",
    "draw",
    "logit",
    "marked_pixels",
    "outline",
    "prior_probability",
    "settle",
    "sigmoid",
    "smoothed",
]

Floats = npt.NDArray[np.float32]
PixelBox = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MaskRules:
    """Numbers that shape a mask after the network.

    Attributes
    ----------
    disk_radius : float
        Model pixels around a clicked position that are drawn to its side.
    disk_margin : float
        How far beyond the threshold, in logits, the position itself is pushed.
    speck_share : float
        Components without a positive prompt and smaller than this share of the mask are dropped.
    speck_margin : float
        How far below the threshold, in logits, dropped pixels are pushed.
    hold : bool
        Whether a mask only grows by positive marks and only shrinks by negative ones.
    reach, negative_reach : tuple of float
        How far a positive and a negative mark may change a mask, in units of its own distance from
        the mask's border: for the second prompt of an object, the third and so on; the last for
        all that follow. Empty for no limit.
    layer : tuple of float
        How deep a positive and a negative mark may change a mask, counted from the mask's border,
        in the same units.
    reach_margin : float
        Model pixels that are added to both.
    """

    disk_radius: float = 2.5
    disk_margin: float = 2.0
    speck_share: float = 0.2
    speck_margin: float = 1.0
    hold: bool = True
    reach: tuple[float, ...] = (20.0, 10.0)
    negative_reach: tuple[float, ...] = (14.0, 7.0)
    layer: tuple[float, float] = (3.0, 2.0)
    reach_margin: float = 0.5


@dataclass(frozen=True, slots=True)
class Drawing:
    """An object in the image, over its box.

    Attributes
    ----------
    row, col : int
        First data pixel of the box.
    mask : array, (h, w), bool
        The object.
    probability : array, (h, w), float32
        0 to 1.
    """

    row: int
    col: int
    mask: npt.NDArray[np.bool_]
    probability: Floats

    @property
    def box(self) -> PixelBox:
        """``(row0, col0, row1, col1)`` in data pixels, the last two exclusive."""
        height, width = self.mask.shape
        return (self.row, self.col, self.row + height, self.col + width)


def sigmoid(logits: npt.NDArray[np.floating]) -> Floats:
    """Return probabilities of logits of any float dtype, as float32."""
    bounded = np.clip(logits.astype(np.float32), -40, 40)
    return np.asarray(1 / (1 + np.exp(-bounded)), np.float32)


def settle(
    logits: npt.NDArray[np.floating],
    view: View,
    prompts: Sequence[Prompt],
    shape: tuple[int, int],
    threshold: float,
    rules: MaskRules,
) -> Floats:
    """Return logits that agree with the prompts and hold no specks.

    Parameters
    ----------
    logits : array, (S, S)
        The network's answer in the view.
    view : View
        Where it lies.
    prompts : sequence of Prompt
        In data coordinates; where they contradict each other the later one wins.
    shape : (rows, cols)
        The image's.
    threshold : float
        Probability above which a pixel belongs to the object.
    rules : MaskRules
        Numbers to go by.

    Returns
    -------
    array, (S, S), float32
        A new array; far below the threshold outside the image.
    """
    cut = logit(threshold)
    settled = np.array(logits, np.float32)
    excluded = exclusions(prompts)
    for index, prompt in enumerate(prompts):
        if index in excluded:
            outside = excluded[index].in_view(view)
            settled[outside] = np.minimum(settled[outside], cut - rules.disk_margin)
        elif isinstance(prompt, Click | Scribble):
            _push(
                settled,
                view.to_view(dense_path(prompt, min(view.spacing))),
                prompt.positive,
                cut,
                rules,
            )
    settled[~_inside(view, shape)] = cut - 40
    _drop_specks(settled, view, prompts, cut, rules)
    return settled


def outline(
    settled: Floats, view: View, shape: tuple[int, int], threshold: float
) -> tuple[Bounds | None, Edges]:
    """Return the box of the mask in data coordinates and the sides of the view it runs into.

    Parameters
    ----------
    settled : array, (S, S), float32
        From `settle`.
    view, shape, threshold
        As for `settle`.
    """
    mask = settled > logit(threshold)
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None, (False,) * 4
    row0, col0 = view.to_data((rows[0] - 0.5, cols[0] - 0.5)) + 0.5
    row1, col1 = view.to_data((rows[-1] + 0.5, cols[-1] + 0.5)) - 0.5
    bounds = (
        float(max(row0, 0)),
        float(max(col0, 0)),
        float(min(max(row1, row0), shape[0] - 1)),
        float(min(max(col1, col0), shape[1] - 1)),
    )
    last = view.size - 1
    reached = (rows[0] == 0, cols[0] == 0, rows[-1] == last, cols[-1] == last)
    inner = view.inner_edges(shape)
    top, left, bottom, right = (bool(a and b) for a, b in zip(reached, inner, strict=True))
    return bounds, (top, left, bottom, right)


def draw(
    settled: Floats,
    view: View,
    prompts: Sequence[Prompt],
    shape: tuple[int, int],
    threshold: float,
    smoothing: float = 0.0,
) -> Drawing | None:
    """Draw an object into the image.

    Parameters
    ----------
    settled : array, (S, S), float32
        From `settle`.
    view, prompts, shape, threshold
        As for `settle`.
    smoothing : float
        Standard deviation, in data pixels, of a Gaussian over the probability.

    Returns
    -------
    Drawing or None
        None if no pixel belongs to the object. Pixels under clicks and scribbles are on their
        side whatever the logits say.
    """
    marked = {
        index: (marked_pixels(prompt, shape), prompt.positive)
        for index, prompt in enumerate(prompts)
        if isinstance(prompt, Click | Scribble)
    }
    box = _drawn_box(settled, view, shape, threshold, math.ceil(3 * smoothing))
    box = _with_pixels(box, [pixels for pixels, positive in marked.values() if positive])
    if box is None:
        return None
    row0, col0, row1, col1 = box
    (rows, row_axis), (cols, col_axis) = (
        _window(view.size, step, origin, span)
        for step, origin, span in zip(
            view.spacing, (view.row, view.col), ((row0, row1), (col0, col1)), strict=True
        )
    )
    targets = (float(row0), 1.0, row1 - row0), (float(col0), 1.0, col1 - col0)
    seen = resample(settled[rows, cols], (row_axis, targets[0]), (col_axis, targets[1]))
    probability = smoothed(sigmoid(seen), smoothing)
    excluded = exclusions(prompts)
    for index in sorted({*marked, *excluded}):
        if index in excluded:
            probability[excluded[index].in_window(box)] = 0
            continue
        pixels, positive = marked[index]
        here = pixels - (row0, col0)
        here = here[((here >= 0) & (here < probability.shape)).all(axis=1)]
        probability[here[:, 0], here[:, 1]] = positive
    mask = probability > threshold
    return Drawing(row0, col0, mask, probability) if mask.any() else None


def marked_pixels(prompt: Prompt, shape: tuple[int, int]) -> npt.NDArray[np.intp]:
    """Return the data pixels, (n, 2), that the user pointed at: a click's, a scribble's line.

    Pixels outside the image are left out. Boxes and masks point at none.
    """
    if not isinstance(prompt, Click | Scribble):
        return np.empty((0, 2), np.intp)
    pixels = np.floor(dense_path(prompt, 0.5) + 0.5)
    # A position on the image's far rim rounds to the pixel beyond it.
    rim = (pixels == shape) & (dense_path(prompt, 0.5) <= np.array(shape) - 0.5)
    pixels -= rim
    inside = ((pixels >= 0) & (pixels < shape)).all(axis=1)
    return pixels[inside].astype(np.intp)


def carry(values: npt.NDArray[np.generic], old: View, new: View) -> Floats:
    """Show a raster of one view in another, (S, S), 0 where nothing is known."""
    if old == new:
        return values.astype(np.float32)
    return _show(values, (old.row, old.col), old.spacing, new)


def carry_probability(logits: npt.NDArray[np.floating], old: View, new: View) -> Floats:
    """Show logits of one view as probabilities in another, (S, S), 0 where nothing is known."""
    return carry(sigmoid(logits), old, new)


def carry_raster(values: npt.NDArray[np.generic], origin: tuple[int, int], view: View) -> Floats:
    """Show data pixels, the first of them at `origin`, in a view, (S, S), 0 elsewhere."""
    return _show(values, origin, (1.0, 1.0), view)


def agreement(one: Floats, one_view: View, two: Floats, two_view: View, cut: float) -> float:
    """Return the intersection over union, in the image, of masks seen in two views.

    Parameters
    ----------
    one, two : array, (S, S), float32
        Settled logits.
    one_view, two_view : View
        Where they lie.
    cut : float
        Logit above which a pixel belongs to the mask.
    """
    if one_view.extent > two_view.extent:
        one, one_view, two, two_view = two, two_view, one, one_view
    fine, coarse = one > cut, two > cut
    seen = _show(coarse, (two_view.row, two_view.col), two_view.spacing, one_view)
    # Of one image, so that the views have the aspect of their pixels in common.
    shared = float(seen[fine].sum()) / one_view.scale**2
    areas = fine.sum() / one_view.scale**2 + coarse.sum() / two_view.scale**2
    return float(shared / max(areas - shared, 1e-9))


def prior_probability(priors: Iterable[PriorMask], view: View) -> Floats | None:
    """Show prior masks in a view, (S, S) 0 to 1; None if there are none."""
    shown = [_show(prior.mask, prior.offset, (1.0, 1.0), view) for prior in priors]
    return np.maximum.reduce(shown) if shown else None


def _show(
    values: npt.NDArray[np.generic], origin: Sequence[int], steps: tuple[float, float], view: View
) -> Floats:
    """Resample a raster whose pixels are `steps` data pixels high and wide into a view."""
    out = np.zeros((view.size, view.size), np.float32)
    slices, reads, axes = [], [], []
    for start, first, length, step, spacing in zip(
        origin, (view.row, view.col), values.shape, steps, view.spacing, strict=True
    ):
        first_center = first - 0.5 + spacing / 2
        centers = first_center + spacing * np.arange(view.size)
        known = np.flatnonzero((centers >= start - 0.5) & (centers < start - 0.5 + length * step))
        if len(known) == 0:
            return out
        # Only what lies in the view is read, with a pixel more for the kernel.
        low = max(int((centers[known[0]] - spacing - start) / step) - 1, 0)
        high = min(int((centers[known[-1]] + spacing - start) / step) + 2, length)
        slices.append(slice(known[0], known[-1] + 1))
        reads.append(slice(low, high))
        source: Axis = (start - 0.5 + (low + 0.5) * step, step, high - low)
        axes.append((source, (float(centers[known[0]]), spacing, len(known))))
    window = values[reads[0], reads[1]].astype(np.float32)
    out[slices[0], slices[1]] = resample(window, axes[0], axes[1])
    return out


def _push(
    logits: Floats, positions: npt.NDArray[np.float64], positive: bool, cut: float, rules: MaskRules
) -> None:
    """Push logits around positions (n, 2), view coordinates, to the prompt's side; in place."""
    pixels = np.rint(positions)[:, None] + _neighbours(math.ceil(rules.disk_radius))
    away = ((pixels - positions[:, None]) ** 2).sum(axis=-1) / rules.disk_radius**2
    # A parabola that meets the threshold at 0.7 radii: a small round dot, not a square.
    push = rules.disk_margin * (1 - 2 * away)
    near = (away <= 1) & ((pixels >= 0) & (pixels < logits.shape)).all(axis=-1)
    rows, cols = pixels[near].astype(np.intp).T
    if positive:
        np.maximum.at(logits, (rows, cols), (cut + push[near]).astype(np.float32))
    else:
        np.minimum.at(logits, (rows, cols), (cut - push[near]).astype(np.float32))


@lru_cache(maxsize=8)
def _neighbours(reach: int) -> npt.NDArray[np.intp]:
    """Offsets (n, 2) of all pixels of a square around one."""
    steps = np.arange(-reach, reach + 1)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)


def _drop_specks(
    logits: Floats, view: View, prompts: Sequence[Prompt], cut: float, rules: MaskRules
) -> None:
    """Push small components that hold no positive prompt below the threshold; in place."""
    components, count = ndimage.label(logits > cut)
    if count < 2:
        return
    areas = np.bincount(components.ravel(), minlength=count + 1)
    areas[0] = 0
    keep = areas >= max(rules.speck_share * areas.sum(), 1)
    keep[areas.argmax()] = True
    for prompt in prompts:
        if isinstance(prompt, Click | Scribble) and prompt.positive:
            path = dense_path(prompt, min(view.spacing))
            pixels = np.rint(view.to_view(path)).astype(np.intp)
            pixels = pixels[((pixels >= 0) & (pixels < logits.shape)).all(axis=1)]
            keep[components[pixels[:, 0], pixels[:, 1]]] = True
    keep[0] = True
    specks = ~keep[components]
    logits[specks] = np.minimum(logits[specks], cut - rules.speck_margin)


def dense_path(prompt: Click | Scribble, spacing: float) -> npt.NDArray[np.float64]:
    """Positions (n, 2) along a prompt, data coordinates, at most `spacing` apart."""
    if isinstance(prompt, Click):
        return np.array([prompt.position])
    path = np.array(prompt.path)
    lengths = np.abs(np.diff(path, axis=0)).max(axis=1)
    counts = np.maximum(np.ceil(lengths / spacing), 1).astype(int)
    parts = [
        np.linspace(start, stop, count, endpoint=False)
        for start, stop, count in zip(path[:-1], path[1:], counts, strict=True)
    ]
    return np.concatenate([*parts, path[-1:]])


def _inside(view: View, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Model pixels, (S, S), whose centre lies in the image."""
    index = np.arange(view.size)
    centers = view.to_data(np.stack([index, index], axis=1))
    rows, cols = ((centers >= -0.5) & (centers <= np.array(shape) - 0.5)).T
    return np.asarray(rows[:, None] & cols)


def _drawn_box(
    settled: Floats, view: View, shape: tuple[int, int], threshold: float, margin: int
) -> PixelBox | None:
    """Data pixels that the mask may reach: its box and a model pixel around, in the image.

    With `margin` more data pixels around that.
    """
    mask = settled > logit(threshold)
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    low = np.floor(view.to_data((rows[0] - 1, cols[0] - 1))).astype(int)
    high = np.ceil(view.to_data((rows[-1] + 1, cols[-1] + 1))).astype(int) + 1
    low, high = low - margin, high + margin
    low = np.maximum(low, (max(view.row, 0), max(view.col, 0)))
    high = np.minimum(high, np.minimum(shape, view.box[2:]))
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1])) if (low < high).all() else None


def _with_pixels(box: PixelBox | None, groups: Sequence[npt.NDArray[np.intp]]) -> PixelBox | None:
    """Grow a box so that it holds all pixels."""
    corners = [group for group in groups if len(group)]
    if box is not None:
        corners.append(np.array(((box[0], box[1]), (box[2] - 1, box[3] - 1))))
    if not corners:
        return None
    pixels = np.concatenate(corners)
    low, high = pixels.min(axis=0), pixels.max(axis=0) + 1
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _window(
    size: int, spacing: float, origin: int, span: tuple[int, int]
) -> tuple[slice, Axis]:
    """Model pixels of one axis that data pixels `span` are drawn from, and where they lie."""
    first = origin - 0.5 + spacing / 2
    reach = max(spacing, 1.0)
    low = min(max(int((span[0] - reach - first) / spacing) - 1, 0), size - 1)
    high = max(min(int((span[1] + reach - first) / spacing) + 2, size), low + 1)
    return slice(low, high), (first + low * spacing, spacing, high - low)


def smoothed(probability: Floats, sigma: float) -> Floats:
    """Return a probability map under a Gaussian of `sigma` pixels; the map itself for 0."""
    if sigma == 0:
        return probability
    return np.asarray(ndimage.gaussian_filter(probability, sigma, mode="nearest"), np.float32)


def logit(probability: float) -> float:
    """Return the logit of a probability strictly between 0 and 1."""
    return math.log(probability / (1 - probability))
