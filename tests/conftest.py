"""What all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig

# Tests read and write no features of the person who runs them; those of the store name their own.
os.environ["NAPARI_PVPU_CACHE"] = "off"

# A loaded machine is not a failed property: no deadline per example.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def small_config() -> ModelConfig:
    """A network of the default's kind that a test can afford, for views of 64 pixels."""
    from napari_pvpu.networks.config import (
        DecoderConfig,
        EncoderConfig,
        ModelConfig,
        PromptConfig,
    )

    encoder = EncoderConfig(
        stem=8, stage_channels=(16, 16), stage_depths=(1, 1), width=32, depth=1, heads=2
    )
    return ModelConfig(
        name="small",
        view_size=64,
        encoder=encoder,
        pyramid=(8, 16, 16, 16),
        prompts=PromptConfig(hidden=32),
        decoder=DecoderConfig(heads=2, pixel_channels=16),
    )


@pytest.fixture(scope="session")
def small_weights(small_config: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of such a network: the real one in everything but sense."""
    import torch

    from napari_pvpu.networks.models import build_model
    from napari_pvpu.networks.weights import save_weights

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(build_model(small_config), path)
    return path


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Have torch compute in one thread: tiny networks lose much by more on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what loads OpenGL last.

    An optimiser imports triton, whose LLVM crashes when it is loaded after the one of Mesa's
    software OpenGL; the other way round both work.
    """
    items.sort(key=lambda item: "gui" in item.path.parts or item.path.name == "test_manifest.py")
