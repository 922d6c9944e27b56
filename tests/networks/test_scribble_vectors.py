"""Tests of napari_pvpu.networks.scribble_vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.scribble_vectors import scribble_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = 64
E45 = math.exp(-4.5)


def pair(points: Sequence[tuple[float, float]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(q_h, q_v) of a scribble through (row, col) points."""
    position = torch.tensor(points, dtype=torch.float32)[None].flip(-1)
    seen = torch.ones(1, len(points), dtype=torch.bool)
    q_h, q_v = scribble_vectors(position, seen, SIZE, 1 / 3)[0]
    return q_h, q_v


def support(vector: torch.Tensor) -> list[int]:
    return vector.nonzero().flatten().tolist()


def test_scribble_values_fall_with_the_distance_from_the_bounding_box() -> None:
    # Columns 10..13 at rows 20, 23, 26, 26: height 6 (sigma 2), width 3 (sigma 1).
    q_h, q_v = pair([(20, 10), (23, 11), (26, 12), (26, 13)])
    expected = [1.0, math.exp(-9 / 8), E45, E45]
    torch.testing.assert_close(q_h[10:14], torch.tensor(expected))
    assert support(q_h) == [10, 11, 12, 13]
    assert support(q_v) == list(range(20, 27))
    # Row 26 holds columns 12 and 13: median 12.5. Rows 21, 22 lie a third and two thirds on.
    assert q_v[26].item() == pytest.approx(math.exp(-(2.5**2) / 2))
    assert q_v[21].item() == pytest.approx(math.exp(-((1 / 3) ** 2) / 2))
    assert q_v[22].item() == pytest.approx(math.exp(-((2 / 3) ** 2) / 2))


@pytest.mark.parametrize(
    ("rows", "median"),
    [([30, 34, 50], 34.0), ([30, 34, 40, 50], 37.0), ([50, 30, 34, 34, 34], 34.0)],
    ids=["odd", "even", "unsorted"],
)
def test_scribble_takes_the_median_of_a_column(rows: list[int], median: float) -> None:
    q_h, _ = pair([(row, 12) for row in rows] + [(30, 20)])
    assert q_h[12].item() == pytest.approx(math.exp(-((median - 30) ** 2) / (2 * (20 / 3) ** 2)))


@settings(max_examples=30, deadline=None)
@given(
    amplitude=st.floats(3, 18),
    waves=st.floats(0.3, 2),
    phase=st.floats(0, 6),
    left=st.integers(1, 10),
    right=st.integers(40, 62),
)
def test_scribble_can_be_read_back(
    amplitude: float, waves: float, phase: float, left: int, right: int
) -> None:
    columns = range(left, right + 1)
    rows = [31 + amplitude * math.sin(phase + waves * 6.28 * x / SIZE) for x in columns]
    q_h, q_v = pair(list(zip(rows, columns, strict=True)))
    covered, top = support(q_h), support(q_v)
    height = max(top[-1] - top[0], 1)
    read = top[0] + height / 3 * torch.sqrt(-2 * torch.log(q_h[covered]))
    assert covered == list(columns)
    error = (read - torch.tensor(rows)).abs()
    assert error.max() <= 0.51  # the outermost rows are known to their bin
    inner = (torch.tensor(rows) > top[0]) & (torch.tensor(rows) < top[-1])
    assert error[inner].max() < 0.01
