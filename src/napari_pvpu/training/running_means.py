"""Means over a run: of the weights, and of the running statistics of a step's shards."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

if TYPE_CHECKING:
    from torch import nn

    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["ShardStatistics", "WeightAverage"]


class WeightAverage:
    """Exponential moving average of a network's weights and running statistics.

    Parameters
    ----------
    network : PromptableNetwork
        What is averaged; it has to stay on its device.
    decay : float
        Of the average after many steps; earlier it is ``(1 + step) / (10 + step)`` if that is
        less, so that the random weights of the start are soon forgotten.

    Attributes
    ----------
    network : PromptableNetwork
        The average, in evaluation mode and without gradients.
    """

    def __init__(self, network: PromptableNetwork, decay: float) -> None:
        self.network: PromptableNetwork = deepcopy(network).requires_grad_(False).eval()
        self.decay = decay
        # The lists are made once: a network's state takes longer to collect than to average.
        self._means, self._values = _floats(self.network), _floats(network)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._means, self._values, 1 - decay)


class ShardStatistics:
    """Running statistics of a network's norms, averaged over the shards of a step.

    Parameters
    ----------
    network : Module
        Whose norms keep running statistics, if any do.
    """

    def __init__(self, network: nn.Module) -> None:
        buffers = [b for name, b in network.state_dict().items() if name not in _names(network)]
        self._floats = [b for b in buffers if b.is_floating_point()]
        # Counters need no mean: they begin and end alike in every shard.
        self._counters = [b for b in buffers if not b.is_floating_point()]
        self._before: list[Tensor] = []
        self._counted: list[Tensor] = []
        self._sum = torch.zeros(())

    @torch.no_grad()
    def begin(self) -> None:
        """Begin a step."""
        self._before = [b.clone() for b in self._floats]
        self._counted = [b.clone() for b in self._counters]
        self._sum = torch.zeros_like(self._flat())

    @torch.no_grad()
    def restore(self) -> None:
        """Begin a shard where the step began."""
        _copy(self._floats, self._before)
        _copy(self._counters, self._counted)

    @torch.no_grad()
    def add(self) -> None:
        """Take in what a shard left."""
        self._sum = self._sum + self._flat()

    @torch.no_grad()
    def end(self, shards: int, good: Tensor) -> None:
        """Set the mean over the shards of all processes.

        Parameters
        ----------
        shards : int
            How many there were.
        good : Tensor
            Bool scalar; where it is false, the statistics of before the step are set.
        """
        if not self._floats:
            return
        if distributed.is_initialized():
            distributed.all_reduce(self._sum)
        before = torch.cat([b.flatten().float() for b in self._before])
        mean = torch.where(good, self._sum / shards, before)
        parts = mean.split([b.numel() for b in self._floats])
        _copy(self._floats, [p.view(b.shape) for p, b in zip(parts, self._floats, strict=True)])

    def _flat(self) -> Tensor:
        if not self._floats:
            return torch.zeros(())
        return torch.cat([b.flatten().float() for b in self._floats])


def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    if targets:
        torch._foreach_copy_(targets, sources)


def _names(network: nn.Module) -> set[str]:
    return {name for name, _ in network.named_parameters(remove_duplicate=False)}


def _floats(network: nn.Module) -> list[Tensor]:
    return [x for x in network.state_dict().values() if x.is_floating_point()]
