"""Tests of napari_pvpu.networks.interactive_attention."""

from __future__ import annotations

import pytest
import torch

from napari_pvpu.networks.interactive_attention import STRIDES, InteractiveAttention
from napari_pvpu.networks.pooling_attention import PoolingBlock
from napari_pvpu.networks.regions import Region

CHANNELS = (4, 6, 8, 12)


def small(size: int = 64, refine: tuple[int, ...] = (1, 1, 2, 1)) -> InteractiveAttention:
    torch.manual_seed(0)
    net = InteractiveAttention(
        CHANNELS, (1, 2, 2, 3), (2, 2, 2, 2), (1, 1, 2, 1), refine, image_size=size
    )
    return net.eval()


def maps(*size: int, views: int = 2) -> list[torch.Tensor]:
    return [
        torch.randn(views, c, *(n // s for n in size))
        for c, s in zip(CHANNELS, STRIDES, strict=True)
    ]


@pytest.mark.parametrize("stage", range(4))
def test_keys_and_values_at_the_published_size(stage: int) -> None:
    with torch.device("meta"):
        net = InteractiveAttention(refine=(1, 1, 4, 2))
        side = 512 // STRIDES[stage]
        source = torch.empty(1, (32, 64, 128, 256)[stage], side, side)
        blocks = [b for b in net.stages[stage].modules() if isinstance(b, PoolingBlock)]
        assert len(blocks) == (2, 2, 6, 3)[stage]
        counts = {block.attention.pooled(source).shape[1] for block in blocks}
    assert counts == {(246, 246, 246, 361)[stage]}


def test_paths_are_dropped_more_and_more() -> None:
    rates = [
        [b.drop_path.probability for b in stage.modules() if isinstance(b, PoolingBlock)]
        for stage in small().stages
    ]
    flat = [rate for stage in rates for rate in stage]
    assert flat == pytest.approx([0.01 * i / 0.9 for i in range(10)])
    assert [len(stage) for stage in rates] == [2, 2, 4, 2]


def test_stages_are_chained_as_published() -> None:
    """The first block looks at the image's map, the others at themselves."""
    net, levels, reference = small(), maps(64, 64), torch.randn(2, 4, 16, 16)
    x, expected = levels[0] + reference, []
    for stage, kept in zip(net.stages, levels, strict=True):
        for i, block in enumerate(stage.coarse):
            x = block(x, kept if i == 0 else x)
        out = x
        for block in stage.refine:
            out = block(out, out)
        expected.append(stage.norm(out))
        x = x if stage.merging is None else stage.merging(x)
    for found, wanted in zip(net(levels, reference), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("size", [(64, 96), (32, 32), (160, 64)], ids=str)
def test_other_sizes(size: tuple[int, int]) -> None:
    levels = maps(*size, views=3)
    out = small()(levels, torch.randn_like(levels[0]))
    assert [x.shape for x in out] == [x.shape for x in levels]


def test_region_of_everything_changes_nothing() -> None:
    net, levels = small(), maps(64, 96)
    reference = torch.randn_like(levels[0])
    whole = Region(0, 0, 64, 96)
    for regions in ([whole, whole], [whole, None], [None, None]):
        together = zip(net(levels, reference), net(levels, reference, regions), strict=True)
        for expected, found in together:
            torch.testing.assert_close(found, expected)


def test_only_the_region_is_refined() -> None:
    """Crop, refine, paste: inside as if the crop were all, outside as without refinement."""
    net, plain = small(), small(refine=(0, 0, 0, 0))
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if k in plain.state_dict()})
    for stage in (*net.stages, *plain.stages):
        stage.norm = torch.nn.Identity()  # it mixes all positions
    levels = maps(96, 96)
    reference = torch.randn_like(levels[0])
    region = Region(32, 0, 96, 64)
    found = net(levels, reference, [region, None])
    coarse, full = plain(levels, reference), net(levels, reference)
    for stage, stride, out, base, all_of_it in zip(
        net.stages, STRIDES, found, coarse, full, strict=True
    ):
        rows = slice(region.top // stride, region.bottom // stride)
        columns = slice(region.left // stride, region.right // stride)
        crop = base[:1, :, rows, columns]
        for block in stage.refine:
            crop = block(crop)
        torch.testing.assert_close(out[:1, :, rows, columns], crop)
        outside = torch.ones(out.shape[-2:], dtype=torch.bool)
        outside[rows, columns] = False
        assert torch.equal(out[0][:, outside], base[0][:, outside])
        torch.testing.assert_close(out[1], all_of_it[1])


def test_region_passes_gradients() -> None:
    net, levels = small(), maps(64, 64)
    reference = torch.randn_like(levels[0], requires_grad=True)
    out = net(levels, reference, [Region(0, 0, 32, 32), Region(32, 32, 64, 64)])
    sum(x.square().sum() for x in out).backward()
    assert reference.grad is not None
    assert reference.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_views_do_not_disturb_each_other() -> None:
    net, levels = small(), maps(64, 64)
    reference = torch.randn_like(levels[0])
    regions = [Region(0, 0, 32, 64), Region(32, 0, 64, 32)]
    together = net(levels, reference, regions)
    alone = net([x[1:] for x in levels], reference[1:], regions[1:])
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[1:], one)
