"""PVPUFormer as published (arXiv 2306.06656): slots, dual-cross merging, multi-scale head."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import to_grid, to_tokens
from napari_pvpu.networks.dual_cross_merging import (
    DualCrossMerging,
    KeySide,
    grid_position_encoding,
)
from napari_pvpu.networks.early_fusion import PyramidTrunk, ViTTrunk
from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.networks.mae_backbone import SimpleFeaturePyramid
from napari_pvpu.networks.multi_scale_head import MultiScaleHead, ScoreHead
from napari_pvpu.networks.prompt_encoding import PPuEConfig
from napari_pvpu.networks.prompt_maps import prompt_maps
from napari_pvpu.networks.prompt_slots import PromptSlots, at_slots
from napari_pvpu.networks.vision_transformer import VisionTransformer, pad_to_multiple

if TYPE_CHECKING:
    from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone
    from napari_pvpu.networks.prompt_encoding import PromptBatch

Fusion = Literal["none", "mask", "maps"]
"""What the encoder sees of the interaction: nothing, the mask before, or the prompts too."""

_FUSED: dict[str, int] = {"none": 0, "mask": 1, "maps": 3}

# Of ImageNet, for values 0 to 1: what the published weights were trained with.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class PVPUFormerConfig:
    """All that is needed to build a `PVPUFormer`; the defaults are the released ViT-B/16.

    Attributes
    ----------
    name : str
        The preset's name.
    view_size : int
        Side in pixels that positions and the prompt vectors are laid out for. Views of other
        sizes work.
    backbone : str
        ``"vit"``; ``"mit_b0"`` to ``"mit_b5"``, SegFormer's; ``"deeplabv3plus-NAME"`` with the name
        of a backbone of timm; else any name that timm knows.
    pretrained, frozen : bool
        Whether the backbone's weights are fetched; whether they stay as they are.
    vit_width, vit_depth, vit_heads, patch_size : int
        Of ``"vit"``.
    window_size, global_blocks : int, tuple of int
        Of ``"vit"``: side of attention windows in patches, 0 for none; blocks, counted from 0, that
        attend to everything all the same.
    neck_width, neck_stride : int
        Channels and stride of what merges with the prompts; of no meaning for ``"vit"``, whose
        own they are.
    pyramid : tuple of int
        Channels of the maps at a quarter, a half, one and two times the stride of the neck.
    merging_depth, merging_heads, merging_mlp : int
        Dual-cross blocks, attention heads, hidden channels of the prompts' MLP.
    pixel_dim, dropout : int, float
        Channels of pixel and prompt features; dropout before the classifier.
    slots, slot_hidden : int
        Prompt slots of each polarity; hidden channels of the token MLP.
    mask_empty_slots : bool
        Whether empty slots are kept out of everything; False is what released weights expect.
    ppue_sigma, ppue_gamma, ppue_tau : float
        Width of a click's Gaussian in bins; weight and width of the visual term.
    fusion : str
        ``"maps"``, as released: mask before and drawn prompts enter the encoder; ``"mask"``, as in
        the paper's figure: the mask alone; ``"none"``: the encoder runs once for each view.
    disk_radius, line_width : float, int
        Of clicks, and of scribbles and box outlines, in the maps, in pixels.
    key_adaptation, key_prior, adapted_keys
        As for `DualCrossMerging`; off as published.
    """

    name: str = "pvpuformer-vit-b16"
    view_size: int = 448
    backbone: str = "vit"
    pretrained: bool = False
    frozen: bool = False
    vit_width: int = 768
    vit_depth: int = 12
    vit_heads: int = 12
    patch_size: int = 16
    window_size: int = 14
    global_blocks: tuple[int, ...] = (5, 11)
    neck_width: int = 256
    neck_stride: int = 16
    pyramid: tuple[int, int, int, int] = (128, 256, 512, 1024)
    merging_depth: int = 3
    merging_heads: int = 8
    merging_mlp: int = 1024
    pixel_dim: int = 256
    dropout: float = 0.1
    slots: int = 24
    slot_hidden: int = 2048
    mask_empty_slots: bool = True
    ppue_sigma: float = 3.0
    ppue_gamma: float = 0.5
    ppue_tau: float = 0.5
    fusion: Fusion = "maps"
    disk_radius: float = 5.0
    line_width: int = 3
    key_adaptation: int = 0
    key_prior: float = 0.001
    adapted_keys: KeySide = "pixels"

    def __post_init__(self) -> None:
        """Check what would otherwise fail deep inside the network."""
        if self.view_size < 32:
            raise ValueError(f"view_size has to be at least 32, not {self.view_size}")
        if self.fusion not in _FUSED:
            raise ValueError(f"fusion is {self.fusion!r}; choose one of {', '.join(_FUSED)}")
        if self.merging_depth != 3:
            raise ValueError(
                "the pyramid takes one level from each of three dual-cross blocks; "
                f"merging_depth has to be 3, not {self.merging_depth}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


PVPUFORMER_PRESETS: dict[str, PVPUFormerConfig] = {
    "pvpuformer-vit-b16": PVPUFormerConfig(),
    "pvpuformer-segformer-b0": PVPUFormerConfig(
        name="pvpuformer-segformer-b0",
        view_size=256,
        backbone="mit_b0",
        neck_stride=8,
        pyramid=(64, 128, 256, 512),
    ),
    "pvpuformer-hrnet18s": PVPUFormerConfig(
        name="pvpuformer-hrnet18s",
        view_size=256,
        backbone="hrnet_w18_small_v2",
        pyramid=(64, 128, 256, 512),
    ),
    "pvpuformer-deeplabv3plus-r50": PVPUFormerConfig(
        name="pvpuformer-deeplabv3plus-r50",
        view_size=256,
        backbone="deeplabv3plus-resnet50",
        pyramid=(64, 128, 256, 512),
    ),
}


def build_backbone(config: PVPUFormerConfig) -> FeatureBackbone:
    """Build what `PVPUFormerConfig.backbone` names, if it is not ``"vit"``.

    Raises
    ------
    ImportError, ValueError, ConnectionError
        As the backbones of `feature_pyramid_backbones` do.
    """
    from napari_pvpu.networks import feature_pyramid_backbones as families

    name, pretrained, frozen = config.backbone, config.pretrained, config.frozen
    if name.startswith("mit_"):
        return families.MixTransformer(name, pretrained, frozen=frozen)
    if name.startswith("deeplabv3plus-"):
        return families.DeepLabV3Plus(name.removeprefix("deeplabv3plus-"), pretrained, frozen)
    stride = config.neck_stride
    # HRNet's levels without what its classifier adds to them.
    options = {"feature_location": ""} if name.startswith("hrnet") else {}
    return families.TimmBackbone(
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
        self.config = config
        maps = _FUSED[config.fusion]
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
        if self.config.fusion == "none":
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
        if self.config.fusion != "none":
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
        logits, pixels = self.head(self._pyramid(fine, [to_grid(f, x) for f in filtered]))
        prompt_features = self.prompt_head(tokens)
        score = self.score_head(logits, pixels, prompt_features, allowed)
        logits = self._enlarged(logits, x, image)
        return Decoded(logits, pixels, at_slots(prompt_features, slots.slot_of), score.sigmoid())

    def _maps(self, prompts: PromptBatch, image: Tensor, previous: Tensor | None) -> Tensor:
        """What the encoder sees of the interaction: mask before, positive map, negative map."""
        height, width = image.shape[-2:]
        mask = torch.zeros_like(image[:, :1]) if previous is None else previous.to(image.dtype)
        if self.config.fusion == "mask":
            return mask
        drawn = prompt_maps(
            prompts, max(height, width), self.config.disk_radius, self.config.line_width
        )
        return torch.cat([mask, drawn[..., :height, :width].to(image.dtype)], dim=1)

    def _allowed(self, filled: Tensor) -> Tensor:
        """Which slots take part; a sample without any prompt keeps an empty one."""
        if not self.config.mask_empty_slots:
            return torch.ones_like(filled)
        first = torch.zeros_like(filled)
        first[:, 0] = True
        return filled | (first & ~filled.any(1, keepdim=True))

    @property
    def _grid(self) -> int:
        """Side of the grid of image tokens in a view of the expected size; always even."""
        return 2 * -(-self.config.view_size // (2 * self.trunk.stride))

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
        if self.config.fusion != "none":
            return once
        return *once, self.pyramid.levels[0], self.fine

    def forward(
        self, view: Tensor, prompts: PromptBatch, previous: Tensor | None = None
    ) -> Decoded:
        """Encode and decode in one go."""
        return self.decode(self.encode(view), prompts, previous)
