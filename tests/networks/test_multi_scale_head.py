"""The multi-scale head and the score against plain numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_pvpu.networks.multi_scale_head import MultiScaleHead, ScoreHead

if TYPE_CHECKING:
    from numpy.typing import NDArray


def array(x: torch.Tensor) -> NDArray[np.float64]:
    return x.detach().double().numpy()


def pointwise(layer: torch.nn.Conv2d, x: NDArray[np.float64]) -> NDArray[np.float64]:
    bias = array(layer.bias)[:, None, None]
    return np.einsum("oc,chw->ohw", array(layer.weight)[:, :, 0, 0], x) + bias


def enlarge(x: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """Bilinear, pixel areas aligned, the edge repeated."""
    for axis, new in ((1, size[0]), (2, size[1])):
        old = x.shape[axis]
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(3)])
        high = np.minimum(low + 1, old - 1)
        x = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
    return x


def test_head_against_the_formulas() -> None:
    torch.manual_seed(0)
    head = MultiScaleHead((3, 5, 4), 6, dropout=0.5).eval()
    maps = [torch.randn(2, 3, 9, 11), torch.randn(2, 5, 5, 6), torch.randn(2, 4, 3, 2)]
    logits, pixels = head(maps)
    for i in range(2):
        each = [
            enlarge(np.maximum(pointwise(conv, array(x[i])), 0), (9, 11))
            for conv, x in zip(head.convs, maps, strict=True)
        ]
        z = np.maximum(pointwise(head.fusion, np.concatenate(each)), 0)
        np.testing.assert_allclose(array(pixels[i]), z, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            array(logits[i]), pointwise(head.classify, z), rtol=1e-4, atol=1e-5
        )


def test_dropout_takes_whole_channels_before_the_logits() -> None:
    torch.manual_seed(0)
    head = MultiScaleHead((3,), 6, dropout=0.5).train()
    x = [torch.randn(1, 3, 4, 5)]
    first, second = head(x), head(x)
    torch.testing.assert_close(first[1], second[1])
    assert not torch.allclose(first[0], second[0])


def test_score_against_the_formula() -> None:
    torch.manual_seed(0)
    score = ScoreHead(4, hidden=5)
    logits, pixels = torch.randn(3, 1, 5, 7), torch.randn(3, 4, 5, 7)
    prompts = torch.randn(3, 2, 4)
    shown = torch.tensor([[True, True], [True, False], [False, True]])
    result = score(logits, pixels, prompts, shown)
    for i in range(3):
        m = 1 / (1 + np.exp(-array(logits[i, 0])))
        z = array(pixels[i])
        inside, outside = (z * m).sum((1, 2)) / m.sum(), (z * (1 - m)).sum((1, 2)) / (1 - m).sum()
        x = np.concatenate([inside, outside, array(prompts[i])[shown[i].numpy()].mean(0)])
        hidden = np.maximum(array(score.mlp[0].weight) @ x + array(score.mlp[0].bias), 0)
        expected = array(score.mlp[2].weight) @ hidden + array(score.mlp[2].bias)
        np.testing.assert_allclose(result[i].item(), expected[0], rtol=1e-4, atol=1e-5)


def test_score_leaves_the_network_alone() -> None:
    inputs = [torch.randn(1, 1, 3, 3), torch.randn(1, 4, 3, 3), torch.randn(1, 2, 4)]
    for x in inputs:
        x.requires_grad_()
    score = ScoreHead(4)
    score(*inputs, torch.ones(1, 2).bool()).sum().backward()
    assert all(x.grad is None for x in inputs)
    assert all(p.grad is not None for p in score.parameters())
