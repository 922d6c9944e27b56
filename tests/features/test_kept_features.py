"""Features through the store: the same numbers, the same masks, and no encoder."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_pvpu.features.encoder import ViewEncoder
from napari_pvpu.features.kept_features import FeatureKeeper, rounded
from napari_pvpu.features.store import FeatureStore
from napari_pvpu.features.store_files import stored_files
from napari_pvpu.networks.models import build_model
from napari_pvpu.networks.weights import save_weights
from napari_pvpu.prompts import Box, Click
from napari_pvpu.segmenter import Segmenter
from small_presets import made_up_scene, small_preset

SIZE = 64
CLICK = Click((30, 20))


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "store")


def view(seed=0):
    pixels = np.random.default_rng(seed).random((3, SIZE, SIZE), np.float32)
    pixels[:, :9] = np.nan
    return pixels


def no_encoder(monkeypatch, encoder):
    def fail(pixels):
        raise AssertionError("the encoder ran")

    monkeypatch.setattr(encoder._runner, "encode", fail)


def alike(one, two):
    pairs = zip((*one.levels, *one[1:]), (*two.levels, *two[1:]), strict=True)
    return all(torch.equal(a, b) and a.stride() == b.stride() for a, b in pairs)


def test_another_encoder_finds_the_very_same_features(weights, store, monkeypatch):
    first = ViewEncoder(weights, "cpu", store=store)
    features = first.encode(view())
    second = ViewEncoder(weights, "cpu", store=FeatureStore(store.folder))
    no_encoder(monkeypatch, second)
    found = second.encode(view())
    assert alike(features, found)
    one, two = (e.decode(f, [CLICK]) for e, f in ((first, features), (second, found)))
    assert np.array_equal(one.logits, two.logits)


def test_what_is_kept_is_what_was_computed_but_for_rounding(weights, store):
    kept = ViewEncoder(weights, "cpu", store=store).encode(view())
    exact = ViewEncoder(weights, "cpu").encode(view())
    for one, other in zip(kept.levels, exact.levels, strict=True):
        assert not torch.equal(one, other)
        assert torch.allclose(one, other, rtol=2**-11, atol=2**-24)
    assert torch.equal(kept.image, exact.image)
    assert torch.equal(kept.inside, exact.inside)


def test_answers_do_not_depend_on_whether_there_is_a_store(weights, store):
    kept = ViewEncoder(weights, "cpu", store=store)
    without = ViewEncoder(weights, "cpu", rounded=True)
    assert alike(kept.encode(view()), without.encode(view()))
    assert (kept.kept_precision, without.kept_precision) == ("float16", "float16")
    assert ViewEncoder(weights, "cpu").kept_precision == "float32"


def test_files_are_smaller_than_float16_makes_them(weights, store):
    features = ViewEncoder(weights, "cpu", store=store).encode(view())
    (file,) = stored_files(store.folder)
    assert file.size < 1.8 * sum(level.numel() for level in features.levels) + 2000


def test_other_weights_and_other_precisions_find_nothing(weights, store, small_config, tmp_path):
    torch.manual_seed(4)
    other = tmp_path / "other.safetensors"
    save_weights(build_model(small_config), other)
    encoder = ViewEncoder(weights, "cpu", store=store)
    assert encoder.embed(view())
    assert not encoder.embed(view())
    assert encoder.embed(view(1))
    assert ViewEncoder(other, "cpu", store=store).embed(view())
    half = ViewEncoder(weights, "cpu", precision="bf16", store=store)
    if half.precision == "bf16":
        assert half.embed(view())


def test_a_damaged_file_is_encoded_again(weights, store):
    encoder = ViewEncoder(weights, "cpu", store=store)
    features = encoder.encode(view())
    (file,) = stored_files(store.folder)
    file.path.write_bytes(file.path.read_bytes()[:-7])
    assert alike(encoder.encode(view()), features)
    assert not encoder.embed(view())


def test_a_store_that_cannot_be_written_costs_no_answer(weights, tmp_path):
    (tmp_path / "taken").write_text("mine")
    encoder = ViewEncoder(weights, "cpu", store=FeatureStore(tmp_path / "taken"))
    without = ViewEncoder(weights, "cpu", rounded=True)
    assert alike(encoder.encode(view()), without.encode(view()))
    assert "cannot be kept" in encoder.store.trouble


def test_numbers_too_large_for_float16_stay_as_they_are():
    level = torch.tensor([[[[1.0, 1e6]]]])
    assert torch.equal(rounded(level), level)
    small = torch.tensor([[[[0.1, -60_000.0, float("inf")]]]])
    assert torch.equal(rounded(small), small.half().float())


@pytest.mark.parametrize("name", ["simpleclick-vit-b", "interformer-light"])
def test_other_networks_are_kept_too(name, store):
    torch.manual_seed(0)
    network = build_model(small_preset(name)).eval()
    keeper = FeatureKeeper(store, "weights", network)
    with torch.inference_mode():
        features = network.encode(torch.from_numpy(view())[None])
        kept = keeper.keep(view(), features, network, "float32")
        found = keeper.recall(view(), network, "float32")
    assert found is not None
    assert alike(found, kept)


def test_networks_that_do_nothing_ahead_have_nothing_to_keep(store):
    torch.manual_seed(0)
    network = build_model(small_preset("pvpuformer-segformer-b0")).eval()
    keeper = FeatureKeeper(store, "weights", network)
    with torch.inference_mode():
        features = network.encode(torch.from_numpy(view())[None])
        assert features.levels == ()
        assert alike(keeper.keep(view(), features, network, "float32"), features)
    assert not list(stored_files(store.folder))


USE = """
import json, sys
import numpy as np
from napari_pvpu import Box, Click, Segmenter
from napari_pvpu.features.runners import SafeRunner

image, weights, out, encoder = sys.argv[1:]
if encoder == "off":
    def fail(self, views):
        raise AssertionError("the encoder ran")
    SafeRunner.encode = fail
session = Segmenter(weights, "cpu").open(np.load(image))
sure = []
box = Box((56, 12), (80, 44))
for prompts in ([Click((26, 26)), Click((5, 60), False)], [box, Click((70, 70))]):
    for prompt in prompts:
        session.add(prompt)
    sure += [bool(session.mask[int(p.position[0]), int(p.position[1])]) == p.positive
             for p in prompts if isinstance(p, Click)]
    session.accept(overlap="overwrite")
np.save(out, session.labels)
print(json.dumps(sure))
"""


def test_a_second_process_never_runs_the_encoder_and_gets_the_same_labels(weights, tmp_path):
    np.save(tmp_path / "image.npy", made_up_scene()[0])
    environment = os.environ | {"NAPARI_PVPU_CACHE": str(tmp_path / "store")}
    labels = []
    for encoder in ("on", "off"):
        out = tmp_path / f"{encoder}.npy"
        done = subprocess.run(
            [sys.executable, "-c", USE, tmp_path / "image.npy", weights, out, encoder],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [True, True, True]
        labels.append(np.load(out))
    assert np.array_equal(*labels)
    assert set(np.unique(labels[0])) >= {1, 2}
    assert list(stored_files(tmp_path / "store"))


@pytest.mark.parametrize("em", [False, True])
def test_clicked_pixels_obey_with_features_from_the_store(weights, store, em):
    image = made_up_scene()[0]
    masks = []
    for _ in range(2):
        session = Segmenter(weights, "cpu", store=store.folder).open(image)
        session.value_propagation = em
        for position, positive in (((26, 26), True), ((28, 30), False), ((70, 30), True)):
            session.add(Click(position, positive))
            assert session.mask[position] == positive
        masks.append(session.mask.copy())
    assert np.array_equal(*masks)
    exact = Segmenter(weights, "cpu", store=False).open(image)
    exact.value_propagation = em
    exact.add(Box((20, 20), (40, 40)))
    near = Segmenter(weights, "cpu", store=store.folder).open(image)
    near.value_propagation = em
    near.add(Box((20, 20), (40, 40)))
    assert np.abs(exact.probability - near.probability).max() < 0.02


def test_segmenters_say_where_they_keep_features(weights, tmp_path):
    kept = Segmenter(weights, "cpu", store=tmp_path)
    assert kept.store.folder == tmp_path
    assert kept.kept_precision == "float16"
    off = Segmenter(weights, "cpu")  # by the environment of all tests
    assert off.store is None
    assert off.kept_precision == "float16"
    never = Segmenter(weights, "cpu", store=False)
    assert never.store is None
    assert never.kept_precision == "float32"
