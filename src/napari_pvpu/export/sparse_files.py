"""Labels of images of any size: only what holds objects is written, and kept when read."""

from __future__ import annotations

import zlib
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import ExportError, SessionError
from napari_pvpu.label_store import sparse_copy
from napari_pvpu.sparse_labels import MOST_DENSE, pyramid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_pvpu.export.label_image import LabelImage
    from napari_pvpu.sparse_labels import SparseLabels

__all__ = ["TIFF_TILE", "compressed_tiles", "read_labels", "too_large", "write_zarr_levels"]

TIFF_TILE = 1024
"""Rows and columns of a tile of a TIFF, which has all of them, empty ones too."""

MOST_TIFF_TILES = 200_000

MOST_READ_WHOLE = MOST_DENSE
"""Pixels of labels that become one array."""


def too_large(shape: tuple[int, ...]) -> bool:
    """Whether labels are read block by block."""
    return prod(shape) > MOST_READ_WHOLE


def read_labels(labels: Any) -> Any:
    """Return labels of a file as an array; or, if they are `too_large`, those tiles that hold any.

    Parameters
    ----------
    labels : array-like of integers
        As a zarr: sliced into arrays, its last axes rows and columns.

    Raises
    ------
    ExportError
        If they are too large, and negative or larger than 32 bits hold.
    """
    if not too_large(labels.shape):
        return np.asarray(labels[...])
    try:
        return sparse_copy(labels)
    except SessionError as error:
        raise ExportError(str(error)) from error


def compressed_tiles(labels: SparseLabels) -> Iterator[bytes]:
    """Return all tiles of TIFF_TILE x TIFF_TILE pixels, compressed, plane by plane, row by row.

    Raises
    ------
    ExportError
        If there are so many that even a file of empty ones would be large.
    """
    *plane_shape, height, width = labels.shape
    rows, cols = (range(0, length, TIFF_TILE) for length in (height, width))
    count = prod(plane_shape) * len(rows) * len(cols)
    if count > MOST_TIFF_TILES:
        raise ExportError(
            f"labels of shape {labels.shape} are too large for TIFF, which would take {count} "
            "tiles, nearly all of them empty; export OME-Zarr, or outlines (ImageJ, GeoJSON, COCO)"
        )
    return _tiles(labels, rows, cols)


def _tiles(labels: SparseLabels, rows: range, cols: range) -> Iterator[bytes]:
    full = np.zeros((TIFF_TILE, TIFF_TILE), labels.dtype)
    empty = zlib.compress(full.tobytes())
    for plane in np.ndindex(*labels.shape[:-2]):
        there = _blocks(labels, plane, TIFF_TILE)
        for row, col in product(rows, cols):
            if (row, col) not in there:
                yield empty
                continue
            part = labels[(*plane, slice(row, row + TIFF_TILE), slice(col, col + TIFF_TILE))]
            tile = full.copy()
            tile[: part.shape[0], : part.shape[1]] = part
            yield zlib.compress(tile.tobytes())


def write_zarr_levels(
    group: Any, image: LabelImage, labels: SparseLabels, chunk: int, levels: int
) -> list[dict[str, Any]]:
    """Write the levels of a pyramid into a group, those chunks only that hold labels.

    Parameters
    ----------
    group : zarr.Group
        Empty.
    image : LabelImage
        With the scale.
    labels : SparseLabels
        With rows and columns last.
    chunk : int
        Rows and columns of a chunk.
    levels : int
        At least so many, as far as tiles go; and as many as a viewer needs to show all at once.

    Returns
    -------
    list of dict
        Paths and scales, as NGFF wants them.
    """
    datasets = []
    stack = pyramid(labels, *image.shape)
    while len(stack) < levels and 2 ** len(stack) <= min(*image.shape, 256):
        stack.append(labels.at_level(2 ** len(stack)))
    for number, level in enumerate(stack):
        *plane_shape, height, width = level.shape
        chunks = (*(1,) * len(plane_shape), min(chunk, height), min(chunk, width))
        array = group.create_array(
            str(number), shape=level.shape, chunks=chunks, dtype=level.dtype, fill_value=0
        )
        for plane in level.planes:
            for row, col in sorted(_blocks(labels, plane, chunk * 2**number)):
                top, left = row >> number, col >> number
                window = (*plane, slice(top, top + chunk), slice(left, left + chunk))
                array[window] = level[window]
        scale = [*image.scale[:-2], *(size * 2**number for size in image.scale[-2:])]
        datasets.append(
            {
                "path": str(number),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    return datasets


def _blocks(labels: SparseLabels, plane: tuple[int, ...], side: int) -> set[tuple[int, int]]:
    """Return where blocks of `side` x `side` pixels begin that hold labels."""
    return {(row // side * side, col // side * side) for row, col, _ in labels.tiles(plane)}
