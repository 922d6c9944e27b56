"""What a model's name may be, and what is said about one that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_pvpu import Click, Segmenter
from napari_pvpu.errors import ConfigError, ModelNotFoundError, WeightsError
from napari_pvpu.model_files import config_as_yaml, find_model, load_network, sketch_network
from napari_pvpu.networks.config import ModelConfig
from napari_pvpu.networks.interface import count_parameters
from napari_pvpu.networks.models import PRESETS, build_model
from napari_pvpu.networks.weights import bundled_path, save_weights

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """\
view_size: 64
encoder: {stem: 8, stage_channels: [16, 16], stage_depths: [1, 1], width: 32, depth: 1, heads: 2}
pyramid: [8, 16, 16, 16]
prompts: {hidden: 32}
decoder: {heads: 2, pixel_channels: 16}
"""


@pytest.fixture
def weights(tmp_path: Path, small_config: ModelConfig) -> Path:
    torch.manual_seed(3)
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "weights.safetensors"
    save_weights(build_model(small_config), path)
    return path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_shown_of_a_preset_describes_it(name: str, tmp_path: Path) -> None:
    file = write(tmp_path / "copy.yaml", config_as_yaml(PRESETS[name]))
    assert find_model(file).config == find_model(name).config == PRESETS[name]


def test_a_preset_knows_its_weights() -> None:
    assert find_model("pvpu-nano").weights == bundled_path("pvpu-nano")
    assert find_model("interformer-tiny").weights is None


def test_a_weights_file_is_a_model(weights: Path, small_config: ModelConfig) -> None:
    assert find_model(weights) == (small_config, weights, None)


def test_a_file_lists_changes_alone(tmp_path: Path) -> None:
    text = "base: pvpuformer-vit-b16\nprompts:\n  gamma: 0\nview_size: 256\n"
    source = find_model(write(tmp_path / "mine.yml", text))
    before = PRESETS["pvpuformer-vit-b16"].to_dict()
    expected = {**before, "name": "mine", "view_size": 256}
    expected["prompts"] = {**before["prompts"], "gamma": 0.0}
    assert source.config == ModelConfig.from_dict(expected)
    assert source.weights is None


def test_without_a_base_the_rest_is_as_in_the_default(tmp_path: Path) -> None:
    source = find_model(write(tmp_path / "mine.yaml", "encoder: {depth: 3}\nname: own"))
    assert source.config.name == "own"
    assert source.config.encoder.depth == 3
    assert source.config.pyramid == ModelConfig().pyramid


def test_files_build_on_files_beside_them(tmp_path: Path) -> None:
    write(tmp_path / "one.yaml", "base: pvpu-small\nencoder: {depth: 3}")
    two = write(tmp_path / "two.yaml", "base: one.yaml\nencoder: {heads: 4}")
    config = find_model(two).config
    assert (config.name, config.view_size) == ("two", 160)
    assert (config.encoder.depth, config.encoder.heads) == (3, 4)


def test_a_file_with_weights_segments(tmp_path: Path, weights: Path) -> None:
    file = write(tmp_path / "mine.yaml", f"{SMALL}weights: run/weights.safetensors\n")
    assert find_model(file).weights == weights
    segmenter = Segmenter(file, "cpu")
    assert (segmenter.model_name, segmenter.view_size) == ("mine", 64)
    image = np.random.default_rng(0).integers(0, 255, (80, 90), np.uint8)
    session = segmenter.open(image)
    session.add(Click((40, 30)))
    assert session.mask[40, 30]
    other = Segmenter(weights, "cpu").open(image)
    other.add(Click((40, 30)))
    assert np.array_equal(session.probability, other.probability)


def test_a_model_is_as_new_as_its_newest_file(tmp_path: Path, weights: Path) -> None:
    import os

    file = write(tmp_path / "mine.yaml", f"{SMALL}weights: run/weights.safetensors\n")
    os.utime(weights, (100, 100))
    os.utime(file, (200, 200))
    assert find_model(file).changed_at() == 200
    assert find_model(weights).changed_at() == 100
    assert find_model("interformer-light").changed_at() == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth: 3", "mine.yaml: there is no setting 'depth'; allowed here are name, view_size"),
        ("encoder: {depht: 3}", "no setting 'encoder.depht'; allowed here are kind, name"),
        ("encoder: {depth: six}", "encoder.depth is 'six', which is no int"),
        ("encoder: {kind: magic}", "encoder.kind is 'magic'; allowed are 'conv-stem-vit', 'vit'"),
        ("view_size: 100", "mine.yaml: view_size has to be a multiple of 16"),
        ("encoder: 3", "encoder has to hold settings by name, not 3"),
        ("base: pvpu-giga", r"base is 'pvpu-giga', which is neither a preset \(pvpu-nano, "),
        ("base: none.yaml", "base is 'none.yaml', which is neither"),
        ("base: [1]", r"base is \[1\]; give a name or a path"),
        ("base: mine.yaml", "mine.yaml is based on itself"),
        ("weights: 3", "weights is 3; give a name or a path"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_model(write(tmp_path / "mine.yaml", text))


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.yaml", "weights: nowhere.safetensors")
    with pytest.raises(ModelNotFoundError, match=r"there are no weights at .*nowhere.safetensors"):
        find_model(file)


def test_models_without_weights_say_how_to_get_them(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.yaml", SMALL)
    with pytest.raises(ModelNotFoundError, match="names no weights; train it with 'napari-pvpu t"):
        Segmenter(file, "cpu")
    with pytest.raises(ModelNotFoundError, match="not part of this installation; train it with"):
        load_network("pvpuformer-vit-b16")


@pytest.mark.parametrize("name", ["pvpu-nanno", "nowhere.yaml", "no/such.safetensors"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match=name) as caught:
        find_model(name)
    assert ("did you mean 'pvpu-nano'?" in str(caught.value)) == (name == "pvpu-nanno")


def test_weights_of_another_architecture_say_what_differs(tmp_path: Path, weights: Path) -> None:
    text = f"{SMALL}weights: {weights}\n".replace("hidden: 32", "hidden: 24")
    text = text.replace("stage_depths: [1, 1]", "stage_depths: [2, 1]")
    with pytest.raises(WeightsError) as caught:
        load_network(write(tmp_path / "mine.yaml", text))
    message = str(caught.value)
    assert "do not fit the network 'mine', which is of another architecture" in message
    assert "missing (" in message
    assert "of another shape (" in message
    assert " is 32x" in message
    assert ", not 24x" in message


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("{kind: timm, name: resnet81}", "timm has no backbone 'resnet81'; similar ones are resne"),
        ("{kind: deeplabv3plus, name: resnet50}", "does not go with decoder.kind 'light'"),
    ],
    ids=["unknown", "no-match"],
)
def test_what_cannot_be_built_says_why(tmp_path: Path, encoder: str, message: str) -> None:
    file = write(tmp_path / "mine.yaml", f"encoder: {encoder}")
    with pytest.raises(ConfigError, match=message):
        sketch_network(find_model(file).config)


def test_a_sketch_has_shapes_and_no_numbers(small_config: ModelConfig) -> None:
    sketch, network = sketch_network(small_config), build_model(small_config)
    assert sketch.config == small_config
    assert all(p.is_meta for p in sketch.parameters())
    assert count_parameters(sketch) == count_parameters(network)


def test_pretrained_encoders_are_not_fetched_for_weights_that_replace_them(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "mine.yaml", f"{SMALL}weights: {weights}\n")
    file.write_text(file.read_text().replace("{stem", "{pretrained: true, stem"))
    seen = []
    monkeypatch.setattr(
        "napari_pvpu.networks.weights.build_model",
        lambda config: seen.append(config) or build_model(config),
    )
    assert load_network(file).config.encoder.pretrained is True
    assert seen[0].encoder.pretrained is False
