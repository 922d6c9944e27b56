"""Attention as a mixture model: units, tokens, and which unit has made which token.

Gabbur, Bilkhu and Movellan (arXiv 2106.15338) read attention as a mixture model: unit k with key
mean xi_k, value mean mu_k and precisions alpha_k, beta_k has made token i, of which the query q_i
and sometimes the value v_i are seen. Standard attention is the special case of one prior and
one step.

Two priors over units are at hand. With "dot" each unit weighs ``exp(alpha |xi|^2 / 2)`` (and
``exp(beta |mu|^2 / 2)`` where a value is seen), so that logits are dot products as in a
transformer; the prior then moves with the keys. With "fixed" it is uniform, or given, and EM
never lowers the likelihood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

Prior = Literal["dot", "fixed"]


class PositionTerms(Protocol):
    """What units and tokens say to each other by where they lie; see `relative_position`."""

    def logits(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return ``q_i r^q_{k-i} + xi_k r^k_{k-i}``, (..., I, K), before the factor alpha."""

    def values(self, weights: Tensor) -> Tensor | None:
        """Return ``sum_k w_ik r^v_{k-i}``, (..., I, m), or None without a value term."""

    def rows(self, start: int, stop: int) -> PositionTerms:
        """Return the terms of some of the tokens with all units."""


@dataclass(frozen=True, slots=True)
class Units:
    """The mixture's components.

    Attributes
    ----------
    keys : Tensor
        xi, (..., K, d).
    values : Tensor
        mu, (..., K, m).
    alpha, beta : float or Tensor
        Precisions of keys and values: one number, or (..., K) positive, one per unit.
    prior : {"dot", "fixed"}
        How much units weigh before a token is seen; see the module.
    """

    keys: Tensor
    values: Tensor
    alpha: float | Tensor
    beta: float | Tensor = 0.0
    prior: Prior = "dot"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is seen of the tokens.

    Attributes
    ----------
    queries : Tensor
        q, (..., I, d).
    values : Tensor, optional
        v, (..., I, m); entries that are not known may hold anything.
    known : Tensor, optional
        (..., I) bool, the tokens whose value is known; all if there are values.
    log_prior : Tensor, optional
        (..., I, K) or broadcast to it, added to the logits: the mixing log-weights of the "fixed"
        prior, or a position bias under either.
    mask : Tensor, optional
        (..., I, K) bool or broadcast to it, the units a token may come from.
    position : PositionTerms, optional
        Relative position terms on queries, keys and values.
    """

    queries: Tensor
    values: Tensor | None = None
    known: Tensor | None = None
    log_prior: Tensor | None = None
    mask: Tensor | None = None
    position: PositionTerms | None = None


def attention_logits(units: Units, tokens: Tokens) -> Tensor:
    """Unnormalised log-probabilities that a unit has made a token.

    Parameters
    ----------
    units : Units
        K components.
    tokens : Tokens
        I tokens; where a value is known it counts as evidence beside the query.

    Returns
    -------
    Tensor
        (..., I, K) float32 or better even under autocast; -inf where masked. Terms equal for all
        units of a token are left out under the "dot" prior.

    Notes
    -----
    Source: eqs. 10 to 12, B.2, and for positions eq. 25 and B.13, which make logits of
    ``alpha (q xi + q r^q + xi r^k)``. With a precision per unit the terms in ``|q|^2`` and
    ``log alpha`` do not cancel and are kept. Under the "fixed" prior the query's position term
    is one more mixing weight, in which no key occurs, so that EM stays monotone; the key's term
    moves the prior with the keys as "dot" does.
    """
    with torch.autocast(tokens.queries.device.type, enabled=False):
        logits = _gaussian(tokens.queries, units.keys, units.alpha, units.prior)
        if tokens.position is not None:
            place = tokens.position.logits(exact(tokens.queries), exact(units.keys))
            factor = _per_unit(units.alpha)
            logits = logits + (units.alpha if factor is None else factor) * place
        if tokens.values is not None:
            values = tokens.values
            if tokens.known is not None:
                values = values.masked_fill(~tokens.known[..., None], 0.0)
            evidence = _gaussian(values, units.values, units.beta, units.prior)
            if tokens.known is not None:
                evidence = evidence.masked_fill(~tokens.known[..., None], 0.0)
            logits = logits + evidence
        if tokens.log_prior is not None:
            logits = logits + tokens.log_prior
        if tokens.mask is not None:
            # Before any maximum is taken: a large masked logit must not touch the others.
            logits = logits.masked_fill(~tokens.mask, -math.inf)
        return logits


def responsibilities(units: Units, tokens: Tokens) -> Tensor:
    """Probabilities that a unit has made a token.

    Parameters
    ----------
    units : Units
        K components.
    tokens : Tokens
        I tokens.

    Returns
    -------
    Tensor
        (..., I, K), rows sum to one, or to zero where a token may come from no unit.
    """
    logits = attention_logits(units, tokens)
    if tokens.mask is None:
        return torch.softmax(logits, dim=-1)
    homeless = (logits == -math.inf).all(dim=-1, keepdim=True)
    return torch.softmax(logits.masked_fill(homeless, 0.0), -1).masked_fill(homeless, 0.0)


def infer_values(units: Units, tokens: Tokens, chunk: int | None = None) -> Tensor:
    """Expected values of the tokens, the weighted mean of the units' values.

    Parameters
    ----------
    units : Units
        K components.
    tokens : Tokens
        I tokens. With values the step is B.6, which refines a guess; without, it is attention.
    chunk : int, optional
        Tokens handled at a time.

    Returns
    -------
    Tensor
        (..., I, m); zero for tokens that may come from no unit.

    Notes
    -----
    Source: B.3 to B.6. Where a token's value is guessed, a unit counts by its responsibility
    times its value precision, the EM step towards the likeliest value (B.3); without a guess it
    counts by its responsibility, which gives the expected value. For a uniform precision the two
    are the same. A value term of the positions is added to the units' values.
    """
    values = exact(units.values)
    with torch.autocast(values.device.type, enabled=False):
        parts = []
        for part in chunks(tokens, chunk):
            weight = _times_precision(responsibilities(units, part), units, part)
            out = weight @ values
            place = None if part.position is None else part.position.values(weight)
            parts.append(out if place is None else out + place)
        return torch.cat(parts, dim=-2)


def _times_precision(weight: Tensor, units: Units, tokens: Tokens) -> Tensor:
    """Weights r beta, brought to the sum of r, for tokens with a guess of their value."""
    beta = _per_unit(units.beta)
    if beta is None or tokens.values is None:
        return weight
    scaled = weight * beta
    total = scaled.sum(-1, keepdim=True)
    scaled = torch.where(total > 0, scaled / total.clamp_min(torch.finfo(total.dtype).tiny), 0.0)
    return scaled if tokens.known is None else torch.where(tokens.known[..., None], scaled, weight)


def exact(values: Tensor) -> Tensor:
    """Float32 or better: sums over many tokens need it."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _per_unit(precision: float | Tensor) -> Tensor | None:
    """Precisions of each unit as (..., 1, K), or None if there is one for all."""
    if isinstance(precision, Tensor) and precision.ndim > 0:
        return exact(precision)[..., None, :]
    return None


def _gaussian(seen: Tensor, mean: Tensor, precision: float | Tensor, prior: Prior) -> Tensor:
    """Log-density of what is seen under each unit, times the prior's factor.

    The squared distance is ``|x|^2 + |m|^2 - 2 x m``; a tensor (I, K, d) of differences is never
    formed.
    """
    seen, mean = exact(seen), exact(mean)
    per_unit = _per_unit(precision)
    factor = precision if per_unit is None else per_unit
    form = seen @ mean.transpose(-1, -2)
    if prior == "fixed":
        form = form - mean.square().sum(-1)[..., None, :] / 2
    if prior == "fixed" or per_unit is not None:
        form = form - seen.square().sum(-1, keepdim=True) / 2
    logits = factor * form
    if per_unit is not None:
        logits = logits + seen.shape[-1] / 2 * per_unit.log()
    return logits


def chunks(tokens: Tokens, chunk: int | None) -> Iterator[Tokens]:
    """Tokens in runs of at most `chunk`."""
    count = tokens.queries.shape[-2]
    if chunk is None or chunk >= count:
        yield tokens
        return
    for start in range(0, count, chunk):
        rows = slice(start, start + chunk)
        yield Tokens(
            queries=tokens.queries[..., rows, :],
            values=None if tokens.values is None else tokens.values[..., rows, :],
            known=None if tokens.known is None else tokens.known[..., rows],
            log_prior=_rows_of(tokens.log_prior, rows),
            mask=_rows_of(tokens.mask, rows),
            position=None if tokens.position is None else tokens.position.rows(start, rows.stop),
        )


def _rows_of(pairs: Tensor | None, rows: slice) -> Tensor | None:
    """Rows of something of shape (..., I, K) that may be broadcast over I."""
    if pairs is None or pairs.ndim < 2 or pairs.shape[-2] == 1:
        return pairs
    return pairs[..., rows, :]
