"""The papers' schedules, and changes to them."""

from __future__ import annotations

import pytest

from napari_pvpu.networks.config import DecoderConfig, EncoderConfig, ModelConfig
from napari_pvpu.training.recipes import RECIPES, changed, recipe_for
from napari_pvpu.training.schedules import learning_rate


@pytest.mark.parametrize(
    ("recipe", "share", "expected"),
    [
        ("pvpuformer", 0.0, 5e-5),
        ("pvpuformer", 0.8, 5e-5),
        ("pvpuformer", 0.85, 5e-6),
        ("pvpuformer", 0.95, 5e-7),
        ("interformer", 1499 / 320_000, 1e-4),
        ("interformer", 0.5, 0.50235e-4),
        ("interformer", 1.0, 0.0),
        ("probabilistic", 0.0, 1e-4),
        ("probabilistic", 0.5, 1e-5),
    ],
)
def test_published_learning_rates(recipe: str, share: float, expected: float) -> None:
    config = RECIPES[recipe]
    got = learning_rate(round(share * config.steps), config.steps, config.optimizer)
    assert got == pytest.approx(expected, rel=1e-3, abs=1e-12)


def test_probabilistic_attention_begins_with_boxes_alone() -> None:
    config = RECIPES["probabilistic"]
    rounds, habits = config.at(0)
    assert (rounds, habits.first) == ((1.0,), (0.0, 1.0, 0.0))
    rounds, habits = config.at(round(0.2 * config.steps))
    assert rounds[0] == 0
    assert habits.blind == 1.0
    rounds, habits = config.at(round(0.5 * config.steps))
    assert habits.blind == 0.0
    assert len(rounds) == 5


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (ModelConfig(), "pvpu"),
        (ModelConfig(decoder=DecoderConfig(kind="dma")), "pvpuformer"),
        (ModelConfig(decoder=DecoderConfig(kind="imsa")), "interformer"),
        (ModelConfig(decoder=DecoderConfig(kind="simpleclick")), "simpleclick"),
        (ModelConfig(decoder=DecoderConfig(classifier="probabilistic")), "probabilistic"),
        (ModelConfig(encoder=EncoderConfig(kind="botnet")), "probabilistic"),
    ],
    ids=["light", "dma", "imsa", "simpleclick", "classifier", "botnet"],
)
def test_every_model_has_its_recipe(model: ModelConfig, expected: str) -> None:
    recipe = recipe_for(model)
    assert recipe.steps == RECIPES[expected].steps
    assert recipe.sampling.size == model.view_size


def test_large_encoders_decay_slower_from_layer_to_layer() -> None:
    model = ModelConfig(decoder=DecoderConfig(kind="imsa"), encoder=EncoderConfig(width=1024))
    assert recipe_for(model).optimizer.layer_decay == 0.75
    assert RECIPES["interformer"].optimizer.layer_decay == 0.65


def test_changes_reach_nested_settings_and_leave_the_rest() -> None:
    config = changed(RECIPES["probabilistic"], {"optimizer": {"rate": 1}, "views": 2})
    assert (config.optimizer.rate, config.optimizer.kind, config.views) == (1.0, "radam", 2)
    assert config.curriculum == RECIPES["probabilistic"].curriculum
    with pytest.raises(ValueError, match=r"no setting 'optimizer.speed'; allowed here are kind"):
        changed(config, {"optimizer": {"speed": 3}})


def test_a_gpu_gets_more_views_of_the_same_kind() -> None:
    small, large = RECIPES["pvpu"], RECIPES["pvpu-gpu"]
    assert large.views * large.objects > 8 * small.views * small.objects
    assert small.optimizer.rate < large.optimizer.rate < small.optimizer.rate * 8**0.5
    for same in ("losses", "play", "sampling", "habits", "rounds"):
        assert getattr(large, same) == getattr(small, same)
    # Its pieces are long enough for the minute that a compiler takes; shapes never change there.
    assert (small.compile, large.compile) == ("none", "encoder")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("light", "pvpu-gpu"), ("dma", "pvpuformer"), ("imsa", "interformer")],
)
def test_a_gpu_has_a_recipe_of_its_own_for_our_models(kind: str, expected: str) -> None:
    model = ModelConfig(view_size=96, decoder=DecoderConfig(kind=kind))
    recipe = recipe_for(model, "cuda")
    assert recipe == changed(RECIPES[expected], {"sampling": {"size": 96}})
    assert recipe_for(model, "cpu") == recipe_for(model)
    assert (recipe_for(model, "mps") == recipe) == (kind != "light")
