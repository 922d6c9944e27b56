"""Looks through several views, weighed against each other."""

from __future__ import annotations

import numpy as np

from napari_pvpu.looks import Look, best_look
from napari_pvpu.prompts import Click
from napari_pvpu.records import ObjectState
from napari_pvpu.view_choice import ViewPolicy
from napari_pvpu.views import View

POLICY = ViewPolicy()
WHOLE = (False,) * 4


def look(side, score, *, extent=64, logit=4.0, touched=WHOLE, aspect=1.0):
    """A square of `side` data pixels around (64, 64), seen in a view of `extent` around it."""
    first = 64 - extent // 2
    view = View(first, first, extent, 64, aspect)
    centers = view.to_data(np.stack([np.arange(64)] * 2, axis=1))
    rows, cols = (np.abs(centers - 63.5) < side / 2).T
    logits = np.where(rows[:, None] & cols, logit, -logit).astype(np.float16)
    state = ObjectState((Click((64, 64)),), view, None, logits, None, score)
    half = (side - 1) / 2
    found = (63.5 - half, 63.5 - half, 63.5 + half, 63.5 + half)
    return Look(state, logits.astype(np.float32), found, touched)


def test_of_answers_that_agree_the_surest_is_best():
    looks = [look(32, 0.6), look(32, 0.9, extent=128), look(32, 0.7, extent=48)]
    best, sure = best_look(looks, POLICY, 0.0)
    assert best is looks[1]
    assert sure


def test_one_answer_alone_is_never_sure():
    best, sure = best_look([look(32, 0.99)], POLICY, 0.0)
    assert best.length == 32
    assert not sure


def test_length_counts_rows_by_their_height():
    assert look(10, 0.5).length == 10
    assert look(10, 0.5, aspect=3.0).length == 30
