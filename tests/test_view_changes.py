"""What is known of an object, shown in other views."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_pvpu.prompts import PriorMask
from napari_pvpu.view_changes import agreement, carry_probability, prior_probability
from napari_pvpu.views import View


def disk(size, center, radius):
    rows, cols = np.mgrid[:size, :size]
    distance = np.hypot(rows - center[0], cols - center[1])
    return (2 * (radius - distance)).clip(-8, 8).astype(np.float32)


@pytest.mark.parametrize("new", [View(20, 10, 128), View(0, 0, 256), View(40, 40, 64)])
def test_probability_is_carried_to_where_it_was(new):
    old = View(0, 0, 128)
    carried = carry_probability(disk(128, (70, 60), 20), old, new)
    rows, cols = np.nonzero(carried > 0.5)
    assert (rows.mean(), cols.mean()) == pytest.approx(tuple(new.to_view((70, 60))), abs=0.1)
    assert (carried > 0.5).sum() == pytest.approx(math.pi * (20 * new.scale) ** 2, rel=0.02)


def test_beyond_the_old_view_nothing_is_known():
    carried = carry_probability(
        np.full((128, 128), 9, np.float32), View(0, 0, 128), View(-64, 0, 256)
    )
    assert (carried[32:96, :64] > 0.99).all()
    assert carried[:32].max() == carried[96:].max() == carried[:, 64:].max() == 0
    assert carry_probability(np.ones((128, 128)), View(0, 0, 64), View(500, 0, 64)).max() == 0


def test_prior_masks_in_a_view():
    mask = np.zeros((50, 60), bool)
    mask[10:20, 30:50] = True
    view = View(100, 120, 128, 128)
    seen = prior_probability([PriorMask(mask, (110, 120))], view)
    assert np.argwhere(seen > 0.5).min(axis=0).tolist() == [20, 30]
    assert np.argwhere(seen > 0.5).max(axis=0).tolist() == [29, 49]
    assert seen.max() == 1
    both = prior_probability([PriorMask(mask, (110, 120)), PriorMask(mask, (150, 120))], view)
    assert (both > 0.5).sum() == 400
    assert prior_probability([], view) is None


@pytest.mark.parametrize("swap", [False, True])
def test_agreement_of_masks_seen_in_two_views(swap):
    fine, coarse = View(50, 60, 64), View(0, 0, 256)
    center = fine.to_data((60, 70))
    one = disk(128, (60, 70), 20)
    two = disk(128, coarse.to_view(center), 20 * coarse.scale / fine.scale)
    pair = (two, coarse, one, fine) if swap else (one, fine, two, coarse)
    assert agreement(*pair, 0.0) > 0.85
    far = disk(128, (20, 20), 5)
    assert agreement(far, fine, two, coarse, 0.0) == 0
    empty = np.full((128, 128), -9, np.float32)
    assert agreement(empty, fine, empty, coarse, 0.0) == 0


def test_what_lies_outside_the_smaller_view_counts_as_disagreement():
    everywhere = np.full((128, 128), 9, np.float32)
    assert agreement(everywhere, View(0, 0, 64), everywhere, View(0, 0, 128), 0.0) == 0.25
