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

from napari_pvpu.networks.prompt_encoding import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.training.habits import EXACT, UserHabits
from napari_pvpu.training.neighbours import choose_neighbours
from napari_pvpu.training.pixel_choice import (
    choose_pixels,
    depth_map,
    dilate,
    draw_index,
    values_at,
)
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
_BESIDE = 6  # rows and columns of the halved view that are still beside the object


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


class _Aim(NamedTuple):
    """What a prompt is for: of N objects, where to put it, and what it means."""

    region: Tensor  # (N, S, S) bool, where scribbles stay
    depth: Tensor  # (N, S / 2, S / 2), 0 where no click may go
    positive: Tensor  # (N,) bool
    meant: Tensor  # (N, S, S) bool
    idle: Tensor | None = None  # (N,) bool, who corrects nothing


class _Plan(NamedTuple):
    """What kind of prompt each object gets."""

    chances: tuple[float, float, float]  # of clicks, boxes and scribbles
    kind: Tensor  # (N,) int64
    style: Tensor | None = None  # (N,) int64, of scribbles
    guided: bool = False


def host_generator(generator: torch.Generator) -> torch.Generator:
    """Return a generator on the CPU: the given one, or one seeded by it if it is elsewhere."""
    if generator.device.type == "cpu":
        return generator
    seed = torch.randint(0, 2**62, (1,), generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int(seed))


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

    def chance(self) -> float:
        """Draw a number between 0 and 1, for a choice that holds for the whole batch."""
        return float(torch.rand(1, generator=self.host))

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
            prediction = self._imagined(truth)
        row, col = torch.randint(0, 2, (2,), generator=self.host).tolist()
        shift = (row, col)
        if prediction is None:
            everyone = torch.ones(len(truth), dtype=torch.bool, device=truth.device)
            aim = _Aim(truth, depth_map(_halved(truth, shift)), everyone, truth)
        else:
            aim = self._largest_error(truth, prediction, shift)
            aim = self._needless(aim, truth, prediction, others, inside, shift)
        plan = self._plan(truth, habits.first if first else habits.later)
        if aim.idle is not None:
            # A box would say more than that all is well.
            kind = torch.where(aim.idle & (plan.kind == BOX), CLICK, plan.kind)
            plan = plan._replace(kind=kind)
        pixel = self._pixel(aim, plan, first)
        position = torch.stack([pixel[:, axis] * 2.0 + shift[axis] for axis in (0, 1)], dim=1)
        ground = Ground(aim.region, aim.depth, shift, inside)
        prompt = self._draw(plan, position, ground, aim, truth, first)
        memory.add(prompt, aim.meant)
        if first and others is not None:
            self._point_at_neighbours(truth, others, inside, memory)

    def _uniform(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.generator.device)

    def _some(self, chance: float, count: int) -> Tensor | None:
        """Choose objects: half of them in some rounds, None in all others."""
        share = max(0.5, chance)
        if not chance or self.chance() >= chance / share:
            return None
        return self._uniform(count) < share

    def _largest_error(self, truth: Tensor, prediction: Tensor, shift: tuple[int, int]) -> _Aim:
        """Aim at what is missed or too much, whichever is deeper."""
        missed, extra = truth & ~prediction, prediction & ~truth
        halves = torch.cat([_halved(missed, shift), _halved(extra, shift)])
        both = torch.stack(depth_map(halves).chunk(2), dim=1)
        chosen = self._some(self.habits.second, len(truth))
        if chosen is not None:
            both = torch.where(chosen[:, None, None, None], _without_largest(both), both)
        positive = both[:, 0].flatten(1).amax(1) >= both[:, 1].flatten(1).amax(1)
        choose = positive[:, None, None]
        region = torch.where(choose, missed, extra)
        return _Aim(region, torch.where(choose, both[:, 0], both[:, 1]), positive, region)

    def _needless(
        self,
        aim: _Aim,
        truth: Tensor,
        prediction: Tensor,
        others: Tensor | None,
        inside: Tensor | None,
        shift: tuple[int, int],
    ) -> _Aim:
        """Let some point at what is right already: the object, its surroundings, a neighbour."""
        chosen = self._some(self.habits.needless, len(truth))
        if chosen is None:
            return aim
        background = ~(truth | prediction)
        background = background if inside is None else background & inside
        positive = self._uniform(len(truth)) < 0.5
        choose = positive[:, None, None]
        region = torch.where(choose, truth & prediction, background)
        beside = dilate(_halved(truth, shift), _BESIDE) & _halved(background, shift)
        if others is not None:
            on_neighbour = beside & _halved(others, shift)
            wanted = (self._uniform(len(truth)) < 0.5) & on_neighbour.flatten(1).any(1)
            beside = torch.where(wanted[:, None, None], on_neighbour, beside)
        goal = torch.where(choose, _halved(region, shift), beside)
        # Clicks on what is right lie anywhere in it.
        depth = goal.float()
        idle = chosen & goal.flatten(1).any(1)
        apply = idle[:, None, None]
        meant = torch.where(choose, truth, ~truth)
        return _Aim(
            torch.where(apply, region, aim.region),
            torch.where(apply, depth, aim.depth),
            torch.where(idle, positive, aim.positive),
            torch.where(apply, meant, aim.meant),
            idle,
        )

    def _imagined(self, truth: Tensor) -> Tensor:
        """Return predictions that miss the object or its surroundings, for a blind prompt."""
        value = dilate(truth, 8)
        beside = (self._uniform(len(truth)) < 0.5)[:, None, None]
        return torch.where(beside, value, torch.zeros_like(truth))

    def _plan(self, truth: Tensor, chances: tuple[float, float, float]) -> _Plan:
        """Draw kinds of prompts and styles of scribbles."""
        count = len(truth)
        kind = draw_index(self._uniform(count), chances) + CLICK
        bent, straight, *guides = self.habits.strokes
        if not chances[2]:
            return _Plan(chances, kind)
        share = sum(guides) / (bent + straight + sum(guides))
        if share and self.chance() < share:
            style = draw_index(self._uniform(count), tuple(guides)) + CENTRE
            return _Plan(chances, kind, style, True)
        if not straight:
            return _Plan(chances, kind)
        return _Plan(chances, kind, draw_index(self._uniform(count), (bent, straight)))

    def _pixel(self, aim: _Aim, plan: _Plan, first: bool) -> Tensor:
        """Choose the pixel of the halved view that each prompt begins with: ``(N, 2)``."""
        habits, count = self.habits, len(aim.depth)
        low, high = habits.depth
        threshold = low + (high - low) * self._uniform(count)
        central = habits.central_first if first and habits.central_first >= 0 else habits.central
        threshold = torch.where(self._uniform(count) < central, 1.0, threshold)
        if not (habits.anywhere or habits.rim or plan.guided):
            return choose_pixels(aim.depth, threshold, self.generator)
        ceiling = torch.full_like(threshold, torch.inf)
        where = draw_index(
            self._uniform(count),
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
        ground: Ground,
        aim: _Aim,
        truth: Tensor,
        first: bool,
    ) -> PromptBatch:
        """Turn pixels into prompts of the planned kinds."""
        count, device = len(position), position.device
        click = self._missed(position, ground, truth, aim.positive)
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
                if first
                else box_within(position, ground.depth_at(position))
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
        habits, count = self.habits, len(position)
        if not habits.imprecise:
            return position
        missing = self._uniform(count) < habits.imprecise
        angle, distance = self._uniform(count) * 2 * math.pi, self._uniform(count).sqrt()
        distance = distance * habits.jitter
        direction = torch.stack([angle.sin(), angle.cos()], dim=1)
        stray = self._uniform(count) < habits.stray
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

    def _point_at_neighbours(
        self, truth: Tensor, others: Tensor, inside: Tensor | None, memory: PromptMemory
    ) -> None:
        """Add negative prompts on objects that lie close by."""
        chosen = self._some(self.habits.neighbour, len(truth))
        if chosen is None:
            return
        pixel, found, part = choose_neighbours(truth, others, self.generator)
        here = (chosen & found)[:, None, None]
        ground = Ground(part, torch.where(here, _halved(part, (0, 0)).float(), 0.0), (0, 0), inside)
        aim = _Aim(part, ground.depth, torch.zeros_like(found), part)
        chances = (0.75, 0.0, 0.25)
        kind = draw_index(self._uniform(len(truth)), chances) + CLICK
        plan = _Plan(chances, kind)
        memory.add(self._draw(plan, pixel, ground, aim, truth, True), part)


def _halved(mask: Tensor, shift: tuple[int, int]) -> Tensor:
    """Every second row and column."""
    return mask[:, shift[0] :: 2, shift[1] :: 2]


def _without_largest(depth: Tensor) -> Tensor:
    """Take out the square around the deepest pixel, where something of width is left.

    Parameters
    ----------
    depth : Tensor
        ``(N, 2, H, W)``, depth maps of what is missed and what is too much.

    Returns
    -------
    Tensor
        ``(N, 2, H, W)``.
    """
    _, sides, height, width = depth.shape
    deepest, at = depth.flatten(1).max(1)
    reach = (deepest + 2)[:, None, None, None]
    side, pixel = at // (height * width), at % (height * width)
    row, col = (x[:, None, None, None] for x in (pixel // width, pixel % width))
    rows = torch.arange(height, device=depth.device)[:, None]
    cols = torch.arange(width, device=depth.device)
    near = ((rows - row).abs() <= reach) & ((cols - col).abs() <= reach)
    same = torch.arange(sides, device=depth.device) == side[:, None]
    left = torch.where(near & same[..., None, None], 0.0, depth)
    # A sliver is not what anybody would correct before the rest.
    enough = left.flatten(1).amax(1) >= 2
    return torch.where(enough[:, None, None, None], left, depth)
