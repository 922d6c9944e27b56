"""A folder of two small images with six objects, on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def small_weights(small_weights: Path, one_thread: None) -> Path:
    """Weights of an untrained network: what it answers is poor, and the same each time."""
    return small_weights


@pytest.fixture(scope="module")
def two_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the sets ``disks`` (a split of its own) and ``far|out``, an image of each.

    ``disks`` holds three disks on a noisy ground, ``far|out`` a bright and a dark square; their
    images have names that Markdown would read as more than text.
    """
    root = tmp_path_factory.mktemp("data") / "sets"
    row, col = np.mgrid[:72, :90]
    disks = np.zeros(row.shape, np.uint16)
    for label, (r, c, radius) in enumerate([(18, 18, 12), (50, 25, 9), (36, 65, 17)], 1):
        disks[(row - r) ** 2 + (col - c) ** 2 < radius**2] = label
    noise = np.random.default_rng(0).normal(0, 10, disks.shape)
    squares = np.zeros(row.shape, np.uint16)
    squares[10:30, 10:34] = 1
    squares[44:62, 50:76] = 2
    for place, stem, labels, grey in (
        (root / "disks" / "val", "a*b*", disks, np.where(disks, 170, 60) + noise),
        (root / "far|out", "[x](y)", squares, np.choose(squares, [110, 220, 20]) + noise / 4),
    ):
        for name, values in (("images", grey.clip(0, 255).astype(np.uint8)), ("masks", labels)):
            (place / name).mkdir(parents=True)
            Image.fromarray(values).save(place / name / f"{stem}.png")
    return root


@pytest.fixture
def mask_folder(tmp_path: Path) -> Path:
    """Image ``a`` holds bright squares 1 to 4 of sides 4 to 16, ``b`` squares 5 and 9 of side 10.

    Grey 200 on 50 in ``a`` (PNG), colour in ``b`` (lossless WebP, 8-bit mask).
    """
    root = tmp_path / "squares"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    labels = np.zeros((40, 60), np.uint16)
    for label, (row, col, side) in enumerate([(2, 2, 4), (2, 20, 8), (2, 40, 12), (20, 20, 16)]):
        labels[row : row + side, col : col + side] = label + 1
    Image.fromarray(np.where(labels, 200, 50).astype(np.uint8)).save(root / "images" / "a.png")
    Image.fromarray(labels).save(root / "masks" / "a.png")
    labels = np.zeros((30, 30), np.uint8)
    labels[2:12, 2:12] = 5
    labels[15:25, 15:25] = 9
    colour = np.stack([np.where(labels, 40, 220)] * 2 + [np.full((30, 30), 90)], axis=-1)
    Image.fromarray(colour.astype(np.uint8)).save(root / "images" / "b.webp", lossless=True)
    Image.fromarray(labels).save(root / "masks" / "b.png")
    return root
