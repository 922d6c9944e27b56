"""The plain ViT: timm as the oracle, windows, other sizes and foreign weights."""

from __future__ import annotations

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu.networks.vision_transformer import (
    VisionTransformer,
    join_windows,
    resize_positions,
    split_windows,
)


@pytest.fixture
def vit() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(24, 4, 3, 4, 24, window_size=3, global_blocks=(1, 3)).eval()


def timm_vit(size: int = 24, **options: object) -> torch.nn.Module:
    torch.manual_seed(1)
    return timm.create_model(
        "vit_tiny_patch16_224",
        patch_size=4,
        img_size=size,
        embed_dim=24,
        depth=4,
        num_heads=3,
        **options,
    ).eval()


def test_agrees_with_timm() -> None:
    """Without a class token and without windows it is timm's ViT."""
    oracle = timm_vit(class_token=False, global_pool="avg", num_classes=0, fc_norm=False)
    vit = VisionTransformer(24, 4, 3, 4, 24, final_norm=True).eval()
    report = vit.load_timm_state(oracle.state_dict())
    assert report.resized == ()
    assert report.dropped == ()
    image = torch.randn(2, 3, 24, 24)
    expected = oracle.forward_features(image).transpose(1, 2).unflatten(2, (6, 6))
    torch.testing.assert_close(vit(image), expected, rtol=1e-4, atol=1e-5)


def test_every_key_of_a_foreign_state_is_accounted_for(vit: VisionTransformer) -> None:
    state = timm_vit(size=32, num_classes=5).state_dict()
    report = vit.load_timm_state(state)
    assert set(report.loaded) | set(report.resized) | set(report.dropped) == set(state)
    assert report.resized == ("pos_embed",)
    assert set(report.dropped) == {
        *("cls_token", "norm.weight", "norm.bias", "head.weight", "head.bias")
    }
    torch.testing.assert_close(vit.blocks[2].attn.qkv.weight, state["blocks.2.attn.qkv.weight"])
    grid = state["pos_embed"][:, 1:].reshape(1, 8, 8, 24).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(grid, (6, 6), mode="bicubic")
    torch.testing.assert_close(vit.pos_embed, expected.flatten(2).transpose(1, 2))


def test_mae_base_weights_fit_by_name() -> None:
    with torch.device("meta"):
        state = timm.create_model("vit_base_patch16_224.mae").state_dict()
        vit = VisionTransformer(window_size=14, global_blocks=(5, 11))
        report = vit.load_timm_state(state)
    assert len(report.loaded) + len(report.resized) == len(vit.state_dict())
    assert report.dropped == ("cls_token", "norm.weight", "norm.bias")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda s: s.pop("blocks.3.mlp.fc2.bias"), "fc2.bias is missing", id="missing"),
        pytest.param(
            lambda s: s.update({"blocks.4.norm1.weight": torch.ones(24)}),
            "blocks.4.norm1.weight is unknown",
            id="deeper",
        ),
        pytest.param(
            lambda s: s.update({"blocks.0.norm1.weight": torch.ones(7)}),
            r"blocks.0.norm1.weight is \(7,\), not \(24,\)",
            id="shape",
        ),
    ],
)
def test_weights_of_another_architecture_are_refused(
    vit: VisionTransformer, change: object, message: str
) -> None:
    state = dict(timm_vit().state_dict())
    change(state)
    with pytest.raises(ValueError, match=message):
        vit.load_timm_state(state)


@pytest.mark.parametrize("size", [(24, 24), (32, 20), (25, 31), (7, 5)], ids=str)
def test_any_size(vit: VisionTransformer, size: tuple[int, int]) -> None:
    out = vit(torch.randn(2, 3, *size))
    assert out.shape == (2, 24, -(-size[0] // 4), -(-size[1] // 4))
    assert torch.isfinite(out).all()


def test_padding_is_zeros_right_and_below(vit: VisionTransformer) -> None:
    image = torch.randn(1, 3, 22, 23)
    padded = torch.nn.functional.pad(image, (0, 1, 0, 2))
    torch.testing.assert_close(vit(image), vit(padded))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 4))
def test_windows_round_trip(height: int, width: int, side: int) -> None:
    x = torch.arange(2.0 * height * width * 3).view(2, height, width, 3)
    windows = split_windows(x, side)
    assert windows.shape[1] == side**2
    torch.testing.assert_close(join_windows(windows, side, x.shape[:3]), x)


def test_windows_by_hand() -> None:
    x = torch.arange(8.0).view(1, 2, 4, 1)
    expected = torch.tensor([[0.0, 1, 4, 5], [2, 3, 6, 7]])
    torch.testing.assert_close(split_windows(x, 2)[..., 0], expected)


def test_windowed_blocks_see_their_window_only() -> None:
    torch.manual_seed(0)
    vit = VisionTransformer(8, 2, 2, 2, 12, window_size=3).eval()
    image = torch.randn(1, 3, 12, 12, requires_grad=True)
    (gradient,) = torch.autograd.grad(vit(image)[0, :, 0, 0].sum(), image)
    seen = gradient.abs().sum((0, 1)) > 0
    assert seen[:6, :6].all()
    assert seen.sum() == 36


def test_filled_up_windows_ignore_the_filling() -> None:
    """A grid of 5 x 4 in windows of 3: each window equals the same tokens in a ViT of their own."""
    torch.manual_seed(0)
    vit = VisionTransformer(8, 2, 2, 2, 12, window_size=3).eval()
    alone = VisionTransformer(8, 2, 2, 2, 12).eval()
    alone.load_state_dict(vit.state_dict())
    for net in (vit, alone):
        torch.nn.init.zeros_(net.pos_embed)
    image = torch.randn(2, 3, 10, 8)
    corner = image[..., 6:, 6:]  # 2 x 1 tokens
    torch.testing.assert_close(vit(image)[..., 3:, 3:], alone(corner), rtol=1e-4, atol=1e-5)


def test_extra_is_added_to_the_patches(vit: VisionTransformer) -> None:
    image, extra = torch.randn(2, 3, 24, 20), torch.randn(2, 24, 6, 5)
    torch.testing.assert_close(vit(image, extra), vit.transform(vit.embed(image) + extra))
    assert not torch.allclose(vit(image, extra), vit(image))


def test_positions_keep_a_constant() -> None:
    torch.testing.assert_close(
        resize_positions(torch.full((1, 9, 2), 0.3), 3, (5, 2)), torch.full((1, 5, 2, 2), 0.3)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"heads": 5}, "5 heads", id="heads"),
        pytest.param({"image_size": 30}, "not 30", id="size"),
        pytest.param({"global_blocks": (1, 4)}, r"\[4\]", id="block"),
        pytest.param({"window_size": 0}, "not 0", id="window"),
    ],
)
def test_bad_settings(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisionTransformer(
            **{"width": 24, "depth": 4, "heads": 3, "patch_size": 4, "image_size": 24, **options}
        )
