"""PVPUFormer as published (arXiv 2306.06656): slots, dual-cross merging, multi-scale head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import to_grid, to_tokens
from napari_pvpu.networks.dual_cross_merging import DualCrossMerging, grid_position_encoding
from napari_pvpu.networks.early_fusion import PyramidTrunk, ViTTrunk
from napari_pvpu.networks.feature_pyramid_backbones import TimmBackbone
from napari_pvpu.networks.fixed_values import fixed_tokens
from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.networks.mae_backbone import SimpleFeaturePyramid
from napari_pvpu.networks.multi_scale_head import MultiScaleHead, ScoreHead
from napari_pvpu.networks.prompt_encoding import PPuEConfig
from napari_pvpu.networks.prompt_maps import prompt_maps
from napari_pvpu.networks.prompt_slots import PromptSlots, at_slots
from napari_pvpu.networks.pvpuformer_config import FUSION_MAPS
from napari_pvpu.networks.segmentation_backbones import DeepLabV3Plus, MixTransformer
from napari_pvpu.networks.vision_transformer import VisionTransformer, pad_to_multiple

if TYPE_CHECKING:
    from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone
    from napari_pvpu.networks.prompt_batch import PromptBatch
    from napari_pvpu.networks.pvpuformer_config import PVPUFormerConfig

# Of ImageNet, for values 0 to 1: what the published weights were trained with.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


def build_backbone(config: PVPUFormerConfig) -> FeatureBackbone:
    """Build what `PVPUFormerConfig.backbone` names, if it is not ``"vit"``.

    Raises
    ------
    ImportError, ValueError, ConnectionError
        As the backbones themselves do.
    """
    name, pretrained, frozen = config.backbone, config.pretrained, config.frozen
    if name.startswith("mit_"):
        return MixTransformer(name, pretrained, frozen=frozen)
    if name.startswith("deeplabv3plus-"):
        return DeepLabV3Plus(name.removeprefix("deeplabv3plus-"), pretrained, frozen)
    stride = config.neck_stride
    # HRNet's levels without what its classifier adds to them.
    options = {"feature_location": ""} if name.startswith("hrnet") else {}
    return TimmBackbone(
        name,
        pretrained,
        frozen,
        (stride // 4, stride // 2, stride, 2 * stride),
        image_size=config.view_size,
        options=options,
    )


def build_vit(config: PVPUFormerConfig) -> VisionTransformer:
    """Build the ViT of a config, with MAE weights if it asks for them."""
    unit = 2 * config.patch_size
    size = -(-config.view_size // unit) * unit
    vit = VisionTransformer(
        config.vit_width,
        config.vit_depth,
        config.vit_heads,
        config.patch_size,
        size,
        config.window_size or None,
        config.global_blocks,
    )
    if config.pretrained:
        vit.load_pretrained()
    return vit.requires_grad_(not config.frozen)


class PVPUFormer(PromptableNetwork):
    """Merge prompt tokens with a backbone's features and draw the mask from four scales.

    Parameters
    ----------
    config : PVPUFormerConfig
        Sizes of all parts.
    backbone : FeatureBackbone, optional
        A backbone to take instead of the one that the config names.

    Notes
    -----
    Ours, where the paper or its code has nothing or does not work: the mask of empty slots, the
    visual term of the prompt encoding and its repairs (see `PPuE`), the score, and how backbones
    other than the ViT are joined (see `PyramidTrunk`).
    """

    mean: Tensor
    deviation: Tensor
    position: Tensor

    def __init__(self, config: PVPUFormerConfig, backbone: FeatureBackbone | None = None) -> None:
        super().__init__()
        self.settings = config
        # Whoever builds this from a larger description may keep that here in its stead.
        self.config: Any = config
        maps = FUSION_MAPS[config.fusion]
        self.trunk: ViTTrunk | PyramidTrunk
        if backbone is None and config.backbone == "vit":
            self.trunk = ViTTrunk(build_vit(config), maps)
        else:
            backbone = build_backbone(config) if backbone is None else backbone
            self.trunk = PyramidTrunk(backbone, config.neck_width, config.neck_stride, maps)
        width = self.trunk.width
        self.prompt_slots = PromptSlots(
            PPuEConfig(
                size=config.view_size,
                sigma=config.ppue_sigma,
                gamma=config.ppue_gamma,
                tau=config.ppue_tau,
            ),
            width,
            config.slot_hidden,
            config.slots,
            rows_first=config.rows_first,
        )
        self.merging = DualCrossMerging(
            width,
            config.merging_heads,
            config.merging_depth,
            config.merging_mlp,
            width // 2,
            published=True,
            key_adaptation=config.key_adaptation,
            key_prior=config.key_prior,
            adapted_keys=config.adapted_keys,
        )
        self.pyramid = SimpleFeaturePyramid(width, config.pyramid)
        self.fine = nn.ModuleList(
            nn.Conv2d(channels, config.pyramid[place], 1) for place, channels in self.trunk.fine
        )
        self.head = MultiScaleHead(config.pyramid, config.pixel_dim, config.dropout)
        if config.probabilistic:
            self.head.make_probabilistic(4 * self._grid)
        self.prompt_head = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, config.pixel_dim)
        )
        self.score_head = ScoreHead(config.pixel_dim)
        grid = self._grid
        self.register_buffer("position", grid_position_encoding(width, grid, grid), False)
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], False)

    def encode(self, view: Tensor) -> Features:
        """Run what does not depend on prompts; needed once for each view.

        Parameters
        ----------
        view : Tensor
            ``(B, 3, H, W)`` float32, about 0 to 1, NaN where the window leaves the image. Sides
            that twice the neck's stride does not divide are padded on the right and below.

        Returns
        -------
        Features
            Levels: without early fusion the finest map of the pyramid, the map for the neck last;
            with it the ViT's patch tokens, or nothing. The image is normalised by ImageNet's
            mean and deviation, zero outside.
        """
        inside = ~view.isnan().any(1, keepdim=True)
        image = torch.where(inside, (view - self.mean) / self.deviation, 0.0)
        levels = self.trunk.keep(pad_to_multiple(image, 2 * self.trunk.stride))
        if self.settings.fusion == "none":
            levels = self._with_finest(levels)
        return Features(levels, image, inside.to(image.dtype))

    def _with_finest(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Turn the trunk's levels into those that merging and pyramid start from.

        The pyramid's finest map depends on no prompt; where the backbone has levels as fine as
        the two finest of the pyramid, they join these.
        """
        *fine, x = levels
        finest, second = self.pyramid.levels[0](x), None
        for (place, _), conv, level in zip(self.trunk.fine, self.fine, fine, strict=True):
            if place == 0:
                finest = finest + conv(level)
            else:
                second = conv(level)
        return (finest, x) if second is None else (finest, second, x)

    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        previous: Tensor | None = None,
        *,
        second_reading: bool = False,
    ) -> Decoded:
        """Answer the prompts; with early fusion this runs the backbone.

        Parameters
        ----------
        features : Features
            From `encode`.
        prompts : PromptBatch
            All prompts of the object, K at least 1, in view pixels. Of more prompts of a polarity
            than there are slots the latest count; in the maps all do.
        previous : Tensor, optional
            ``(B, 1, H, W)``, probability after the interaction before; as good as zero for the
            first, and of no meaning without early fusion.
        second_reading : bool
            Of no effect: the published training never goes without the mask before.

        Returns
        -------
        Decoded
            Logits at full size, pixel features Z, prompt features in the order of `prompts`
            (zero for those without a slot), score.
        """
        image = features.image
        levels = features.levels
        if self.settings.fusion != "none":
            maps = self._maps(prompts, image, previous)
            padded = (pad_to_multiple(each, 2 * self.trunk.stride) for each in (image, maps))
            levels = self._with_finest(self.trunk.finish(levels, *padded))
        # Prompt coordinates belong to a square view; what a side lacks is added below or right.
        side = max(image.shape[-2:])
        square = F.pad(image, (0, side - image.shape[-1], 0, side - image.shape[-2]))
        slots = self.prompt_slots(prompts, square, side)
        allowed = self._allowed(slots.filled)
        *fine, x = levels
        filtered, tokens = self.merging(to_tokens(x), slots.tokens, self._position(x), allowed)
        pyramid = self._pyramid(fine, [to_grid(f, x) for f in filtered])
        logits, pixels = self.head(pyramid, self._fixed(prompts, pyramid[0]))
        prompt_features = self.prompt_head(tokens)
        score = self.score_head(logits, pixels, prompt_features, allowed)
        logits = self._enlarged(logits, x, image)
        return Decoded(logits, pixels, at_slots(prompt_features, slots.slot_of), score.sigmoid())

    def _fixed(self, prompts: PromptBatch, finest: Tensor) -> Tensor | None:
        """What prompts fix in the finest map, for a probabilistic classifier."""
        if not self.head.probabilistic:
            return None
        cell, (height, width) = self.trunk.stride // 4, finest.shape[-2:]
        whole = max(height, width)
        fixed = fixed_tokens(prompts, whole * cell, (whole, whole), self.settings.disk_radius)
        return fixed[:, :height, :width]

    def _maps(self, prompts: PromptBatch, image: Tensor, previous: Tensor | None) -> Tensor:
        """What the encoder sees of the interaction: mask before, positive map, negative map."""
        height, width = image.shape[-2:]
        mask = torch.zeros_like(image[:, :1]) if previous is None else previous.to(image.dtype)
        if self.settings.fusion == "mask":
            return mask
        drawn = prompt_maps(
            prompts, max(height, width), self.settings.disk_radius, self.settings.line_width
        )
        return torch.cat([mask, drawn[..., :height, :width].to(image.dtype)], dim=1)

    def _allowed(self, filled: Tensor) -> Tensor:
        """Which slots take part; a sample without any prompt keeps an empty one."""
        if not self.settings.mask_empty_slots:
            return torch.ones_like(filled)
        first = torch.zeros_like(filled)
        first[:, 0] = True
        return filled | (first & ~filled.any(1, keepdim=True))

    @property
    def _grid(self) -> int:
        """Side of the grid of image tokens in a view of the expected size; always even."""
        return 2 * -(-self.settings.view_size // (2 * self.trunk.stride))

    def _position(self, like: Tensor) -> Tensor:
        if tuple(like.shape[-2:]) == (self._grid, self._grid):
            return self.position
        return grid_position_encoding(like.shape[1], *like.shape[-2:]).to(like.device)

    def _pyramid(self, fine: list[Tensor], filtered: list[Tensor]) -> list[Tensor]:
        """Maps for the head: the finest as kept, then one from each dual-cross block."""
        second = self.pyramid.levels[1](filtered[0])
        if len(fine) > 1:
            second = second + fine[1]
        third = self.pyramid.levels[2](filtered[1])
        fourth = self.pyramid.levels[3](filtered[2])
        return [fine[0], second, third, fourth]

    def _enlarged(self, logits: Tensor, x: Tensor, image: Tensor) -> Tensor:
        """Logits of the padded view, without the padding; corners aligned as released."""
        size = (x.shape[-2] * self.trunk.stride, x.shape[-1] * self.trunk.stride)
        whole = F.interpolate(logits, size, mode="bilinear", align_corners=True)
        return whole[..., : image.shape[-2], : image.shape[-1]]

    def encoder_modules(self) -> tuple[nn.Module, ...]:
        """Return the parts that run once for each view; with early fusion hardly any do."""
        once = self.trunk.modules_run_once()
        if self.settings.fusion != "none":
            return once
        return *once, self.pyramid.levels[0], self.fine

    def forward(
        self, view: Tensor, prompts: PromptBatch, previous: Tensor | None = None
    ) -> Decoded:
        """Encode and decode in one go."""
        return self.decode(self.encode(view), prompts, previous)
