"""Tests of napari_pvpu.networks.reference_map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.prompt_batch import BOX, CLICK, SCRIBBLE, PromptBatch
from napari_pvpu.networks.reference_map import (
    ReferenceMap,
    ReferenceMapEmbedding,
    reference_states,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Prompt = tuple[int, bool, list[tuple[float, float]]]


def batch(*prompts: Prompt) -> PromptBatch:
    """One view with the given (kind, positive, points), one after the other."""
    longest = max(len(points) for _, _, points in prompts)
    out = PromptBatch.empty(1, len(prompts), longest)
    for slot, (kind, positive, points) in enumerate(prompts):
        out.points[0, slot, : len(points)] = torch.tensor(points)
        out.valid[0, slot, : len(points)] = True
        out.kind[0, slot] = kind
        out.positive[0, slot] = positive
    return out


def states(
    *prompts: Prompt, size: int = 5, radius: float = 0.0, previous: torch.Tensor | None = None
) -> list[str]:
    """Rows of the states as digits."""
    rows = reference_states(batch(*prompts), size, radius, previous)[0].tolist()
    return ["".join(map(str, row)) for row in rows]


def probability(rows: Sequence[str]) -> torch.Tensor:
    return torch.tensor([[0.9 if pixel == "#" else 0.1 for pixel in row] for row in rows])[
        None, None
    ]


def test_click_fixes_a_disk_and_leaves_the_rest_unknown() -> None:
    assert states((CLICK, True, [(2, 2)]), radius=1) == [
        "22222",
        "22422",
        "24442",
        "22422",
        "22222",
    ]


def test_disk_is_euclidean() -> None:
    assert states((CLICK, False, [(3, 3)]), size=7, radius=2) == [
        "2222222",
        "2220222",
        "2200022",
        "2000002",
        "2200022",
        "2220222",
        "2222222",
    ]


@settings(max_examples=25, deadline=None)
@given(
    radius=st.integers(0, 24).map(lambda quarters: quarters / 4),  # squares stay exact
    row=st.integers(-5, 15),
    col=st.integers(-5, 15),
)
def test_disk_holds_exactly_the_pixels_within_the_radius(radius: float, row: int, col: int) -> None:
    grid = torch.arange(11)
    near = (grid[:, None] - row) ** 2 + (grid - col) ** 2 <= radius**2
    found = reference_states(batch((CLICK, True, [(row, col)])), 11, radius)[0]
    assert torch.equal(found == 4, near)


def test_disk_reaches_in_from_outside_the_view() -> None:
    assert states((CLICK, True, [(-1, 2)]), size=3, radius=1) == ["224", "222", "222"]


def test_later_click_wins_whatever_its_polarity() -> None:
    first, second = [(0.0, 1.0)], [(0.0, 2.0)]
    assert states((CLICK, True, first), (CLICK, False, second), size=4, radius=1)[0] == "4000"
    assert states((CLICK, False, first), (CLICK, True, second), size=4, radius=1)[0] == "0444"


def test_scribble_is_drawn_without_gaps() -> None:
    assert states((SCRIBBLE, True, [(0, 0), (4, 4), (4, 0)])) == [
        "42222",
        "24222",
        "22422",
        "22242",
        "44444",
    ]


def test_scribble_has_the_width_of_its_brush() -> None:
    assert states((SCRIBBLE, False, [(2, 1), (2, 3)]), radius=1) == [
        "22222",
        "20002",
        "00000",
        "20002",
        "22222",
    ]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 19), st.floats(0, 19)), min_size=2, max_size=6),
)
def test_scribble_is_one_connected_line(path: list[tuple[float, float]]) -> None:
    drawn = reference_states(batch((SCRIBBLE, True, path)), 20, 0)[0] == 4
    row, col = (int(value + 0.5) for value in path[0])
    reached = torch.zeros_like(drawn)
    reached[row, col] = True
    for _ in range(int(drawn.sum())):
        grown = torch.nn.functional.max_pool2d(reached[None].float(), 3, 1, 1)[0] > 0
        reached = grown & drawn
    assert torch.equal(reached, drawn)


def test_scribbles_of_different_slots_are_not_joined() -> None:
    upper, lower = [(0.0, 0.0), (0.0, 4.0)], [(4.0, 0.0), (4.0, 4.0)]
    assert states((SCRIBBLE, True, upper), (SCRIBBLE, False, lower)) == [
        "44444",
        "22222",
        "22222",
        "22222",
        "00000",
    ]


def test_positive_box_makes_inside_and_outside_possible() -> None:
    assert states((BOX, True, [(1, 2), (3, 4)])) == ["11111", "11333", "11333", "11333", "11111"]


def test_negative_box_makes_only_its_inside_possible_background() -> None:
    assert states((BOX, False, [(3, 4), (1, 2)])) == ["22222", "22111", "22111", "22111", "22222"]


def test_boxes_that_contradict_leave_unknown() -> None:
    assert states((BOX, True, [(0, 0), (4, 2)]), (BOX, False, [(1, 2), (3, 4)])) == [
        "33311",
        "33211",
        "33211",
        "33211",
        "33311",
    ]


def test_click_overrides_box() -> None:
    prompts: list[Prompt] = [(BOX, True, [(0, 0), (4, 2)]), (CLICK, False, [(2, 1)])]
    expected = ["33311", "33311", "30311", "33311", "33311"]
    assert states(*prompts) == expected
    assert states(*reversed(prompts)) == expected


def test_prediction_moves_unknown_pixels() -> None:
    previous = probability(["##...", "##..."] + ["....."] * 3)
    assert states((CLICK, False, [(0, 0)]), previous=previous) == [
        "03111",
        "33111",
        "11111",
        "11111",
        "11111",
    ]


def test_prediction_against_a_box_resets_to_unknown() -> None:
    previous = probability(["#####"] * 2 + ["....."] * 3)
    assert states((BOX, True, [(0, 0), (4, 1)]), previous=previous) == [
        "33222",
        "33222",
        "22111",
        "22111",
        "22111",
    ]


@pytest.mark.parametrize(
    ("start", "foreground", "expected"),
    [
        (0, True, 0),
        (1, True, 2),
        (2, True, 3),
        (3, True, 3),
        (4, True, 4),
        (0, False, 0),
        (1, False, 1),
        (2, False, 1),
        (3, False, 2),
        (4, False, 4),
    ],
)
def test_one_prediction_moves_one_state(start: int, foreground: bool, expected: int) -> None:
    reference = ReferenceMap(torch.full((1, 1, 1), start, dtype=torch.int8))
    moved = reference.with_prediction(torch.full((1, 1, 1, 1), float(foreground)))
    assert moved.states.item() == expected
    assert reference.states.item() == start


def test_views_of_a_batch_do_not_mix() -> None:
    one, two = batch((CLICK, True, [(1, 1)])), batch((CLICK, False, [(3, 2)]))
    both = PromptBatch(*(torch.cat(pair) for pair in zip(one, two, strict=True)))
    found = reference_states(both, 5, 1)
    assert torch.equal(found[:1], reference_states(one, 5, 1))
    assert torch.equal(found[1:], reference_states(two, 5, 1))


def test_empty_batch_is_unknown() -> None:
    assert (reference_states(PromptBatch.empty(2, 3), 4, 2) == 2).all()


def test_embedding_of_constant_kernels_is_interformers_table() -> None:
    torch.manual_seed(0)
    embedding = ReferenceMapEmbedding(3, patch=2)
    table = torch.randn(3, 5)
    with torch.no_grad():
        embedding.projection.weight.zero_()
        embedding.projection.bias.zero_()  # type: ignore[union-attr]
        embedding.projection.weight[:, :5] = table[..., None, None] / 4
    states = torch.randint(0, 5, (2, 6, 6))
    looked_up = table.T[states].permute(0, 3, 1, 2)
    expected = torch.nn.functional.avg_pool2d(looked_up, 2)
    torch.testing.assert_close(embedding(states), expected)


def test_states_are_int64_and_embed_under_autocast() -> None:
    states = reference_states(batch((CLICK, True, [(2, 2)])), 8, 1)
    assert states.dtype == torch.int64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedded = ReferenceMapEmbedding(3, patch=2)(states, torch.rand(1, 1, 8, 8))
    assert embedded.dtype == torch.bfloat16


def test_embedding_sees_the_probability_before() -> None:
    torch.manual_seed(0)
    embedding = ReferenceMapEmbedding(3, patch=4)
    states = torch.full((1, 8, 8), 2)
    none = embedding(states)
    assert none.shape == (1, 3, 2, 2)
    torch.testing.assert_close(embedding(states, torch.zeros(1, 1, 8, 8)), none)
    assert not torch.allclose(embedding(states, torch.full((1, 1, 8, 8), 0.6)), none)


def digits(reference: ReferenceMap) -> list[str]:
    return ["".join(map(str, row)) for row in reference.states[0].tolist()]


def test_ring_makes_unknown_pixels_possible() -> None:
    blank = ReferenceMap.blank(1, 7)
    positive = blank.with_clicks(batch((CLICK, True, [(3, 3)])), radius=1, ring=1)
    assert digits(positive) == [
        "2222222",
        "2223222",
        "2234322",
        "2344432",
        "2234322",
        "2223222",
        "2222222",
    ]
    negative = blank.with_clicks(batch((CLICK, False, [(3, 3)])), radius=0, ring=1)
    assert digits(negative)[2:5] == ["2221222", "2210122", "2221222"]


@pytest.mark.parametrize(
    ("before", "positive", "after"),
    [
        pytest.param("01234", True, "02334", id="positive"),
        pytest.param("01234", False, "01124", id="negative"),
    ],
)
def test_ring_moves_each_state_by_the_published_rule(
    before: str, positive: bool, after: str
) -> None:
    """2 to the click's side, the other side's possible state to 2, definite states never."""
    row = torch.tensor([[int(state) for state in before]], dtype=torch.int8)
    start = ReferenceMap(row.expand(5, 5)[None].clone())
    click = batch((CLICK, positive, [(9, 9)]))  # its disk misses the map, its ring covers it
    assert digits(start.with_clicks(click, radius=1, ring=20)) == [after] * 5


def test_nothing_moves_where_rings_of_both_sides_meet() -> None:
    both = batch((CLICK, True, [(0, 0)]), (CLICK, False, [(0, 5)]))
    assert digits(ReferenceMap.blank(1, 6).with_clicks(both, radius=0, ring=2))[0] == "433110"
    assert digits(ReferenceMap.blank(1, 6).with_clicks(both, radius=0, ring=3))[0] == "432210"


def test_disk_beats_the_ring_of_the_other_side() -> None:
    both = batch((CLICK, True, [(0, 0)]), (CLICK, False, [(0, 1)]))
    assert digits(ReferenceMap.blank(1, 3).with_clicks(both, radius=0, ring=1))[0] == "401"


def test_published_loop_step_by_step() -> None:
    """One contradicting prediction resets to unknown, the second one flips; clicks stay."""
    size = 4
    reference = ReferenceMap.blank(1, size)
    reference = reference.with_clicks(batch((CLICK, True, [(0, 0)])), radius=0)
    assert digits(reference)[0] == "4222"
    left = probability(["##.."] * size)
    reference = reference.with_prediction(left)
    assert digits(reference)[:2] == ["4311", "3311"]
    reference = reference.with_prediction(left)
    assert digits(reference)[:2] == ["4311", "3311"]
    reference = reference.with_clicks(batch((CLICK, False, [(0, 1)])), radius=0)
    assert digits(reference)[:2] == ["4011", "3311"]
    right = probability(["..##"] * size)
    reference = reference.with_prediction(right)
    assert digits(reference)[:2] == ["4022", "2222"]
    reference = reference.with_prediction(right)
    assert digits(reference)[:2] == ["4033", "1133"]
    reference = reference.with_clicks(batch((CLICK, True, [(0, 1)])), radius=0)
    assert digits(reference)[:2] == ["4433", "1133"]


def test_states_of_all_prompts_may_have_rings() -> None:
    found = reference_states(batch((CLICK, True, [(0, 0)])), 4, 0, None, ring=2)
    assert found[0, 0].tolist() == [4, 3, 3, 2]


@pytest.mark.parametrize("radius", [0.0, 2.0])
def test_lines_that_are_not_counted_are_the_same(radius: float) -> None:
    torch.manual_seed(1)
    steps = (torch.rand(3, 5, 9, 2) - 0.5) * 16  # no longer than 12 pixels
    prompts = PromptBatch(
        points=20 + steps.cumsum(2),
        valid=torch.rand(3, 5, 9) < 0.8,
        kind=torch.randint(0, 4, (3, 5)),
        positive=torch.rand(3, 5) < 0.5,
    )
    counted = reference_states(prompts, 40, radius)
    assert torch.equal(reference_states(prompts, 40, radius, longest=12), counted)
    assert len(counted.unique()) > 2


def test_lines_longer_than_said_have_gaps() -> None:
    line = batch((SCRIBBLE, True, [(0, 0), (0, 6)]))
    assert reference_states(line, 7, 0, longest=6)[0, 0].tolist() == [4] * 7
    assert reference_states(line, 7, 0, longest=3)[0, 0].tolist() == [4, 4, 4, 2, 2, 2, 4]
