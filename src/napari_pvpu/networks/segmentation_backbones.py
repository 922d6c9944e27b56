"""The published segmentation backbones that timm does not have whole: SegFormer, DeepLabV3+."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_pvpu.networks.blocks import ChannelNorm
from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone, TimmBackbone
from napari_pvpu.networks.vision_transformer import pad_to_multiple

if TYPE_CHECKING:
    from collections.abc import Sequence


class MixTransformer(FeatureBackbone):
    """SegFormer's encoder, from segmentation-models-pytorch.

    Parameters
    ----------
    name : str
        ``"mit_b0"`` to ``"mit_b5"``.
    pretrained : bool
        Whether its ImageNet weights are fetched.
    first_stride : int
        Stride of the first patch embedding. SegFormer has 4; 2, which we take for the
        "stride-2 output" of the published variant, doubles the resolution of every map.
    frozen : bool
        Whether it stays as it is while the rest trains.

    Raises
    ------
    ImportError
        If segmentation-models-pytorch is missing; the message says how to get it.
    ValueError
        If there is no such encoder or stride.
    """

    def __init__(
        self,
        name: str = "mit_b0",
        pretrained: bool = False,
        first_stride: int = 2,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        if name not in (known := [f"mit_b{i}" for i in range(6)]):
            raise ValueError(f"there is no encoder {name!r}; choose one of {', '.join(known)}")
        if first_stride not in (2, 4):
            raise ValueError(f"first_stride has to be 2 or 4, not {first_stride}")
        # Its constructor reads numbers back from tensors, which the meta device cannot do.
        wanted = torch.get_default_device()
        with torch.device("cpu"):
            net = _segmentation_models().get_encoder(
                name, in_channels=3, depth=5, weights="imagenet" if pretrained else None
            )
        net.patch_embed1.proj.stride = (first_stride, first_stride)
        self.net = net.to(wanted).requires_grad_(not frozen)
        self.frozen = frozen
        self.strides = tuple(first_stride * 2**i for i in range(4))
        self.channels = tuple(net.out_channels[-4:])

    def train(self, mode: bool = True) -> MixTransformer:
        """Switch to training or evaluation; what is frozen stays in evaluation."""
        super().train(mode)
        if self.frozen:
            self.net.eval()
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encode images; see `FeatureBackbone`."""
        maps = self.net(pad_to_multiple(image, self.strides[-1]))[-4:]
        return tuple(
            x[..., : -(-image.shape[-2] // s), : -(-image.shape[-1] // s)]
            for x, s in zip(maps, self.strides, strict=True)
        )


def _segmentation_models() -> Any:
    try:
        return importlib.import_module("segmentation_models_pytorch.encoders")
    except ImportError as error:
        raise ImportError(
            "this backbone comes from segmentation-models-pytorch, which is not installed; "
            "get it with: pip install 'napari-pvpu[backbones]'"
        ) from error


class SpatialPyramidPooling(nn.Module):
    """Atrous spatial pyramid pooling (DeepLabV3, Chen et al. 2017).

    Parameters
    ----------
    inputs, outputs : int
        Channels before and after.
    rates : sequence of int
        Dilations of the 3 x 3 convolutions beside the 1 x 1 and the pooled image.

    Notes
    -----
    Group instead of batch normalisation, so that a batch of one image can train.
    """

    def __init__(self, inputs: int, outputs: int, rates: Sequence[int] = (6, 12, 18)) -> None:
        super().__init__()

        def branch(size: int = 1, rate: int = 1, channels: int = inputs) -> nn.Sequential:
            padding = rate * (size // 2)
            conv = nn.Conv2d(channels, outputs, size, padding=padding, dilation=rate, bias=False)
            return nn.Sequential(conv, ChannelNorm(outputs), nn.ReLU())

        self.branches = nn.ModuleList([branch(), *(branch(3, rate) for rate in rates)])
        self.pooled = branch()
        self.project = branch(channels=outputs * (len(rates) + 2))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        pooled = self.pooled(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return self.project(torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1))


class DeepLabV3Plus(FeatureBackbone):
    """DeepLabV3+ up to where its decoder joins two levels: strides 4 and 16.

    Parameters
    ----------
    name : str
        A backbone of timm that knows ``output_stride``.
    pretrained, frozen : bool
        As for `TimmBackbone`; what comes after the backbone trains in any case.
    channels, low_channels : int
        Channels at strides 16 and 4.

    Notes
    -----
    Source: Chen et al. 2018. Its 3 x 3 convolutions after the join are left to the decoder.
    """

    def __init__(
        self,
        name: str = "resnet50",
        pretrained: bool = False,
        frozen: bool = False,
        channels: int = 256,
        low_channels: int = 48,
    ) -> None:
        super().__init__()
        self.net = TimmBackbone(name, pretrained, frozen, (4, 16), options={"output_stride": 16})
        low, deep = self.net.channels
        self.low = nn.Sequential(
            nn.Conv2d(low, low_channels, 1, bias=False), ChannelNorm(low_channels), nn.ReLU()
        )
        self.pooling = SpatialPyramidPooling(deep, channels)
        self.strides = (4, 16)
        self.channels = (low_channels, channels)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encode images; see `FeatureBackbone`."""
        fine, deep = self.net(image)
        return self.low(fine), self.pooling(deep)
