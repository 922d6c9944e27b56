"""Torch's libraries come before torch, by a way that leaves other threads alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_pvpu.torch_libraries import load_libraries

PROGRAM = """
import sys
from pathlib import Path
from napari_pvpu.torch_libraries import load_libraries
maps = Path("/proc/self/maps")
before = "libtorch_cpu" in maps.read_text()
done = load_libraries()
print(before, done, "torch" in sys.modules, "libtorch_cpu" in maps.read_text())
import torch
print((torch.ones(3) * 2).tolist(), load_libraries())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is loaded")
def test_libraries_are_there_before_torch_and_torch_takes_them():
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False True False True", "[2.0, 2.0, 2.0] False"]


AHEAD = """
import sys
from pathlib import Path
from napari_pvpu.torch_libraries import load_libraries_ahead
load_libraries_ahead().join()
print("torch" in sys.modules, "libtorch_cpu" in Path("/proc/self/maps").read_text())
sys.modules["torch"] = None
print(load_libraries_ahead())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is loaded")
def test_libraries_can_be_loaded_beside_other_work():
    command = [sys.executable, "-W", "ignore", "-c", AHEAD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False True", "None"]


@pytest.mark.parametrize(
    ("platform", "origin"),
    [("win32", "/nowhere/torch/__init__.py"), ("linux", "/nowhere/torch/__init__.py"),
     ("linux", None)],
    ids=["elsewhere", "no such file", "no torch"],
)  # fmt: skip
def test_what_cannot_be_loaded_is_left_to_the_import(platform, origin, monkeypatch):
    class Found:
        def __init__(self) -> None:
            self.origin = origin

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr("napari_pvpu.torch_libraries.find_spec", lambda name: origin and Found())
    assert not load_libraries()
