"""Tests of napari_pvpu.networks.simpleclick."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional as F

from napari_pvpu.networks.losses import normalized_focal_loss
from napari_pvpu.networks.models import PRESETS, build_model
from napari_pvpu.networks.prompt_batch import CLICK, PromptBatch
from napari_pvpu.networks.simpleclick import SimpleClick, SimpleClickConfig
from napari_pvpu.networks.vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from napari_pvpu.networks.config import ModelConfig

pytest.importorskip("timm")

SMALL = SimpleClickConfig(
    name="small",
    view_size=64,
    vit_width=32,
    vit_depth=2,
    vit_heads=2,
    window_size=2,
    global_blocks=(1,),
    pyramid=(4, 8, 8, 16),
    pixel_dim=8,
)


def build() -> SimpleClick:
    torch.manual_seed(0)
    return SimpleClick(SMALL).eval()


def clicks(views: int = 1) -> PromptBatch:
    """A positive and a negative click, and an empty slot."""
    prompts = PromptBatch.empty(views, 3)
    prompts.points[:, 0, 0] = torch.tensor([20.0, 30.0])
    prompts.points[:, 1, 0] = torch.tensor([5.0, 40.0])
    prompts.valid[:, :2, 0] = True
    prompts.kind[:, :2] = CLICK
    prompts.positive[:, 0] = True
    return prompts


def test_released_network_has_its_parameters() -> None:
    with torch.device("meta"):
        net = SimpleClick(SimpleClickConfig())
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(97.3e6, rel=0.01)


@pytest.mark.parametrize("size", [64, 96, 50])
def test_views_of_any_size(size: int) -> None:
    net = build()
    features = net.encode(torch.rand(2, 3, size, size))
    out = net.decode(features, clicks(2), torch.rand(2, 1, size, size))
    cells = -(-size // 4)
    assert out.logits.shape == (2, 1, size, size)
    assert out.pixels.shape == (2, 8, cells, cells)
    assert out.prompt_features.shape == (2, 3, 8)
    assert out.score.shape == (2,)
    torch.testing.assert_close(out.prompt_features[:, 0], out.pixels[:, :, 5, 7])


def test_is_the_published_pass() -> None:
    """Maps are mask, positive disks, negative disks; corners of the logits are aligned."""
    net, view, previous = build(), torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    mean, deviation = (
        torch.tensor(x)[:, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    rows, columns = torch.arange(64.0)[:, None], torch.arange(64.0)
    disks = [((rows - r) ** 2 + (columns - c) ** 2 <= 25).float() for r, c in ((20, 30), (5, 40))]
    maps = torch.cat([previous, torch.stack(disks)[None]], dim=1)
    x = net.trunk.vit((view - mean) / deviation, net.trunk.maps(maps))
    logits, pixels = net.head([level(x) for level in net.pyramid.levels])
    out = net(view, clicks(), previous)
    expected = F.interpolate(logits, (64, 64), mode="bilinear", align_corners=True)
    torch.testing.assert_close(out.logits, expected)
    torch.testing.assert_close(out.pixels, pixels)


def test_without_a_mask_before_it_is_zero() -> None:
    net, view = build(), torch.rand(1, 3, 64, 64)
    empty = net(view, clicks(), torch.zeros(1, 1, 64, 64))
    assert torch.equal(net(view, clicks()).logits, empty.logits)
    full = net(view, clicks(), torch.ones(1, 1, 64, 64))
    assert not torch.allclose(full.logits, empty.logits)


def test_outside_of_the_image_is_the_mean_colour() -> None:
    view = torch.rand(1, 3, 64, 64)
    view[..., 32:] = float("nan")
    features = build().encode(view)
    assert not features.image[..., 32:].any()
    assert features.inside[0, 0, 0].tolist() == [1.0] * 32 + [0.0] * 32


def test_every_parameter_trains() -> None:
    net = build().train()
    target = torch.zeros(2, 1, 50, 50)
    target[..., 10:30, 10:30] = 1
    logits = net(torch.rand(2, 3, 50, 50), clicks(2), torch.rand(2, 1, 50, 50)).logits
    normalized_focal_loss(logits, target).sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name


def test_bfloat16_is_close() -> None:
    net, view = build(), torch.rand(2, 3, 64, 64)
    exact = net(view, clicks(2)).logits
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(view, clicks(2)).logits
    assert (rough - exact).norm() / exact.norm() < 0.02


def test_its_preset_is_the_released_network() -> None:
    with torch.device("meta"):
        one, two = build_model("simpleclick-vit-b"), SimpleClick(SimpleClickConfig())
    assert one.settings == two.settings
    assert one.config == PRESETS["simpleclick-vit-b"]


def small_preset_with(**encoder: object) -> ModelConfig:
    config = PRESETS["simpleclick-vit-b"]
    sizes = {"width": 32, "depth": 2, "heads": 2, "window_size": 2, "global_blocks": (1,)}
    small = replace(config.encoder, **(sizes | encoder))
    return replace(config, view_size=64, encoder=small, pyramid=(4, 8, 8, 16))


def test_a_frozen_encoder_stays_as_it_is() -> None:
    network = build_model(small_preset_with(frozen=True))
    assert {p.requires_grad for p in network.trunk.vit.parameters()} == {False}
    assert {p.requires_grad for p in network.head.parameters()} == {True}


def test_a_pretrained_encoder_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr(VisionTransformer, "load_pretrained", lambda self: fetched.append(self))
    network = build_model(small_preset_with(pretrained=True))
    assert fetched == [network.trunk.vit]


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("encoder", "kind", "mae"),
        ("encoder", "patch_size", 8),
        ("prompts", "tokens", True),
        ("prompts", "fusion", "none"),
        ("decoder", "classifier", "probabilistic"),
        ("decoder", "key_adaptation", 1),
    ],
)
def test_settings_without_a_meaning_are_refused(part: str, name: str, value: object) -> None:
    config = small_preset_with()
    config = replace(config, **{part: replace(getattr(config, part), **{name: value})})
    with pytest.raises(ValueError, match=f"{part}.{name} {value!r} does not go with decoder.kind"):
        build_model(config)
