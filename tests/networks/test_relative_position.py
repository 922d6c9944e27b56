"""Relative position terms against loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pvpu.networks.mixture import Tokens, Units, attention_logits, infer_values
from napari_pvpu.networks.probabilistic_attention import AttentionSettings, probabilistic_attention
from napari_pvpu.networks.relative_position import FULL, RelativePosition, Term

MOST = 3
"""Offsets beyond 2 share a vector."""


def embedding(terms: tuple[Term, ...] = FULL) -> RelativePosition:
    torch.manual_seed(0)
    return RelativePosition(3, 2, MOST, terms).double()


def pair(table: torch.Tensor | None, i: tuple[int, ...], k: tuple[int, ...], axes: list[int]):
    """The vector r_{k-i} from the learnt tables, by hand."""
    if table is None:
        return np.zeros(3)
    return sum(
        table[axis, min(max(b - a, 1 - MOST), MOST - 1) + MOST - 1].detach().numpy()
        for axis, a, b in zip(axes, i, k, strict=True)
    )


SHAPES = {
    "grid": (3, 5),
    "column": (5, None),
    "row": (None, 4),
    "one": (1, 1),
}


@pytest.mark.parametrize("terms", [FULL, ("query",), ("key",)], ids="+".join)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_and_values_equal_loops(
    shape: tuple[int | None, int | None], terms: tuple[Term, ...]
) -> None:
    layer = embedding(terms)
    axes = [axis for axis, n in enumerate(shape) if n is not None]
    places = list(np.ndindex(*[n for n in shape if n is not None]))
    count = len(places)
    q, xi = torch.randn(2, count, 3).double(), torch.randn(2, count, 3).double()
    mu = torch.randn(2, count, 2).double()
    place = layer(*shape)
    logits = attention_logits(Units(xi, mu, 0.6), Tokens(q, position=place)).detach().numpy()
    out = infer_values(Units(xi, mu, 0.6), Tokens(q, position=place), chunk=4).detach().numpy()
    for b in range(2):
        expected = np.zeros((count, count))
        for i, at in enumerate(places):
            for k, there in enumerate(places):
                a, c = q[b, i].numpy(), xi[b, k].numpy()
                expected[i, k] = a @ c + a @ pair(layer.query, at, there, axes)
                expected[i, k] += c @ pair(layer.key, at, there, axes)
        expected *= 0.6
        np.testing.assert_allclose(logits[b], expected)
        weight = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
        values = weight @ mu[b].numpy()
        if layer.value is not None:
            for i, at in enumerate(places):
                for k, there in enumerate(places):
                    values[i] += weight[i, k] * pair(layer.value, at, there, axes)
        np.testing.assert_allclose(out[b], values)


@pytest.mark.parametrize("prior", ["dot", "fixed"])
@pytest.mark.parametrize("chunk", [1, 4, 15])
def test_chunks_change_nothing(chunk: int, prior: str) -> None:
    place = embedding()(3, 5)
    q, xi, mu = (torch.randn(2, 15, n).double() for n in (3, 3, 2))
    fixed = torch.rand(2, 15) < 0.3
    whole, parts = (
        probabilistic_attention(
            q,
            xi,
            mu,
            AttentionSettings(prior=prior, key_iterations=2, value_iterations=2, chunk=size),  # type: ignore[arg-type]
            fixed_values=torch.ones_like(mu),
            fixed=fixed,
            position=place,
        )
        for size in (None, chunk)
    )
    torch.testing.assert_close(whole, parts, rtol=1e-12, atol=1e-12)


def test_precision_per_unit_scales_the_terms_of_its_unit() -> None:
    place = embedding()(2, 2)
    q, xi = torch.randn(4, 3).double(), torch.randn(4, 3).double()
    alpha = torch.tensor([0.5, 1.0, 2.0, 4.0]).double()
    values = torch.zeros(4, 1)
    with_place = attention_logits(Units(xi, values, alpha), Tokens(q, position=place))
    without = attention_logits(Units(xi, values, alpha), Tokens(q))
    torch.testing.assert_close(with_place - without, alpha * place.logits(q, xi))


def test_query_terms_keep_em_monotone_under_the_fixed_prior() -> None:
    from napari_pvpu.networks.em_steps import key_adaptation

    place = embedding(("query",))(3, 4)
    tokens = Tokens(torch.randn(12, 3).double(), position=place)
    units = Units(torch.randn(12, 3).double(), torch.zeros(12, 1).double(), 0.8, prior="fixed")
    before = -np.inf
    for _ in range(6):
        now = attention_logits(units, tokens).logsumexp(-1).sum().item()
        assert now >= before - 1e-9
        before = now
        units = key_adaptation(units, tokens)


def test_half_precision_terms_are_summed_in_float32_under_autocast() -> None:
    layer = embedding().float()
    q, k, v = torch.randn(2, 12, 3), torch.randn(2, 12, 3), torch.randn(2, 12, 2)
    expected = probabilistic_attention(q, k, v, position=layer(3, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = probabilistic_attention(q, k, v, position=layer(3, 4))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


def test_every_vector_learns_and_gradients_are_exact() -> None:
    layer = embedding()
    q, k, v = (torch.randn(6, n).double().requires_grad_() for n in (3, 3, 2))
    chosen = AttentionSettings(key_iterations=1, key_strength=0.1)

    def run(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return probabilistic_attention(q, k, v, chosen, position=layer(3, 2))

    assert torch.autograd.gradcheck(run, (q, k, v, layer.query, layer.key, layer.value))
    run(q, k, v).square().sum().backward()
    for parameter in layer.parameters():
        assert (parameter.grad[0].abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    ("side", "terms", "message"),
    [(0, FULL, "max_side is 0"), (4, ("keys",), "'keys'"), (4, (), "choose from")],
    ids=["side", "unknown", "none"],
)
def test_bad_settings(side: int, terms: tuple[Term, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RelativePosition(3, 2, side, terms)
