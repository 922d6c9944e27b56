"""Changes of masks by hand, as pure functions on boolean windows.

Every mask is a window of one plane that holds the whole object with some room around, unless the
image ends there. What lies beyond an edge of the image does not count as outside the object: a
cut object neither shrinks nor grows there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.drawing import marked_pixels
from napari_pvpu.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.label_store import Labels
    from napari_pvpu.prompts import Click, Scribble
    from napari_pvpu.session_settings import OverlapRule

__all__ = [
    "fill_holes",
    "grow",
    "place",
    "remove_small",
    "shrink",
    "smooth",
    "split",
]

Bits = npt.NDArray[np.bool_]

_EIGHT = np.ones((3, 3), bool)
_SLIVER = 4
"""Pixels; smaller pieces of a cut are part of the cut."""


def place(
    labels: Labels, mask: Bits, object_id: int, rule: OverlapRule
) -> tuple[Labels, dict[int, int]]:
    """Give an object the pixels of a mask.

    Parameters
    ----------
    labels : array, (h, w)
        Objects in the window.
    mask : array, (h, w), bool
        Pixels that the object is to have.
    object_id : int
        Its id; pixels outside the mask that have it now become 0.
    rule : {"keep", "overwrite", "ask"}
        Who has pixels of other objects in the end; "ask" counts as "keep" here.

    Returns
    -------
    labels : array, (h, w)
        The window as it becomes, a new array.
    contested : dict of int to int
        Pixels of the mask that other objects have now, by their ids.
    """
    others = mask & (labels != 0) & (labels != object_id)
    ids, counts = np.unique(labels[others], return_counts=True)
    contested = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    after = np.where(labels == object_id, labels.dtype.type(0), labels)
    after[mask if rule == "overwrite" else mask & ~others] = object_id
    return after, contested


def fill_holes(mask: Bits, max_area: int | None = None) -> Bits:
    """Return a mask without holes, or without those of at most `max_area` pixels."""
    filled = ndimage.binary_fill_holes(mask)
    if max_area is None:
        return np.asarray(filled, bool)
    holes, count = ndimage.label(filled & ~mask)
    areas = np.bincount(holes.ravel(), minlength=count + 1)
    small = areas <= max_area
    small[0] = False
    return np.asarray(mask | small[holes], bool)


def smooth(mask: Bits, radius: float) -> Bits:
    """Return a mask whose outline is even at the scale of `radius` pixels."""
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), radius, mode="nearest")
    return np.asarray(blurred > 0.5, bool)


def grow(mask: Bits, pixels: float) -> Bits:
    """Return a mask with all pixels that are at most `pixels` away from it."""
    if not mask.any():
        return mask.copy()
    return np.asarray(ndimage.distance_transform_edt(~mask) <= pixels, bool)


def shrink(mask: Bits, pixels: float) -> Bits:
    """Return a mask without the pixels that are at most `pixels` away from the outside."""
    if mask.all():
        return mask.copy()
    return np.asarray(ndimage.distance_transform_edt(mask) > pixels, bool)


def remove_small(mask: Bits, min_area: int) -> Bits:
    """Return a mask without its parts of fewer than `min_area` pixels."""
    parts, count = ndimage.label(mask, _EIGHT)
    areas = np.bincount(parts.ravel(), minlength=count + 1)
    stays = areas >= min_area
    stays[0] = False
    return np.asarray(stays[parts], bool)


def split(
    mask: Bits, strokes: Sequence[Click | Scribble], row: int, col: int
) -> npt.NDArray[np.intp]:
    """Cut a mask into pieces.

    Parameters
    ----------
    mask : array, (h, w), bool
        The object.
    strokes : sequence of Click or Scribble
        Two or more positive ones each begin a piece, and negative ones lie between pieces. Else
        all of them are cuts. Data coordinates.
    row, col : int
        First data pixel of the window.

    Returns
    -------
    array, (h, w), int
        0 outside the mask, 1 for the largest piece and so on.

    Raises
    ------
    SessionError
        If nothing is cut.
    """
    drawn = [(_stroke(stroke, mask.shape, row, col), stroke.positive) for stroke in strokes]
    seeds = [line & mask for line, positive in drawn if positive]
    if len(seeds) >= 2:
        cuts = [line for line, positive in drawn if not positive]
        pieces = _grow_seeds(mask, seeds, _joined(cuts, mask.shape))
    else:
        pieces = _cut(mask, _joined([line for line, _ in drawn], mask.shape))
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    order = np.argsort(-areas, kind="stable")
    order = order[areas[order] > 0]
    ranks = np.zeros(len(areas), np.intp)
    ranks[order] = np.arange(1, len(order) + 1)
    return np.asarray(ranks[pieces], np.intp)


def _cut(mask: Bits, cut: Bits) -> npt.NDArray[np.intp]:
    """Take pixels out, number what falls apart, and give the pixels to their neighbours."""
    wholes, count = ndimage.label(mask, _EIGHT)
    parts, _ = ndimage.label(mask & ~cut)
    areas = np.bincount(parts.ravel())
    pieces = np.where((areas >= _SLIVER)[parts], parts, 0)
    for whole in range(1, count + 1):
        here = wholes == whole
        if not (here & cut).any() or not pieces[here].any():
            # Not touched by the cut, or hardly more than it: one piece, whatever it holds.
            pieces[here] = parts.max() + whole
    if len(np.unique(pieces[mask & (pieces > 0)])) <= count:
        raise SessionError(
            "the stroke does not cut the object in two; draw it right across, from outside to "
            "outside"
        )
    # What the cut did not touch stays with the largest piece.
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    apart = np.isin(np.arange(len(areas)), np.unique(pieces[np.isin(wholes, wholes[cut & mask])]))
    largest = int(np.argmax(np.where(apart, areas, 0)))
    pieces[mask & ~apart[pieces]] = largest
    return _flooded(mask, pieces)


def _grow_seeds(mask: Bits, seeds: Sequence[Bits], cut: Bits) -> npt.NDArray[np.intp]:
    """Let each seed take the part of the object around it, up to the necks in between."""
    from skimage.segmentation import watershed  # takes a while to import, and is rarely needed

    markers = np.zeros(mask.shape, np.intp)
    for number, seed in enumerate(seeds, start=1):
        markers[seed & (markers == 0)] = number
    if len(np.unique(markers[markers > 0])) < len(seeds):
        raise SessionError(
            "each positive stroke has to run through the object, and none along another; draw one "
            "in each piece"
        )
    open_part = mask & (~cut | (markers > 0))
    depth = ndimage.distance_transform_edt(open_part)
    pieces = watershed(-depth, markers, mask=open_part)
    return _flooded(mask, pieces)


def _flooded(mask: Bits, pieces: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Give pixels of the mask without a piece to the nearest one."""
    left = mask & (pieces == 0)
    if not left.any():
        return pieces
    nearest = ndimage.distance_transform_edt(
        pieces == 0, return_distances=False, return_indices=True
    )
    return np.asarray(np.where(mask, pieces[tuple(nearest)], 0), np.intp)


def _stroke(stroke: Click | Scribble, shape: tuple[int, ...], row: int, col: int) -> Bits:
    """Pixels of a window that a stroke runs through."""
    out = np.zeros(shape, bool)
    pixels = marked_pixels(stroke, (shape[0] + row, shape[1] + col)) - (row, col)
    pixels = pixels[(pixels >= 0).all(axis=1)]
    out[pixels[:, 0], pixels[:, 1]] = True
    return out


def _joined(lines: Sequence[Bits], shape: tuple[int, ...]) -> Bits:
    return np.asarray(np.logical_or.reduce([np.zeros(shape, bool), *lines]))
