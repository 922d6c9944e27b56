"""Compiling parts of a network, and doing without where that fails."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
import torch

from napari_pvpu.networks.models import build_model
from napari_pvpu.training.compilation import compile_network

if TYPE_CHECKING:
    from napari_pvpu.networks.config import ModelConfig


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what torch's compiler says of itself and of other packages
@pytest.mark.parametrize(
    ("backend", "works"),
    # The first one traces and leaves the rest to PyTorch, since a compiler takes a minute.
    [("eager", True), ("no-such-backend", False)],
)
def test_a_compiled_encoder_or_none(
    small_config: ModelConfig, caplog: pytest.LogCaptureFixture, backend: str, works: bool
) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    network = build_model(small_config)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    view = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network.eval().encode(view).levels
    network.train()
    random = torch.get_rng_state()
    compile_network(network, "encoder", torch.zeros(1, 3, 64, 64), 1, nullcontext(), backend)
    assert torch.equal(torch.get_rng_state(), random)
    compiled = [m for m in network.modules() if m._compiled_call_impl is not None]
    assert [m for m in compiled if m not in set(network.encoder_modules())] == []
    assert bool(compiled) == works
    told = [m for m in caplog.messages if "torch.compile fails here" in m]
    assert len(told) == (0 if works else 1)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None for p in network.parameters())
    with torch.no_grad():
        for one, other in zip(network.eval().encode(view).levels, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    torch._dynamo.reset()


def test_nothing_is_compiled_where_nothing_is_asked_for(small_config: ModelConfig) -> None:
    network = build_model(small_config)
    compile_network(network, "none", torch.zeros(1, 3, 64, 64), 1, nullcontext())
    assert all(m._compiled_call_impl is None for m in network.modules())
