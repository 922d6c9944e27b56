"""What the tests of features share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def weights(small_weights: Path) -> str:
    """Path of random weights of a small network."""
    return str(small_weights)


@pytest.fixture(scope="session")
def exported(weights: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of that network's ONNX files; to write them takes half a minute of one core."""
    from napari_pvpu.networks.weights import load_model
    from napari_pvpu.onnx_export import export_onnx

    folder = tmp_path_factory.mktemp("onnx") / "new"
    export_onnx(load_model(weights), folder)
    return folder
