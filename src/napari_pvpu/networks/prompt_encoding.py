"""Probabilistic prompt-unified encoding (PPuE): every prompt becomes one vector pair.

PVPUFormer (arXiv 2306.06656) writes a click, a box or a scribble as two one-dimensional vectors,
one over the columns and one over the rows of the view, plus a three-way label. The released code
disagrees with itself about the axes and loses scribbles and small boxes; this module keeps the
idea and fixes both. The formulas stand in the docstring of `PPuE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EMPTY: Final = 0
CLICK: Final = 1
BOX: Final = 2
SCRIBBLE: Final = 3

LABELS: Final = 3


class PromptBatch(NamedTuple):
    """Prompts of a batch of views, padded to K slots of P points each.

    Coordinates are (row, col) in view pixels, pixel centres at integers. They may lie outside
    the view. Points that `valid` does not mark are ignored whatever they hold.

    Attributes
    ----------
    points : Tensor
        (B, K, P, 2) float32. A click uses the first point, a box the first two (opposite
        corners), a scribble as many as are valid, in the order of the path, about a pixel apart.
    valid : Tensor
        (B, K, P) bool, which points exist.
    kind : Tensor
        (B, K) int64, one of `EMPTY`, `CLICK`, `BOX`, `SCRIBBLE`.
    positive : Tensor
        (B, K) bool, the polarity; of no meaning where a slot is empty.
    """

    points: Tensor
    valid: Tensor
    kind: Tensor
    positive: Tensor

    def to(self, device: torch.device | str) -> PromptBatch:
        """Return the same prompts on another device."""
        return PromptBatch(*(tensor.to(device) for tensor in self))

    @staticmethod
    def empty(
        batch: int, slots: int, points: int = 2, device: torch.device | str = "cpu"
    ) -> PromptBatch:
        """Return a batch of empty slots, to be filled in place."""
        return PromptBatch(
            points=torch.zeros(batch, slots, points, 2, device=device),
            valid=torch.zeros(batch, slots, points, dtype=torch.bool, device=device),
            kind=torch.zeros(batch, slots, dtype=torch.int64, device=device),
            positive=torch.zeros(batch, slots, dtype=torch.bool, device=device),
        )


@dataclass(frozen=True, slots=True)
class PPuEConfig:
    """Parameters of the prompt encoding. Lengths are in bins of the size-S grid.

    Attributes
    ----------
    size : int
        S, bins per axis; views of other sizes are rescaled to it.
    sigma : float
        Spread of a click's Gaussian (the paper studies 1, 3, 5 and uses 3).
    gamma : float
        Weight of visual similarity in a click's vectors, 0 (none, as released) to 1.
    tau : float
        Tolerance of visual similarity for one channel of unit variance; C channels use
        ``tau * sqrt(C)``.
    peak : float
        What is added at the clicked bin ("raised peak").
    box_sigma_share, box_sigma_min : float
        A box's spread is ``max(share * side, minimum)``.
    scribble_sigma_share : float
        A scribble's spread is this share of the other side of its bounding box.
    """

    size: int = 128
    sigma: float = 3.0
    gamma: float = 0.5
    tau: float = 0.5
    peak: float = 1.0
    box_sigma_share: float = 1 / 6
    box_sigma_min: float = 0.5
    scribble_sigma_share: float = 1 / 3


class PPuE(nn.Module):
    """Prompts to tokens: vector pair and label, then a two-layer perceptron.

    A token before the perceptron is ``[q_h, q_v, label]``. For every kind of prompt ``q_h``
    indexes the S columns (x) and ``q_v`` the S rows (y) of the view; the label is (1, 0, 0) for
    a positive, (0, 1, 0) for a negative prompt and (0, 0, 1) for an empty slot, whose vectors
    are zero. For the column axis (the row axis by symmetry):

    click
        ``q_h(x) = s(x) * ((1 - gamma) + gamma * v(x)) + peak * [x = x0]`` with the truncated
        Gaussian ``s(x) = exp(-(x - x0)^2 / (2 sigma^2)) * [|x - x0| <= 3 sigma]`` and the visual
        similarity ``v(x) = exp(-|c(x, y0) - c(x0, y0)|^2 / (2 tau^2 C))``, where c is the image
        after a 3 x 3 box blur, so that c(x0, y0) is the mean colour of the clicked patch.
        ``(x0, y0)`` is the clicked position rounded to its bin (halves up): the raised peak needs
        a bin of its own, and the Gaussian stays centred under it.
    box
        ``q_h(x) = exp(-(x - x_c)^2 / (2 s^2)) * [|x - x_c| <= w / 2]``, s = max(w / 6, 0.5), not
        rounded; a side below one bin is taken as one, so that no box vanishes. Without an image.
    scribble
        over the columns x_L..x_R that the scribble covers, with y_s(x) the median row of its
        samples in that column (linear between columns without a sample) and y_T, h the upper
        edge and the height of its bounding box in bins, h >= 1,
        ``q_h(x) = exp(-(y_s(x) - y_T)^2 / (2 (h / 3)^2))``. Values lie in [exp(-4.5), 1] and fall
        with y_s, so that the scribble can be read back. Samples outside the view are left out.
        Without an image.

    Parameters
    ----------
    config : PPuEConfig
        Grid and spreads.
    dim : int
        Width of the tokens that come out.
    hidden : int
        Width of the perceptron's hidden layer (2048 in the paper, at 448 bins).

    Notes
    -----
    Source: PVPUFormer, section "probabilistic prompt-unified encoder"; the paper gives no
    formula for the visual term and the released code has none, the one here is ours.
    gamma = 0 gives the released click.
    """

    steps: Tensor

    def __init__(self, config: PPuEConfig, dim: int, hidden: int = 256) -> None:
        super().__init__()
        self.config = config
        self.mlp = nn.Sequential(
            nn.Linear(2 * config.size + LABELS, hidden), nn.ReLU(), nn.Linear(hidden, dim)
        )
        self.register_buffer(
            "steps", torch.arange(config.size, dtype=torch.float32), persistent=False
        )

    def vectors(
        self, prompts: PromptBatch, image: Tensor | None = None, extent: int | None = None
    ) -> Tensor:
        """Encode prompts as vector pairs with labels.

        Parameters
        ----------
        prompts : PromptBatch
            K prompts for each of B views.
        image : Tensor, optional
            (B, C, V, V) view with channels of about unit variance, for the visual term. Without
            it, or with gamma = 0, the visual term is 1.
        extent : int, optional
            V, the side of the view the coordinates refer to; by default the image's, else S.

        Returns
        -------
        Tensor
            (B, K, 2 S + 3) float32, whatever autocast says.
        """
        if extent is None:
            extent = self.config.size if image is None else image.shape[-1]
        with torch.autocast(prompts.points.device.type, enabled=False):
            position = torch.where(prompts.valid[..., None], prompts.points.float(), 0.0)
            # From here on the last axis is (x, y), the order of q_h and q_v.
            position = _rescale(position, extent, self.config.size).flip(-1)
            pair = self._clicks_and_boxes(prompts, position, image)
            pair = self._with_scribbles(pair, prompts, position)
            empty = prompts.kind == EMPTY
            label = torch.stack(
                [prompts.positive & ~empty, ~prompts.positive & ~empty, empty], dim=-1
            )
            return torch.cat([pair.flatten(2), label.float()], dim=-1)

    def forward(
        self, prompts: PromptBatch, image: Tensor | None = None, extent: int | None = None
    ) -> Tensor:
        """Encode prompts as tokens (B, K, dim); parameters as for `vectors`."""
        tokens: Tensor = self.mlp(self.vectors(prompts, image, extent))
        return tokens

    def _clicks_and_boxes(
        self, prompts: PromptBatch, position: Tensor, image: Tensor | None
    ) -> Tensor:
        """Gaussians of clicks and boxes, (B, K, 2, S); zero for all other slots."""
        config = self.config
        second = position[:, :, 1] if position.shape[2] > 1 else position[:, :, 0]
        first = position[:, :, 0]
        click = ((prompts.kind == CLICK) & prompts.valid[..., 0])[..., None]
        box = ((prompts.kind == BOX) & prompts.valid[..., :2].all(-1))[..., None]
        clicked = _to_bin(first)
        side = (second - first).abs()
        center = torch.where(click, clicked, (first + second) / 2)
        box_sigma = (config.box_sigma_share * side).clamp_min(config.box_sigma_min)
        sigma = torch.where(click, config.sigma, box_sigma)
        reach = torch.where(click, 3 * config.sigma, (side / 2).clamp_min(0.5))
        reach = torch.where(click | box, reach, -1.0)

        offset = (self.steps - center[..., None]).abs()
        gauss = torch.exp(-0.5 * (offset / sigma[..., None]) ** 2)
        gauss = gauss * (offset <= reach[..., None])
        if image is not None and config.gamma > 0:
            gauss = _weighted(gauss, click, image, clicked, config)
        return gauss + config.peak * (click[..., None] & (offset == 0))

    def _with_scribbles(self, pair: Tensor, prompts: PromptBatch, position: Tensor) -> Tensor:
        """Return `pair` with the vectors of the scribbles filled in."""
        scribble = prompts.kind == SCRIBBLE
        batch, slot = _worked_on(scribble)
        if batch.numel() == 0:
            return pair
        curve = _scribble_vectors(
            position[batch, slot],
            prompts.valid[batch, slot],
            self.config.size,
            self.config.scribble_sigma_share,
        )
        curve = torch.where(scribble[batch, slot, None, None], curve, pair[batch, slot])
        return pair.index_put((batch, slot), curve)


def _worked_on(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """View and slot of the prompts to work on: at least those that are wanted, ``(B, K)`` bool.

    On a CPU those alone. Elsewhere the host would have to wait to learn how many they are, and
    work on a few more costs less.
    """
    if wanted.device.type == "cpu":
        view, slot = torch.nonzero(wanted, as_tuple=True)
        return view, slot
    return _every(wanted)


def _every(slots: Tensor) -> tuple[Tensor, Tensor]:
    index = torch.arange(slots.numel(), device=slots.device)
    return index // slots.shape[1], index % slots.shape[1]


def _rescale(position: Tensor, extent: int, size: int) -> Tensor:
    """Coordinates of a view of `extent` pixels as coordinates of a view of `size`."""
    return position if extent == size else (position + 0.5) * (size / extent) - 0.5


def _to_bin(position: Tensor) -> Tensor:
    """Nearest bin, halves up (torch.round would send them to the even bin)."""
    return torch.floor(position + 0.5)


def _weighted(
    gauss: Tensor, click: Tensor, image: Tensor, clicked: Tensor, config: PPuEConfig
) -> Tensor:
    """Return Gaussians (B, K, 2, S), those of clicks weighted by visual similarity."""
    view, slot = _worked_on(click[..., 0])
    if not view.numel():
        return gauss
    similarity = _similarity(image, view, clicked[view, slot], config)
    weight = 1 - config.gamma + config.gamma * similarity
    weight = torch.where(click[view, slot, :, None], weight, 1.0)
    return gauss.index_put((view, slot), gauss[view, slot] * weight)


def _similarity(image: Tensor, view: Tensor, clicked: Tensor, config: PPuEConfig) -> Tensor:
    """Visual similarity to the clicked patch along its row and its column.

    Only the three rows and columns around each click are read and blurred, which costs far less
    than blurring the views.

    Parameters
    ----------
    image : Tensor
        (B, C, V, V).
    view : Tensor
        (N,) int64, the view of each click.
    clicked : Tensor
        (N, 2) float bins (x, y).
    config : PPuEConfig
        Gives S and tau.

    Returns
    -------
    Tensor
        (N, 2, S) in 0..1: along the row through the click, along the column through it.
    """
    size = config.size
    if image.shape[-2:] != (size, size):
        image = F.interpolate(image, (size, size), mode="bilinear", align_corners=False)
    around = clicked.long()[..., None] + torch.arange(-1, 2, device=image.device)
    around = around.clamp(0, size - 1)
    rows = image[view[:, None], :, around[:, 1]]  # (N, 3, C, S): the last axis is x
    columns = image.transpose(2, 3)[view[:, None], :, around[:, 0]]  # the last axis is y
    lines = torch.stack([rows.float().mean(1), columns.float().mean(1)], dim=1)  # (N, 2, C, S)
    lines = F.pad(torch.nan_to_num(lines).flatten(0, 1), (1, 1), mode="replicate")
    lines = F.avg_pool1d(lines, kernel_size=3, stride=1).unflatten(0, (-1, 2))
    at = clicked.long().clamp(0, size - 1)[..., None, None].expand(*lines.shape[:-1], 1)
    distance = (lines - lines.gather(-1, at)).square().mean(dim=-2)
    return torch.exp(-distance / (2 * config.tau**2))


def _scribble_vectors(position: Tensor, valid: Tensor, size: int, sigma_share: float) -> Tensor:
    """Vector pairs of N scribbles.

    Parameters
    ----------
    position : Tensor
        (N, P, 2) float (x, y) in bins.
    valid : Tensor
        (N, P) bool.
    size : int
        S.
    sigma_share : float
        Spread as a share of the bounding box's other side.

    Returns
    -------
    Tensor
        (N, 2, S): q_h over columns, q_v over rows.
    """
    bins = _to_bin(position)
    inside = valid & ((bins >= 0) & (bins < size)).all(dim=-1)
    along = position.transpose(1, 2)  # (N, 2, P): x for q_h, y for q_v
    across = along.flip(1)  # y for q_h, x for q_v
    seen = inside[:, None, :].expand_as(along)
    start = _to_bin(across.masked_fill(~seen, torch.inf).amin(-1, keepdim=True))
    stop = _to_bin(across.masked_fill(~seen, -torch.inf).amax(-1, keepdim=True))
    curve, covered = _median_curve(_to_bin(along), across, seen, size)
    # The edges are whole bins because a reader of the vectors knows only whole bins.
    height = stop - start
    depth = torch.minimum((curve - start).clamp_min(0), height)
    spread = height.clamp_min(1) * sigma_share
    value = torch.exp(-0.5 * (depth / spread) ** 2)
    return torch.where(covered, value, 0.0)


def _median_curve(along: Tensor, across: Tensor, seen: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Median of the samples in each bin, linear between bins that have samples.

    The samples are sorted by bin and, within a bin, by value; a bin's median is then found by
    position, from the running count of the bins before it.

    Parameters
    ----------
    along, across : Tensor
        (..., P) the bin of each sample and its value.
    seen : Tensor
        (..., P) bool, the samples that count.
    size : int
        Number of bins S.

    Returns
    -------
    tuple of Tensor
        (..., S) the curve, and (..., S) bool where it is defined: first to last bin with samples.
    """
    shape = along.shape[:-1]
    # Samples that do not count get a bin of their own at the end.
    bins = torch.where(seen, along, float(size))
    low = across.amin(-1, keepdim=True)
    within = (across - low) / (across.amax(-1, keepdim=True) - low + 1)
    order = (bins + within).argsort(dim=-1)
    ranked = across.gather(-1, order)
    count = torch.zeros(*shape, size + 1, dtype=torch.int64, device=along.device)
    count.scatter_add_(-1, bins.long(), torch.ones_like(bins, dtype=torch.int64))
    count = count[..., :size]
    before = count.cumsum(-1) - count
    last = along.shape[-1] - 1
    lower = ranked.gather(-1, (before + (count - 1).clamp_min(0) // 2).clamp_max(last))
    upper = ranked.gather(-1, (before + count // 2).clamp_max(last))
    return _fill_gaps((lower + upper) / 2, count > 0)


def _fill_gaps(curve: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Linear interpolation over unknown entries between known ones, along the last axis."""
    size = curve.shape[-1]
    index = torch.arange(size, device=curve.device).expand_as(known)
    left = torch.where(known, index, -1).cummax(-1).values
    right = torch.where(known, index, size).flip(-1).cummin(-1).values.flip(-1)
    covered = (left >= 0) & (right < size)
    left, right = left.clamp_min(0), right.clamp_max(size - 1)
    share = (index - left).to(curve.dtype) / (right - left).clamp_min(1)
    filled = torch.lerp(curve.gather(-1, left), curve.gather(-1, right), share)
    return filled, covered
