"""Tests of napari_pvpu.networks.interformer."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.networks.interformer import InterFormer, ReferenceTable, margin
from napari_pvpu.networks.interformer_config import INTERFORMER_PRESETS, InterFormerConfig
from napari_pvpu.networks.losses import normalized_focal_loss
from napari_pvpu.networks.prompt_batch import BOX, CLICK, SCRIBBLE, PromptBatch
from napari_pvpu.networks.reference_map import ReferenceMap, reference_states
from napari_pvpu.networks.regions import Region

SMALL = InterFormerConfig(
    name="small",
    view_size=64,
    vit_width=16,
    vit_depth=2,
    vit_heads=2,
    channels=(4, 8, 8, 16),
    heads=(1, 2, 2, 4),
    mlp_ratios=(2, 2, 2, 2),
    refine=(1, 1, 2, 1),
    head_channels=8,
)


def build(**changes: object) -> InterFormer:
    torch.manual_seed(0)
    return InterFormer(dataclasses.replace(SMALL, **changes)).eval()


def click(views: int = 1, at: tuple[float, float] = (20, 30), positive: bool = True) -> PromptBatch:
    prompts = PromptBatch.empty(views, 2)
    prompts.points[:, 0, 0] = torch.tensor(at)
    prompts.valid[:, 0, 0] = True
    prompts.kind[:, 0] = CLICK
    prompts.positive[:, 0] = positive
    return prompts


def mixed(views: int = 2) -> PromptBatch:
    """A click, a box, a scribble and an empty slot."""
    prompts = PromptBatch.empty(views, 4, points=5)
    path = torch.tensor([(10.0, 10.0), (12, 14), (13, 16), (15, 20), (16, 22)])
    for slot, (kind, count) in enumerate(((CLICK, 1), (BOX, 2), (SCRIBBLE, 5))):
        prompts.points[:, slot] = path
        prompts.valid[:, slot, :count] = True
        prompts.kind[:, slot] = kind
        prompts.positive[:, slot] = slot != 1
    return prompts


@pytest.mark.parametrize(
    ("name", "interactive", "encoder"),
    [
        pytest.param("interformer-light", 2.37e6, 94e6, id="Light"),
        pytest.param("interformer-tiny", 4.95e6, 318e6, id="Tiny"),
    ],
)
def test_parameters_are_the_published_ones(name: str, interactive: float, encoder: float) -> None:
    with torch.device("meta"):
        net = InterFormer(INTERFORMER_PRESETS[name])
    total, each_time = count_parameters(net)
    once = sum(p.numel() for m in (net.encoder, net.pyramid) for p in m.parameters())
    training = sum(p.numel() for p in net.auxiliary.parameters())
    assert each_time == pytest.approx(interactive, rel=0.01)
    assert once == pytest.approx(encoder, rel=0.01)
    assert total == once + each_time + training
    assert net.config.name == name


@pytest.mark.parametrize("size", [64, 96, 50, 33, 7], ids=str)
def test_views_of_any_size(size: int) -> None:
    net = build()
    view = torch.rand(2, 3, size, size)
    features = net.encode(view)
    whole = -(-size // 32) * 32
    sides = [tuple(x.shape[-2:]) for x in features.levels]
    assert sides == [(whole // s, whole // s) for s in (4, 8, 16, 32)]
    out = net.decode(features, mixed(), torch.rand(2, 1, size, size))
    cells = -(-size // 4)
    assert out.logits.shape == (2, 1, size, size)
    assert out.logits.dtype == torch.float32
    assert out.pixels.shape == (2, 8, cells, cells)
    assert out.prompt_features.shape == (2, 4, 8)
    assert out.score.shape == (2,)
    assert features.image.shape == (2, 3, size, size)
    assert out.logits.isfinite().all()


def test_padding_is_that_of_a_view_padded_beforehand() -> None:
    net = build()
    view = torch.rand(1, 3, 50, 50)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    padded = mean.expand(3, 64, 64).clone()[None]
    padded[..., :50, :50] = view
    prompts = click()
    short, long = net(view, prompts), net(padded, prompts)
    torch.testing.assert_close(short.logits, long.logits[..., :50, :50])
    torch.testing.assert_close(short.prompt_features, long.prompt_features)


def test_outside_of_the_image_is_the_mean_colour() -> None:
    net = build()
    view = torch.rand(1, 3, 64, 64)
    view[..., 40:] = float("nan")
    features = net.encode(view)
    assert torch.equal(features.image[..., 40:], torch.zeros(1, 3, 64, 24))
    assert torch.equal(features.inside[0, 0, 0], (torch.arange(64) < 40).float())
    expected = (view[0, :, 0, 0] - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(features.image[0, :, 0, 0], expected)


def test_encoded_once_answers_as_if_fresh() -> None:
    net = build(zoom_from=2)
    view = torch.rand(2, 3, 64, 64)
    kept = net.encode(view)
    copies = [x.clone() for x in kept.levels]
    previous = None
    for prompts in (click(2), mixed(), mixed()):
        again = net.decode(kept, prompts, previous)
        fresh = net(view, prompts, previous)
        assert torch.equal(again.logits, fresh.logits)
        previous = again.logits.sigmoid()
    assert all(torch.equal(x, y) for x, y in zip(kept.levels, copies, strict=True))


def test_states_reach_the_network_as_in_the_published_embedding() -> None:
    torch.manual_seed(1)
    table = ReferenceTable(6)
    states = torch.randint(0, 5, (2, 16, 24))
    full = torch.nn.functional.one_hot(states, 5).float() @ table.weight
    expected = torch.nn.functional.interpolate(
        full.permute(0, 3, 1, 2), (4, 6), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(table(states), expected)
    assert table.weight.shape == (5, 6)


def test_decode_is_the_published_pass_over_the_states() -> None:
    net, view, previous = build(), torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    features = net.encode(view)
    states = reference_states(mixed(), 64, 5.0, previous)
    maps = net.attention(features.levels, net.reference(states))
    fused, classes = net.head(maps)
    logits = (classes[:, 1:] - classes[:, :1]).float()
    expected = torch.nn.functional.interpolate(logits, (64, 64), mode="bilinear")
    out = net.decode(features, mixed(), previous)
    torch.testing.assert_close(out.logits, expected)
    torch.testing.assert_close(out.pixels, fused)


def test_states_kept_between_interactions_answer_the_published_loop() -> None:
    net = build()
    features = net.encode(torch.rand(1, 3, 64, 64))
    reference = ReferenceMap.blank(1, 64).with_clicks(click())
    first = net.read(features, reference.states)
    torch.testing.assert_close(
        first.logits, net.read(features, reference_states(click(), 64, 5.0)).logits
    )
    probability = torch.nn.functional.interpolate(first.logits, (64, 64), mode="bilinear").sigmoid()
    reference = reference.with_prediction(probability).with_clicks(click(at=(50, 50)))
    region = net.regions_of_interest(reference.states, probability)
    second = net.read(features, reference.states, region)
    assert second.logits.shape == (1, 1, 16, 16)
    assert not torch.allclose(first.logits, second.logits)


def test_polarity_matters() -> None:
    net = build()
    features = net.encode(torch.rand(1, 3, 64, 64))
    yes, no = (net.decode(features, click(positive=p)).logits for p in (True, False))
    assert not torch.allclose(yes, no)


def test_zoom_in_begins_with_the_interaction_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    net = build(zoom_from=3)
    asked: list[object] = []
    attention = net.attention.forward

    def spy(levels: object, reference: object, regions: object = None) -> object:
        asked.append(regions)
        return attention(levels, reference, regions)

    monkeypatch.setattr(net.attention, "forward", spy)
    features = net.encode(torch.rand(2, 3, 96, 96))
    one = click(2, at=(10, 10))
    three = mixed()
    three.kind[1, 1:] = 0  # the second view had one interaction only
    previous = torch.zeros(2, 1, 96, 96)
    previous[..., 5:20, 5:25] = 1
    net.decode(features, one)
    net.decode(features, one, previous)
    net.decode(features, three)
    net.decode(features, three, previous)
    net.train().decode(features, three, previous)
    assert asked == [None, [None, None], None, [Region(0, 0, 32, 64), None], None]


def test_zoom_in_on_everything_is_no_zoom_in() -> None:
    plain, zoomed = build(), build(zoom_from=1)
    features = plain.encode(torch.rand(2, 3, 64, 64))
    previous = torch.ones(2, 1, 64, 64)
    torch.testing.assert_close(
        zoomed.decode(features, mixed(), previous).logits,
        plain.decode(features, mixed(), previous).logits,
    )


def test_zoom_in_changes_what_it_refines() -> None:
    plain, zoomed = build(), build(zoom_from=1)
    features = plain.encode(torch.rand(1, 3, 96, 96))
    previous = torch.zeros(1, 1, 96, 96)
    answers = [net.decode(features, click(), previous).logits for net in (plain, zoomed)]
    assert not torch.allclose(*answers, atol=1e-5)


def test_prompt_features_are_those_under_the_prompts() -> None:
    net = build()
    out = net(torch.rand(1, 3, 64, 64), click(at=(20, 30)))
    torch.testing.assert_close(out.prompt_features[0, 0], out.pixels[0, :, 5, 7])
    assert not out.prompt_features[0, 1].any()


@pytest.mark.parametrize("size", [64, 50])
def test_every_parameter_trains(size: int) -> None:
    net = build(drop_path=0.0).train()
    target = torch.zeros(2, 1, size, size)
    target[..., 10:30, 10:30] = 1
    features = net.encode(torch.rand(2, 3, size, size))
    out, auxiliary = net.decode_with_auxiliary(features, mixed(), torch.rand(2, 1, size, size))
    assert auxiliary.shape == out.logits.shape
    loss = normalized_focal_loss(out.logits, target)
    loss = loss + net.settings.auxiliary_weight * normalized_focal_loss(auxiliary, target)
    loss.sum().backward()
    missing = [name for name, p in net.named_parameters() if p.grad is None]
    assert missing == []
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_one_step_lowers_the_loss() -> None:
    net = build().train()
    view, target = torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    target[..., 10:30, 20:40] = 1
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        loss = normalized_focal_loss(net(view, click(2)).logits, target).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_bfloat16_is_close() -> None:
    net = build()
    view, previous = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    exact = net(view, mixed(), previous)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(view, mixed(), previous)
    assert rough.logits.dtype == torch.float32
    difference = (rough.logits - exact.logits).norm() / exact.logits.norm()
    assert difference < 0.02


def test_state_survives_saving() -> None:
    net, other = build(), build()
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1)
    other.load_state_dict(net.state_dict())
    view = torch.rand(1, 3, 64, 64)
    assert torch.equal(net(view, click()).logits, other(view, click()).logits)


def test_margin_of_a_mask() -> None:
    logits = torch.tensor([[0.75, 0.25], [0.95, 0.5]]).logit()[None, None]
    assert margin(logits).item() == pytest.approx((0.5 + 0.9) / 2)
    assert margin(torch.full((2, 1, 3, 3), -5.0)).tolist() == [0, 0]
    assert not margin(logits.requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        pytest.param({"view_size": 40}, "multiple of 32 and at least 32, not 40", id="size"),
        pytest.param({"zoom_from": -1}, "not -1", id="zoom"),
        pytest.param({"coarse": (1, 0, 1, 1)}, "needs a coarse block", id="coarse"),
    ],
)
def test_config_says_what_is_wrong(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        dataclasses.replace(SMALL, **changes)
