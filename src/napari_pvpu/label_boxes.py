"""Boxes of objects in arrays of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_pvpu.records import PixelBox

__all__ = ["area_of", "boxes_in", "clusters", "joined_boxes", "tight_box"]

Labels = npt.NDArray[np.unsignedinteger]

MOST_LISTED = 2**16
"""Up to this id boxes are found by a list of all ids, beyond it by those that there are."""


NEAR = 2**20
"""Pixels of a box around two others that is taken in their place, however empty it is."""


def area_of(box: PixelBox) -> int:
    """Return the number of pixels of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def clusters(boxes: Iterable[PixelBox]) -> list[PixelBox]:
    """Return boxes around all that are given, one around those that lie near each other.

    What changed in two far corners of a huge image is two small boxes so, and not all of it.

    Examples
    --------
    >>> clusters([(0, 0, 10, 10), (90_000, 90_000, 90_010, 90_010), (5, 5, 20, 20)])
    [(0, 0, 20, 20), (90000, 90000, 90010, 90010)]
    """
    found: list[PixelBox] = []
    for box in boxes:
        whole, left = box, found
        while True:
            near = [each for each in left if _are_near(each, whole)]
            if not near:
                break
            left = [each for each in left if each not in near]
            rows, cols, bottoms, rights = zip(whole, *near, strict=True)
            whole = (min(rows), min(cols), max(bottoms), max(rights))
        found = [*left, whole]
    return sorted(found)


def _are_near(one: PixelBox, two: PixelBox) -> bool:
    around = (min(one[0], two[0]), min(one[1], two[1]), max(one[2], two[2]), max(one[3], two[3]))
    return area_of(around) <= max(NEAR, 2 * (area_of(one) + area_of(two)))


def tight_box(mask: npt.NDArray[np.bool_], row: int, col: int) -> PixelBox | None:
    """Return the box of a mask whose first pixel lies at (row, col); None if it is empty."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    return (
        row + int(rows[0]),
        col + int(cols[0]),
        row + int(rows[-1]) + 1,
        col + int(cols[-1]) + 1,
    )


def joined_boxes(known: dict[int, PixelBox], more: Iterable[tuple[int, PixelBox]]) -> None:
    """Let the boxes of objects grow by those of further parts of them."""
    for object_id, box in more:
        old = known.get(object_id, box)
        known[object_id] = (
            min(old[0], box[0]),
            min(old[1], box[1]),
            max(old[2], box[2]),
            max(old[3], box[3]),
        )


def boxes_in(labels: Labels, row: int, col: int = 0) -> Iterator[tuple[int, PixelBox]]:
    """Yield id and box of each object in an array whose first pixel lies at (row, col)."""
    largest = int(labels.max())
    ids: npt.NDArray[Any] = np.arange(1, min(largest, MOST_LISTED) + 1)
    numbered: npt.NDArray[Any] = labels
    # A list of all ids is long for an array that holds few of many.
    if largest > min(MOST_LISTED, labels.size):
        found, inverse = np.unique(labels, return_inverse=True)
        start = int(found[0] == 0)  # number 0 has to stay the background
        ids, numbered = found[start:], inverse.reshape(labels.shape) + 1 - start
    from scipy import ndimage  # takes longer to load than all of this package's window

    places = ndimage.find_objects(numbered.astype(np.int32))
    for object_id, place in zip(ids, places, strict=True):
        if place is not None:
            rows, cols = place
            box = (row + rows.start, col + cols.start, row + rows.stop, col + cols.stop)
            yield int(object_id), box
