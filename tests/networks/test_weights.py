"""Weights files: round trip, and everything that may be wrong with one."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from napari_pvpu.errors import ConfigError, ModelNotFoundError, WeightsError
from napari_pvpu.networks.config import EncoderConfig
from napari_pvpu.networks.models import build_model
from napari_pvpu.networks.weights import (
    bundled_path,
    fill,
    load_model,
    read_config,
    resolve_weights,
    save_weights,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig


@pytest.fixture
def file(tmp_path: Path, small_config: ModelConfig) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "small.safetensors"
    save_weights(build_model(small_config), path, {"steps": "12"})
    return path


def test_round_trip_keeps_config_and_weights(file: Path, small_config: ModelConfig) -> None:
    torch.manual_seed(3)
    expected = build_model(small_config).state_dict()
    loaded = load_model(file)
    assert loaded.config == small_config == read_config(file)
    assert not loaded.training
    for name, value in loaded.state_dict().items():
        assert value.dtype in (torch.float32, torch.int64)
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-3)


def test_whoever_may_read_new_files_may_read_weights(file: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert file.stat().st_mode == plain.stat().st_mode


def test_cut_file_is_reported(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match=str(file)):
        load_model(file)


def test_flipped_header_is_reported(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[0] ^= 0xFF
    file.write_bytes(bytes(data))
    with pytest.raises(WeightsError):
        load_model(file)


def test_foreign_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"x": np.zeros(3, np.float32)}, path)
    with pytest.raises(WeightsError, match="not a weights file of napari-pvpu"):
        load_model(path)


def test_weights_that_do_not_fit_their_config_are_reported(
    tmp_path: Path, small_config: ModelConfig
) -> None:
    net = build_model(small_config)
    del net.decoder.head
    path = tmp_path / "headless.safetensors"
    save_weights(net, path)
    with pytest.raises(WeightsError, match="do not fit"):
        load_model(path)


def test_differences_are_counted_and_the_first_ten_named(
    file: Path, small_config: ModelConfig
) -> None:
    deeper = replace(small_config.encoder, depth=2, width=48)
    network = build_model(replace(small_config, name="other", encoder=deeper))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        fill(network, file)
    message = str(caught.value)
    assert message.startswith(f"the weights in {file} do not fit the network 'other'")
    counts = re.findall(r"(\d+) (missing|unknown|of another shape) \(([^()]*)\)", message)
    missing, shapes = counts
    assert missing[1] == "missing"
    assert int(missing[0]) > 10
    assert missing[2].count(",") == 9
    assert missing[2].endswith(f" and {int(missing[0]) - 10} more")
    assert shapes[1] == "of another shape"
    assert re.search(r"encoder\S+ is 32x?\S*, not 48", shapes[2])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    smaller = build_model(small_config)
    del smaller.decoder.head
    with pytest.raises(WeightsError, match=r"architecture: \d+ unknown \(decoder.head\.\S+"):
        fill(smaller, file)


def test_another_config_may_be_given(file: Path, small_config: ModelConfig) -> None:
    other = replace(small_config, name="mine", prompts=replace(small_config.prompts, sigma=3.0))
    assert load_model(file, config=other).config == other


def test_a_model_whose_package_is_missing_says_so(
    tmp_path: Path, small_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = EncoderConfig(kind="mit", name="mit_b0")
    config = replace(small_config, name="mit", encoder=encoder)
    network = build_model(small_config)
    network.config = config
    path = tmp_path / "mit.safetensors"
    save_weights(network, path)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch.encoders", None)
    with pytest.raises(ConfigError, match=r"'mit' cannot be built: .*napari-pvpu\[backbones\]"):
        load_model(path)


@pytest.mark.parametrize("name", ["pvpu-giga", "no/such/file.safetensors"])
def test_unknown_model_is_reported(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match=name):
        resolve_weights(name)


def test_default_weights_come_with_the_package() -> None:
    path = bundled_path("pvpu-nano")
    assert path.stat().st_size < 12e6
    assert load_model("pvpu-nano").config.name == "pvpu-nano"
