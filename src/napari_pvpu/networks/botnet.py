"""ResNet-50 whose last stage attends instead of convolving: BoTNet-50, plain or probabilistic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone, TimmBackbone
from napari_pvpu.networks.probabilistic_attention import AttentionSettings
from napari_pvpu.networks.relative_position import FULL
from napari_pvpu.networks.self_attention import ProbabilisticSelfAttention

if TYPE_CHECKING:
    from napari_pvpu.networks.mixture import Prior

# Tokens handled at a time: a megapixel view has 4096 at stride 16.
_CHUNK = 1024


class BoTNet50(FeatureBackbone):
    """BoTNet-50 with probabilistic attention, for feature maps.

    The 3 x 3 convolutions of ResNet-50's last stage become self-attention with relative position
    terms; where the convolution had a stride, a mean over 2 x 2 cells follows.

    Parameters
    ----------
    key_adaptation : int
        EM steps of key adaptation. 0 is BoTNet-50, 1 the paper's ProbBoTNet50.
    full_position : bool
        Whether positions enter keys and values too, the paper's "-FullIPE", and not queries
        alone as in BoTNet.
    last_stride : int
        Stride of the last stage, 2 or 1: strides are 4, 8, 16, 32, or else 4, 8, 16.
    heads : int
        Attention heads; a divisor of 512.
    key_prior : float
        theta_xi, the weight of a key before each step; 0 and 0.001 in the paper.
    prior : {"dot", "fixed"}
        Prior over units.
    max_side : int
        Longest side at stride 16 with position vectors for all its offsets; farther ones share
        the last, so that images of any size work.
    pretrained, frozen : bool
        As for `TimmBackbone`, with the weights of ResNet-50. The attention layers are new and
        train in any case.

    Attributes
    ----------
    strides : tuple of int
        Of the maps, finest first.
    channels : tuple of int
        Their channels.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Notes
    -----
    Source: BoTNet (arXiv 2101.11605) for the layout; arXiv 2106.15338, section 4, for key
    adaptation in it. Positions are tables for rows and for columns that are summed, for keys and
    values as BoTNet has them for queries. Sides that no stride divides are padded.
    """

    def __init__(
        self,
        key_adaptation: int = 0,
        full_position: bool = False,
        *,
        last_stride: int = 2,
        heads: int = 4,
        key_prior: float = 0.0,
        prior: Prior = "dot",
        max_side: int = 32,
        pretrained: bool = False,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        if last_stride not in (1, 2):
            raise ValueError(f"last_stride has to be 1 or 2, not {last_stride}")
        if key_adaptation < 0 or key_prior < 0:
            raise ValueError(
                f"key_adaptation is {key_adaptation} and key_prior {key_prior}; choose 0 or more"
            )
        strides = (4, 8, 16, 32)[: 2 + last_stride]
        options = {} if last_stride == 2 else {"output_stride": 16}
        self.net = TimmBackbone("resnet50", pretrained, frozen, strides, options=options)
        settings = AttentionSettings(
            prior=prior, key_iterations=key_adaptation, key_strength=key_prior, chunk=_CHUNK
        )
        blocks: Any = self.net.net.get_submodule("layer4")
        for block in blocks:
            attention = ProbabilisticSelfAttention(
                block.conv2.in_channels,
                heads,
                settings=settings,
                position=FULL if full_position else ("query",),
                max_side=max_side,
            )
            shrinks = block.conv2.stride != (1, 1)
            block.conv2 = nn.Sequential(attention, nn.AvgPool2d(2)) if shrinks else attention
        self.strides, self.channels = self.net.strides, self.net.channels

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encode images.

        Parameters
        ----------
        image : Tensor
            ``(B, 3, H, W)``, normalised.

        Returns
        -------
        tuple of Tensor
            ``(B, C_i, ceil(H / s_i), ceil(W / s_i))`` for each stride, finest first.
        """
        return self.net(image)
