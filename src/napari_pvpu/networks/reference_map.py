"""Reference map: what each pixel of a view is known to be, from prompts and the mask before.

InterFormer (arXiv 2304.02942) keeps five states per pixel, from definitely background to
definitely foreground. Prompts make pixels definite and stay so; a prediction only moves the
others by one state, so that a single contradiction resets a pixel to unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch

DEFINITE_BACKGROUND: Final = 0
POSSIBLE_BACKGROUND: Final = 1
UNKNOWN: Final = 2
POSSIBLE_FOREGROUND: Final = 3
DEFINITE_FOREGROUND: Final = 4
STATES: Final = 5

_FAR = 1e6  # pixels


@dataclass(frozen=True, slots=True)
class ReferenceMap:
    """States of the pixels of B views; every update gives a new map.

    InterFormer's loop is, from ``ReferenceMap.blank(batch, size)`` on: `with_clicks` for the new
    click, predict from `states`, `with_prediction`, and again.

    Attributes
    ----------
    states : Tensor
        (B, S, S) int8, 0 to 4: definite background, possible background, unknown, possible
        foreground, definite foreground. Bytes, because the time of an update is that of moving
        its memory.
    """

    states: Tensor

    @staticmethod
    def blank(batch: int, size: int, device: torch.device | str = "cpu") -> ReferenceMap:
        """Return a map on which nothing is known."""
        shape = (batch, size, size)
        return ReferenceMap(torch.full(shape, UNKNOWN, dtype=torch.int8, device=device))

    def with_boxes(self, prompts: PromptBatch) -> ReferenceMap:
        """Make the inside of boxes, and the outside of positive ones, possible.

        The inside of a positive box becomes possible foreground, what lies outside all positive
        boxes possible background. The inside of a negative box becomes possible background, or
        unknown where it meets a positive one. Definite pixels stay.
        """
        size = self.states.shape[-1]
        positive = _inside_boxes(prompts, prompts.positive, size)
        negative = _inside_boxes(prompts, ~prompts.positive, size)
        any_positive = positive.flatten(1).any(1)[:, None, None]
        states = self.states.masked_fill(positive, POSSIBLE_FOREGROUND)
        states.masked_fill_((any_positive & ~positive) | negative, POSSIBLE_BACKGROUND)
        states.masked_fill_(negative & positive, UNKNOWN)
        return ReferenceMap(torch.where(_definite(self.states), self.states, states))

    def with_prediction(self, probability: Tensor) -> ReferenceMap:
        """Move pixels that are not definite by one state towards a prediction.

        Foreground pixels of the prediction go from possible background to unknown and from
        unknown to possible foreground, background pixels the other way.

        Parameters
        ----------
        probability : Tensor
            (B, 1, S, S) or (B, S, S), 0 to 1; foreground from 0.5 on.
        """
        foreground = probability.detach().reshape(self.states.shape) >= 0.5
        step = 2 * foreground.to(self.states.dtype) - 1
        moved = (self.states + step).clamp(POSSIBLE_BACKGROUND, POSSIBLE_FOREGROUND)
        return ReferenceMap(torch.where(_definite(self.states), self.states, moved))

    def with_strokes(
        self, prompts: PromptBatch, radius: float, longest: int | None = None
    ) -> ReferenceMap:
        """Make the pixels under clicks and scribbles definite, whatever they were.

        Parameters
        ----------
        prompts : PromptBatch
            Where two prompts claim a pixel, the later slot has it.
        radius : float
            Pixels up to this distance from a click's or a sample's pixel belong to it.
        longest : int, optional
            As for `reference_states`.
        """
        claims = _claims(prompts, self.states.shape[-1], radius, longest)
        definite = (DEFINITE_FOREGROUND * (claims & 1)).to(self.states.dtype)
        return ReferenceMap(torch.where(claims > 0, definite, self.states))

    def with_clicks(
        self,
        prompts: PromptBatch,
        radius: float = 5.0,
        ring: float = 0.0,
        longest: int | None = None,
    ) -> ReferenceMap:
        """Take in the clicks of one interaction: disks and the rings around them.

        Disks become definite as in `with_strokes`. In the rings what is not definite moves by
        one state towards the click's side, as for a prediction; where rings of both sides meet
        nothing moves.

        Parameters
        ----------
        prompts : PromptBatch
            The new ones only, since rings move states each time. Scribbles count as clicks on
            each of their pixels, which is ours.
        radius : float
            Inner radius: pixels up to this distance are definite.
        ring : float
            Outer radius: the ring reaches this much further. Zero, as published, for none.
        longest : int, optional
            As for `reference_states`.
        """
        if ring <= 0:
            return self.with_strokes(prompts, radius, longest)
        size = self.states.shape[-1]
        up, down = (
            (_claims(_only(prompts, side), size, radius + ring, longest) > 0).to(self.states.dtype)
            for side in (prompts.positive, ~prompts.positive)
        )
        moved = (self.states + up - down).clamp(POSSIBLE_BACKGROUND, POSSIBLE_FOREGROUND)
        moved = torch.where(_definite(self.states), self.states, moved)
        return ReferenceMap(moved).with_strokes(prompts, radius, longest)


def reference_states(
    prompts: PromptBatch,
    size: int,
    radius: float,
    previous: Tensor | None = None,
    ring: float = 0.0,
    longest: int | None = None,
) -> Tensor:
    """Reference map of all prompts of an object and the prediction before them.

    Parameters
    ----------
    prompts : PromptBatch
        K prompts for each of B views, in pixels of the view.
    size : int
        S, the view's side in pixels.
    radius : float
        Radius in pixels of the disk of a click and of the brush of a scribble.
    previous : Tensor, optional
        (B, 1, S, S) probability of the prediction before.
    ring : float
        How far the ring of possible pixels around a click reaches beyond its disk.
    longest : int, optional
        Pixels that two neighbouring samples of a scribble are apart at most, if that is known;
        lines between samples that are further apart have gaps. Without it the pixels of all lines
        are counted first, for which the host has to wait if they are on a GPU.

    Returns
    -------
    Tensor
        (B, S, S) int64, 0 to 4 as in `ReferenceMap`.

    Notes
    -----
    Source: InterFormer, its reference map with inner radius `radius` and outer radius `ring`.
    Boxes and scribbles are ours; they follow the same order of strength: what a prompt marks
    directly is definite, boxes and predictions make pixels possible. The published map remembers
    all predictions; this one knows the last one only. Keep a `ReferenceMap` and update it after
    each interaction for the published behaviour.
    """
    reference = ReferenceMap.blank(len(prompts.kind), size, prompts.kind.device)
    reference = reference.with_boxes(prompts)
    if previous is not None:
        reference = reference.with_prediction(previous)
    return reference.with_clicks(prompts, radius, ring, longest).states.long()


class ReferenceMapEmbedding(nn.Module):
    """Reference map and previous probability as features at a coarser stride.

    One-hot states and the probability go through a convolution whose kernel and stride are the
    patch, so that each cell sees all its pixels. InterFormer's embedding, a table of one vector
    per state averaged over the cell, is the special case of kernels that are constant in space.

    Parameters
    ----------
    channels : int
        Channels of the result.
    patch : int
        Stride of the result.
    states : int
        Number of states.
    """

    values: Tensor

    def __init__(self, channels: int, patch: int = 4, states: int = STATES) -> None:
        super().__init__()
        self.projection = nn.Conv2d(states + 1, channels, kernel_size=patch, stride=patch)
        self.register_buffer("values", torch.arange(states, dtype=torch.int8), persistent=False)

    def forward(self, states: Tensor, previous: Tensor | None = None) -> Tensor:
        """Embed a reference map.

        Parameters
        ----------
        states : Tensor
            (B, S, S) int64.
        previous : Tensor, optional
            (B, 1, S, S) probability of the prediction before; zero if there is none.

        Returns
        -------
        Tensor
            (B, channels, S / patch, S / patch).
        """
        device = self.projection.weight.device.type
        dtype = self.projection.weight.dtype
        if torch.is_autocast_enabled(device):  # what the convolution would cast to
            dtype = torch.get_autocast_dtype(device)
        if previous is None:
            soft = torch.zeros_like(states, dtype=dtype)[:, None]
        else:
            soft = previous.to(dtype)
        planes = (states.to(torch.int8)[:, None] == self.values[:, None, None]).to(dtype)
        embedded: Tensor = self.projection(torch.cat([planes, soft], dim=1))
        return embedded


def _definite(states: Tensor) -> Tensor:
    return (states - UNKNOWN).abs() == 2


def _only(prompts: PromptBatch, chosen: Tensor) -> PromptBatch:
    """Return the same prompts with all others made empty."""
    return prompts._replace(kind=prompts.kind.masked_fill(~chosen, EMPTY))


def _nearest(position: Tensor) -> Tensor:
    """Nearest pixel, halves up, as in the prompt encoding."""
    return torch.floor(position + 0.5)


def _inside_boxes(prompts: PromptBatch, chosen: Tensor, size: int) -> Tensor:
    """Union of the chosen boxes, (B, S, S) bool, with the pixels their corners lie in."""
    if prompts.points.shape[2] < 2:
        return prompts.kind.new_zeros((len(prompts.kind), size, size), dtype=torch.bool)
    boxes = (prompts.kind == BOX) & chosen & prompts.valid[..., :2].all(-1)
    corners = _nearest(prompts.points[:, :, :2])  # (B, K, 2 corners, 2 axes)
    start, stop = corners.amin(2), corners.amax(2)
    steps = torch.arange(size, device=corners.device)
    within = (steps >= start[..., None]) & (steps <= stop[..., None])  # (B, K, 2, S)
    within = (within & boxes[..., None, None]).float()
    rows, columns = within.unbind(2)
    return rows.transpose(1, 2) @ columns > 0.5


def _claims(prompts: PromptBatch, size: int, radius: float, longest: int | None = None) -> Tensor:
    """Which prompt a pixel lies under.

    Returns
    -------
    Tensor
        (B, S, S) int16: 0 for none, else ``2 (k + 1) + positive`` of the last slot k. One map
        for all prompts and both polarities: its maximum keeps the latest.
    """
    batch, slot, position = _strokes(prompts) if longest is None else _all_slots(prompts, longest)
    margin = math.floor(radius)
    side = size + 2 * margin
    pixel = _nearest(position) + margin
    inside = ((pixel >= 0) & (pixel < side)).all(-1)
    pixel = pixel.clamp(0, side - 1).long()
    claim = 2 * (slot + 1) + prompts.positive[batch, slot].long()
    claims = torch.zeros(len(prompts.kind) * side * side, dtype=torch.int16, device=batch.device)
    claims.scatter_reduce_(
        0,
        (batch * side + pixel[:, 0]) * side + pixel[:, 1],
        torch.where(inside, claim, 0).short(),
        reduce="amax",
    )
    spread = _dilate(claims.view(-1, side, side), radius)
    return spread[:, margin : margin + size, margin : margin + size]


def _strokes(prompts: PromptBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Clicks and densified scribbles as one list of N points.

    Each segment of a scribble gives points at most one pixel apart, its start included; the
    last point of a path comes by itself.

    Returns
    -------
    tuple of Tensor
        (N,) view, (N,) slot, (N, 2) position.
    """
    scribble = (prompts.kind == SCRIBBLE)[..., None] & prompts.valid
    alone = scribble.clone()
    alone[..., 0] |= (prompts.kind == CLICK) & prompts.valid[..., 0]
    joined = scribble[..., :-1] & scribble[..., 1:]
    batch, slot, point = torch.nonzero(joined, as_tuple=True)
    start = prompts.points[batch, slot, point]
    step = prompts.points[batch, slot, point + 1] - start
    pieces = step.norm(dim=-1).ceil().long()
    segment = torch.repeat_interleave(pieces)
    first = (pieces.cumsum(0) - pieces)[segment]
    share = (torch.arange(len(segment), device=segment.device) - first) / pieces[segment]
    between = start[segment] + share[:, None] * step[segment]
    batch_alone, slot_alone, point_alone = torch.nonzero(alone, as_tuple=True)
    return (
        torch.cat([batch[segment], batch_alone]),
        torch.cat([slot[segment], slot_alone]),
        torch.cat([between, prompts.points[batch_alone, slot_alone, point_alone]]),
    )


def _all_slots(prompts: PromptBatch, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Do as `_strokes` without counting: ``longest`` points for each pair of samples.

    Points that are no prompt's lie far outside of any view.
    """
    scribble = (prompts.kind == SCRIBBLE)[..., None] & prompts.valid
    click = (prompts.kind == CLICK)[..., None] & prompts.valid
    first = torch.arange(prompts.points.shape[2], device=click.device) == 0
    alone = scribble | (click & first)
    joined = scribble[..., :-1] & scribble[..., 1:]
    start = prompts.points[..., :-1, :]
    step = prompts.points[..., 1:, :] - start
    pieces = step.norm(dim=-1).ceil().long()
    index = torch.arange(longest, device=click.device)
    share = index / pieces.clamp_min(1)[..., None]
    between = start[..., None, :] + share[..., None] * step[..., None, :]
    there = joined[..., None] & (index < pieces[..., None])
    position = torch.cat([between.flatten(2, 3), prompts.points], dim=2)
    there = torch.cat([there.flatten(2, 3), alone], dim=2)
    position = torch.where(there[..., None], position, -_FAR)
    batch, slots, points = there.shape
    which = torch.arange(batch * slots, device=click.device)[:, None].expand(-1, points).flatten()
    return which // slots, which % slots, position.flatten(0, 2)


def _dilate(values: Tensor, radius: float) -> Tensor:
    """Maximum over a disk, of (B, S, S) integers.

    The disk is a stack of horizontal runs: the maximum over runs of growing width is shared by
    the rows that need it, 4 r comparisons of whole maps instead of the disk's area.
    """
    reach = math.floor(radius)
    half_width = [math.floor(math.sqrt(radius**2 - row**2)) for row in range(reach + 1)]
    out = values.clone()
    run = values.clone()
    for width in range(reach + 1):
        if width:
            _take_maximum(run, values, width, dim=2)
        for row in range(reach + 1):
            if half_width[row] == width:
                _take_maximum(out, run, row, dim=1)
    return out


def _take_maximum(out: Tensor, values: Tensor, shift: int, dim: int) -> None:
    """``out = max(out, values moved by +shift, values moved by -shift)``, in place."""
    length = out.shape[dim] - shift
    for target, source in ((0, shift), (shift, 0)):
        part = out.narrow(dim, target, length)
        torch.maximum(part, values.narrow(dim, source, length), out=part)
