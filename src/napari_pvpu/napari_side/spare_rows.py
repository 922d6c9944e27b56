"""Points out of use, as long as napari may still draw them.

With asynchronous slicing napari draws points by the indices that they had a moment ago, and fails
if there are fewer by then. So rows that are not wanted any more are hidden, and taken out once
nothing of the layer is under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    from napari.layers import Points

__all__ = ["SPARE", "hide_rows", "put_points", "take_out"]

SPARE = -2
"""`order` of a row that is out of use."""


def put_points(layer: Points, places: npt.NDArray[np.float64]) -> int:
    """Make these places (N, ndim) the rows of a layer, and return how many spare ones follow."""
    spare = 0 if layer.loaded else max(len(layer.data) - len(places), 0)
    layer.data = np.concatenate([places, np.zeros((spare, layer.ndim))])
    if len(layer.data):
        layer.shown = np.arange(len(layer.data)) < len(places)
    _know_rows(layer)
    return spare


def hide_rows(layer: Points, indices: Iterable[int]) -> None:
    """Put rows out of use."""
    indices = list(indices)
    features, shown = layer.features.copy(), layer.shown.copy()
    features.loc[features.index[indices], "order"] = SPARE
    shown[indices] = False
    layer.features, layer.shown = features, shown
    take_out(layer)


def take_out(layer: Points) -> bool:
    """Take out rows that are out of use, if that can be done now; tell whether it was."""
    spare = np.flatnonzero(layer.features["order"] == SPARE)
    if not len(spare) or not layer.loaded:
        return False
    layer.remove([int(index) for index in spare])
    _know_rows(layer)
    return True


def _know_rows(layer: Points) -> None:
    """Have a layer know by now which of its rows are seen, for all that is set of them next."""
    if not layer.loaded:
        layer.set_view_slice()
