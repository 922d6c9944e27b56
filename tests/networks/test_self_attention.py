"""Probabilistic self-attention on maps against plain numpy, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_pvpu.networks.probabilistic_attention import AttentionSettings
from napari_pvpu.networks.relative_position import RelativePosition
from napari_pvpu.networks.self_attention import ProbabilisticSelfAttention, grid_attention

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.networks.mixture import Prior

SETTINGS = {
    "plain": AttentionSettings(),
    "adapted": AttentionSettings(key_iterations=2, key_strength=0.01),
    "propagated": AttentionSettings(value_iterations=3, value_strength=0.2, beta=0.7),
    "fixed-prior": AttentionSettings(
        prior="fixed", alpha=0.4, key_iterations=1, value_iterations=2, clamp=True
    ),
}


def vectors(table: torch.Tensor | None, axis: int, count: int) -> NDArray[np.float64]:
    """r_{k-i} for all pairs of a line."""
    if table is None:
        return np.zeros((count, count, 1))
    most = table.shape[1] // 2
    return np.array(
        [
            [table[axis, np.clip(k - i, -most, most) + most].detach().numpy() for k in range(count)]
            for i in range(count)
        ]
    )


def line(
    q: NDArray[np.float64],
    xi: NDArray[np.float64],
    mu: NDArray[np.float64],
    r: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    known: dict[int, NDArray[np.float64]],
    s: AttentionSettings,
) -> NDArray[np.float64]:
    """Attention of one line, or of a map given as one line, in one head."""
    alpha = q.shape[1] ** -0.5 if s.alpha is None else s.alpha
    count = len(q)

    def weights(values: bool) -> NDArray[np.float64]:
        logits = np.zeros((count, count))
        for i in range(count):
            for k in range(count):
                place = (q[i] * r[0][i, k]).sum() + (xi[k] * r[1][i, k]).sum()
                if s.prior == "dot":
                    logits[i, k] = alpha * (q[i] @ xi[k] + place)
                else:
                    logits[i, k] = -alpha / 2 * ((q[i] - xi[k]) ** 2).sum() + alpha * place
                if values and i in known and s.prior == "dot":
                    logits[i, k] += s.beta * known[i] @ mu[k]
                elif values and i in known:
                    logits[i, k] -= s.beta / 2 * ((known[i] - mu[k]) ** 2).sum()
        w = np.exp(logits - logits.max(1, keepdims=True))
        return w / w.sum(1, keepdims=True)

    for _ in range(s.key_iterations):
        w = weights(values=False)
        mass = alpha * w.sum(0)[:, None]
        xi = (s.key_strength * xi + alpha * w.T @ q) / (s.key_strength + mass)
    for _ in range(s.value_iterations if known else 0):
        w = weights(values=True)
        for k in range(count):
            mass = s.value_strength + s.beta * sum(w[i, k] for i in known)
            pull = s.beta * sum(w[i, k] * known[i] for i in known)
            # In a new array, so that all units move at once.
            mu = np.concatenate([mu[:k], [(s.value_strength * mu[k] + pull) / mass], mu[k + 1 :]])
    w = weights(values=False)
    out = w @ mu + (w[..., None] * r[2]).sum(1)
    if s.clamp:
        for i, value in known.items():
            out[i] = value
    return out


def reference(
    maps: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    s: AttentionSettings,
    axial: bool,
    position: RelativePosition | None,
    values: torch.Tensor,
    fixed: torch.Tensor,
) -> NDArray[np.float64]:
    """(B, heads, m, H, W) by loops over samples, heads and lines."""
    q, xi, mu = (x.numpy().copy() for x in maps)
    height, width = q.shape[-2:]
    tables = [None if position is None else getattr(position, n) for n in ("query", "key", "value")]
    for b in range(len(q)):
        spots = [(y, x) for y in range(height) for x in range(width) if fixed[b, y, x]]
        for h in range(q.shape[1]):
            if not axial:
                rows, columns = np.divmod(np.arange(height * width), width)
                r = tuple(
                    vectors(t, 0, height)[rows][:, rows] + vectors(t, 1, width)[columns][:, columns]
                    for t in tables
                )
                known = {y * width + x: values[b, :, y, x].numpy() for y, x in spots}
                flat = (x[b, h].reshape(x.shape[2], -1).T for x in (q, xi, mu))
                mu[b, h] = line(*flat, r, known, s).T.reshape(mu[b, h].shape)
                continue
            r = tuple(vectors(t, 0, height) for t in tables)
            for x in range(width):
                known = {y: values[b, :, y, x].numpy() for y, c in spots if c == x}
                mu[b, h, :, :, x] = line(
                    q[b, h, :, :, x].T, xi[b, h, :, :, x].T, mu[b, h, :, :, x].T, r, known, s
                ).T
            for y, x in spots:
                mu[b, h, :, y, x] = values[b, :, y, x]
            r = tuple(vectors(t, 1, width) for t in tables)
            for y in range(height):
                known = {c: values[b, :, y, c].numpy() for row, c in spots if row == y}
                mu[b, h, :, y] = line(
                    q[b, h, :, y].T, xi[b, h, :, y].T, mu[b, h, :, y].T, r, known, s
                ).T
    return mu


@pytest.mark.parametrize("placed", [False, True], ids=["placeless", "positions"])
@pytest.mark.parametrize("axial", [False, True], ids=["full", "axial"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_maps_equal_plain_numpy(settings: AttentionSettings, axial: bool, placed: bool) -> None:
    torch.manual_seed(0)
    q, xi = torch.randn(2, 2, 2, 3, 5).double(), torch.randn(2, 2, 2, 3, 5).double()
    mu = torch.randn(2, 2, 2, 3, 5).double()
    values = torch.randn(2, 2, 3, 5).double()
    fixed = torch.zeros(2, 3, 5, dtype=torch.bool)
    fixed[1, 0, 2] = fixed[1, 0, 4] = fixed[1, 2, 2] = True
    position = RelativePosition(2, 2, 3).double() if placed else None
    found = grid_attention(
        q, xi, mu, settings, axial=axial, position=position, fixed_values=values, fixed=fixed
    )
    expected = reference((q, xi, mu), settings, axial, position, values, fixed)
    np.testing.assert_allclose(found.detach().numpy(), expected)


@pytest.mark.parametrize("axial", [False, True], ids=["full", "axial"])
@pytest.mark.parametrize("prior", ["dot", "fixed"])
def test_chunks_and_batches_change_nothing(axial: bool, prior: Prior) -> None:
    torch.manual_seed(0)
    q, xi, mu = torch.randn(3, 3, 2, 3, 5, 7).double()
    fixed = torch.zeros(3, 5, 7).bool()
    fixed[0, 1, 1] = fixed[2, 4, 0] = True
    values = torch.ones(3, 3, 5, 7).double()
    whole, parts = (
        grid_attention(
            q,
            xi,
            mu,
            AttentionSettings(key_iterations=1, prior=prior, chunk=chunk),
            axial=axial,
            fixed_values=values,
            fixed=fixed,
        )
        for chunk in (None, 3)
    )
    torch.testing.assert_close(whole, parts, rtol=1e-12, atol=1e-12)
    for b in range(3):
        alone = grid_attention(
            q[b : b + 1],
            xi[b : b + 1],
            mu[b : b + 1],
            AttentionSettings(key_iterations=1, prior=prior),
            axial=axial,
            fixed_values=values[b : b + 1],
            fixed=fixed[b : b + 1],
        )
        torch.testing.assert_close(alone[0], whole[b])


def test_full_attention_equals_torchs() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 6, 5, 7)
    flat = (x.flatten(-2).transpose(-1, -2) for x in (q, k, v))
    expected = torch.nn.functional.scaled_dot_product_attention(*flat)
    found = grid_attention(q, k, v).flatten(-2).transpose(-1, -2)
    torch.testing.assert_close(found, expected)


def test_all_pixels_are_fixed_if_nothing_else_is_said() -> None:
    q, k, v = torch.randn(3, 1, 2, 3, 2, 3)
    values = torch.randn(1, 3, 2, 3)
    found = grid_attention(q, k, v, AttentionSettings(clamp=True), fixed_values=values)
    torch.testing.assert_close(found, values[:, None].expand_as(found))


@pytest.mark.parametrize("axial", [False, True], ids=["full", "axial"])
def test_layer_learns_and_takes_maps_of_any_size(axial: bool) -> None:
    torch.manual_seed(0)
    layer = ProbabilisticSelfAttention(
        12, 3, axial=axial, settings=AttentionSettings(key_iterations=1), max_side=6
    )
    for height, width in ((1, 1), (5, 7), (9, 2)):
        x = torch.randn(2, 12, height, width)
        out = layer(x)
        assert out.shape == x.shape
    x = torch.randn(2, 12, 6, 6)
    layer(x).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("axial", [False, True], ids=["full", "axial"])
def test_layer_in_half_precision(axial: bool) -> None:
    torch.manual_seed(0)
    layer = ProbabilisticSelfAttention(16, 2, axial=axial)
    x = torch.randn(2, 16, 9, 11)
    expected = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x)
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("axial", [False, True], ids=["full", "axial"])
def test_gradients_are_exact(axial: bool) -> None:
    torch.manual_seed(0)
    position = RelativePosition(2, 1, 3).double()
    fixed = torch.tensor([[[True, False, False], [False, False, False]]])
    inputs = [torch.randn(1, 1, c, 2, 3).double().requires_grad_() for c in (2, 2, 1)]
    assert torch.autograd.gradcheck(
        lambda q, k, v: grid_attention(
            q,
            k,
            v,
            AttentionSettings(key_iterations=1),
            axial=axial,
            position=position,
            fixed_values=torch.ones(1, 1, 2, 3).double(),
            fixed=fixed,
        ),
        inputs,
    )


def test_layer_without_positions_and_with_wrong_heads() -> None:
    assert ProbabilisticSelfAttention(8, 2, position=()).position is None
    with pytest.raises(ValueError, match="3 heads do not divide 8 channels"):
        ProbabilisticSelfAttention(8, 3)
