"""Orthogonalised momentum."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_pvpu.training.muon import Muon, hidden_matrices, orthogonalized
from napari_pvpu.training.schedules import OptimizerConfig, make_optimizer, set_rate, step_if

TRUE, FALSE = torch.tensor(True), torch.tensor(False)


def singular_values(matrix: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(matrix.float())


@pytest.mark.parametrize(
    "values",
    [[1.0, 1.0], [3.0, 0.5], [-2.0, 40.0], [1e-12, 2e-12]],
    ids=["orthogonal", "stretched", "signs", "tiny"],
)
def test_a_diagonal_matrix_becomes_its_signs(values: list[float]) -> None:
    diagonal = torch.diag(torch.tensor(values))
    found = orthogonalized(diagonal[None])[0].float()
    assert torch.equal(found.diag().sign(), diagonal.diag().sign())
    assert found.diag().abs().tolist() == pytest.approx([0.95, 0.95], abs=0.3)
    assert found.fliplr().diag().tolist() == [0.0, 0.0]


def test_a_matrix_of_zeros_stays_one() -> None:
    assert not orthogonalized(torch.zeros(1, 3, 5)).any()


@settings(max_examples=20)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 9))
def test_singular_values_come_near_one(rows: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Singular values from 0.05 to 1, and any vectors.
    left, right = (
        torch.linalg.qr(torch.randn(n, n, generator=generator)).Q for n in (rows, columns)
    )
    short = min(rows, columns)
    values = torch.linspace(1.0, 0.05, short)
    matrix = left[:, :short] * values @ right[:short]
    found = orthogonalized(matrix[None])[0].float()
    assert found.shape == (rows, columns)
    assert 0.6 < float(singular_values(found).min())
    assert float(singular_values(found).max()) < 1.3
    # The vectors stay: what is found and the matrix agree on all of them.
    along = (left[:, :short].T @ found @ right[:short].T).diag()
    assert float(along.min()) > 0.5


def test_a_step_by_hand() -> None:
    """Gradient ``diag(2, 0)`` in a matrix of 1 x 2: the update is 0.2 sqrt(2) long."""
    weight = nn.Parameter(torch.tensor([[1.0, 0.5]]))
    group = {"params": [weight], "matrices": True, "weight_decay": 0.1}
    optimizer = Muon([group], lr=0.5, momentum=0.9)
    weight.grad = torch.tensor([[2.0, 0.0]])
    optimizer.step()
    length = float(orthogonalized(torch.tensor([[[1.0, 0.0]]]))[0, 0, 0])
    first = 1.0 - 0.5 * (0.2 * 2**0.5 * length + 0.1 * 1.0)
    assert weight.tolist()[0] == pytest.approx([first, 0.5 - 0.5 * 0.1 * 0.5], rel=1e-6)
    assert optimizer.state[weight]["momentum"].tolist()[0] == pytest.approx([0.2, 0.0])


def test_kernels_and_transposed_matrices_step_as_alone() -> None:
    torch.manual_seed(0)
    shapes = [(16, 24), (24, 16), (16, 24, 1, 1), (16, 6, 2, 2)]
    start = [torch.randn(shape) for shape in shapes]
    grads = [torch.randn(shape) for shape in shapes]
    together = [nn.Parameter(x.clone()) for x in start]
    alone = [nn.Parameter(x.clone()) for x in start]
    together[3].data = together[3].data.contiguous(memory_format=torch.channels_last)
    optimizers = [Muon([{"params": together, "matrices": True}], lr=0.1)]
    optimizers += [Muon([{"params": [p], "matrices": True}], lr=0.1) for p in alone]
    for parameters in (together, alone):
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad.clone()
    for optimizer in optimizers:
        optimizer.step()
    for one, other, before in zip(together, alone, start, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)
        change = (before - one).detach().flatten(1)
        sides = change.shape
        expected = 0.1 * 0.2 * max(sides) ** 0.5
        found = singular_values(change) / expected
        assert 0.6 < float(found.min()) < float(found.max()) < 1.3


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3)
        self.depthwise = nn.Conv2d(32, 32, 3, groups=32)
        self.widen = nn.Conv2d(32, 64, 1)
        self.norm = nn.BatchNorm2d(64)
        self.mix = nn.Linear(64, 16)
        self.frozen = nn.Linear(32, 32).requires_grad_(False)
        self.names = nn.Embedding(20, 20)
        self.head = nn.Linear(16, 1)


def test_hidden_matrices_are_neither_first_nor_last() -> None:
    net = Net()
    assert hidden_matrices(net) == {net.widen.weight, net.mix.weight}


def test_the_rest_follows_adamw() -> None:
    torch.manual_seed(0)
    one, other = Net(), Net()
    other.load_state_dict(one.state_dict())
    config = OptimizerConfig(rate=0.01, layer_decay=0.9)
    muon = make_optimizer(one, OptimizerConfig(kind="muon", rate=0.01, layer_decay=0.9))
    adamw = make_optimizer(other, config)
    for _ in range(2):
        for net, optimizer in ((one, muon), (other, adamw)):
            torch.manual_seed(1)
            for parameter in net.parameters():
                parameter.grad = torch.randn_like(parameter)
            set_rate(optimizer, 0.02)
            optimizer.step()
    same = {n: torch.equal(p, dict(other.named_parameters())[n]) for n, p in one.named_parameters()}
    assert {n for n, equal in same.items() if not equal} == {"widen.weight", "mix.weight"}


def test_state_comes_back() -> None:
    torch.manual_seed(0)
    nets = [Net(), Net()]
    config = OptimizerConfig(kind="muon")
    first, second = (make_optimizer(net, config) for net in nets)

    def steps(net: Net, optimizer: torch.optim.Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        for parameter in net.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()

    steps(nets[0], first, 1)
    nets[1].load_state_dict(nets[0].state_dict())
    second.load_state_dict(deepcopy(first.state_dict()))
    for net, optimizer in zip(nets, (first, second), strict=True):
        steps(net, optimizer, 2)
    for one, other in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["adamw", "adam", "radam", "muon"])
def test_a_step_with_bad_gradients_is_left_out(kind: str) -> None:
    torch.manual_seed(0)
    net = Net()
    optimizer = make_optimizer(net, OptimizerConfig(kind=kind))  # type: ignore[arg-type]

    def take(good: torch.Tensor, value: float) -> dict[str, torch.Tensor]:
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, value)
        step_if(good, optimizer)
        return {n: p.detach().clone() for n, p in net.named_parameters()}

    start = {n: p.detach().clone() for n, p in net.named_parameters()}
    bad = take(FALSE, torch.nan)  # the very first step, when there are no moments yet
    taken = take(TRUE, 1.0)
    again = take(FALSE, torch.inf)
    after = take(TRUE, 1.0)
    trained = [n for n, p in net.named_parameters() if p.requires_grad]
    for name in trained:
        assert torch.equal(bad[name], start[name])
        assert not torch.equal(taken[name], bad[name])
        assert torch.equal(again[name], taken[name])
        assert bool(after[name].isfinite().all())
    if kind == "radam":  # its moments count a gradient of zero
        return
    clean = Net()
    clean.load_state_dict(net.state_dict() | start)
    optimizer = make_optimizer(clean, OptimizerConfig(kind=kind))  # type: ignore[arg-type]
    for _ in range(2):
        for parameter in clean.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    for name in trained:
        assert torch.equal(dict(clean.named_parameters())[name], after[name])
