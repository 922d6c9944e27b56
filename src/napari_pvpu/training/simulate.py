"""A simulated user that answers a batch of predictions with clicks, scribbles and boxes.

Everything runs on the training device and over the whole batch at once. Distances to the border
of an error region are counted by eroding it at half resolution, which replaces the distance
transform of the RITM protocol (the chessboard instead of the Euclidean metric).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.prompt_encoding import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch

POINTS = 32
_STEP = 2.0  # distance of a scribble's samples in model pixels
_EROSIONS = 12  # deeper than this, all pixels count as equally central


@dataclass(frozen=True, slots=True)
class UserHabits:
    """How the simulated user behaves.

    Attributes
    ----------
    first, later : tuple of float
        Chances of a click, a box and a scribble as the first and as a later prompt.
    central, central_first : float
        Chance that a click goes to the very centre of its region, as the evaluation's robot
        does; else it goes anywhere at least `depth` of the way in. `central_first` for the first
        click alone; below 0 for the same.
    depth : tuple of float
        Range of the share of the largest depth that a click's pixel reaches at least, for the
        first click and for later ones the same.
    box_noise : float
        Largest error of a box's side over the box's extent.
    blind : float
        Chance that a later round is played without looking at the prediction: a prompt anywhere
        on the object, or beside it as a negative one.
    """

    first: tuple[float, float, float] = (0.6, 0.22, 0.18)
    later: tuple[float, float, float] = (0.78, 0.04, 0.18)
    central: float = 0.4
    central_first: float = -1.0
    depth: tuple[float, float] = (0.1, 0.8)
    box_noise: float = 0.12
    blind: float = 0.0


def depth_map(mask: Tensor) -> Tensor:
    """Count how often each pixel survives an erosion with a 3 x 3 square.

    Parameters
    ----------
    mask : Tensor
        ``(N, H, W)`` bool.

    Returns
    -------
    Tensor
        ``(N, H, W)`` float32; 0 outside the mask, 1 at its border, at most 1 + 12 inside. The
        border of the picture counts as outside.

    Examples
    --------
    >>> depth_map(torch.ones(1, 3, 5, dtype=torch.bool))[0, 1].tolist()
    [1.0, 2.0, 2.0, 2.0, 1.0]
    """
    outside = F.pad((~mask).float()[:, None], (1, 1, 1, 1), value=1.0)
    depth = 1 - outside
    for _ in range(_EROSIONS):
        outside = F.max_pool2d(outside, 3, 1, 1)
        depth = depth + (1 - outside)
    return depth[:, 0, 1:-1, 1:-1]


def choose_pixels(depth: Tensor, threshold: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one pixel of each map, uniformly among those that are deep enough.

    Parameters
    ----------
    depth : Tensor
        ``(N, H, W)`` from `depth_map`.
    threshold : Tensor
        ``(N,)``, share of the largest depth that a pixel has to reach, 0 to 1.
    generator : torch.Generator
        On the device of `depth`.

    Returns
    -------
    Tensor
        ``(N, 2)`` int64, row and column.
    """
    flat = depth.flatten(1)
    enough = (flat > 0) & (flat >= threshold[:, None] * flat.amax(1, keepdim=True))
    noise = torch.rand(flat.shape, generator=generator, device=flat.device)
    best = (noise * enough).argmax(1)
    width = depth.shape[-1]
    return torch.stack([best // width, best % width], dim=1)


@dataclass(slots=True)
class PromptMemory:
    """The prompts given so far to each object of a batch, one slot a round.

    Attributes
    ----------
    count, device : int, torch.device
        Objects ``N`` and where the tensors live.
    rounds : list of PromptBatch
        One batch with a single slot each.
    regions : list of Tensor
        ``(N, H, W)`` bool for each round: what the prompt pointed at.
    """

    rounds: list[PromptBatch] = field(default_factory=list)
    regions: list[Tensor] = field(default_factory=list)

    def add(self, prompt: PromptBatch, region: Tensor) -> None:
        """Append one round."""
        self.rounds.append(prompt)
        self.regions.append(region)

    def batch(self) -> PromptBatch:
        """Return all rounds as one batch with a slot for each."""
        return PromptBatch(*(torch.cat(parts, dim=1) for parts in zip(*self.rounds, strict=True)))


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

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.generator.device)

    def answer(
        self,
        truth: Tensor,
        prediction: Tensor | None,
        memory: PromptMemory,
        others: Tensor | None = None,
    ) -> None:
        """Add one prompt for each object to the memory.

        Parameters
        ----------
        truth : Tensor
            ``(N, S, S)`` bool.
        prediction : Tensor, optional
            ``(N, S, S)`` bool; None before the first prompt.
        memory : PromptMemory
            Grows by one round. An object without any error gets an empty slot.
        others : Tensor, optional
            ``(N, S, S)`` bool, pixels of other objects in the same views.
        """
        if prediction is not None and self.habits.blind and self.chance() < self.habits.blind:
            prediction = self._imagined(truth)
        shift = torch.randint(0, 2, (2,), generator=self.host).tolist()
        view = (slice(None), slice(shift[0], None, 2), slice(shift[1], None, 2))
        if prediction is None:
            region, positive = truth, truth.new_ones(len(truth))
            depth = depth_map(region[view])
        else:
            missed, extra = truth & ~prediction, prediction & ~truth
            depth_missed, depth_extra = depth_map(missed[view]), depth_map(extra[view])
            positive = depth_missed.flatten(1).amax(1) >= depth_extra.flatten(1).amax(1)
            choose = positive[:, None, None]
            region = torch.where(choose, missed, extra)
            depth = torch.where(choose, depth_missed, depth_extra)
        low, high = self.habits.depth
        threshold = low + (high - low) * self._uniform(len(truth))
        central = self.habits.central
        if prediction is None and self.habits.central_first >= 0:
            central = self.habits.central_first
        threshold[self._uniform(len(truth)) < central] = 1.0
        pixel = choose_pixels(depth, threshold, self.generator)
        seen = depth.flatten(1).amax(1)
        position = torch.stack([pixel[:, axis] * 2.0 + shift[axis] for axis in (0, 1)], dim=1)
        chances = self.habits.first if prediction is None else self.habits.later
        mix = torch.tensor(chances, dtype=torch.float32, device=truth.device).expand(len(truth), 3)
        drawn = torch.multinomial(mix, 1, generator=self.generator)[:, 0]
        memory.add(self._draw(drawn, position, seen, region, positive, prediction is None), region)

    def _imagined(self, truth: Tensor) -> Tensor:
        """Return predictions that miss the object or its surroundings, for a blind prompt."""
        value = F.max_pool2d(truth.float()[:, None], 17, 1, 8)[:, 0] > 0.5
        beside = (self._uniform(len(truth)) < 0.5)[:, None, None]
        return torch.where(beside, value, torch.zeros_like(truth))

    def _draw(
        self,
        drawn: Tensor,
        position: Tensor,
        depth: Tensor,
        region: Tensor,
        positive: Tensor,
        first: bool,
    ) -> PromptBatch:
        """Turn centre pixels into prompts of the drawn kinds."""
        count = len(region)
        points = position[:, None].expand(-1, POINTS, -1).clone()
        valid = torch.zeros(count, POINTS, dtype=torch.bool, device=region.device)
        valid[:, 0] = True
        stroke, stroke_valid = self._stroke(position, region)
        long_enough = stroke_valid.sum(1) >= 3
        is_stroke = (drawn == 2) & long_enough
        points = torch.where(is_stroke[:, None, None], stroke, points)
        valid = torch.where(is_stroke[:, None], stroke_valid, valid)
        corners = self._box_around(region) if first else self._box_within(position, depth)
        is_box = (drawn == 1) & ((corners[:, 1] - corners[:, 0]).amin(1) >= 2)
        points[:, :2] = torch.where(is_box[:, None, None], corners, points[:, :2])
        valid[:, 1] |= is_box
        kind = torch.full((count,), CLICK, device=region.device)
        kind = torch.where(is_stroke, SCRIBBLE, torch.where(is_box, BOX, kind))
        kind = torch.where(depth > 0, kind, EMPTY)
        valid &= (kind != EMPTY)[:, None]
        return PromptBatch(points[:, None], valid[:, None], kind[:, None], positive[:, None])

    def _stroke(self, start: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
        """Draw a bent line both ways from `start` until it would leave the region."""
        count, half, size = len(region), POINTS // 2, region.shape[-1]
        angle = self._uniform(count) * 2 * math.pi
        bend = (self._uniform(count) - 0.5) * 0.3
        step = torch.arange(1, half + 1, device=region.device)
        wobble = (self._uniform(count, half) - 0.5) * 0.6
        arms, alive = [], []
        for direction in (math.pi, 0.0):
            heading = angle[:, None] + direction + bend[:, None] * step + wobble
            move = torch.stack([heading.sin(), heading.cos()], dim=-1) * _STEP
            path = start[:, None] + move.cumsum(1)
            pixel = path.round().long()
            on_view = ((pixel >= 0) & (pixel < size)).all(-1)
            pixel = pixel.clamp(0, size - 1)
            flat = region.flatten(1).gather(1, pixel[..., 0] * size + pixel[..., 1])
            reach = 1 + (self._uniform(count) * half).long()
            going = (flat & on_view & (step <= reach[:, None])).long().cumprod(1).bool()
            arms.append(path)
            alive.append(going)
        first = torch.cat([arms[0].flip(1)[:, 1:], start[:, None], arms[1]], dim=1)
        here = torch.ones(count, 1, dtype=torch.bool, device=region.device)
        return first, torch.cat([alive[0].flip(1)[:, 1:], here, alive[1]], dim=1)

    def _box_around(self, region: Tensor) -> Tensor:
        """Box the whole region, sides off by a share of its extent: ``(N, 2, 2)``."""
        size = region.shape[-1]
        axis = torch.arange(size, device=region.device)
        bounds = []
        for dim in (2, 1):
            there = region.any(dim)
            low = torch.where(there, axis, size).amin(1)
            high = torch.where(there, axis, -1).amax(1)
            bounds.append(torch.stack([low, high], dim=1).float())
        corners = torch.stack(bounds, dim=2)
        extent = (corners[:, 1] - corners[:, 0]).clamp(min=1)[:, None]
        # Sloppy boxes are more often too large than too small.
        outward = torch.tensor([-1.0, 1.0], device=region.device)[None, :, None]
        error = (self._uniform(len(region), 2, 2) * 1.5 - 0.5) * self.habits.box_noise
        care = self._uniform(len(region), 1, 1)
        return (corners + outward * error * care * extent).clamp(-0.5, size - 0.5)

    def _box_within(self, centre: Tensor, depth: Tensor) -> Tensor:
        """Box the largest square around the centre that lies in its region: ``(N, 2, 2)``."""
        reach = (depth * 2 - 1).clamp(min=1)[:, None]
        return torch.stack([centre - reach, centre + reach], dim=1)


def corrupt_masks(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Make prior masks as other tools or careless hands would give them.

    Parameters
    ----------
    masks : Tensor
        ``(N, S, S)`` bool.
    generator : torch.Generator
        On the device of `masks`.

    Returns
    -------
    Tensor
        ``(N, S, S)`` bool: shifted, dilated, eroded, or with a piece cut off or added.
    """
    count, size = len(masks), masks.shape[-1]
    device = masks.device
    value = masks.float()[:, None]
    wide = F.max_pool2d(value, 5, 1, 2)
    thin = -F.max_pool2d(-value, 5, 1, 2)
    which = torch.randint(0, 4, (count, 1, 1, 1), generator=generator, device=device)
    out = torch.where(which == 1, wide, torch.where(which == 2, thin, value))
    moves = torch.randint(-5, 6, (2,), generator=generator, device=device).tolist()
    out = torch.where(which == 3, out.roll(moves, (2, 3)), out)
    # A half plane is cut off or filled near the border of the mask.
    axis = torch.linspace(-1, 1, size, device=device)
    angle = torch.rand(count, 1, 1, 1, generator=generator, device=device) * 2 * math.pi
    offset = torch.rand(count, 1, 1, 1, generator=generator, device=device)
    plane = angle.sin() * axis.view(1, 1, -1, 1) + angle.cos() * axis.view(1, 1, 1, -1) > offset
    fill = torch.rand(count, 1, 1, 1, generator=generator, device=device)
    around = F.max_pool2d(value, 9, 1, 4)
    out = torch.where(plane & (fill < 0.3), 0.0, out)
    out = torch.where(plane & (fill > 0.7), around, out)
    return out[:, 0] > 0.5


def coarsen_masks(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Make prior masks as a view at a coarser scale gives them.

    Parameters
    ----------
    masks : Tensor
        ``(N, S, S)`` bool.
    generator : torch.Generator
        On the device of `masks`.

    Returns
    -------
    Tensor
        ``(N, S, S)`` float32, 0 to 1: averaged over blocks of 2, 4 or 8 pixels, the same for the
        whole batch, and interpolated back.
    """
    size = masks.shape[-1]
    draw = torch.randint(1, 4, (1,), generator=generator, device=masks.device)
    block = 2 ** int(draw)
    moves = torch.randint(0, block, (2,), generator=generator, device=masks.device).tolist()
    # Blocks begin anywhere, as the grid of the coarser view does.
    padded = F.pad(masks.float()[:, None], (moves[1], block, moves[0], block), mode="replicate")
    small = F.avg_pool2d(padded, block)
    wide = F.interpolate(small, scale_factor=block, mode="bilinear", align_corners=False)
    return wide[:, 0, moves[0] : moves[0] + size, moves[1] : moves[1] + size]
