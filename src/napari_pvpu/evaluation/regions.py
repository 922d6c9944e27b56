"""Boxes and masks over a part of an image: what methods and the robot hand to each other.

An object is mostly small beside its image. A `RegionMask` says "this is the mask inside the box,
and everything outside is background", so that scoring costs what the object costs, and the
result is exactly the one that whole images would give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EMPTY_REGION", "Rect", "RegionMask", "bounding_rect", "clip_rect", "union_rect"]

Rect: TypeAlias = tuple[int, int, int, int]
"""Half-open pixel box ``(row0, col0, row1, col1)``."""


@dataclass(frozen=True, slots=True)
class RegionMask:
    """A mask over the box whose first pixel is ``(row, col)``; background everywhere else.

    Parameters
    ----------
    row, col : int
        The image pixel at ``mask[0, 0]``. May be negative: boxes may leave the image.
    mask : ndarray of bool, shape (h, w)
        The mask inside the box.
    """

    row: int
    col: int
    mask: NDArray[np.bool_]

    @property
    def rect(self) -> Rect:
        """The half-open box this mask covers."""
        height, width = self.mask.shape
        return self.row, self.col, self.row + height, self.col + width

    def crop(self, rect: Rect) -> NDArray[np.bool_]:
        """The mask over another box, False where this region does not reach.

        Parameters
        ----------
        rect : (row0, col0, row1, col1)
            Half-open box in image pixels.

        Returns
        -------
        ndarray of bool, shape (row1 - row0, col1 - col0)
        """
        top, left, bottom, right = rect
        out = np.zeros((max(bottom - top, 0), max(right - left, 0)), dtype=bool)
        r0, c0, r1, c1 = clip_rect(self.rect, rect)
        if r1 > r0 and c1 > c0:
            inner = self.mask[r0 - self.row : r1 - self.row, c0 - self.col : c1 - self.col]
            out[r0 - top : r1 - top, c0 - left : c1 - left] = inner
        return out


EMPTY_REGION = RegionMask(0, 0, np.zeros((0, 0), dtype=bool))
"""Nothing predicted yet: background everywhere."""


def bounding_rect(mask: NDArray[np.bool_]) -> Rect | None:
    """The smallest half-open box around the True pixels of a 2-D mask, or None without any."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    cols = np.flatnonzero(mask[top:bottom].any(axis=0))
    return top, int(cols[0]), bottom, int(cols[-1]) + 1


def union_rect(first: Rect, second: Rect) -> Rect:
    """The smallest box around two boxes; a box without area adds nothing."""
    if first[2] <= first[0] or first[3] <= first[1]:
        return second
    if second[2] <= second[0] or second[3] <= second[1]:
        return first
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


def clip_rect(rect: Rect, bounds: Rect) -> Rect:
    """The part of `rect` inside `bounds`; without area where the two do not meet."""
    return (
        max(rect[0], bounds[0]),
        max(rect[1], bounds[1]),
        min(rect[2], bounds[2]),
        min(rect[3], bounds[3]),
    )
