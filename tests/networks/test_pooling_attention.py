"""Tests of napari_pvpu.networks.pooling_attention, against the formulas written out in numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.pooling_attention import (
    DropPath,
    InvertedResidual,
    PatchMerging,
    PoolingAttention,
    PoolingBlock,
    pooled_side,
)


def array(x: torch.Tensor) -> np.ndarray:
    return x.detach().numpy()


def maximum_pool(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Adaptive maximum: cell i covers floor(i n / m) up to ceil((i + 1) n / m)."""
    height, width = x.shape[-2:]
    out = np.empty((*x.shape[:2], rows, columns))
    for i, j in itertools.product(range(rows), range(columns)):
        row = slice(i * height // rows, -((i + 1) * height // -rows))
        column = slice(j * width // columns, -((j + 1) * width // -columns))
        out[:, :, i, j] = x[:, :, row, column].max((2, 3))
    return out


def depthwise(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros_like(x) + bias[:, None, None]
    for i, j in itertools.product(range(3), range(3)):
        part = padded[:, :, i : i + x.shape[2], j : j + x.shape[3]]
        out += weight[:, 0, i, j, None, None] * part
    return out


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def group_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    mean, variance = x.mean((1, 2, 3), keepdims=True), x.var((1, 2, 3), keepdims=True)
    scaled = (x - mean) / np.sqrt(variance + 1e-5)
    return scaled * weight[:, None, None] + bias[:, None, None]


def hard_swish(x: np.ndarray) -> np.ndarray:
    return x * np.clip(x + 3, 0, 6) / 6


def attention(layer: PoolingAttention, x: np.ndarray, source: np.ndarray) -> np.ndarray:
    w = {name: array(value) for name, value in layer.named_parameters()}
    height, width = source.shape[-2:]
    cells = []
    for i, ratio in enumerate(layer.ratios):
        rows, columns = (
            length
            if ratio == 1
            else round(length / round(length / min(layer.target / ratio, length)))
            for length in (height, width)
        )
        small = maximum_pool(source, rows, columns)
        small = small + depthwise(small, w[f"spatial.{i}.weight"], w[f"spatial.{i}.bias"])
        cells.append(small.reshape(*small.shape[:2], -1).transpose(0, 2, 1))
    tokens = layer_norm(np.concatenate(cells, axis=1), w["norm.weight"], w["norm.bias"])
    key_value = tokens @ w["key_value.weight"].T + w["key_value.bias"]
    channels = x.shape[1]
    key, value = key_value[..., :channels], key_value[..., channels:]
    query = x.reshape(*x.shape[:2], -1).transpose(0, 2, 1) @ w["query.weight"].T + w["query.bias"]
    dim = channels // layer.heads
    out = np.empty_like(query)
    for head in range(layer.heads):
        part = slice(head * dim, (head + 1) * dim)
        logits = query[..., part] @ key[..., part].transpose(0, 2, 1) / np.sqrt(dim)
        weight = np.exp(logits - logits.max(-1, keepdims=True))
        out[..., part] = weight / weight.sum(-1, keepdims=True) @ value[..., part]
    out = out @ w["project.weight"].T + w["project.bias"]
    return out.transpose(0, 2, 1).reshape(x.shape)


def residual(layer: InvertedResidual, x: np.ndarray) -> np.ndarray:
    w = [array(p) for p in layer.parameters()]
    x = hard_swish(np.einsum("bihw,oi->bohw", x, w[0][..., 0, 0]) + w[1][:, None, None])
    x = hard_swish(depthwise(x, w[2], w[3]))
    return np.einsum("bihw,oi->bohw", x, w[4][..., 0, 0]) + w[5][:, None, None]


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """The module in float64 with all parameters random, norms included."""
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.4)
    return module.double().eval()


@pytest.mark.parametrize(
    ("size", "other"),
    [
        pytest.param((11, 13), (11, 13), id="odd"),
        pytest.param((7, 5), (17, 9), id="source of another size"),
        pytest.param((1, 3), (1, 3), id="one row"),
    ],
)
@pytest.mark.parametrize("ratios", [(1, 2, 3, 4), (3, 5)], ids=str)
def test_attention_is_its_formula(
    size: tuple[int, int], other: tuple[int, int], ratios: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    layer = shaken(PoolingAttention(6, 2, target=16, ratios=ratios))
    assert isinstance(layer, PoolingAttention)
    x, source = torch.randn(3, 6, *size).double(), torch.randn(3, 6, *other).double()
    expected = attention(layer, array(x), array(source))
    np.testing.assert_allclose(array(layer(x, source)), expected, rtol=1e-10, atol=1e-12)


def test_inverted_residual_is_its_formula() -> None:
    torch.manual_seed(1)
    layer = shaken(InvertedResidual(5, 3))
    assert isinstance(layer, InvertedResidual)
    x = torch.randn(2, 5, 7, 9).double()
    np.testing.assert_allclose(array(layer(x)), residual(layer, array(x)), rtol=1e-10, atol=1e-12)


def test_block_is_its_formula() -> None:
    torch.manual_seed(2)
    block = shaken(PoolingBlock(4, 2, 8, (1, 2), 2, drop_path=0.5))
    assert isinstance(block, PoolingBlock)
    w = {name: array(value) for name, value in block.named_parameters()}
    x, source = torch.randn(2, 4, 7, 5).double(), torch.randn(2, 4, 7, 5).double()

    def norm(name: str, value: np.ndarray) -> np.ndarray:
        return group_norm(value, w[f"{name}.weight"], w[f"{name}.bias"])

    for given_source in (source, None):
        kv = array(x if given_source is None else given_source)
        y = array(x) + attention(block.attention, norm("norm1", array(x)), norm("norm_source", kv))
        y = y + residual(block.mlp, norm("norm2", y))
        np.testing.assert_allclose(array(block(x, given_source)), y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 2)], ids=str)
def test_patch_merging_is_its_formula(size: tuple[int, int]) -> None:
    torch.manual_seed(3)
    layer = shaken(PatchMerging(3, 5))
    w = {name: array(value) for name, value in layer.named_parameters()}
    x = torch.randn(2, 3, *size).double()
    padded = np.pad(array(x), ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = (size[0] + 1) // 2, (size[1] + 1) // 2
    expected = np.empty((2, 5, rows, columns))
    for i, j in itertools.product(range(rows), range(columns)):
        patch = padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].reshape(2, 27)
        normed = layer_norm(patch, w["norm.weight"], w["norm.bias"])
        expected[:, :, i, j] = normed @ w["reduction.weight"].T
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("side", "ratios", "expected"),
    [
        pytest.param(128, (12, 16, 20, 24), [11, 8, 6, 5], id="stride 4"),
        pytest.param(64, (6, 8, 10, 12), [11, 8, 6, 5], id="stride 8"),
        pytest.param(32, (3, 4, 5, 6), [11, 8, 6, 5], id="stride 16"),
        pytest.param(16, (1, 2, 3, 4), [16, 8, 5, 4], id="stride 32"),
    ],
)
def test_pools_at_the_published_size(
    side: int, ratios: tuple[int, ...], expected: list[int]
) -> None:
    assert [pooled_side(side, side, ratio) for ratio in ratios] == expected


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 128), st.integers(1, 24))
def test_pools_have_a_cell_and_no_more_than_there_are(length: int, target: int, ratio: int) -> None:
    assert 1 <= pooled_side(length, target, ratio) <= length


def test_heads_have_to_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="3 heads do not divide 8 channels"):
        PoolingAttention(8, 3, 16, (1,))


def test_dropped_paths_are_whole_samples_and_keep_the_mean() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(4000, 2, 3)
    out = drop(x)
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert (out.flatten(1).amax(1) == out.flatten(1).amin(1)).all()
    assert float(out.mean()) == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(x), x)
    assert torch.equal(DropPath(0).train()(x), x)
    assert repr(drop) == "DropPath(0.25)"
