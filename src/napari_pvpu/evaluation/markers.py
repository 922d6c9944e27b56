"""From prompts to what classical methods want: a window, and markers for object and background.

Classical methods know nothing of objects, so they get all the help that prompts can give without
the truth. With a box, the window is the box with a margin, and everything outside the box is
background. Without one, nothing tells the size: several windows around the positive prompts are
tried, their edges are background, and the caller keeps the most convincing result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import ndimage

from napari_pvpu.evaluation.regions import Rect, RegionMask, clip_rect
from napari_pvpu.prompts import Box, Click, Scribble

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BACKGROUND", "OBJECT", "Prompts", "Window", "candidate_windows", "make_window"]

Prompts: TypeAlias = Sequence[Click | Scribble | Box]

OBJECT = 1
BACKGROUND = 2
SIDES = (24, 48, 96, 192, 384)
WORKING_SIDE = 128
_BOX_MARGIN = 0.25
_DOT_RADIUS = 1.5


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the image as a classical method sees it.

    Parameters
    ----------
    rect : (row0, col0, row1, col1)
        Where it is in the image, half-open; always inside the image.
    step : int
        Image pixels per pixel of the arrays below (large windows are worked on reduced).
    image : ndarray of float32, shape (h, w, C)
        Intensities, about 0 to 1.
    markers : ndarray of int8, shape (h, w)
        0 unknown, 1 object, 2 background.
    previous : ndarray of bool, shape (h, w)
        The mask before this interaction; all False at the first.
    """

    rect: Rect
    step: int
    image: NDArray[np.float32]
    markers: NDArray[np.int8]
    previous: NDArray[np.bool_]

    def to_region(self, mask: NDArray[np.bool_]) -> RegionMask:
        """A mask over this window's arrays, as a mask over the image."""
        height, width = self.rect[2] - self.rect[0], self.rect[3] - self.rect[1]
        full = mask.repeat(self.step, axis=0).repeat(self.step, axis=1)[:height, :width]
        return RegionMask(self.rect[0], self.rect[1], full)


def candidate_windows(prompts: Prompts, shape: tuple[int, int]) -> list[Rect]:
    """The windows to try, clipped to the image.

    Parameters
    ----------
    prompts : sequence of prompts
        At least one.
    shape : (height, width)
        Size of the image.

    Returns
    -------
    list of (row0, col0, row1, col1)
        With a positive box: one, the joint bounds of the positive prompts with a quarter of their
        size as a margin. Else squares of 24, 48, 96, 192 and 384 pixels around the middle of the
        positive prompts that hold all prompts, the positive ones in two thirds of their side
        (negative ones are mostly near the outline and so tell something of the size); one just
        large enough when all are too small.
    """
    positive = [prompt for prompt in prompts if prompt.positive]
    bounds = np.array([prompt.bounds for prompt in positive or prompts])
    low, high = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
    frame: Rect = (0, 0, *shape)
    if any(isinstance(prompt, Box) for prompt in positive):
        margin = np.maximum(_BOX_MARGIN * (high - low), 4.0)
        return [_clipped(low - margin, high + margin, frame)]
    middle, extent = (low + high) / 2, float((high - low).max())
    every = np.array([prompt.bounds for prompt in prompts])
    reach = np.maximum(middle - every[:, :2], every[:, 2:] - middle).max()
    least = max(extent * 1.5, 2 * float(reach))
    sides = [side for side in SIDES if side >= least] or [int(least) + 1]
    found = [_clipped(middle - side / 2, middle + side / 2, frame) for side in sides]
    return list(dict.fromkeys(found))


def make_window(
    image: NDArray[np.float32], rect: Rect, prompts: Prompts, previous: RegionMask
) -> Window:
    """Cut a window and draw its markers.

    Its edges are background, but for edges on the image's border (an object may be cut there);
    when all four are, all are background after all, since some must be. Outside a positive box
    is background. Clicks are dots, scribbles are lines; a positive box alone marks the middle
    quarter of itself as object. Later prompts overrule earlier ones.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W, C)
        The whole image, scaled to about 0 to 1.
    rect : (row0, col0, row1, col1)
        Half-open window inside the image.
    prompts : sequence of prompts
        In the order given by the user.
    previous : RegionMask
        The mask so far.

    Returns
    -------
    Window
    """
    top, left, bottom, right = rect
    step = -(-max(bottom - top, right - left) // WORKING_SIDE)
    crop = _block_mean(image[top:bottom, left:right], step)
    before = previous.crop(rect)[::step, ::step]
    markers = np.zeros(crop.shape[:2], dtype=np.int8)
    _mark_edges(markers, rect, (image.shape[0], image.shape[1]))
    boxes = [prompt for prompt in prompts if isinstance(prompt, Box) and prompt.positive]
    for box in boxes:
        markers[~_inside(box, rect, step, markers.shape, 1.0)] = BACKGROUND
    if not any(prompt.positive and not isinstance(prompt, Box) for prompt in prompts):
        for box in boxes:
            markers[_inside(box, rect, step, markers.shape, 0.25)] = OBJECT
    for prompt in prompts:
        if isinstance(prompt, (Click, Scribble)):
            dots = _drawn(prompt, rect, step, markers.shape)
            markers[dots] = OBJECT if prompt.positive else BACKGROUND
        elif not prompt.positive:
            markers[_inside(prompt, rect, step, markers.shape, 1.0)] = BACKGROUND
    return Window(rect, step, crop, markers, before)


def _clipped(low: NDArray[np.float64], high: NDArray[np.float64], frame: Rect) -> Rect:
    start, stop = np.floor(low).astype(int), np.ceil(high).astype(int) + 1
    rect = clip_rect((int(start[0]), int(start[1]), int(stop[0]), int(stop[1])), frame)
    return rect


def _block_mean(image: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Reduce by whole blocks; edges are repeated to fill the last ones."""
    if step == 1:
        return image
    fill = [(0, -size % step) for size in image.shape[:2]]
    padded = np.pad(image, [*fill, (0, 0)], mode="edge")
    height, width = padded.shape[0] // step, padded.shape[1] // step
    blocks = padded.reshape(height, step, width, step, -1)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _mark_edges(markers: NDArray[np.int8], rect: Rect, shape: tuple[int, int]) -> None:
    top, left, bottom, right = rect
    free = (top > 0, bottom < shape[0], left > 0, right < shape[1])
    if not any(free):
        free = (True, True, True, True)
    sides = (markers[0], markers[-1], markers[:, 0], markers[:, -1])
    for side, is_free in zip(sides, free, strict=True):
        if is_free:
            side[:] = BACKGROUND


def _inside(
    box: Box, rect: Rect, step: int, shape: tuple[int, ...], share: float
) -> NDArray[np.bool_]:
    """Pixels of a window inside a box that is first shrunk around its centre to `share`."""
    (top, left), (bottom, right) = box.start, box.stop
    rows = rect[0] + (np.arange(shape[0]) + 0.5) * step - 0.5
    cols = rect[1] + (np.arange(shape[1]) + 0.5) * step - 0.5
    # Half a working pixel more on each side: a box always holds at least one of them.
    half_row = max((bottom - top) / 2 * share, step / 2)
    half_col = max((right - left) / 2 * share, step / 2)
    in_row = np.abs(rows - (top + bottom) / 2) <= half_row
    in_col = np.abs(cols - (left + right) / 2) <= half_col
    return np.asarray(in_row[:, None] & in_col[None, :])


def _drawn(
    prompt: Click | Scribble, rect: Rect, step: int, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Pixels of a window on a click's dot or a scribble's line."""
    points = np.array([prompt.position] if isinstance(prompt, Click) else prompt.path)
    points = (points + 0.5 - np.array(rect[:2])) / step - 0.5
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1) if len(points) > 1 else np.zeros(0)
    pieces = [
        np.linspace(start, stop, int(length * 2) + 2)
        for start, stop, length in zip(points[:-1], points[1:], lengths, strict=True)
    ]
    dense = np.rint(np.concatenate([points, *pieces])).astype(int)
    kept = dense[np.all((dense >= 0) & (dense < np.array(shape)), axis=1)]
    canvas = np.ones(shape, dtype=bool)
    canvas[kept[:, 0], kept[:, 1]] = False
    if canvas.all():
        return ~canvas
    return np.asarray(ndimage.distance_transform_edt(canvas) <= _DOT_RADIUS)
