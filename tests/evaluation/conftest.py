"""A folder of two small images with six objects, on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


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
