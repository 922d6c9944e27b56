"""Recipes by name, by file and by single settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_pvpu.errors import ConfigError
from napari_pvpu.networks.config import ModelConfig
from napari_pvpu.networks.models import PRESETS
from napari_pvpu.training.recipe_files import find_recipe, recipe_as_yaml
from napari_pvpu.training.recipes import RECIPES, changed, recipe_for

MODEL = ModelConfig(view_size=96)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


@pytest.mark.parametrize("name", PRESETS)
def test_left_out_it_is_the_models_own(name: str) -> None:
    assert find_recipe(PRESETS[name]) == recipe_for(PRESETS[name])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_by_name_has_views_of_the_model(name: str) -> None:
    recipe = find_recipe(MODEL, name)
    assert recipe.sampling.size == 96
    assert replace(recipe, sampling=RECIPES[name].sampling) == RECIPES[name]


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_shown_says_the_same(name: str, file: Path) -> None:
    recipe = find_recipe(MODEL, name)
    file.write_text(recipe_as_yaml(recipe))
    assert find_recipe(MODEL, file) == recipe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps: 7\noptimizer: {rate: 1e-4}", ("pvpu", {"steps": 7, "optimizer": {"rate": 1e-4}})),
        ("base: interformer\nviews: 8", ("interformer", {"views": 8})),
        ("sampling: {size: 64}", ("pvpu", {"sampling": {"size": 64}})),
        ("", ("pvpu", {})),
    ],
    ids=["own", "base", "size", "empty"],
)
def test_a_file_lists_changes_alone(file: Path, text: str, expected) -> None:
    file.write_text(text)
    base, changes = expected
    start = changed(RECIPES[base], {"sampling": {"size": 96}})
    assert find_recipe(MODEL, file) == changed(start, changes)


def test_on_a_gpu_the_models_own_is_that_of_gpus(file: Path) -> None:
    file.write_text("steps: 7")
    own = recipe_for(MODEL, "cuda")
    assert own.views == RECIPES["pvpu-gpu"].views
    assert find_recipe(MODEL, device="cuda") == own
    assert find_recipe(MODEL, file, device="cuda") == replace(own, steps=7)
    # What is named is what is taken.
    assert find_recipe(MODEL, "pvpu", device="cuda") == find_recipe(MODEL)


def test_settings_come_last_and_in_order(file: Path) -> None:
    file.write_text("steps: 7\nviews: 4")
    recipe = find_recipe(MODEL, file, ["views=6", "optimizer.rate=1e-3", "views=8"])
    assert (recipe.steps, recipe.views, recipe.optimizer.rate) == (7, 8, 1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stpes: 7", "mine.yaml: there is no setting 'stpes'; allowed here are steps, views"),
        ("optimizer: {rate: fast}", "mine.yaml: optimizer.rate is 'fast', which is no float"),
        ("optimizer: {kind: sgd}", "optimizer.kind is 'sgd'; allowed are 'adamw', 'adam', 'radam'"),
        ("base: sam", "base is 'sam'; use one of pvpu, pvpuformer"),
        ("- 1", "has to hold settings by name"),
    ],
)
def test_files_that_cannot_be_used(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        find_recipe(MODEL, file)


@pytest.mark.parametrize("name", ["magic", "nowhere.yaml"])
def test_recipes_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no recipe '{name}': it is neither one of pvpu, pvpuf"):
        find_recipe(MODEL, name)


def test_a_setting_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"--set habits.blind=dark: habits.blind is 'dark'"):
        find_recipe(MODEL, settings=["habits.blind=dark"])


def test_the_recipe_of_the_shipped_weights_can_be_used() -> None:
    model = PRESETS["pvpu-nano"]
    path = Path(__file__).parents[2] / "docs" / "recipes" / "pvpu-nano-last-part.yaml"
    recipe = find_recipe(model, str(path))
    assert recipe.optimizer.kind == "muon"
    assert recipe.sampling.size == model.view_size
