"""Settings of PVPUFormer (arXiv 2306.06656) and the published sets of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Fusion = Literal["none", "mask", "maps"]
"""What the encoder sees of the interaction: nothing, the mask before, or the prompts too."""

FUSION_MAPS: dict[str, int] = {"none": 0, "mask": 1, "maps": 3}
"""Channels of what is drawn for the encoder."""


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
    rows_first : bool
        Whether clicks have their vectors the other way round; True is what released weights expect.
    ppue_sigma, ppue_gamma, ppue_tau : float
        Width of a click's Gaussian in bins; weight and width of the visual term.
    fusion : str
        ``"maps"``, as released: mask before and drawn prompts enter the encoder; ``"mask"``, as in
        the paper's figure: the mask alone; ``"none"``: the encoder runs once for each view.
    disk_radius, line_width : float, int
        Of clicks, and of scribbles and box outlines, in the maps, in pixels.
    probabilistic : bool
        Whether the last classifier is probabilistic self-attention; not as published.
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
    rows_first: bool = False
    ppue_sigma: float = 3.0
    ppue_gamma: float = 0.5
    ppue_tau: float = 0.5
    fusion: Fusion = "maps"
    disk_radius: float = 5.0
    line_width: int = 3
    probabilistic: bool = False
    key_adaptation: int = 0
    key_prior: float = 0.001
    adapted_keys: Literal["pixels", "prompts", "both"] = "pixels"

    def __post_init__(self) -> None:
        """Check what would otherwise fail deep inside the network."""
        if self.view_size < 32:
            raise ValueError(f"view_size has to be at least 32, not {self.view_size}")
        if self.fusion not in FUSION_MAPS:
            raise ValueError(f"fusion is {self.fusion!r}; choose one of {', '.join(FUSION_MAPS)}")
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
