"""Parts of a decoder with their weights multiplied out, for inference on maps (R, H, W, C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_pvpu.networks.blocks import Attention, Downsample, SeparableBlock


def nchw(x: Tensor) -> Tensor:
    """View (R, H, W, C) as torch's convolutions want it, channels last in memory."""
    return x.permute(0, 3, 1, 2)


def nhwc(x: Tensor) -> Tensor:
    """View a channels-last (R, C, H, W) as (R, H, W, C); the inverse of `nchw`."""
    return x.permute(0, 2, 3, 1)


def resize(x: Tensor, size: torch.Size | tuple[int, ...]) -> Tensor:
    """Resize (R, h, w, C) bilinearly to (R, *size, C), pixel areas aligned."""
    return nhwc(F.interpolate(nchw(x), size=tuple(size), mode="bilinear", align_corners=False))


def can_pack() -> bool:
    """Tell whether this build of torch can lay weights out for the processor beforehand.

    The operations are those that torch's own compiler makes use of on x86; without them
    everything is computed by ordinary ones, about half as fast.
    """
    operations = torch.ops.mkldnn
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(operations, "_convolution_pointwise")
        and hasattr(operations, "_convolution_pointwise_")
        and hasattr(torch.ops.aten, "mkldnn_reorder_conv2d_weight")
    )


class Convolution:
    """A convolution of (R, H, W, C), with what follows it in the same pass over memory.

    Parameters
    ----------
    weight : Tensor
        (C_out, C_in / groups, k, k), k odd.
    bias : Tensor, optional
        (C_out,).
    side : int
        Height and width of the maps that are to come; others give the same, but slower.
    stride, groups : int
        As in `torch.nn.Conv2d`; the padding is ``k // 2``.
    packed : bool
        Lay the weights out beforehand, see `can_pack`; otherwise that happens at each call.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        side: int,
        *,
        stride: int = 1,
        groups: int = 1,
        packed: bool = True,
    ) -> None:
        self._bias, self._packed, self._groups = bias, packed, groups
        self._padding, self._stride = [weight.shape[-1] // 2] * 2, [stride] * 2
        self._pointwise = weight.shape[-1] == 1 and stride == groups == 1
        self._weight = weight.detach()
        if packed:
            expected = [1, weight.shape[1] * groups, side, side]
            self._weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(
                self._weight.contiguous().to_mkldnn(), self._padding, self._stride, [1, 1], groups,
                expected,
            )  # fmt: skip
        elif self._pointwise:
            self._weight = self._weight.flatten(1)

    @classmethod
    def of(cls, layer: nn.Module, side: int, packed: bool) -> Convolution:
        """Take over a layer; a linear one becomes a convolution over single pixels."""
        if isinstance(layer, nn.Linear):
            return cls(layer.weight[:, :, None, None], layer.bias, side, packed=packed)
        assert isinstance(layer, nn.Conv2d)
        stride, groups = layer.stride[0], layer.groups
        return cls(layer.weight, layer.bias, side, stride=stride, groups=groups, packed=packed)

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """Return the convolution, of which `relu` takes the positive part."""
        if self._packed:
            out: Tensor = torch.ops.mkldnn._convolution_pointwise(
                nchw(x), self._weight, self._bias, self._padding, self._stride, [1, 1],
                self._groups, "relu" if relu else "none", [], "",
            )  # fmt: skip
            return nhwc(out)
        if self._pointwise:
            out = F.linear(x, self._weight, self._bias)
        else:
            out = nhwc(
                F.conv2d(
                    nchw(x), self._weight, self._bias, self._stride, self._padding, 1, self._groups
                )
            )
        return out.relu_() if relu else out

    def add_to(self, target: Tensor, x: Tensor) -> Tensor:
        """Add the convolution of `x` to `target`, (R, H, W, C_out) contiguous, in place."""
        if not self._packed:
            return target.add_(self(x))
        torch.ops.mkldnn._convolution_pointwise_.binary(
            nchw(target), nchw(x), self._weight, self._bias, self._padding, self._stride, [1, 1],
            self._groups, "add", 1.0, None, [], None,
        )  # fmt: skip
        return target


class Mixer:
    """`SeparableBlock`, in place.

    Parameters
    ----------
    block : SeparableBlock
        With `ChannelNorm`.
    side, packed : int, bool
        See `Convolution`.
    """

    def __init__(self, block: SeparableBlock, side: int, packed: bool) -> None:
        self._norm = block.norm
        self._spatial = Convolution.of(block.spatial, side, packed)
        self._widen = Convolution.of(block.widen, side, packed)
        self._narrow = Convolution.of(block.narrow, side, packed)

    def __call__(self, x: Tensor) -> Tensor:
        """Change (R, H, W, C), which has to be contiguous, and return it."""
        normed = nhwc(self._norm(nchw(self._spatial(x))))
        return self._narrow.add_to(x, self._widen(normed, relu=True))


class Shrink:
    """`Downsample`.

    Parameters
    ----------
    layers : Downsample
        With `ChannelNorm`.
    side, packed : int, bool
        See `Convolution`.
    """

    def __init__(self, layers: Downsample, side: int, packed: bool) -> None:
        spatial, self._norm, pointwise = layers
        self._spatial = Convolution.of(spatial, side, packed)
        self._pointwise = Convolution.of(pointwise, side // 2, packed)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (R, H, W, C) to half the height and width, rounded up."""
        return self._pointwise(nhwc(self._norm(nchw(self._spatial(x)))))


class SelfAttention:
    """`Attention` of tokens to themselves, queries and keys from one matrix product.

    Parameters
    ----------
    attention : Attention
        The trained module.
    """

    def __init__(self, attention: Attention) -> None:
        self._heads = attention.heads
        self._value, self._project = attention.value, attention.project
        self._weight = torch.cat([attention.query.weight, attention.key.weight])
        self._bias = torch.cat([attention.query.bias, attention.key.bias])

    def __call__(self, tokens: Tensor, values: Tensor) -> Tensor:
        """Map tokens (R, K, C), which make queries and keys, and (R, K, C) for the values."""
        count = tokens.shape[:2]
        both = F.linear(tokens, self._weight, self._bias).view(*count, 2, self._heads, -1)
        query, key = both.permute(2, 0, 3, 1, 4)
        value = self._value(values).view(*count, self._heads, -1).transpose(1, 2)
        out = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self._project(out.transpose(1, 2).flatten(2))
        return projected


def _by_head(attention: Attention) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Weights with an axis of heads H, d channels each, queries scaled.

    Returns
    -------
    tuple of Tensor
        Query (H, d, C) and its bias (H, d), key (H, d, C), value (H, d, C) and its bias (H, d),
        output (C, H, d).
    """
    heads = attention.heads

    def split(x: Tensor) -> Tensor:
        return x.unflatten(0, (heads, -1))

    scale = (len(attention.query.bias) // heads) ** -0.5
    return (
        split(attention.query.weight * scale),
        split(attention.query.bias * scale),
        split(attention.key.weight),
        split(attention.value.weight),
        split(attention.value.bias),
        attention.project.weight.unflatten(1, (heads, -1)),
    )


class PromptsToPixels:
    """`Attention` of few prompts to many pixels, without a projection of the pixels.

    A logit ``(W_q t + b_q) . (W_k x + b_k)`` is ``(W_k^T W_q t + W_k^T b_q) . x`` plus what is
    the same for all pixels, which the softmax ignores; and a mean of values is the value of the
    mean.

    Parameters
    ----------
    attention : Attention
        The trained module.
    """

    def __init__(self, attention: Attention) -> None:
        query, query_bias, key, value, value_bias, output = _by_head(attention)
        self._heads = attention.heads
        self._ask = torch.einsum("hdc,hde->hce", key, query).flatten(0, 1)  # (H C, C)
        self._ask_bias = torch.einsum("hdc,hd->hc", key, query_bias).flatten()
        self._answer = torch.einsum("ehd,hdc->ehc", output, value).flatten(1)  # (C, H C)
        self._answer_bias = torch.einsum("ehd,hd->e", output, value_bias) + attention.project.bias

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from (R or 1, K, C) to keys and values (R, N, C); returns (R, K, C)."""
        readings, width = len(key), query.shape[2]
        asked = F.linear(query, self._ask, self._ask_bias)
        asked = asked.view(len(query), -1, width).expand(readings, -1, -1)  # (R, K H, C)
        share = torch.bmm(asked, key.transpose(1, 2)).softmax(-1)
        seen = torch.bmm(share, value).view(readings, -1, self._heads * width)
        return F.linear(seen, self._answer, self._answer_bias)


class PixelsToPrompts:
    """`Attention` of many pixels to few prompts with its residual, without a projection of pixels.

    A logit ``(W_q x + b_q) . (W_k t + b_k)`` is ``x . W_q^T W_k t + b_q . W_k t`` plus what is
    the same for all prompts. The weights of a head sum to one, so that the output's biases go
    with the values.

    Parameters
    ----------
    attention : Attention
        The trained module.
    """

    def __init__(self, attention: Attention) -> None:
        query, query_bias, key, value, value_bias, output = _by_head(attention)
        self._heads = attention.heads
        self._key = torch.einsum("hdc,hde->hce", query, key).flatten(0, 1)  # (H C, C)
        self._offset = torch.einsum("hd,hde->he", query_bias, key)  # (H, C)
        self._value = torch.einsum("ehd,hdc->hec", output, value).flatten(0, 1)  # (H C, C)
        bias = torch.einsum("ehd,hd->he", output, value_bias)
        self._value_bias = (bias + attention.project.bias / self._heads).flatten()

    def __call__(self, pixels: Tensor, placed: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return `pixels` (R, N, C) plus what `placed`, their queries, see in keys and values.

        Keys and values are (R, K, C).
        """
        keys = self._heads_first(F.linear(key, self._key))  # (R, H K, C)
        values = self._heads_first(F.linear(value, self._value, self._value_bias))
        offset = F.linear(key, self._offset).transpose(1, 2).reshape(len(key), -1, 1)
        # Pixels last: a softmax over few entries is fast only if many of them lie side by side.
        logits = torch.baddbmm(offset, keys, placed.transpose(1, 2))  # (R, H K, N)
        share = logits.unflatten(1, (self._heads, -1)).softmax(2).flatten(1, 2)
        return torch.baddbmm(pixels, share.transpose(1, 2), values)

    def _heads_first(self, x: Tensor) -> Tensor:
        """Turn (R, K, H C) into (R, H K, C)."""
        return x.unflatten(2, (self._heads, -1)).transpose(1, 2).flatten(1, 2)
