"""From a view's logits to an object's mask in that view.

Logits of the network obey here what the user said, and lose specks. `drawing` draws them into the
image, `view_changes` takes them from one view to another.
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
from napari_pvpu.prompts import Bounds, Click, Prompt, Scribble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.views import Edges, View

__all__ = ["MaskRules", "dense_path", "logit", "outline", "settle", "sigmoid"]

Floats = npt.NDArray[np.float32]


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
        How far a positive and a negative click may change a mask, in units of its own distance from
        the mask's border: for the second prompt of an object, the third and so on; the last for
        all that follow. Empty for no limit.
    layer : tuple of float
        How deep a positive and a negative mark may change a mask, counted from the mask's border,
        in the same units.
    reach_margin : float
        Model pixels that are added to both.
    box_reach, box_lift : float
        How far beyond a box that corrects a mask the correction may go, in units of the box's
        shorter side; and logits by which the box draws the new answer to its side.
    scribble_reach : float
        As `reach`, of every scribble.
    missed, missed_most : float
        What stands for the size of the error where a mark is on the right side of the mask already,
        in units of its distance from the mask's border; and the distance, in model pixels, from
        which on such a mark changes nothing.
    lift, lift_reach : float
        Logits by which a click draws the new answer to its side where it stands, and the distance
        from it at which nothing is left of that, in the same units.
    """

    disk_radius: float = 2.5
    disk_margin: float = 2.0
    speck_share: float = 0.2
    speck_margin: float = 1.0
    hold: bool = True
    reach: tuple[float, ...] = (20.0, 10.0, 10.0, 8.0)
    negative_reach: tuple[float, ...] = (14.0, 7.0, 7.0, 5.0, 5.0, 4.0)
    layer: tuple[float, float] = (3.0, 2.0)
    reach_margin: float = 0.0
    box_reach: float = 0.1
    box_lift: float = 2.0
    scribble_reach: float = 0.7
    missed: float = 0.5
    missed_most: float = 16.0
    lift: float = 1.0
    lift_reach: float = 2.0


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


def logit(probability: float) -> float:
    """Return the logit of a probability strictly between 0 and 1."""
    return math.log(probability / (1 - probability))
