"""Tests of napari_pvpu.evaluation.volumes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.volumes import KINDS, draw_volume

SHAPE = (10, 64, 72)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_draws_the_same_volume_with_objects_in_it(kind: str) -> None:
    one, again, other = (draw_volume(kind, seed, SHAPE) for seed in (1, 1, 2))
    assert one.image.shape == one.truth.shape == SHAPE
    assert (one.image.dtype, one.truth.dtype) == (np.uint8, np.uint16)
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.truth, again.truth)
    assert (one.truth != other.truth).any()
    inside, outside = one.image[one.truth > 0], one.image[one.truth == 0]
    assert inside.mean() > outside.mean() + 10, "objects are to be seen"
    assert len(np.unique(one.truth)) > 3


@pytest.mark.parametrize(
    ("kind", "shape", "words"),
    [
        pytest.param("sheep", SHAPE, "no kind 'sheep'", id="kind"),
        pytest.param("tube", (4, 64, 64), "8 planes", id="few planes"),
        pytest.param("tube", (8, 32, 64), "8 planes", id="small planes"),
    ],
)
def test_what_cannot_be_drawn_is_told(kind: str, shape: tuple[int, int, int], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        draw_volume(kind, 0, shape)
