"""Tests of napari_pvpu.networks.regions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.prompt_batch import BOX, CLICK, SCRIBBLE, PromptBatch
from napari_pvpu.networks.regions import Region, pool_at_prompts, region_of_interest


def mask_of(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> torch.Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # Rows 100..200 grow by 1.4 to 80..220, columns 300..400 to 280..420; then to 32.
        pytest.param((100, 300, 200, 400), (64, 256, 224, 448), id="expanded and aligned"),
        pytest.param((0, 480, 64, 512), (0, 448, 96, 512), id="clipped to the view"),
        # A pixel at 48 has its centre at 48.5: 32.5 to 64.5, rounded to 32 and 64.
        pytest.param((48, 16, 49, 17), (32, 0, 64, 32), id="least size"),
        pytest.param((31, 31, 33, 33), (0, 0, 64, 64), id="least size over an edge"),
        pytest.param((0, 0, 512, 512), (0, 0, 512, 512), id="everything"),
    ],
)
def test_region(box: tuple[int, int, int, int], expected: tuple[int, int, int, int]) -> None:
    assert region_of_interest(mask_of((512, 512), box)) == expected


def test_region_holds_all_parts_of_a_mask() -> None:
    mask = mask_of((512, 256), (100, 10, 110, 20), (300, 200, 310, 210))
    assert region_of_interest(mask, expand=1, min_size=1) == (96, 0, 320, 224)


def test_region_of_nothing_is_everything() -> None:
    assert region_of_interest(mask_of((64, 96))) == Region(0, 0, 64, 96)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.floats(1, 3), st.integers(0, 64))
def test_region_is_aligned_inside_and_around(
    data: st.DataObject, expand: float, least: int
) -> None:
    rows = sorted(data.draw(st.tuples(st.integers(0, 127), st.integers(1, 128))))
    columns = sorted(data.draw(st.tuples(st.integers(0, 159), st.integers(1, 160))))
    if rows[0] == rows[1] or columns[0] == columns[1]:
        return
    mask = mask_of((128, 160), (rows[0], columns[0], rows[1], columns[1]))
    region = region_of_interest(mask, expand, least)
    assert all(edge % 32 == 0 for edge in region)
    assert 0 <= region.top <= rows[0] < rows[1] <= region.bottom <= 128
    assert 0 <= region.left <= columns[0] < columns[1] <= region.right <= 160


def test_region_at_a_stride() -> None:
    assert Region(32, 64, 96, 160).at(8) == (4, 8, 12, 20)


def pooled(kind: int, points: list[tuple[float, float]], slots: int = 2) -> torch.Tensor:
    """Mean cell number under a prompt in the second slot; cells of 4 pixels, 3 by 4 of them."""
    prompts = PromptBatch.empty(1, slots, max(3, len(points)))
    prompts.points[0, 1] = float("nan")
    prompts.points[0, 1, : len(points)] = torch.tensor(points)
    prompts.valid[0, 1, : len(points)] = True
    prompts.kind[0, 1] = kind
    pixels = torch.arange(12.0).reshape(1, 1, 3, 4)
    out = pool_at_prompts(pixels, prompts, 4)
    assert out.shape == (1, slots, 1)
    assert out[0, 0] == 0  # the empty slot
    return float(out[0, 1])


@pytest.mark.parametrize(
    ("kind", "points", "expected"),
    [
        pytest.param(CLICK, [(5, 9)], 6, id="click"),
        pytest.param(CLICK, [(3.5, 0)], 4, id="click nearer to the next cell"),
        pytest.param(CLICK, [(3.4, 0)], 0, id="click nearer to its own cell"),
        pytest.param(CLICK, [(-1, 0)], 0, id="click above the view"),
        pytest.param(CLICK, [(0, 16)], 0, id="click right of the view"),
        pytest.param(SCRIBBLE, [(0, 0), (0, 1), (0, 8)], 2 / 3, id="scribble"),
        pytest.param(SCRIBBLE, [(0, 8), (0, 99)], 2, id="scribble that leaves"),
        pytest.param(BOX, [(7, 15), (0, 8)], (2 + 3 + 6 + 7) / 4, id="box, corners swapped"),
        pytest.param(BOX, [(8, -50), (99, 3)], 8, id="box that leaves"),
        pytest.param(BOX, [(99, 99), (120, 120)], 0, id="box outside"),
    ],
)
def test_features_under_a_prompt(
    kind: int, points: list[tuple[float, float]], expected: float
) -> None:
    assert pooled(kind, points) == pytest.approx(expected)


def test_features_pass_gradients_and_know_single_points() -> None:
    prompts = PromptBatch.empty(2, 1, points=1)
    prompts.kind[:] = CLICK
    prompts.valid[:] = True
    pixels = torch.randn(2, 3, 2, 2, requires_grad=True)
    pool_at_prompts(pixels, prompts, 8).sum().backward()
    assert pixels.grad is not None
    assert torch.equal(pixels.grad[:, :, 0, 0], torch.ones(2, 3))
    assert float(pixels.grad.sum()) == 6
