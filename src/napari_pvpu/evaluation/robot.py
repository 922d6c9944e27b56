"""The simulated user: looks at what is wrong and places the next prompt.

Clicks follow RITM's clicker (also SimpleClick's and PVPUFormer's): the pixel deepest inside the
missing or the surplus part, whichever is deeper. Boxes and scribbles correct the same part that a
click would: SAM 2's noisy box around it, and a piece of its centre line drawn by a shaky hand.
Everything works on the box around prediction and object, with exactly the result that the whole
image would give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from scipy import ndimage

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.regions import Rect, RegionMask, bounding_rect, union_rect
from napari_pvpu.evaluation.strokes import box_around, scribble_within
from napari_pvpu.prompts import Box, Click, Scribble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Errors: TypeAlias = tuple[Rect, NDArray[np.bool_], NDArray[np.bool_]]

__all__ = ["PROMPT_MODES", "Error", "PromptMode", "Robot", "deepest_pixel", "find_error"]

PromptMode: TypeAlias = Literal["click", "box", "scribble", "mixed"]
PROMPT_MODES: tuple[PromptMode, ...] = get_args(PromptMode)

_EIGHT = np.ones((3, 3), dtype=bool)
_BOX_FILL = 0.5


@dataclass(frozen=True, slots=True)
class Error:
    """The part that is most wrong, and where in it a click goes.

    Parameters
    ----------
    position : (row, col) of int
        The deepest pixel.
    positive : bool
        True when the part is missing from the prediction, False when it is too much.
    """

    position: tuple[int, int]
    positive: bool


def deepest_pixel(
    mask: NDArray[np.bool_], clicked: NDArray[np.intp] | None = None
) -> tuple[float, tuple[int, int]]:
    """Find the pixel with the largest Euclidean distance to the outside of a mask.

    Outside the array counts as outside the mask (RITM pads by one pixel of 0). The distance
    transform runs on the bounding box of the mask, padded: the nearest background pixel of any
    mask pixel is never farther than that padding, so the distances are those of the whole image.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The mask.
    clicked : ndarray of int, shape (n, 2), optional
        (row, col) of pixels that may not be chosen any more.

    Returns
    -------
    depth : float
        Distance in pixels; 0 when no pixel is left to choose.
    position : (row, col) of int
        The first such pixel in row-major order.
    """
    rect = bounding_rect(mask)
    if rect is None:
        return 0.0, (0, 0)
    top, left, bottom, right = rect
    padded = np.pad(mask[top:bottom, left:right], 1)
    depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    if clicked is not None and len(clicked):
        row, col = clicked[:, 0] - top, clicked[:, 1] - left
        inside = (row >= 0) & (row < bottom - top) & (col >= 0) & (col < right - left)
        depth[row[inside], col[inside]] = 0
    flat = int(depth.argmax())
    row_max, col_max = divmod(flat, depth.shape[1])
    return float(depth[row_max, col_max]), (top + row_max, left + col_max)


def find_error(
    missing: NDArray[np.bool_],
    surplus: NDArray[np.bool_],
    clicked: NDArray[np.intp] | None = None,
) -> Error | None:
    """RITM's choice of the next click.

    Parameters
    ----------
    missing, surplus : ndarray of bool, shape (h, w)
        Valid pixels of the object that are not predicted, and predicted ones that are not of it.
    clicked : ndarray of int, shape (n, 2), optional
        (row, col) of pixels clicked before; they are not clicked again.

    Returns
    -------
    Error or None
        Positive when the missing part is deeper, negative when the surplus part is at least as
        deep (ties are negative). None when nothing is left to correct.
    """
    depth_missing, at_missing = deepest_pixel(missing, clicked)
    depth_surplus, at_surplus = deepest_pixel(surplus, clicked)
    if depth_missing == 0 and depth_surplus == 0:
        return None
    if depth_missing > depth_surplus:
        return Error(at_missing, positive=True)
    return Error(at_surplus, positive=False)


class Robot:
    """A user who wants one object, and corrects the largest mistake with each prompt.

    Parameters
    ----------
    target : ndarray of bool, shape (H, W)
        The object.
    valid : ndarray of bool, shape (H, W), optional
        True where pixels count; all by default. Nothing is corrected elsewhere.
    mode : {"click", "box", "scribble", "mixed"}
        The kind of the first prompt; later ones are clicks, but for "mixed", where each one's kind
        is random. A box is used as a correction only where the wrong part fills at least half of
        it, a scribble only where there is room for two points; else the prompt is a click.
    seed : int or sequence of int
        Seed of everything random.
    jitter : float
        Clicks land up to this many pixels off, uniformly in a disk, but on the side that was
        meant. 0 is RITM's exact clicker.
    """

    def __init__(
        self,
        target: NDArray[np.bool_],
        valid: NDArray[np.bool_] | None = None,
        *,
        mode: PromptMode = "click",
        seed: int | tuple[int, ...] = 0,
        jitter: float = 0.0,
    ) -> None:
        if mode not in PROMPT_MODES:
            raise PvpuError(f"unknown kind of prompts {mode!r}; use one of {PROMPT_MODES}")
        if jitter < 0:
            raise PvpuError(f"jitter is {jitter}; it must be 0 or more pixels")
        self.mode = mode
        self.jitter = jitter
        self._valid = valid
        self._shape: tuple[int, int] = (target.shape[0], target.shape[1])
        scored = target if valid is None else target & valid
        rect = bounding_rect(scored)
        self._rect: Rect = rect if rect is not None else (0, 0, 0, 0)
        top, left, bottom, right = self._rect
        self._target = RegionMask(top, left, scored[top:bottom, left:right].copy())
        self._clicked: list[tuple[int, int]] = []
        self._count = 0
        self._rng = np.random.default_rng(seed)
        self._compared: tuple[RegionMask, Errors] | None = None

    def errors(self, prediction: RegionMask) -> Errors:
        """Missing and surplus pixels, over the box around object and prediction.

        Parameters
        ----------
        prediction : RegionMask
            The mask so far.

        Returns
        -------
        rect : (row0, col0, row1, col1)
            The box.
        missing, surplus : ndarray of bool, shape (row1 - row0, col1 - col0)
        """
        # Asked for twice of each prediction: for its IoU, then for the next prompt.
        if self._compared is None or self._compared[0] is not prediction:
            self._compared = prediction, self._compare(prediction)
        return self._compared[1]

    def _compare(self, prediction: RegionMask) -> Errors:
        rect = union_rect(self._rect, prediction.rect)
        wanted, found = self._target.crop(rect), prediction.crop(rect)
        missing, surplus = wanted & ~found, found & ~wanted
        if self._valid is not None:
            # Boxes are clipped to the image by the caller, so this slice has the same shape.
            surplus &= self._valid[rect[0] : rect[2], rect[1] : rect[3]]
        return rect, missing, surplus

    def iou(self, prediction: RegionMask) -> float:
        """IoU of a prediction with the object, over valid pixels (1 when both are empty)."""
        _, missing, surplus = self.errors(prediction)
        area = int(np.count_nonzero(self._target.mask))
        union = area + int(np.count_nonzero(surplus))
        return (area - int(np.count_nonzero(missing))) / union if union else 1.0

    def next_prompt(self, prediction: RegionMask) -> Click | Box | Scribble | None:
        """The next prompt, or None when nothing is wrong any more.

        Parameters
        ----------
        prediction : RegionMask
            The mask so far, inside the image; `EMPTY_REGION` at the start.

        Returns
        -------
        Click, Box, Scribble or None
            In image coordinates (row, col).
        """
        rect, missing, surplus = self.errors(prediction)
        origin = np.array(rect[:2], dtype=np.intp)
        clicked = np.array(self._clicked, dtype=np.intp).reshape(-1, 2) - origin
        error = find_error(missing, surplus, clicked)
        if error is None:
            return None
        wrong = missing if error.positive else surplus
        prompt = self._stroke(error, wrong, rect)
        self._count += 1
        if prompt is not None:
            return prompt
        row, col = error.position[0] + rect[0], error.position[1] + rect[1]
        self._clicked.append((row, col))
        return Click(self._perturbed(row, col, error.positive), positive=error.positive)

    def _stroke(self, error: Error, wrong: NDArray[np.bool_], rect: Rect) -> Box | Scribble | None:
        """A box or a scribble on the wrong part, when this interaction is one and there is room."""
        kind = self.mode if self._count == 0 else "click"
        if self.mode == "mixed":
            kind = str(self._rng.choice(["click", "box", "scribble"]))  # type: ignore[assignment]
        if kind == "click":
            return None
        parts, _ = ndimage.label(wrong, structure=_EIGHT)
        part = parts == parts[error.position]
        if kind == "scribble":
            path = scribble_within(part, self._rng)
            if path is None:
                return None
            points = path + np.array(rect[:2])
            return Scribble(tuple((float(r), float(c)) for r, c in points), error.positive)
        inner = bounding_rect(part)
        assert inner is not None  # the part holds at least the clicked pixel
        size = (inner[2] - inner[0]) * (inner[3] - inner[1])
        if self._count > 0 and np.count_nonzero(part) < _BOX_FILL * size:
            return None
        outer = (inner[0] + rect[0], inner[1] + rect[1], inner[2] + rect[0], inner[3] + rect[1])
        start, stop = box_around(outer, self._shape, self._rng)
        return Box(start, stop, positive=error.positive)

    def _perturbed(self, row: int, col: int, positive: bool) -> tuple[float, float]:
        """Move a click by up to `jitter` pixels, staying on the side of the object it was for."""
        if self.jitter == 0:
            return float(row), float(col)
        for _ in range(16):
            radius = self.jitter * np.sqrt(self._rng.random())
            angle = self._rng.random() * 2 * np.pi
            near = row + radius * np.sin(angle), col + radius * np.cos(angle)
            at = round(near[0]), round(near[1])
            if not (0 <= at[0] < self._shape[0] and 0 <= at[1] < self._shape[1]):
                continue
            on_object = bool(self._target.crop((at[0], at[1], at[0] + 1, at[1] + 1))[0, 0])
            if on_object == positive:
                return float(at[0]), float(at[1])
        return float(row), float(col)
