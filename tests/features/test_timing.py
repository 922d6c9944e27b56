"""Timing a network: as a session uses it, and no longer than it should take."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import torch

from napari_pvpu.errors import DeviceError
from napari_pvpu.features.timing import measure
from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.networks.models import build_model


class Slow(PromptableNetwork):
    """Takes a tenth of a second for a view and a fifth for prompts."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(view_size=16)
        self.calls = []

    def encode(self, view):
        assert not self.training
        self.calls.append("encode")
        time.sleep(0.1)
        return Features((), view, view[:, :1])

    def decode(self, features, prompts, previous=None, *, second_reading=False):
        assert previous is not None
        assert second_reading
        assert prompts.kind.shape == (1, 2)
        self.calls.append("decode")
        time.sleep(0.2)
        return Decoded(features.inside, features.image, features.image, torch.ones(1))

    def encoder_modules(self):
        return ()


def test_medians_of_both_parts():
    network = Slow()
    speed = measure(network, "cpu", repeats=2)
    assert 100 <= speed.encode_ms < 190
    assert 200 <= speed.interaction_ms < 390
    # One for the features, then one that does not count and two that do.
    assert network.calls.count("encode") == 4
    assert network.calls.count("decode") == 3


def test_slow_networks_are_not_run_often():
    network = Slow()
    measure(network, "cpu", repeats=50, seconds=0.05)
    assert network.calls == ["encode", "encode", "decode"]


def test_a_real_network_with_random_weights(small_config):
    speed = measure(build_model(small_config), "cpu", repeats=1)
    assert speed.encode_ms > 0
    assert speed.interaction_ms > 0


def test_unknown_devices_are_refused(small_config):
    with pytest.raises(DeviceError):
        measure(build_model(small_config), "no-such-device")
