"""Official checkpoints become weights files that a segmenter opens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import released_states as released
from napari_pvpu import Click, Segmenter, convert_releases
from napari_pvpu.convert_releases import RELEASES, convert_checkpoint
from napari_pvpu.errors import ModelNotFoundError, WeightsError
from napari_pvpu.model_files import sketch_network
from napari_pvpu.networks.models import PRESETS
from napari_pvpu.networks.released_weights import convert_released
from napari_pvpu.networks.weights import read_config, read_state

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig

VIT_B = {"size": 448, "width": 768, "depth": 12, "pyramid": (128, 256, 512, 1024), "head": 256}
SHAPES = {
    "interformer-light": released.interformer(
        512, 768, 12, 12, (32, 64, 128, 256), (8, 8, 4, 4), refine=(0, 0, 0, 0), head=64
    ),
    "interformer-tiny": released.interformer(
        512, 1024, 24, 16, (32, 64, 128, 256), (8, 8, 4, 4), refine=(1, 1, 4, 2), head=64
    ),
    "simpleclick-vit-b": released.simpleclick(**VIT_B, classes=1000),
    "pvpuformer-vit-b16": released.pvpuformer(**VIT_B, classes=1000, hidden=2048, mlp=1024),
}
SMALL_SHAPES = {
    "interformer-light": released.interformer(
        channels=(8, 8, 16, 16), ratios=(8, 8, 4, 4), refine=(0, 0, 0, 0)
    ),
    "interformer-tiny": released.interformer(channels=(8, 8, 16, 16), ratios=(8, 8, 4, 4)),
    "simpleclick-vit-b": released.simpleclick(),
    "pvpuformer-vit-b16": released.pvpuformer(),
}


def small(config: ModelConfig) -> ModelConfig:
    """The same network as small as the made-up checkpoints."""
    width = 16 if config.encoder.kind == "mae" else 32
    encoder = replace(
        config.encoder, width=width, depth=2, heads=2, window_size=2, global_blocks=(1,)
    )
    refine = (1, 1, 2, 1) if any(config.decoder.refine_blocks) else (0, 0, 0, 0)
    return replace(
        config,
        view_size=64,
        encoder=encoder,
        pyramid=(8, 8, 16, 16) if config.encoder.kind == "mae" else (4, 8, 8, 16),
        prompts=replace(config.prompts, hidden=24, slots=2),
        decoder=replace(
            config.decoder, heads=2, mlp_channels=20, pixel_channels=8, refine_blocks=refine
        ),
    )


@pytest.fixture(params=RELEASES)
def release(request, monkeypatch: pytest.MonkeyPatch) -> str:
    official = RELEASES[request.param]
    few = official._replace(config=small(official.config))
    monkeypatch.setitem(convert_releases.RELEASES, request.param, few)
    return str(request.param)


def checkpoint(path: Path, shapes: released.Shapes) -> Path:
    # Sizes as of real weights, so that masks are neither all nor nothing.
    source = {key: value / 10 for key, value in released.filled(shapes).items()}
    torch.save({"state_dict": source}, path)
    return path


@pytest.mark.parametrize("name", RELEASES)
def test_published_checkpoints_fit_their_presets(name: str) -> None:
    official = RELEASES[name]
    with torch.device("meta"):
        source = {key: torch.empty(shape) for key, shape in SHAPES[name].items()}
    target = sketch_network(official.config).state_dict()
    done = convert_released(official.names, source, target)
    assert all(key.startswith("score_head.") for key in done.not_released)


def test_releases_are_presets_and_pvpuformer_is_as_it_was_trained() -> None:
    for name, official in RELEASES.items():
        assert official.config.name == name
        assert (official.config == PRESETS[name]) == (name != "pvpuformer-vit-b16")
    prompts = RELEASES["pvpuformer-vit-b16"].config.prompts
    assert (prompts.rows_first, prompts.mask_empty_slots, prompts.gamma) == (True, False, 0.0)


@pytest.mark.parametrize("half", [False, True], ids=["full", "half"])
def test_a_segmenter_opens_what_was_converted(release: str, tmp_path: Path, half: bool) -> None:
    path = checkpoint(tmp_path / "released.pth", SMALL_SHAPES[release])
    out = tmp_path / "deep" / "mine.safetensors"
    done = convert_checkpoint(release, path, out, half=half)
    assert read_config(out) == RELEASES[release].config
    written = read_state(out)
    for name, value in done.state.items():
        expected = value.half() if half and value.is_floating_point() else value
        assert torch.equal(written[name], expected), name
    image = np.random.default_rng(0).integers(0, 255, (70, 80), np.uint8)
    session = Segmenter(out, "cpu").open(image)
    session.add(Click((30, 30)))
    assert session.mask[30, 30]
    assert np.isfinite(session.probability).all()


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path, monkeypatch) -> None:
    official = RELEASES["simpleclick-vit-b"]
    few = official._replace(config=small(official.config))
    monkeypatch.setitem(convert_releases.RELEASES, "simpleclick-vit-b", few)
    path = checkpoint(tmp_path / "released.pth", released.pvpuformer())
    out = tmp_path / "out.safetensors"
    with pytest.raises(WeightsError, match="does not fit the network as a release of SimpleClick"):
        convert_checkpoint("simpleclick-vit-b", path, out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "out", "error", "message"),
    [
        ("sam", "x.safetensors", ModelNotFoundError, "no release 'sam'; use interformer-light, "),
        ("simpleclick-vit-b", "x.pth", WeightsError, "as 'x.pth'; use a name in .safetensors"),
    ],
)
def test_what_is_refused_before_anything_is_read(
    tmp_path: Path, name: str, out: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        convert_checkpoint(name, tmp_path / "nowhere.pth", tmp_path / out)
