"""Any backbone of timm behind one face: an image in, feature maps at fixed strides out."""

from __future__ import annotations

import difflib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import upsample
from napari_pvpu.networks.mae_backbone import SimpleFeaturePyramid
from napari_pvpu.networks.vision_transformer import pad_to_multiple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Plain ViTs are brought to one token for this many pixels, whatever their patch.
_PLAIN_STRIDE = 16


class FeatureBackbone(nn.Module):
    """What `PVPUFormer` and others expect of a backbone.

    Attributes
    ----------
    strides : tuple of int
        Strides of the maps, finest first.
    channels : tuple of int
        Their channels.
    """

    strides: tuple[int, ...]
    channels: tuple[int, ...]

    @abstractmethod
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map ``(B, 3, H, W)``, normalised, to ``(B, C_i, ceil(H / s_i), ceil(W / s_i))``."""


class TimmBackbone(FeatureBackbone):
    """Any backbone of timm that gives feature maps.

    Hierarchical backbones give their own levels. Plain ViTs (DINO, MAE, SAM, CLIP and the like)
    give one, from which a simple pyramid is made where several are asked for.

    Parameters
    ----------
    name : str
        timm's name, with or without the tag of the weights.
    pretrained : bool
        Whether timm fetches its weights, which takes a connection to its model hub.
    frozen : bool
        Whether the backbone stays as it is, statistics of its normalisations included, while the
        rest trains. The simple pyramid of a plain ViT is new and trains all the same.
    out_strides : sequence of int
        Powers of two, finest first. A stride that the backbone does not have is made by
        max-pooling its coarsest map or by enlarging its finest.
    image_size : int, optional
        Side of the images to expect, for backbones that are laid out for one size; timm's own
        by default. Images of other sizes are resized for those, and their maps back.
    options : mapping of str to object, optional
        More settings for ``timm.create_model``, such as ``{"output_stride": 16}``.
    plain_channels : int
        Channels of the maps of a plain ViT's simple pyramid.

    Raises
    ------
    ValueError
        If timm knows no such backbone (the message names similar ones), if it gives no feature
        maps, or if the strides are no powers of two in rising order.
    ConnectionError
        If pretrained weights cannot be fetched.

    Notes
    -----
    Sides that the coarsest stride does not divide are padded with zeros on the right and below,
    and what the padding gives is cut off. A plain ViT sees the image resized by its patch size
    over 16, so that all of them have the same grid.
    """

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        frozen: bool = False,
        out_strides: Sequence[int] = (4, 8, 16, 32),
        *,
        image_size: int | None = None,
        options: Mapping[str, Any] | None = None,
        plain_channels: int = 256,
    ) -> None:
        super().__init__()
        strides = tuple(out_strides)
        if (
            not strides
            or list(strides) != sorted(set(strides))
            or any(s & (s - 1) for s in strides)
        ):
            raise ValueError(f"out_strides have to be rising powers of two, not {strides}")
        self.strides, self.frozen = strides, frozen
        layout = _Layout(name, image_size, dict(options or {}))
        self.plain, self.patch, self.build_size = layout.plain, layout.patch, layout.build_size
        self.native = layout.strides
        # Levels that nobody asks for are not even built.
        chosen = [-1] if layout.plain else layout.choose(strides)
        self.native = tuple(layout.strides[i] for i in chosen)
        channels = [layout.channels[i] for i in chosen]
        self.unit = max(_PLAIN_STRIDE if layout.plain else max(layout.strides), strides[-1])
        self.net = layout.create(pretrained, chosen)
        if frozen:
            self.net.requires_grad_(False)
        self.pyramid: nn.ModuleDict | None = None
        drawn = [s for s in strides if s in (4, 8, 16, 32)]
        if self.plain and drawn and strides != (_PLAIN_STRIDE,):
            whole = SimpleFeaturePyramid(channels[0], (plain_channels,) * 4).levels
            self.pyramid = nn.ModuleDict({str(s): whole[s.bit_length() - 3] for s in drawn})
            self.native, channels = tuple(drawn), [plain_channels] * len(drawn)
        elif self.plain:
            self.native = (_PLAIN_STRIDE,)
        width = dict(zip(self.native, channels, strict=True))
        self.channels = tuple(width[_nearest(s, self.native)] for s in strides)
        self.train(self.training)

    def train(self, mode: bool = True) -> TimmBackbone:
        """Switch to training or evaluation; what is frozen stays in evaluation."""
        super().train(mode)
        if self.frozen:
            self.net.eval()
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encode images; see `FeatureBackbone`."""
        padded = pad_to_multiple(image, self.unit)
        maps = self._run(padded)
        own = dict(zip(self.native, maps, strict=True))
        out = []
        for stride in self.strides:
            x = own[_nearest(stride, self.native)]
            size = (padded.shape[-2] // stride, padded.shape[-1] // stride)
            x = F.adaptive_max_pool2d(x, size) if x.shape[-1] > size[1] else _resized(x, size)
            out.append(x[..., : -(-image.shape[-2] // stride), : -(-image.shape[-1] // stride)])
        return tuple(out)

    def _run(self, padded: Tensor) -> list[Tensor]:
        """Maps at the native strides of the padded image."""
        grid = [(padded.shape[-2] // s, padded.shape[-1] // s) for s in self.native]
        coarse = (padded.shape[-2] // _PLAIN_STRIDE, padded.shape[-1] // _PLAIN_STRIDE)
        if self.build_size is not None:
            seen = _resized(padded, (self.build_size, self.build_size))
        elif self.plain:
            seen = _resized(padded, (coarse[0] * self.patch, coarse[1] * self.patch))
        else:
            seen = padded
        maps = [_channels_first(x, self.net) for x in self.net(seen)]
        if not self.plain:
            return [_resized(x, size) for x, size in zip(maps, grid, strict=True)]
        x = _resized(maps[-1], coarse)
        return [x] if self.pyramid is None else [level(x) for level in self.pyramid.values()]


class _Layout:
    """What a backbone of timm looks like, found out on the meta device without any weights."""

    def __init__(self, name: str, image_size: int | None, options: dict[str, Any]) -> None:
        import timm

        self.name, self.options = name, options
        if not timm.is_model(name.split(".")[0]):
            similar = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=5)
            raise ValueError(
                f"timm has no backbone {name!r}; similar ones are {', '.join(similar) or 'none'}"
            )
        probe = self._probe({})
        self.strides = tuple(probe.feature_info.reduction())
        self.channels = tuple(probe.feature_info.channels())
        self.plain = len(set(self.strides)) == 1
        self.patch = self.strides[-1]
        self.build_size: int | None = None
        config = timm.get_pretrained_cfg(name)
        if config is not None and config.fixed_input_size:
            self._settle_size(image_size, config.input_size[-1])

    def _probe(self, more: dict[str, Any]) -> Any:
        import timm

        try:
            with torch.device("meta"):
                return timm.create_model(self.name, features_only=True, **self.options, **more)
        except (AttributeError, AssertionError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"timm's {self.name!r} gives no feature maps: {error}") from error

    def _settle_size(self, wanted: int | None, default: int) -> None:
        """Make the backbone take any size if it can, else the size that is expected."""
        if self.plain:
            try:
                self._probe({"dynamic_img_size": True})
                self.options = {**self.options, "dynamic_img_size": True}
                return
            except TypeError:
                pass
        self.build_size = default
        if wanted is not None:
            unit = _PLAIN_STRIDE if self.plain else max(*self.strides, 32)
            size = -(-wanted // unit) * (self.patch if self.plain else unit)
            try:
                self._probe({"img_size": size})(torch.empty(1, 3, size, size, device="meta"))
            except (TypeError, ValueError, AssertionError, RuntimeError):
                return  # it knows one size only
            self.build_size = size
            self.options = {**self.options, "img_size": size}

    def choose(self, strides: Sequence[int]) -> list[int]:
        """Return the indices of the levels that serve these strides, finest first."""
        # Of several levels at one stride the last has seen most.
        last = {stride: i for i, stride in enumerate(self.strides)}
        return sorted({last[_nearest(s, tuple(last))] for s in strides})

    def create(self, pretrained: bool, levels: Sequence[int]) -> nn.Module:
        import timm

        indices = [range(len(self.strides))[i] for i in levels]
        if self.plain:
            indices = list(levels)
        try:
            return timm.create_model(
                self.name,
                pretrained=pretrained,
                features_only=True,
                out_indices=indices,
                **self.options,
            )
        except OSError as error:
            raise ConnectionError(
                f"the pretrained weights of timm's {self.name!r} could not be fetched ({error}); "
                "check the connection, or set pretrained to false"
            ) from error


def _nearest(stride: int, known: Sequence[int]) -> int:
    """Return the stride itself, else the nearest known one, the finer of two."""
    return min(known, key=lambda s: (abs(s.bit_length() - stride.bit_length()), s))


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if tuple(x.shape[-2:]) == size else upsample(x, size)


def _channels_first(x: Tensor, net: nn.Module) -> Tensor:
    """Bring maps of backbones that keep channels last, as Swin does, to ``(B, C, H, W)``."""
    last = str(getattr(net, "output_fmt", "")).endswith("NHWC")
    return x.permute(0, 3, 1, 2) if last else x
