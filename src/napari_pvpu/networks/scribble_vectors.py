"""Scribbles as vector pairs: along each axis, how far the median of their samples goes across."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["nearest_bin", "scribble_vectors"]


def scribble_vectors(position: Tensor, valid: Tensor, size: int, sigma_share: float) -> Tensor:
    """Return the vector pairs of N scribbles, see `prompt_encoding.PPuE`.

    Parameters
    ----------
    position : Tensor
        (N, P, 2) float (x, y) in bins; samples outside 0..S - 1 are left out.
    valid : Tensor
        (N, P) bool, which samples exist.
    size : int
        S.
    sigma_share : float
        Spread as a share of the bounding box's other side.

    Returns
    -------
    Tensor
        (N, 2, S) float: q_h over columns, q_v over rows, 0 where the scribble does not go.
    """
    bins = nearest_bin(position)
    inside = valid & ((bins >= 0) & (bins < size)).all(dim=-1)
    along = position.transpose(1, 2)  # (N, 2, P): x for q_h, y for q_v
    across = along.flip(1)  # y for q_h, x for q_v
    seen = inside[:, None, :].expand_as(along)
    start = nearest_bin(across.masked_fill(~seen, torch.inf).amin(-1, keepdim=True))
    stop = nearest_bin(across.masked_fill(~seen, -torch.inf).amax(-1, keepdim=True))
    curve, covered = _median_curve(nearest_bin(along), across, seen, size)
    # The edges are whole bins because a reader of the vectors knows only whole bins.
    height = stop - start
    depth = torch.minimum((curve - start).clamp_min(0), height)
    spread = height.clamp_min(1) * sigma_share
    value = torch.exp(-0.5 * (depth / spread) ** 2)
    return torch.where(covered, value, 0.0)


def nearest_bin(position: Tensor) -> Tensor:
    """Return the nearest bin, halves up (torch.round would send them to the even bin)."""
    return torch.floor(position + 0.5)


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
