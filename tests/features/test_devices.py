"""Choosing a device."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch

from napari_pvpu.errors import DeviceError
from napari_pvpu.features.devices import choose_device, keep_memory, one_thread


def test_the_cpu_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_takes_cuda_where_it_works(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    monkeypatch.undo()
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_auto_falls_back_when_the_card_does_not_work(monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", broken)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(DeviceError, match=r"does not work \(no kernel image"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "CPU?"])
def test_unknown_names_are_refused(name):
    with pytest.raises(DeviceError, match="choose 'auto', 'cpu', 'cuda' or 'mps'"):
        choose_device(name)


def test_kinds_that_are_not_supported_are_refused():
    with pytest.raises(DeviceError, match="'meta' is not supported"):
        choose_device("meta")


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps"])
def test_devices_that_are_not_there_are_refused(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=f"'{name}' is not available"):
        choose_device(name)


def test_one_thread_is_for_a_while_only():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc")
def test_freed_memory_is_there_for_the_next_answer():
    resource = pytest.importorskip("resource")
    keep_memory()

    def pages():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            np.ones(2**20, np.uint8)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    pages()  # the first time they have to come from somewhere
    assert pages() < 100  # of 5120
