"""Parts of a decoder with their weights multiplied out, for inference on maps (R, H, W, C)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_pvpu.networks.blocks import Downsample, SeparableBlock


M = TypeVar("M", bound=nn.Module)


def all_of(modules: Iterable[nn.Module], kind: type[M]) -> list[M]:
    """Return modules that are all of one kind."""
    known = list(modules)
    for module in known:
        if not isinstance(module, kind):
            raise TypeError(f"expected {kind.__name__}, not {type(module).__name__}")
    return [module for module in known if isinstance(module, kind)]


def nchw(x: Tensor) -> Tensor:
    """View (R, H, W, C) as torch's convolutions want it, channels last in memory."""
    return x.permute(0, 3, 1, 2)


def nhwc(x: Tensor) -> Tensor:
    """View a channels-last (R, C, H, W) as (R, H, W, C); the inverse of `nchw`."""
    return x.permute(0, 2, 3, 1)


def resize(x: Tensor, size: torch.Size | tuple[int, ...]) -> Tensor:
    """Resize (R, h, w, C) bilinearly to (R, *size, C), pixel areas aligned.

    As `F.interpolate` does, which takes as long to find that out as to do it.
    """
    out: Tensor = torch.ops.aten.upsample_bilinear2d.default(nchw(x), list(size), False)
    return nhwc(out)


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


class Spatial:
    """A convolution of (R, C, H, W), channels last in memory, with a batch normalisation after it.

    Parameters
    ----------
    layer : torch.nn.Conv2d
        With an odd kernel, padded by half of it.
    side : int
        Height and width of the maps that are to come; others give the same, but slower.
    packed : bool
        Lay the weights out beforehand, see `can_pack`; otherwise that happens at each call.
    norm : torch.nn.BatchNorm2d, optional
        Whose statistics stay as they are; it is multiplied into the weights.
    """

    def __init__(
        self, layer: nn.Module, side: int, packed: bool, norm: nn.Module | None = None
    ) -> None:
        assert isinstance(layer, nn.Conv2d)
        weight, self._bias = layer.weight.detach(), layer.bias
        if norm is not None:
            weight, self._bias = _normalised(weight, self._bias, norm)
        self._weight, self._packed = weight, packed
        self._groups, self._stride = layer.groups, list(layer.stride)
        self._padding = [layer.kernel_size[0] // 2] * 2
        if packed:
            self._convolve = torch.ops.mkldnn._convolution_pointwise.default
            self._weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(
                weight.contiguous().to_mkldnn(), self._padding, self._stride, [1, 1],
                self._groups, [1, layer.in_channels, side, side],
            )  # fmt: skip

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """Return the convolution, of which `relu` takes the positive part."""
        if not self._packed:
            padding, groups = self._padding, self._groups
            out = F.conv2d(x, self._weight, self._bias, self._stride, padding, 1, groups)
            return out.relu_() if relu else out
        product: Tensor = self._convolve(
            x, self._weight, self._bias, self._padding, self._stride, [1, 1], self._groups,
            "relu" if relu else "none", [], "",
        )  # fmt: skip
        return product


def _normalised(weight: Tensor, bias: Tensor | None, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias of a convolution with a batch normalisation after it."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    before = norm.running_mean if bias is None else norm.running_mean - bias
    return weight * scale[:, None, None, None], norm.bias - before * scale


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
        See `Spatial`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, pixels: int, packed: bool) -> None:
        self._weight, self._bias, self._packed = weight.detach().flatten(1), bias, packed
        if packed:
            operations = torch.ops.mkldnn
            self._weight = operations._reorder_linear_weight(self._weight.contiguous(), pixels)
            self._product = operations._linear_pointwise.default
            self._sum = operations._linear_pointwise.binary

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
        product: Tensor = self._product(
            x, self._weight, self._bias, "relu" if relu else "none", [], ""
        )
        return product

    def gelu(self, x: Tensor) -> Tensor:
        """Return `gelu` of the product."""
        if not self._packed:
            return F.gelu(F.linear(x, self._weight, self._bias))
        product: Tensor = self._product(x, self._weight, self._bias, "gelu", [], "none")
        return product

    def plus(self, other: Tensor, x: Tensor) -> Tensor:
        """Return the product of `x` plus `other`, (..., C_out), in one pass over memory."""
        if not self._packed:
            return F.linear(x, self._weight, self._bias).add_(other)
        total: Tensor = self._sum(x, other, self._weight, self._bias, "add")
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
        With `ChannelNorm`, or batch normalisation.
    side, packed : int, bool
        See `Spatial`.
    """

    def __init__(self, block: SeparableBlock, side: int, packed: bool) -> None:
        self._spatial = NormedSpatial(block.spatial, block.norm, side, packed)
        self._widen = Pointwise.of(block.widen, 2 * side**2, packed)
        self._narrow = Pointwise.of(block.narrow, 2 * side**2, packed)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (R, H, W, C), contiguous, to the same shape."""
        return self._narrow.plus(x, self._widen(self._spatial(x), relu=True))


class Shrink:
    """`Downsample`.

    Parameters
    ----------
    layers : Downsample
        With `ChannelNorm`, or batch normalisation.
    side, packed : int, bool
        See `Spatial`.
    """

    def __init__(self, layers: Downsample, side: int, packed: bool) -> None:
        spatial, norm, pointwise = layers
        self._spatial = NormedSpatial(spatial, norm, side, packed)
        self._pointwise = Pointwise.of(pointwise, 2 * (side // 2) ** 2, packed)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (R, H, W, C) to half the height and width, rounded up."""
        return self._pointwise(self._spatial(x))

    def plus(self, other: Tensor, x: Tensor) -> Tensor:
        """Do the same and add `other`."""
        return self._pointwise.plus(other, self._spatial(x))


class NormedSpatial:
    """A spatial convolution of (R, H, W, C) and the normalisation after it.

    Parameters
    ----------
    layer, norm : torch.nn.Module
        A convolution; `ChannelNorm` or batch normalisation.
    side, packed : int, bool
        See `Spatial`.
    """

    def __init__(self, layer: nn.Module, norm: nn.Module, side: int, packed: bool) -> None:
        self._norm = Norm(norm) if isinstance(norm, nn.GroupNorm) else None
        self._spatial = Spatial(layer, side, packed, None if self._norm else norm)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (R, H, W, C) to (R, H / stride, W / stride, C)."""
        out = self._spatial(nchw(x))
        return nhwc(out if self._norm is None else self._norm(out))


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
