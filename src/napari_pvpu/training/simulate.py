"""A simulated user that answers a batch of predictions with clicks, scribbles and boxes.

Everything runs on the training device and over the whole batch at once. What the host has to know
is drawn on the host, so that it never waits for the device. Distances to the border of an error
region are counted by eroding it at half resolution, which replaces the distance transform of the
RITM protocol (the chessboard instead of the Euclidean metric).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.training.aims import (
    Aim,
    Scene,
    aim_at_error,
    aim_at_nothing,
    aim_at_object,
    halved,
    imagine,
)
from napari_pvpu.training.draws import Draws, draw_index, host_generator
from napari_pvpu.training.habits import EXACT, UserHabits
from napari_pvpu.training.neighbours import choose_neighbours
from napari_pvpu.training.pixel_choice import choose_pixels, values_at
from napari_pvpu.training.simulated_boxes import box_around, box_within
from napari_pvpu.training.simulated_strokes import (
    CENTRE,
    CONTOUR,
    POINTS,
    Ground,
    draw_strokes,
)

__all__ = ["EXACT", "PromptMemory", "SimulatedUser", "UserHabits", "host_generator"]

_BEYOND = 1.5  # pixels that a stray click may land beyond the border
_ON_NEIGHBOURS = (0.75, 0.0, 0.25)  # chances of clicks, boxes and scribbles on neighbours


@dataclass(slots=True)
class PromptMemory:
    """The prompts given so far to each object of a batch, one slot for each prompt.

    Attributes
    ----------
    rounds : list of PromptBatch
        One batch with a single slot each. A round may add two.
    regions : list of Tensor
        ``(N, H, W)`` bool for each slot: what the prompt means.
    """

    rounds: list[PromptBatch] = field(default_factory=list)
    regions: list[Tensor] = field(default_factory=list)

    def add(self, prompt: PromptBatch, region: Tensor) -> None:
        """Append one slot."""
        self.rounds.append(prompt)
        self.regions.append(region)

    def batch(self) -> PromptBatch:
        """Return all prompts as one batch."""
        return PromptBatch(*(torch.cat(parts, dim=1) for parts in zip(*self.rounds, strict=True)))


class _Plan(NamedTuple):
    """What kind of prompt each object gets."""

    chances: tuple[float, float, float]  # of clicks, boxes and scribbles
    kind: Tensor  # (N,) int64
    style: Tensor | None = None  # (N,) int64, of scribbles
    guided: bool = False


class SimulatedUser:
    """Look at predictions and give the next prompt to each.

    Parameters
    ----------
    habits : UserHabits
        Mix and care of the prompts.
    generator : torch.Generator
        On the device of the masks; draws what is chosen for each object.
    host : torch.Generator, optional
        On the CPU; draws what holds for a whole batch, so that nothing waits for another device.
        Left out, a `generator` on the CPU serves as both; one on another device seeds a new one,
        which waits for that device once.
    """

    def __init__(
        self,
        habits: UserHabits,
        generator: torch.Generator,
        host: torch.Generator | None = None,
    ) -> None:
        self.habits = habits
        self.generator = generator
        self.host = host_generator(generator) if host is None else host
        self.draws = Draws(generator, self.host)

    def chance(self) -> float:
        """Draw a number between 0 and 1, for a choice that holds for the whole batch."""
        return self.draws.chance()

    @torch.no_grad()
    def answer(
        self,
        truth: Tensor,
        prediction: Tensor | None,
        memory: PromptMemory,
        others: Tensor | None = None,
        inside: Tensor | None = None,
    ) -> None:
        """Add one prompt for each object to the memory.

        Parameters
        ----------
        truth : Tensor
            ``(N, S, S)`` bool, S even.
        prediction : Tensor, optional
            ``(N, S, S)`` bool; None before the first prompt.
        memory : PromptMemory
            Grows by one slot; before the first prediction now and then by a second one, for
            prompts on neighbours. An object without any error gets an empty slot.
        others : Tensor, optional
            ``(N, S, S)`` bool, pixels of other objects in the same views.
        inside : Tensor, optional
            ``(N, S, S)`` bool, where the views show the image, if not everywhere: no click or
            scribble leaves it.
        """
        habits, first = self.habits, prediction is None
        if prediction is not None and habits.blind and self.chance() < habits.blind:
            prediction = imagine(truth, self.draws)
        scene = Scene(truth, prediction, others, inside)
        row, col = torch.randint(0, 2, (2,), generator=self.host).tolist()
        shift = (row, col)
        if prediction is None:
            aim = aim_at_object(truth, shift)
        else:
            aim = aim_at_error(truth, prediction, shift, habits.second, self.draws)
            aim = aim_at_nothing(aim, scene, shift, habits.needless, self.draws)
        plan = self._plan(truth, habits.first if first else habits.later)
        if aim.idle is not None:
            # A box would say more than that all is well.
            kind = torch.where(aim.idle & (plan.kind == BOX), CLICK, plan.kind)
            plan = plan._replace(kind=kind)
        pixel = self._pixel(aim, plan, first)
        position = torch.stack([pixel[:, axis] * 2.0 + shift[axis] for axis in (0, 1)], dim=1)
        memory.add(self._draw(plan, position, aim, shift, scene), aim.meant)
        if first and others is not None:
            self._point_at_neighbours(scene, others, memory)

    def _plan(self, truth: Tensor, chances: tuple[float, float, float]) -> _Plan:
        """Draw kinds of prompts and styles of scribbles."""
        draws = self.draws
        kind = draw_index(draws.uniform(truth), chances) + CLICK
        bent, straight, *guides = self.habits.strokes
        if not chances[2]:
            return _Plan(chances, kind)
        share = sum(guides) / (bent + straight + sum(guides))
        if share and draws.chance() < share:
            style = draw_index(draws.uniform(truth), tuple(guides)) + CENTRE
            return _Plan(chances, kind, style, True)
        if not straight:
            return _Plan(chances, kind)
        return _Plan(chances, kind, draw_index(draws.uniform(truth), (bent, straight)))

    def _pixel(self, aim: Aim, plan: _Plan, first: bool) -> Tensor:
        """Choose the pixel of the halved view that each prompt begins with: ``(N, 2)``."""
        habits, draws = self.habits, self.draws
        low, high = habits.depth
        threshold = low + (high - low) * draws.uniform(aim.depth)
        central = habits.central_first if first and habits.central_first >= 0 else habits.central
        threshold = torch.where(draws.uniform(aim.depth) < central, 1.0, threshold)
        if not (habits.anywhere or habits.rim or plan.guided):
            return choose_pixels(aim.depth, threshold, self.generator)
        ceiling = torch.full_like(threshold, torch.inf)
        where = draw_index(
            draws.uniform(aim.depth),
            (habits.anywhere, habits.rim, max(0.0, 1 - habits.anywhere - habits.rim)),
        )
        threshold = torch.where(where < 2, 0.0, threshold)
        ceiling = torch.where(where == 1, 2.0, ceiling)
        if plan.guided and plan.style is not None:
            most = aim.depth.flatten(1).amax(1).clamp(min=1)
            stroke = plan.kind == SCRIBBLE
            # Centre lines begin on the ridge, lines along the border three to five pixels inside.
            on_ridge, along = stroke & (plan.style == CENTRE), stroke & (plan.style == CONTOUR)
            threshold = torch.where(on_ridge, 0.8, threshold)
            threshold = torch.where(along, (2 / most).clamp(max=1), threshold)
            ceiling = torch.where(on_ridge, torch.inf, torch.where(along, 2.0, ceiling))
        return choose_pixels(aim.depth, threshold, self.generator, ceiling)

    def _draw(
        self,
        plan: _Plan,
        position: Tensor,
        aim: Aim,
        shift: tuple[int, int],
        scene: Scene,
    ) -> PromptBatch:
        """Turn pixels into prompts of the planned kinds."""
        count, device = len(position), position.device
        ground = Ground(aim.region, aim.depth, shift, scene.inside)
        click = self._missed(position, ground, scene.truth, aim.positive)
        points = click[:, None].expand(-1, POINTS, -1)
        valid = torch.zeros(count, POINTS, dtype=torch.bool, device=device)
        valid[:, 0] = True
        kind = torch.full((count,), CLICK, device=device)
        if plan.chances[2]:
            strokes = draw_strokes(
                position, ground, plan.style, self.habits, self.generator, guided=plan.guided
            )
            drawn = (plan.kind == SCRIBBLE) & (strokes.valid.sum(1) >= 3)
            points = torch.where(drawn[:, None, None], strokes.points, points)
            valid = torch.where(drawn[:, None], strokes.valid, valid)
            kind = torch.where(drawn, SCRIBBLE, kind)
        if plan.chances[1]:
            corners = (
                box_around(ground.region, self.habits, self.generator)
                if scene.prediction is None
                else box_within(position, ground.depth_at(position), aim.region.shape[-1])
            )
            boxed = (plan.kind == BOX) & ((corners[:, 1] - corners[:, 0]).amin(1) >= 2)
            corners = torch.cat([corners, points[:, 2:]], dim=1)
            points = torch.where(boxed[:, None, None], corners, points)
            valid = torch.where(boxed[:, None], torch.arange(POINTS, device=device) < 2, valid)
            kind = torch.where(boxed, BOX, kind)
        there = ground.depth.flatten(1).any(1)
        kind = torch.where(there, kind, EMPTY)
        valid = valid & there[:, None]
        return PromptBatch(points[:, None], valid[:, None], kind[:, None], aim.positive[:, None])

    def _missed(self, position: Tensor, ground: Ground, truth: Tensor, positive: Tensor) -> Tensor:
        """Let some clicks miss their pixel, as a rule on the side of the object that was meant."""
        habits, draws = self.habits, self.draws
        if not habits.imprecise:
            return position
        missing = draws.uniform(position) < habits.imprecise
        angle, distance = draws.uniform(position) * 2 * math.pi, draws.uniform(position).sqrt()
        distance = distance * habits.jitter
        direction = torch.stack([angle.sin(), angle.cos()], dim=1)
        stray = draws.uniform(position) < habits.stray
        # From here it cannot be farther to the other side of the border.
        near = distance <= 2 * ground.depth_at(position) - 1 + _BEYOND
        out = position
        for share in (0.4, 1.0):
            there = (position + share * distance[:, None] * direction).round()
            there = there.clamp(0, truth.shape[-1] - 1)
            fits = (values_at(truth, there) == positive) | (stray & near)
            fits = fits & ground.shows(there)
            out = torch.where((missing & fits)[:, None], there, out)
        return out

    def _point_at_neighbours(self, scene: Scene, others: Tensor, memory: PromptMemory) -> None:
        """Add negative prompts on objects that lie close by."""
        chosen = self.draws.some(self.habits.neighbour, scene.truth)
        if chosen is None:
            return
        pixel, found, part = choose_neighbours(scene.truth, others, self.generator)
        asked = (chosen & found)[:, None, None]
        depth = torch.where(asked, halved(part).float(), 0.0)
        aim = Aim(part, depth, torch.zeros_like(found), part)
        kind = draw_index(self.draws.uniform(scene.truth), _ON_NEIGHBOURS) + CLICK
        memory.add(self._draw(_Plan(_ON_NEIGHBOURS, kind), pixel, aim, (0, 0), scene), part)
