"""A self-attention layer in place of a decoder's last classifier, with values that prompts fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_pvpu.networks.probabilistic_attention import AttentionSettings
from napari_pvpu.networks.relative_position import RelativePosition, Term
from napari_pvpu.networks.self_attention import grid_attention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.networks.mixture import Prior


class ProbabilisticHead(nn.Module):
    """Logits by probabilistic self-attention instead of a 1 x 1 convolution.

    Each pixel is a unit with a key and a logit for its value, and a token with a query. The
    values of pixels under prompts are fixed at +L or -L; EM spreads them over the units that
    explain those pixels, and every pixel's logit is then inferred from the units. Heads have keys
    and values of their own; the logit is their mean.

    Values count in units of L, as in the training-free refiner, so that what is fixed weighs
    little in the question which units explain a prompt.

    Parameters
    ----------
    channels : int
        Channels of the pixel features.
    heads : int
        Attention heads.
    key_dim : int
        Channels of queries and keys in each head.
    axial : bool
        Whether to attend along columns, then rows; else to all pixels.
    full_up_to : int
        Maps of at most this many pixels use full attention even if `axial`.
    iterations : int
        EM steps of value propagation; 1 and 5 are the paper's BP1 and BP5.
    beta : float
        Value precision.
    theta : float
        theta_mu, weight of a unit's own value in each step; 0.1 to 100 in the paper.
    fixed_value : float
        L, the logit that prompts fix.
    clamp : bool
        Whether fixed pixels keep +L or -L in the output.
    key_iterations, key_prior : int, float
        EM steps of key adaptation before, and theta_xi.
    prior : {"dot", "fixed"}
        Prior over units.
    position : sequence of {"query", "key", "value"}
        Relative position terms; empty for none.
    max_side : int
        Longest side in pixels with position vectors for all its offsets.
    chunk : int, optional
        Tokens handled at a time, to bound memory of the full form.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Notes
    -----
    Source: arXiv 2106.15338, sections 4.3 and C to E. The layer normalisation before queries and
    keys, that queries begin equal to keys, and the mean over heads are ours: a layer that begins
    by averaging over whole lines hardly learns.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 2,
        *,
        key_dim: int = 16,
        axial: bool = True,
        full_up_to: int = 256,
        iterations: int = 1,
        beta: float = 0.1,
        theta: float = 1.0,
        fixed_value: float = 6.0,
        clamp: bool = True,
        key_iterations: int = 0,
        key_prior: float = 0.0,
        prior: Prior = "dot",
        position: Sequence[Term] = ("query", "key"),
        max_side: int = 64,
        chunk: int | None = None,
    ) -> None:
        super().__init__()
        _check(iterations=iterations, theta=theta, key_iterations=key_iterations)
        if not (beta > 0 and fixed_value > 0):
            raise ValueError(f"beta is {beta} and fixed_value {fixed_value}; both must be above 0")
        self.heads = heads
        self.axial = axial
        self.full_up_to = full_up_to
        self.fixed_value = fixed_value
        self.settings = AttentionSettings(
            beta=beta,
            prior=prior,
            key_iterations=key_iterations,
            key_strength=key_prior,
            value_iterations=iterations,
            value_strength=theta,
            clamp=clamp,
            chunk=chunk,
        )
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, heads * key_dim, bias=False)
        self.key = nn.Linear(channels, heads * key_dim, bias=False)
        nn.init.normal_(self.query.weight, std=channels**-0.5)
        with torch.no_grad():
            self.key.weight.copy_(self.query.weight)
        self.value = nn.Conv2d(channels, heads, 1)
        self.position = RelativePosition(key_dim, 1, max_side, position) if position else None

    @classmethod
    def from_classifier(cls, classifier: nn.Conv2d, **settings: Any) -> ProbabilisticHead:
        """Build a head whose units begin with a trained classifier's logits as their values.

        Parameters
        ----------
        classifier : nn.Conv2d
            1 x 1 with one output channel.
        settings
            As for the class.

        Returns
        -------
        ProbabilisticHead

        Raises
        ------
        ValueError
            If the convolution is another one.
        """
        if classifier.kernel_size != (1, 1) or classifier.out_channels != 1:
            raise ValueError(
                f"the classifier is {classifier}; give a 1 x 1 convolution with one output channel"
            )
        head = cls(classifier.in_channels, **settings)
        with torch.no_grad():
            head.value.weight.copy_(classifier.weight.expand_as(head.value.weight))
            head.value.bias.zero_()  # type: ignore[union-attr]
            if classifier.bias is not None:
                head.value.bias.copy_(classifier.bias.expand(head.heads))  # type: ignore[union-attr]
        return head

    def forward(self, pixels: Tensor, fixed: Tensor | None = None) -> Tensor:
        """Classify pixels.

        Parameters
        ----------
        pixels : Tensor
            (B, channels, h, w).
        fixed : Tensor, optional
            (B, h, w): 1 for pixels under positive prompts, -1 under negative ones, else 0, as
            `fixed_values.fixed_tokens` gives; none by default.

        Returns
        -------
        Tensor
            (B, 1, h, w) float32 logits.
        """
        tokens = self.norm(pixels.permute(0, 2, 3, 1))
        query, key = (
            layer(tokens).unflatten(-1, (self.heads, -1)).permute(0, 3, 4, 1, 2)
            for layer in (self.query, self.key)
        )
        value = self.value(pixels).float()[:, :, None] / self.fixed_value
        axial = self.axial and pixels.shape[-2] * pixels.shape[-1] > self.full_up_to
        out = grid_attention(
            query,
            key,
            value,
            self.settings,
            axial=axial,
            position=self.position,
            fixed_values=None if fixed is None else fixed[:, None].to(value),
            fixed=None if fixed is None else fixed != 0,
        )
        return out.mean(1) * self.fixed_value


def _check(**settings: float) -> None:
    for name, value in settings.items():
        if value < 0:
            raise ValueError(f"{name} is {value}; choose 0 or more")
