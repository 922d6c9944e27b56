"""The network as a whole: shapes, masks of empty slots, independence of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from napari_pvpu.networks.config import ModelConfig
from napari_pvpu.networks.interface import Features, count_parameters
from napari_pvpu.networks.models import PRESETS, PVPUNet, build_model
from napari_pvpu.networks.prompt_batch import BOX, CLICK, SCRIBBLE, PromptBatch

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 64


@pytest.fixture(scope="module")
def net(small_config: ModelConfig) -> PVPUNet:
    torch.manual_seed(0)
    return build_model(small_config).eval().requires_grad_(False)


def prompts(slots: int = 3) -> PromptBatch:
    """One click, one box and one negative scribble, then empty slots."""
    batch = PromptBatch.empty(1, slots, 4)
    batch.points[0, 0, 0] = torch.tensor([20.0, 30.0])
    batch.points[0, 1, :2] = torch.tensor([[8.0, 8.0], [40.0, 50.0]])
    batch.points[0, 2] = torch.tensor([[50.0, 5.0], [51.0, 6.0], [52.0, 7.0], [53.0, 9.0]])
    batch.valid[0, 0, 0] = batch.valid[0, 1, :2] = batch.valid[0, 2] = True
    batch.kind[0, :3] = torch.tensor([CLICK, BOX, SCRIBBLE])
    batch.positive[0, :2] = True
    return batch


def test_outputs_have_the_documented_shapes(net: PVPUNet) -> None:
    out = net(torch.rand(1, 3, SIZE, SIZE), prompts())
    assert out.logits.shape == (1, 1, SIZE, SIZE)
    assert out.logits.dtype == torch.float32
    assert out.pixels.shape == (1, 16, SIZE // 4, SIZE // 4)
    assert out.prompt_features.shape == (1, 3, 16)
    assert out.score.shape == (1,)
    assert 0 <= float(out.score) <= 1


@pytest.mark.parametrize("previous", [False, True], ids=["first", "with-previous"])
def test_empty_slots_change_nothing(net: PVPUNet, previous: bool) -> None:
    features = net.encode(torch.rand(1, 3, SIZE, SIZE))
    before = torch.rand(1, 1, SIZE, SIZE) if previous else None
    few = net.decode(features, prompts(3), before)
    many = net.decode(features, prompts(7), before)
    torch.testing.assert_close(few.logits, many.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(few.score, many.score, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("views", [1, 2], ids=["one-view", "batch"])
def test_second_reading_averages_both_answers(net: PVPUNet, views: int) -> None:
    features = net.encode(torch.rand(views, 3, SIZE, SIZE))
    batch = PromptBatch(*(torch.cat([x] * views) for x in prompts()))
    before = torch.rand(views, 1, SIZE, SIZE)
    both = net.decode(features, batch, before, second_reading=True).logits
    fed, alone = net.decode(features, batch, before).logits, net.decode(features, batch).logits
    torch.testing.assert_close(both, (fed + alone) / 2, rtol=1e-4, atol=1e-4)


def test_order_of_prompts_does_not_matter(net: PVPUNet) -> None:
    features = net.encode(torch.rand(1, 3, SIZE, SIZE))
    batch = prompts()
    turned = PromptBatch(*(x.flip(1) for x in batch))
    torch.testing.assert_close(
        net.decode(features, batch).logits,
        net.decode(features, turned).logits,
        rtol=1e-4,
        atol=1e-4,
    )


def test_no_prompt_at_all_is_finite(net: PVPUNet) -> None:
    features = net.encode(torch.rand(1, 3, SIZE, SIZE))
    out = net.decode(features, PromptBatch.empty(1, 2), torch.rand(1, 1, SIZE, SIZE))
    assert out.logits.isfinite().all()


def test_views_of_a_batch_do_not_touch_each_other(net: PVPUNet) -> None:
    views = torch.rand(3, 3, SIZE, SIZE)
    together = net.encode(views)
    alone = net.encode(views[1:2])
    for both, one in zip(together.levels, alone.levels, strict=True):
        torch.testing.assert_close(both[1:2], one, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.inside[1:2], alone.inside)


@pytest.mark.parametrize(
    "change",
    [lambda x: 3 * x + 7, lambda x: 0.1 * x],
    ids=["offset-and-gain", "little-contrast"],
)
def test_brightness_and_contrast_of_the_view_do_not_matter(
    net: PVPUNet, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    view = torch.rand(1, 3, SIZE, SIZE)
    expected = net.encode(view).levels[2]
    torch.testing.assert_close(net.encode(change(view)).levels[2], expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    "view",
    [
        torch.full((1, 3, SIZE, SIZE), 0.3),
        torch.full((1, 3, SIZE, SIZE), torch.nan),
    ],
    ids=["constant", "all-outside"],
)
def test_views_without_content_are_finite(net: PVPUNet, view: torch.Tensor) -> None:
    out = net(view, prompts())
    assert out.logits.isfinite().all()


def test_features_repeat_each_view(net: PVPUNet) -> None:
    features = net.encode(torch.rand(2, 3, SIZE, SIZE))
    twice = features.repeat(2)
    assert isinstance(twice, Features)
    torch.testing.assert_close(twice.levels[1][1], features.levels[1][0])
    torch.testing.assert_close(twice.levels[1][2], features.levels[1][1])


def test_gradients_reach_every_parameter(small_config: ModelConfig) -> None:
    torch.manual_seed(0)
    net = build_model(small_config)
    view = torch.rand(2, 3, SIZE, SIZE)
    batch = PromptBatch(*(torch.cat([x, x]) for x in prompts()))
    out = net(view, batch, torch.rand(2, 1, SIZE, SIZE))
    (out.logits.sum() + out.score.sum() + out.prompt_features.sum()).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_default_preset_has_about_four_million_parameters() -> None:
    total, interactive = count_parameters(build_model("pvpu-nano"))
    assert 3.5e6 < total < 4.6e6
    assert interactive < 0.35 * total


def test_config_round_trip_and_unknown_field() -> None:
    config = PRESETS["pvpu-nano"]
    assert ModelConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="depth_of_thought"):
        ModelConfig.from_dict({"depth_of_thought": 3})


@pytest.mark.parametrize("size", [0, 30, 100], ids=str)
def test_view_size_has_to_fit_the_strides(size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        ModelConfig(view_size=size)


def test_unknown_preset_lists_those_that_exist() -> None:
    with pytest.raises(KeyError, match="pvpu-nano"):
        build_model("pvpu-giga")
