"""Parts of a decoder with their weights multiplied out, for inference on maps (R, H, W, C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_pvpu.networks.blocks import Downsample, SeparableBlock


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
        and hasattr(operations, "_linear_pointwise")
        and hasattr(operations, "_reorder_linear_weight")
        and hasattr(torch.ops.aten, "mkldnn_reorder_conv2d_weight")
    )


class Depthwise:
    """A convolution of each channel of (R, C, H, W), channels last in memory, without a bias.

    Parameters
    ----------
    layer : torch.nn.Conv2d
        With an odd kernel, padded by half of it.
    side : int
        Height and width of the maps that are to come; others give the same, but slower.
    packed : bool
        Lay the weights out beforehand, see `can_pack`; otherwise that happens at each call.
    """

    def __init__(self, layer: nn.Module, side: int, packed: bool) -> None:
        assert isinstance(layer, nn.Conv2d)
        self._weight, self._packed = layer.weight.detach(), packed
        self._groups, self._stride = layer.groups, list(layer.stride)
        self._padding = [layer.kernel_size[0] // 2] * 2
        if packed:
            self._weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(
                self._weight.contiguous().to_mkldnn(), self._padding, self._stride, [1, 1],
                self._groups, [1, self._groups, side, side],
            )  # fmt: skip

    def __call__(self, x: Tensor) -> Tensor:
        """Return the convolution."""
        if not self._packed:
            return F.conv2d(x, self._weight, None, self._stride, self._padding, 1, self._groups)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise.default(
            x, self._weight, None, self._padding, self._stride, [1, 1], self._groups, "none", [],
            "",
        )  # fmt: skip
        return out


class Pointwise:
    """A convolution over single pixels, or a linear layer: (..., C) to (..., C_out).

    As a product of matrices with its weights laid out it takes 8 to 10 microseconds less than as
    a packed convolution, of which an answer has two dozen, and half the time of `F.linear` on an
    AMD processor.

    Parameters
    ----------
    weight : Tensor
        (C_out, C) or (C_out, C, 1, 1).
    bias : Tensor, optional
        (C_out,).
    pixels : int
        How many there will be; other numbers give the same, but slower.
    packed : bool
        See `Depthwise`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, pixels: int, packed: bool) -> None:
        self._weight, self._bias, self._packed = weight.detach().flatten(1), bias, packed
        if packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(
                self._weight.contiguous(), pixels
            )

    @classmethod
    def of(cls, layer: nn.Module, pixels: int, packed: bool) -> Pointwise:
        """Take over a layer."""
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        return cls(layer.weight, layer.bias, pixels, packed)

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """Return the product, of which `relu` takes the positive part."""
        if not self._packed:
            out = F.linear(x, self._weight, self._bias)
            return out.relu_() if relu else out
        product: Tensor = torch.ops.mkldnn._linear_pointwise.default(
            x, self._weight, self._bias, "relu" if relu else "none", [], ""
        )
        return product

    def plus(self, other: Tensor, x: Tensor) -> Tensor:
        """Return the product of `x` plus `other`, (..., C_out), in one pass over memory."""
        if not self._packed:
            return F.linear(x, self._weight, self._bias).add_(other)
        total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            x, other, self._weight, self._bias, "add"
        )
        return total


class Norm:
    """`ChannelNorm` or `torch.nn.LayerNorm` without a module's detours.

    Parameters
    ----------
    layer : torch.nn.GroupNorm or torch.nn.LayerNorm
        The trained module.
    """

    def __init__(self, layer: nn.Module) -> None:
        assert isinstance(layer, nn.GroupNorm | nn.LayerNorm)
        self._weight, self._bias, self._eps = layer.weight, layer.bias, layer.eps
        self._groups = layer.num_groups if isinstance(layer, nn.GroupNorm) else 0

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise (R, C, H, W), or the last axis of (..., C)."""
        if self._groups:
            return torch.group_norm(x, self._groups, self._weight, self._bias, self._eps)
        return torch.layer_norm(x, x.shape[-1:], self._weight, self._bias, self._eps)


class Mixer:
    """`SeparableBlock`.

    Parameters
    ----------
    block : SeparableBlock
        With `ChannelNorm`.
    side, packed : int, bool
        See `Depthwise`.
    """

    def __init__(self, block: SeparableBlock, side: int, packed: bool) -> None:
        self._norm = Norm(block.norm)
        self._spatial = Depthwise(block.spatial, side, packed)
        self._widen = Pointwise.of(block.widen, 2 * side**2, packed)
        self._narrow = Pointwise.of(block.narrow, 2 * side**2, packed)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (R, H, W, C), contiguous, to the same shape."""
        normed = nhwc(self._norm(self._spatial(nchw(x))))
        return self._narrow.plus(x, self._widen(normed, relu=True))


class Shrink:
    """`Downsample`.

    Parameters
    ----------
    layers : Downsample
        With `ChannelNorm`.
    side, packed : int, bool
        See `Depthwise`.
    """

    def __init__(self, layers: Downsample, side: int, packed: bool) -> None:
        spatial, norm, pointwise = layers
        self._spatial, self._norm = Depthwise(spatial, side, packed), Norm(norm)
        self._pointwise = Pointwise.of(pointwise, 2 * (side // 2) ** 2, packed)

    def plus(self, other: Tensor, x: Tensor) -> Tensor:
        """Map (R, H, W, C) to half the height and width, rounded up, and add `other`."""
        return self._pointwise.plus(other, nhwc(self._norm(self._spatial(nchw(x)))))


class Perceptron:
    """Two linear layers with a rectifier between, for few tokens.

    Parameters
    ----------
    layers : torch.nn.Sequential
        The trained module.
    """

    def __init__(self, layers: nn.Module) -> None:
        assert isinstance(layers, nn.Sequential)
        assert isinstance(layers[1], nn.ReLU)
        self._first, self._second = matrix(layers[0]), matrix(layers[2])

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C_out)."""
        return F.linear(F.linear(x, *self._first).relu_(), *self._second)


def matrix(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias of a linear layer."""
    assert isinstance(layer, nn.Linear)
    return layer.weight, layer.bias
