"""EM steps of probabilistic attention: keys, values, precisions and mixing weights.

Each function takes the mixture of `napari_pvpu.networks.mixture` one or more steps on (Gabbur,
Bilkhu and Movellan, arXiv 2106.15338). Under the "fixed" prior no step lowers the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_pvpu.networks.mixture import Tokens, Units, chunks, exact, responsibilities

_TINY = 1e-20


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
        With a key precision per unit; the old one where nothing speaks for a new one.

    Notes
    -----
    Source: B.10.
    """
    tokens = replace(tokens, values=None, known=None)
    moments = _moments(units, tokens, tokens.queries, None, chunk)
    return replace(units, alpha=_map_precision(units.alpha, units.keys, moments, shape, rate))


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
        With a value precision per unit; the old one where nothing speaks for a new one.

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
    return replace(units, beta=_map_precision(units.beta, units.values, moments, shape, rate))


def adapt_mixing(
    units: Units,
    tokens: Tokens,
    concentration: float | Tensor = 1.0,
    chunk: int | None = None,
) -> Tokens:
    """One EM step of the tokens' mixing weights under a Dirichlet(concentration) prior.

    ``pi_ik <- (w_ik + concentration_ik - 1) / sum_k (w_ik + concentration_ik - 1)``

    Parameters
    ----------
    units : Units
        K components, of the "fixed" prior.
    tokens : Tokens
        I tokens; their `log_prior` is the logarithm of the weights before, uniform by default.
    concentration : float or Tensor
        The prior's parameter, 1 or more: one number, or (..., I, K), such as one that falls with
        the distance (B.14). 1 is maximum likelihood, large ones tend to the prior's own shape.
    chunk : int, optional
        Tokens handled at a time.

    Returns
    -------
    Tokens
        With new mixing weights; unchanged for a token that may come from no unit.

    Raises
    ------
    ValueError
        Under the "dot" prior, which gives the weights by itself.

    Notes
    -----
    Source: B.12, with the brackets that are missing in print. Below a concentration of 1 the
    formula can turn negative; such weights are set to zero.
    """
    if units.prior != "fixed":
        raise ValueError("the 'dot' prior sets the mixing weights itself; use prior='fixed'")
    weight = torch.cat([responsibilities(units, part) for part in chunks(tokens, chunk)], dim=-2)
    counts = (weight + concentration - 1).clamp_min(0)
    if tokens.mask is not None:
        counts = counts.masked_fill(~tokens.mask, 0.0)
    total = counts.sum(-1, keepdim=True)
    smallest = torch.finfo(counts.dtype).tiny
    new = (counts / total.clamp_min(smallest)).clamp_min(smallest).log()
    old = torch.zeros_like(new) if tokens.log_prior is None else tokens.log_prior
    alone = weight.sum(-1, keepdim=True) == 0
    return replace(tokens, log_prior=torch.where((total > 0) & ~alone, new, old))


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


def _map_precision(
    old: float | Tensor, mean: Tensor, moments: _Moments, shape: float, rate: float
) -> Tensor:
    """New precisions; the old one where the posterior has its maximum at zero or nowhere."""
    mean = exact(mean)
    spread = (
        moments.second + mean.square().sum(-1) * moments.mass - 2 * (mean * moments.first).sum(-1)
    ).clamp_min(0)
    above = shape + mean.shape[-1] / 2 * moments.mass - 1
    below = rate + spread / 2
    moved = above / below.clamp_min(_TINY)
    return torch.where((above > _TINY) & (below > _TINY), moved, old)
