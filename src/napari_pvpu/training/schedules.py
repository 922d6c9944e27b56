"""Learning rates over a run and over the depth of a network, and the optimisers that use them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from napari_pvpu.training.muon import Muon, hidden_matrices

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """How weights follow their gradients.

    Attributes
    ----------
    kind : str
        ``"adamw"``, ``"adam"``, ``"radam"``, or ``"muon"``: orthogonalised momentum for the
        matrices of hidden layers and AdamW, by the same rate, for all else.
    rate, weight_decay : float
        Highest learning rate; decay of weights that are not biases, norms or scales.
    betas : tuple of float
        Of the moments.
    momentum : float
        Of what is orthogonalised, for ``"muon"``.
    layer_decay : float
        Factor on the rate from a block of the encoder to the one before it; 1 for none.
    clip : float
        Longest gradient over all weights; 0 for no limit.
    schedule : str
        ``"wsd"``: warm-up, stable, then one minus the square root over the last `decay` share of
        the run, or from step `cooldown_from` on; ``"cosine"``: half a cosine to zero; ``"poly"``:
        polynomial from the rate to `floor` until `decay` share of the run; ``"steps"``: a tenth
        from each of `milestones` on.
    warmup : int
        Steps of linear warm-up.
    decay : float
        See `schedule`.
    cooldown_from : int, optional
        For ``"wsd"``: step from which the rate falls, instead of by `decay`.
    power : float
        Of the polynomial.
    floor : float
        Lowest rate of the polynomial.
    milestones : tuple of float
        Shares of the run.

    Raises
    ------
    ValueError
        If `cooldown_from` is negative or goes with another schedule.

    Notes
    -----
    In the stable phase of ``"wsd"`` a step's rate does not depend on the length of the run. A run
    that is saved there goes on, the same step by step, with a larger `TrainingConfig.steps`; and
    from any checkpoint of it a finished model is made by ``steps`` a little further on and
    `cooldown_from` where it stands. To keep the long run too, do the latter in a copy of its
    folder. A curriculum's stages are shares of the run and move with its length.
    """

    kind: Literal["adamw", "adam", "radam", "muon"] = "adamw"
    rate: float = 1.5e-3
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    momentum: float = 0.95
    layer_decay: float = 1.0
    clip: float = 1.0
    schedule: Literal["wsd", "cosine", "poly", "steps"] = "wsd"
    warmup: int = 300
    decay: float = 0.3
    cooldown_from: int | None = None
    power: float = 1.0
    floor: float = 0.0
    milestones: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check what would otherwise have no effect, in silence."""
        if self.cooldown_from is None:
            return
        if self.cooldown_from < 0:
            raise ValueError(f"cooldown_from is {self.cooldown_from}; give a step, 0 or later")
        if self.schedule != "wsd":
            raise ValueError(
                f"cooldown_from does not go with schedule {self.schedule!r}; use 'wsd'"
            )


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
        if config.cooldown_from is not None:
            start = config.cooldown_from
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
        Kind and decays.

    Returns
    -------
    list of dict
        Groups for an optimiser, each with ``"scale"``, the factor on the learning rate; for
        ``"muon"`` with ``"matrices"`` too, whether its members are orthogonalised.
    """
    named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    blocks = [re.search(r"^(?:encoder|trunk)\..*?blocks\.(\d+)\.", name) for name, _ in named]
    depth = max((int(b.group(1)) + 1 for b in blocks if b), default=0)
    hidden = hidden_matrices(network) if config.kind == "muon" else set()
    groups: dict[tuple[int, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        layer = layer_of(name, depth) if config.layer_decay != 1 else depth + 1
        key = (layer, parameter.ndim > 1, parameter in hidden)
        groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": config.weight_decay if wide else 0.0,
            "scale": config.layer_decay ** (depth + 1 - layer),
        }
        | ({"matrices": matrices} if config.kind == "muon" else {})
        for (layer, wide, matrices), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def make_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimiser of a run over `parameter_groups`."""
    groups = parameter_groups(network, config)
    # One kernel for many parameters, which also leaves out bad steps without being told to.
    fused = all(p.device.type in ("cpu", "cuda") for g in groups for p in g["params"])
    if config.kind == "radam":
        return torch.optim.RAdam(groups, lr=config.rate, betas=config.betas)
    if config.kind == "muon":
        return Muon(groups, config.rate, config.momentum, config.betas, fused=fused)
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.rate, betas=config.betas, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups, scaled for each."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def clip_gradients(parameters: Iterable[Tensor], longest: float) -> Tensor:
    """Shorten the gradient over all parameters to a length; 0 leaves it.

    Returns
    -------
    Tensor
        Scalar, the length before; not finite if some gradient is not. Nothing waits for it.
    """
    known = [p for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in known if p.grad is not None])
    if longest > 0:
        torch.nn.utils.clip_grads_with_norm_(known, longest, norm)
    return norm


def step_if(good: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Take a step of the optimiser where a scalar is true, and none where it is false.

    The scalar stays on its device: no one waits to learn what it is. Weights stay as they are in
    a step that is left out. So do moments, but for kinds of optimisers that cannot leave out a
    step by themselves (RAdam): those count the gradient as zero.

    Parameters
    ----------
    good : Tensor
        Bool scalar on the parameters' device.
    optimizer : Optimizer
        With the gradients in place.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        # What torch.amp.GradScaler hands to optimisers of this kind.
        optimizer.found_inf = (~good).float()  # type: ignore[attr-defined]
        optimizer.step()
        del optimizer.found_inf  # type: ignore[attr-defined]
        return
    with torch.no_grad():
        known = [p for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        before = [p.clone() for p in known]
        for p in known:
            p.grad = torch.where(good, p.grad, 0.0)
        optimizer.step()
        for p, old in zip(known, before, strict=True):
            p.copy_(torch.where(good, p, old))
