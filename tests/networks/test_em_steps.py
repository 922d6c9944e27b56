"""EM steps against plain numpy, and what EM promises: the evidence never falls."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.em_steps import (
    adapt_key_precision,
    adapt_mixing,
    adapt_value_precision,
    key_adaptation,
    value_propagation,
)
from napari_pvpu.networks.mixture import Tokens, Units, attention_logits, infer_values
from napari_pvpu.networks.probabilistic_attention import AttentionSettings, probabilistic_attention

seeds = st.integers(0, 10_000)


def problem(seed: int, batch: tuple[int, ...] = (), per_unit: bool = True) -> tuple[Units, Tokens]:
    """7 tokens and 5 units under the fixed prior, d = 3, m = 2."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*batch, *shape, generator=generator, dtype=torch.float64)

    known = torch.rand(*batch, 7, generator=generator) < 0.5
    known[..., 0] = True
    alpha, beta = (draw(5).exp(), draw(5).exp()) if per_unit else (0.7, 0.4)
    log_pi = torch.log_softmax(draw(7, 5), -1)
    return (
        Units(draw(5, 3), draw(5, 2), alpha, beta, "fixed"),
        Tokens(draw(7, 3), draw(7, 2), known, log_pi),
    )


def evidence(units: Units, tokens: Tokens) -> float:
    """Log-likelihood of what is seen, but for constants."""
    return attention_logits(units, tokens).logsumexp(-1).sum().item()


def reference_weights(units: Units, tokens: Tokens, b: int) -> np.ndarray:
    """Responsibilities of one sample by loops over tokens and units."""
    keys, values = units.keys[b].numpy(), units.values[b].numpy()
    alpha, beta = (np.asarray(p[b]) for p in (units.alpha, units.beta))
    queries = tokens.queries[b].numpy()
    out = np.exp(tokens.log_prior[b].numpy())
    for i in range(7):
        for k in range(5):
            gap = queries[i] - keys[k]
            out[i, k] *= alpha[k] ** (3 / 2) * math.exp(-alpha[k] / 2 * gap @ gap)
            if tokens.values is not None and tokens.known[b, i]:
                gap = tokens.values[b, i].numpy() - values[k]
                out[i, k] *= beta[k] ** (2 / 2) * math.exp(-beta[k] / 2 * gap @ gap)
    return out / out.sum(1, keepdims=True)


@pytest.mark.parametrize("chunk", [None, 3], ids=["whole", "chunked"])
def test_each_step_equals_plain_numpy(chunk: int | None) -> None:
    units, tokens = problem(0, (2,))
    alone = replace(tokens, values=None, known=None)
    found_keys = key_adaptation(units, tokens, 1, 0.3, chunk).keys.numpy()
    found_values = value_propagation(units, tokens, 1, 0.3, chunk).values.numpy()
    found_alpha = adapt_key_precision(units, tokens, 2.0, 0.5, chunk).alpha
    found_beta = adapt_value_precision(units, tokens, 2.0, 0.5, chunk).beta
    found_pi = adapt_mixing(units, tokens, 1.2, chunk).log_prior
    for b in range(2):
        w, alpha, beta = reference_weights(units, alone, b), units.alpha[b], units.beta[b]
        q, xi, mu = tokens.queries[b].numpy(), units.keys[b].numpy(), units.values[b].numpy()
        both = reference_weights(units, tokens, b)
        fixed = [i for i in range(7) if tokens.known[b, i]]
        v = tokens.values[b].numpy()
        for k in range(5):
            a, c = float(alpha[k]), float(beta[k])
            pull = sum(w[i, k] * q[i] for i in range(7))
            expected = (0.3 * xi[k] + a * pull) / (0.3 + a * w[:, k].sum())
            np.testing.assert_allclose(found_keys[b, k], expected)
            mass = both[fixed, k].sum()
            pull = sum(both[i, k] * v[i] for i in fixed)
            np.testing.assert_allclose(
                found_values[b, k], (0.3 * mu[k] + c * pull) / (0.3 + c * mass)
            )
            spread = sum(w[i, k] * ((q[i] - xi[k]) ** 2).sum() for i in range(7))
            expected = (2 + 3 / 2 * w[:, k].sum() - 1) / (0.5 + spread / 2)
            assert float(found_alpha[b, k]) == pytest.approx(expected)
            spread = sum(both[i, k] * ((v[i] - mu[k]) ** 2).sum() for i in fixed)
            expected = (2 + 2 / 2 * mass - 1) / (0.5 + spread / 2)  # m / 2, not d / 2
            assert float(found_beta[b, k]) == pytest.approx(expected)
        expected = (both + 0.2) / (both + 0.2).sum(1, keepdims=True)
        np.testing.assert_allclose(found_pi[b].exp().numpy(), expected)


def collapsed(precision: float | torch.Tensor) -> bool:
    """Whether a unit has shrunk onto one token, where the likelihood has no bound."""
    return float(torch.as_tensor(precision).max()) > 1e5


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.4]))
def test_evidence_of_queries_never_falls_in_any_order_of_steps(seed: int, strength: float) -> None:
    units, tokens = problem(seed)
    alone = replace(tokens, values=None, known=None)
    order = torch.randint(0, 3, (9,), generator=torch.Generator().manual_seed(seed)).tolist()
    before = evidence(units, alone)
    for step in order:
        if step == 0:
            units = key_adaptation(units, alone, 1, strength)
        elif step == 1:
            units = adapt_key_precision(units, alone, 1.0, 0.0)
        else:
            alone = adapt_mixing(units, alone)
        if collapsed(units.alpha):
            return
        now = evidence(units, alone)
        assert now >= before - 1e-8
        before = now


@settings(max_examples=25, deadline=None)
@given(seeds)
@example(287)  # a unit collapses
def test_evidence_of_known_values_never_falls(seed: int) -> None:
    units, tokens = problem(seed)
    tokens = replace(tokens, known=torch.ones(7, dtype=torch.bool))
    before = evidence(units, tokens)
    for _ in range(4):
        for update in (
            lambda u: value_propagation(u, tokens, 1, 0.2),
            lambda u: adapt_value_precision(u, tokens, 1.0, 0.0),
        ):
            units = update(units)
            if collapsed(units.beta):
                return
            now = evidence(units, tokens)
            assert now >= before - 1e-8
            before = now


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(1.0, 4.0), st.floats(0.1, 2.0), st.floats(1.0, 3.0))
def test_posterior_never_falls_under_gamma_and_dirichlet_priors(
    seed: int, shape: float, rate: float, concentration: float
) -> None:
    units, tokens = problem(seed)
    tokens = replace(tokens, values=None, known=None)

    def posterior() -> float:
        assert isinstance(units.alpha, torch.Tensor)
        assert tokens.log_prior is not None
        gamma = ((shape - 1) * units.alpha.log() - rate * units.alpha).sum().item()
        dirichlet = (concentration - 1) * tokens.log_prior.sum().item()
        return evidence(units, tokens) + gamma + dirichlet

    before = posterior()
    for _ in range(4):
        units = adapt_key_precision(units, tokens, shape, rate)
        now = posterior()
        assert now >= before - 1e-8
        tokens = adapt_mixing(units, tokens, concentration)
        before = posterior()
        assert before >= now - 1e-8


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_evidence_of_a_guessed_value_never_falls(seed: int) -> None:
    """B.3 with a precision per unit is EM for the value; the weights have to be r beta."""
    units, tokens = problem(seed)
    guess = replace(tokens, known=None)
    before = evidence(units, guess)
    for _ in range(5):
        guess = replace(guess, values=infer_values(units, guess))
        now = evidence(units, guess)
        assert now >= before - 1e-8
        before = now


def test_mixing_by_hand() -> None:
    units = Units(torch.zeros(2, 1), torch.zeros(2, 1), 1.0, prior="fixed")
    tokens = Tokens(torch.zeros(1, 1), log_prior=torch.tensor([[0.25, 0.75]]).log())
    found = adapt_mixing(units, tokens, torch.tensor([[2.0, 1.5]])).log_prior
    assert found is not None
    # (0.25 + 1) : (0.75 + 0.5)
    torch.testing.assert_close(found.exp(), torch.tensor([[0.5, 0.5]]))


def test_strong_dirichlet_prior_is_uniform_and_a_weak_one_keeps_masked_units_out() -> None:
    units, tokens = problem(1)
    uniform = adapt_mixing(units, tokens, 1e9).log_prior
    assert uniform is not None
    torch.testing.assert_close(uniform.exp(), torch.full((7, 5), 0.2, dtype=torch.float64))
    mask = torch.ones(7, 5, dtype=torch.bool)
    mask[:, 2] = False
    mask[3] = False
    masked = adapt_mixing(units, replace(tokens, mask=mask), 2.0).log_prior
    assert masked is not None
    assert masked.exp()[:3, 2].max() < 1e-300
    assert tokens.log_prior is not None
    assert torch.equal(masked[3], tokens.log_prior[3])
    assert torch.isfinite(masked).all()


def test_mixing_weights_of_the_dot_prior_are_its_own() -> None:
    units, tokens = problem(0)
    with pytest.raises(ValueError, match="prior='fixed'"):
        adapt_mixing(replace(units, prior="dot"), tokens)


def test_precision_stays_where_nothing_speaks_for_a_new_one() -> None:
    units, tokens = problem(2)
    mask = torch.ones(7, 5, dtype=torch.bool)
    mask[:, 4] = False
    found = adapt_key_precision(units, replace(tokens, mask=mask)).alpha
    assert isinstance(found, torch.Tensor)
    assert isinstance(units.alpha, torch.Tensor)
    assert found[4] == units.alpha[4]
    assert (found[:4] != units.alpha[:4]).all()
    exactly = replace(units, keys=tokens.queries[:1], values=units.values[:1], alpha=1.5, beta=1.0)
    alone = Tokens(tokens.queries[:1])
    assert adapt_key_precision(exactly, alone, 1.0, 0.0).alpha == 1.5


def test_attention_adapts_precisions_and_weights_online() -> None:
    units, tokens = problem(3, per_unit=False)
    chosen = AttentionSettings(
        alpha=0.7,
        beta=0.4,
        prior="fixed",
        key_iterations=2,
        key_strength=0.1,
        value_iterations=1,
        key_gamma=(2.0, 0.5),
        value_gamma=(1.5, 0.3),
        dirichlet=1.3,
        inference_iterations=1,
    )
    found = probabilistic_attention(
        tokens.queries,
        units.keys,
        units.values,
        chosen,
        fixed_values=tokens.values,
        fixed=tokens.known,
        log_prior=tokens.log_prior,
    )
    alone = replace(tokens, values=None, known=None)
    for _ in range(2):
        units = key_adaptation(units, alone, 1, 0.1)
        units = adapt_key_precision(units, alone, 2.0, 0.5)
        alone = adapt_mixing(units, alone, 1.3)
    seen = replace(alone, values=tokens.values, known=tokens.known)
    units = adapt_value_precision(value_propagation(units, seen), seen, 1.5, 0.3)
    assert tokens.values is not None
    assert tokens.known is not None
    guess = torch.where(tokens.known[:, None], tokens.values, infer_values(units, alone))
    expected = infer_values(units, replace(alone, values=guess))
    torch.testing.assert_close(found, expected)


def test_gradients_through_online_updates() -> None:
    units, tokens = problem(4, per_unit=False)
    chosen = AttentionSettings(
        prior="fixed", key_iterations=1, key_gamma=(2.0, 1.0), value_gamma=(2.0, 1.0), dirichlet=1.5
    )
    inputs = [x.clone().requires_grad_() for x in (tokens.queries, units.keys, units.values)]
    assert torch.autograd.gradcheck(
        lambda q, k, v: probabilistic_attention(
            q, k, v, chosen, fixed_values=tokens.values, fixed=tokens.known
        ),
        inputs,
    )


def test_the_fixed_prior_of_the_keys_lengths_is_scaled_dot_product_attention() -> None:
    """Eqs. 10 to 12: both priors meet, and for beta to 0 a guess of the value has no say."""
    units, tokens = problem(5, (2,), per_unit=False)
    q, k, v = tokens.queries, units.keys, units.values
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    alpha = 3**-0.5
    lengths = alpha / 2 * k.square().sum(-1)[:, None]
    fixed = AttentionSettings(prior="fixed")
    torch.testing.assert_close(probabilistic_attention(q, k, v, fixed, log_prior=lengths), expected)
    small = AttentionSettings(beta=1e-12, inference_iterations=3)
    torch.testing.assert_close(probabilistic_attention(q, k, v, small), expected)
