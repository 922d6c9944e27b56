"""Small label images with whatever outlines may stumble over, shared by the tests of exports."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = {
    "one pixel": [[1]],
    "nothing": [[0, 0], [0, 0]],
    "everything": [[2, 2], [2, 2]],
    "at the border": [[1, 0, 2], [0, 0, 0], [3, 3, 4]],
    "a hole": [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
    "another object in the hole": [[1, 1, 1], [1, 2, 1], [1, 1, 1]],
    "its own part in the hole": [
        [1, 1, 1, 1, 1],
        [1, 0, 0, 0, 1],
        [1, 0, 1, 0, 1],
        [1, 0, 0, 0, 1],
        [1, 1, 1, 1, 1],
    ],
    "two parts": [[1, 0, 1], [1, 0, 1]],
    "touching objects": [[1, 1, 2], [1, 2, 2], [3, 3, 3]],
    "touching by corners": [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
    "ring closed by a corner": [[1, 1, 0], [1, 0, 1], [1, 1, 1]],
    "holes that touch by a corner": [[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]],
    "hole that touches the outside": [[1, 1, 1], [1, 0, 1], [0, 1, 1]],
    "large labels": [[70_000, 0, 5], [0, 3_000_000_000, 5]],
}


def label_images() -> st.SearchStrategy[np.ndarray]:
    """Label images up to 9 x 9 with up to three objects."""
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=9)
    return shapes.flatmap(lambda shape: arrays(np.uint16, shape, elements=st.integers(0, 3)))


def masks() -> st.SearchStrategy[np.ndarray]:
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=9)
    return shapes.flatmap(lambda shape: arrays(np.bool_, shape))


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder in memory, where there is such a place: every file is forced to disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)
