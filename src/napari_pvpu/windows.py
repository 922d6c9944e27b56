"""What a view and an image have in common, and the averaging of what is read by two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_pvpu.resample import Axis
    from napari_pvpu.views import View

__all__ = ["Overlap", "halve"]

OVERSAMPLING = 4
"""Pixels per model pixel along an axis that are enough; of twice as many every second is read."""


class Overlap:
    """What one axis of a view has in common with the image.

    Parameters
    ----------
    origin : int
        First data pixel of the view on this axis.
    view : View
        The view.
    length : int
        Data pixels of the image on this axis.
    factor : float
        Data pixels per pixel of the level to be read.
    count : int, optional
        Pixels of the level; by default it is the image itself.
    aspect : float
        Of the view on its rows, 1 on its columns.

    Attributes
    ----------
    inside : slice
        Model pixels whose centre lies in the image.
    target : Axis
        Their centres, in pixels of the level.
    pixels : slice
        Pixels of the level to read.
    source : Axis
        Where those lie, in pixels of the level.
    """

    def __init__(
        self,
        origin: int,
        view: View,
        length: int,
        factor: float = 1.0,
        count: int | None = None,
        aspect: float = 1.0,
    ) -> None:
        spacing = 1 / (view.scale * aspect)
        first = origin - 0.5 + 0.5 * spacing
        start = int(np.ceil(max(-0.5 - first, 0) / spacing))
        stop = min(view.size, int(np.floor((length - 0.5 - first) / spacing)) + 1)
        self.empty = start >= stop
        self.inside = slice(start, max(stop, start))
        # From here on in pixels of the level, of which one covers `factor` data pixels.
        spacing /= factor
        first = origin / factor - 0.5 + 0.5 * spacing
        self.target: Axis = (first + start * spacing, spacing, max(stop - start, 0))
        low = int(np.floor(max(origin, 0) / factor))
        high = int(np.ceil(min(origin + view.extent / aspect, length) / factor))
        step = max(1, int(spacing / OVERSAMPLING))
        # A pixel beyond the window on either side lets the kernel reach over its border.
        low, high = max(low - step, 0), min(high + step, length if count is None else count)
        first_read = low + min((step - 1) // 2, max(high - low - 1, 0))
        self.pixels = slice(first_read, high, step)
        self.source: Axis = (float(first_read), float(step), len(range(first_read, high, step)))


def halve(
    pixels: npt.NDArray[np.float32], rows: Axis, cols: Axis
) -> tuple[npt.NDArray[np.float32], Axis, Axis]:
    """Average blocks of 2 x 2; an odd last row or column is averaged alone."""
    for axis in (1, 2):
        even = pixels.shape[axis] // 2 * 2
        one = pixels[:, :even:2] if axis == 1 else pixels[:, :, :even:2]
        two = pixels[:, 1:even:2] if axis == 1 else pixels[:, :, 1:even:2]
        half = (one + two) * np.float32(0.5)
        if even < pixels.shape[axis]:
            # Its block reaches beyond what was read; the edge's own value stands for the rest.
            rest = pixels[:, even:] if axis == 1 else pixels[:, :, even:]
            half = np.concatenate([half, rest], axis)
        pixels = half
    return pixels, _halved(rows), _halved(cols)


def _halved(axis: Axis) -> Axis:
    first, step, count = axis
    return (first + step / 2, 2 * step, (count + 1) // 2)
