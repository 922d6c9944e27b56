"""Segmentation heads of InterFormer: UPerNet, and the plain auxiliary one that only trains.

UPerNet: Xiao et al., Unified perceptual parsing for scene understanding, 2018. The published
network normalises over all devices; here that is plain batch normalisation, which
``nn.SyncBatchNorm.convert_sync_batchnorm`` converts for distributed training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import upsample

if TYPE_CHECKING:
    from collections.abc import Sequence


class _BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that uses its running statistics where a batch has only one value.

    The coarsest pool of a batch of one leaves one value a channel, which has no variance; torch
    refuses that in training.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class ConvUnit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU.

    Parameters
    ----------
    inputs, outputs, kernel : int
        Channels before and after, side of the kernel.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = _BatchNorm(outputs)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        return F.relu(self.norm(self.conv(x)))


class PyramidPooling(nn.Module):
    """Means over grids of several sizes, each as channels of every pixel (Zhao et al., PSPNet).

    Parameters
    ----------
    inputs, channels : int
        Channels of the map; channels of each pool and of the result.
    sizes : sequence of int
        Cells a side of the grids.
    """

    def __init__(self, inputs: int, channels: int, sizes: Sequence[int] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.pools = nn.ModuleList(ConvUnit(inputs, channels, 1) for _ in sizes)
        self.bottleneck = ConvUnit(inputs + len(self.sizes) * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, channels, H, W)``."""
        pooled = [
            upsample(unit(F.adaptive_avg_pool2d(x, size)), x.shape[-2:])
            for unit, size in zip(self.pools, self.sizes, strict=True)
        ]
        return self.bottleneck(torch.cat([x, *pooled], dim=1))


class Classifier(nn.Module):
    """Dropout of whole channels and a 1 x 1 convolution to classes.

    Parameters
    ----------
    channels, classes : int
        Channels before and after.
    dropout : float
        Share of channels that are dropped in training.
    """

    def __init__(self, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.conv = nn.Conv2d(channels, classes, 1)
        nn.init.normal_(self.conv.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to ``(B, classes, H, W)``."""
        return self.conv(self.dropout(x))


class UPerHead(nn.Module):
    """Pyramid pooling on the coarsest map, a top-down path, and all levels fused on the finest.

    Parameters
    ----------
    inputs : sequence of int
        Channels of the maps, finest first.
    channels : int
        Channels of every level and of the fused map.
    classes : int
        Logits of each pixel.
    pools : sequence of int
        Grids of the pyramid pooling.
    dropout : float
        Before the classifier.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        channels: int = 64,
        classes: int = 2,
        pools: Sequence[int] = (1, 2, 3, 6),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.pooling = PyramidPooling(inputs[-1], channels, pools)
        self.laterals = nn.ModuleList(ConvUnit(width, channels, 1) for width in inputs[:-1])
        self.smoothing = nn.ModuleList(ConvUnit(channels, channels, 3) for _ in inputs[:-1])
        self.fusion = ConvUnit(len(inputs) * channels, channels, 3)
        self.classifier = Classifier(channels, classes, dropout)

    def fuse(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the fused features, ``(B, channels, H, W)`` with the size of the first map."""
        levels = [lateral(x) for lateral, x in zip(self.laterals, maps[:-1], strict=True)]
        levels.append(self.pooling(maps[-1]))
        for i in reversed(range(len(levels) - 1)):
            levels[i] = levels[i] + upsample(levels[i + 1], levels[i].shape[-2:])
        levels[:-1] = [smooth(x) for smooth, x in zip(self.smoothing, levels[:-1], strict=True)]
        size = levels[0].shape[-2:]
        return self.fusion(torch.cat([upsample(level, size) for level in levels], dim=1))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Classify each pixel.

        Parameters
        ----------
        maps : sequence of Tensor
            ``(B, inputs_i, H_i, W_i)``, finest first.

        Returns
        -------
        fused, logits : Tensor
            ``(B, channels, H_0, W_0)`` and ``(B, classes, H_0, W_0)``.
        """
        fused = self.fuse(maps)
        return fused, self.classifier(fused)


class FCNHead(nn.Sequential):
    """One 3 x 3 convolution and a classifier, for deep supervision of one map.

    Parameters
    ----------
    inputs, channels, classes : int
        Channels of the map, hidden channels, logits of each pixel.
    dropout : float
        Before the classifier.
    """

    def __init__(
        self, inputs: int, channels: int = 64, classes: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__(ConvUnit(inputs, channels, 3), Classifier(channels, classes, dropout))
