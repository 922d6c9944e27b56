"""Building blocks: attention, position encoding, reshaping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_pvpu.networks import blocks
from napari_pvpu.networks.blocks import (
    Attention,
    Downsample,
    SeparableBlock,
    attend,
    sine_position_encoding,
    to_grid,
    to_tokens,
    upsample,
)


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
@pytest.mark.parametrize("fused", [False, True], ids=["written-out", "fused"])
def test_attention_equals_torch(masked: bool, fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_FUSE_ABOVE", 0 if fused else 10**9)
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 4) for n in (5, 6, 6))
    allowed = torch.tensor([[1, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 1]]).bool()[:, None, None]
    mask = allowed if masked else None
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(attend(query, key, value, mask), expected)


def test_masked_keys_have_no_influence() -> None:
    torch.manual_seed(0)
    layer = Attention(8, 2)
    query, key = torch.randn(1, 4, 8), torch.randn(1, 3, 8)
    allowed = torch.tensor([[True, True, False]])
    other = key.clone()
    other[:, 2] = 1e3
    torch.testing.assert_close(layer(query, key, key, allowed), layer(query, other, other, allowed))


def test_heads_have_to_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="3 heads do not divide 8 channels"):
        Attention(8, 3)


def adapted_by_numpy(
    q: np.ndarray, k: np.ndarray, seen: np.ndarray, steps: int, theta: float
) -> np.ndarray:
    """Eq. 18 for one head of one sample; `seen` (I, K) says which query may come from which key."""
    alpha = q.shape[1] ** -0.5
    for _ in range(steps):
        weight = np.where(seen, np.exp(alpha * q @ k.T), 0)
        weight = weight / np.maximum(weight.sum(1, keepdims=True), 1e-300)
        for j in range(len(k)):
            mass = theta + alpha * weight[:, j].sum()
            if mass > 1e-20:
                moved = theta * k[j] + alpha * sum(weight[i, j] * q[i] for i in range(len(q)))
                k[j] = moved / mass
    return k


@pytest.mark.parametrize(("steps", "theta"), [(1, 0.0), (3, 0.02)])
def test_key_adaptation_equals_plain_numpy(steps: int, theta: float) -> None:
    torch.manual_seed(0)
    layer = Attention(6, 2, 10, key_adaptation=steps, key_prior=theta).double()
    plain = Attention(6, 2, 10).double()
    plain.load_state_dict(layer.state_dict())
    query, key, value = (torch.randn(2, n, 6).double() for n in (5, 7, 7))
    allowed, counted = torch.ones(2, 7).bool(), torch.ones(2, 5).bool()
    allowed[0, 2:4] = False
    counted[1, 3:] = False
    keys = layer.key(key).detach().numpy()
    for b in range(2):
        seen = counted[b].numpy()[:, None] & allowed[b].numpy()
        q = layer.query(query[b]).detach().numpy()
        for head in (slice(0, 5), slice(5, 10)):
            keys[b, :, head] = adapted_by_numpy(
                q[:, head], keys[b, :, head].copy(), seen, steps, theta
            )
    plain.key = torch.nn.Identity()  # type: ignore[assignment]
    expected = plain(query, torch.from_numpy(keys), value, allowed)
    torch.testing.assert_close(layer(query, key, value, allowed, counted=counted), expected)


def test_key_adaptation_adds_no_parameter_and_a_strong_prior_turns_it_off() -> None:
    torch.manual_seed(0)
    plain, strong = Attention(8, 2), Attention(8, 2, key_adaptation=2, key_prior=1e7)
    strong.load_state_dict(plain.state_dict())
    x, y = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    torch.testing.assert_close(strong(x, y, y), plain(x, y, y), rtol=1e-4, atol=1e-5)


def test_key_adaptation_in_half_precision_and_with_gradients() -> None:
    torch.manual_seed(0)
    layer = Attention(16, 4, key_adaptation=2)
    x = torch.randn(3, 5, 16, requires_grad=True)
    y = torch.randn(3, 33, 16, requires_grad=True)
    expected = layer(x, y, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x, y, y)
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.02 * expected.norm()
    expected.square().sum().backward()
    for gradient in (x.grad, y.grad, *(p.grad for p in layer.parameters())):
        assert gradient is not None
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("bad", [{"key_adaptation": -1}, {"key_prior": -0.1}])
def test_key_adaptation_refuses_negative_settings(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="choose 0 or more"):
        Attention(8, 2, **bad)  # type: ignore[arg-type]


def test_position_encoding_of_columns_and_rows() -> None:
    encoding = sine_position_encoding(16, 3, 5).view(3, 5, 16)
    assert (encoding[0, :, :8] == encoding[2, :, :8]).all(), "the first half encodes columns"
    assert (encoding[:, 0, 8:] == encoding[:, 4, 8:]).all(), "the second half encodes rows"
    flat = encoding.flatten(0, 1)
    assert (torch.cdist(flat, flat) + torch.eye(15)).min() > 1e-3, "no two places are alike"


def test_position_encoding_of_a_finer_grid_agrees() -> None:
    coarse = sine_position_encoding(16, 4, 4).view(4, 4, 16).permute(2, 0, 1)[None]
    fine = sine_position_encoding(16, 12, 12).view(12, 12, 16).permute(2, 0, 1)[None]
    torch.testing.assert_close(fine[..., 1::3, 1::3], coarse, rtol=1e-4, atol=1e-4)


def test_position_encoding_needs_a_multiple_of_four() -> None:
    with pytest.raises(ValueError, match="not 10"):
        sine_position_encoding(10, 2, 2)


def test_tokens_and_grid_are_inverse() -> None:
    grid = torch.arange(24.0).view(1, 2, 3, 4)
    tokens = to_tokens(grid)
    assert tokens.shape == (1, 12, 2)
    assert tokens[0, 5].tolist() == [5, 17]
    assert torch.equal(to_grid(tokens, grid), grid)


def test_upsampling_aligns_areas() -> None:
    coarse = torch.tensor([[[[0.0, 4.0]]]])
    assert upsample(coarse, (1, 4)).flatten().tolist() == [0, 1, 3, 4]


def test_shapes() -> None:
    x = torch.randn(2, 8, 6, 10)
    assert SeparableBlock(8)(x).shape == x.shape
    assert Downsample(8, 12)(x).shape == (2, 12, 3, 5)
