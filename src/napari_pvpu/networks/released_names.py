"""Where each tensor of the official checkpoints goes: tables of names.

A row of `Release.rules` maps names that match its pattern as a whole; our name refers to the
pattern's groups. What is neither mapped nor in `left_out` is an error, and so is a tensor of ours
that is neither filled nor in `not_released`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_WB = r"(weight|bias)"
_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


@dataclass(frozen=True, slots=True)
class Release:
    """Names in a family of official checkpoints.

    Attributes
    ----------
    name : str
        What it is the release of.
    rules : tuple of (str, str)
        Pattern of the released name, our name.
    left_out : tuple of (str, str)
        Pattern of a released name that we have no use for, why.
    not_released : tuple of (str, str)
        Pattern of one of our names that the checkpoint does not hold, why.
    changes : tuple of (str, callable)
        One of our names, what is done to the released tensor on its way there.
    """

    name: str
    rules: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...] = ()
    not_released: tuple[tuple[str, str], ...] = ()
    changes: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = ()


def _unit(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Rows of an mmcv ConvModule with batch normalisation; `theirs` without groups."""
    return (
        (rf"{theirs}\.conv\.weight", rf"{ours}.conv.weight"),
        (rf"{theirs}\.bn\.{_NORM}", rf"{ours}.norm.\1"),
    )


def _numbered_units(theirs: str, ours: str, after: str = "") -> tuple[tuple[str, str], ...]:
    """Rows of a list of ConvModules."""
    return (
        (rf"{theirs}\.(\d+){after}\.conv\.weight", rf"{ours}.\1.conv.weight"),
        (rf"{theirs}\.(\d+){after}\.bn\.{_NORM}", rf"{ours}.\1.norm.\2"),
    )


_MMSEG_VIT = (
    (r"backbone\.(cls_token|pos_embed)", r"encoder.\1"),
    (rf"backbone\.patch_embed\.projection\.{_WB}", r"encoder.patch_embed.proj.\1"),
    (rf"backbone\.layers\.(\d+)\.ln([12])\.{_WB}", r"encoder.blocks.\1.norm\2.\3"),
    (rf"backbone\.layers\.(\d+)\.attn\.(qkv|proj)\.{_WB}", r"encoder.blocks.\1.attn.\2.\3"),
    (
        r"backbone\.layers\.(\d+)\.attn\.relative_position_bias_table",
        r"encoder.blocks.\1.attn.relative_position_bias_table",
    ),
    (r"backbone\.layers\.(\d+)\.gamma_([12])", r"encoder.blocks.\1.gamma_\2"),
    (rf"backbone\.layers\.(\d+)\.ffn\.layers\.0\.0\.{_WB}", r"encoder.blocks.\1.mlp.fc1.\2"),
    (rf"backbone\.layers\.(\d+)\.ffn\.layers\.1\.{_WB}", r"encoder.blocks.\1.mlp.fc2.\2"),
    (rf"backbone\.fpn\.rescale_ops\.(\d+)\.(\d+)\.{_WB}", r"pyramid.levels.\1.\2.\3"),
)


def _blocks(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Rows of a list of I-MSA's pooling blocks; each name has two groups before its tail."""
    names = (
        (rf"norm1\.{_WB}", "norm1"),
        (rf"norm_kv\.{_WB}", "norm_source"),
        (rf"norm2\.{_WB}", "norm2"),
        (rf"attn\.query_proj\.{_WB}", "attention.query"),
        (rf"attn\.key_value_proj\.{_WB}", "attention.key_value"),
        (rf"attn\.proj\.{_WB}", "attention.project"),
        (rf"attn\.norm\.{_WB}", "attention.norm"),
    )
    listed = ((r"attn\.dconvs", "attention.spatial"), ("mlp", "mlp"))
    return (
        *((rf"{theirs}\.{tail}", rf"{ours}.{own}.\3") for tail, own in names),
        *((rf"{theirs}\.{part}\.(\d+)\.{_WB}", rf"{ours}.{own}.\3.\4") for part, own in listed),
    )


INTERFORMER = Release(
    name="InterFormer",
    rules=(
        *_MMSEG_VIT,
        (r"neck\.patch_embed", "reference.weight"),
        *_blocks(r"neck\.stages\.(\d+)\.blocks\.(\d+)", r"attention.stages.\1.coarse.\2"),
        *_blocks(r"neck\.refine_stages\.(\d+)\.blocks\.(\d+)", r"attention.stages.\1.refine.\2"),
        (
            rf"neck\.stages\.(\d+)\.downsample\.(norm|reduction)\.{_WB}",
            r"attention.stages.\1.merging.\2.\3",
        ),
        (rf"neck\.norm(\d+)\.{_WB}", r"attention.stages.\1.norm.\2"),
        *_numbered_units(r"decode_head\.psp_modules", "head.pooling.pools", r"\.1"),
        *_unit(r"decode_head\.bottleneck", "head.pooling.bottleneck"),
        *_numbered_units(r"decode_head\.lateral_convs", "head.laterals"),
        *_numbered_units(r"decode_head\.fpn_convs", "head.smoothing"),
        *_unit(r"decode_head\.fpn_bottleneck", "head.fusion"),
        (rf"decode_head\.conv_seg\.{_WB}", r"head.classifier.conv.\1"),
        *_unit(r"auxiliary_head\.convs\.0", "auxiliary.0"),
        (rf"auxiliary_head\.conv_seg\.{_WB}", r"auxiliary.1.conv.\1"),
    ),
    left_out=(
        (
            r"backbone\.layers\.\d+\.attn\.relative_position_index",
            "it follows from the size of the view and is computed",
        ),
    ),
)

_UNUSED_VIT = (
    (r"backbone\.cls_token", "dense features are computed without the class token"),
    (r"backbone\.(fc_norm|head)\..*", "it classifies whole images and is never run"),
)
_UNUSED_HEAD = (
    (r"head\.up_conv[12]\..*", "it enlarges the logits in variants that were not released"),
)


def _isegm(vit: str, maps: str) -> tuple[tuple[str, str], ...]:
    """Rows of what SimpleClick and PVPUFormer have in common."""
    return (
        (rf"backbone\.patch_embed\.proj\.{_WB}", rf"{vit}.patch_embed.proj.\1"),
        (r"backbone\.pos_embed", rf"{vit}.pos_embed"),
        (rf"backbone\.blocks\.(\d+)\.norm([12])\.{_WB}", rf"{vit}.blocks.\1.norm\2.\3"),
        (
            rf"backbone\.blocks\.(\d+)\.attn\.(qkv|proj)\.{_WB}",
            rf"{vit}.blocks.\1.attn.\2.\3",
        ),
        (rf"backbone\.blocks\.(\d+)\.mlp\.fc([12])\.{_WB}", rf"{vit}.blocks.\1.mlp.fc\2.\3"),
        (rf"patch_embed_coords\.proj\.{_WB}", rf"{maps}.proj.\1"),
        *(
            (rf"neck\.down_{stride}\.(\d+)\.{_WB}", rf"pyramid.levels.{i}.\1.\2")
            for i, stride in enumerate((4, 8, 16, 32))
        ),
        (rf"head\.convs\.(\d+)\.conv\.{_WB}", r"head.convs.\1.\2"),
        (rf"head\.fusion_conv\.conv\.{_WB}", r"head.fusion.\1"),
        (rf"head\.conv_seg\.{_WB}", r"head.classify.\1"),
    )


def without_class_position(positions: Tensor) -> Tensor:
    """Drop the first of ``(1, 1 + N, C)`` positions, the class token's."""
    return positions[:, 1:]


SIMPLECLICK = Release(
    name="SimpleClick",
    rules=_isegm("trunk.vit", "trunk.maps"),
    left_out=(*_UNUSED_VIT, *_UNUSED_HEAD),
    changes=(("trunk.vit.pos_embed", without_class_position),),
)

_PROJECTIONS = (("q", "query"), ("k", "key"), ("v", "value"), ("out", "project"))
_ATTENTIONS = (
    ("self_attn", "self_attention"),
    ("cross_attn_token_to_image", "to_semantic"),
    ("cross_attn_image_to_token", "to_prompt"),
)

PVPUFORMER = Release(
    name="PVPUFormer",
    rules=(
        *_isegm("trunk.vit", "trunk.maps"),
        *(
            (
                rf"neck\.att\.layers\.(\d+)\.{theirs}\.{short}_proj\.{_WB}",
                rf"merging.blocks.\1.{ours}.{long}.\2",
            )
            for theirs, ours in _ATTENTIONS
            for short, long in _PROJECTIONS
        ),
        *(
            (rf"neck\.att\.layers\.(\d+)\.norm{i + 1}\.{_WB}", rf"merging.blocks.\1.norms.{i}.\2")
            for i in range(4)
        ),
        *(
            (
                rf"neck\.att\.layers\.(\d+)\.mlp\.lin{i + 1}\.{_WB}",
                rf"merging.blocks.\1.mlp.{2 * i}.\2",
            )
            for i in range(2)
        ),
        *(
            (
                rf"neck\.att\.final_attn_token_to_image\.{short}_proj\.{_WB}",
                rf"merging.final.{long}.\1",
            )
            for short, long in _PROJECTIONS
        ),
        (rf"neck\.att\.norm_final_attn\.{_WB}", r"merging.final_norm.\1"),
        *(
            (rf"neck\.ffn_layer\.lin{i + 1}\.{_WB}", rf"prompt_slots.encoding.mlp.{2 * i}.\1")
            for i in range(2)
        ),
        *((rf"head\.ffn_layer\.lin{i + 1}\.{_WB}", rf"prompt_head.{2 * i}.\1") for i in range(2)),
    ),
    left_out=(
        *_UNUSED_VIT,
        *_UNUSED_HEAD,
        (r"head\.logit_scale", "no loss uses it"),
        (r"head_aux\..*", "nothing runs it"),
        (
            r"(pe_layer\.positional_encoding_gaussian_matrix|point_embeddings\.\d+\.weight"
            r"|not_a_point_embed\.weight)",
            "it belongs to an encoding of prompts that PPuE replaced",
        ),
    ),
    not_released=((r"score_head\..*", "the score is ours and starts untrained"),),
    changes=(("trunk.vit.pos_embed", without_class_position),),
)

PVPUFORMER_SETTINGS: dict[str, Any] = {
    "rows_first": True,
    "mask_empty_slots": False,
    "ppue_gamma": 0.0,
}
"""Settings of `PVPUFormerConfig` with which released weights see what they were trained on."""
