"""Attention with its weights multiplied out, for inference on tokens (R, K, C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.inference_parts import Norm, Pointwise, matrix

if TYPE_CHECKING:
    from napari_pvpu.networks.blocks import Attention, TransformerBlock


class SelfAttention:
    """`Attention` of few tokens to themselves, queries and keys from one matrix product.

    Parameters
    ----------
    attention : Attention
        The trained module.
    """

    def __init__(self, attention: Attention) -> None:
        self._heads = attention.heads
        self._value, self._project = matrix(attention.value), matrix(attention.project)
        self._weight = torch.cat([attention.query.weight, attention.key.weight])
        self._bias = torch.cat([attention.query.bias, attention.key.bias])

    def __call__(self, tokens: Tensor, values: Tensor) -> Tensor:
        """Map tokens (R, K, C), which make queries and keys, and (R, K, C) for the values."""
        count = tokens.shape[:2]
        both = F.linear(tokens, self._weight, self._bias).view(*count, 2, self._heads, -1)
        query, key = both.permute(2, 0, 3, 1, 4)
        value = F.linear(values, *self._value).view(*count, self._heads, -1).transpose(1, 2)
        out = F.scaled_dot_product_attention(query, key, value)
        return F.linear(out.transpose(1, 2).flatten(2), *self._project)


class Exchange:
    """`TransformerBlock` on a small map: queries, keys and values from one matrix product.

    Parameters
    ----------
    block : TransformerBlock
        The trained module.
    side, packed : int, bool
        See `Spatial`.
    """

    def __init__(self, block: TransformerBlock, side: int, packed: bool) -> None:
        attention, pixels = block.attention, 2 * side**2
        layers = (attention.query, attention.key, attention.value)
        weight = torch.cat([layer.weight for layer in layers])
        bias = torch.cat([layer.bias for layer in layers])
        self._heads = attention.heads
        self._three = Pointwise(weight, bias, pixels, packed)
        self._project = Pointwise.of(attention.project, pixels, packed)
        self._norm1, self._norm2 = Norm(block.norm1), Norm(block.norm2)
        self._widen = Pointwise.of(block.mlp[0], pixels, packed)
        self._narrow = Pointwise.of(block.mlp[2], pixels, packed)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (R, H, W, C) to the same shape."""
        three = self._three(self._norm1(x)).flatten(1, 2).unflatten(2, (3, self._heads, -1))
        query, key, value = three.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        x = self._project.plus(x, seen.reshape(x.shape))
        return self._narrow.plus(x, self._widen.gelu(self._norm2(x)))


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
        merged = torch.einsum("hdc,hde->hce", query, key)
        offset = torch.einsum("hd,hde->he", query_bias, key)
        # An offset follows each head's key, so that one product makes both: (H (C + 1), C).
        self._key = torch.cat([merged, offset[:, None]], 1).flatten(0, 1)
        self._value = torch.einsum("ehd,hdc->hec", output, value).flatten(0, 1)  # (H C, C)
        bias = torch.einsum("ehd,hd->he", output, value_bias)
        self._value_bias = (bias + attention.project.bias / self._heads).flatten()

    def __call__(self, pixels: Tensor, placed: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return `pixels` (R, N, C) plus what `placed`, their queries, see in keys and values.

        Keys and values are (R, K, C).
        """
        keys = self._heads_first(F.linear(key, self._key))  # (R, H K, C + 1)
        values = self._heads_first(F.linear(value, self._value, self._value_bias))
        # Pixels last: a softmax over few entries is fast only if many of them lie side by side.
        logits = torch.baddbmm(keys[..., -1:], keys[..., :-1], placed.transpose(1, 2))
        share = logits.view(len(logits), self._heads, -1, logits.shape[2]).softmax(2)
        return torch.baddbmm(pixels, share.view_as(logits).transpose(1, 2), values)

    def _heads_first(self, x: Tensor) -> Tensor:
        """Turn (R, K, H C) into (R, H K, C)."""
        readings, count, width = x.shape
        by_head = x.view(readings, count, self._heads, -1).transpose(1, 2)
        return by_head.reshape(readings, count * self._heads, width // self._heads)
