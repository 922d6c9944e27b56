"""The data of a layer of accepted objects: an array, or tiles where that would not fit.

napari makes an array of all it shows of a layer at once: of a layer of one level a whole plane, of
a pyramid what fits the canvas. Pyramids cannot be painted on, so that only planes too large to be
shown whole become one.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.blank_arrays import blank
from napari_pvpu.errors import SessionError
from napari_pvpu.sparse_labels import MOST_DENSE, SparseLabels, pyramid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Labels

    from napari_pvpu.napari_side.frame import Frame

    Box = tuple[int, int, int, int]

__all__ = ["blocks", "full_size", "new_data", "put_in", "widened", "write"]

MOST_SHOWN_WHOLE = 2**24
"""Pixels of a plane, of an image too large for an array, that napari is given at once."""

BLOCK = 4096


def new_data(frame: Frame, dtype: Any = np.uint16) -> Any:
    """Return data without objects for a Labels layer over an image."""
    shape = frame.layer_shape
    if prod(shape) <= MOST_DENSE:
        return blank(shape, dtype)
    rows, cols = frame.spatial_axes
    labels = SparseLabels(shape, dtype, rows=rows, cols=cols)
    return _levels(labels, frame)


def full_size(layer: Labels) -> Any:
    """Return the data of a layer at full size."""
    return layer.data[0] if layer.multiscale else layer.data


def widened(layer: Labels, frame: Frame, dtype: Any) -> Any:
    """Return the data of a layer with another dtype."""
    data = full_size(layer).astype(dtype)
    return _levels(data, frame) if layer.multiscale else data


def write(layer: Labels, indices: tuple[Any, ...], values: Any) -> None:
    """Write labels into a layer, and show what has changed of what is to be seen."""
    if layer.multiscale:  # napari's own way of writing knows no pyramids
        full_size(layer)[indices] = values
        _follow(layer, indices)
        layer.refresh(extent=False, thumbnail=False, highlight=False)
    elif not layer.loaded:
        # With asynchronous slicing the layer may not have been drawn yet, and `data_setitem`
        # would fail.
        layer.data[indices] = values
        layer.refresh()
    else:
        with layer.block_history():
            layer.data_setitem(indices, values)


def put_in(layer: Labels, given: Any) -> None:
    """Copy labels that a layer was given in place of its data into that data, undrawn.

    Raises
    ------
    SessionError
        If they are of another kind or shape, or have numbers that do not fit; then nothing has
        changed.
    """
    own, keeps = layer.data, f"“{layer.name}” keeps its own labels"
    if not isinstance(given, np.ndarray) or not isinstance(own, np.ndarray):
        kind = f"{type(given).__module__.partition('.')[0]}.{type(given).__name__}"
        raise SessionError(
            f"{keeps}, of which other data ({kind}) cannot take the place; write numpy arrays "
            "into parts of them, or choose Edit object > Begin with a Labels layer"
        )
    if given.shape != own.shape:
        raise SessionError(
            f"{keeps}, whose shape is {own.shape}; what it was given has the shape {given.shape}"
        )
    low, high, largest = int(given.min()), int(given.max()), np.iinfo(own.dtype).max
    if low < 0 or high > largest:
        raise SessionError(
            f"{keeps}, whose numbers run from 1 to {largest}; what it was given has numbers from "
            f"{low} to {high}: relabel them"
        )
    own[...] = given


def blocks(box: Box) -> Iterator[Box]:
    """Yield a box in pieces that fit into memory; of a usual box itself."""
    rows, cols = range(box[0], box[2], BLOCK), range(box[1], box[3], BLOCK)
    for row, col in product(rows, cols):
        yield row, col, min(row + BLOCK, box[2]), min(col + BLOCK, box[3])


def _levels(labels: Any, frame: Frame) -> Any:
    rows, cols = frame.own_shape
    if rows * cols <= MOST_SHOWN_WHOLE:
        return labels
    levels: list[Any] = [*pyramid(labels, rows, cols)]
    if labels.ndim == 2:
        # napari takes the smallest level of a plane for an array that never changes; this one does.
        levels[-1] = np.asarray(levels[-1])
    return levels


def _follow(layer: Labels, indices: tuple[Any, ...]) -> None:
    """Bring the smallest level up to date, if it is an array."""
    smallest = layer.data[-1]
    if isinstance(smallest, np.ndarray):
        factor = 2 ** (len(layer.data) - 1)
        window = tuple(
            slice(int(each.min()) // factor, int(each.max()) // factor + 1) for each in indices
        )
        smallest[window] = full_size(layer).at_level(factor)[window]
