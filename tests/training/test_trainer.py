"""The training loop: it learns, it resumes exactly, its schedule is as documented."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch

from napari_pvpu.networks.models import PRESETS
from napari_pvpu.training.datasets import Atlas, Views, ViewSampling
from napari_pvpu.training.engine import DataEngine, SceneStreamConfig
from napari_pvpu.training.object_choice import other_objects, pick_objects
from napari_pvpu.training.processes import stopping_on_signals
from napari_pvpu.training.recipes import recipe_for
from napari_pvpu.training.schedules import OptimizerConfig
from napari_pvpu.training.trainer import Trainer, TrainingConfig, _drawn

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig

CONFIG = TrainingConfig(
    steps=8,
    views=2,
    objects=2,
    optimizer=OptimizerConfig(warmup=2),
    precision="float32",
    log_every=2,
    save_every=100,
    sampling=ViewSampling(size=64),
)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    """Bright disks on a dark, noisy ground."""
    rng = np.random.default_rng(0)
    labels = np.zeros((160, 160), np.uint16)
    axis = np.arange(160)
    for i, (row, col) in enumerate([(30, 30), (30, 100), (100, 40), (110, 110)], start=1):
        labels[(axis[:, None] - row) ** 2 + (axis - col) ** 2 < 20**2] = i
    image = (labels > 0) * 120 + rng.normal(60, 10, labels.shape)
    return Atlas([(image.clip(0, 255).astype(np.uint8), labels, "disks")])


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    mean = {f"mean {name}": value for name, value in trainer.average.state_dict().items()}
    return trainer.net.state_dict() | mean


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_two_pieces_equal_one_run(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path, precision: Literal["float32", "bf16"]
) -> None:
    config = replace(CONFIG, precision=precision)
    whole = Trainer(small_config, config, atlas, tmp_path / "whole")
    whole.run()
    first = Trainer(small_config, config, atlas, tmp_path / "pieces")
    for _ in range(3):
        first.train_step()
    first.save()
    second = Trainer(small_config, replace(config, seed=99), atlas, tmp_path / "pieces")
    second.resume(tmp_path / "pieces" / "checkpoint.pt")
    second.run()
    assert second.step == whole.step == 8
    expected = weights(whole)
    for name, value in weights(second).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_checkpoint_of_the_default_run_is_small(atlas: Atlas, tmp_path: Path) -> None:
    model = PRESETS["pvpu-nano"]
    trainer = Trainer(model, recipe_for(model), atlas, tmp_path)
    # The optimiser remembers something of each weight from its first step on.
    for weight in trainer.net.parameters():
        weight.grad = torch.zeros_like(weight)
    trainer.optimizer.step()
    trainer.save()
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    moments = sum(
        each.nbytes for state in saved["optimizer"]["state"].values() for each in state.values()
    )
    weights = sum(weight.nbytes for weight in trainer.net.parameters())
    assert moments >= 2 * weights
    assert 4 * weights < (tmp_path / "checkpoint.pt").stat().st_size < 60 * 2**20


CLOCKS = ("time", "images_per_second")


def test_pieces_cut_anywhere_give_one_runs_weights_and_log(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    config = replace(CONFIG, log_every=3, shards=2, optimizer=OptimizerConfig("muon", warmup=2))
    stream = SceneStreamConfig(scenes=4, fresh=2, size=96)

    def data() -> DataEngine:
        return DataEngine(atlas, stream, 5)

    Trainer(small_config, config, data(), tmp_path / "whole").run()
    for stop_at in (2, 4, 5, 8):
        piece = Trainer(small_config, config, data(), tmp_path / "pieces")
        if stop_at > 2:
            piece.resume(tmp_path / "pieces" / "checkpoint.pt")
        piece.run(stop=lambda piece=piece, stop_at=stop_at: piece.step >= stop_at)
    whole, pieces = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
        for name in ("whole", "pieces")
    )
    assert pieces["step"] == 8
    for part in ("net", "average"):
        for name, value in whole[part].items():
            assert torch.equal(pieces[part][name], value), name
    logs = [log_of(tmp_path / name) for name in ("whole", "pieces")]
    for line in logs[0] + logs[1]:
        for clock in CLOCKS:
            assert line.pop(clock) > 0
    assert [line["step"] for line in logs[0]] == [3, 6]
    assert logs[1] == logs[0]
    for name in ("sums", "steps", "images"):
        assert torch.equal(*(torch.as_tensor(x["log"][name]) for x in (whole, pieces)))


def test_a_run_that_died_writes_no_line_twice(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    first = Trainer(small_config, CONFIG, atlas, tmp_path)
    first.run(stop=lambda: first.step >= 2)
    dying = Trainer(small_config, CONFIG, atlas, tmp_path)
    dying.resume(tmp_path / "checkpoint.pt")
    for _ in range(4):
        dying.train_step()
        dying.log.write(dying.step, dying.images, 0.0)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 7, "ima')  # killed in the middle of a line
    again = Trainer(small_config, CONFIG, atlas, tmp_path)
    again.resume(tmp_path / "checkpoint.pt")
    again.run()
    assert [line["step"] for line in log_of(tmp_path)] == [2, 4, 6, 8]


def test_a_longer_run_goes_on_from_the_stable_phase(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    """Both runs are stable for six steps; the shorter one is then made longer."""
    config = replace(CONFIG, optimizer=OptimizerConfig(warmup=2, decay=0.3))
    longer = Trainer(small_config, replace(config, steps=20), atlas, tmp_path / "longer")
    shorter = Trainer(small_config, replace(config, steps=10), atlas, tmp_path / "shorter")
    for trainer in (longer, shorter):
        trainer.run(stop=lambda trainer=trainer: trainer.step >= 6)
    for name, value in weights(shorter).items():
        assert torch.equal(weights(longer)[name], value), name
    grown = Trainer(small_config, replace(config, steps=20), atlas, tmp_path / "shorter")
    grown.resume(tmp_path / "shorter" / "checkpoint.pt")
    for trainer in (longer, grown):
        trainer.train_step()
        trainer.train_step()
    for name, value in weights(grown).items():
        assert torch.equal(weights(longer)[name], value), name


def test_a_step_without_finite_gradients_is_left_out_and_counted(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    trainer = Trainer(small_config, CONFIG, atlas, tmp_path)
    trainer.train_step()
    before = {name: value.clone() for name, value in trainer.net.state_dict().items()}
    head = next(m for m in trainer.net.decoder.head.modules() if isinstance(m, torch.nn.Conv2d))
    handle = head.register_forward_hook(lambda module, given, out: out * torch.inf)
    losses = trainer.train_step()
    handle.remove()
    assert not losses.total.isfinite()
    for name, value in trainer.net.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(value, before[name]), name
    assert all(x.isfinite().all() for x in trainer.average.state_dict().values())
    trainer.log.write(trainer.step, trainer.images, 0.0)
    assert trainer.train_step().total.isfinite()
    (line,) = log_of(tmp_path)
    assert (line["left_out"], line["images"]) == (1, 4)
    assert np.isfinite(line["total"])


def test_other_settings_are_named_and_hold(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Trainer(small_config, CONFIG, atlas, tmp_path).save()
    other = replace(
        CONFIG, seed=3, log_every=1, optimizer=OptimizerConfig(warmup=2, weight_decay=0.5)
    )
    trainer = Trainer(small_config, other, atlas, tmp_path)
    trainer.resume(tmp_path / "checkpoint.pt")
    assert caplog.messages == [
        "goes on from step 0 with other settings than before: optimizer.weight_decay 0.05 -> 0.5"
    ]
    assert {g["weight_decay"] for g in trainer.optimizer.param_groups} == {0.0, 0.5}


def test_another_optimiser_is_refused(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    Trainer(small_config, CONFIG, atlas, tmp_path).save()
    other = replace(CONFIG, optimizer=OptimizerConfig("muon"))
    trainer = Trainer(small_config, other, atlas, tmp_path)
    with pytest.raises(ValueError, match=r"its kind is 'adamw', not 'muon'.*keep optimizer.kind"):
        trainer.resume(tmp_path / "checkpoint.pt")


def test_checkpoints_of_before_the_log_was_kept_go_on(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    Trainer(small_config, CONFIG, atlas, tmp_path).save()
    path = tmp_path / "checkpoint.pt"
    saved = torch.load(path, weights_only=True)
    del saved["hosts"], saved["log"], saved["config"]["stream"], saved["config"]["compile"]
    # Those of another kind of device have states of another size.
    saved["generators"] = [torch.zeros(16, dtype=torch.uint8)]
    torch.save(saved, path)
    trainer = Trainer(small_config, CONFIG, atlas, tmp_path)
    trainer.resume(path)
    trainer.run()
    assert trainer.step == CONFIG.steps


def test_a_checkpoint_that_cannot_be_written_does_not_end_a_run(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = Trainer(small_config, replace(CONFIG, save_every=3), atlas, tmp_path)
    blocked = tmp_path / "checkpoint.tmp"
    blocked.mkdir()

    def unblock() -> bool:
        if trainer.step == 4:
            blocked.rmdir()
        return False

    trainer.run(stop=unblock)
    assert len(caplog.messages) == 1
    assert "the checkpoint of step 3 could not be written" in caplog.text
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["step"] == CONFIG.steps


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_signal_ends_a_run_with_a_checkpoint(
    atlas: Atlas,
    small_config: ModelConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    trainer = Trainer(small_config, CONFIG, atlas, tmp_path)
    take = trainer.train_step

    def step() -> None:
        if trainer.step == 1:
            signal.raise_signal(number)
        take()

    monkeypatch.setattr(trainer, "train_step", step)
    with stopping_on_signals() as stop:
        trainer.run(stop=stop)
    # The step in which it came is taken to its end.
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2


def test_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with stopping_on_signals() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        # A second one acts as usual.
        assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before
    with stopping_on_signals():
        assert signal.getsignal(signal.SIGINT) != before[1]
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize(
    ("chances", "chance", "rounds"),
    [
        ((1.0,), 0.999, 1),
        ((0.25, 0.75), 0.24, 1),
        ((0.25, 0.75), 0.26, 2),
        ((2.0, 2.0), 0.51, 2),
        ((0.0, 0.0, 1.0, 0.0), 0.0, 3),
        ((0.1, 0.2, 0.7, 0.0), 1.0, 3),
    ],
)
def test_rounds_by_their_chances(chances: tuple[float, ...], chance: float, rounds: int) -> None:
    assert _drawn(chances, chance) == rounds


def test_log_has_a_line_for_every_interval(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    Trainer(small_config, CONFIG, atlas, tmp_path).run()
    lines = log_of(tmp_path)
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert all(np.isfinite(line["total"]) for line in lines)
    assert lines[-1]["images"] == 16


@pytest.mark.slow
def test_a_small_network_learns_disks(
    atlas: Atlas, small_config: ModelConfig, tmp_path: Path
) -> None:
    config = replace(CONFIG, steps=40, views=4, log_every=10)
    config = replace(config, optimizer=OptimizerConfig(warmup=5, rate=3e-3))
    trainer = Trainer(small_config, config, atlas, tmp_path)
    trainer.run()
    lines = log_of(tmp_path)
    assert lines[-1]["iou"] > lines[0]["iou"] + 0.1


def test_objects_of_a_view() -> None:
    labels = torch.zeros(2, 32, 32, dtype=torch.int16)
    labels[0, :8, :8] = 3
    labels[0, 16:, 16:] = 5
    labels[1, 8:24, 8:24] = 2
    views = Views(torch.rand(2, 3, 32, 32), labels, torch.tensor([3, 9], dtype=torch.int16))
    masks = pick_objects(views, 2, torch.Generator().manual_seed(0)).view(2, 2, 32, 32)
    assert torch.equal(masks[0, 0], labels[0] == 3)
    assert torch.equal(masks[0, 1], labels[0] == 5)
    # The label that the second view was made for is not seen in it.
    assert torch.equal(masks[1, 0], labels[1] == 2)
    others = other_objects(views, masks.flatten(0, 1)).view(2, 2, 32, 32)
    assert torch.equal(others[0, 0], labels[0] == 5)
    assert torch.equal(others[0, 1], labels[0] == 3)
    assert not others[1].any()
