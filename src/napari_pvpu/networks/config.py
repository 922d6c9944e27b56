"""The one description from which every network of this package is built."""

from __future__ import annotations

import types
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

EncoderKind = Literal["conv-stem-vit", "vit", "mae", "timm", "mit", "deeplabv3plus", "botnet"]
_NAMED = ("timm", "mit", "deeplabv3plus")


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The part that sees the image, once for each view.

    Attributes
    ----------
    kind : str
        ``"conv-stem-vit"``, the default model's; ``"vit"``, a plain ViT with windowed blocks;
        ``"mae"``, a plain ViT with relative positions and layer scale, as InterFormer's;
        ``"timm"``, any backbone of timm; ``"mit"``, SegFormer's; ``"deeplabv3plus"``, DeepLabV3+ on
        a backbone of timm; ``"botnet"``, a ResNet-50 whose last stage is probabilistic
        self-attention.
    name : str
        Name of a backbone, for ``"timm"``, ``"mit"`` and ``"deeplabv3plus"``.
    pretrained : bool
        Whether timm fetches its weights, which takes a connection to its model hub. Those of MAE,
        which ``"vit"`` takes, are for non-commercial use (CC BY-NC 4.0).
    frozen : bool
        Whether the encoder stays as it is while the rest is trained.
    stem, stage_channels, stage_depths : int, tuple of int, tuple of int
        For ``"conv-stem-vit"``: channels at stride 2; channels and blocks at strides 4 and 8.
    width, depth, heads, mlp_ratio : int, int, int, float
        Of the ViT.
    patch_size, window_size, global_blocks : int, int, tuple of int
        For ``"vit"``: side of a patch in pixels; side of attention windows in patches, 0 for
        none; blocks, counted from 0, that attend to everything all the same.
    key_adaptation, full_position : int, bool
        For ``"botnet"``: iterations of key adaptation; whether positions enter keys and values
        too and not queries alone.
    """

    kind: EncoderKind = "conv-stem-vit"
    name: str = ""
    pretrained: bool = False
    frozen: bool = False
    stem: int = 32
    stage_channels: tuple[int, ...] = (64, 128)
    stage_depths: tuple[int, ...] = (3, 4)
    width: int = 192
    depth: int = 6
    heads: int = 6
    mlp_ratio: float = 3.0
    patch_size: int = 16
    window_size: int = 0
    global_blocks: tuple[int, ...] = ()
    key_adaptation: int = 0
    full_position: bool = False


@dataclass(frozen=True, slots=True)
class PromptConfig:
    """How prompts enter the network.

    Attributes
    ----------
    tokens : bool
        Whether prompts become PPuE tokens; without, they are disks in the reference map alone.
    sigma, gamma, tau : float
        Width of a click's Gaussian in model pixels; weight and width of the visual term.
    hidden : int
        Hidden channels of the token MLP.
    slots : int
        Tokens of each polarity, for networks that have a fixed number of them; 0 for as many as
        there are prompts.
    disk_radius : float
        Radius in model pixels of what a click or stroke fixes in the reference map.
    line_width : int
        Width in model pixels of strokes and box outlines in ``"maps"``.
    fusion : str
        What of the prompts the encoder sees: ``"none"``, the ``"mask"`` before, or ``"maps"`` of
        clicks, boxes and strokes too. All but the first run the encoder at each interaction.
    mask_empty_slots, rows_first : bool
        Whether empty slots are kept out of everything; whether clicks have their vectors the other
        way round. Released weights of PVPUFormer expect False and True.
    """

    tokens: bool = True
    sigma: float = 2.0
    gamma: float = 0.5
    tau: float = 0.5
    hidden: int = 256
    slots: int = 0
    disk_radius: float = 2.0
    line_width: int = 3
    fusion: Literal["none", "mask", "maps"] = "none"
    mask_empty_slots: bool = True
    rows_first: bool = False


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The part that runs at each interaction.

    Attributes
    ----------
    kind : str
        ``"light"``, the default model's; ``"dma"``, PVPUFormer's; ``"imsa"``, InterFormer's;
        ``"simpleclick"``, SimpleClick's.
    depth, heads, mlp_channels : int
        Dual-cross blocks, their attention heads, and hidden channels of the prompts' MLP.
    neck_width, neck_stride : int
        Channels and stride of what merges with the prompts, for ``"dma"`` and encoders other than
        a plain ViT, whose own they are.
    pixel_channels : int
        Channels of pixel and prompt features.
    dropout : float
        Before the classifier, for all kinds but ``"light"``.
    coarse_blocks, refine_blocks : tuple of int
        Blocks of each stage, for ``"imsa"``.
    refine_from : int
        First interaction at which refine blocks see the region of interest alone, for
        ``"imsa"``; 0 for never.
    classifier : str
        ``"conv"``, or ``"probabilistic"`` for self-attention with values fixed under prompts.
    key_adaptation, key_prior, adapted_keys : int, float, str
        Iterations of key adaptation in the cross attentions, the precision of its prior
        (Probabilistic Attention, eq. 18), and whose keys adapt.
    """

    kind: Literal["light", "dma", "imsa", "simpleclick"] = "light"
    depth: int = 2
    heads: int = 4
    mlp_channels: int = 256
    neck_width: int = 256
    neck_stride: int = 16
    pixel_channels: int = 64
    dropout: float = 0.1
    coarse_blocks: tuple[int, ...] = (1, 1, 2, 1)
    refine_blocks: tuple[int, ...] = (0, 0, 0, 0)
    refine_from: int = 0
    classifier: Literal["conv", "probabilistic"] = "conv"
    key_adaptation: int = 0
    key_prior: float = 0.001
    adapted_keys: Literal["pixels", "prompts", "both"] = "pixels"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """All that is needed to build a network.

    Attributes
    ----------
    name : str
        The model's name.
    view_size : int
        Side ``S`` of the view in model pixels, a multiple of 16.
    encoder, prompts, decoder : EncoderConfig, PromptConfig, DecoderConfig
        Its parts.
    pyramid : tuple of int
        Channels of the kept features, finest first.
    """

    name: str = "pvpu-nano"
    view_size: int = 128
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    pyramid: tuple[int, ...] = (24, 64, 128, 128)
    prompts: PromptConfig = field(default_factory=PromptConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    def __post_init__(self) -> None:
        """Check what would otherwise fail deep inside the network."""
        if self.view_size < 32 or self.view_size % 16:
            raise ValueError(
                f"view_size has to be a multiple of 16 and at least 32, not {self.view_size}"
            )
        if self.encoder.kind in _NAMED and not self.encoder.name:
            raise ValueError(
                f"encoder.kind {self.encoder.kind!r} needs encoder.name, the backbone to build"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Build a config from what `to_dict` gave, or from a part of it.

        Raises
        ------
        ValueError
            If there is a field that the config does not have or a value of the wrong type; the
            message says where, and what is allowed.
        """
        return from_plain(cls, values)


def from_plain(kind: type[T], values: Any, where: str = "") -> T:
    """Build a dataclass from nested dicts and lists, and refuse what does not fit.

    Parameters
    ----------
    kind : type
        A dataclass of numbers, strings, bools, tuples, literals and other such dataclasses.
    values : dict
        Values for some or all of its fields.
    where : str
        Path of `values` in a larger whole, for messages, such as ``"encoder"``.

    Raises
    ------
    ValueError
        If a field is unknown or a value has the wrong type.

    Examples
    --------
    >>> from_plain(PromptConfig, {"sigma": 3}).sigma
    3.0
    """
    if not isinstance(values, dict):
        raise ValueError(
            f"{where or 'the config'} has to hold settings by name, not {values!r}; "
            f"settings are {_names(kind)}"
        )
    hints = get_type_hints(kind)
    checked = {}
    for name, value in values.items():
        path = f"{where}.{name}" if where else str(name)
        if name not in hints:
            raise ValueError(f"there is no setting {path!r}; allowed here are {_names(kind)}")
        checked[name] = _checked(hints[name], value, path)
    return kind(**checked)


def _names(kind: Any) -> str:
    return ", ".join(each.name for each in fields(kind))


def _checked(hint: Any, value: Any, path: str) -> Any:
    """Return a value as the type that a field wants."""
    origin = get_origin(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return from_plain(hint, value, path)
    if origin is Literal:
        if value in get_args(hint):
            return value
        raise ValueError(f"{path} is {value!r}; allowed are {', '.join(map(repr, get_args(hint)))}")
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        rest = [each for each in get_args(hint) if each is not type(None)]
        return _checked(rest[0], value, path)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{path} is {value!r}; give a list")
        item, *more = get_args(hint)
        items = [item] * len(value) if more == [Ellipsis] else [item, *more]
        if len(items) != len(value):
            raise ValueError(f"{path} is {value!r}; give {len(items)} values")
        return tuple(
            _checked(each, part, f"{path}[{i}]")
            for i, (each, part) in enumerate(zip(items, value, strict=True))
        )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError(f"{path} is {value!r}, which is no {hint.__name__}")
    return value
