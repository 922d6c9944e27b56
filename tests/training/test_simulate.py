"""The simulated user: prompts lie where a person would put them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.training.pixel_choice import values_at
from napari_pvpu.training.simulate import EXACT, PromptMemory, SimulatedUser, UserHabits

SIZE = 64


def disks(*rows: tuple[int, int, int]) -> torch.Tensor:
    """One mask for each (row, col, radius)."""
    axis = torch.arange(SIZE)
    return torch.stack(
        [(axis[:, None] - r) ** 2 + (axis[None] - c) ** 2 <= k * k for r, c, k in rows]
    )


def user(habits: UserHabits | None = None, seed: int = 0) -> SimulatedUser:
    return SimulatedUser(habits or EXACT, torch.Generator().manual_seed(seed))


def only(kind: int) -> UserHabits:
    mix = tuple(float(k == kind) for k in (CLICK, BOX, SCRIBBLE))
    return replace(EXACT, first=mix, later=mix)


def under(mask: torch.Tensor, prompts: PromptBatch, sample: int) -> torch.Tensor:
    points = prompts.points[sample, 0][prompts.valid[sample, 0]].round().long().clamp(0, SIZE - 1)
    return mask[points[:, 0], points[:, 1]]


@pytest.mark.parametrize("seed", range(3))
def test_first_click_is_positive_and_inside(seed: int) -> None:
    truth = disks((20, 20, 9), (40, 30, 6), (5, 60, 8))
    memory = PromptMemory()
    user(only(CLICK), seed).answer(truth, None, memory)
    prompts = memory.batch()
    assert prompts.kind.tolist() == [[CLICK]] * 3
    assert prompts.positive.all()
    for i in range(3):
        assert under(truth[i], prompts, i).all()


def test_corrections_go_to_the_larger_error() -> None:
    truth = disks((20, 20, 10), (20, 20, 10))
    half = truth.clone()
    half[0, :, :20] = False  # misses half of the object
    half[1] |= disks((45, 45, 9))[0]  # has a blob too many
    memory = PromptMemory()
    user(only(CLICK)).answer(truth, half, memory)
    prompts = memory.batch()
    assert prompts.positive[:, 0].tolist() == [True, False]
    assert under(truth[0] & ~half[0], prompts, 0).all()
    assert under(half[1] & ~truth[1], prompts, 1).all()
    assert torch.equal(memory.regions[0][1], half[1] & ~truth[1])


def test_a_perfect_mask_gets_no_prompt() -> None:
    truth = disks((20, 20, 10))
    memory = PromptMemory()
    user().answer(truth, truth, memory)
    prompts = memory.batch()
    assert prompts.kind.tolist() == [[EMPTY]]
    assert not prompts.valid.any()


def test_boxes_enclose_the_object_but_for_sloppiness() -> None:
    truth = disks((20, 24, 9))
    habits = replace(EXACT, first=(0, 1, 0), box_noise=0.0)
    memory = PromptMemory()
    user(habits).answer(truth, None, memory)
    prompts = memory.batch()
    assert prompts.kind.tolist() == [[BOX]]
    assert prompts.points[0, 0, :2].tolist() == [[11, 15], [29, 33]]
    assert prompts.valid[0, 0].sum() == 2


def test_memory_keeps_the_rounds_in_order() -> None:
    truth = disks((20, 20, 10), (40, 40, 6))
    memory = PromptMemory()
    player = user()
    player.answer(truth, None, memory)
    player.answer(truth, torch.zeros_like(truth), memory)
    batch = memory.batch()
    assert batch.kind.shape == (2, 2)
    torch.testing.assert_close(batch.points[:, 1], memory.rounds[1].points[:, 0])


FORMER = [
    [[22, 18], [11, 19], [12, 22]],
    [[40, 26], [39, 19], [42, 18]],
    [[30, 40], [35, 37], [36, 38]],
    [[10, 48], [21, 47], [22, 54]],
]
NEIGHBOUR = UserHabits(neighbour=1.0)


def prompts(
    habits: UserHabits,
    truth: torch.Tensor,
    prediction: torch.Tensor | None = None,
    others: torch.Tensor | None = None,
    inside: torch.Tensor | None = None,
    seed: int = 0,
) -> tuple[PromptBatch, list[torch.Tensor]]:
    """One answer: its prompts and what they mean."""
    memory = PromptMemory()
    user(habits, seed).answer(truth, prediction, memory, others, inside)
    return memory.batch(), memory.regions


def at_clicks(masks: torch.Tensor, batch: PromptBatch, slot: int = 0) -> torch.Tensor:
    return values_at(masks, batch.points[:, slot, 0])


def test_a_user_without_slips_is_the_former_one() -> None:
    """The literals were drawn by the user that knew none of the slips."""
    truth = disks((20, 20, 12), (40, 30, 15), (30, 40, 7), (10, 50, 9))
    seen = disks((24, 22, 11), (40, 36, 15), (30, 40, 5), (14, 50, 12))
    memory, player = PromptMemory(), user(only(CLICK), 3)
    for prediction in (None, seen, seen):
        player.answer(truth, prediction, memory, disks(*[(32, 32, 30)] * 4) & ~truth)
    batch = memory.batch()
    assert batch.points[:, :, 0].tolist() == FORMER
    assert batch.positive.tolist() == [[True] * 3] * 3 + [[True, False, False]]


@given(seed=st.integers(0, 10_000), size=st.sampled_from([16, 32, 64]))
@example(seed=7, size=32)  # a correction's box began outside the view
@settings(max_examples=25, deadline=None)
def test_whatever_is_seen_the_prompts_are_sound(seed: int, size: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    blobs = torch.rand(5, 12, size // 4, size // 4, generator=chance) < 0.4
    blobs = blobs.repeat_interleave(4, 2).repeat_interleave(4, 3)
    truth, others = blobs[:, 0], blobs[:, 1] & ~blobs[:, 0]
    truth[0] = False
    memory = PromptMemory()
    player = user(UserHabits(second=0.3, needless=0.4, neighbour=0.5, imprecise=0.6), seed)
    for turn in range(4):
        player.answer(truth, blobs[:, 2 + turn] if turn else None, memory, others)
    batch = memory.batch()
    assert batch.points.isfinite().all()
    assert ((batch.points >= -0.5) & (batch.points <= size - 0.5))[batch.valid].all()
    given_to = batch.kind != EMPTY
    assert torch.equal(batch.valid.any(2), given_to)
    assert (batch.valid.sum(2)[batch.kind == CLICK] == 1).all()
    assert (batch.valid.sum(2)[batch.kind == BOX] == 2).all()
    assert (batch.valid.sum(2)[batch.kind == SCRIBBLE] >= 3).all()
    meant = torch.stack(memory.regions, dim=1).flatten(2).any(2)
    assert (meant | ~given_to).all()


def test_an_object_that_is_not_seen_gets_empty_slots() -> None:
    truth = torch.zeros(6, SIZE, SIZE, dtype=torch.bool)
    others = disks(*[(32, 32, 20)] * 6)
    batch, _ = prompts(NEIGHBOUR, truth, None, others)
    assert (batch.kind == EMPTY).all()
    batch, _ = prompts(UserHabits(needless=1.0), truth, truth, others)
    assert (batch.kind == EMPTY).all()


def test_the_same_generators_give_the_same_prompts() -> None:
    truth = disks((20, 20, 12), (40, 30, 15))
    twice = []
    for _ in range(2):
        memory = PromptMemory()
        player = SimulatedUser(
            UserHabits(), torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
        )
        for prediction in (None, ~truth, truth):
            player.answer(truth, prediction, memory, ~truth)
        twice.append(memory.batch())
    assert all(torch.equal(*pair) for pair in zip(*twice, strict=True))


def test_what_holds_for_a_batch_comes_from_the_host() -> None:
    host, generator = (torch.Generator().manual_seed(0) for _ in range(2))
    player = SimulatedUser(UserHabits(), generator, host)
    before = generator.get_state()
    player.chance()
    assert torch.equal(generator.get_state(), before)
    assert not torch.equal(host.get_state(), before)


@pytest.mark.parametrize(
    "habits",
    [
        UserHabits(),
        UserHabits(second=1.0, needless=1.0, neighbour=1.0, strokes=(0, 0, 1, 1, 1)),
        EXACT,
        replace(EXACT, blind=1.0),
    ],
    ids=["default", "all", "exact", "blind"],
)
def test_nothing_is_read_back_from_the_device(habits: UserHabits) -> None:
    """Tensors on torch's ``meta`` device have no values that could be read."""
    masks = torch.ones(4, 32, 32, dtype=torch.bool, device="meta")
    memory = PromptMemory()
    player = user(habits)
    for prediction in (None, masks, masks):
        player.answer(masks, prediction, memory, masks, masks)
    assert memory.batch().points.device.type == "meta"


def spread(habits: UserHabits, count: int = 1000) -> torch.Tensor:
    """Distance of first clicks from the centre of a disk with radius 20: ``(N,)``."""
    truth = disks((32, 32, 20)).expand(count, -1, -1)
    batch, _ = prompts(replace(habits, first=(1, 0, 0)), truth)
    return (batch.points[:, 0, 0] - 32).norm(dim=1)


def test_first_clicks_fall_anywhere() -> None:
    central = spread(replace(EXACT, central=1.0))
    anywhere = spread(replace(EXACT, anywhere=1.0))
    rim = spread(replace(EXACT, rim=1.0))
    assert float(central.amax()) <= 4
    # Half of a disk's pixels lie farther out than 0.7 of its radius.
    assert 0.4 < float((anywhere > 14).float().mean()) < 0.6
    assert float(rim.amin()) > 12
    assert float(rim.amax()) <= 20


def test_imprecise_clicks_stay_near_and_mostly_on_their_side() -> None:
    truth = disks((32, 32, 12)).expand(2000, -1, -1)
    exact = replace(EXACT, first=(1, 0, 0), central=0.0, depth=(0.0, 0.3))
    start, _ = prompts(exact, truth)
    clicks = {}
    for stray in (0.0, 1.0):
        habits = replace(exact, imprecise=1.0, jitter=3.0, stray=stray)
        batch, regions = prompts(habits, truth)
        assert torch.equal(regions[0], truth)
        off = (batch.points - start.points)[:, 0, 0].norm(dim=1)
        assert 0.8 < float(off.mean())
        assert float(off.amax()) <= 3.0 + 0.71
        clicks[stray] = batch
    assert at_clicks(truth, clicks[0.0]).all()
    outside = ~at_clicks(truth, clicks[1.0])
    assert 0.02 < float(outside.float().mean()) < 0.3
    beyond = (clicks[1.0].points[:, 0, 0] - 32).norm(dim=1)[outside] - 12
    assert float(beyond.amax()) < 4


def test_no_click_leaves_the_image() -> None:
    inside = torch.ones(500, SIZE, SIZE, dtype=torch.bool)
    inside[..., 40:] = False
    truth = disks((32, 32, 12)).expand(500, -1, -1) & inside
    habits = UserHabits(imprecise=1.0, stray=1.0, rim=0.9, anywhere=0.1, needless=1.0)
    for prediction in (None, truth):
        batch, _ = prompts(replace(habits, later=(1, 0, 0)), truth, prediction, None, inside)
        clicks = (batch.kind[:, 0] == CLICK) | (batch.kind[:, 0] == EMPTY)
        assert at_clicks(inside, batch)[clicks].all()


def test_the_second_largest_error_may_be_answered() -> None:
    truth = disks(*[(32, 32, 20)] * 8)
    seen = truth & ~disks(*[(32, 24, 7)] * 8) & ~disks(*[(32, 44, 4)] * 8)
    columns = {}
    for second in (0.0, 1.0):
        habits = replace(EXACT, later=(1, 0, 0), central=1.0, second=second)
        batch, _ = prompts(habits, truth, seen)
        columns[second] = batch.points[:, 0, 0, 1]
    assert (columns[0.0] < 32).all()
    assert (columns[1.0] > 38).all()


def test_a_single_error_is_answered_even_so() -> None:
    truth = disks((32, 32, 20))
    seen = truth & ~disks((32, 24, 7))
    batch, _ = prompts(replace(EXACT, second=1.0), truth, seen)
    assert batch.kind[0, 0] != EMPTY
    assert batch.positive.all()


def test_needless_prompts_point_at_what_is_right() -> None:
    truth = disks(*[(32, 32, 12)] * 100)
    others = disks(*[(32, 54, 9)] * 100)
    batch, (meant,) = prompts(UserHabits(needless=1.0, stray=0.0), truth, truth, others)
    positive = batch.positive[:, 0]
    assert 20 < int(positive.sum()) < 80
    clicks = batch.kind[:, 0] == CLICK
    assert torch.equal(at_clicks(truth, batch)[clicks], positive[clicks])
    assert not (batch.kind == BOX).any()
    assert torch.equal(meant, torch.where(positive[:, None, None], truth, ~truth))
    on_neighbour = at_clicks(others, batch)[clicks & ~positive]
    assert 0.3 < float(on_neighbour.float().mean()) < 0.8


def test_a_first_prompt_may_come_with_one_on_a_neighbour() -> None:
    truth = disks(*[(32, 22, 10)] * 40)
    others = disks(*[(32, 44, 11)] * 40)
    batch, regions = prompts(NEIGHBOUR, truth, None, others)
    assert batch.kind.shape == (40, 2)
    assert (batch.kind[:, 1] != EMPTY).all()
    assert batch.positive.tolist() == [[True, False]] * 40
    clicks = batch.kind[:, 1] == CLICK
    assert torch.equal(regions[0], truth)
    assert torch.equal(regions[1], others)
    # Imprecise ones stay off the object.
    assert not at_clicks(truth, batch, 1)[clicks].any()
    assert float(at_clicks(others, batch, 1)[clicks].float().mean()) > 0.8


def test_later_prompts_come_alone() -> None:
    truth = disks((32, 22, 10))
    batch, _ = prompts(NEIGHBOUR, truth, torch.zeros_like(truth), disks((32, 44, 11)))
    assert batch.kind.shape == (1, 1)


def test_half_of_the_default_prompts_are_as_careful_as_ever() -> None:
    """With the same numbers, most clicks are where a user without slips puts them."""
    habits = UserHabits()
    careful = (
        (1 - habits.anywhere - habits.rim)
        * (1 - habits.imprecise)
        * (1 - habits.second)
        * (1 - habits.needless)
    )
    assert careful > 0.5
    assert habits.sloppy + habits.oversized + habits.cutting < 0.5
