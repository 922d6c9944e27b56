"""Draw an object that was found in a view into the image, over its box only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.errors import SessionError
from napari_pvpu.masks import dense_path, logit, sigmoid
from napari_pvpu.polygons import exclusions
from napari_pvpu.prompts import Click, Prompt, Scribble
from napari_pvpu.resample import Axis, resample
from napari_pvpu.sparse_labels import MOST_DENSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.views import View

__all__ = ["Drawing", "draw", "marked_pixels", "smoothed"]

Floats = npt.NDArray[np.float32]
PixelBox = tuple[int, int, int, int]


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

    Raises
    ------
    SessionError
        If the object reaches over more pixels than can be held at once.
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
    if (row1 - row0) * (col1 - col0) > MOST_DENSE:
        raise SessionError(
            f"the object would reach over {row1 - row0} x {col1 - col0} pixels, too many to be "
            "drawn at once; mark a smaller part, or work on a coarser level of the image"
        )
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


def smoothed(probability: Floats, sigma: float) -> Floats:
    """Return a probability map under a Gaussian of `sigma` pixels; the map itself for 0."""
    if sigma == 0:
        return probability
    return np.asarray(ndimage.gaussian_filter(probability, sigma, mode="nearest"), np.float32)


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


def _window(size: int, spacing: float, origin: int, span: tuple[int, int]) -> tuple[slice, Axis]:
    """Model pixels of one axis that data pixels `span` are drawn from, and where they lie."""
    first = origin - 0.5 + spacing / 2
    reach = max(spacing, 1.0)
    low = min(max(int((span[0] - reach - first) / spacing) - 1, 0), size - 1)
    high = max(min(int((span[1] + reach - first) / spacing) + 2, size), low + 1)
    return slice(low, high), (first + low * spacing, spacing, high - low)
