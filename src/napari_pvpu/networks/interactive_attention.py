"""Interactive multi-head self-attention (I-MSA): the light network that InterFormer runs per click.

InterFormer (arXiv 2304.02942) keeps four maps of an image and lets the reference map of the
prompts travel down a pyramid of pooling attention beside them. Queries are all positions of a
stage, keys and values a few hundred pooled ones, so that the cost grows with the number of pixels
and no faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_pvpu.networks.blocks import ChannelNorm
from napari_pvpu.networks.pooling_attention import PatchMerging, PoolingBlock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.networks.regions import Region

STRIDES = (4, 8, 16, 32)


class InteractiveStage(nn.Module):
    """One stride of I-MSA: coarse blocks, refine blocks, and the way down to the next stride.

    Parameters
    ----------
    coarse, refine : sequence of PoolingBlock
        What runs on the whole map and goes on to the next stage; what runs on the result, or on a
        region of it, and goes out.
    channels : int
        Channels of the stage.
    merging : PatchMerging, optional
        To the next stage; None in the last.
    """

    def __init__(
        self,
        coarse: Sequence[PoolingBlock],
        refine: Sequence[PoolingBlock],
        channels: int,
        merging: PatchMerging | None,
    ) -> None:
        super().__init__()
        self.coarse = nn.ModuleList(coarse)
        self.refine = nn.ModuleList(refine)
        self.merging = merging
        self.norm = ChannelNorm(channels)

    def forward(
        self, x: Tensor, kept: Tensor, regions: Sequence[Region | None] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the stage.

        Parameters
        ----------
        x : Tensor
            ``(B, C, H, W)`` from the stage before.
        kept : Tensor
            ``(B, C, H, W)``, the image's own map at this stride: keys and values of the first
            block.
        regions : sequence of Region or None, optional
            Part of each sample's map, in its cells, that the refine blocks see; None for all.

        Returns
        -------
        following, out : Tensor
            What the next stage starts from (the map itself in the last stage), and the refined,
            normalised map.
        """
        for i, block in enumerate(self.coarse):
            x = block(x, kept if i == 0 else None)
        following = x if self.merging is None else self.merging(x)
        return following, self.norm(self._refined(x, regions))

    def _refined(self, x: Tensor, regions: Sequence[Region | None] | None) -> Tensor:
        if regions is None or all(region is None for region in regions) or not len(self.refine):
            return self._refine(x)
        return torch.cat(
            [
                self._refine(sample) if region is None else self._refine_region(sample, region)
                for sample, region in zip(x.split(1), regions, strict=True)
            ]
        )

    def _refine(self, x: Tensor) -> Tensor:
        for block in self.refine:
            x = block(x)
        return x

    def _refine_region(self, x: Tensor, region: Region) -> Tensor:
        """Crop the features, refine them, paste them back."""
        rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
        out = x.clone()
        out[..., rows, columns] = self._refine(x[..., rows, columns]).to(out.dtype)
        return out


class InteractiveAttention(nn.Module):
    """I-MSA: four stages at strides 4, 8, 16 and 32.

    Parameters
    ----------
    channels, heads, mlp_ratios : tuple of int
        Of each stage.
    coarse, refine : tuple of int
        Blocks of each stage that run on the whole map, and of those that may run on a region.
    pool_ratios : tuple of tuple of int
        Of each stage.
    image_size : int
        Side of the image that the pools are laid out for.
    drop_path : float
        Chance of skipping a branch in the last block; it rises from zero, over all blocks.

    Notes
    -----
    Source: InterFormer, section on I-MSA. Light has one coarse block a stage, two at stride 16,
    and nothing to refine; Tiny has 1, 1, 2, 1 coarse and 1, 1, 4, 2 refine blocks.
    """

    def __init__(
        self,
        channels: tuple[int, ...] = (32, 64, 128, 256),
        heads: tuple[int, ...] = (1, 2, 4, 8),
        mlp_ratios: tuple[int, ...] = (8, 8, 4, 4),
        coarse: tuple[int, ...] = (1, 1, 2, 1),
        refine: tuple[int, ...] = (0, 0, 0, 0),
        pool_ratios: tuple[tuple[int, ...], ...] = (
            (12, 16, 20, 24),
            (6, 8, 10, 12),
            (3, 4, 5, 6),
            (1, 2, 3, 4),
        ),
        image_size: int = 512,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        count = sum(coarse) + sum(refine)
        drops = iter(torch.linspace(0, drop_path, count, device="cpu").tolist())
        self.stages = nn.ModuleList()
        for i, width in enumerate(channels):

            def block(i: int = i, width: int = width) -> PoolingBlock:
                target = image_size // STRIDES[i]
                return PoolingBlock(
                    width, heads[i], target, pool_ratios[i], mlp_ratios[i], next(drops)
                )

            first = [block() for _ in range(coarse[i])]
            second = [block() for _ in range(refine[i])]
            last = i == len(channels) - 1
            merging = None if last else PatchMerging(width, channels[i + 1])
            self.stages.append(InteractiveStage(first, second, width, merging))

    def forward(
        self,
        levels: Sequence[Tensor],
        reference: Tensor,
        regions: Sequence[Region | None] | None = None,
    ) -> list[Tensor]:
        """Bring the reference map of the prompts and the maps of the image together.

        Parameters
        ----------
        levels : sequence of Tensor
            ``(B, C_i, S / stride_i, S / stride_i)`` at strides 4, 8, 16, 32.
        reference : Tensor
            ``(B, C_0, S / 4, S / 4)``, embedded reference map.
        regions : sequence of Region or None, optional
            Part of each view, in its pixels, that the refine blocks see; None for all of it.

        Returns
        -------
        list of Tensor
            Maps of the shapes of `levels`.
        """
        x, outputs = levels[0] + reference, []
        for stage, stride, kept in zip(self.stages, STRIDES, levels, strict=True):
            here = regions and [None if r is None else r.at(stride) for r in regions]
            x, out = stage(x, kept, here)
            outputs.append(out)
        return outputs
