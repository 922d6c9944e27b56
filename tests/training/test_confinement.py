"""Corrections of a batch, as a session takes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.corrections import confine, hold
from napari_pvpu.masks import MaskRules
from napari_pvpu.networks.prompt_encoding import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.prompts import Click, Scribble
from napari_pvpu.training.confinement import confine_answers
from napari_pvpu.views import View

SIDE = 32
RULES = MaskRules(layer=(1e6, 1e6))
VIEW = View(0, 0, SIDE, SIDE)


def slot(kind, positive, *points, width=4):
    batch = PromptBatch.empty(1, 1, width)
    batch.kind[0, 0], batch.positive[0, 0] = kind, positive
    batch.valid[0, 0, : len(points)] = True
    batch.points[0, 0, : len(points)] = torch.tensor(points, dtype=torch.float32)
    return batch


def answers(seed):
    generator = torch.Generator().manual_seed(seed)
    before, now = torch.randn(2, 1, 1, SIDE, SIDE, generator=generator) * 3
    before[0, 0, 8:20, 8:20] += 6
    return now, before


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 5),
    positive=st.booleans(),
    row=st.integers(0, SIDE - 1),
    col=st.integers(0, SIDE - 1),
    count=st.integers(2, 5),
)
def test_clicks_change_what_they_change_in_a_session(seed, positive, row, col, count):
    now, before = answers(seed)
    marks = slot(CLICK, positive, (row, col))
    ours = confine_answers(now, before, marks, torch.tensor([count]))[0, 0].numpy()
    mark = Click((row, col), positive=positive)
    old = before[0, 0].numpy()
    held = hold(now[0, 0].numpy(), old, positive, 0.5)
    wanted = confine(held, old, VIEW, [mark], count, 0.5, RULES)
    np.testing.assert_allclose(ours, wanted, atol=1e-4)


def test_short_strokes_change_what_they_change_in_a_session():
    now, before = answers(0)
    path = [(4.0, 10.0), (4.0, 11.0), (4.0, 12.0), (4.0, 13.0)]
    ours = confine_answers(now, before, slot(SCRIBBLE, True, *path), torch.tensor([3]))
    old = before[0, 0].numpy()
    held = hold(now[0, 0].numpy(), old, True, 0.5)
    wanted = confine(held, old, VIEW, [Scribble(path)], 3, 0.5, RULES)
    np.testing.assert_allclose(ours[0, 0].numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize("kind", [BOX, EMPTY])
def test_what_is_no_mark_changes_everything(kind):
    now, before = answers(1)
    marks = slot(kind, True, (3.0, 3.0), (20.0, 20.0))
    assert torch.equal(confine_answers(now, before, marks, torch.tensor([2])), now)


def test_gradients_reach_the_neighbourhood_of_the_mark_alone():
    before = torch.full((1, 1, SIDE, SIDE), -4.0)
    before[..., 8:20, 8:20] = 4.0
    now = before.clone().requires_grad_()
    marks = slot(CLICK, True, (14.0, 20.0))
    confine_answers(now, before, marks, torch.tensor([3])).sum().backward()
    reached = now.grad[0, 0].nonzero()
    distance = (reached - torch.tensor([14, 20])).float().norm(dim=1)
    assert len(reached) > 0
    assert float(distance.max()) < RULES.reach[1] * 1 + 2
