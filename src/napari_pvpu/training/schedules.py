"""Learning rates over a run and over the depth of a network, and the optimisers that use them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """How weights follow their gradients.

    Attributes
    ----------
    kind : str
        ``"adamw"``, ``"adam"`` or ``"radam"``.
    rate, weight_decay : float
        Highest learning rate; decay of weights that are not biases, norms or scales.
    betas : tuple of float
        Of the moments.
    layer_decay : float
        Factor on the rate from a block of the encoder to the one before it; 1 for none.
    clip : float
        Longest gradient over all weights; 0 for no limit.
    schedule : str
        ``"wsd"``: warm-up, stable, then one minus the square root over the last `decay` share of
        the run; ``"cosine"``: half a cosine to zero; ``"poly"``: polynomial from the rate to
        `floor` until `decay` share of the run; ``"steps"``: a tenth from each of `milestones` on.
    warmup : int
        Steps of linear warm-up.
    decay : float
        See `schedule`.
    power : float
        Of the polynomial.
    floor : float
        Lowest rate of the polynomial.
    milestones : tuple of float
        Shares of the run.
    """

    kind: Literal["adamw", "adam", "radam"] = "adamw"
    rate: float = 1.5e-3
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    layer_decay: float = 1.0
    clip: float = 1.0
    schedule: Literal["wsd", "cosine", "poly", "steps"] = "wsd"
    warmup: int = 300
    decay: float = 0.3
    power: float = 1.0
    floor: float = 0.0
    milestones: tuple[float, ...] = ()


def learning_rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """Return the rate of a step.

    Parameters
    ----------
    step, steps : int
        Which, counted from 0, of how many.
    config : OptimizerConfig
        Schedule and rate.

    Examples
    --------
    >>> config = OptimizerConfig(warmup=10, rate=1.0, decay=0.2)
    >>> learning_rate(500, 1000, config), learning_rate(1000, 1000, config)
    (1.0, 0.0)
    """
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    if config.schedule == "steps":
        passed = sum(step >= share * steps for share in config.milestones)
        return config.rate * 0.1**passed
    if config.schedule == "wsd":
        start = steps * (1 - config.decay)
        done = max(0.0, step - start) / max(steps - start, 1e-9)
        return config.rate * (1 - math.sqrt(min(1.0, done)))
    length = steps * config.decay if config.schedule == "poly" else steps
    done = min(1.0, (step - config.warmup) / max(length - config.warmup, 1e-9))
    if config.schedule == "poly":
        return config.floor + (config.rate - config.floor) * (1 - done) ** config.power
    return config.rate * (1 + math.cos(math.pi * done)) / 2


def layer_of(name: str, depth: int) -> int:
    """Return the layer of an encoder's parameter, for layer-wise decay of the rate.

    Parameters
    ----------
    name : str
        The parameter's name in the network.
    depth : int
        Blocks of the encoder.

    Returns
    -------
    int
        0 for what comes before the first block, 1 to `depth` for the blocks, ``depth + 1`` for
        all that comes after and is not of the encoder.

    Examples
    --------
    >>> [layer_of(name, 12) for name in ("encoder.pos_embed", "encoder.blocks.0.norm1.weight",
    ...     "encoder.blocks.11.attn.qkv.weight", "decoder.head.weight")]
    [0, 1, 12, 13]
    """
    if not name.startswith(("encoder.", "trunk.")):
        return depth + 1
    block = re.search(r"\.blocks\.(\d+)\.", name)
    if block:
        return int(block.group(1)) + 1
    return 0 if re.search(r"embed|patch|stem|cls_token|position", name) else depth + 1


def parameter_groups(network: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Sort parameters by layer, and exempt biases, norms and scales from weight decay.

    Parameters
    ----------
    network : Module
        Parameters that want no gradient are left out.
    config : OptimizerConfig
        Decays.

    Returns
    -------
    list of dict
        Groups for an optimiser, each with ``"scale"``, the factor on the learning rate.
    """
    named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    blocks = [re.search(r"^(?:encoder|trunk)\..*?blocks\.(\d+)\.", name) for name, _ in named]
    depth = max((int(b.group(1)) + 1 for b in blocks if b), default=0)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        layer = layer_of(name, depth) if config.layer_decay != 1 else depth + 1
        groups.setdefault((layer, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": config.weight_decay if wide else 0.0,
            "scale": config.layer_decay ** (depth + 1 - layer),
        }
        for (layer, wide), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def make_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimiser of a run over `parameter_groups`."""
    groups = parameter_groups(network, config)
    if config.kind == "radam":
        return torch.optim.RAdam(groups, lr=config.rate, betas=config.betas)
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.rate, betas=config.betas, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups, scaled for each."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def clip_gradients(parameters: Iterable[Tensor], longest: float) -> None:
    """Shorten the gradient over all parameters to a length; 0 leaves it."""
    if longest > 0:
        torch.nn.utils.clip_grad_norm_(parameters, longest)
