"""Tests of napari_pvpu.networks.upernet, against the formulas written out in numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from napari_pvpu.networks.upernet import ConvUnit, FCNHead, PyramidPooling, UPerHead


def array(x: torch.Tensor) -> np.ndarray:
    return x.detach().numpy()


def unit(module: ConvUnit, x: np.ndarray) -> np.ndarray:
    """Convolution, batch normalisation with running statistics, ReLU."""
    weight = array(module.conv.weight)
    reach = weight.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    out = np.zeros((len(x), len(weight), *x.shape[2:]))
    for i, j in itertools.product(range(weight.shape[2]), range(weight.shape[3])):
        part = padded[:, :, i : i + x.shape[2], j : j + x.shape[3]]
        out += np.einsum("bihw,oi->bohw", part, weight[:, :, i, j])
    norm = module.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = array(norm.weight) / np.sqrt(array(norm.running_var) + 1e-5)
    shift = array(norm.bias) - array(norm.running_mean) * scale
    return np.maximum(out * scale[:, None, None] + shift[:, None, None], 0)


def mean_pool(x: np.ndarray, size: int) -> np.ndarray:
    height, width = x.shape[-2:]
    out = np.empty((*x.shape[:2], size, size))
    for i, j in itertools.product(range(size), range(size)):
        row = slice(i * height // size, -((i + 1) * height // -size))
        column = slice(j * width // size, -((j + 1) * width // -size))
        out[:, :, i, j] = x[:, :, row, column].mean((2, 3))
    return out


def along(x: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Linear resizing of one axis, pixel areas aligned, edges held."""
    old = x.shape[axis]
    position = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, old - 1)
    shape = [1] * x.ndim
    shape[axis] = length
    share = (position - low).reshape(shape)
    return x.take(low, axis) * (1 - share) + x.take(high, axis) * share


def resize(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return along(along(x, size[0], 2), size[1], 3)


def pooling(module: PyramidPooling, x: np.ndarray) -> np.ndarray:
    parts = [x]
    for conv, size in zip(module.pools, module.sizes, strict=True):
        assert isinstance(conv, ConvUnit)
        parts.append(resize(unit(conv, mean_pool(x, size)), x.shape[2:]))
    return unit(module.bottleneck, np.concatenate(parts, axis=1))


def shaken(module: nn.Module) -> nn.Module:
    """The module in float64 with random parameters and statistics, in evaluation mode."""
    for p in module.parameters():
        nn.init.normal_(p, std=0.4)
    for name, b in module.named_buffers():
        if b.is_floating_point():
            nn.init.uniform_(b, 0.5, 2.0) if "var" in name else nn.init.normal_(b)
    return module.double().eval()


def test_pyramid_pooling_is_its_formula() -> None:
    torch.manual_seed(0)
    module = shaken(PyramidPooling(5, 3))
    assert isinstance(module, PyramidPooling)
    for size in ((7, 9), (2, 3)):
        x = torch.randn(2, 5, *size).double()
        expected = pooling(module, array(x))
        np.testing.assert_allclose(array(module(x)), expected, rtol=1e-9, atol=1e-11)


def test_head_is_its_formula() -> None:
    torch.manual_seed(1)
    head = shaken(UPerHead((3, 4, 5), channels=2, classes=2, pools=(1, 2)))
    assert isinstance(head, UPerHead)
    sizes = [(9, 11), (5, 6), (3, 3)]
    maps = [torch.randn(2, c, *s).double() for c, s in zip((3, 4, 5), sizes, strict=True)]
    levels = [unit(lateral, array(x)) for lateral, x in zip(head.laterals, maps, strict=False)]
    levels.append(pooling(head.pooling, array(maps[2])))
    levels[1] = levels[1] + resize(levels[2], sizes[1])
    levels[0] = levels[0] + resize(levels[1], sizes[0])
    for i, smooth in enumerate(head.smoothing):
        assert isinstance(smooth, ConvUnit)
        levels[i] = unit(smooth, levels[i])
    together = np.concatenate([resize(level, sizes[0]) for level in levels], axis=1)
    fused = unit(head.fusion, together)
    weight, bias = (array(p) for p in head.classifier.conv.parameters())
    logits = np.einsum("bihw,oi->bohw", fused, weight[..., 0, 0]) + bias[:, None, None]
    found = head(maps)
    np.testing.assert_allclose(array(found[0]), fused, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(array(found[1]), logits, rtol=1e-9, atol=1e-11)


def test_auxiliary_head_is_its_formula() -> None:
    torch.manual_seed(2)
    head = shaken(FCNHead(4, 3))
    x = torch.randn(2, 4, 5, 7).double()
    hidden = unit(head[0], array(x))
    weight, bias = (array(p) for p in head[1].conv.parameters())
    expected = np.einsum("bihw,oi->bohw", hidden, weight[..., 0, 0]) + bias[:, None, None]
    np.testing.assert_allclose(array(head(x)), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("views", [1, 2])
def test_trains_with_a_batch_of_one(views: int) -> None:
    torch.manual_seed(3)
    head = UPerHead((3, 4), channels=2)
    maps = [torch.randn(views, 3, 4, 4), torch.randn(views, 4, 2, 2)]
    head(maps)[1].square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_converts_to_norms_over_all_devices() -> None:
    head = nn.SyncBatchNorm.convert_sync_batchnorm(UPerHead((3, 4), channels=2))
    kinds = {type(m) for m in head.modules() if "Norm" in type(m).__name__}
    assert kinds == {nn.SyncBatchNorm}
