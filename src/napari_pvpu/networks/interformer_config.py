"""Settings of InterFormer (arXiv 2304.02942) and the two published sets of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InterFormerConfig:
    """All that is needed to build an `InterFormer`; the defaults are InterFormer-Light.

    Attributes
    ----------
    name : str
        The preset's name.
    view_size : int
        Side in pixels that positions and pools are laid out for, a multiple of 32. Views of other
        sizes work; they are padded to multiples of 32.
    vit_width, vit_depth, vit_heads, vit_mlp_ratio : int, int, int, float
        The image encoder, with patches of 16 pixels.
    channels, heads, mlp_ratios : tuple of int
        Of the four stages at strides 4, 8, 16 and 32.
    coarse, refine : tuple of int
        Blocks of each stage on the whole view, and of those that may run on a region of it.
    pool_ratios : tuple of tuple of int
        Pools of keys and values in each stage.
    head_channels : int
        Channels of the heads, and of the pixel features.
    dropout, drop_path : float
        Before the classifiers; of the deepest block of encoder and I-MSA.
    click_radius, ring_radius : float
        Pixels around a click that it makes definite; how much further its ring reaches.
    zoom_from : int
        First interaction, counted from 1, at which the refine blocks see the region of interest
        alone; 0 for never, as in the published evaluation. The published zoom-in starts with 2,
        the published program with 3.
    zoom_expand, zoom_min_size : float, int
        Side of that region over that of what it surrounds; its least side in pixels.
    auxiliary_weight : float
        Weight of the auxiliary head's loss in training.
    """

    name: str = "interformer-light"
    view_size: int = 512
    vit_width: int = 768
    vit_depth: int = 12
    vit_heads: int = 12
    vit_mlp_ratio: float = 4.0
    channels: tuple[int, int, int, int] = (32, 64, 128, 256)
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4)
    coarse: tuple[int, int, int, int] = (1, 1, 2, 1)
    refine: tuple[int, int, int, int] = (0, 0, 0, 0)
    pool_ratios: tuple[tuple[int, ...], ...] = (
        (12, 16, 20, 24),
        (6, 8, 10, 12),
        (3, 4, 5, 6),
        (1, 2, 3, 4),
    )
    head_channels: int = 64
    dropout: float = 0.1
    drop_path: float = 0.1
    click_radius: float = 5.0
    ring_radius: float = 0.0
    zoom_from: int = 0
    zoom_expand: float = 1.4
    zoom_min_size: int = 32
    auxiliary_weight: float = 0.4

    def __post_init__(self) -> None:
        """Check what would otherwise fail deep inside the network."""
        if self.view_size < 32 or self.view_size % 32:
            raise ValueError(
                f"view_size has to be a multiple of 32 and at least 32, not {self.view_size}"
            )
        if self.zoom_from < 0:
            raise ValueError(
                f"zoom_from counts interactions from 1, and 0 is for never; not {self.zoom_from}"
            )
        if min(self.coarse) < 1:
            raise ValueError(f"every stage needs a coarse block, not {self.coarse}")


INTERFORMER_PRESETS: dict[str, InterFormerConfig] = {
    "interformer-light": InterFormerConfig(),
    "interformer-tiny": InterFormerConfig(
        name="interformer-tiny", vit_width=1024, vit_depth=24, vit_heads=16, refine=(1, 1, 4, 2)
    ),
}
