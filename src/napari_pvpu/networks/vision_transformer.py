"""A plain vision transformer for dense features, with the parameter names of timm and MAE."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Parts of a timm or MAE checkpoint that dense features have no use for.
_NOT_NEEDED = ("cls_token", "reg_token", "head", "fc_norm", "norm", "mask_token", "decoder_")


class LoadReport(NamedTuple):
    """What became of the keys of a foreign state dict.

    Attributes
    ----------
    loaded : tuple of str
        Keys taken as they are.
    resized : tuple of str
        Keys taken after a change of size (the position embedding).
    dropped : tuple of str
        Keys that dense features do not need: class token, classifier, MAE's decoder.
    """

    loaded: tuple[str, ...]
    resized: tuple[str, ...]
    dropped: tuple[str, ...]


class PatchEmbed(nn.Module):
    """Cut an image into patches and embed each linearly.

    Parameters
    ----------
    channels, width : int
        Channels before and after.
    patch_size : int
        Side of a patch in pixels.
    """

    def __init__(self, channels: int, width: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(channels, width, patch_size, stride=patch_size)
        # As a linear layer over the pixels of a patch, which is what it is.
        nn.init.xavier_uniform_(self.proj.weight.view(width, -1))
        if self.proj.bias is not None:
            nn.init.zeros_(self.proj.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to ``(B, width, ceil(H / p), ceil(W / p))``."""
        return self.proj(pad_to_multiple(image, self.patch_size))


class VisionTransformer(nn.Module):
    """Plain ViT (MAE, SimpleClick, PVPUFormer) whose output is a feature map.

    Blocks attend within windows of ``window_size`` patches; those in `global_blocks` attend
    over the whole image. The blocks are timm's, so that weights of timm's ViTs load by name.
    There is no class token: the released networks of this family drop it for dense features.

    Parameters
    ----------
    width, depth, heads : int
        Channels, blocks and attention heads.
    patch_size : int
        Side of a patch in pixels.
    image_size : int
        Side in pixels of the images for which the position embedding is laid out. Others get
        a bicubically resized one.
    window_size : int, optional
        Side of an attention window in patches; None lets every block attend globally.
    global_blocks : sequence of int
        Indices, from 0, of the blocks that attend globally. Of no meaning without windows.
        Blocks 6 and 12 of 12, as in PVPUFormer, are ``(5, 11)``.
    mlp_ratio : float
        Hidden channels of the MLPs over `width`.
    in_channels : int
        Channels of the image.
    layer_scale : float, optional
        Initial value of learned scales of the residual branches; none by default.
    drop_path : float
        Rate of stochastic depth in the last block; it rises linearly from 0 in the first.
    final_norm : bool
        Whether a layer normalisation follows the last block (timm: yes; SimpleClick and
        PVPUFormer: no).

    Raises
    ------
    ValueError
        If heads do not divide the width, the patch does not divide the image size, or a global
        block does not exist.

    Notes
    -----
    Windows at the right and lower edge that stick out of the grid are filled up; what is filled
    in is masked. The released code knows only grids of whole windows, where both agree.
    """

    def __init__(
        self,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        patch_size: int = 16,
        image_size: int = 448,
        window_size: int | None = None,
        global_blocks: Sequence[int] = (),
        *,
        mlp_ratio: float = 4.0,
        in_channels: int = 3,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
        final_norm: bool = False,
    ) -> None:
        from timm.models.vision_transformer import Block

        super().__init__()
        _check(width, depth, heads, patch_size, image_size, window_size, global_blocks)
        self.width, self.patch_size = width, patch_size
        self.grid = image_size // patch_size
        self.window_size = window_size
        self.global_blocks = frozenset(global_blocks)
        self.patch_embed = PatchEmbed(in_channels, width, patch_size)
        self.pos_embed = nn.Parameter(torch.empty(1, self.grid**2, width))
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                mlp_ratio,
                qkv_bias=True,
                init_values=layer_scale,
                drop_path=drop_path * i / max(depth - 1, 1),
            )
            for i in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6) if final_norm else nn.Identity()
        nn.init.normal_(self.pos_embed, std=0.02)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def embed(self, image: Tensor) -> Tensor:
        """Return patch tokens before the position embedding, ``(B, width, h, w)``.

        Parameters
        ----------
        image : Tensor
            ``(B, in_channels, H, W)``; sides that the patch does not divide are padded with
            zeros on the right and below.
        """
        return self.patch_embed(image)

    def forward(self, image: Tensor, extra: Tensor | None = None) -> Tensor:
        """Encode images.

        Parameters
        ----------
        image : Tensor
            ``(B, in_channels, H, W)``, normalised; padded as for `embed`.
        extra : Tensor, optional
            ``(B, width, h, w)``, added to the patch tokens before the position embedding.

        Returns
        -------
        Tensor
            ``(B, width, h, w)`` with ``h = ceil(H / patch_size)``, likewise w.
        """
        return self.transform(self.embed(image), extra)

    def transform(self, patches: Tensor, extra: Tensor | None = None) -> Tensor:
        """Run what follows the patch embedding; parameters and result as for `forward`."""
        if extra is not None:
            patches = patches + extra
        x = patches.permute(0, 2, 3, 1)  # (B, h, w, C) from here on
        x = x + resize_positions(self.pos_embed, self.grid, x.shape[1:3])
        size = x.shape[:3]
        windows: Tensor | None = None
        # Consecutive windowed blocks share one partition.
        for index, block in enumerate(self.blocks):
            if self.window_size is None or index in self.global_blocks:
                if windows is not None:
                    x, windows = join_windows(windows, self.window_size or 1, size), None
                x = block(x.flatten(1, 2)).view(*size, -1)
            else:
                if windows is None:
                    windows = split_windows(x, self.window_size)
                    mask = _inside_windows(x, self.window_size)
                windows = block(windows, attn_mask=mask)
        if windows is not None:
            x = join_windows(windows, self.window_size or 1, size)
        return self.norm(x).permute(0, 3, 1, 2)

    def load_timm_state(self, state: Mapping[str, Tensor]) -> LoadReport:
        """Take the weights of a timm ViT or of an MAE encoder.

        Parameters
        ----------
        state : mapping of str to Tensor
            State dict of for example ``vit_base_patch16_224.mae``. Its position embedding is
            resized; class token, classifier and MAE decoder are left out.

        Returns
        -------
        LoadReport
            Where every key went.

        Raises
        ------
        ValueError
            If a key is missing, unknown or of another shape; the message names the first ten.
        """
        own = self.state_dict()
        loaded: dict[str, Tensor] = {}
        resized, dropped, wrong = [], [], []
        for key, value in state.items():
            if key == "pos_embed":
                loaded[key] = self._fit_positions(value)
                if loaded[key].shape != value.shape:
                    resized.append(key)
            elif key in own and own[key].shape == value.shape:
                loaded[key] = value
            elif key in own:
                wrong.append(f"{key} is {tuple(value.shape)}, not {tuple(own[key].shape)}")
            elif key.startswith(_NOT_NEEDED):
                dropped.append(key)
            else:
                wrong.append(f"{key} is unknown")
        wrong += [f"{key} is missing" for key in own if key not in state]
        if wrong:
            more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
            raise ValueError(
                "these weights are of another architecture: " + "; ".join(wrong[:10]) + more
            )
        self.load_state_dict(loaded)
        kept = tuple(key for key in loaded if key not in resized)
        return LoadReport(kept, tuple(resized), tuple(dropped))

    def load_pretrained(self, name: str = "vit_base_patch16_224.mae") -> LoadReport:
        """Fetch the weights of a timm ViT and take them.

        Parameters
        ----------
        name : str
            timm's name with the tag of the weights. Those of MAE are for non-commercial use
            (CC BY-NC 4.0).

        Raises
        ------
        ConnectionError
            If the weights cannot be fetched.
        ValueError
            If they are of another architecture.
        """
        import timm

        try:
            source = timm.create_model(name, pretrained=True, num_classes=0)
        except OSError as error:
            raise ConnectionError(
                f"the pretrained weights of timm's {name!r} could not be fetched ({error}); "
                "check the connection, or set pretrained to false"
            ) from error
        return self.load_timm_state(source.state_dict())

    def _fit_positions(self, positions: Tensor) -> Tensor:
        """Drop the class token's position and resize the grid."""
        side = math.isqrt(positions.shape[1])
        grid = positions[:, positions.shape[1] - side**2 :]
        resized = resize_positions(grid, side, (self.grid, self.grid))
        return resized.flatten(1, 2).to(positions.dtype)


def _check(
    width: int,
    depth: int,
    heads: int,
    patch_size: int,
    image_size: int,
    window_size: int | None,
    global_blocks: Sequence[int],
) -> None:
    if width % heads:
        raise ValueError(f"{heads} heads do not divide a width of {width}")
    if image_size < patch_size or image_size % patch_size:
        raise ValueError(
            f"image_size has to be a multiple of the patch size {patch_size}, not {image_size}"
        )
    if window_size is not None and window_size < 1:
        raise ValueError(f"window_size has to be at least 1 patch, not {window_size}")
    if missing := [i for i in global_blocks if not 0 <= i < depth]:
        raise ValueError(f"global_blocks {missing} do not exist; blocks are 0 to {depth - 1}")


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Pad ``(B, C, H, W)`` with zeros on the right and below to multiples of `multiple`."""
    bottom, right = -image.shape[-2] % multiple, -image.shape[-1] % multiple
    return F.pad(image, (0, right, 0, bottom)) if bottom or right else image


def resize_positions(positions: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """Resize a learned position embedding bicubically.

    Parameters
    ----------
    positions : Tensor
        ``(1, side * side, C)`` in row-major order.
    side : int
        Side of the grid it was laid out for.
    size : sequence of int
        Rows and columns wanted.

    Returns
    -------
    Tensor
        ``(1, *size, C)``.
    """
    grid = positions.unflatten(1, (side, side))
    if tuple(size) == (side, side):
        return grid
    grid = grid.permute(0, 3, 1, 2).float()
    # Not smoothed when it shrinks, as in SimpleClick.
    grid = F.interpolate(grid, size=tuple(size), mode="bicubic", align_corners=False)
    return grid.permute(0, 2, 3, 1).to(positions.dtype)


def split_windows(x: Tensor, side: int) -> Tensor:
    """Cut ``(B, h, w, C)`` into square windows, ``(B * windows, side * side, C)``.

    Windows are in row-major order; those at the right and lower edge are filled with zeros.
    """
    x = F.pad(x, (0, 0, 0, -x.shape[2] % side, 0, -x.shape[1] % side))
    x = x.unflatten(2, (-1, side)).unflatten(1, (-1, side))
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def join_windows(windows: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """Put windows back together; `size` is ``(B, h, w)`` of what `split_windows` was given."""
    batch, height, width = size
    rows, columns = -(-height // side), -(-width // side)
    x = windows.view(batch, rows, columns, side, side, -1).transpose(2, 3)
    x = x.reshape(batch, rows * side, columns * side, -1)
    return x[:, :height, :width].contiguous()


def _inside_windows(x: Tensor, side: int) -> Tensor | None:
    """Mask ``(B * windows, 1, 1, side * side)`` of the tokens that are not filling, if any."""
    if x.shape[1] % side == 0 and x.shape[2] % side == 0:
        return None
    inside = split_windows(torch.ones_like(x[..., :1]), side)
    return inside[..., 0].bool()[:, None, None]
