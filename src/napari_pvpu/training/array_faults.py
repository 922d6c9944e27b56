"""What is wrong with the pixels of an image or of its mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.training.annotations import MOST_OBJECTS
from napari_pvpu.training.datasets import MIN_AREA

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_faults"]

_MANY_LABELS = 16
_RESTLESS = 0.4
"""Share of neighbouring labelled pixels with different labels above which a mask is no mask.

Over the training sets of real images that the default model has seen it is 0.04 at most; in a
photograph nearly all pixels are labelled, and most differ from their neighbours.
"""


def array_faults(
    image: NDArray[np.generic], labels: NDArray[np.integer[Any]]
) -> list[tuple[str, str]]:
    """Find what is wrong with the pixels of an image and its mask.

    Parameters
    ----------
    image : ndarray, (H, W) or (H, W, C)
        As read from a file.
    labels : ndarray of int, (H, W)
        As read from its mask.

    Returns
    -------
    list of (kind, detail)
        Kinds as in `KINDS`; empty if nothing is wrong.
    """
    faults = []
    if image.dtype.kind not in "buif":
        faults.append(("image", f"its values are of type {image.dtype}; numbers are needed"))
    elif image.dtype.kind == "f" and not np.isfinite(image).all():
        bad = np.count_nonzero(~np.isfinite(image))
        faults.append(("not finite", f"{bad} of {image.size} values"))
    elif image.size == 0 or image.min() == image.max():
        faults.append(("constant", f"all {image.flat[0]}" if image.size else "no pixel"))
    return faults + _label_faults(labels)


def _label_faults(labels: NDArray[np.integer[Any]]) -> list[tuple[str, str]]:
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > MOST_OBJECTS:
        return [("labels", f"from {low} to {high}")]
    areas = np.bincount(labels.ravel())[1:]
    number = np.count_nonzero(areas)
    restless = _restlessness(labels)
    if number >= _MANY_LABELS and restless > _RESTLESS:
        detail = f"{number} labels, and {restless:.0%} of neighbouring pixels differ"
        return [("photograph", detail)]
    if number == 0:
        return [("empty", "")]
    if areas.max() < MIN_AREA:
        return [("small", f"the largest object has {areas.max()} of at least {MIN_AREA} pixels")]
    return []


def _restlessness(labels: NDArray[np.integer[Any]]) -> float:
    """Share of labelled horizontal and vertical neighbours whose labels differ."""
    both, differ = 0, 0
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        labelled = (one != 0) & (other != 0)
        both += int(np.count_nonzero(labelled))
        differ += int(np.count_nonzero(labelled & (one != other)))
    return differ / max(both, 1)
