"""Neighbours of an object, and pixels of them that are close to it."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.training.neighbours import choose_neighbours

SIZE = 64


def block(top: int, left: int, bottom: int, right: int) -> torch.Tensor:
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    mask[:, top:bottom, left:right] = True
    return mask


def chosen(truth: torch.Tensor, others: torch.Tensor, seed: int = 0):
    return choose_neighbours(truth, others, torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_touching_one_is_chosen_and_not_the_distant_one(seed: int) -> None:
    truth, near, far = block(20, 10, 40, 30), block(20, 30, 40, 50), block(0, 56, 64, 64)
    pixel, found, part = chosen(truth, near | far, seed)
    row, col = (int(x) for x in pixel[0])
    assert found.tolist() == [True]
    assert near[0, row, col]
    # Within ten pixels of the object, but not at the neighbour's very border.
    assert 30 < col <= 40
    assert 20 < row < 39
    assert torch.equal(part, near)


def test_without_a_neighbour_nothing_is_found() -> None:
    truth = block(20, 10, 40, 30)
    for others in (torch.zeros_like(truth), block(50, 50, 64, 64)):
        _, found, part = chosen(truth, others)
        assert not found.any()
        assert not part.any()
    assert not chosen(torch.zeros_like(truth), truth).found.any()


def test_a_thin_neighbour_is_chosen_too() -> None:
    truth, line = block(20, 10, 40, 30), block(10, 32, 60, 34)
    pixel, found, part = chosen(truth, line)
    assert found.all()
    assert line[0, int(pixel[0, 0]), int(pixel[0, 1])]
    assert part.sum() > 10
    assert not (part & ~line).any()


def test_each_object_has_its_own() -> None:
    truth = torch.cat([block(20, 10, 40, 30), block(0, 0, 8, 8)])
    others = torch.cat([block(20, 30, 40, 50), block(0, 10, 8, 20)])
    _, found, part = chosen(truth, others)
    assert found.all()
    assert torch.equal(part, others)
