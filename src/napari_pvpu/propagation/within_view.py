"""Value propagation within a view: prompts correct the logits of what looks like their place."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_pvpu.networks.fixed_values import fixed_tokens, pool
from napari_pvpu.networks.mixture import Tokens, Units, infer_values
from napari_pvpu.networks.probabilistic_attention import value_propagation
from napari_pvpu.propagation.settings import PropagationSettings

if TYPE_CHECKING:
    from napari_pvpu.networks.prompt_batch import PromptBatch

__all__ = ["PropagationSettings", "ValuePropagation", "fixed_tokens", "propagate"]

_CHUNK = 128
"""Rows of the attention map at a time: half a megabyte, which stays in the processor's cache."""


class _Decoded(Protocol):
    """What is needed of a decoder's answer."""

    @property
    def pixels(self) -> Tensor: ...

    @property
    def logits(self) -> Tensor: ...


class ValuePropagation:
    """Output refiner to be called on what the decoder gave.

    Parameters
    ----------
    settings : PropagationSettings, optional
        Defaults if left out.
    """

    def __init__(self, settings: PropagationSettings | None = None) -> None:
        self.settings = settings or PropagationSettings()

    def __call__(
        self, decoded: _Decoded, prompts: PromptBatch, fixed_mask: Tensor | None = None
    ) -> Tensor:
        """Return the refined logits (B, 1, S, S); see `propagate`."""
        return propagate(decoded.pixels, decoded.logits, prompts, self.settings, fixed_mask)


def propagate(
    pixels: Tensor,
    logits: Tensor,
    prompts: PromptBatch,
    settings: PropagationSettings,
    fixed_mask: Tensor | None = None,
) -> Tensor:
    """Spread clicks and scribbles to tokens that look alike and lie near.

    Units and tokens are the cells of the pixel features: keys and queries are their layer-normed
    features (of one length, so that both priors of the mixture agree), values their logits.
    Tokens under prompts have fixed values +L or -L. EM moves the units' values, and the change
    this makes to the tokens' values is added to the logits.

    Logits are cut at -L and L and measured in units of L. So positive prompts only raise logits
    and negative ones only lower them; and the fixed values count little in the question which
    units explain a prompt. Measured in plain logits they would count more than looks, and a
    correction would be explained by units that agree with it already.

    Parameters
    ----------
    pixels : Tensor
        (B, D, h, w) pixel features of the decoder, h and w at most S.
    logits : Tensor
        (B, 1, S, S).
    prompts : PromptBatch
        In view pixels; clicks and scribbles fix values, boxes do not.
    settings : PropagationSettings
        Strength and reach.
    fixed_mask : Tensor, optional
        (B, 1, S, S) bool, pixels known to be background, such as accepted neighbours. Tokens
        more than half covered are fixed at -L unless a prompt says otherwise.

    Returns
    -------
    Tensor
        (B, 1, S, S) float32 logits; equal to the input for views where nothing is fixed.

    Notes
    -----
    Source: arXiv 2106.15338, eqs. 23 and 24; the position prior is B.14.
    """
    logits = logits.float()
    with torch.autocast(pixels.device.type, enabled=False):
        features = _shrink(pixels.float(), settings.grid)
        shape = features.shape[-2:]
        fixed = fixed_tokens(prompts, logits.shape[-1], shape, settings.radius, fixed_mask)
        values = pool(logits, shape).clamp(-settings.fixed_value, settings.fixed_value)
        if settings.contradicted_only:
            fixed = torch.where(values[:, 0] * fixed < 0, fixed, 0.0)
        if not bool(fixed.any()):
            return logits
        keys = F.layer_norm(features.flatten(2).transpose(1, 2), features.shape[1:2])
        units = Units(
            keys=keys,
            values=values.flatten(2).transpose(1, 2) / settings.fixed_value,
            alpha=settings.alpha_scale / math.sqrt(keys.shape[-1]),
            beta=settings.beta,
        )
        log_prior = None
        if settings.position_length is not None:
            length = settings.position_length * shape[0] / logits.shape[-1]
            log_prior = _position_prior(shape[0], shape[1], length, keys.device)
        seen = _gather_fixed(keys, fixed, log_prior)
        moved = value_propagation(units, seen, settings.iterations, settings.theta_mu).values
        # One attention map serves the values before and after: only their difference counts.
        difference = replace(units, values=moved - units.values)
        change = infer_values(difference, Tokens(keys, log_prior=log_prior), chunk=_CHUNK)
        change = change.transpose(1, 2).reshape(values.shape) * settings.fixed_value
        change = F.interpolate(change, logits.shape[-2:], mode="bilinear", align_corners=False)
        return logits + settings.blend * change


def _gather_fixed(keys: Tensor, fixed: Tensor, log_prior: Tensor | None) -> Tokens:
    """Fixed tokens alone: they are few, and EM needs no others.

    Views with fewer of them than the batch's most are filled up with tokens that are not known.
    """
    fixed = fixed.flatten(1)
    known = fixed != 0
    most = int(known.sum(1).max())
    index = known.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    return Tokens(
        queries=keys.gather(1, index[..., None].expand(-1, -1, keys.shape[-1])),
        values=fixed.gather(1, index)[..., None],
        known=known.gather(1, index),
        log_prior=None if log_prior is None else log_prior[index],
    )


def _shrink(features: Tensor, grid: int) -> Tensor:
    """Average features to at most `grid` tokens per side."""
    height, width = (min(side, grid) for side in features.shape[-2:])
    return pool(features, (height, width))


@lru_cache(maxsize=4)
def _position_prior(height: int, width: int, length: float, device: torch.device) -> Tensor:
    """Log-prior ``-distance / length`` between all pairs of tokens, (h w, h w)."""
    with torch.inference_mode(False):
        rows, columns = torch.meshgrid(
            torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
        )
        place = torch.stack([rows.flatten(), columns.flatten()], dim=1).float()
        return torch.cdist(place, place) / -length
