"""Objects as published annotation files write them, turned into masks: run lengths and polygons.

A decoder of a few lines each: the reference implementation's wheel does not follow current numpy.
COCO measures polygons in image coordinates whose origin is the upper left corner of the first
pixel; the centre of that pixel is (0.5, 0.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.draw import polygon as draw_polygon

from napari_pvpu.evaluation.regions import RegionMask, bounding_rect, clip_rect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["cropped", "decode_polygons", "decode_rle", "overlap", "paint"]


def paint(objects: Sequence[RegionMask], shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Draw objects into one label image, the smaller ones on top.

    Parameters
    ----------
    objects : sequence of RegionMask
        Inside the image; at most `MOST_OBJECTS`.
    shape : (height, width)
        Of the image.

    Returns
    -------
    ndarray of uint16, (H, W)
        Labels from 1 on by falling area; of equal areas the later object is on top.
    """
    labels = np.zeros(shape, np.uint16)
    areas = [int(np.count_nonzero(region.mask)) for region in objects]
    for label, index in enumerate(np.argsort([-area for area in areas], kind="stable"), start=1):
        top, left, bottom, right = objects[index].rect
        labels[top:bottom, left:right][objects[index].mask] = label
    return labels


def decode_rle(segmentation: dict[str, Any]) -> NDArray[np.bool_]:
    """Decode run lengths, plain or compressed, to a mask.

    Parameters
    ----------
    segmentation : dict
        ``size`` [height, width] and ``counts``: a list of run lengths, of background and object
        in turn, down the columns; or COCO's text for such a list.

    Returns
    -------
    ndarray of bool, (height, width)

    Raises
    ------
    ValueError
        When the runs are no numbers or do not fill the mask.
    """
    height, width = (int(side) for side in segmentation["size"])
    counts = segmentation["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("ascii")
    runs = _runs_of_text(counts) if isinstance(counts, str) else [int(run) for run in counts]
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"run lengths of {sum(runs)} pixels for a mask of {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _runs_of_text(text: str) -> list[int]:
    """COCO's text of run lengths.

    Numbers stand in groups of five bits, low ones first, as characters from "0" on; bit 6 says
    that more follow, and the highest bit of the last is the sign. From the fourth number on they
    are differences to the number two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"character {character!r} in compressed run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("compressed run lengths end in the middle of a number")
    return runs


def decode_polygons(polygons: Sequence[Sequence[float]], shape: tuple[int, int]) -> RegionMask:
    """Draw an object's polygons.

    Parameters
    ----------
    polygons : sequence of sequence of float
        Each ``x0, y0, x1, y1, ...``; the object is all of them together. Those of fewer than
        three points, which some files hold, cover nothing.
    shape : (height, width)
        Of the image.

    Returns
    -------
    RegionMask
        The pixels whose centres lie in a polygon, inside the image.

    Raises
    ------
    ValueError
        When a polygon is not a list of pairs of finite numbers.
    """
    outlines = []
    for polygon in polygons:
        values = np.asarray(polygon, dtype=float)
        if values.ndim != 1 or len(values) % 2 or not np.isfinite(values).all():
            raise ValueError("a polygon that is not a list of finite x, y in turn")
        if len(values) >= 6:
            outlines.append(values.reshape(-1, 2)[:, ::-1] - 0.5)
    if not outlines:
        return RegionMask(0, 0, np.zeros((0, 0), bool))
    points = np.concatenate(outlines)
    low, high = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    rect = clip_rect((low[0], low[1], high[0] + 1, high[1] + 1), (0, 0, *shape))
    top, left, bottom, right = (int(value) for value in rect)
    mask = np.zeros((max(bottom - top, 0), max(right - left, 0)), bool)
    for outline in outlines:
        rows, cols = draw_polygon(outline[:, 0] - top, outline[:, 1] - left, mask.shape)
        mask[rows, cols] = True
    return RegionMask(top, left, mask)


def cropped(mask: NDArray[np.bool_]) -> RegionMask:
    """The part of a mask that holds its object."""
    top, left, bottom, right = bounding_rect(mask) or (0, 0, 0, 0)
    return RegionMask(top, left, mask[top:bottom, left:right].copy())


def overlap(one: RegionMask, two: RegionMask) -> float:
    """Intersection over union of two masks."""
    top, left, bottom, right = clip_rect(one.rect, two.rect)
    if top >= bottom or left >= right:
        return 0.0
    both = np.count_nonzero(one.crop(two.rect) & two.mask)
    return float(both / (np.count_nonzero(one.mask) + np.count_nonzero(two.mask) - both))
