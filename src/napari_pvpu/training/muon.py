"""Muon: steps along orthogonalised momentum for matrices, and AdamW for all else.

A gradient's few large singular values drown its small ones. Muon (Jordan et al. 2024) takes the
nearest half-orthogonal matrix to the momentum instead, in which all singular values are about
one. Steps are as long as AdamW's usually are (Liu et al. 2025, arXiv 2502.16982), so that its
rates and weight decays serve for both.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Muon", "hidden_matrices", "orthogonalized"]

# Of the quintic iteration; they blow up small singular values fast and leave all of them between
# about 0.7 and 1.2 rather than at one (Jordan et al. 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
# A smaller side is that of an input or an answer, or of a kernel that mixes no channels.
_SMALLEST = 16


def hidden_matrices(network: nn.Module) -> set[nn.Parameter]:
    """Return the weights that map many features to many others.

    Those of linear layers and dense convolutions that want a gradient, with at least 16 features
    on both sides: no depthwise kernels, no embeddings or biases, nothing that reads pixels or
    writes answers.
    """
    found = set()
    for module in network.modules():
        dense = isinstance(module, nn.Linear)
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            dense = module.groups == 1
        if dense and isinstance(module.weight, nn.Parameter) and module.weight.requires_grad:
            outputs, inputs = module.weight.shape[:2]
            if min(outputs, inputs) >= _SMALLEST:
                found.add(module.weight)
    return found


def orthogonalized(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices near one, and leave their vectors as they are.

    Parameters
    ----------
    matrices : Tensor
        ``(N, R, C)``. On CPUs and GPUs alike the work is done in bfloat16.

    Returns
    -------
    Tensor
        ``(N, R, C)`` bfloat16; singular values between about 0.7 and 1.2, but for those that were
        below a thousandth of the largest. A matrix of zeros stays one.

    Notes
    -----
    Five Newton-Schulz iterations ``X <- a X + (b A + c A A) X`` with ``A = X X'``, from the matrix
    divided by its Frobenius norm, on the side that is shorter.

    Examples
    --------
    >>> orthogonalized(torch.tensor([[[3.0, 0.0], [0.0, -0.5]]])).round(decimals=0).tolist()
    [[[1.0, 0.0], [0.0, -1.0]]]
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    # In float32, since squares of small gradients vanish in less.
    x = (x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-30)).bfloat16()
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        x = torch.baddbmm(x, polynomial, x, beta=_A)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum for some groups of parameters, AdamW for the others.

    Parameters
    ----------
    groups : sequence of dict
        As any optimiser takes them; with ``"matrices": True`` those that are orthogonalised.
        Kernels of convolutions count as matrices of output channels by all else.
    lr : float
        Learning rate, of both kinds of groups.
    momentum : float
        Share of the momentum that is kept in a step.
    betas : tuple of float
        Of AdamW's moments.
    fused : bool
        Whether AdamW runs as one kernel.

    Notes
    -----
    ``m <- momentum m + (1 - momentum) g``, ``u = (1 - momentum) g + momentum m``,
    ``w <- w - lr (0.2 sqrt(max(R, C)) orthogonalized(u) + decay w)``: the root mean square of an
    orthogonal update is ``1 / sqrt(max(R, C))`` and AdamW's is 0.2 to 0.4. Matrices of equal
    shape, or equal but for a transposition, are worked on together.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        *,
        fused: bool = True,
    ) -> None:
        rest = [dict(group) for group in groups if not group.get("matrices")]
        # A network of matrices alone has nothing for AdamW, which refuses to be built for nothing.
        standing_in = [{"params": [nn.Parameter(torch.zeros(1))]}]
        self._adamw = torch.optim.AdamW(rest or standing_in, lr=lr, betas=betas, fused=fused)
        defaults = {**self._adamw.defaults, "momentum": momentum, "matrices": False}
        super().__init__(groups, defaults)
        # Whether `found_inf`, 1 where the step is to be left out, may be handed over; AdamW takes
        # it as one kernel only.
        self._step_supports_amp_scaling = fused
        self._share()

    def _share(self) -> None:
        """Let AdamW work on this optimiser's own groups and state."""
        self._adamw.param_groups = [g for g in self.param_groups if not g["matrices"]]
        self._adamw.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over groups and moments, as of any optimiser."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step; with `found_inf` set to 1, none, which nobody has to wait to learn."""
        if closure is not None:
            raise ValueError("Muon takes no closure; run the backward pass before the step")
        found: Tensor | None = getattr(self, "found_inf", None)
        for group in self.param_groups:
            if group["matrices"]:
                self._orthogonal_step(group, found)
        self._adamw.found_inf = found  # type: ignore[attr-defined]
        self._adamw.step()

    def _orthogonal_step(self, group: dict[str, Any], found: Tensor | None) -> None:
        together: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                rows = len(parameter)
                columns = parameter.numel() // rows
                together[min(rows, columns), max(rows, columns)].append(parameter)
        for (short, long), parameters in together.items():
            moments = [self._momentum(p) for p in parameters]
            grads = _stacked([p.grad for p in parameters if p.grad is not None], short)
            momentum = _stacked(moments, short)
            if found is not None:  # a step that is left out leaves the momentum as it was
                grads = torch.where(found > 0, momentum, grads)
            momentum = torch.lerp(momentum, grads, 1 - group["momentum"])
            update = orthogonalized(torch.lerp(grads, momentum, group["momentum"])).float()
            change = update * (0.2 * long**0.5)
            change += group["weight_decay"] * _stacked(parameters, short)
            change *= group["lr"]
            if found is not None:
                change *= 1 - found
            _unstacked(momentum, moments, torch._foreach_copy_)
            _unstacked(change, parameters, torch._foreach_sub_)

    def _momentum(self, parameter: nn.Parameter) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter, dtype=torch.float32)
        kept: Tensor = state["momentum"]
        return kept


def _stacked(tensors: Sequence[Tensor], short: int) -> Tensor:
    """Stack kernels as ``(N, short, long)`` float32 matrices."""
    flat = [t.detach().flatten(1).float() for t in tensors]
    return torch.stack([t if len(t) == short else t.mT for t in flat])


def _unstacked(stack: Tensor, like: Sequence[Tensor], write: Callable[..., Any]) -> None:
    """Write ``(N, short, long)`` matrices into tensors of other layouts."""
    short = stack.shape[1]
    parts = [
        (part if len(t) == short else part.mT).reshape(t.shape).to(t.dtype)
        for part, t in zip(stack.unbind(), like, strict=True)
    ]
    write([t.detach() for t in like], parts)
