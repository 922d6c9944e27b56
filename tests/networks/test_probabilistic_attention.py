"""Tests of napari_pvpu.networks.probabilistic_attention.

The golden values G1 to G7 are for I = K = 4, d = 3, m = 2, with q.flat = sin(n + 1),
xi.flat = cos(n + 1), mu.flat = sin((n + 1) / 2), alpha = 1 / sqrt(3), in float64.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.probabilistic_attention import (
    AttentionSettings,
    Prior,
    Tokens,
    Units,
    adapt_key_precision,
    adapt_value_precision,
    attention_logits,
    infer_values,
    key_adaptation,
    probabilistic_attention,
    responsibilities,
    value_propagation,
)

ALPHA = 1 / math.sqrt(3)
PRIORS: list[Prior] = ["dot", "fixed"]


def golden(prior: Prior = "dot", beta: float = 0.1) -> tuple[Units, Tokens]:
    count = torch.arange(1, 13, dtype=torch.float64)
    queries, keys = count.sin().view(4, 3), count.cos().view(4, 3)
    values = (count[:8] / 2).sin().view(4, 2)
    return Units(keys, values, ALPHA, beta, prior), Tokens(queries)


def table(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def assert_golden(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


G1 = table(
    (0.486739748566, 0.333063463648),
    (0.379249269992, 0.242813813989),
    (0.472784315685, 0.304736335358),
    (0.412322140106, 0.305523131466),
)


def random_problem(
    seed: int, tokens: int = 7, units: int = 5, prior: Prior = "fixed"
) -> tuple[Units, Tokens]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    known = torch.rand(tokens, generator=generator) < 0.5
    known[0] = True
    return (
        Units(draw(units, 3), draw(units, 2), 0.7, 0.4, prior),
        Tokens(draw(tokens, 3), draw(tokens, 2), known),
    )


seeds = st.integers(0, 10_000)


def test_g1_standard_attention() -> None:
    units, tokens = golden()
    assert_golden(infer_values(units, tokens), G1)
    assert_golden(probabilistic_attention(tokens.queries, units.keys, units.values), G1)


def test_g2_key_adaptation() -> None:
    units, tokens = golden()
    adapted = key_adaptation(units, tokens)
    assert_golden(adapted.keys[0], table((-0.040470612318, -0.156689698071, -0.128848998030))[0])
    expected = table(
        (0.470381839106, 0.308385948988),
        (0.392262309909, 0.261004064906),
        (0.471182178961, 0.308561210482),
        (0.393294140900, 0.262281853086),
    )
    assert_golden(infer_values(adapted, tokens), expected)


def test_g3_key_adaptation_with_a_weak_prior() -> None:
    units, tokens = golden()
    expected = table(
        (0.470412626800, 0.308433441672),
        (0.392238607296, 0.260970436870),
        (0.471185347325, 0.308555375182),
        (0.393325182120, 0.262353087317),
    )
    found = probabilistic_attention(
        tokens.queries,
        units.keys,
        units.values,
        AttentionSettings(key_iterations=1, key_strength=0.001),
    )
    assert_golden(found, expected)


def test_g4_key_adaptation_under_the_fixed_prior() -> None:
    units, tokens = golden("fixed")
    expected = table(
        (0.472149247333, 0.311355655655),
        (0.389235574497, 0.254280940772),
        (0.469566733450, 0.305036554101),
        (0.396892043020, 0.268271433859),
    )
    adapted = key_adaptation(units, tokens, iterations=2, strength=0.5)
    assert_golden(infer_values(adapted, tokens), expected)


G5_ONE = table(
    (0.498721019130, 0.298965725712),
    (0.392674572380, 0.212095718397),
    (0.484561416964, 0.272030963897),
    (0.425549469531, 0.272738264056),
)
G5_FIVE = table(
    (0.543738837772, 0.171199979444),
    (0.443341730055, 0.096715317766),
    (0.528908452534, 0.149334481982),
    (0.475374707259, 0.149701404392),
)


@pytest.mark.parametrize(("iterations", "expected"), [(1, G5_ONE), (5, G5_FIVE)])
def test_g5_value_propagation(iterations: int, expected: torch.Tensor) -> None:
    units, tokens = golden()
    found = probabilistic_attention(
        tokens.queries,
        units.keys,
        units.values,
        AttentionSettings(value_iterations=iterations),
        fixed_values=table((1, -1), (math.nan, 9), (9, 9), (9, 9)),
        fixed=torch.tensor([True, False, False, False]),
    )
    assert_golden(found, expected)


def test_g6_iterated_value_inference() -> None:
    units, tokens = golden(beta=1.0)
    values = infer_values(units, tokens)
    for _ in range(3):
        values = infer_values(units, replace(tokens, values=values))
    expected = table(
        (0.678868766347, 0.607123456371),
        (0.631242717383, 0.594964207182),
        (0.724301835298, 0.644600595697),
        (0.607087554210, 0.595550803947),
    )
    assert_golden(values, expected)


def test_g7_key_precisions() -> None:
    found = adapt_key_precision(*golden("fixed")).alpha
    assert isinstance(found, torch.Tensor)
    expected = table((1.120268117779, 0.963948565289, 1.096931543636, 0.975107851562))
    assert_golden(found, expected[0])


def test_value_precision_by_hand() -> None:
    # One unit takes all tokens: mass 2, squared distances 1 and 4, m = 2.
    units = Units(torch.zeros(1, 3), torch.zeros(1, 2), 1.0, 1.0, "fixed")
    values = torch.tensor([[1.0, 0.0], [0.0, 2.0], [7.0, 7.0]])
    tokens = Tokens(torch.randn(3, 3), values, torch.tensor([True, True, False]))
    found = adapt_value_precision(units, tokens, shape=3.0, rate=0.5).beta
    assert float(found) == pytest.approx((3 + 2 - 1) / (0.5 + 5 / 2))


def test_equals_torchs_attention_with_batches_heads_and_masks() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 6, 8), torch.randn(2, 3, 6, 4)
    mask = torch.rand(5, 6) < 0.7
    mask[:, 0] = True
    found = probabilistic_attention(q, k, v, mask=mask)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))


@pytest.mark.parametrize("prior", PRIORS)
def test_precision_per_unit_equals_the_uniform_one(prior: Prior) -> None:
    units, tokens = random_problem(3, prior=prior)
    per_unit = replace(
        units,
        alpha=torch.full((5,), 0.7, dtype=torch.float64),
        beta=torch.full((5,), 0.4, dtype=torch.float64),
    )
    torch.testing.assert_close(responsibilities(units, tokens), responsibilities(per_unit, tokens))
    for update in (key_adaptation, value_propagation):
        one, many = update(units, tokens, 2, 0.3), update(per_unit, tokens, 2, 0.3)
        torch.testing.assert_close(one.keys, many.keys)
        torch.testing.assert_close(one.values, many.values)


@settings(max_examples=15, deadline=None)
@given(seeds, st.sampled_from(PRIORS))
def test_order_of_units_does_not_matter(seed: int, prior: Prior) -> None:
    units, tokens = random_problem(seed, prior=prior)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    shuffled = replace(units, keys=units.keys[order], values=units.values[order])
    for update in (key_adaptation, value_propagation):
        one, other = update(units, tokens, 3, 0.2), update(shuffled, tokens, 3, 0.2)
        torch.testing.assert_close(one.keys[order], other.keys)
        torch.testing.assert_close(one.values[order], other.values)
        torch.testing.assert_close(infer_values(one, tokens), infer_values(other, tokens))


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 8), st.sampled_from(PRIORS))
def test_chunks_change_nothing(seed: int, chunk: int, prior: Prior) -> None:
    units, tokens = random_problem(seed, prior=prior)
    tokens = replace(tokens, mask=torch.rand(7, 5) < 0.8, log_prior=torch.randn(1, 5).double())
    for update in (key_adaptation, value_propagation):
        whole, parts = update(units, tokens, 2, 0.3), update(units, tokens, 2, 0.3, chunk)
        torch.testing.assert_close(whole.keys, parts.keys)
        torch.testing.assert_close(whole.values, parts.values)
    torch.testing.assert_close(infer_values(units, tokens), infer_values(units, tokens, chunk))
    for adapt in (adapt_key_precision, adapt_value_precision):
        whole, parts = adapt(units, tokens), adapt(units, tokens, chunk=chunk)
        torch.testing.assert_close(whole.alpha, parts.alpha)
        torch.testing.assert_close(whole.beta, parts.beta)


@pytest.mark.parametrize("prior", PRIORS)
def test_infinite_strength_changes_nothing(prior: Prior) -> None:
    units, tokens = random_problem(1, prior=prior)
    torch.testing.assert_close(key_adaptation(units, tokens, 3, 1e14).keys, units.keys)
    torch.testing.assert_close(value_propagation(units, tokens, 3, 1e14).values, units.values)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_no_fixed_token_leaves_values_exactly_as_they_are(strength: float) -> None:
    units, tokens = random_problem(1)
    tokens = replace(tokens, known=torch.zeros(7, dtype=torch.bool))
    assert torch.equal(value_propagation(units, tokens, 4, strength).values, units.values)


@settings(max_examples=15, deadline=None)
@given(seeds, st.sampled_from(PRIORS))
def test_one_fixed_token_without_a_prior_fills_every_unit(seed: int, prior: Prior) -> None:
    units, tokens = random_problem(seed, prior=prior)
    tokens = replace(tokens, known=torch.arange(7) == 2)
    assert tokens.values is not None
    filled = value_propagation(units, tokens, 30, 0.0).values
    torch.testing.assert_close(filled, tokens.values[2].expand(5, 2))


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from(PRIORS), st.floats(0, 5), st.integers(1, 6))
def test_values_stay_within_those_of_units_and_fixed_tokens(
    seed: int, prior: Prior, strength: float, iterations: int
) -> None:
    units, tokens = random_problem(seed, prior=prior)
    assert tokens.values is not None
    seen = torch.cat([units.values, tokens.values[tokens.known]])
    out = infer_values(
        value_propagation(units, tokens, iterations, strength), Tokens(tokens.queries)
    )
    # Within the hull along any direction; a hundred of them.
    direction = torch.randn(2, 100, generator=torch.Generator().manual_seed(seed)).double()
    assert ((out @ direction).amax(0) <= (seen @ direction).amax(0) + 1e-9).all()


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.3, 2.0]))
def test_em_never_lowers_the_likelihood_under_the_fixed_prior(seed: int, strength: float) -> None:
    units, tokens = random_problem(seed)
    alone = Tokens(tokens.queries)
    before = -math.inf
    for _ in range(6):
        now = attention_logits(units, alone).logsumexp(-1).sum().item()
        assert now >= before - 1e-9
        before = now
        units = key_adaptation(units, tokens, 1, strength)
    before = -math.inf
    for _ in range(6):
        now = attention_logits(units, tokens).logsumexp(-1)[tokens.known].sum().item()
        assert now >= before - 1e-9
        before = now
        units = value_propagation(units, tokens, 1, strength)


def test_precision_steps_never_lower_the_likelihood() -> None:
    units, tokens = random_problem(5)
    units = replace(
        units,
        alpha=torch.full((5,), 0.7, dtype=torch.float64),
        beta=torch.full((5,), 0.4, dtype=torch.float64),
    )
    alone = Tokens(tokens.queries)
    before = -math.inf
    for _ in range(5):
        now = attention_logits(units, alone).logsumexp(-1).sum().item()
        assert now >= before - 1e-9
        before = now
        units = adapt_key_precision(units, tokens, shape=1.0, rate=0.0)


def test_token_that_may_come_from_no_unit_gives_zero_and_teaches_nothing() -> None:
    units, tokens = random_problem(2)
    mask = torch.ones(7, 5, dtype=torch.bool)
    mask[0] = False
    masked = replace(tokens, mask=mask)
    assert (infer_values(units, masked)[0] == 0).all()
    assert tokens.values is not None
    assert tokens.known is not None
    rest = Tokens(tokens.queries[1:], tokens.values[1:], tokens.known[1:])
    torch.testing.assert_close(key_adaptation(units, masked).keys, key_adaptation(units, rest).keys)
    torch.testing.assert_close(
        value_propagation(units, masked).values, value_propagation(units, rest).values
    )


def test_unit_without_mass_keeps_its_key() -> None:
    units, tokens = random_problem(2)
    mask = torch.ones(7, 5, dtype=torch.bool)
    mask[:, 4] = False
    adapted = key_adaptation(units, replace(tokens, mask=mask), 2, 0.0)
    assert torch.equal(adapted.keys[4], units.keys[4])
    assert torch.isfinite(adapted.keys).all()


def test_clamped_tokens_keep_their_value() -> None:
    units, tokens = golden()
    fixed = torch.tensor([False, True, False, False])
    values = torch.full((4, 2), 5.0, dtype=torch.float64)
    arguments = (tokens.queries, units.keys, units.values)
    free = probabilistic_attention(*arguments, fixed_values=values, fixed=fixed)
    clamped = probabilistic_attention(
        *arguments, AttentionSettings(clamp=True), fixed_values=values, fixed=fixed
    )
    assert (clamped[1] == 5).all()
    assert torch.equal(clamped[~fixed], free[~fixed])


@pytest.mark.parametrize("prior", PRIORS)
def test_gradients(prior: Prior) -> None:
    units, tokens = random_problem(4, tokens=4, units=3, prior=prior)
    mask = torch.ones(4, 3, dtype=torch.bool)
    mask[1] = False
    mask[0, 2] = False
    chosen = AttentionSettings(
        key_iterations=1, key_strength=0.1, value_iterations=2, prior=prior, chunk=3
    )
    inputs = [x.clone().requires_grad_() for x in (tokens.queries, units.keys, units.values)]
    assert torch.autograd.gradcheck(
        lambda q, k, v: probabilistic_attention(
            q, k, v, chosen, fixed_values=tokens.values, fixed=tokens.known, mask=mask
        ),
        inputs,
    )


def test_half_precision_is_summed_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(50, 16), torch.randn(60, 16), torch.randn(60, 1)
    expected = probabilistic_attention(q, k, v, AttentionSettings(key_iterations=1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = probabilistic_attention(q, k, v, AttentionSettings(key_iterations=1))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
    low = probabilistic_attention(q.bfloat16(), k.bfloat16(), v.bfloat16())
    assert low.dtype == torch.float32


@pytest.mark.parametrize("update", [value_propagation, adapt_value_precision])
def test_updates_of_values_need_values(update: object) -> None:
    assert callable(update)
    units, tokens = golden()
    with pytest.raises(ValueError, match="tokens with values"):
        update(units, tokens)
