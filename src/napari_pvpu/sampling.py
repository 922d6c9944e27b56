"""Which values of an image become 0 and 1, found without reading all of it.

One pair of limits serves all planes, so that an object looks the same on its neighbours.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import ImageError
from napari_pvpu.normalisation import percentile_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_pvpu.levels import Levels

__all__ = ["find_limits"]

SAMPLES = 1_000_000
"""Pixels that are looked at, about, of all planes together."""

SAMPLING_GRID = 6
"""Windows per axis that are sampled of images that are not in memory."""

MOST_PLANES = 64
"""Planes that are sampled, of an image in memory or of small planes."""

FEW_PLANES = 8
"""Planes that are sampled of other images."""

MOST_SEARCHED = 100_000_000
"""Pixels, at most, searched for contrast that the sample missed, of images not in memory."""

SEARCH_SIDE = 2048

HALVED = 64
"""Pixels along a side of a window from which on it is read in parts if it cannot be read whole."""

MOST_TROUBLE = 100
"""Attempts in vain, after which no more is tried of an image that is damaged all over."""

PRIMES = (2, 3, 5, 7, 11, 13)

Pair = tuple[float, float] | None


def find_limits(
    levels: Levels, channels: Sequence[int], together: bool
) -> tuple[list[float], list[float]]:
    """Return the values that become 0 and 1, for each channel.

    Parameters
    ----------
    levels : Levels
        The image.
    channels : sequence of int
        Those in use.
    together : bool
        Whether they share one pair.

    Raises
    ------
    ImageError
        If there is no finite value, all are equal, or a few of very many are and all equal; or
        if none of the places looked at can be read.
    """
    sample = _sample(levels, channels)
    groups = [sample.ravel()] * len(sample) if together else list(sample)
    found = {id(group): percentile_limits(group) for group in groups}
    limits = [found[id(group)] for group in groups]
    known = [pair for pair in limits if pair is not None]
    if all(low == high for low, high in known):
        limits = _search_contrast(levels, channels)
    pairs = [pair or (0.0, 1.0) for pair in limits]
    lows = [low for low, _ in pairs]
    # Of a constant channel; to a huge value adding one makes no difference.
    above = [max(low + 1, float(np.nextafter(low, np.inf))) for low in lows]
    return lows, [high if high > low else up for (low, high), up in zip(pairs, above, strict=True)]


def _sample(levels: Levels, channels: Sequence[int]) -> npt.NDArray[Any]:
    """Return about `SAMPLES` pixels of the channels in use, (C, N)."""
    height, width = levels.shape()
    small = height * width * len(channels) * MOST_PLANES <= SAMPLES
    most = MOST_PLANES if small or levels.strides_are_cheap else FEW_PLANES
    planes = spread_planes(levels.plane_shape, most)
    trouble: list[ImageError] = []
    parts = [
        part.reshape(len(channels), -1)
        for plane in planes
        for window in _windows(levels, channels, len(planes))
        for part in _readable(levels, plane, channels, window, trouble)
    ]
    if not parts:
        raise trouble[0]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _windows(levels: Levels, channels: Sequence[int], planes: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns to be sampled of each of so many planes."""
    height, width = levels.shape()
    samples = SAMPLES / planes
    share = max(1.0, height * width * len(channels) / samples)
    if levels.strides_are_cheap:
        step = int(np.ceil(np.sqrt(share)))
        yield slice(0, None, step), slice(0, None, step)
        return
    if share == 1:
        yield slice(0, height), slice(0, width)
        return
    # A stride would touch every chunk of a lazy array: windows touch a few.
    grid = max(1, round(SAMPLING_GRID / np.sqrt(planes)))
    side = max(1, int(np.sqrt(samples / len(channels))) // grid)
    rows, cols = (
        _spread_windows(length, side, grid, chunk)
        for length, chunk in zip((height, width), levels.chunk_shape, strict=True)
    )
    yield from product(rows, cols)


def _readable(
    levels: Levels,
    plane: tuple[int, ...],
    channels: Sequence[int],
    window: tuple[slice, slice],
    trouble: list[ImageError],
) -> Iterator[npt.NDArray[Any]]:
    """Yield a window, or what of it can be read: a damaged chunk hides no others."""
    try:
        yield levels.read(plane, channels, *window)
    except ImageError as error:
        trouble.append(error)
        if len(trouble) > MOST_TROUBLE or max(each.stop - each.start for each in window) < HALVED:
            return
        for rows, cols in product(_halves(window[0]), _halves(window[1])):
            yield from _readable(levels, plane, channels, (rows, cols), trouble)


def _halves(part: slice) -> tuple[slice, slice]:
    middle = (part.start + part.stop) // 2
    return slice(part.start, middle), slice(middle, part.stop)


def spread_planes(shape: tuple[int, ...], most: int) -> list[tuple[int, ...]]:
    """Return the planes if they are few, else `most` of them, spread over all axes at once."""
    total = prod(shape)
    if total <= most:
        return list(product(*(range(length) for length in shape)))
    # Even steps along the longest axis, irrational ones along the others: no two axes go in step,
    # and none is stood still on.
    longest = shape.index(max(shape))
    steps = np.arange(most)
    columns = []
    for axis, length in enumerate(shape):
        share = (steps + 0.5) / most
        if axis != longest:
            share = (steps * np.sqrt(PRIMES[axis % len(PRIMES)]) + 0.5) % 1
        columns.append((share * length).astype(int).tolist())
    return sorted(set(zip(*columns, strict=True)))


def _spread_windows(length: int, side: int, grid: int, chunk: int) -> list[slice]:
    """Up to `grid` windows spread evenly over an axis, each within a chunk if there is room."""
    count = max(1, min(grid, length // max(side, 1)))
    starts = np.linspace(0, max(length - side, 0), count).astype(int).tolist()
    if side <= chunk:
        starts = [min(start, max(start // chunk * chunk + chunk - side, 0)) for start in starts]
    return [slice(start, start + side) for start in starts]


def _search_contrast(levels: Levels, channels: Sequence[int]) -> list[Pair]:
    """Look for the rare values of an image whose sample is constant, coarsest level first."""
    left = float("inf") if levels.in_memory else float(MOST_SEARCHED)
    extremes: list[list[float]] = [[] for _ in channels]
    limits: list[Pair] = []
    for level in reversed(range(len(levels))):
        for block in _blocks(levels, channels, level):
            for values, plane in zip(extremes, block, strict=True):
                finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
                if finite.size:
                    values[:] = [*values, float(finite.min()), float(finite.max())]
                    values[:] = [min(values), max(values)]
            left -= block.size
            if left <= 0:
                break
        limits = [(values[0], values[1]) if values else None for values in extremes]
        if left <= 0 or any(pair is not None and pair[0] < pair[1] for pair in limits):
            break
    if any(pair is not None and pair[0] < pair[1] for pair in limits):
        return limits
    raise _no_contrast(sorted({pair[0] for pair in limits if pair}), complete=left > 0)


def _blocks(levels: Levels, channels: Sequence[int], level: int) -> Iterator[npt.NDArray[Any]]:
    """Read all of a level, piece by piece."""
    height, width = levels.shape(level)
    for plane in product(*(range(length) for length in levels.plane_shape)):
        for row in range(0, height, SEARCH_SIDE):
            for col in range(0, width, SEARCH_SIDE):
                rows, cols = slice(row, row + SEARCH_SIDE), slice(col, col + SEARCH_SIDE)
                yield levels.read(plane, channels, rows, cols, level)


def _no_contrast(values: list[float], complete: bool) -> ImageError:
    if not complete:
        return ImageError(
            f"the parts of the image that were looked at show nothing ({_listed(values)}), and it "
            "is too large to be searched; pass limits=(low, high), the values that are to be "
            "black and white"
        )
    if not values:
        return ImageError("the image has no finite value; pass one with something to see")
    return ImageError(
        f"the image is constant ({_listed(values)}): there is nothing to segment; check that the "
        "right image and channels were chosen"
    )


def _listed(values: list[float]) -> str:
    return f"every value is {', '.join(map(str, values))}" if values else "no value is finite"
