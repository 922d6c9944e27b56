"""The network behind its numpy interface, with random weights."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from napari_pvpu.errors import DeviceError, ModelNotFoundError, WeightsError
from napari_pvpu.features.encoder import ViewEncoder
from napari_pvpu.networks.weights import load_model
from napari_pvpu.prompts import Box, Click, Scribble

SIZE = 64
CLICK = Click((30, 20))


@pytest.fixture
def encoder(weights):
    return ViewEncoder(weights, "cpu", cache_views=2)


def view(seed=0):
    pixels = np.random.default_rng(seed).random((3, SIZE, SIZE), np.float32)
    pixels[:, :9] = np.nan
    return pixels


def test_it_says_what_it_is(encoder):
    assert (encoder.view_size, encoder.device, encoder.model_name) == (SIZE, "cpu", "small")


def test_it_answers_as_the_network_does(encoder, weights):
    network = load_model(weights)
    pixels, previous = view(), np.random.default_rng(1).random((SIZE, SIZE), np.float32)
    raw = encoder.decode(encoder.encode(pixels), [CLICK], previous)
    from napari_pvpu.features.prompt_tensors import prompt_batch

    with torch.inference_mode():
        answer = network.decode(
            network.encode(torch.from_numpy(pixels)[None]),
            prompt_batch([CLICK]),
            torch.from_numpy(previous)[None, None],
            second_reading=True,
        )
    assert raw.logits.shape == (SIZE, SIZE)
    assert raw.logits.dtype == np.float32
    assert raw.logits == pytest.approx(answer.logits[0, 0].numpy(), abs=1e-4)
    assert raw.score == pytest.approx(float(answer.score[0]), abs=1e-4)
    assert 0 <= raw.score <= 1
    assert raw.propagated is None
    assert raw.em_ms == 0
    assert raw.decode_ms > 0


@pytest.mark.parametrize(
    "prompt",
    [
        Click((30, 20), False),
        Click((31, 40)),
        Box((5, 5), (40, 50)),
        Scribble([(5, 5), (30, 20), (60, 60)]),
    ],
    ids=["polarity", "place", "box", "scribble"],
)
def test_every_prompt_matters(encoder, prompt):
    features = encoder.encode(view())
    one = encoder.decode(features, [CLICK]).logits
    assert not np.allclose(one, encoder.decode(features, [CLICK, prompt]).logits, atol=1e-4)
    assert not np.allclose(one, encoder.decode(features, [prompt]).logits, atol=1e-4)


def test_the_previous_mask_matters(encoder):
    features = encoder.encode(view())
    one = encoder.decode(features, [CLICK]).logits
    fed = encoder.decode(features, [CLICK], np.ones((SIZE, SIZE), np.float32)).logits
    assert not np.allclose(one, fed, atol=1e-4)


def test_the_last_used_views_are_kept(encoder):
    for key in "ab":
        encoder.encode(view(), key)
    assert encoder.cached("a") is not None
    encoder.encode(view(), "c")
    assert encoder.cached("b") is None
    assert encoder.cached("a") is not None
    assert encoder.cached("c") is not None


def test_views_without_a_key_are_not_kept(encoder):
    encoder.encode(view(), "a")
    encoder.encode(view())
    encoder.encode(view())
    assert encoder.cached("a") is not None
    assert encoder.cached(None) is None


def test_threads_wait_for_each_other(encoder):
    features = [encoder.encode(view(seed)) for seed in range(4)]
    alone = [encoder.decode(each, [CLICK]).logits for each in features]
    together = [None] * 4

    def work(index):
        together[index] = encoder.decode(features[index], [CLICK]).logits

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_features_carry_no_gradients(encoder):
    assert not any(level.requires_grad for level in encoder.encode(view()).levels)


def test_unknown_models_are_refused():
    with pytest.raises(ModelNotFoundError, match="pvpu-nano"):
        ViewEncoder("pvpu-giant", "cpu")


def test_damaged_weights_are_refused(small_weights, tmp_path):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(small_weights.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"damaged\.safetensors"):
        ViewEncoder(damaged, "cpu")


def test_unknown_devices_are_refused(weights):
    with pytest.raises(DeviceError, match="no device 'abacus'"):
        ViewEncoder(weights, "abacus")


def test_it_leaves_torch_as_many_threads_as_it_had(encoder):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        encoder.decode(encoder.encode(view()), [CLICK])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
