"""A trained encoder made ready to see views fast on a CPU: the same numbers, fewer passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_pvpu.networks.backbones import ConvStemViT, Levels, normalize_view
from napari_pvpu.networks.blocks import SeparableBlock, TransformerBlock
from napari_pvpu.networks.inference_attention import Exchange
from napari_pvpu.networks.inference_parts import (
    Mixer,
    Norm,
    Pointwise,
    Shrink,
    Spatial,
    all_of,
    can_pack,
    nchw,
    nhwc,
    resize,
)
from napari_pvpu.networks.interface import Features
from napari_pvpu.networks.pvpu_net import PVPUNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.networks.interface import PromptableNetwork
    from napari_pvpu.networks.pyramids import TopDownPyramid

TOLERANCE = 1e-3
"""Largest difference of a feature that counts as rounding, absolute or of its size."""


def fast_encode(network: PromptableNetwork) -> Callable[[Tensor], Features]:
    """Return a function that encodes views as ``network.encode`` does, the fastest there is.

    Parameters
    ----------
    network : PromptableNetwork
        In evaluation mode, without gradients; its weights must not change any more.

    Returns
    -------
    callable
        A `FastEncoder` for a `PVPUNet` with its own encoder on the CPU, once it has given the
        network's own features of a trial, else ``network.encode`` itself.
    """
    if not isinstance(network, PVPUNet) or not isinstance(network.encoder, ConvStemViT):
        return network.encode
    if network.encoder.position.device.type != "cpu" or not can_pack():
        return network.encode  # without packed weights little is gained
    try:
        fast = FastEncoder(network)
        if _agree(network, fast):
            return fast
    except (AssertionError, AttributeError, RuntimeError, TypeError):
        pass  # this build of torch has something else under those names
    return network.encode


@torch.no_grad()
def _agree(network: PVPUNet, fast: FastEncoder) -> bool:
    """Give both the same made-up view and compare what they see."""
    size = network.config.view_size
    view = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    view[..., : size // 8] = torch.nan
    pairs = zip(network.encode(view).levels, fast(view).levels, strict=True)
    return all(torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE) for a, b in pairs)


class FastEncoder:
    """The encoder and the pyramid of a `PVPUNet`.

    Normalisations by fixed statistics are multiplied into the convolutions before them, queries,
    keys and values come from one product, and sums are made within products; maps stay
    (B, H, W, C).

    Parameters
    ----------
    network : PVPUNet
        In evaluation mode, with a `ConvStemViT`; later changes of its weights are not seen.
    packed : bool
        See `can_pack`.
    """

    def __init__(self, network: PVPUNet, *, packed: bool = True) -> None:
        encoder, size = network.encoder, network.config.view_size
        assert isinstance(encoder, ConvStemViT)
        self._network, self._size = network, size
        s2, s4, s8, s16 = (size // stride for stride in (2, 4, 8, 16))
        self._stem = Spatial(encoder.stem, size, packed, encoder.stem_norm)
        self._down4 = Shrink(encoder.down4, s2, packed)
        self._down8 = Shrink(encoder.down8, s4, packed)
        self._down16 = Shrink(encoder.down16, s8, packed)
        self._stage4 = [Mixer(x, s4, packed) for x in all_of(encoder.stage4, SeparableBlock)]
        self._stage8 = [Mixer(x, s8, packed) for x in all_of(encoder.stage8, SeparableBlock)]
        blocks = all_of(encoder.blocks, TransformerBlock)
        self._blocks = [Exchange(block, s16, packed) for block in blocks]
        position = encoder.position * encoder.position_scale
        self._position = position.detach().view(1, s16, s16, -1)
        self._norm = Norm(encoder.norm)
        self._pyramid = _Pyramid(network.pyramid, (s2, s4, s8, s16), packed)

    def __call__(self, view: Tensor) -> Features:
        """Encode views as `PVPUNet.encode` does; parameters as there."""
        if view.shape[-2:] != (self._size, self._size):
            return self._network.encode(view)
        image, inside = normalize_view(view)
        x = torch.cat([image, inside], 1).contiguous(memory_format=torch.channels_last)
        s2 = nhwc(self._stem(x, relu=True))
        s4 = self._down4(s2)
        for mix in self._stage4:
            s4 = mix(s4)
        s8 = self._down8(s4)
        for mix in self._stage8:
            s8 = mix(s8)
        s16 = self._down16(s8).add_(self._position)
        for block in self._blocks:
            s16 = block(s16)
        levels = self._pyramid([s2, s4, s8, self._norm(s16)])
        return Features(Levels(*map(nchw, levels)), image, inside)


class _Pyramid:
    """`TopDownPyramid`."""

    def __init__(self, pyramid: TopDownPyramid, sides: tuple[int, ...], packed: bool) -> None:
        pixels = [side**2 for side in sides]
        self._laterals = [
            Pointwise.of(layer, count, packed)
            for layer, count in zip(pyramid.laterals, pixels, strict=True)
        ]
        self._reductions = [
            Pointwise.of(layer, count, packed)
            for layer, count in zip(pyramid.reductions, pixels[1:], strict=True)
        ]

    def __call__(self, maps: list[Tensor]) -> list[Tensor]:
        """Return maps of the same strides, finest first, each aware of all coarser ones."""
        out = [self._laterals[-1](maps[-1])]
        for i in reversed(range(len(self._reductions))):
            coarser = resize(self._reductions[i](out[0]), maps[i].shape[1:3])
            out.insert(0, self._laterals[i].plus(coarser, maps[i]))
        return out
