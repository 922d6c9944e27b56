"""Tests of napari_pvpu.networks.mae_backbone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_pvpu.networks.mae_backbone import (
    MAEBackbone,
    RelativeAttention,
    SimpleFeaturePyramid,
    nearest_cells,
    relative_index,
)


def array(x: torch.Tensor) -> np.ndarray:
    return x.detach().numpy()


@pytest.mark.parametrize("cells", [3, 4, 5, 7, 8, 12])
def test_cells_are_those_of_nearest_resizing(cells: int) -> None:
    side = 4
    expected = F.interpolate(torch.arange(side).float()[None, None], cells, mode="nearest")
    assert nearest_cells(cells, side).tolist() == expected[0, 0].long().tolist()


def test_index_of_a_small_grid() -> None:
    # Offsets (query minus key) of a 2 x 2 grid; span 3, so row 4 is "no offset".
    assert relative_index((2, 2), 2).tolist() == [
        [11, 9, 9, 9, 9],
        [10, 4, 3, 1, 0],
        [10, 5, 4, 2, 1],
        [10, 7, 6, 4, 3],
        [10, 8, 7, 5, 4],
    ]


@pytest.mark.parametrize("size", [(5, 3), (2, 7)], ids=str)
def test_bias_of_other_grids_is_resized_to_the_nearest(size: tuple[int, int]) -> None:
    """Resizing query and key axes of the bias one after the other gives the same."""
    torch.manual_seed(0)
    side = 4
    table = torch.randn((2 * side - 1) ** 2 + 3)
    native = table[relative_index((side, side), side)][1:, 1:]
    count = size[0] * size[1]
    keys = F.interpolate(native.view(1, -1, side, side), size, mode="nearest")
    both = F.interpolate(keys.view(1, side, side, count).permute(0, 3, 1, 2), size, mode="nearest")
    expected = both.permute(0, 2, 3, 1).reshape(count, count)
    assert torch.equal(table[relative_index(size, side)][1:, 1:], expected)


def test_attention_is_its_formula() -> None:
    torch.manual_seed(1)
    layer = RelativeAttention(6, 2, 3).double()
    torch.nn.init.normal_(layer.relative_position_bias_table)
    index = relative_index((3, 5), 3)
    x = torch.randn(2, 16, 6).double()
    w = {name: array(value) for name, value in layer.named_parameters()}
    qkv = array(x) @ w["qkv.weight"].T + w["qkv.bias"]
    out = np.empty((2, 16, 6))
    for head in range(2):
        q, k, v = (qkv[..., 6 * i + 3 * head : 6 * i + 3 * head + 3] for i in range(3))
        logits = q @ k.transpose(0, 2, 1) / math.sqrt(3)
        logits = logits + w["relative_position_bias_table"][array(index), head]
        weight = np.exp(logits)
        out[..., 3 * head : 3 * head + 3] = weight / weight.sum(-1, keepdims=True) @ v
    expected = out @ w["proj.weight"].T + w["proj.bias"]
    np.testing.assert_allclose(array(layer(x, index)), expected, rtol=1e-10, atol=1e-12)


def test_block_is_its_formula() -> None:
    torch.manual_seed(2)
    net = MAEBackbone(8, 1, 2, image_size=32).double().eval()
    block = net.blocks[0]
    torch.nn.init.normal_(block.gamma_1)
    torch.nn.init.normal_(block.gamma_2)
    image = torch.randn(2, 3, 32, 32).double()
    patches = net.patch_embed(image).flatten(2).mT
    x = torch.cat([net.cls_token.expand(2, -1, -1), patches], 1) + net.pos_embed
    index = relative_index((2, 2), 2)
    x = x + block.gamma_1 * block.attn(block.norm1(x), index)
    hidden = F.gelu(block.mlp.fc1(block.norm2(x)))
    x = x + block.gamma_2 * block.mlp.fc2(hidden)
    expected = x[:, 1:].mT.reshape(2, 8, 2, 2)
    torch.testing.assert_close(net(image), expected)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (80, 48), (33, 20)])
def test_takes_images_of_any_size(height: int, width: int) -> None:
    net = MAEBackbone(8, 2, 2, image_size=32).eval()
    out = net(torch.randn(2, 3, height, width))
    assert out.shape == (2, 8, math.ceil(height / 16), math.ceil(width / 16))


def test_absolute_positions_of_other_sizes_are_the_nearest() -> None:
    net = MAEBackbone(4, 1, 2, image_size=48)
    grid = net.pos_embed[:, 1:].mT.reshape(1, 4, 3, 3)
    expected = F.interpolate(grid, (5, 2), mode="nearest").flatten(2).mT
    found = net._positions((5, 2))
    assert torch.equal(found[:, 1:], expected)
    assert torch.equal(found[:, :1], net.pos_embed[:, :1])
    assert net._positions((3, 3)) is net.pos_embed


def test_branches_start_with_scale_one_and_no_bias() -> None:
    block = MAEBackbone(8, 2, 2, image_size=32).blocks[1]
    assert torch.equal(block.gamma_1, torch.ones(8))
    assert not block.attn.relative_position_bias_table.any()
    assert block.drop_path.probability == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        pytest.param({"heads": 3}, "3 heads do not divide a width of 8", id="heads"),
        pytest.param({"image_size": 40}, "multiple of the patch size 16, not 40", id="image"),
        pytest.param({"image_size": 0}, "not 0", id="nothing"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, int], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        MAEBackbone(**{"width": 8, "depth": 1, "heads": 2, "image_size": 32} | settings)


def test_pyramid_has_four_strides() -> None:
    pyramid = SimpleFeaturePyramid(8, (4, 6, 8, 12))
    shapes = [tuple(x.shape) for x in pyramid(torch.randn(2, 8, 6, 4))]
    assert shapes == [(2, 4, 24, 16), (2, 6, 12, 8), (2, 8, 6, 4), (2, 12, 3, 2)]


def test_pyramid_of_the_published_width_has_the_published_layers() -> None:
    with torch.device("meta"):
        pyramid = SimpleFeaturePyramid(768, (32, 64, 128, 256))
    kinds = [[type(layer).__name__ for layer in level] for level in pyramid.levels]
    narrow = ["Conv2d", "ChannelNorm", "GELU"]
    up = ["ConvTranspose2d", "ChannelNorm"]
    assert kinds == [
        [*up, "GELU", *up, *narrow],
        [*up, *narrow],
        narrow,
        ["Conv2d", "ChannelNorm", *narrow],
    ]
    shapes = {name: tuple(p.shape) for name, p in pyramid.named_parameters() if p.ndim == 4}
    assert shapes == {
        "levels.0.0.weight": (768, 384, 2, 2),
        "levels.0.3.weight": (384, 192, 2, 2),
        "levels.0.5.weight": (32, 192, 1, 1),
        "levels.1.0.weight": (768, 384, 2, 2),
        "levels.1.2.weight": (64, 384, 1, 1),
        "levels.2.0.weight": (128, 768, 1, 1),
        "levels.3.0.weight": (1536, 768, 2, 2),
        "levels.3.2.weight": (256, 1536, 1, 1),
    }
