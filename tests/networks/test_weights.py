"""Weights files: round trip, and everything that may be wrong with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from napari_pvpu.errors import ModelNotFoundError, WeightsError
from napari_pvpu.networks.models import build_model
from napari_pvpu.networks.weights import (
    bundled_path,
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


@pytest.mark.parametrize("name", ["pvpu-giga", "no/such/file.safetensors"])
def test_unknown_model_is_reported(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match=name):
        resolve_weights(name)


def test_default_weights_come_with_the_package() -> None:
    path = bundled_path("pvpu-nano")
    assert path.stat().st_size < 12e6
    assert load_model("pvpu-nano").config.name == "pvpu-nano"
