"""What the rounds of a step cost, and which of them carry gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.training.rounds import LossConfig, PlayConfig, Rounds, meant_regions
from napari_pvpu.training.simulate import EXACT, PromptMemory, SimulatedUser, UserHabits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_pvpu.networks.prompt_batch import PromptBatch

SIZE = 32
ALONE = PlayConfig(prior=0.0, forget=0.0)
PLAIN = LossConfig(dice=0.0, p2c=0.0, score=0.0)


class Bias(PromptableNetwork):
    """Answers the same logit everywhere, and remembers how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.tensor(-1.0))
        self.asked: list[tuple[int, bool, bool]] = []

    def encode(self, view: Tensor) -> Features:
        return Features((view[:, :1],), view, torch.ones_like(view[:, :1]))

    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        previous: Tensor | None = None,
        *,
        second_reading: bool = False,
    ) -> Decoded:
        kinds = prompts.kind.shape
        self.asked.append((kinds[1], previous is not None, torch.is_grad_enabled()))
        logits = self.bias.expand(len(features.image), 1, SIZE, SIZE).float()
        pixels = torch.ones(len(logits), 2, 8, 8)
        return Decoded(logits, pixels, torch.ones(*kinds, 2), torch.full(kinds[:1], 0.5))

    def encoder_modules(self) -> Iterable[torch.nn.Module]:
        return ()


def truth() -> Tensor:
    masks = torch.zeros(2, SIZE, SIZE, dtype=torch.bool)
    masks[0, 4:20, 4:20] = True
    masks[1, 10:28, 8:30] = True
    return masks


def play(losses: LossConfig, rounds: int, how: PlayConfig = ALONE) -> tuple[Bias, Tensor]:
    network = Bias()
    user = SimulatedUser(UserHabits(), torch.Generator().manual_seed(0))
    result = Rounds(network, losses, how)(torch.rand(1, 3, SIZE, SIZE), truth(), 2, rounds, user)
    return network, result.total


def test_only_the_last_round_carries_gradients() -> None:
    network, total = play(PLAIN, 3)
    assert network.asked == [(1, False, False), (2, True, False), (3, True, True)]
    total.backward()
    assert network.bias.grad is not None


def test_every_round_counts_by_its_weight() -> None:
    # The network answers the same at each round, so that the weights are all that differs.
    _, one = play(PLAIN, 1)
    network, three = play(LossConfig(dice=0.0, p2c=0.0, score=0.0, rounds=(1, 2, 3)), 3)
    assert [grad for *_, grad in network.asked] == [True] * 3
    assert three.item() == pytest.approx(6 * one.item())
    _, four = play(LossConfig(dice=0.0, p2c=0.0, score=0.0, rounds=(1, 2)), 4)
    assert four.item() == pytest.approx(7 * one.item())


def test_a_spoilt_mask_is_fed_from_the_first_round() -> None:
    network, _ = play(PLAIN, 2, PlayConfig(prior=1.0, coarse=1.0, forget=0.0))
    assert [fed for _, fed, _ in network.asked] == [True, True]


def test_the_last_round_may_forget_the_mask() -> None:
    network, _ = play(PLAIN, 3, PlayConfig(prior=0.0, forget=1.0))
    assert [fed for _, fed, _ in network.asked] == [False, True, False]


def test_objects_that_are_not_seen_teach_nothing() -> None:
    network = Bias()
    user = SimulatedUser(UserHabits(), torch.Generator().manual_seed(0))
    masks = truth()
    masks[1] = False
    both = Rounds(network, PLAIN, ALONE)(torch.rand(1, 3, SIZE, SIZE), masks, 2, 1, user)
    alone = Rounds(network, PLAIN, ALONE)(torch.rand(1, 3, SIZE, SIZE), masks[:1], 1, 1, user)
    assert both.total.item() == pytest.approx(alone.total.item())


def test_prompts_mean_the_object_and_then_the_errors_they_answer() -> None:
    memory = PromptMemory()
    user = SimulatedUser(UserHabits(), torch.Generator().manual_seed(0))
    user.answer(truth(), None, memory)
    user.answer(truth(), torch.zeros_like(truth()), memory)
    regions = meant_regions(memory, (8, 8))
    assert regions.shape == (2, 2, 8, 8)
    assert regions[0, 0, 1:5, 1:5].tolist() == [[1.0] * 4] * 4
    assert float(regions[0, 0].sum()) == 16.0


def test_what_is_drawn_outside_the_image_is_no_error() -> None:
    class Bold(Bias):
        """Draws everything, in a view whose right half lies outside the image."""

        def encode(self, view: Tensor) -> Features:
            features = super().encode(view)
            features.inside[..., SIZE // 2 :] = 0
            return features

    network = Bold()
    network.bias.data.fill_(3.0)
    masks = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    masks[0, :, : SIZE // 2] = True
    user = SimulatedUser(UserHabits(), torch.Generator().manual_seed(0))
    losses = Rounds(network, PLAIN, ALONE)(torch.rand(1, 3, SIZE, SIZE), masks, 1, 3, user)
    assert losses.iou.item() == 1.0


def test_a_prompt_on_a_neighbour_means_the_neighbour() -> None:
    masks = truth()
    neighbour = torch.zeros_like(masks)
    neighbour[:, 4:20, 21:30] = True
    neighbour &= ~masks
    memory = PromptMemory()
    user = SimulatedUser(UserHabits(neighbour=1.0), torch.Generator().manual_seed(0))
    user.answer(masks, None, memory, neighbour)
    regions = meant_regions(memory, (16, 16))
    expected = torch.nn.functional.avg_pool2d(torch.stack([masks, neighbour], 1).float(), 2)
    torch.testing.assert_close(regions, expected)


def test_neighbours_take_a_slot_of_the_first_round() -> None:
    network = Bias()
    masks = truth()[:1]
    neighbour = torch.zeros_like(masks)
    neighbour[:, 4:20, 22:30] = True
    user = SimulatedUser(UserHabits(neighbour=1.0), torch.Generator().manual_seed(0))
    rounds = Rounds(network, LossConfig(p2c=1.0), ALONE)
    losses = rounds(torch.rand(1, 3, SIZE, SIZE), masks, 1, 2, user, neighbour)
    assert [slots for slots, *_ in network.asked] == [2, 3]
    assert losses.total.isfinite()


def test_a_prompt_on_a_spoilt_mask_means_the_error() -> None:
    memory = PromptMemory()
    user = SimulatedUser(EXACT, torch.Generator().manual_seed(0))
    spoilt = truth().clone()
    spoilt[:, :, 24:] = True
    user.answer(truth(), spoilt, memory)
    regions = meant_regions(memory, (SIZE, SIZE))
    assert not memory.batch().positive.any()
    assert torch.equal(regions[:, 0] > 0, spoilt & ~truth())


def test_one_round_never_forgets_the_mask_it_answers() -> None:
    network, _ = play(PLAIN, 1, PlayConfig(prior=1.0, coarse=0.0, forget=1.0))
    assert network.asked == [(1, True, True)]
