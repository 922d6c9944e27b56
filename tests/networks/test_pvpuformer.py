"""PVPUFormer whole: sizes, fusion modes, slots, gradients, precision, and its backbones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone
from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.networks.pvpuformer import PVPUFormer
from napari_pvpu.networks.pvpuformer_config import PVPUFORMER_PRESETS, PVPUFormerConfig

if TYPE_CHECKING:
    from napari_pvpu.networks.interface import Decoded

SMALL = PVPUFormerConfig(
    name="small",
    view_size=64,
    vit_width=32,
    vit_depth=4,
    vit_heads=2,
    patch_size=8,
    window_size=3,
    global_blocks=(1, 3),
    neck_width=32,
    neck_stride=8,
    pyramid=(8, 12, 16, 20),
    merging_heads=4,
    merging_mlp=40,
    pixel_dim=24,
    slots=4,
    slot_hidden=48,
)
FUSIONS = ["none", "mask", "maps"]


def build(seed: int = 0, **changes: Any) -> PVPUFormer:
    torch.manual_seed(seed)
    return PVPUFormer(replace(SMALL, **changes)).eval()


def prompts(batch: int = 1, side: int = 64) -> PromptBatch:
    """A positive box, two clicks of either polarity and a negative scribble, with gaps."""
    torch.manual_seed(7)
    out = PromptBatch.empty(batch, 6, 5)
    out.points[:] = torch.rand(batch, 6, 5, 2) * (side - 1)
    out.kind[:] = torch.tensor([BOX, EMPTY, CLICK, CLICK, SCRIBBLE, EMPTY])
    out.positive[:] = torch.tensor([1, 0, 1, 0, 0, 1]).bool()
    out.valid[:, [0, 2, 3, 4]] = True
    return out


def changed(a: Decoded, b: Decoded) -> bool:
    return not torch.allclose(a.logits, b.logits, atol=1e-6)


def test_published_number_of_parameters() -> None:
    """122.3 million within a percent, our score head's 49 thousand included."""
    with torch.device("meta"):
        net = PVPUFormer(PVPUFORMER_PRESETS["pvpuformer-vit-b16"])
    total, each_time = count_parameters(net)
    assert abs(total / 122.3e6 - 1) < 0.01
    assert each_time == total - sum(p.numel() for p in net.trunk.vit.patch_embed.parameters())
    assert sum(p.numel() for p in net.score_head.parameters()) < 5e4
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    published = {"prompt_slots": 3.42e6, "merging": 20.1e6, "pyramid": 9.5e6, "prompt_head": 1.57e6}
    for name, count in published.items():
        assert abs(parts[name] / count - 1) < 0.01


def test_encoder_is_not_counted_where_it_runs_once() -> None:
    with torch.device("meta"):
        net = PVPUFormer(PVPUFormerConfig(fusion="none"))
    total, each_time = count_parameters(net)
    once = sum(p.numel() for m in (net.trunk, net.pyramid.levels[0]) for p in m.parameters())
    assert each_time == total - once
    assert each_time < 40e6


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("size", [(64, 64), (50, 50), (75, 90)], ids=str)
def test_any_size(fusion: str, size: tuple[int, int]) -> None:
    net = build(fusion=fusion)
    view = torch.rand(2, 3, *size)
    view[0, :, -9:] = torch.nan
    with torch.no_grad():
        features = net.encode(view)
        out = net.decode(features, prompts(2, min(size)), torch.rand(2, 1, *size))
    assert features.image.shape == (2, 3, *size)
    assert features.inside[0, 0, -9:].sum() == 0
    assert out.logits.shape == (2, 1, *size)
    assert out.pixels.shape[:2] == (2, 24)
    assert out.prompt_features.shape == (2, 6, 24)
    assert out.score.shape == (2,)
    assert all(torch.isfinite(x).all() for x in out)
    assert ((out.score > 0) & (out.score < 1)).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_batch_is_each_sample_alone(fusion: str) -> None:
    net = build(fusion=fusion)
    view, given, before = torch.rand(3, 3, 64, 64), prompts(3), torch.rand(3, 1, 64, 64)
    with torch.no_grad():
        together = net(view, given, before)
        for i in range(3):
            one = PromptBatch(*(x[i : i + 1] for x in given))
            alone = net(view[i : i + 1], one, before[i : i + 1])
            for a, b in zip(together, alone, strict=True):
                torch.testing.assert_close(a[i : i + 1], b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_the_encoder_sees(fusion: str) -> None:
    """The mask before matters unless the encoder runs once; drawn prompts do with maps alone."""
    net = build(fusion=fusion)
    view, given = torch.rand(1, 3, 64, 64), prompts()
    seen: list[torch.Tensor] = []
    hook = net.merging.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        features = net.encode(view)
        first = net.decode(features, given)
        again = net.decode(features, given, torch.rand(1, 1, 64, 64))
        other = given._replace(points=63 - given.points)
        elsewhere = net.decode(features, other)
    hook.remove()
    assert changed(first, again) == (fusion != "none")
    assert changed(first, elsewhere)
    assert torch.allclose(seen[0], seen[1], atol=1e-6) == (fusion == "none")
    assert torch.allclose(seen[0], seen[2], atol=1e-6) == (fusion != "maps")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_encoder_modules_tell_the_truth(fusion: str) -> None:
    net = build(fusion=fusion)
    calls: set[nn.Module] = set()
    for module in net.modules():
        module.register_forward_hook(lambda m, *_: calls.add(m))
    with torch.no_grad():
        features = net.encode(torch.rand(1, 3, 64, 64))
        encoded = set(calls)
        calls.clear()
        net.decode(features, prompts())
    leaves = {m for top in net.encoder_modules() for m in top.modules() if not list(m.children())}
    with_weights = {m for m in leaves if list(m.parameters())}
    assert with_weights <= encoded
    assert not with_weights & calls


@pytest.mark.parametrize("fusion", FUSIONS)
def test_empty_slots_change_nothing(fusion: str) -> None:
    net = build(fusion=fusion)
    view, given = torch.rand(1, 3, 64, 64), prompts()
    full = PromptBatch(*(x[:, [0, 2, 3, 4]] for x in given))
    with torch.no_grad():
        a, b = net(view, given), net(view, full)
        net.prompt_slots.empty.fill_(3.0)
        c = net(view, given)
    torch.testing.assert_close(a.logits, b.logits)
    torch.testing.assert_close(a.prompt_features[:, [0, 2, 3, 4]], b.prompt_features)
    torch.testing.assert_close(a.logits, c.logits)


def test_empty_slots_take_part_as_released() -> None:
    net = build(mask_empty_slots=False)
    view, given = torch.rand(1, 3, 64, 64), prompts()
    with torch.no_grad():
        a = net(view, given)
        net.prompt_slots.empty.fill_(3.0)
        assert changed(a, net(view, given))


def test_no_prompts_at_all() -> None:
    net = build()
    with torch.no_grad():
        out = net(torch.rand(2, 3, 64, 64), PromptBatch.empty(2, 1))
    assert all(torch.isfinite(x).all() for x in out)


def test_the_oldest_prompts_lose_their_slots() -> None:
    net = build(fusion="none")
    given = PromptBatch.empty(1, 6)
    given.points[:] = torch.rand(1, 6, 2, 2) * 63
    given.kind[:], given.positive[:], given.valid[:] = CLICK, True, True
    with torch.no_grad():
        features = net.encode(torch.rand(1, 3, 64, 64))
        many = net.decode(features, given)
        last = net.decode(features, PromptBatch(*(x[:, 2:] for x in given)))
    torch.testing.assert_close(many.logits, last.logits)
    assert (many.prompt_features[:, :2] == 0).all()
    torch.testing.assert_close(many.prompt_features[:, 2:], last.prompt_features)


def loss_of(out: Decoded) -> torch.Tensor:
    spread = (out.prompt_features @ out.pixels.flatten(2)).square().mean()
    return out.logits.square().mean() + spread + out.score.sum()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_reach_everything_that_trains(fusion: str) -> None:
    net = build(fusion=fusion).train()
    loss_of(net(torch.rand(2, 3, 64, 64), prompts(2), torch.rand(2, 1, 64, 64))).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("fusion", FUSIONS)
def test_half_precision(fusion: str) -> None:
    net = build(fusion=fusion)
    view, given, before = torch.rand(2, 3, 64, 64), prompts(2), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        exact = net(view, given, before)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(view, given, before)
    assert half.logits.dtype == torch.float32
    for a, b in zip(exact, half, strict=True):
        assert (b.float() - a).norm() < 0.02 * a.norm()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_features_may_be_kept_and_repeated(fusion: str) -> None:
    net = build(fusion=fusion)
    with torch.no_grad():
        features = net.encode(torch.rand(1, 3, 64, 64))
        one = net.decode(features, prompts())
        two = net.decode(
            features.detach().repeat(2),
            PromptBatch(*(x.repeat_interleave(2, 0) for x in prompts())),
        )
    torch.testing.assert_close(two.logits[1:], one.logits, rtol=1e-3, atol=1e-5)


def test_key_adaptation_adds_no_parameters() -> None:
    plain, adapted = build(), build(key_adaptation=1, key_prior=0.1)
    adapted.load_state_dict(plain.state_dict())
    view = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert changed(plain(view, prompts()), adapted(view, prompts()))


class Strips(FeatureBackbone):
    """A backbone of one convolution a level."""

    def __init__(self, strides: tuple[int, ...] = (2, 4, 8, 16)) -> None:
        super().__init__()
        self.strides, self.channels = strides, tuple(4 + s for s in strides)
        self.levels = nn.ModuleList(nn.Conv2d(3, 4 + s, s, stride=s) for s in strides)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(level(image) for level in self.levels)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_backbone_of_ones_own(fusion: str) -> None:
    torch.manual_seed(0)
    net = PVPUFormer(replace(SMALL, fusion=fusion), Strips()).train()
    if fusion != "none":  # the last layer of the maps starts from zero
        nn.init.normal_(net.trunk.maps[-1].weight)
    out = net(torch.rand(2, 3, 50, 70), prompts(2, 50), torch.rand(2, 1, 50, 70))
    assert out.logits.shape == (2, 1, 50, 70)
    loss_of(out).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_maps_start_without_a_say_in_pretrained_backbones() -> None:
    torch.manual_seed(0)
    net = PVPUFormer(SMALL, Strips()).eval()
    view = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert not changed(net(view, prompts()), net(view, prompts(), torch.rand(1, 1, 64, 64)))


def test_too_shallow_a_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"stride 8.*\(2, 4\)"):
        PVPUFormer(SMALL, Strips((2, 4)))


@pytest.mark.parametrize(
    ("backbone", "stride"),
    [
        pytest.param("mit_b0", 8, id="segformer"),
        pytest.param("hrnet_w18_small", 16, id="hrnet"),
        pytest.param("deeplabv3plus-resnet18", 16, id="deeplab"),
        pytest.param("resnet18", 16, id="resnet"),
        pytest.param("vit_tiny_patch16_224", 16, id="plain-vit"),
    ],
)
def test_published_backbones(backbone: str, stride: int) -> None:
    if backbone.startswith("mit_"):
        pytest.importorskip("segmentation_models_pytorch")
    net = build(backbone=backbone, neck_stride=stride).train()
    nn.init.normal_(net.trunk.maps[-1].weight)
    out = net(torch.rand(2, 3, 50, 64), prompts(2, 50))
    assert out.logits.shape == (2, 1, 50, 64)
    loss_of(out).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    unused = [name for name, p in net.named_parameters() if p.grad is None]
    assert unused == []


@pytest.mark.parametrize("name", sorted(PVPUFORMER_PRESETS))
def test_presets_fit_together(name: str) -> None:
    """On the meta device, where shapes are all there is."""
    if "segformer" in name:
        pytest.importorskip("segmentation_models_pytorch")
    config = PVPUFORMER_PRESETS[name]
    assert config.name == name
    assert config.to_dict()["fusion"] == "maps"
    with torch.device("meta"):
        net = PVPUFormer(config)
    assert net.head.fusion.in_channels == 4 * 256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"fusion": "late"}, "'late'", id="fusion"),
        pytest.param({"view_size": 16}, "not 16", id="size"),
        pytest.param({"merging_depth": 2}, "not 2", id="depth"),
    ],
)
def test_bad_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


def test_frozen_vit_does_not_train() -> None:
    net = build(frozen=True)
    assert not any(p.requires_grad for p in net.trunk.vit.parameters())
    assert all(p.requires_grad for p in net.trunk.maps.parameters())
