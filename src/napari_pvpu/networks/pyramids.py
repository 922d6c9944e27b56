"""Feature pyramids between an image encoder and the prompt decoder."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from napari_pvpu.networks.backbones import Levels
from napari_pvpu.networks.blocks import upsample


class TopDownPyramid(nn.Module):
    """Laterals of 1 x 1 convolutions with a top-down path (Lin et al., FPN, 2017).

    Parameters
    ----------
    inputs : tuple of int
        Encoder channels at strides 2, 4, 8, 16.
    outputs : tuple of int
        Channels of the result at the same strides.
    """

    def __init__(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Conv2d(i, o, 1) for i, o in zip(inputs, outputs, strict=True)
        )
        self.reductions = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1, bias=False) for fine, coarse in itertools.pairwise(outputs)
        )

    def forward(self, levels: Levels) -> Levels:
        """Return maps of the same strides, each aware of all coarser ones."""
        maps: list[Tensor] = [lateral(x) for lateral, x in zip(self.laterals, levels, strict=True)]
        for i in reversed(range(len(maps) - 1)):
            # Reduce before enlarging: a quarter of the arithmetic.
            maps[i] = maps[i] + upsample(self.reductions[i](maps[i + 1]), maps[i].shape[-2:])
        return Levels(*maps)
