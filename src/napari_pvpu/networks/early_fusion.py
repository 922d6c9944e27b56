"""Trunks: a backbone, with or without the prompts drawn into what it sees (early fusion)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from napari_pvpu.networks.blocks import ChannelNorm, upsample
from napari_pvpu.networks.vision_transformer import PatchEmbed

if TYPE_CHECKING:
    from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone
    from napari_pvpu.networks.vision_transformer import VisionTransformer

_MAP_CHANNELS = 16


class ViTTrunk(nn.Module):
    """A plain ViT whose patch tokens may be joined by those of prompt maps.

    The maps have a patch embedding of their own, added to the image's before the position
    embedding, so that the image's can be kept between interactions.

    Parameters
    ----------
    vit : VisionTransformer
        The backbone.
    maps : int
        Channels of the prompt maps; 0 for no early fusion.

    Attributes
    ----------
    width, stride : int
        Channels and stride of the result.
    fine : tuple
        Empty; see `PyramidTrunk`.

    Notes
    -----
    Source: SimpleClick and PVPUFormer, released code.
    """

    def __init__(self, vit: VisionTransformer, maps: int = 0) -> None:
        super().__init__()
        self.vit = vit
        self.width, self.stride = vit.width, vit.patch_size
        self.fine: tuple[tuple[int, int], ...] = ()
        self.maps = PatchEmbed(maps, vit.width, vit.patch_size) if maps else None

    def keep(self, image: Tensor) -> tuple[Tensor, ...]:
        """Run what does not depend on prompts.

        Parameters
        ----------
        image : Tensor
            ``(B, 3, H, W)``, normalised.

        Returns
        -------
        tuple of Tensor
            For `finish`: the final map, or with early fusion the patch tokens.
        """
        return (self.vit(image),) if self.maps is None else (self.vit.embed(image),)

    def finish(
        self, kept: tuple[Tensor, ...], image: Tensor, maps: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Run the rest.

        Parameters
        ----------
        kept : tuple of Tensor
            From `keep`.
        image : Tensor
            As for `keep`.
        maps : Tensor, optional
            ``(B, maps, H, W)``; needed with early fusion.

        Returns
        -------
        tuple of Tensor
            The map for the neck, ``(B, width, ceil(H / stride), ceil(W / stride))``.
        """
        if self.maps is None or maps is None:
            return kept
        return (self.vit.transform(kept[0], self.maps(maps)),)

    def modules_run_once(self) -> tuple[nn.Module, ...]:
        """Return the parts that `keep` runs and `finish` does not."""
        return (self.vit,) if self.maps is None else (self.vit.patch_embed,)


class PyramidTrunk(nn.Module):
    """A backbone with several levels: those coarse enough make one map, finer ones are kept.

    Levels at `stride` and coarser are brought to `width` channels and to `stride`, and summed;
    levels at a half and a quarter of it are passed on for the pyramid. Prompt maps enter as a
    small image that two convolutions make of them and that is added to the view; the last starts
    from zero, so that a pretrained backbone begins with what it knows.

    Parameters
    ----------
    backbone : FeatureBackbone
        The backbone.
    width, stride : int
        Channels and stride of the summed map.
    maps : int
        Channels of the prompt maps; 0 for no early fusion.

    Attributes
    ----------
    fine : tuple of (int, int)
        For each finer level that is passed on: its place in the pyramid (0 for a quarter of the
        stride, 1 for a half) and its channels.

    Raises
    ------
    ValueError
        If the backbone has no level at `stride` or coarser.

    Notes
    -----
    The published variants with SegFormer, HRNet and DeepLabV3+ put strided convolutions between
    backbone and neck, whose layout is not known; this join is ours. So is the way of the maps,
    which follows RITM's in that they enter through the image.
    """

    def __init__(self, backbone: FeatureBackbone, width: int, stride: int, maps: int = 0) -> None:
        super().__init__()
        self.backbone = backbone
        self.width, self.stride = width, stride
        levels = list(zip(backbone.strides, backbone.channels, strict=True))
        if not (coarse := [(i, c) for i, (s, c) in enumerate(levels) if s >= stride]):
            raise ValueError(
                f"the neck works at stride {stride}, but the backbone's levels have strides "
                f"{backbone.strides}; choose a finer neck or a deeper backbone"
            )
        self.coarse = tuple(i for i, _ in coarse)
        self.laterals = nn.ModuleList(nn.Conv2d(c, width, 1) for _, c in coarse)
        self.norm = ChannelNorm(width)
        places = {stride // 4: 0, stride // 2: 1}
        self.kept_levels = tuple(i for i, (s, _) in enumerate(levels) if s in places)
        self.fine = tuple((places[levels[i][0]], levels[i][1]) for i in self.kept_levels)
        self.maps: nn.Sequential | None = None
        if maps:
            last = nn.Conv2d(_MAP_CHANNELS, 3, 1)
            nn.init.zeros_(last.weight)
            if last.bias is not None:
                nn.init.zeros_(last.bias)
            first = nn.Conv2d(maps, _MAP_CHANNELS, 3, padding=1)
            self.maps = nn.Sequential(first, nn.ReLU(), last)

    def keep(self, image: Tensor) -> tuple[Tensor, ...]:
        """Run what does not depend on prompts: everything, or with early fusion nothing."""
        return self._levels(image) if self.maps is None else ()

    def finish(
        self, kept: tuple[Tensor, ...], image: Tensor, maps: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Run the rest; parameters as for `ViTTrunk.finish`.

        Returns
        -------
        tuple of Tensor
            The finer levels as in `fine`, then the map for the neck.
        """
        if self.maps is None or maps is None:
            return kept
        return self._levels(image + self.maps(maps).to(image.dtype))

    def _levels(self, image: Tensor) -> tuple[Tensor, ...]:
        levels = self.backbone(image)
        height, width = (-(-side // self.stride) for side in image.shape[-2:])
        joined = image.new_zeros(1)
        for i, lateral in zip(self.coarse, self.laterals, strict=True):
            x = lateral(levels[i])
            if (scale := self.backbone.strides[i] // self.stride) > 1:
                # A coarse map reaches further than the image where its stride does not divide it.
                x = upsample(x, (scale * x.shape[-2], scale * x.shape[-1]))[..., :height, :width]
            joined = joined + x
        return (*(levels[i] for i in self.kept_levels), self.norm(joined))

    def modules_run_once(self) -> tuple[nn.Module, ...]:
        """Return the parts that `keep` runs and `finish` does not."""
        return (self,) if self.maps is None else ()
