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
