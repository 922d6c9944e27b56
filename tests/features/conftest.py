"""What the tests of features share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from napari_pvpu.networks.models import build_model
from napari_pvpu.networks.weights import save_weights

if TYPE_CHECKING:
    from napari_pvpu.networks.config import ModelConfig


@pytest.fixture(scope="session")
def weights(small_config: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of random weights of a small network."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(build_model(small_config), path)
    return str(path)
