"""Probabilistic attention: EM updates of attention's keys, values and precisions.

The mixture model behind it stands in `napari_pvpu.networks.mixture`. Key adaptation moves keys
towards the queries they answer; value propagation spreads values that are known for a few tokens
over all units (Gabbur, Bilkhu and Movellan, arXiv 2106.15338).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_pvpu.networks.mixture import (
    Prior,
    Tokens,
    Units,
    attention_logits,
    chunks,
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
    "adapt_value_precision",
    "attention_logits",
    "infer_values",
    "key_adaptation",
    "probabilistic_attention",
    "responsibilities",
    "value_propagation",
]

_TINY = 1e-20


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


def key_adaptation(
    units: Units,
    tokens: Tokens,
    iterations: int = 1,
    strength: float = 0.0,
    chunk: int | None = None,
) -> Units:
    """Move keys towards the queries they answer.

    ``xi_k <- (theta xi_k + alpha_k sum_i w_ik q_i) / (theta + alpha_k sum_i w_ik)``

    Parameters
    ----------
    units : Units
        K components.
    tokens : Tokens
        I tokens; their values do not count.
    iterations : int
        EM steps.
    strength : float
        theta, the weight of the key before the step; 0 is maximum likelihood.
    chunk : int, optional
        Tokens handled at a time.

    Returns
    -------
    Units
        With new keys; a unit that answers no token keeps its key.

    Notes
    -----
    Source: eq. 18.
    """
    tokens = replace(tokens, values=None, known=None)
    for _ in range(iterations):
        moments = _moments(units, tokens, tokens.queries, None, chunk)
        units = replace(units, keys=_map_mean(units.keys, units.alpha, moments, strength))
    return units


def value_propagation(
    units: Units,
    tokens: Tokens,
    iterations: int = 1,
    strength: float = 1.0,
    chunk: int | None = None,
) -> Units:
    """Move the units' values towards the known values of the tokens they have made.

    ``mu_k <- (theta mu_k + beta_k sum_{i in S} w_ik v_i) / (theta + beta_k sum_{i in S} w_ik)``

    Parameters
    ----------
    units : Units
        K components.
    tokens : Tokens
        I tokens with values; S are the known ones.
    iterations : int
        EM steps.
    strength : float
        theta, the weight of the value before the step.
    chunk : int, optional
        Tokens handled at a time.

    Returns
    -------
    Units
        With new values; unchanged where no known token comes from a unit.

    Raises
    ------
    ValueError
        If the tokens have no values.

    Notes
    -----
    Source: eqs. 23 and 24; the weights see the known values too.
    """
    if tokens.values is None:
        raise ValueError("value propagation needs tokens with values; give Tokens(values=...)")
    for _ in range(iterations):
        moments = _moments(units, tokens, tokens.values, tokens.known, chunk)
        units = replace(units, values=_map_mean(units.values, units.beta, moments, strength))
    return units


def adapt_key_precision(
    units: Units, tokens: Tokens, shape: float = 1.0, rate: float = 1e-3, chunk: int | None = None
) -> Units:
    """One EM step of the key precisions under a Gamma(shape, rate) prior.

    ``alpha_k <- (shape + d/2 sum_i w_ik - 1) / (rate + 1/2 sum_i w_ik |q_i - xi_k|^2)``

    Parameters
    ----------
    units : Units
        K components.
    tokens : Tokens
        I tokens; their values do not count.
    shape, rate : float
        The prior's parameters.
    chunk : int, optional
        Tokens handled at a time.

    Returns
    -------
    Units
        With a key precision per unit.

    Notes
    -----
    Source: B.10.
    """
    tokens = replace(tokens, values=None, known=None)
    moments = _moments(units, tokens, tokens.queries, None, chunk)
    return replace(units, alpha=_map_precision(units.keys, moments, shape, rate))


def adapt_value_precision(
    units: Units, tokens: Tokens, shape: float = 1.0, rate: float = 1e-3, chunk: int | None = None
) -> Units:
    """One EM step of the value precisions under a Gamma(shape, rate) prior.

    ``beta_k <- (shape + m/2 sum w_ik - 1) / (rate + 1/2 sum w_ik |v_i - mu_k|^2)``, sums over S

    Parameters
    ----------
    units : Units
        K components.
    tokens : Tokens
        I tokens with values; S are the known ones.
    shape, rate : float
        The prior's parameters.
    chunk : int, optional
        Tokens handled at a time.

    Returns
    -------
    Units
        With a value precision per unit.

    Raises
    ------
    ValueError
        If the tokens have no values.

    Notes
    -----
    Source: B.11, which prints d/2; for values of m dimensions the factor is m/2.
    """
    if tokens.values is None:
        raise ValueError("value precisions need tokens with values; give Tokens(values=...)")
    moments = _moments(units, tokens, tokens.values, tokens.known, chunk)
    return replace(units, beta=_map_precision(units.values, moments, shape, rate))


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

    Returns
    -------
    Tensor
        (..., I, m) float32 or better.
    """
    settings = settings or AttentionSettings()
    alpha = 1 / math.sqrt(queries.shape[-1]) if settings.alpha is None else settings.alpha
    units = Units(exact(keys), exact(values), alpha, settings.beta, settings.prior)
    tokens = Tokens(queries, log_prior=log_prior, mask=mask)
    units = key_adaptation(
        units, tokens, settings.key_iterations, settings.key_strength, settings.chunk
    )
    if fixed_values is not None:
        seen = replace(tokens, values=fixed_values, known=fixed)
        units = value_propagation(
            units, seen, settings.value_iterations, settings.value_strength, settings.chunk
        )
    out = infer_values(units, tokens, settings.chunk)
    if settings.clamp and fixed_values is not None:
        out = fixed_values.to(out) if fixed is None else _overwrite(out, fixed_values, fixed)
    return out


def _overwrite(out: Tensor, values: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(chosen[..., None], values.to(out), out)


@dataclass(frozen=True, slots=True)
class _Moments:
    """Weighted sums over tokens: mass (..., K), first (..., K, c), second (..., K)."""

    mass: Tensor
    first: Tensor
    second: Tensor


def _moments(
    units: Units, tokens: Tokens, seen: Tensor, counted: Tensor | None, chunk: int | None
) -> _Moments:
    """Sums of w, w x and w |x|^2 over the tokens that count, exact whatever the chunk."""
    mass = first = second = torch.zeros((), device=seen.device)
    step = chunk or tokens.queries.shape[-2]
    start = 0
    with torch.autocast(seen.device.type, enabled=False):
        for part in chunks(tokens, chunk):
            weight = responsibilities(units, part)
            rows = slice(start, start + step)
            start += step
            x = exact(seen[..., rows, :])
            if counted is not None:
                chosen = counted[..., rows, None]
                weight = weight * chosen
                x = x.masked_fill(~chosen, 0.0)  # what is not known may be NaN
            across = weight.transpose(-1, -2)
            mass = mass + weight.sum(-2)
            first = first + across @ x
            second = second + (across @ x.square().sum(-1, keepdim=True))[..., 0]
    return _Moments(mass, first, second)


def _map_mean(
    mean: Tensor, precision: float | Tensor, moments: _Moments, strength: float
) -> Tensor:
    """New means; the old one where nothing speaks for a new one."""
    mean = exact(mean)
    pull = (precision * moments.mass)[..., None]
    total = strength + pull
    factor = exact(precision)[..., None] if isinstance(precision, Tensor) else precision
    moved = (strength * mean + factor * moments.first) / total.clamp_min(_TINY)
    return torch.where(total < _TINY, mean, moved)


def _map_precision(mean: Tensor, moments: _Moments, shape: float, rate: float) -> Tensor:
    mean = exact(mean)
    spread = (
        moments.second + mean.square().sum(-1) * moments.mass - 2 * (mean * moments.first).sum(-1)
    ).clamp_min(0)
    return (shape + mean.shape[-1] / 2 * moments.mass - 1) / (rate + spread / 2)
