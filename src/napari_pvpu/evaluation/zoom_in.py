"""Where the papers' protocols look: the whole image, or a crop that follows the object.

RITM looks at the whole image first and from the second interaction at a crop around the object;
SimpleClick and PVPUFormer at a square into which image or crop is stretched, from the first on.
The rules follow the released code in every number, including two that their descriptions leave
out: overlap of crops is the product of the overlaps per axis, and a positive prompt in the last
row or column of a crop counts as outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from napari_pvpu.evaluation.regions import Rect, bounding_rect, clip_rect, union_rect
from napari_pvpu.prompts import Box, Click, Scribble
from napari_pvpu.resample import Axis, resample

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float32]

__all__ = ["ZOOM_KINDS", "ZOOM_RULES", "CropView", "ZoomIn", "ZoomKind", "ZoomRule"]

ZoomKind: TypeAlias = Literal["none", "ritm", "simpleclick"]
ZOOM_KINDS: tuple[ZoomKind, ...] = get_args(ZoomKind)


@dataclass(frozen=True, slots=True)
class ZoomRule:
    """When and how to crop.

    Parameters
    ----------
    first : int, optional
        Number of the first interaction that may look at a crop; None for never.
    stretch : bool
        Whether image and crop fill the network's square, whatever their aspect ratio. Otherwise
        their longer side does, and the rest of the square is outside the image.
    ratio : float
        Side of the crop over the object's, on each axis.
    least : int
        Shortest side of a crop in image pixels, where the image is as large.
    keep : float
        The crop of the interaction before is kept while it overlaps the new one by this much.
    threshold : float
        Probability above which a pixel counts as the object's.
    """

    first: int | None
    stretch: bool
    ratio: float = 1.4
    least: int = 200
    keep: float = 0.5
    threshold: float = 0.5


ZOOM_RULES: dict[ZoomKind, ZoomRule] = {
    "none": ZoomRule(first=None, stretch=False),
    "ritm": ZoomRule(first=2, stretch=False),
    "simpleclick": ZoomRule(first=1, stretch=True),
}


class ZoomIn:
    """Chooses a crop for each interaction with one object.

    Parameters
    ----------
    shape : (height, width)
        Of the image.
    rule : ZoomRule
        One of `ZOOM_RULES`.
    """

    def __init__(self, shape: tuple[int, int], rule: ZoomRule) -> None:
        self._whole: Rect = (0, 0, *shape)
        self._rule = rule
        self._crop: Rect | None = None

    def next_crop(
        self, probability: Floats | None, prompts: Sequence[Click | Box | Scribble]
    ) -> Rect:
        """Where to look for the next answer.

        Parameters
        ----------
        probability : ndarray of float32, shape (H, W), optional
            After the interaction before; None at the first.
        prompts : sequence of prompts
            All of the object, the new one included, in image coordinates.

        Returns
        -------
        (row0, col0, row1, col1)
            Half-open box inside the image.
        """
        if self._rule.first is None or len(prompts) < self._rule.first:
            return self._whole
        seen = None if probability is None else bounding_rect(probability > self._rule.threshold)
        if seen is None:
            if self._rule.first > 1:
                return self._whole
            wanted = self._whole
        else:
            wanted = object_crop(seen, prompts, self._whole, self._rule)
        kept = self._crop
        if (
            kept is None
            or not all(_inside(kept, p, self._whole) for p in prompts if p.positive)
            or crop_overlap(wanted, kept) < self._rule.keep
        ):
            self._crop = kept = wanted
        return kept


def object_crop(
    seen: Rect, prompts: Sequence[Click | Box | Scribble], whole: Rect, rule: ZoomRule
) -> Rect:
    """The crop around what was seen of an object and all its positive prompts.

    Parameters
    ----------
    seen : (row0, col0, row1, col1)
        Half-open box around the prediction.
    prompts : sequence of prompts
        In image coordinates. The papers have clicks only; of boxes and scribbles the bounds count.
    whole : (row0, col0, row1, col1)
        The image.
    rule : ZoomRule
        Gives `ratio` and `least`.

    Returns
    -------
    (row0, col0, row1, col1)
        Half-open. Each side is a pixel longer than `ratio` says: the released code rounds both
        ends and takes the last one in.
    """
    for prompt in prompts:
        if prompt.positive:
            seen = union_rect(seen, _pixels(prompt, whole))
    ends = []
    for low, high in ((seen[0], seen[2]), (seen[1], seen[3])):
        middle = (low + high - 1) / 2
        half = max(rule.ratio * (high - low), rule.least) / 2
        ends.append((round(middle - half), round(middle + half) + 1))
    (top, bottom), (left, right) = ends
    return clip_rect((top, left, bottom, right), whole)


def crop_overlap(first: Rect, second: Rect) -> float:
    """Product of the intersections over unions of two boxes' rows and of their columns."""
    product = 1.0
    for low, high in ((0, 2), (1, 3)):
        common = min(first[high], second[high]) - max(first[low], second[low])
        joint = max(first[high], second[high]) - min(first[low], second[low])
        product *= max(0, common) / joint
    return product


def _pixels(prompt: Click | Box | Scribble, whole: Rect) -> Rect:
    """Half-open box of the pixels that a prompt covers; a box may reach beyond the image."""
    top, left, bottom, right = (int(value) for value in prompt.bounds)
    return clip_rect((top, left, bottom + 1, right + 1), whole)


def _inside(crop: Rect, prompt: Click | Box | Scribble, whole: Rect) -> bool:
    pixels = _pixels(prompt, whole)
    # Strict at the end for clicks, as released; the papers' rules know nothing else.
    last = 1 if isinstance(prompt, Click) else 0
    return all(
        crop[axis] <= pixels[axis] and pixels[axis + 2] <= crop[axis + 2] - last for axis in (0, 1)
    )


@dataclass(frozen=True, slots=True)
class CropView:
    """A part of an image, in the middle of the square that a network sees.

    Parameters
    ----------
    rect : (row0, col0, row1, col1)
        Half-open box in image pixels.
    size : int
        Side of the square in model pixels.
    stretch : bool
        See `ZoomRule`.

    Notes
    -----
    The released code aligns corner pixels of crop and square; here their edges are aligned, as
    everywhere in this package: a crop of h rows has a model pixel for each h / S of them.
    """

    rect: Rect
    size: int
    stretch: bool

    @property
    def spacing(self) -> tuple[float, float]:
        """Image pixels per model pixel along rows and columns."""
        sides = (self.rect[2] - self.rect[0], self.rect[3] - self.rect[1])
        longest = max(sides)
        down, across = sides if self.stretch else (longest, longest)
        return down / self.size, across / self.size

    @property
    def origin(self) -> tuple[float, float]:
        """Image coordinates of model pixel (0, 0)."""
        reach = (self.size - 1) / 2
        down, across = self.spacing
        row = (self.rect[0] + self.rect[2] - 1) / 2 - reach * down
        col = (self.rect[1] + self.rect[3] - 1) / 2 - reach * across
        return row, col

    def prompt_to_view(self, prompt: Click | Box | Scribble) -> Click | Box | Scribble:
        """The same prompt in model pixels."""
        if isinstance(prompt, Click):
            return Click(self._to_view(prompt.position), prompt.positive)
        if isinstance(prompt, Box):
            return Box(self._to_view(prompt.start), self._to_view(prompt.stop), prompt.positive)
        return Scribble(tuple(self._to_view(point) for point in prompt.path), prompt.positive)

    def _to_view(self, point: tuple[float, float]) -> tuple[float, float]:
        (row, col), (down, across) = self.origin, self.spacing
        return (point[0] - row) / down, (point[1] - col) / across

    def read(self, values: Floats, outside: float) -> Floats:
        """What the network sees.

        Parameters
        ----------
        values : ndarray of float32, shape (..., H, W)
            Over the whole image.
        outside : float
            For model pixels whose centre lies outside the crop.

        Returns
        -------
        ndarray of float32, shape (..., S, S)
        """
        top, left, bottom, right = self.rect
        rows, cols = self._inside(0), self._inside(1)
        seen = resample(
            values[..., top:bottom, left:right],
            ((top, 1.0, bottom - top), self._axis(0, rows)),
            ((left, 1.0, right - left), self._axis(1, cols)),
        )
        out = np.full((*values.shape[:-2], self.size, self.size), outside, np.float32)
        out[..., rows, cols] = seen
        return out

    def write_back(self, answer: Floats) -> Floats:
        """What the network said, over the crop's pixels.

        Parameters
        ----------
        answer : ndarray of float32, shape (S, S)
            Over the square.

        Returns
        -------
        ndarray of float32, shape (h, w)
            Over `rect`; what was said of the square outside the crop has no part in it.
        """
        top, left, bottom, right = self.rect
        rows, cols = self._inside(0), self._inside(1)
        return resample(
            answer[rows, cols],
            (self._axis(0, rows), (top, 1.0, bottom - top)),
            (self._axis(1, cols), (left, 1.0, right - left)),
        )

    def _inside(self, axis: int) -> slice:
        """Model pixels whose centre lies in the crop, one at least."""
        first, spacing = self.origin[axis], self.spacing[axis]
        low, high = self.rect[axis] - 0.5, self.rect[axis + 2] - 0.5
        start = int(np.ceil((low - first) / spacing - 1e-6))
        stop = int(np.floor((high - first) / spacing + 1e-6)) + 1
        if start >= stop:  # a crop thinner than a model pixel, between two centres
            start, stop = stop - 1, stop
        return slice(max(start, 0), min(stop, self.size))

    def _axis(self, axis: int, inside: slice) -> Axis:
        first, spacing = self.origin[axis], self.spacing[axis]
        return first + inside.start * spacing, spacing, inside.stop - inside.start
