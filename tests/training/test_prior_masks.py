"""Prior masks as other tools and careless hands give them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.training import prior_masks
from napari_pvpu.training.pixel_choice import dilate
from napari_pvpu.training.prior_masks import DAMAGES, OUTLINES, coarsen_masks, corrupt_masks

SIZE = 64


def disks(*rows: tuple[int, int, int]) -> torch.Tensor:
    """One mask for each (row, col, radius)."""
    axis = torch.arange(SIZE)
    return torch.stack(
        [(axis[:, None] - r) ** 2 + (axis[None] - c) ** 2 <= k * k for r, c, k in rows]
    )


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Set which outline and which damage all masks get."""

    def choose(outline: str, damage: str) -> None:
        monkeypatch.setattr(prior_masks, "OUTLINES", {k: float(k == outline) for k in OUTLINES})
        monkeypatch.setattr(prior_masks, "DAMAGES", {k: float(k == damage) for k in DAMAGES})

    return choose


def spoilt(masks: torch.Tensor, others: torch.Tensor | None = None, seed: int = 0) -> torch.Tensor:
    return corrupt_masks(masks, torch.Generator().manual_seed(seed), others)


def overlap(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    return (one & two).flatten(1).sum(1) / (one | two).flatten(1).sum(1)


@given(seed=st.integers(0, 10_000), radius=st.integers(1, 40), row=st.integers(0, 63))
@settings(max_examples=30, deadline=None)
def test_something_is_always_left(seed: int, radius: int, row: int) -> None:
    masks = disks(*[(row, 32, radius)] * 12)
    out = spoilt(masks, ~masks, seed)
    assert out.dtype == torch.bool
    assert out.shape == masks.shape
    assert out.flatten(1).any(1).all()


def test_masks_differ_but_overlap() -> None:
    masks = disks(*[(32, 32, 12)] * 400)
    iou = overlap(masks, spoilt(masks))
    assert float(iou.quantile(0.02)) > 0.2
    assert 0.6 < float((iou < 1).float().mean())
    assert 0.5 < float(iou.median()) < 0.9


def test_an_empty_mask_stays_empty() -> None:
    empty = torch.zeros(40, SIZE, SIZE, dtype=torch.bool)
    assert not spoilt(empty, disks((32, 32, 20)).expand(40, -1, -1)).any()


def test_an_exact_outline_without_damage_is_the_object(only) -> None:
    only("exact", "none")
    masks = disks((32, 32, 12), (5, 5, 9))
    assert torch.equal(spoilt(masks), masks)


def test_uneven_outlines_are_too_wide_or_too_narrow_by_a_few_pixels(only) -> None:
    only("uneven", "none")
    masks = disks(*[(32, 32, 20)] * 200)
    out = spoilt(masks)
    assert not (out & ~dilate(masks, 11)).any()
    assert not (disks((32, 32, 8)) & ~out).any()
    change = out.flatten(1).sum(1) / masks[0].sum()
    assert float(change.amin()) < 0.75
    assert float(change.amax()) > 1.3


def test_objects_cut_by_the_view_stay_cut(only) -> None:
    only("uneven", "none")
    out = spoilt(disks(*[(0, 32, 20)] * 100))
    # The view's border is no outline: an eroded mask still reaches it.
    assert out[:, 0].any(1).all()
    assert not out[:, 40:].any()


@pytest.mark.parametrize("radius", [9, 20])
def test_blocky_masks_consist_of_blocks(only, radius: int) -> None:
    only("blocky", "none")
    out = spoilt(disks(*[(32, 32, radius)] * 20))
    blocks = out.view(20, 16, 4, 16, 4).float().mean((2, 4))
    assert ((blocks == 0) | (blocks == 1)).all()
    assert float(overlap(out, disks((32, 32, radius))).amin()) > 0.6


def test_smoothed_masks_lose_what_is_thin(only) -> None:
    only("smoothed", "none")
    masks = disks((32, 32, 16)).clone()
    masks[:, 31:33, 48:62] = True
    out = spoilt(masks)
    assert not out[:, :, 56:].any()
    assert float(overlap(out, masks)[0]) > 0.75


def test_shifted_masks_keep_their_form(only) -> None:
    only("exact", "shifted")
    masks = disks(*[(32, 32, 12)] * 60)
    out = spoilt(masks)
    assert (out.flatten(1).sum(1) == masks.flatten(1).sum(1)).all()
    assert len({tuple(m.nonzero().amin(0).tolist()) for m in out}) > 20
    assert float(overlap(out, masks).amin()) > 0.35


@pytest.mark.parametrize(("damage", "sign"), [("cut", -1), ("hole", -1), ("lump", 1)])
def test_pieces_are_taken_or_added(only, damage: str, sign: int) -> None:
    only("exact", damage)
    masks = disks(*[(32, 32, 14)] * 60)
    out = spoilt(masks)
    more, less = out & ~masks, masks & ~out
    assert not (more if sign < 0 else less).any()
    change = (more | less).flatten(1).sum(1) / masks[0].sum()
    assert (change > 0).float().mean() > 0.9
    assert float(change.amax()) < 0.75


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_merged_masks_hold_a_part_of_the_neighbour_and_nothing_else(seed: int) -> None:
    masks = disks(*[(32, 20, 12)] * 8)
    touching, far = disks(*[(32, 44, 12)] * 8), disks(*[(4, 60, 3)] * 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior_masks, "OUTLINES", {"exact": 1.0})
        patch.setattr(prior_masks, "DAMAGES", {k: float(k == "merged") for k in DAMAGES})
        out = spoilt(masks, (touching | far) & ~masks, seed)
    more = out & ~masks
    assert not (masks & ~out).any()
    assert more.flatten(1).any(1).all()
    assert not (more & ~touching).any()


def test_without_a_neighbour_nothing_is_merged(only) -> None:
    only("exact", "merged")
    masks = disks((32, 20, 12))
    assert torch.equal(spoilt(masks), masks)
    assert torch.equal(spoilt(masks, torch.zeros_like(masks)), masks)


def test_nothing_is_read_back_from_the_device() -> None:
    masks = torch.ones(3, 32, 32, dtype=torch.bool, device="meta")
    out = spoilt(masks, masks)
    assert coarsen_masks(out, torch.Generator()).shape == (3, 32, 32)


@pytest.mark.parametrize("seed", range(4))
def test_coarse_masks_are_soft_and_stay_in_place(seed: int) -> None:
    masks = disks((32, 32, 20), (10, 50, 8))
    coarse = coarsen_masks(masks, torch.Generator().manual_seed(seed))
    assert coarse.shape == masks.shape
    assert 0 <= float(coarse.min()) <= float(coarse.max()) <= 1
    assert bool(((coarse > 0.05) & (coarse < 0.95)).any())
    assert float(overlap(masks, coarse > 0.5).min()) > 0.7
