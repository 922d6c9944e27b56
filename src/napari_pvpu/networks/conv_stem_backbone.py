"""The default model's encoder as a backbone for networks that take any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_pvpu.networks.backbones import normalize_view
from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone
from napari_pvpu.networks.vision_transformer import pad_to_multiple

if TYPE_CHECKING:
    from napari_pvpu.networks.backbones import ConvStemViT

_OWN = (2, 4, 8, 16)


class ConvStemBackbone(FeatureBackbone):
    """`ConvStemViT` with a stride of 32 beside its own 2, 4, 8 and 16.

    Parameters
    ----------
    net : ConvStemViT
        The encoder.
    out_strides : tuple of int
        Strides wanted, finest first; 32 is max-pooled from 16.

    Raises
    ------
    ValueError
        If there is no such stride.
    """

    def __init__(self, net: ConvStemViT, out_strides: tuple[int, ...] = (4, 8, 16, 32)) -> None:
        super().__init__()
        if unknown := [s for s in out_strides if s not in (*_OWN, 32)]:
            raise ValueError(f"this encoder has strides 2, 4, 8, 16 and 32, not {unknown}")
        self.net = net
        self.strides = tuple(out_strides)
        self._from = tuple(_OWN.index(min(s, 16)) for s in out_strides)
        self.channels = tuple(net.out_channels[i] for i in self._from)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encode images; see `FeatureBackbone`.

        Whatever normalisation they come with is replaced by the encoder's own, which goes by what
        is seen of each; what is exactly zero in all channels counts as outside.
        """
        outside = (image == 0).all(1, keepdim=True)
        view, inside = normalize_view(torch.where(outside, torch.nan, image))
        levels = self.net(pad_to_multiple(view, 32), pad_to_multiple(inside, 32))
        out = []
        for stride, index in zip(self.strides, self._from, strict=True):
            x = F.max_pool2d(levels[index], 2) if stride == 32 else levels[index]
            out.append(x[..., : -(-image.shape[-2] // stride), : -(-image.shape[-1] // stride)])
        return tuple(out)
