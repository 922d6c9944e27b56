"""What is done when a device fails. The devices are made up: they compute on the CPU."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from napari_pvpu.errors import DeviceError, DeviceWarning
from napari_pvpu.features import encoder as encoder_module
from napari_pvpu.features import runners as runners_module
from napari_pvpu.features.device_trial import Trial
from napari_pvpu.features.encoder import ViewEncoder
from napari_pvpu.features.prompt_tensors import reads_twice
from napari_pvpu.features.runners import SafeRunner, TorchRunner
from napari_pvpu.networks.models import build_model
from napari_pvpu.networks.weights import save_weights
from napari_pvpu.prompts import Click

CPU, CARD = torch.device("cpu"), torch.device("cuda:7")


class Card(TorchRunner):
    """A card that computes well, until it is told otherwise."""

    errors: tuple[Exception, ...] = ()
    offset = 0.0

    def __init__(self, network, device, precision):
        super().__init__(network, CPU, "float32")
        self.device, self.precision = device, precision
        self.waiting = list(self.errors) if device == CARD else []
        self.batches = []

    def encode(self, views):
        self.batches.append(len(views))
        self.fail()
        here, self.device = self.device, CPU
        try:
            return super().encode(views)
        finally:
            self.device = here

    def decode(self, features, prompts, previous):
        self.fail()
        decoded = TorchRunner.decode(self, features.map(self.put), prompts, previous)
        if self.device == CARD:
            return decoded._replace(logits=decoded.logits + self.offset)
        return decoded

    def put(self, tensor):
        return tensor

    def fail(self):
        if self.waiting:
            raise self.waiting.pop(0)


@pytest.fixture(scope="module")
def load(small_config):
    def build():
        torch.manual_seed(3)
        return build_model(small_config).eval().requires_grad_(False)

    return build


@pytest.fixture
def trial(load):
    return Trial(64)


@pytest.fixture
def card(monkeypatch):
    """A fresh kind of card; `.to` of tensors and prompts knows no such device, so stays here."""
    monkeypatch.setattr(TorchRunner, "decode", _decode_here)
    return type("MadeUpCard", (Card,), {})


def _decode_here(self, features, prompts, previous):
    return self._decode(features, prompts, previous, second_reading=reads_twice(prompts))


def full():
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def on_card(load, card, precision="float32", **more):
    return SafeRunner(load, CARD, precision, make=card, **more)


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_good_device_is_kept(load, trial, card):
    runner = on_card(load, card)
    assert (runner.device, runner.precision, runner.notice) == (CARD, "float32", None)
    assert same(trial.ask(runner), trial.ask(TorchRunner(load(), CPU)))


@pytest.mark.parametrize(
    ("offset", "said"), [(0.2, "logits differ by up to 0.2"), (float("nan"), "up to nan")]
)
def test_wrong_numbers_are_found_before_anything_is_shown(load, trial, card, offset, said):
    card.offset = offset
    with pytest.warns(DeviceWarning, match=f"'cuda:7' is not used any more.*{said}"):
        runner = on_card(load, card)
    assert runner.device == CPU
    assert same(trial.ask(runner), trial.ask(TorchRunner(load(), CPU)))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no kernel\nfor this."), "because it failed (no kernel for this)."),
        (NotImplementedError("aten::cummax"), "because it failed (aten::cummax)."),
        (NotImplementedError(), "because it failed (NotImplementedError)."),
        (RuntimeError("MPS backend out of memory (9 GB)"), "because its memory is full."),
    ],
    ids=["kernel", "operation", "no-words", "memory"],
)
def test_a_device_that_fails_at_the_start_is_left(load, card, error, said):
    card.errors = (error,)
    with pytest.warns(DeviceWarning, match=re.escape(said)):
        runner = on_card(load, card)
    assert runner.device == CPU
    assert runner.notice.endswith(said)


def test_full_memory_is_emptied_and_views_are_halved(load, trial, card):
    released = []
    runner = on_card(load, card, release=lambda: released.append(True))
    views = torch.cat([trial.view, trial.view / 2, trial.view / 3])
    wanted = runner.encode(views)
    runner._runner.waiting, runner._runner.batches = [full()], []
    features = runner.encode(views)
    assert runner._runner.batches == [3, 2, 1]
    assert released == [True]
    assert runner.device == CARD
    torch.testing.assert_close(features, wanted)


def test_memory_that_stays_full_means_the_cpu(load, trial, card):
    runner = on_card(load, card)
    runner._runner.waiting = [full(), full()]
    with pytest.warns(DeviceWarning, match="because its memory is full"):
        features = runner.encode(trial.view)
    assert runner.device == CPU
    torch.testing.assert_close(features, TorchRunner(load(), CPU).encode(trial.view))


@pytest.mark.parametrize(
    ("errors", "stays"),
    [((full(),), True), ((full(), full()), False), ((RuntimeError("lost"),), False)],
    ids=["full-once", "full-twice", "lost"],
)
def test_an_interaction_is_answered_whatever_the_device_does(load, trial, card, errors, stays):
    runner = on_card(load, card)
    features = runner.encode(trial.view)
    wanted = runner.decode(features, *trial.questions[1])
    runner._runner.waiting = list(errors)
    if stays:
        answer = runner.decode(features, *trial.questions[1])
    else:
        with pytest.warns(DeviceWarning, match="not used any more"):
            answer = runner.decode(features, *trial.questions[1])
    assert (runner.device == CARD) == stays
    assert torch.equal(answer.logits, wanted.logits)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_answers_that_are_not_finite_are_computed_again(load, trial, card, value):
    runner = on_card(load, card)
    features = runner.encode(trial.view)
    wanted = runner.decode(features, *trial.questions[0])
    runner._runner.offset = value
    with pytest.warns(DeviceWarning, match="logits that are not finite"):
        answer = runner.decode(features, *trial.questions[0])
    assert torch.equal(answer.logits, wanted.logits)


def test_an_error_of_the_work_itself_is_not_hidden(load, card):
    runner = on_card(load, card)
    with pytest.warns(DeviceWarning), pytest.raises(RuntimeError, match="size"):
        runner.encode(torch.zeros(1, 2, 64, 64))


@pytest.mark.parametrize(
    ("taken_ms", "chosen"),
    [
        ({"float32": 10, "bf16": 4, "float16": 5}, "bf16"),
        ({"float32": 10, "bf16": 5, "float16": 4}, "float16"),
        ({"float32": 10, "bf16": 9, "float16": 30}, "float32"),
    ],
    ids=["bf16", "float16", "hardly"],
)
def test_half_precision_is_taken_where_it_is_clearly_faster(
    load, card, monkeypatch, taken_ms, chosen
):
    clock = lambda runner, trial: (taken_ms[runner.precision], 1.0)  # noqa: E731
    monkeypatch.setattr(runners_module, "time_runner", clock)
    assert on_card(load, card, "auto").precision == chosen


def test_half_precision_that_is_wrong_is_not_taken(load, card, monkeypatch):
    class WrongInHalf(card):
        def __init__(self, network, device, precision):
            super().__init__(network, device, precision)
            self.offset = 0.0 if precision == "float32" else 5.0

    fast = {"float32": 10, "bf16": 1, "float16": 1}
    monkeypatch.setattr(
        runners_module, "time_runner", lambda runner, _: (fast[runner.precision], 1)
    )
    runner = on_card(load, WrongInHalf, "auto")
    assert (runner.precision, runner.notice) == ("float32", None)
    with pytest.warns(DeviceWarning, match="other numbers in bf16"):
        assert on_card(load, WrongInHalf, "bf16").precision == "float32"


def test_bf16_on_the_cpu_gives_the_same_masks(load, trial):
    half = SafeRunner(load, CPU, "bf16")
    assert half.precision == "bf16"
    features = half.encode(trial.view)
    plain = TorchRunner(load(), CPU).encode(trial.view)
    assert all(level.dtype == torch.float32 for level in features.levels)
    assert not torch.equal(features.levels[0], plain.levels[0])
    torch.testing.assert_close(features.levels, plain.levels, atol=0.1, rtol=0.1)


def test_auto_on_the_cpu_is_float32(load):
    assert SafeRunner(load, CPU).precision == "float32"


def test_unknown_precisions_are_refused(load):
    with pytest.raises(DeviceError, match="no precision 'int8'; choose one of auto, float32"):
        SafeRunner(load, CPU, "int8")


def test_an_encoder_goes_on_with_the_views_it_knew(load, card, tmp_path, monkeypatch):
    """As a session does: a view is kept, the card is lost, the next click is answered."""
    path = tmp_path / "small.safetensors"
    save_weights(load(), path, dtype=torch.float32)
    monkeypatch.setattr(encoder_module, "choose_device", lambda name: CARD)
    monkeypatch.setattr(encoder_module, "TorchRunner", card)
    encoder = ViewEncoder(path, "cuda:7", precision="float32")
    assert (encoder.device, encoder.notice) == ("cuda:7", None)
    view = np.random.default_rng(0).random((3, 64, 64), np.float32)
    features = encoder.encode(view, "key")
    wanted = encoder.decode(features, [Click((30, 20))]).logits
    encoder._runner._runner.waiting = [RuntimeError("the card has fallen off the bus")]
    with pytest.warns(DeviceWarning, match="fallen off the bus"):
        answer = encoder.decode(encoder.cached("key"), [Click((30, 20))]).logits
    assert np.array_equal(answer, wanted)
    assert encoder.device == "cpu"
    assert "fallen off the bus" in encoder.notice
    assert encoder.cached("key") is None  # let go with the card's memory
