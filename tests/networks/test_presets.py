"""Every preset and the ways to vary one: shapes, gradients, precision, weights, a training step."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from napari_pvpu.networks.config import ModelConfig, from_plain
from napari_pvpu.networks.inference import fast_decode
from napari_pvpu.networks.interface import PromptableNetwork, count_parameters
from napari_pvpu.networks.models import PRESETS, build_model
from napari_pvpu.networks.prompt_batch import BOX, CLICK, SCRIBBLE, PromptBatch
from napari_pvpu.networks.weights import load_model, save_weights
from napari_pvpu.training.datasets import Atlas
from napari_pvpu.training.recipes import changed, recipe_for
from napari_pvpu.training.rounds import Rounds
from napari_pvpu.training.simulate import SimulatedUser, UserHabits
from napari_pvpu.training.trainer import Trainer
from small_presets import SIZE, made_up_scene, small_preset

if TYPE_CHECKING:
    from pathlib import Path

BASES = {"light": "pvpu-nano", "dma": "pvpuformer-vit-b16", "imsa": "interformer-light"}
"""A preset for each decoder."""

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "light-without-tokens": ("light", {"prompts": {"tokens": False}}),
    "light-probabilistic": ("light", {"decoder": {"classifier": "probabilistic"}}),
    "light-key-adaptation": ("light", {"decoder": {"key_adaptation": 1, "adapted_keys": "both"}}),
    "light-resnet18": ("light", {"encoder": {"kind": "timm", "name": "resnet18"}}),
    "light-mit": ("light", {"encoder": {"kind": "mit", "name": "mit_b0"}}),
    "dma-probabilistic": ("dma", {"decoder": {"classifier": "probabilistic"}}),
    "dma-key-adaptation": ("dma", {"decoder": {"key_adaptation": 1}}),
    "dma-without-fusion": ("dma", {"prompts": {"fusion": "none"}}),
    "dma-mask-alone": ("dma", {"prompts": {"fusion": "mask", "mask_empty_slots": False}}),
    "dma-resnet18": ("dma", {"encoder": {"kind": "timm", "name": "resnet18"}}),
    "imsa-resnet18": ("imsa", {"encoder": {"kind": "timm", "name": "resnet18"}}),
    "imsa-conv-stem": (
        "imsa",
        {
            "encoder": {
                "kind": "conv-stem-vit",
                "stem": 8,
                "stage_channels": [16, 16],
                "stage_depths": [1, 1],
                "width": 32,
                "depth": 1,
                "heads": 2,
            }
        },
    ),
}

# What makes features of prompt tokens has no use without them, and no gradient reaches it.
IDLE = {"light-without-tokens": ("decoder.prompt_head.", "decoder.merging.final")}

CONFIGS = [*PRESETS, *VARIANTS]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def varied(decoder: str, changes: dict[str, Any], times: int = 1) -> ModelConfig:
    """A small preset with some settings changed."""
    values = small_preset(BASES[decoder], times).to_dict()
    for part, settings in changes.items():
        values[part] |= settings
    return from_plain(ModelConfig, values)


def config_of(name: str, times: int = 1) -> ModelConfig:
    return small_preset(name, times) if name in PRESETS else varied(*VARIANTS[name], times)


@cache
def ready(name: str) -> PromptableNetwork:
    """A network in evaluation mode, shared by the tests that do not change it."""
    torch.manual_seed(0)
    return build_model(config_of(name)).eval().requires_grad_(False)


def prompts(batch: int = 1) -> PromptBatch:
    """One click, one box, one negative scribble and an empty slot."""
    one = PromptBatch.empty(1, 4, 4)
    one.points[0, 0, 0] = torch.tensor([20.0, 30.0])
    one.points[0, 1, :2] = torch.tensor([[8.0, 8.0], [40.0, 50.0]])
    one.points[0, 2] = torch.tensor([[50.0, 5.0], [51.0, 6.0], [52.0, 7.0], [53.0, 9.0]])
    one.valid[0, 0, 0] = one.valid[0, 1, :2] = one.valid[0, 2] = True
    one.kind[0, :3] = torch.tensor([CLICK, BOX, SCRIBBLE])
    one.positive[0, :2] = True
    return PromptBatch(*(x.repeat(batch, *[1] * (x.ndim - 1)) for x in one))


def answer(net: PromptableNetwork, view: Tensor) -> Tensor:
    """Logits of two rounds, the second with a mask before."""
    features, asked = net.encode(view), prompts(len(view))
    axis = torch.linspace(-1, 1, view.shape[-1])
    before = torch.exp(-2 * (axis[:, None] ** 2 + axis**2)).expand(len(view), 1, -1, -1)
    # Not the mask of the first round: random weights give logits around zero, and what a mask
    # does to the reference map changes there by leaps.
    return torch.cat([net.decode(features, asked, known).logits for known in (None, before)])


def a_view(side: int = SIZE, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(side))


@pytest.mark.parametrize("name", CONFIGS)
def test_views_of_two_sizes(name: str) -> None:
    net = ready(name)
    for side, batch in ((SIZE, 1), (75, 2)):
        out = net.decode(net.encode(a_view(side, batch)), prompts(batch))
        assert out.logits.shape == (batch, 1, side, side)
        assert out.logits.dtype == torch.float32
        assert out.logits.isfinite().all()
        assert out.prompt_features.shape[:2] == (batch, 4)
        assert out.prompt_features.shape[2] == out.pixels.shape[1]
        assert ((out.score >= 0) & (out.score <= 1)).all()


def play(net: PromptableNetwork) -> None:
    """Play two rounds as the network's recipe does and send gradients back."""
    _, labels = made_up_scene(SIZE)
    truth = torch.stack([torch.from_numpy(labels == n) for n in (1, 3)])
    recipe = recipe_for(net.config)
    losses = replace(recipe.losses, score=0.2, p2c=max(recipe.losses.p2c, 0.1))
    user = SimulatedUser(UserHabits(), torch.Generator().manual_seed(0))
    Rounds(net, losses, recipe.play)(a_view(SIZE, 2), truth, 1, 2, user).total.backward()


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_are_finite_and_reach_all_that_trains(name: str) -> None:
    torch.manual_seed(0)
    net = build_model(config_of(name))
    play(net)
    idle = IDLE.get(name, ())
    gradients = {n: p.grad for n, p in net.named_parameters() if not n.startswith(tuple(idle))}
    assert [n for n, grad in gradients.items() if grad is None] == []
    assert [
        n for n, grad in gradients.items() if grad is not None and not grad.isfinite().all()
    ] == []


@pytest.mark.parametrize("name", CONFIGS)
def test_bfloat16_is_within_two_percent(name: str) -> None:
    # With a handful of channels nothing evens out what single ones lose.
    torch.manual_seed(0)
    net = build_model(config_of(name, times=2)).eval().requires_grad_(False)
    exact = answer(net, a_view())
    with torch.autocast("cpu", torch.bfloat16):
        rough = answer(net, a_view())
    assert rough.dtype == torch.float32
    assert float((rough - exact).norm() / exact.norm()) < 0.02


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    net = ready(name)
    save_weights(net, tmp_path / "weights.safetensors", dtype=torch.float32)
    back = load_model(tmp_path / "weights.safetensors")
    assert back.config == net.config
    assert torch.equal(answer(back, a_view()), answer(net, a_view()))
    # What runs the sessions must take every network too.
    asked = PromptBatch(*(x[:, :3] for x in prompts()))
    decode = fast_decode(back)
    for side in (SIZE, 75):
        features = back.encode(a_view(side))
        exact = back.decode(features, asked).logits
        torch.testing.assert_close(decode(features, asked).logits, exact, rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas([(*made_up_scene(), "made up")])


def one_step(config: ModelConfig, atlas: Atlas, folder: Path) -> Trainer:
    recipe = changed(recipe_for(config), {"views": 2, "objects": 1, "steps": 4})
    trainer = Trainer(config, replace(recipe, curriculum=()), atlas, folder)
    before = {n: p.detach().clone() for n, p in trainer.net.named_parameters()}
    losses = trainer.train_step()
    assert all(bool(loss.isfinite()) for loss in losses)
    moved = [n for n, p in trainer.net.named_parameters() if not torch.equal(p, before[n])]
    assert moved
    assert all(dict(trainer.net.named_parameters())[n].requires_grad for n in moved)
    return trainer


@pytest.mark.parametrize("name", PRESETS)
def test_a_step_of_its_own_recipe(name: str, atlas: Atlas, tmp_path: Path) -> None:
    one_step(small_preset(name), atlas, tmp_path)


FROZEN: dict[str, tuple[str, dict[str, Any]]] = {
    "light": ("light", {}),
    "light-resnet18": VARIANTS["light-resnet18"],
    "dma-vit": ("dma", {}),
    "dma-deeplab": ("dma", {"encoder": {"kind": "deeplabv3plus", "name": "resnet18"}}),
    "dma-mit": ("dma", {"encoder": {"kind": "mit", "name": "mit_b0"}}),
    "imsa-mae": ("imsa", {}),
    "imsa-conv-stem": VARIANTS["imsa-conv-stem"],
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_encoder_stays_as_it_is(name: str, atlas: Atlas, tmp_path: Path) -> None:
    decoder, changes = FROZEN[name]
    changes = {**changes, "encoder": {**changes.get("encoder", {}), "frozen": True}}
    trainer = one_step(varied(decoder, changes), atlas, tmp_path)
    frozen = [m for m in trainer.net.modules() if is_frozen_norm(m)]
    assert any(not p.requires_grad for p in trainer.net.parameters())
    assert all(p.grad is None for p in trainer.net.parameters() if not p.requires_grad)
    # Running statistics begin with zero and belong to what is frozen.
    assert [m for m in frozen if m.running_mean.any()] == []
    assert bool(frozen) == (name not in ("dma-vit", "dma-mit", "imsa-mae"))


def is_frozen_norm(module: torch.nn.Module) -> bool:
    running = getattr(module, "running_mean", None)
    return running is not None and not any(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("kind", ["light", "imsa"])
def test_what_is_new_on_a_frozen_backbone_trains(kind: str) -> None:
    # The simple pyramid of a plain ViT has random weights whatever the ViT has.
    name = "vit_tiny_patch16_224"
    config = varied(kind, {"encoder": {"kind": "timm", "name": name, "frozen": True}})
    with torch.device("meta"):
        net = build_model(config)
    trained = {n for n, p in net.named_parameters() if p.requires_grad}
    assert any(".pyramid." in n for n in trained if n.startswith("encoder."))
    assert not any(".blocks." in n for n in trained if n.startswith("encoder."))


@pytest.mark.parametrize(
    ("name", "total", "interactive"),
    [
        ("pvpu-nano", 3.76e6, None),
        ("pvpuformer-vit-b16", 122.3e6, None),
        ("interformer-light", None, 2.37e6),
        ("interformer-tiny", None, 4.95e6),
    ],
)
def test_parameters_of_full_size_presets(
    name: str, total: float | None, interactive: float | None
) -> None:
    with torch.device("meta"):
        found = count_parameters(build_model(name))
    for count, expected in zip(found, (total, interactive), strict=True):
        if expected is not None:
            assert count == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("decoder", "changes", "named"),
    [
        ("dma", {"prompts": {"tokens": False}}, "prompts.tokens"),
        ("light", {"prompts": {"fusion": "maps"}}, "prompts.fusion"),
        ("imsa", {"prompts": {"fusion": "mask"}}, "prompts.fusion"),
        ("imsa", {"decoder": {"classifier": "probabilistic"}}, "decoder.classifier"),
        ("imsa", {"decoder": {"key_adaptation": 1}}, "decoder.key_adaptation"),
        ("dma", {"encoder": {"kind": "mae"}}, "encoder.kind"),
        ("light", {"encoder": {"kind": "vit"}}, "encoder.kind"),
    ],
)
def test_settings_that_would_have_no_effect_are_refused(
    decoder: str, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        build_model(varied(decoder, changes))
