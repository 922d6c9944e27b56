"""Tests of napari_pvpu.networks.prompt_encoding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks import prompt_encoding
from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.networks.prompt_encoding import PPuE, PPuEConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = 64
E05, E45 = math.exp(-0.5), math.exp(-4.5)


def batch(kind: int, points: Sequence[tuple[float, float]], positive: bool = True) -> PromptBatch:
    """One view with one prompt of (row, col) points."""
    array = torch.tensor(points, dtype=torch.float32)[None, None]
    return PromptBatch(
        points=array,
        valid=torch.ones(array.shape[:-1], dtype=torch.bool),
        kind=torch.tensor([[kind]]),
        positive=torch.tensor([[positive]]),
    )


def encoder(size: int = SIZE, sigma: float = 3.0, gamma: float = 0.5) -> PPuE:
    torch.manual_seed(0)
    return PPuE(PPuEConfig(size=size, sigma=sigma, gamma=gamma), dim=8, hidden=16)


def pair(
    kind: int,
    points: Sequence[tuple[float, float]],
    net: PPuE | None = None,
    image: torch.Tensor | None = None,
    extent: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(q_h, q_v) of one prompt."""
    net = net or encoder()
    size = net.config.size
    vector = net.vectors(batch(kind, points), image, extent)[0, 0]
    return vector[:size], vector[size : 2 * size]


def support(vector: torch.Tensor) -> list[int]:
    return torch.nonzero(vector).flatten().tolist()


def test_click_peaks_at_column_then_row_with_the_papers_values() -> None:
    q_h, q_v = pair(CLICK, [(20, 41)])
    expected = [math.exp(-k * k / 18) + (k == 0) for k in range(-9, 10)]
    torch.testing.assert_close(q_h[32:51], torch.tensor(expected))
    torch.testing.assert_close(q_v[11:30], torch.tensor(expected))
    assert support(q_h) == list(range(32, 51))
    assert support(q_v) == list(range(11, 30))
    assert q_h[41] == 2.0
    assert q_h[40].item() == pytest.approx(0.9460, abs=1e-4)


@pytest.mark.parametrize(
    ("position", "column", "row"),
    [((10.4, 20.6), 21, 10), ((10.5, 21.5), 22, 11)],
    ids=["nearest", "halves-up"],
)
def test_fractional_click_goes_to_the_nearest_bin(
    position: tuple[float, float], column: int, row: int
) -> None:
    q_h, q_v = pair(CLICK, [position])
    assert int(q_h.argmax()) == column
    assert int(q_v.argmax()) == row


def test_click_at_the_border_is_cut_off_there() -> None:
    q_h, q_v = pair(CLICK, [(0, 63)])
    assert support(q_h) == list(range(54, 64))
    assert support(q_v) == list(range(10))


def test_click_far_outside_the_view_leaves_only_its_label() -> None:
    vector = encoder().vectors(batch(CLICK, [(-100, 300)]))[0, 0]
    assert not vector[:-3].any()
    assert vector[-3:].tolist() == [1, 0, 0]


def test_box_has_its_sides_as_support_and_no_raised_peak() -> None:
    q_h, q_v = pair(BOX, [(20, 10), (32, 40)])
    assert support(q_h) == list(range(10, 41))
    assert support(q_v) == list(range(20, 33))
    torch.testing.assert_close(q_h[10:41], q_h[10:41].flip(0))
    assert q_h[25] == 1.0
    assert q_v[26] == 1.0
    # sigma is a sixth of the side: 5 columns, 2 rows
    assert q_h[30].item() == pytest.approx(E05)
    assert q_v[28].item() == pytest.approx(E05)
    assert q_h[10].item() == pytest.approx(E45, rel=1e-4)


def test_box_between_bins_is_symmetric() -> None:
    q_h, _ = pair(BOX, [(20, 10.5), (32, 13.5)])
    assert support(q_h) == [11, 12, 13]
    torch.testing.assert_close(q_h[11], q_h[13])


def test_box_corners_come_in_any_order() -> None:
    torch.testing.assert_close(
        torch.stack(pair(BOX, [(20, 10), (32, 40)])), torch.stack(pair(BOX, [(32, 10), (20, 40)]))
    )


def test_scribble_ignores_points_that_are_not_valid() -> None:
    prompts = batch(SCRIBBLE, [(20, 10), (30, 20), (60, 60), (math.nan, 5)])
    prompts.valid[..., 2:] = False
    net = encoder()
    q_h, q_v = pair(SCRIBBLE, [(20, 10), (30, 20)], net)
    vector = net.vectors(prompts)[0, 0]
    torch.testing.assert_close(vector[:-3], torch.cat([q_h, q_v]))


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from([CLICK, BOX, SCRIBBLE]),
    points=st.lists(st.tuples(st.floats(20, 40), st.floats(20, 40)), min_size=2, max_size=9),
    rows=st.integers(-8, 8),
    columns=st.integers(-8, 8),
)
def test_vectors_shift_with_the_prompt(
    kind: int, points: list[tuple[float, float]], rows: int, columns: int
) -> None:
    # Quarter pixels are exact in float32, so that a shift changes no rounding.
    points = [(round(4 * row) / 4, round(4 * col) / 4) for row, col in points]
    q_h, q_v = pair(kind, points)
    moved_h, moved_v = pair(kind, [(row + rows, col + columns) for row, col in points])
    torch.testing.assert_close(moved_h, q_h.roll(columns), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved_v, q_v.roll(rows), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        (CLICK, [(61.0, 90.0)]),
        (BOX, [(20.0, 31.0), (90.0, 101.0)]),
        (SCRIBBLE, [(30.0 + 0.5 * i, 20.0 + i) for i in range(60)]),
    ],
    ids=["click", "box", "scribble"],
)
def test_a_view_twice_as_large_moves_supports_by_one_bin_at_most(
    kind: int, points: list[tuple[float, float]]
) -> None:
    small = [((row + 0.5) / 2 - 0.5, (col + 0.5) / 2 - 0.5) for row, col in points]
    for fine, coarse in zip(pair(kind, points, extent=128), pair(kind, small), strict=True):
        assert abs(support(fine)[0] - support(coarse)[0]) <= 1
        assert abs(support(fine)[-1] - support(coarse)[-1]) <= 1
        assert abs(int(fine.argmax()) - int(coarse.argmax())) <= 1


def test_without_gamma_the_image_is_ignored() -> None:
    image = torch.randn(1, 3, SIZE, SIZE)
    plain = torch.stack(pair(CLICK, [(20, 41)], encoder(gamma=0.0)))
    torch.testing.assert_close(
        torch.stack(pair(CLICK, [(20, 41)], encoder(gamma=0.0), image)), plain
    )
    assert not torch.equal(torch.stack(pair(CLICK, [(20, 41)], encoder(gamma=0.5), image)), plain)


def test_visual_term_lowers_what_looks_different() -> None:
    # Left of column 32 one channel is 0, right of it 2; the other channels are constant.
    image = torch.zeros(1, 3, SIZE, SIZE)
    image[:, 0, :, 32:] = 2.0
    q_h, q_v = pair(CLICK, [(20, 29)], encoder(gamma=0.5), image)
    # tau = 0.5 * sqrt(3): the squared distance 4 over 2 tau^2 is 8 / 3.
    far = math.exp(-25 / 18) * (0.5 + 0.5 * math.exp(-8 / 3))
    assert q_h[34].item() == pytest.approx(far, rel=1e-5)
    assert q_h[24].item() == pytest.approx(math.exp(-25 / 18), rel=1e-5)
    assert q_h[29] == 2.0
    assert q_v[25].item() == pytest.approx(math.exp(-25 / 18), rel=1e-5)


def test_image_of_another_size_sets_the_coordinates() -> None:
    image = torch.ones(1, 1, 2 * SIZE, 2 * SIZE)
    q_h, q_v = pair(CLICK, [(41, 82)], encoder(), image)
    assert int(q_h.argmax()) == 41
    assert int(q_v.argmax()) == 20 or int(q_v.argmax()) == 21


def test_missing_pixels_of_the_image_stay_finite() -> None:
    image = torch.zeros(1, 3, SIZE, SIZE)
    image[..., :30, :] = torch.nan
    assert torch.isfinite(torch.stack(pair(CLICK, [(28, 10)], encoder(), image))).all()


@pytest.mark.parametrize(
    ("kind", "points", "columns"),
    [
        (BOX, [(20, 30), (20, 30)], [30]),
        (BOX, [(20, 30.4), (20, 30.4)], [30]),
        (SCRIBBLE, [(20, 30), (20, 30)], [30]),
        (SCRIBBLE, [(20, 30), (20, 31)], [30, 31]),
    ],
    ids=["box-of-no-area", "fractional", "scribble-of-one-pixel", "flat-scribble"],
)
def test_tiny_prompts_are_finite_and_do_not_vanish(
    kind: int, points: list[tuple[float, float]], columns: list[int]
) -> None:
    q_h, q_v = pair(kind, points)
    assert support(q_h) == columns
    assert support(q_v) == [20]
    assert torch.isfinite(q_h).all()
    assert torch.isfinite(q_v).all()


def test_empty_slot_is_its_label_alone() -> None:
    vector = encoder().vectors(PromptBatch.empty(2, 3))
    expected = torch.zeros(2, 3, 2 * SIZE + 3)
    expected[..., -1] = 1
    assert torch.equal(vector, expected)


@pytest.mark.parametrize("kind", [CLICK, BOX, SCRIBBLE], ids=["click", "box", "scribble"])
def test_polarity_changes_the_label_only(kind: int) -> None:
    points = [(20.0, 10.0), (30.0, 22.0)]
    positive = encoder().vectors(batch(kind, points))[0, 0]
    negative = encoder().vectors(batch(kind, points, positive=False))[0, 0]
    assert positive[-3:].tolist() == [1, 0, 0]
    assert negative[-3:].tolist() == [0, 1, 0]
    assert torch.equal(positive[:-3], negative[:-3])


def test_slots_of_a_batch_do_not_mix() -> None:
    prompts = PromptBatch.empty(2, 3, 3)
    alone = [
        (1, 0, CLICK, [(5.0, 9.0)]),
        (0, 1, SCRIBBLE, [(5.0, 9.0), (6.0, 10.0), (8.0, 12.0)]),
        (1, 2, BOX, [(5.0, 9.0), (20.0, 30.0)]),
    ]
    for view, slot, kind, points in alone:
        prompts.points[view, slot, : len(points)] = torch.tensor(points)
        prompts.valid[view, slot, : len(points)] = True
        prompts.kind[view, slot] = kind
        prompts.positive[view, slot] = True
    image = torch.randn(2, 2, SIZE, SIZE)
    vectors = encoder().vectors(prompts, image)
    for view, slot, kind, points in alone:
        one = encoder().vectors(batch(kind, points), image[view : view + 1])[0, 0]
        torch.testing.assert_close(vectors[view, slot], one)
    assert int((prompts.kind == EMPTY).sum()) == 3
    assert not vectors[0, 0, :-3].any()


def test_work_on_all_slots_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done on a GPU, where nobody waits to learn which slots hold what."""
    torch.manual_seed(3)
    points = torch.rand(2, 4, 6, 2) * 80 - 8
    kind = torch.tensor([[CLICK, SCRIBBLE, BOX, EMPTY], [EMPTY, CLICK, CLICK, SCRIBBLE]])
    prompts = PromptBatch(points, torch.rand(2, 4, 6) < 0.7, kind, torch.rand(2, 4) < 0.5)
    image = torch.randn(2, 3, SIZE, SIZE)
    chosen = encoder().vectors(prompts, image)
    monkeypatch.setattr(prompt_encoding, "_worked_on", prompt_encoding._every)
    torch.testing.assert_close(encoder().vectors(prompts, image), chosen, rtol=0, atol=0)


def test_forward_gives_tokens_and_gradients() -> None:
    net = encoder()
    tokens = net(batch(CLICK, [(5, 5)]), torch.randn(1, 3, SIZE, SIZE))
    assert tokens.shape == (1, 1, 8)
    tokens.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_vectors_stay_float32_under_autocast() -> None:
    net = encoder()
    image = torch.randn(1, 3, SIZE, SIZE)
    exact = net.vectors(batch(CLICK, [(5, 5)]), image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = net.vectors(batch(CLICK, [(5, 5)]), image)
        tokens = net(batch(CLICK, [(5, 5)]), image)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors, exact)
    assert tokens.dtype == torch.bfloat16
