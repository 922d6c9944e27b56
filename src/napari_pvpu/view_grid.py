"""The extents and places that views come in: half-octaves, and origins on a grid.

Origins are multiples of a quarter of the extent, so that neighbouring objects share views, and
with them cached features. Lengths are in data pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_pvpu.views import View

if TYPE_CHECKING:
    from napari_pvpu.prompts import Bounds

__all__ = ["extent_for", "longer_side", "view_around", "view_holding"]

SMALLEST_STEP = -6
"""Half-octaves below one data pixel per model pixel: eight times magnification at most."""


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


def view_holding(
    center: tuple[float, float],
    extent: int,
    size: int,
    shape: tuple[int, int],
    bounds: Bounds,
    margin: float,
    aspect: float,
) -> View:
    """Return the smallest view of at least this extent that holds `bounds`, near `center`.

    None is larger than it takes to show the whole image, prompts that leave it aside.

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
    bounds : (row0, col0, row1, col1)
        What has to lie in the view.
    margin : float
        Model pixels that it keeps from the window's border, where that cuts through the image.
    aspect : float
        Height of a data pixel in its widths.
    """
    side = max(shape[0] * aspect, shape[1])
    step = _step(min(extent, _extent(_covering(side, size), size)), size)
    most = _covering(3 * max(side, longer_side(bounds, aspect)), size)
    while True:
        extent = _extent(step, size)
        pad = margin * extent / size
        high = pad / aspect
        keep = (
            min(bounds[0], max(bounds[0] - high, -0.5)),
            min(bounds[1], max(bounds[1] - pad, -0.5)),
            max(bounds[2], min(bounds[2] + high, shape[0] - 0.5)),
            max(bounds[3], min(bounds[3] + pad, shape[1] - 0.5)),
        )
        view = view_around(center, extent, size, shape, keep, aspect)
        if view.contains(bounds, margin, shape) or step >= most:
            return view
        step += 1


def longer_side(bounds: Bounds, aspect: float) -> float:
    """Return the longer side of a box, the pixels at its edges included, in widths of a pixel."""
    return max((bounds[2] - bounds[0] + 1.0) * aspect, bounds[3] - bounds[1] + 1.0)


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
