"""Value propagation between planes: what is known of some planes tells what is in another."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_pvpu.networks.fixed_values import pool
from napari_pvpu.networks.mixture import Tokens, Units, infer_values
from napari_pvpu.networks.probabilistic_attention import key_adaptation
from napari_pvpu.propagation.carry_settings import CarrySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.networks.interface import Features

__all__ = ["CarrySettings", "carry", "keys_of"]

_CHUNK = 128
"""Rows of the attention map at a time: half a megabyte, which stays in the processor's cache."""


def carry(
    known: Sequence[tuple[Features, Tensor, float]], features: Features, settings: CarrySettings
) -> Tensor:
    """Carry what is known of some planes to another that is seen through the same view.

    Units are the cells of the known planes' features: their keys the features, their values the
    probability of the object there. Tokens are the cells of the plane; which units have made them
    is told by how alike they look and, as a prior, by how far they are apart. A token's value is
    what its units expect.

    Features are those of the image encoder, which no prompt has a part in: those of the decoder
    hold the mask of the plane that they were computed for, and carried less well.

    Parameters
    ----------
    known : sequence of (Features, Tensor, float)
        For each known plane its features, the probability of the object there, (S, S), 0 to 1,
        and how much the plane counts, above 0. At least one.
    features : Features
        Of the plane that is asked about.
    settings : CarrySettings
        Sharpness, reach and size of the grid.

    Returns
    -------
    Tensor
        (S, S) float32 probability, 0 to 1.

    Notes
    -----
    Source: arXiv 2106.15338, eqs. 12 and B.6 for the values, 18 for the keys, B.14 for the prior.
    """
    size, grid = features.image.shape[-1], settings.grid
    device = features.levels[0].device
    with torch.autocast(device.type, enabled=False):
        queries = keys_of(features, settings)
        keys = torch.cat([keys_of(each, settings).to(device) for each, _, _ in known])
        values = torch.cat(
            [pool(value[None, None].to(device), (grid, grid)).flatten() for _, value, _ in known]
        )
        weights = torch.tensor([weight for *_, weight in known], device=device).log()
        place = _position_prior(grid, settings.reach * grid / size, device)
        prior = (weights[None, :, None] + place[:, None, :]).flatten(1)
        units = Units(keys, values[:, None].float(), settings.sharpness)
        tokens = Tokens(queries, log_prior=prior)
        units = key_adaptation(units, tokens, settings.iterations, settings.theta_xi, _CHUNK)
        found = infer_values(units, tokens, chunk=_CHUNK).reshape(1, 1, grid, grid)
    found = F.interpolate(found, (size, size), mode="bilinear", align_corners=False)
    return found[0, 0].clamp(0, 1)


def keys_of(features: Features, settings: CarrySettings) -> Tensor:
    """Return keys of length one for the cells of a view, (grid * grid, d).

    Parameters
    ----------
    features : Features
        Of one view.
    settings : CarrySettings
        Which levels, on which grid.
    """
    grid = settings.grid
    small = [level for level in features.levels if level.shape[-1] <= grid]
    chosen = (small or list(features.levels[-1:]))[: settings.levels]
    keys = []
    for level in chosen:
        level = level.float()
        if level.shape[-1] < grid:
            level = F.interpolate(level, (grid, grid), mode="bilinear", align_corners=False)
        each = pool(level, (grid, grid)).flatten(2).transpose(1, 2)[0]
        keys.append(F.normalize(each - each.mean(-1, keepdim=True), dim=-1))
    together: Tensor = torch.cat(keys, -1) / math.sqrt(len(keys))
    return together


@lru_cache(maxsize=4)
def _position_prior(grid: int, reach: float, device: torch.device) -> Tensor:
    """Log-prior ``-distance^2 / (2 reach^2)`` between all pairs of cells, (grid^2, grid^2)."""
    with torch.inference_mode(False):
        index = torch.arange(grid, device=device, dtype=torch.float32)
        place = torch.cartesian_prod(index, index)
        apart: Tensor = torch.cdist(place, place)
        return apart.square() / (-2 * reach**2)
