"""Tests of napari_pvpu.networks.released_weights and of the tables of names."""

from __future__ import annotations

import collections
import dataclasses
import sys
import types
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import released_states as released
from napari_pvpu.errors import ModelNotFoundError, WeightsError
from napari_pvpu.networks.interformer import InterFormer
from napari_pvpu.networks.interformer_config import INTERFORMER_PRESETS, InterFormerConfig
from napari_pvpu.networks.released_names import (
    INTERFORMER,
    PVPUFORMER,
    PVPUFORMER_SETTINGS,
    SIMPLECLICK,
    Release,
)
from napari_pvpu.networks.released_weights import (
    convert_released,
    load_released,
    read_released,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = InterFormerConfig(
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


def small_interformer() -> nn.Module:
    return InterFormer(SMALL)


def small_simpleclick() -> nn.Module:
    pytest.importorskip("timm")
    from napari_pvpu.networks.simpleclick import SimpleClick, SimpleClickConfig

    return SimpleClick(
        SimpleClickConfig(
            view_size=64,
            vit_width=32,
            vit_depth=2,
            vit_heads=2,
            window_size=2,
            global_blocks=(1,),
            pyramid=(4, 8, 8, 16),
            pixel_dim=8,
        )
    )


def small_pvpuformer() -> nn.Module:
    pytest.importorskip("timm")
    from napari_pvpu.networks.pvpuformer import PVPUFormer
    from napari_pvpu.networks.pvpuformer_config import PVPUFormerConfig

    return PVPUFormer(
        PVPUFormerConfig(
            view_size=64,
            vit_width=32,
            vit_depth=2,
            vit_heads=2,
            window_size=2,
            global_blocks=(1,),
            pyramid=(4, 8, 8, 16),
            pixel_dim=8,
            merging_heads=2,
            merging_mlp=20,
            slots=2,
            slot_hidden=24,
            **PVPUFORMER_SETTINGS,
        )
    )


FAMILIES = [
    pytest.param(INTERFORMER, released.interformer, small_interformer, id="InterFormer"),
    pytest.param(SIMPLECLICK, released.simpleclick, small_simpleclick, id="SimpleClick"),
    pytest.param(PVPUFORMER, released.pvpuformer, small_pvpuformer, id="PVPUFormer"),
]

Build = "Callable[[], nn.Module]"
Shapes = "Callable[[], released.Shapes]"


@pytest.mark.parametrize(("release", "shapes", "build"), FAMILIES)
def test_every_name_is_accounted_for(release: Release, shapes: Shapes, build: Build) -> None:
    source, net = released.filled(shapes()), build()
    out = convert_released(release, source, net.state_dict())
    assert out.mapped.keys() | out.left_out.keys() == source.keys()
    assert not out.mapped.keys() & out.left_out.keys()
    assert out.state.keys() | out.not_released.keys() == net.state_dict().keys()
    assert not out.state.keys() & out.not_released.keys()
    assert len(set(out.mapped.values())) == len(out.mapped)
    changed = dict(release.changes)
    for theirs, ours in out.mapped.items():
        if ours not in changed:
            assert torch.equal(out.state[ours], source[theirs])


@pytest.mark.parametrize(("release", "shapes", "build"), FAMILIES)
def test_loads_into_the_network(
    release: Release, shapes: Shapes, build: Build, tmp_path: Path
) -> None:
    path, net = tmp_path / "released.pth", build()
    source = released.filled(shapes())
    torch.save({"meta": {"epoch": 3}, "state_dict": source}, path)
    out = load_released(net, release, path)
    state = net.state_dict()
    assert all(torch.equal(state[name], value) for name, value in out.state.items())


@pytest.mark.parametrize("name", ["interformer-light", "interformer-tiny"])
def test_published_sizes_of_interformer_fit(name: str) -> None:
    large = name.endswith("tiny")
    shapes = released.interformer(
        size=512,
        width=1024 if large else 768,
        depth=24 if large else 12,
        heads=16 if large else 12,
        channels=(32, 64, 128, 256),
        ratios=(8, 8, 4, 4),
        refine=(1, 1, 4, 2) if large else (0, 0, 0, 0),
        head=64,
    )
    with torch.device("meta"):
        net = InterFormer(INTERFORMER_PRESETS[name])
        source = {key: torch.empty(shape) for key, shape in shapes.items()}
    out = convert_released(INTERFORMER, source, net.state_dict())
    assert len(out.left_out) == (24 if large else 12)
    assert out.not_released == {}


@pytest.mark.parametrize("family", ["SimpleClick", "PVPUFormer"])
def test_published_sizes_of_vit_b_fit(family: str) -> None:
    pytest.importorskip("timm")
    from napari_pvpu.networks.pvpuformer import PVPUFormer
    from napari_pvpu.networks.pvpuformer_config import PVPUFormerConfig
    from napari_pvpu.networks.simpleclick import SimpleClick, SimpleClickConfig

    sizes = {"size": 448, "width": 768, "depth": 12, "pyramid": (128, 256, 512, 1024), "head": 256}
    with torch.device("meta"):
        if family == "SimpleClick":
            shapes, net = (
                released.simpleclick(**sizes, classes=1000),
                SimpleClick(SimpleClickConfig()),
            )
        else:
            shapes = released.pvpuformer(**sizes, classes=1000, hidden=2048, mlp=1024)
            net = PVPUFormer(PVPUFormerConfig())
        source = {key: torch.empty(shape) for key, shape in shapes.items()}
    release = SIMPLECLICK if family == "SimpleClick" else PVPUFORMER
    out = convert_released(release, source, net.state_dict())
    assert all(name.startswith("score_head.") for name in out.not_released)


INTERFORMER_PAIRS = {
    "backbone.cls_token": "encoder.cls_token",
    "backbone.pos_embed": "encoder.pos_embed",
    "backbone.patch_embed.projection.bias": "encoder.patch_embed.proj.bias",
    "backbone.layers.1.ln1.weight": "encoder.blocks.1.norm1.weight",
    "backbone.layers.1.ln2.bias": "encoder.blocks.1.norm2.bias",
    "backbone.layers.0.gamma_2": "encoder.blocks.0.gamma_2",
    "backbone.layers.0.attn.qkv.weight": "encoder.blocks.0.attn.qkv.weight",
    "backbone.layers.0.ffn.layers.0.0.weight": "encoder.blocks.0.mlp.fc1.weight",
    "backbone.layers.0.ffn.layers.1.bias": "encoder.blocks.0.mlp.fc2.bias",
    "backbone.fpn.rescale_ops.0.3.weight": "pyramid.levels.0.3.weight",
    "neck.patch_embed": "reference.weight",
    "neck.stages.2.blocks.1.norm_kv.weight": "attention.stages.2.coarse.1.norm_source.weight",
    "neck.stages.0.blocks.0.attn.query_proj.weight": (
        "attention.stages.0.coarse.0.attention.query.weight"
    ),
    "neck.stages.0.blocks.0.attn.key_value_proj.bias": (
        "attention.stages.0.coarse.0.attention.key_value.bias"
    ),
    "neck.refine_stages.2.blocks.1.attn.dconvs.3.weight": (
        "attention.stages.2.refine.1.attention.spatial.3.weight"
    ),
    "neck.refine_stages.1.blocks.0.mlp.2.bias": "attention.stages.1.refine.0.mlp.2.bias",
    "neck.stages.1.downsample.reduction.weight": "attention.stages.1.merging.reduction.weight",
    "neck.norm3.weight": "attention.stages.3.norm.weight",
    "decode_head.psp_modules.2.1.conv.weight": "head.pooling.pools.2.conv.weight",
    "decode_head.psp_modules.2.1.bn.running_var": "head.pooling.pools.2.norm.running_var",
    "decode_head.bottleneck.conv.weight": "head.pooling.bottleneck.conv.weight",
    "decode_head.lateral_convs.1.conv.weight": "head.laterals.1.conv.weight",
    "decode_head.fpn_convs.1.bn.bias": "head.smoothing.1.norm.bias",
    "decode_head.fpn_bottleneck.bn.running_mean": "head.fusion.norm.running_mean",
    "decode_head.conv_seg.weight": "head.classifier.conv.weight",
    "auxiliary_head.convs.0.conv.weight": "auxiliary.0.conv.weight",
    "auxiliary_head.conv_seg.bias": "auxiliary.1.conv.bias",
}

VIT_PAIRS = {
    "patch_embed_coords.proj.weight": "trunk.maps.proj.weight",
    "backbone.patch_embed.proj.weight": "trunk.vit.patch_embed.proj.weight",
    "backbone.pos_embed": "trunk.vit.pos_embed",
    "backbone.blocks.1.norm2.weight": "trunk.vit.blocks.1.norm2.weight",
    "backbone.blocks.0.attn.proj.bias": "trunk.vit.blocks.0.attn.proj.bias",
    "backbone.blocks.0.mlp.fc2.weight": "trunk.vit.blocks.0.mlp.fc2.weight",
    "neck.down_4.3.weight": "pyramid.levels.0.3.weight",
    "neck.down_8.2.bias": "pyramid.levels.1.2.bias",
    "neck.down_16.1.weight": "pyramid.levels.2.1.weight",
    "neck.down_32.0.weight": "pyramid.levels.3.0.weight",
    "head.convs.2.conv.weight": "head.convs.2.weight",
    "head.fusion_conv.conv.bias": "head.fusion.bias",
    "head.conv_seg.weight": "head.classify.weight",
}

PVPUFORMER_PAIRS = VIT_PAIRS | {
    "neck.ffn_layer.lin1.weight": "prompt_slots.encoding.mlp.0.weight",
    "neck.ffn_layer.lin2.bias": "prompt_slots.encoding.mlp.2.bias",
    "neck.att.layers.0.self_attn.q_proj.weight": "merging.blocks.0.self_attention.query.weight",
    "neck.att.layers.1.cross_attn_token_to_image.k_proj.bias": (
        "merging.blocks.1.to_semantic.key.bias"
    ),
    "neck.att.layers.2.cross_attn_image_to_token.v_proj.weight": (
        "merging.blocks.2.to_prompt.value.weight"
    ),
    "neck.att.layers.2.self_attn.out_proj.weight": "merging.blocks.2.self_attention.project.weight",
    "neck.att.layers.1.norm1.weight": "merging.blocks.1.norms.0.weight",
    "neck.att.layers.1.norm4.bias": "merging.blocks.1.norms.3.bias",
    "neck.att.layers.0.mlp.lin1.weight": "merging.blocks.0.mlp.0.weight",
    "neck.att.layers.0.mlp.lin2.weight": "merging.blocks.0.mlp.2.weight",
    "neck.att.final_attn_token_to_image.out_proj.bias": "merging.final.project.bias",
    "neck.att.norm_final_attn.weight": "merging.final_norm.weight",
    "head.ffn_layer.lin1.bias": "prompt_head.0.bias",
    "head.ffn_layer.lin2.weight": "prompt_head.2.weight",
}


@pytest.mark.parametrize(
    ("release", "shapes", "build", "pairs"),
    [
        pytest.param(*case.values, pairs, id=case.id)
        for case, pairs in zip(
            FAMILIES, (INTERFORMER_PAIRS, VIT_PAIRS, PVPUFORMER_PAIRS), strict=True
        )
    ],
)
def test_each_kind_of_layer_goes_to_its_place(
    release: Release, shapes: Shapes, build: Build, pairs: dict[str, str]
) -> None:
    out = convert_released(release, released.filled(shapes()), build().state_dict())
    assert {theirs: out.mapped[theirs] for theirs in pairs} == pairs


def test_what_is_left_out_says_why() -> None:
    source = released.filled(released.pvpuformer())
    out = convert_released(PVPUFORMER, source, small_pvpuformer().state_dict())
    kinds = {name.split(".")[0] + "." + name.split(".")[1] for name in out.left_out}
    assert kinds == {
        "backbone.cls_token",
        "backbone.fc_norm",
        "backbone.head",
        "head.up_conv1",
        "head.up_conv2",
        "head.logit_scale",
        "head_aux.weight",
        "head_aux.bias",
        "pe_layer.positional_encoding_gaussian_matrix",
        *(f"point_embeddings.{i}" for i in range(4)),
        "not_a_point_embed.weight",
    }
    assert all(out.left_out.values())
    assert set(out.not_released.values()) == {"the score is ours and starts untrained"}


def test_position_of_the_class_token_is_dropped() -> None:
    source = released.filled(released.simpleclick())
    out = convert_released(SIMPLECLICK, source, small_simpleclick().state_dict())
    assert torch.equal(out.state["trunk.vit.pos_embed"], source["backbone.pos_embed"][:, 1:])


def test_released_weights_of_pvpuformer_fit_with_their_settings() -> None:
    from napari_pvpu.networks.pvpuformer_config import PVPUFormerConfig

    config = dataclasses.replace(PVPUFormerConfig(), **PVPUFORMER_SETTINGS)
    assert config != PVPUFormerConfig()
    assert config.ppue_gamma == 0


def test_errors_list_the_first_ten() -> None:
    source = released.filled(released.interformer(refine=(1, 1, 4, 1)))
    source["neck.something.weight"] = torch.zeros(1)
    del source["neck.norm2.weight"]
    with pytest.raises(WeightsError) as error:
        convert_released(INTERFORMER, source, small_interformer().state_dict())
    message = str(error.value)
    assert "does not fit the network as a release of InterFormer" in message
    assert message.count(";") == 10
    assert "has no place in this network (attention.stages.2.refine.2.norm1.weight)" in message
    assert message.endswith("more")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        pytest.param(
            lambda s: s.update({"head.scale": torch.ones(1)}), "head.scale is unknown", id="unknown"
        ),
        pytest.param(
            lambda s: s.pop("neck.patch_embed"), "reference.weight is missing", id="missing"
        ),
        pytest.param(
            lambda s: s.update({"neck.patch_embed": torch.ones(5, 7)}),
            r"neck.patch_embed is 5x7, not 5x4 \(reference.weight\)",
            id="shape",
        ),
        pytest.param(
            lambda s: s.update({"backbone.layers.9.gamma_1": torch.ones(16)}),
            "backbone.layers.9.gamma_1 has no place in this network",
            id="deeper",
        ),
    ],
)
def test_nothing_is_skipped(change: Callable[[dict[str, torch.Tensor]], None], match: str) -> None:
    source = released.filled(released.interformer())
    change(source)
    net = small_interformer()
    with pytest.raises(WeightsError, match=match):
        convert_released(INTERFORMER, source, net.state_dict())


def test_two_names_for_one_place() -> None:
    release = Release("two", rules=(("[ab]", "x"),))
    source = {"a": torch.zeros(2), "b": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"b would go where another went \(x\)"):
        convert_released(release, source, {"x": torch.zeros(2)})


def test_position_embedding_of_the_wrong_rank_is_an_error_like_any_other() -> None:
    source = released.filled(released.simpleclick())
    source["backbone.pos_embed"] = torch.zeros(17)
    with pytest.raises(WeightsError, match=r"backbone.pos_embed is 17, not 1x16x32"):
        convert_released(SIMPLECLICK, source, small_simpleclick().state_dict())


def test_network_is_left_alone_when_weights_do_not_fit(tmp_path: Path) -> None:
    source = released.filled(released.interformer())
    source["neck.patch_embed"] = torch.ones(5, 7)
    torch.save(source, tmp_path / "wrong.pth")
    net = small_interformer()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(WeightsError):
        load_released(net, INTERFORMER, tmp_path / "wrong.pth")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda state: state, id="bare"),
        pytest.param(lambda state: {"state_dict": state, "config": {"a": (1, "b")}}, id="isegm"),
        pytest.param(lambda state: {"model": state}, id="model"),
        pytest.param(
            lambda state: {f"module.{name}": value for name, value in state.items()}, id="parallel"
        ),
        pytest.param(collections.OrderedDict, id="ordered"),
    ],
)
def test_reads_each_way_of_saving(
    wrap: Callable[[dict[str, torch.Tensor]], object], tmp_path: Path
) -> None:
    state = {"a.weight": torch.randn(2, 3), "b": torch.tensor(4)}
    torch.save(wrap(state), tmp_path / "file.pth")
    found = read_released(tmp_path / "file.pth")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_objects_of_the_training_code_are_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in SimpleClick's files, whose config holds the module of a loss and its function."""
    built: list[str] = []
    module = types.ModuleType("isegm.losses")
    monkeypatch.setitem(sys.modules, "isegm", types.ModuleType("isegm"))
    monkeypatch.setitem(sys.modules, "isegm.losses", module)

    def cross_entropy() -> None: ...

    class CrossEntropyLoss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.criterion = cross_entropy

        def __setstate__(self, state: object) -> None:
            built.append("loss")

    for thing in (cross_entropy, CrossEntropyLoss):
        thing.__module__, thing.__qualname__ = "isegm.losses", thing.__name__
        setattr(module, thing.__name__, thing)
    content = {
        "state_dict": {"a": torch.ones(2)},
        "config": {"params": {"head_params": {"value": {"loss_decode": CrossEntropyLoss()}}}},
    }
    torch.save(content, tmp_path / "file.pth")
    found = read_released(tmp_path / "file.pth")
    assert found["a"].tolist() == [1, 1]
    assert built == []


def test_other_objects_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "odd": dataclasses.field}, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=r"asks to run dataclasses\.field"):
        read_released(tmp_path / "file.pth")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        pytest.param(b"", "cannot be read", id="empty"),
        pytest.param(b"not a checkpoint at all", "cannot be read", id="text"),
        pytest.param(b"PK\x03\x04 cut off", "cannot be read", id="cut off"),
    ],
)
def test_files_that_are_no_checkpoints(content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=match):
        read_released(tmp_path / "file.pth")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        pytest.param([1, 2], "holds no state dict but list", id="list"),
        pytest.param({}, "holds no state dict", id="nothing"),
        pytest.param({"epoch": 3}, "'epoch'", id="numbers"),
    ],
)
def test_checkpoints_without_weights(content: object, match: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=match):
        read_released(tmp_path / "file.pth")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="there is no checkpoint at"):
        read_released(tmp_path / "none.pth")
