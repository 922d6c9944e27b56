"""Tests of napari_pvpu.propagation.settings."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_pvpu.propagation import PropagationSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iterations", 0),
        ("iterations", 6),
        ("alpha_scale", 0.0),
        ("beta", -1.0),
        ("beta", float("nan")),
        ("theta_mu", -0.1),
        ("fixed_value", 0.0),
        ("radius", float("inf")),
        ("position_length", 0.0),
        ("blend", 1.5),
        ("grid", 0),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; choose"):
        PropagationSettings(**{name: value})  # type: ignore[arg-type]


def test_settings_at_the_ends_of_their_ranges_are_taken() -> None:
    settings = PropagationSettings(
        iterations=5, theta_mu=0.0, radius=0.0, position_length=None, blend=0.0, grid=1
    )
    assert settings.iterations == 5


def test_settings_come_without_torch() -> None:
    code = "import sys, napari_pvpu.propagation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
