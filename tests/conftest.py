"""What all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what loads OpenGL last.

    An optimiser imports triton, whose LLVM crashes when it is loaded after the one of Mesa's
    software OpenGL; the other way round both work.
    """
    items.sort(key=lambda item: "gui" in item.path.parts or item.path.name == "test_manifest.py")
