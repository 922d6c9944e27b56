"""State dicts with the names and shapes of official checkpoints, written down layer by layer.

They do not come from the tables under test: each function follows the constructor of the
released module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

Shapes = dict[str, tuple[int, ...]]


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def conv(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def up(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (inputs, outputs, 2, 2), f"{name}.bias": (outputs,)}


def unit(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    """Shapes of mmcv's ConvModule with batch normalisation."""
    return {
        f"{name}.conv.weight": (outputs, inputs, kernel, kernel),
        **norm(f"{name}.bn", outputs),
        f"{name}.bn.running_mean": (outputs,),
        f"{name}.bn.running_var": (outputs,),
        f"{name}.bn.num_batches_tracked": (),
    }


def simple_pyramid(names: Sequence[str], inputs: int, outputs: Sequence[int]) -> Shapes:
    n4, n8, n16, n32 = names
    s4, s8, s16, s32 = outputs
    a, b, d = max(2 * s4, inputs // 2), max(s8, inputs // 2), max(s32, 2 * inputs)
    return {
        **up(f"{n4}.0", inputs, a),
        **norm(f"{n4}.1", a),
        **up(f"{n4}.3", a, a // 2),
        **norm(f"{n4}.4", a // 2),
        **conv(f"{n4}.5", a // 2, s4, 1),
        **norm(f"{n4}.6", s4),
        **up(f"{n8}.0", inputs, b),
        **norm(f"{n8}.1", b),
        **conv(f"{n8}.2", b, s8, 1),
        **norm(f"{n8}.3", s8),
        **conv(f"{n16}.0", inputs, s16, 1),
        **norm(f"{n16}.1", s16),
        **conv(f"{n32}.0", inputs, d, 2),
        **norm(f"{n32}.1", d),
        **conv(f"{n32}.2", d, s32, 1),
        **norm(f"{n32}.3", s32),
    }


def pooling_block(name: str, channels: int, ratio: int, pools: int) -> Shapes:
    hidden = channels * ratio
    shapes = {
        **norm(f"{name}.norm1", channels),
        **norm(f"{name}.norm_kv", channels),
        **norm(f"{name}.norm2", channels),
        **linear(f"{name}.attn.query_proj", channels, channels),
        **linear(f"{name}.attn.key_value_proj", channels, 2 * channels),
        **linear(f"{name}.attn.proj", channels, channels),
        **norm(f"{name}.attn.norm", channels),
        **conv(f"{name}.mlp.0", channels, hidden, 1),
        **conv(f"{name}.mlp.2", 1, hidden, 3),
        **conv(f"{name}.mlp.4", hidden, channels, 1),
    }
    for i in range(pools):
        shapes |= conv(f"{name}.attn.dconvs.{i}", 1, channels, 3)
    return shapes


def interformer(
    size: int = 64,
    width: int = 16,
    depth: int = 2,
    heads: int = 2,
    channels: Sequence[int] = (4, 8, 8, 16),
    ratios: Sequence[int] = (2, 2, 2, 2),
    coarse: Sequence[int] = (1, 1, 2, 1),
    refine: Sequence[int] = (1, 1, 2, 1),
    head: int = 8,
) -> Shapes:
    side = size // 16
    cells = side**2 + 1
    shapes: Shapes = {
        "backbone.cls_token": (1, 1, width),
        "backbone.pos_embed": (1, cells, width),
        **conv("backbone.patch_embed.projection", 3, width, 16),
    }
    for i in range(depth):
        layer = f"backbone.layers.{i}"
        shapes |= {
            f"{layer}.gamma_1": (width,),
            f"{layer}.gamma_2": (width,),
            **norm(f"{layer}.ln1", width),
            f"{layer}.attn.relative_position_bias_table": ((2 * side - 1) ** 2 + 3, heads),
            f"{layer}.attn.relative_position_index": (cells, cells),
            **linear(f"{layer}.attn.qkv", width, 3 * width),
            **linear(f"{layer}.attn.proj", width, width),
            **norm(f"{layer}.ln2", width),
            **linear(f"{layer}.ffn.layers.0.0", width, 4 * width),
            **linear(f"{layer}.ffn.layers.1", 4 * width, width),
        }
    shapes |= simple_pyramid([f"backbone.fpn.rescale_ops.{i}" for i in range(4)], width, channels)
    shapes["neck.patch_embed"] = (5, channels[0])
    for i, c in enumerate(channels):
        for j in range(coarse[i]):
            shapes |= pooling_block(f"neck.stages.{i}.blocks.{j}", c, ratios[i], 4)
        for j in range(refine[i]):
            shapes |= pooling_block(f"neck.refine_stages.{i}.blocks.{j}", c, ratios[i], 4)
        if i < 3:
            shapes |= norm(f"neck.stages.{i}.downsample.norm", 9 * c)
            shapes[f"neck.stages.{i}.downsample.reduction.weight"] = (channels[i + 1], 9 * c)
        shapes |= norm(f"neck.norm{i}", c)
    shapes |= conv("decode_head.conv_seg", head, 2, 1)
    for i in range(4):
        shapes |= unit(f"decode_head.psp_modules.{i}.1", channels[3], head, 1)
    shapes |= unit("decode_head.bottleneck", channels[3] + 4 * head, head, 3)
    for i in range(3):
        shapes |= unit(f"decode_head.lateral_convs.{i}", channels[i], head, 1)
        shapes |= unit(f"decode_head.fpn_convs.{i}", head, head, 3)
    shapes |= unit("decode_head.fpn_bottleneck", 4 * head, head, 3)
    shapes |= conv("auxiliary_head.conv_seg", head, 2, 1)
    return shapes | unit("auxiliary_head.convs.0", channels[2], head, 3)


def simpleclick(
    size: int = 64,
    width: int = 32,
    depth: int = 2,
    pyramid: Sequence[int] = (4, 8, 8, 16),
    head: int = 8,
    classes: int = 10,
) -> Shapes:
    shapes: Shapes = {
        **conv("patch_embed_coords.proj", 3, width, 16),
        "backbone.cls_token": (1, 1, width),
        "backbone.pos_embed": (1, (size // 16) ** 2 + 1, width),
        **conv("backbone.patch_embed.proj", 3, width, 16),
    }
    for i in range(depth):
        block = f"backbone.blocks.{i}"
        shapes |= {
            **norm(f"{block}.norm1", width),
            **norm(f"{block}.norm2", width),
            **linear(f"{block}.attn.qkv", width, 3 * width),
            **linear(f"{block}.attn.proj", width, width),
            **linear(f"{block}.mlp.fc1", width, 4 * width),
            **linear(f"{block}.mlp.fc2", 4 * width, width),
        }
    shapes |= norm("backbone.fc_norm", width) | linear("backbone.head", width, classes)
    shapes |= simple_pyramid([f"neck.down_{s}" for s in (4, 8, 16, 32)], width, pyramid)
    shapes |= conv("head.conv_seg", head, 1, 1)
    for i, c in enumerate(pyramid):
        shapes |= conv(f"head.convs.{i}.conv", c, head, 1)
    shapes |= conv("head.fusion_conv.conv", 4 * head, head, 1)
    for i, c in ((1, head), (2, head // 2)):
        shapes |= {
            **up(f"head.up_conv{i}.0", c, c // 2),
            **norm(f"head.up_conv{i}.1", c // 2),
            **conv(f"head.up_conv{i}.2", c // 2, c // 2, 1),
            **norm(f"head.up_conv{i}.3", c // 2),
        }
    return shapes


def attention(name: str, dim: int, inner: int) -> Shapes:
    return {
        **linear(f"{name}.q_proj", dim, inner),
        **linear(f"{name}.k_proj", dim, inner),
        **linear(f"{name}.v_proj", dim, inner),
        **linear(f"{name}.out_proj", inner, dim),
    }


def pvpuformer(
    size: int = 64,
    width: int = 32,
    depth: int = 2,
    pyramid: Sequence[int] = (4, 8, 8, 16),
    head: int = 8,
    hidden: int = 24,
    mlp: int = 20,
    classes: int = 10,
) -> Shapes:
    shapes = simpleclick(size, width, depth, pyramid, head, classes)
    shapes |= linear("neck.ffn_layer.lin1", 2 * size + 3, hidden)
    shapes |= linear("neck.ffn_layer.lin2", hidden, width)
    for i in range(3):
        layer = f"neck.att.layers.{i}"
        shapes |= attention(f"{layer}.self_attn", width, width)
        shapes |= attention(f"{layer}.cross_attn_token_to_image", width, width // 2)
        shapes |= attention(f"{layer}.cross_attn_image_to_token", width, width // 2)
        shapes |= linear(f"{layer}.mlp.lin1", width, mlp) | linear(f"{layer}.mlp.lin2", mlp, width)
        for j in range(1, 5):
            shapes |= norm(f"{layer}.norm{j}", width)
    shapes |= attention("neck.att.final_attn_token_to_image", width, width // 2)
    shapes |= norm("neck.att.norm_final_attn", width)
    shapes["head.logit_scale"] = ()
    shapes |= linear("head.ffn_layer.lin1", width, 2 * width)
    shapes |= linear("head.ffn_layer.lin2", 2 * width, head)
    shapes["pe_layer.positional_encoding_gaussian_matrix"] = (2, width // 2)
    for i in range(4):
        shapes[f"point_embeddings.{i}.weight"] = (1, width)
    shapes["not_a_point_embed.weight"] = (1, width)
    return shapes | conv("head_aux", 128, 1, 1)


def filled(shapes: Shapes) -> dict[str, torch.Tensor]:
    """Random numbers, all different, where floats belong."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.zeros(shape, dtype=torch.int64)
        if name.endswith(("num_batches_tracked", "relative_position_index"))
        else torch.rand(shape, generator=generator) + 0.5
        for name, shape in shapes.items()
    }
