"""The head in place of a classifier: what it computes, what prompts do, that it learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from napari_pvpu.networks.fixed_values import fixed_tokens
from napari_pvpu.networks.probabilistic_attention import AttentionSettings
from napari_pvpu.networks.probabilistic_head import ProbabilisticHead
from napari_pvpu.networks.prompt_batch import CLICK, PromptBatch
from napari_pvpu.networks.self_attention import grid_attention

AXIAL = pytest.mark.parametrize("axial", [False, True], ids=["full", "axial"])


def head(axial: bool, **settings: object) -> ProbabilisticHead:
    torch.manual_seed(0)
    return ProbabilisticHead(6, axial=axial, full_up_to=0, max_side=9, **settings)  # type: ignore[arg-type]


@AXIAL
def test_logits_by_the_formula(axial: bool) -> None:
    """Mean over heads of attention to the classifiers' logits, fixed at L under prompts."""
    layer = head(axial, iterations=2, theta=0.3, beta=0.4, key_iterations=1, key_prior=0.1)
    x = torch.randn(2, 6, 5, 7)
    fixed = torch.zeros(2, 5, 7)
    fixed[0, 1, 2], fixed[0, 4, 4] = 1, -1
    z = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    q, k = (
        torch.einsum("bchw,oc->bohw", z, w.weight).unflatten(1, (2, 16))
        for w in (layer.query, layer.key)
    )
    expected = grid_attention(
        q,
        k,
        layer.value(x)[:, :, None] / 6,
        AttentionSettings(0.25, 0.4, "dot", 1, 0.1, 2, 0.3, clamp=True),
        axial=axial,
        position=layer.position,
        fixed_values=fixed[:, None],
        fixed=fixed != 0,
    ).mean(1)
    torch.testing.assert_close(layer(x, fixed), 6 * expected)


@AXIAL
def test_prompts_keep_their_logit_and_spread_it_to_look_alikes(axial: bool) -> None:
    layer = head(axial, iterations=5, theta=0.1, position=())
    x = torch.full((2, 6, 7, 9), -1.0)
    x[:, :3] = 1.0
    x[:, :, 2:5, 2:8] *= -1  # one object of another look, in its own columns and rows
    fixed = torch.zeros(2, 7, 9)
    fixed[0, 3, 3], fixed[1, 3, 3] = 1, -1
    with torch.no_grad():
        free, bound = layer(x), layer(x, fixed)
    assert bound[0, 0, 3, 3] == pytest.approx(6.0)
    assert bound[1, 0, 3, 3] == pytest.approx(-6.0)
    change = (bound - free)[:, 0]
    for sample, sign in ((0, 1), (1, -1)):
        inside = sign * change[sample, 2:5, 4:8]
        outside = sign * change[sample, [0, 1, 5, 6]]
        assert inside.min() > 0.05
        assert outside.abs().max() < 0.2 * inside.min()


def test_logits_stay_between_those_of_units_and_prompts() -> None:
    layer = head(True, iterations=3, position=())
    x = torch.randn(1, 6, 9, 8)
    fixed = torch.zeros(1, 9, 8)
    fixed[0, 2, 2] = 1
    with torch.no_grad():
        values, out = layer.value(x), layer(x, fixed)
    assert out.min() >= values.min() - 1e-5
    assert out.max() <= max(6.0, float(values.max())) + 1e-5


@AXIAL
def test_samples_of_a_batch_do_not_mix_and_no_prompt_is_no_prompt(axial: bool) -> None:
    layer = head(axial)
    x = torch.randn(3, 6, 5, 8)
    fixed = torch.zeros(3, 5, 8)
    fixed[1, 2, 2] = -1
    together = layer(x, fixed)
    for b in range(3):
        torch.testing.assert_close(layer(x[b : b + 1], fixed[b : b + 1]), together[b : b + 1])
    torch.testing.assert_close(layer(x), layer(x, torch.zeros(3, 5, 8)))
    torch.testing.assert_close(layer(x)[0], together[0])


def test_small_maps_use_full_attention() -> None:
    layer, small = head(True), head(True)
    small.full_up_to = 40
    x, larger = torch.randn(1, 6, 5, 8), torch.randn(1, 6, 5, 9)
    torch.testing.assert_close(small(x), head(False)(x))
    torch.testing.assert_close(small(larger), layer(larger))


def test_trained_classifiers_logits_are_the_units_values() -> None:
    classifier = nn.Conv2d(6, 1, 1)
    layer = ProbabilisticHead.from_classifier(classifier, heads=3, iterations=0, clamp=False)
    x = torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(layer.value(x), classifier(x).expand(-1, 3, -1, -1))
    flat = x[:, :, :1, :1].expand(-1, -1, 5, 7)
    torch.testing.assert_close(layer(flat), classifier(flat))
    with pytest.raises(ValueError, match="1 x 1 convolution"):
        ProbabilisticHead.from_classifier(nn.Conv2d(6, 2, 1))


@AXIAL
def test_gradients_are_finite_everywhere_and_half_precision_is_close(axial: bool) -> None:
    layer = head(axial, iterations=2, key_iterations=1)
    x = torch.randn(2, 6, 9, 7, requires_grad=True)
    fixed = torch.zeros(2, 9, 7)
    fixed[0, 3, 3], fixed[1, 0, 6] = 1, -1
    expected = layer(x, fixed)
    F.binary_cross_entropy_with_logits(expected, torch.ones_like(expected)).backward()
    for name, gradient in [("x", x.grad), *((n, p.grad) for n, p in layer.named_parameters())]:
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
        assert gradient.abs().sum() > 0, name
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x, fixed)
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 0.02 * expected.norm()


@AXIAL
def test_learns_what_a_single_pixel_does_not_tell(axial: bool) -> None:
    """Features so noisy that a 1 x 1 classifier ends below 0.6 IoU on the very same map."""
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(14.0), torch.arange(17.0), indexing="ij")
    target = ((rows - 6) ** 2 + (columns - 8) ** 2 < 20).float()[None, None]
    x = torch.randn(1, 6, 14, 17)
    x[:, :1] += 2 * (target - 0.5)
    layer = head(axial)
    optimizer = torch.optim.Adam(layer.parameters(), 0.03)
    for _ in range(100):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(layer(x), target).backward()
        optimizer.step()
    found = layer(x) > 0
    iou = (found & (target > 0)).sum() / (found | (target > 0)).sum()
    assert iou > 0.85


def test_clicks_of_a_view_fix_cells_of_a_coarser_map() -> None:
    prompts = PromptBatch.empty(1, 2)
    prompts.points[0, :, 0] = torch.tensor([[5.0, 9.0], [14.0, 2.0]])
    prompts.valid[0, :, 0] = True
    prompts.kind[0] = CLICK
    prompts.positive[0, 0] = True
    fixed = fixed_tokens(prompts, 16, (4, 4), 1.0)
    assert fixed[0, 1, 2] == 1
    assert fixed[0, 3, 0] == -1
    with torch.no_grad():
        out = head(True)(torch.randn(1, 6, 4, 4), fixed)
    assert out[0, 0, 1, 2] == pytest.approx(6.0)
    assert out[0, 0, 3, 0] == pytest.approx(-6.0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"iterations": -1}, "iterations is -1"),
        ({"theta": -0.5}, r"theta is -0\.5"),
        ({"key_iterations": -1}, "key_iterations is -1"),
        ({"beta": 0.0}, r"beta is 0\.0"),
        ({"fixed_value": 0.0}, r"fixed_value 0\.0"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else "",
)
def test_bad_settings(bad: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProbabilisticHead(6, **bad)  # type: ignore[arg-type]
