"""Probabilistic attention: attention whose keys, values, precisions and weights EM updates.

The mixture model behind it stands in `napari_pvpu.networks.mixture`, its EM steps in
`napari_pvpu.networks.em_steps`. Key adaptation moves keys towards the queries they answer; value
propagation spreads values that are known for a few tokens over all units (Gabbur, Bilkhu and
Movellan, arXiv 2106.15338).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_pvpu.networks.em_steps import (
    adapt_key_precision,
    adapt_mixing,
    adapt_value_precision,
    key_adaptation,
    value_propagation,
)
from napari_pvpu.networks.mixture import (
    PositionTerms,
    Prior,
    Tokens,
    Units,
    attention_logits,
    exact,
    infer_values,
    responsibilities,
)

__all__ = [
    "AttentionSettings",
    "Prior",
    "Tokens",
    "Units",
    "adapt_key_precision",
    "adapt_mixing",
    "adapt_value_precision",
    "attention_logits",
    "infer_values",
    "key_adaptation",
    "probabilistic_attention",
    "responsibilities",
    "value_propagation",
]


@dataclass(frozen=True, slots=True)
class AttentionSettings:
    """How `probabilistic_attention` runs.

    Attributes
    ----------
    alpha : float, optional
        Key precision, by default ``1 / sqrt(d)``.
    beta : float
        Value precision, used where values are fixed.
    prior : {"dot", "fixed"}
        Prior over units.
    key_iterations, key_strength : int, float
        EM steps of key adaptation and theta_xi, the weight of the keys before each step.
    value_iterations, value_strength : int, float
        EM steps of value propagation and theta_mu, the weight of the values before each step.
    clamp : bool
        Whether tokens with a fixed value keep it in the output.
    chunk : int, optional
        Tokens handled at a time, to bound memory; the result is the same.
    inference_iterations : int
        Steps of value inference (B.6) after the first, each from the values before it.
    key_gamma, value_gamma : tuple of float, optional
        Shape and rate of the Gamma prior under which alpha and beta move in each step of key
        adaptation and value propagation; None keeps them.
    dirichlet : float, optional
        Concentration of the prior under which the mixing weights move in each step of key
        adaptation; None keeps them. Under the "fixed" prior alone.
    """

    alpha: float | None = None
    beta: float = 0.1
    prior: Prior = "dot"
    key_iterations: int = 0
    key_strength: float = 0.0
    value_iterations: int = 1
    value_strength: float = 1.0
    clamp: bool = False
    chunk: int | None = None
    inference_iterations: int = 0
    key_gamma: tuple[float, float] | None = None
    value_gamma: tuple[float, float] | None = None
    dirichlet: float | None = None


def probabilistic_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    settings: AttentionSettings | None = None,
    *,
    fixed_values: Tensor | None = None,
    fixed: Tensor | None = None,
    log_prior: Tensor | None = None,
    mask: Tensor | None = None,
    position: PositionTerms | None = None,
) -> Tensor:
    """Attention with key adaptation and value propagation.

    Parameters
    ----------
    queries : Tensor
        (..., I, d).
    keys, values : Tensor
        (..., K, d) and (..., K, m).
    settings : AttentionSettings, optional
        By default plain scaled dot-product attention, plus one step of value propagation if
        values are fixed.
    fixed_values : Tensor, optional
        (..., I, m), values that tokens are known to have.
    fixed : Tensor, optional
        (..., I) bool, the tokens for which that is so; all by default.
    log_prior, mask : Tensor, optional
        (..., I, K) or broadcast to it; see `Tokens`.
    position : PositionTerms, optional
        Relative position terms. The value term enters the output alone: fixed values are values
        of units, without a place.

    Returns
    -------
    Tensor
        (..., I, m) float32 or better.
    """
    settings = settings or AttentionSettings()
    alpha = 1 / math.sqrt(queries.shape[-1]) if settings.alpha is None else settings.alpha
    units = Units(exact(keys), exact(values), alpha, settings.beta, settings.prior)
    tokens = Tokens(queries, log_prior=log_prior, mask=mask, position=position)
    units, tokens = _adapt_units(units, tokens, settings)
    seen = None
    if fixed_values is not None:
        seen = replace(tokens, values=fixed_values, known=fixed)
        units = _spread_values(units, seen, settings)
    out = infer_values(units, tokens, settings.chunk)
    for _ in range(settings.inference_iterations):
        guess = out if seen is None else _overwrite(out, seen)
        out = infer_values(units, replace(tokens, values=guess), settings.chunk)
    return _overwrite(out, seen) if settings.clamp and seen is not None else out


def _adapt_units(units: Units, tokens: Tokens, settings: AttentionSettings) -> tuple[Units, Tokens]:
    """Adapt keys, and where there are priors for them alpha and the mixing weights.

    Each EM step moves one after the other, with responsibilities of its own.
    """
    for _ in range(settings.key_iterations):
        units = key_adaptation(units, tokens, 1, settings.key_strength, settings.chunk)
        if settings.key_gamma is not None:
            units = adapt_key_precision(units, tokens, *settings.key_gamma, settings.chunk)
        if settings.dirichlet is not None:
            tokens = adapt_mixing(units, tokens, settings.dirichlet, settings.chunk)
    return units, tokens


def _spread_values(units: Units, tokens: Tokens, settings: AttentionSettings) -> Units:
    """Spread the tokens' known values over the units, and adapt beta if there is a prior."""
    for _ in range(settings.value_iterations):
        units = value_propagation(units, tokens, 1, settings.value_strength, settings.chunk)
        if settings.value_gamma is not None:
            units = adapt_value_precision(units, tokens, *settings.value_gamma, settings.chunk)
    return units


def _overwrite(out: Tensor, seen: Tokens) -> Tensor:
    """Give the tokens whose value is known that value."""
    assert seen.values is not None
    values = seen.values.to(out).expand_as(out)
    return values if seen.known is None else torch.where(seen.known[..., None], values, out)
