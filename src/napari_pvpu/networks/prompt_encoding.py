"""Probabilistic prompt-unified encoding (PPuE): every prompt becomes one vector pair.

PVPUFormer (arXiv 2306.06656) writes a click, a box or a scribble as two one-dimensional vectors,
one over the columns and one over the rows of the view, plus a three-way label. The released code
disagrees with itself about the axes and loses scribbles and small boxes; this module keeps the
idea and fixes both. The formulas stand in the docstring of `PPuE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE
from napari_pvpu.networks.scribble_vectors import nearest_bin, scribble_vectors

if TYPE_CHECKING:
    from napari_pvpu.networks.prompt_batch import PromptBatch

__all__ = ["LABELS", "PPuE", "PPuEConfig"]

LABELS: Final = 3
"""Entries of a token that say positive, negative or empty."""


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
        clicked = nearest_bin(first)
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
        curve = scribble_vectors(
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
