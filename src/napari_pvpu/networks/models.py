"""Presets, and what builds a network from a config.

Networks other than the default one are imported when they are built, for they take timm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pvpu.networks.config import DecoderConfig, EncoderConfig, ModelConfig, PromptConfig
from napari_pvpu.networks.pvpu_net import LevelsOf, PVPUNet, conv_stem_vit

if TYPE_CHECKING:
    from napari_pvpu.networks.feature_pyramid_backbones import FeatureBackbone
    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["PRESETS", "ModelConfig", "PVPUNet", "build_model"]

_VIT_B = EncoderConfig(
    kind="vit",
    width=768,
    depth=12,
    heads=12,
    mlp_ratio=4.0,
    window_size=14,
    global_blocks=(5, 11),
)
_PVPUFORMER_PROMPTS = PromptConfig(sigma=3.0, hidden=2048, slots=24, disk_radius=5.0, fusion="maps")
_PVPUFORMER_DECODER = DecoderConfig(
    kind="dma", depth=3, heads=8, mlp_channels=1024, pixel_channels=256
)


def _pvpuformer(name: str, encoder: EncoderConfig, neck_stride: int = 16) -> ModelConfig:
    """PVPUFormer with one of the smaller backbones."""
    decoder = DecoderConfig(
        kind="dma",
        depth=3,
        heads=8,
        mlp_channels=1024,
        pixel_channels=256,
        neck_stride=neck_stride,
    )
    return ModelConfig(name, 256, encoder, (64, 128, 256, 512), _PVPUFORMER_PROMPTS, decoder)


def _interformer(name: str, encoder: EncoderConfig, refine: tuple[int, ...]) -> ModelConfig:
    return ModelConfig(
        name,
        512,
        encoder,
        (32, 64, 128, 256),
        PromptConfig(tokens=False, disk_radius=5.0),
        DecoderConfig(kind="imsa", refine_blocks=refine),
    )


_ALL = (
    ModelConfig(),
    ModelConfig(
        "pvpu-small",
        160,
        EncoderConfig(
            stem=48, stage_channels=(96, 192), stage_depths=(3, 5), width=320, depth=8, heads=8
        ),
        (32, 96, 192, 192),
        PromptConfig(sigma=2.5, hidden=384),
        DecoderConfig(depth=3, heads=6, pixel_channels=96),
    ),
    ModelConfig(
        "pvpuformer-vit-b16",
        448,
        _VIT_B,
        (128, 256, 512, 1024),
        _PVPUFORMER_PROMPTS,
        _PVPUFORMER_DECODER,
    ),
    _pvpuformer("pvpuformer-segformer-b0", EncoderConfig(kind="mit", name="mit_b0"), 8),
    _pvpuformer("pvpuformer-hrnet18s", EncoderConfig(kind="timm", name="hrnet_w18_small_v2")),
    _pvpuformer(
        "pvpuformer-deeplabv3plus-r50", EncoderConfig(kind="deeplabv3plus", name="resnet50")
    ),
    _pvpuformer(
        "pvpuformer-botnet50", EncoderConfig(kind="botnet", key_adaptation=1, full_position=True)
    ),
    _interformer(
        "interformer-light",
        EncoderConfig(kind="mae", width=768, depth=12, heads=12, mlp_ratio=4.0),
        (0, 0, 0, 0),
    ),
    _interformer(
        "interformer-tiny",
        EncoderConfig(kind="mae", width=1024, depth=24, heads=16, mlp_ratio=4.0),
        (1, 1, 4, 2),
    ),
    ModelConfig(
        "simpleclick-vit-b",
        448,
        _VIT_B,
        (128, 256, 512, 1024),
        PromptConfig(tokens=False, disk_radius=5.0, fusion="maps"),
        DecoderConfig(kind="simpleclick", pixel_channels=256),
    ),
)

PRESETS: dict[str, ModelConfig] = {config.name: config for config in _ALL}


def build_model(model: str | ModelConfig) -> PromptableNetwork:
    """Build a network with random weights, but for an encoder that the config calls pretrained.

    Parameters
    ----------
    model : str or ModelConfig
        A preset's name or a config.

    Returns
    -------
    PromptableNetwork
        In training mode, on the CPU; its `config` is the one given.

    Raises
    ------
    KeyError
        If there is no preset of that name; the message lists those that exist.
    ValueError, ImportError, ConnectionError
        If the encoder is unknown, needs a package that is not there, or cannot be fetched.

    Examples
    --------
    >>> build_model("pvpu-nano").config.view_size
    128
    """
    if isinstance(model, str):
        if model not in PRESETS:
            raise KeyError(f"there is no preset {model!r}; presets are {sorted(PRESETS)}")
        model = PRESETS[model]
    _check(model)
    builders = {
        "light": _build_light,
        "dma": _build_dma,
        "imsa": _build_imsa,
        "simpleclick": _build_simpleclick,
    }
    network = builders[model.decoder.kind](model)
    network.config = model
    return network


def _check(config: ModelConfig) -> None:
    """Refuse settings that a kind of decoder would pass over in silence."""
    prompts, decoder = config.prompts, config.decoder
    without: dict[str, list[tuple[str, object, object]]] = {
        "light": [("prompts.fusion", prompts.fusion, "none")],
        "dma": [("prompts.tokens", prompts.tokens, True)],
        "imsa": [
            ("prompts.fusion", prompts.fusion, "none"),
            ("decoder.classifier", decoder.classifier, "conv"),
            ("decoder.key_adaptation", decoder.key_adaptation, 0),
        ],
        "simpleclick": [
            ("encoder.kind", config.encoder.kind, "vit"),
            ("encoder.patch_size", config.encoder.patch_size, 16),
            ("prompts.tokens", prompts.tokens, False),
            ("prompts.fusion", prompts.fusion, "maps"),
            ("decoder.classifier", decoder.classifier, "conv"),
            ("decoder.key_adaptation", decoder.key_adaptation, 0),
        ],
    }
    for name, value, only in without[decoder.kind]:
        if value != only:
            raise ValueError(
                f"{name} {value!r} does not go with decoder.kind {decoder.kind!r}, which knows "
                f"{only!r} alone"
            )


def _build_light(config: ModelConfig) -> PromptableNetwork:
    if config.encoder.kind == "conv-stem-vit":
        return PVPUNet(config)
    return PVPUNet(config, LevelsOf(_backbone(config, (2, 4, 8, 16))))


def _build_dma(config: ModelConfig) -> PromptableNetwork:
    from napari_pvpu.networks.pvpuformer import PVPUFormer
    from napari_pvpu.networks.pvpuformer_config import PVPUFormerConfig

    encoder, prompts, decoder = config.encoder, config.prompts, config.decoder
    if encoder.kind in ("conv-stem-vit", "mae"):
        raise ValueError(
            f"encoder.kind {encoder.kind!r} does not go with decoder.kind 'dma'; use 'vit', "
            "'timm', 'mit', 'deeplabv3plus' or 'botnet'"
        )
    names = {"vit": "vit", "deeplabv3plus": f"deeplabv3plus-{encoder.name}"}
    settings = PVPUFormerConfig(
        name=config.name,
        view_size=config.view_size,
        backbone=names.get(encoder.kind, encoder.name),
        pretrained=encoder.pretrained,
        frozen=encoder.frozen,
        vit_width=encoder.width,
        vit_depth=encoder.depth,
        vit_heads=encoder.heads,
        patch_size=encoder.patch_size,
        window_size=encoder.window_size,
        global_blocks=encoder.global_blocks,
        neck_width=decoder.neck_width,
        neck_stride=decoder.neck_stride,
        pyramid=_four(config.pyramid),
        merging_depth=decoder.depth,
        merging_heads=decoder.heads,
        merging_mlp=decoder.mlp_channels,
        pixel_dim=decoder.pixel_channels,
        dropout=decoder.dropout,
        slots=prompts.slots,
        slot_hidden=prompts.hidden,
        mask_empty_slots=prompts.mask_empty_slots,
        rows_first=prompts.rows_first,
        ppue_sigma=prompts.sigma,
        ppue_gamma=prompts.gamma,
        ppue_tau=prompts.tau,
        fusion=prompts.fusion,
        disk_radius=prompts.disk_radius,
        line_width=prompts.line_width,
        probabilistic=decoder.classifier == "probabilistic",
        key_adaptation=decoder.key_adaptation,
        key_prior=decoder.key_prior,
        adapted_keys=decoder.adapted_keys,
    )
    stride = decoder.neck_stride
    strides = (stride // 4, stride // 2, stride, 2 * stride)
    return PVPUFormer(settings, _backbone(config, strides) if encoder.kind == "botnet" else None)


def _build_imsa(config: ModelConfig) -> PromptableNetwork:
    from napari_pvpu.networks.interformer import InterFormer
    from napari_pvpu.networks.interformer_config import InterFormerConfig

    encoder, decoder = config.encoder, config.decoder
    settings = InterFormerConfig(
        name=config.name,
        view_size=config.view_size,
        vit_width=encoder.width,
        vit_depth=encoder.depth,
        vit_heads=encoder.heads,
        vit_mlp_ratio=encoder.mlp_ratio,
        channels=_four(config.pyramid),
        coarse=_four(decoder.coarse_blocks),
        refine=_four(decoder.refine_blocks),
        head_channels=decoder.pixel_channels,
        dropout=decoder.dropout,
        click_radius=config.prompts.disk_radius,
        zoom_from=decoder.refine_from,
    )
    backbone = None if encoder.kind == "mae" else _backbone(config, (4, 8, 16, 32))
    network = InterFormer(settings, backbone)
    if encoder.frozen and backbone is None:
        network.encoder.requires_grad_(False)
    return network


def _build_simpleclick(config: ModelConfig) -> PromptableNetwork:
    from napari_pvpu.networks.simpleclick import SimpleClick, SimpleClickConfig

    encoder, prompts, decoder = config.encoder, config.prompts, config.decoder
    settings = SimpleClickConfig(
        name=config.name,
        view_size=config.view_size,
        vit_width=encoder.width,
        vit_depth=encoder.depth,
        vit_heads=encoder.heads,
        window_size=encoder.window_size,
        global_blocks=encoder.global_blocks,
        pyramid=_four(config.pyramid),
        pixel_dim=decoder.pixel_channels,
        dropout=decoder.dropout,
        disk_radius=prompts.disk_radius,
        line_width=prompts.line_width,
    )
    network = SimpleClick(settings)
    if encoder.pretrained:
        network.trunk.vit.load_pretrained()
    network.trunk.vit.requires_grad_(not encoder.frozen)
    return network


def _backbone(config: ModelConfig, strides: tuple[int, ...]) -> FeatureBackbone:
    """Build an encoder that gives feature maps, for networks that take any."""
    from napari_pvpu.networks.botnet import BoTNet50
    from napari_pvpu.networks.conv_stem_backbone import ConvStemBackbone
    from napari_pvpu.networks.feature_pyramid_backbones import TimmBackbone
    from napari_pvpu.networks.segmentation_backbones import MixTransformer

    encoder = config.encoder
    if encoder.kind == "conv-stem-vit":
        return ConvStemBackbone(conv_stem_vit(config), strides)
    if encoder.kind == "timm":
        return TimmBackbone(
            encoder.name,
            encoder.pretrained,
            encoder.frozen,
            strides,
            image_size=config.view_size,
        )
    if encoder.kind == "mit":
        return MixTransformer(encoder.name, encoder.pretrained, frozen=encoder.frozen)
    if encoder.kind == "botnet":
        return BoTNet50(
            encoder.key_adaptation,
            encoder.full_position,
            pretrained=encoder.pretrained,
            frozen=encoder.frozen,
        )
    raise ValueError(
        f"encoder.kind {encoder.kind!r} does not go with decoder.kind {config.decoder.kind!r}; "
        "use 'timm', 'mit' or 'botnet', or the kind of a preset with that decoder"
    )


def _four(values: tuple[int, ...]) -> tuple[int, int, int, int]:
    if len(values) != 4:
        raise ValueError(f"there are four levels; give four values, not {values}")
    one, two, three, four = values
    return one, two, three, four
