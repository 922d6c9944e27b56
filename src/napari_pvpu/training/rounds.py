"""The rounds of one training step: prompt, predict, correct, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.losses import dice_loss, normalized_focal_loss, p2c_loss
from napari_pvpu.networks.prompt_batch import EMPTY
from napari_pvpu.training.prior_masks import coarsen_masks, corrupt_masks
from napari_pvpu.training.simulate import PromptMemory, SimulatedUser

if TYPE_CHECKING:
    from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
    from napari_pvpu.networks.prompt_batch import PromptBatch


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of what a round costs.

    Attributes
    ----------
    focal, dice, p2c, score, auxiliary : float
        Of the normalised focal, Dice, prompt-to-pixel and score losses, and of the focal loss of
        an auxiliary head where the network has one.
    rounds : tuple of float
        Empty: the last round alone counts and carries gradients. Else every round does, by these
        weights (PVPUFormer's iterative click loss: 1, 2, 3); rounds beyond them take the last.
    """

    focal: float = 1.0
    dice: float = 1.0
    p2c: float = 0.5
    score: float = 0.2
    auxiliary: float = 0.0
    rounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PlayConfig:
    """How rounds begin.

    Attributes
    ----------
    prior : float
        Chance that an object starts from a spoilt mask instead of nothing.
    coarse : float
        Share of spoilt masks that are blurred too, as a mask from a coarser view is.
    forget : float
        Chance that the last round is answered without the mask before it, from the prompts alone,
        so that a wrong mask is not clung to.
    """

    prior: float = 0.15
    coarse: float = 0.5
    forget: float = 0.25


class Losses(NamedTuple):
    """Mean losses of a step and what the user would see.

    Attributes
    ----------
    total, focal, dice, p2c, score, iou : Tensor
        Scalars; `iou` is the mean over objects after the last round.
    """

    total: Tensor
    focal: Tensor
    dice: Tensor
    p2c: Tensor
    score: Tensor
    iou: Tensor


class Rounds(nn.Module):
    """Play with a simulated user; a module, so that it can be wrapped for several processes.

    Parameters
    ----------
    network : PromptableNetwork
        What is trained.
    losses : LossConfig
        What a round costs.
    play : PlayConfig
        How rounds begin.
    """

    def __init__(self, network: PromptableNetwork, losses: LossConfig, play: PlayConfig) -> None:
        super().__init__()
        self.network = network
        self.losses = losses
        self.play = play

    def forward(
        self,
        image: Tensor,
        truth: Tensor,
        objects: int,
        rounds: int,
        user: SimulatedUser,
        others: Tensor | None = None,
    ) -> Losses:
        """Encode views, play the rounds on every object, return what the answers cost.

        Parameters
        ----------
        image : Tensor
            ``(B, 3, S, S)``, views.
        truth : Tensor
            ``(B * objects, S, S)`` bool, objects of the first view first.
        objects, rounds : int
            Objects of each view; rounds for all of them.
        user : SimulatedUser
            Gives the prompts; all that is random is drawn from its generators.
        others : Tensor, optional
            ``(B * objects, S, S)`` bool, pixels of other labelled objects in the same view.
        """
        features = self.network.encode(image).repeat(objects)
        memory = PromptMemory()
        previous, prediction = self._start(truth, user, others)
        kept = features.detach()
        inside = features.inside[:, 0] > 0
        every = bool(self.losses.rounds)
        parts: list[Losses] = []
        for index in range(rounds - 1):
            user.answer(truth, prediction, memory, others, inside)
            if every:
                losses, logits = self._cost(features, truth, memory, previous)
                parts.append(_scaled(losses, self._weight(index)))
            else:
                with torch.no_grad():
                    logits = self.network.decode(kept, memory.batch(), previous).logits
            previous = logits.detach().sigmoid()
            # Nobody sees, or corrects, what lies outside the image.
            prediction = (previous[:, 0] > 0.5) & inside
        user.answer(truth, prediction, memory, others, inside)
        if rounds > 1 and user.chance() < self.play.forget:
            previous = None
        last, _ = self._cost(features, truth, memory, previous)
        if not every:
            return last
        parts.append(_scaled(last, self._weight(rounds - 1)))
        summed = Losses(*(torch.stack(part).sum() for part in zip(*parts, strict=True)))
        return summed._replace(iou=last.iou)

    def _weight(self, index: int) -> float:
        weights = self.losses.rounds
        return weights[min(index, len(weights) - 1)]

    def _start(
        self, truth: Tensor, user: SimulatedUser, others: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Begin with nothing, or in some steps with a spoilt mask for every object."""
        if user.chance() >= self.play.prior:
            return None, None
        spoilt = corrupt_masks(truth, user.generator, others)
        if user.chance() >= self.play.coarse:
            return spoilt[:, None].float(), spoilt
        coarse = coarsen_masks(spoilt, user.host)
        return coarse[:, None], coarse > 0.5

    def _cost(
        self, features: Features, truth: Tensor, memory: PromptMemory, previous: Tensor | None
    ) -> tuple[Losses, Tensor]:
        """Return mean losses of one answer, and its logits."""
        weights, prompts = self.losses, memory.batch()
        out, auxiliary = self._decode(features, prompts, previous)
        # A view in which no object is seen teaches nothing; neither does what lies outside.
        counts = truth.flatten(1).any(1).float()
        target = truth[:, None].float()
        focal = normalized_focal_loss(out.logits, target, valid=features.inside)
        dice = dice_loss(out.logits, target, valid=features.inside)
        p2c = focal.new_zeros(focal.shape)
        if weights.p2c:
            meant = meant_regions(memory, (out.pixels.shape[-2], out.pixels.shape[-1]))
            p2c = p2c_loss(
                out.pixels.float(), out.prompt_features.float(), meant, prompts.kind != EMPTY
            )
        predicted = (out.logits.detach()[:, 0] > 0) & (features.inside[:, 0] > 0)
        overlap = (predicted & truth).flatten(1).sum(1)
        union = (predicted | truth).flatten(1).sum(1)
        iou = overlap / union.clamp(min=1)
        score = F.mse_loss(out.score, iou, reduction="none")
        total = weights.focal * focal + weights.dice * dice + weights.p2c * p2c
        total = total + weights.score * score
        if auxiliary is not None:
            valid = features.inside
            extra = normalized_focal_loss(auxiliary, target, valid=valid)
            total = total + weights.auxiliary * extra

        def mean(x: Tensor) -> Tensor:
            return (x * counts).sum() / counts.sum().clamp(min=1)

        return Losses(*(mean(x) for x in (total, focal, dice, p2c, score, iou))), out.logits

    def _decode(
        self, features: Features, prompts: PromptBatch, previous: Tensor | None
    ) -> tuple[Decoded, Tensor | None]:
        if self.losses.auxiliary:
            return self.network.decode_with_auxiliary(features, prompts, previous)
        return self.network.decode(features, prompts, previous), None


def meant_regions(memory: PromptMemory, shape: tuple[int, int]) -> Tensor:
    """Return what each prompt should attract.

    For the first prompt the object; for a later one the region that it answers (PVPUFormer,
    released trainer). A prompt on a neighbour attracts the neighbour, one that was not needed the
    object or, if negative, all that is not the object.

    Parameters
    ----------
    memory : PromptMemory
        The prompts so far, K slots.
    shape : tuple of int
        Rows and columns wanted.

    Returns
    -------
    Tensor
        ``(N, K, *shape)`` float32, 0 to 1.
    """
    return F.adaptive_avg_pool2d(torch.stack(memory.regions, dim=1).float(), shape)


def _scaled(losses: Losses, factor: float) -> Losses:
    return Losses(*(value * factor for value in losses))
