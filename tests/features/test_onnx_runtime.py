"""An exported network answers as the network itself does."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_pvpu.errors import ConfigError, DeviceError
from napari_pvpu.features.device_trial import Trial, compare
from napari_pvpu.features.encoder import ViewEncoder
from napari_pvpu.features.prompt_tensors import prompt_batch
from napari_pvpu.features.runners import TorchRunner
from napari_pvpu.networks.models import build_model
from napari_pvpu.networks.weights import load_model
from napari_pvpu.onnx_export import DECODER, DESCRIPTION, ENCODER, export_onnx
from napari_pvpu.prompts import Box, Click, Scribble

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from napari_pvpu.features.onnx_runtime import OnnxRunner

# The exporter takes half a minute of one core, whatever the size of the network.
pytestmark = pytest.mark.slow

SIZE = 64
PROMPTS = [
    Click((30.4, 20)),
    Click((3, 50), False),
    Box((5, 5), (40, 50)),
    Box((40, 40), (60, 60), False),
    Scribble(((5, 5), (30, 20), (60, 60))),
    Click((63, 63)),
]


@pytest.fixture(scope="module")
def network(weights):
    return load_model(weights)


@pytest.fixture(scope="module")
def both(network, exported):
    return TorchRunner(network, torch.device("cpu")), OnnxRunner(network, exported)


def views(count, seed=0):
    pixels = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    pixels[0, :, :9] = torch.nan
    return pixels


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_views_is_encoded_alike(both, count):
    with torch.inference_mode():
        one, two = (runner.encode(views(count)) for runner in both)
    for a, b in zip((*one.levels, *one[1:]), (*two.levels, *two[1:]), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


@pytest.mark.parametrize("before", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("count", [0, 1, 2, 6])
def test_any_number_of_prompts_is_answered_alike(both, count, before):
    generator = torch.Generator().manual_seed(count)
    previous = torch.rand(1, 1, SIZE, SIZE, generator=generator) if before else None
    prompts = prompt_batch(PROMPTS[:count])
    with torch.inference_mode():
        features = both[0].encode(views(1, count))
        one, two = (runner.decode(features, prompts, previous) for runner in both)
    for a, b in zip(one, two, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


def test_the_trial_is_answered_alike(both):
    found = compare(Trial(SIZE).ask(both[1]), Trial(SIZE).ask(both[0]))
    assert found.difference < 1e-3


def test_an_encoder_runs_on_the_files(weights, exported):
    pixels = views(1)[0].numpy()
    answers = []
    for runtime in ("torch", exported):
        encoder = ViewEncoder(weights, "cpu", runtime=runtime)
        first = encoder.decode(encoder.encode(pixels), PROMPTS[:2])
        previous = np.clip(first.logits, 0, 1)
        answers.append(encoder.decode(encoder.encode(pixels), PROMPTS[:3], previous).logits)
    assert answers[1] == pytest.approx(answers[0], abs=1e-3)
    assert not np.array_equal(answers[0], answers[1])  # it was another program that computed


def test_files_of_another_network_are_refused(network, exported, small_config):
    torch.manual_seed(4)
    with pytest.raises(ConfigError, match="holds another network"):
        OnnxRunner(build_model(small_config), exported)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (DESCRIPTION, None, "holds no exported network"),
        (DESCRIPTION, b"{", "holds no exported network"),
        (DESCRIPTION, b'{"format": "else"}', "is not of the format"),
        (DECODER, b"no model", "cannot be read"),
        (ENCODER, None, "cannot be read"),
    ],
    ids=["missing", "cut", "format", "decoder", "encoder"],
)
def test_damaged_files_are_refused(network, exported, tmp_path, name, content, said):
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        OnnxRunner(network, tmp_path)


def test_it_runs_on_the_cpu_only(weights, exported):
    with pytest.raises(DeviceError, match="ONNX Runtime is used on the CPU"):
        ViewEncoder(weights, "cuda", runtime=exported)


def test_the_description_says_what_goes_in(network, exported):
    about = json.loads((exported / DESCRIPTION).read_text("utf-8"))
    assert about["view_size"] == SIZE
    named = {*about["encoder"]["inputs"], *about["decoder"]["inputs"]} - set(about["level_shapes"])
    assert named <= set(about["use"])
    with torch.inference_mode():
        levels = network.encode(views(1)).levels
    assert list(about["level_shapes"].values()) == [list(level.shape) for level in levels]


def test_other_networks_are_refused(small_config, tmp_path):
    from dataclasses import replace

    decoder = replace(small_config.decoder, classifier="probabilistic")
    with pytest.raises(ConfigError, match="cannot be exported to ONNX"):
        export_onnx(build_model(replace(small_config, decoder=decoder)), tmp_path)
