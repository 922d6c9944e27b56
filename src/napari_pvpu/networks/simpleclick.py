"""SimpleClick (Liu et al., ICCV 2023): a plain ViT that sees the prompts drawn as images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.early_fusion import ViTTrunk
from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.networks.interformer import margin
from napari_pvpu.networks.mae_backbone import SimpleFeaturePyramid
from napari_pvpu.networks.multi_scale_head import MultiScaleHead
from napari_pvpu.networks.prompt_maps import prompt_maps
from napari_pvpu.networks.regions import pool_at_prompts
from napari_pvpu.networks.vision_transformer import VisionTransformer, pad_to_multiple

if TYPE_CHECKING:
    from napari_pvpu.networks.prompt_batch import PromptBatch

# Of ImageNet, for values 0 to 1: what the published weights were trained with.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class SimpleClickConfig:
    """All that is needed to build a `SimpleClick`; the defaults are the released ViT-B.

    Attributes
    ----------
    name : str
        The preset's name.
    view_size : int
        Side in pixels that positions are laid out for, a multiple of 16. Other sizes work.
    vit_width, vit_depth, vit_heads : int
        The ViT, with patches of 16 pixels.
    window_size, global_blocks : int, tuple of int
        Side of attention windows in patches; blocks, from 0, that see everything.
    pyramid : tuple of int
        Channels at strides 4, 8, 16 and 32.
    pixel_dim, dropout : int, float
        Channels of the pixel features; dropout before the classifier.
    disk_radius, line_width : float, int
        Of clicks, and of scribbles and box outlines, in the maps, in pixels.
    """

    name: str = "simpleclick-vit-b"
    view_size: int = 448
    vit_width: int = 768
    vit_depth: int = 12
    vit_heads: int = 12
    window_size: int = 14
    global_blocks: tuple[int, ...] = (5, 11)
    pyramid: tuple[int, int, int, int] = (128, 256, 512, 1024)
    pixel_dim: int = 256
    dropout: float = 0.1
    disk_radius: float = 5.0
    line_width: int = 3

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


class SimpleClick(PromptableNetwork):
    """Run a ViT on the view and the drawn prompts, and classify pixels from four scales.

    PVPUFormer without prompt tokens. The ViT runs at each interaction; only the patch embedding
    of the view is kept between them.

    Parameters
    ----------
    config : SimpleClickConfig
        Sizes of all parts.

    Notes
    -----
    The published network knows clicks alone. Boxes and scribbles are drawn as PVPUFormer draws
    them; what released weights make of those is not known.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: SimpleClickConfig) -> None:
        super().__init__()
        self.settings = config
        # Whoever builds this from a larger description may keep that here in its stead.
        self.config: Any = config
        vit = VisionTransformer(
            config.vit_width,
            config.vit_depth,
            config.vit_heads,
            image_size=config.view_size,
            window_size=config.window_size,
            global_blocks=config.global_blocks,
        )
        self.trunk = ViTTrunk(vit, maps=3)
        self.pyramid = SimpleFeaturePyramid(config.vit_width, config.pyramid)
        self.head = MultiScaleHead(config.pyramid, config.pixel_dim, config.dropout)
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def encode(self, view: Tensor) -> Features:
        """Embed the patches of a view.

        Parameters
        ----------
        view : Tensor
            ``(B, 3, S, S)`` float32, 0 to 1, NaN where the window leaves the image. Any S; it is
            padded on the right and below to a multiple of 32.

        Returns
        -------
        Features
            One level, the patch tokens of the padded view at stride 16; the image as it was,
            normalised by ImageNet's mean and deviation, zero outside.
        """
        inside = ~view.isnan().any(1, keepdim=True)
        image = torch.where(inside, (view - self.mean) / self.deviation, 0.0)
        levels = self.trunk.keep(pad_to_multiple(image, 32))
        return Features(levels, image, inside.to(image.dtype))

    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        previous: Tensor | None = None,
        *,
        second_reading: bool = False,
    ) -> Decoded:
        """Answer the prompts; this runs the ViT.

        Parameters
        ----------
        features : Features
            From `encode`.
        prompts : PromptBatch
            All prompts of the object, K at least 1, in view pixels.
        previous : Tensor, optional
            ``(B, 1, S, S)``, probability after the interaction before; as good as zero for the
            first.
        second_reading : bool
            Of no effect: the published training never goes without the mask before.

        Returns
        -------
        Decoded
            `prompt_features` are the means of the pixel features under each prompt and `score`
            is from `margin`; the paper has neither.
        """
        settings, image = self.settings, features.image
        side = image.shape[-1]
        if previous is None:
            previous = torch.zeros_like(image[:, :1])
        drawn = prompt_maps(prompts, side, settings.disk_radius, settings.line_width)
        maps = torch.cat([previous.to(image.dtype), drawn.to(image.dtype)], dim=1)
        padded = pad_to_multiple(maps, 32)
        x = self.trunk.finish(features.levels, image, padded)[-1]
        logits, pixels = self.head(self.pyramid(x))
        whole = F.interpolate(logits, padded.shape[-2:], mode="bilinear", align_corners=True)
        logits = whole[..., :side, :side]
        cells = -(-side // 4)
        pixels = pixels[..., :cells, :cells]
        return Decoded(logits, pixels, pool_at_prompts(pixels, prompts, 4), margin(logits))

    def encoder_modules(self) -> tuple[nn.Module, ...]:
        """Return the patch embedding: all that runs once for each view."""
        return self.trunk.modules_run_once()

    def forward(
        self, view: Tensor, prompts: PromptBatch, previous: Tensor | None = None
    ) -> Decoded:
        """Encode and decode in one go."""
        return self.decode(self.encode(view), prompts, previous)
