"""Tests of napari_pvpu.networks.mixture."""

from __future__ import annotations

import math

import pytest
import torch

from napari_pvpu.networks.mixture import (
    Tokens,
    Units,
    attention_logits,
    infer_values,
    responsibilities,
)


def units(alpha: float | torch.Tensor = 0.5) -> Units:
    """Two units of two-dimensional keys, with values 1 and 5."""
    keys = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    return Units(keys, torch.tensor([[1.0], [5.0]]), alpha)


def test_dot_logits_by_hand() -> None:
    tokens = Tokens(torch.tensor([[3.0, 1.0], [0.0, -1.0]]))
    expected = torch.tensor([[1.5, 1.0], [0.0, -1.0]])
    torch.testing.assert_close(attention_logits(units(), tokens), expected)


def test_fixed_logits_by_hand() -> None:
    # Squared distances 5 and 10, times -alpha / 2.
    mixture = Units(units().keys, units().values, 0.5, prior="fixed")
    found = attention_logits(mixture, Tokens(torch.tensor([[3.0, 1.0]])))
    torch.testing.assert_close(found, torch.tensor([[-1.25, -2.5]]))


def test_known_values_count_as_evidence_and_unknown_ones_do_not() -> None:
    mixture = Units(units().keys, units().values, 0.5, beta=0.1)
    queries = torch.tensor([[3.0, 1.0], [3.0, 1.0]])
    values = torch.tensor([[2.0], [math.nan]])
    found = attention_logits(mixture, Tokens(queries, values, torch.tensor([True, False])))
    torch.testing.assert_close(found, torch.tensor([[1.7, 2.0], [1.5, 1.0]]))


def test_log_prior_is_added() -> None:
    tokens = Tokens(torch.zeros(3, 2), log_prior=torch.tensor([[0.0, math.log(3)]]))
    found = infer_values(units(), tokens)
    torch.testing.assert_close(found, torch.full((3, 1), 4.0))


def test_fixed_prior_with_precisions_is_the_mixture_of_gaussians() -> None:
    torch.manual_seed(0)
    alpha = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
    beta = torch.tensor([1.5, 0.2, 3.0], dtype=torch.float64)
    keys, means = torch.randn(3, 4).double(), torch.randn(3, 2).double()
    queries, values = torch.randn(6, 4).double(), torch.randn(6, 2).double()
    log_pi = torch.log_softmax(torch.randn(3).double(), 0)
    density = log_pi + torch.stack(
        [
            torch.distributions.Normal(keys[k], alpha[k] ** -0.5).log_prob(queries).sum(-1)
            + torch.distributions.Normal(means[k], beta[k] ** -0.5).log_prob(values).sum(-1)
            for k in range(3)
        ],
        dim=-1,
    )
    units = Units(keys, means, alpha, beta, "fixed")
    tokens = Tokens(queries, values, log_prior=log_pi[None])
    torch.testing.assert_close(responsibilities(units, tokens), density.softmax(-1))


def test_huge_masked_logits_do_no_harm() -> None:
    mixture = units()
    mixture.keys[1] = 1e4
    tokens = Tokens(torch.ones(3, 2), mask=torch.tensor([True, False]))
    assert infer_values(mixture, tokens).tolist() == [[1.0], [1.0], [1.0]]


def test_token_that_may_come_from_no_unit_has_no_responsibilities() -> None:
    mask = torch.tensor([[True, True], [False, False]])
    found = responsibilities(units(), Tokens(torch.zeros(2, 2), mask=mask))
    assert found.tolist() == [[0.5, 0.5], [0.0, 0.0]]


@pytest.mark.parametrize("alpha", [0.5, torch.tensor([0.5, 0.5])], ids=["one", "per-unit"])
def test_half_precision_gives_float32_under_autocast(alpha: float | torch.Tensor) -> None:
    queries = torch.tensor([[3.0, 1.0], [1 / 3, -1.0]])
    expected = attention_logits(units(alpha), Tokens(queries))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention_logits(units(alpha), Tokens(queries))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert attention_logits(units(alpha), Tokens(queries.bfloat16())).dtype == torch.float32
