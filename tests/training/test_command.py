"""A training run from folders on disk to a weights file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from napari_pvpu.errors import ConfigError, DatasetError, PvpuError, WeightsError
from napari_pvpu.model_files import config_as_yaml
from napari_pvpu.networks import models
from napari_pvpu.networks.weights import load_model, save_weights
from napari_pvpu.training.command import RunOptions, profile, train
from napari_pvpu.training.data_report import BadDataError
from napari_pvpu.training.datasets import ViewSampling
from napari_pvpu.training.engine import SceneStreamConfig
from napari_pvpu.training.packing import pack
from napari_pvpu.training.recipes import changed, recipe_for
from napari_pvpu.training.run_data import default_stream, group_weights, synthetic_pairs
from napari_pvpu.training.trainer import TrainingConfig
from napari_pvpu.yaml_files import merged, to_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig


def test_group_weights_share_the_batch() -> None:
    names = ["a"] * 8 + ["b"] + ["synthetic/x"] * 5 + ["synthetic/y"] * 5
    weights = group_weights(names, 0.4)
    assert weights == pytest.approx({"a": 0.4, "b": 0.2, "synthetic/x": 0.2, "synthetic/y": 0.2})


def test_scenes_are_generated_once(tmp_path: Path) -> None:
    first = list(synthetic_pairs(3, 64, 0, tmp_path, 1))
    written = next(tmp_path.iterdir())
    stamp = written.stat().st_mtime_ns
    again = list(synthetic_pairs(3, 64, 0, tmp_path, 1))
    assert written.stat().st_mtime_ns == stamp
    for (image, labels, group), (image2, labels2, group2) in zip(first, again, strict=True):
        assert image.shape == (64, 64, 3)
        assert group.startswith("synthetic/")
        assert group == group2
        assert np.array_equal(image, image2)
        assert np.array_equal(labels, labels2)


def test_run_from_a_folder_and_go_on(
    tmp_path: Path, small_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "set"
    labels = np.zeros((64, 64), np.uint8)
    labels[10:30, 20:50] = 1
    for folder, array in (("images", labels * 200), ("masks", labels)):
        (data / folder).mkdir(parents=True)
        Image.fromarray(array).save(data / folder / "one.png")
    monkeypatch.setitem(models.PRESETS, "small", small_config)
    config = TrainingConfig(views=2, precision="float32", sampling=ViewSampling(size=64))
    config = replace(config, log_every=1, objects=1)
    out = tmp_path / "run"
    train([str(data)], out, model="small", steps=2, synthetic=0, config=config)
    train([str(data)], out, model="small", steps=3, synthetic=0, config=config)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [1, 2, 3]
    assert load_model(out / "weights.safetensors").config == small_config


def test_run_from_annotations(
    tmp_path: Path, small_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.arange(4096).reshape(64, 64).astype(np.uint8)).save(tmp_path / "one.png")
    row = {"id": 1, "file_name": "one.png", "height": 64, "width": 64}
    square = {"id": 1, "image_id": 1, "segmentation": [[20, 10, 50, 10, 50, 30, 20, 30]]}
    file = tmp_path / "instances.json"
    file.write_text(json.dumps({"images": [row], "annotations": [square]}))
    monkeypatch.setitem(models.PRESETS, "small", small_config)
    config = TrainingConfig(views=2, precision="float32", sampling=ViewSampling(size=64))
    config = replace(config, objects=1)
    options = {"model": "small", "steps": 1, "synthetic": 0, "config": config}
    train([str(file)], tmp_path / "run", images=tmp_path, min_area=600, **options)
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    with pytest.raises(ValueError, match="no image that shows an object"):
        train([str(file)], tmp_path / "none", images=tmp_path, min_area=601, **options)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    labels = np.zeros((64, 64), np.uint8)
    labels[10:30, 20:50] = 1
    for folder, array in (("images", labels * 200), ("masks", labels)):
        (tmp_path / "set" / folder).mkdir(parents=True)
        Image.fromarray(array).save(tmp_path / "set" / folder / "one.png")
    return tmp_path / "set"


QUICK = TrainingConfig(
    views=2, objects=1, steps=1, precision="float32", sampling=ViewSampling(size=64)
)


def test_weights_that_are_named_are_the_start(
    tmp_path: Path, data: Path, small_config: ModelConfig
) -> None:
    torch.manual_seed(5)
    start = tmp_path / "start.safetensors"
    save_weights(models.build_model(small_config), start, dtype=torch.float32)
    mine = tmp_path / "mine.yaml"
    mine.write_text(config_as_yaml(small_config) + "weights: start.safetensors\n")
    still = changed(QUICK, {"optimizer": {"rate": 0.0}})
    for model in (start, mine):
        out = tmp_path / model.stem
        trained = train([str(data)], out, model=model, synthetic=0, config=still)
        for name, value in load_model(start).named_parameters():
            torch.testing.assert_close(trained.state_dict()[name], value, msg=name)
    # A run that has begun goes on from its own checkpoint instead.
    goes_on = train([str(data)], tmp_path / "mine", model=mine, synthetic=0, config=QUICK, steps=2)
    assert not torch.equal(*(next(net.parameters()) for net in (goes_on, load_model(start))))


def test_without_a_recipe_it_is_the_models_own(
    tmp_path: Path, data: Path, small_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def trainer(model, settings, *_):
        seen.append(settings)
        raise ValueError("enough")

    monkeypatch.setattr("napari_pvpu.training.command.Trainer", trainer)
    monkeypatch.setitem(models.PRESETS, "small", small_config)
    with pytest.raises(ConfigError, match="'small' cannot be trained so: enough"):
        train([str(data)], tmp_path / "run", model="small", synthetic=0)
    assert seen == [recipe_for(small_config)]


def test_the_device_chooses_among_the_models_own(
    small_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def choose(name: str) -> torch.device:
        asked.append(name)
        return torch.device("cuda" if name == "auto" else name)

    monkeypatch.setattr("napari_pvpu.training.command.choose_device", choose)
    on_gpu = recipe_for(small_config, "cuda")
    for name in ("auto", "cuda", "cuda:1"):
        assert RunOptions(device=name).settings(small_config) == on_gpu
    assert RunOptions(device="cpu").settings(small_config) == recipe_for(small_config) != on_gpu
    assert asked == ["auto", "cuda", "cuda:1", "cpu"]
    # A recipe that is given asks nobody.
    assert RunOptions(device="tpu", config=QUICK).settings(small_config) == QUICK


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": {"depth": 2}}, r"the weights in .*checkpoint.pt do not fit .* missing \("),
        ({"prompts": {"hidden": 24}}, r"checkpoint.pt do not fit .* is 32x\d+, not 24x"),
    ],
    ids=["names", "shapes"],
)
def test_a_checkpoint_of_another_model_is_refused_at_once(
    tmp_path: Path, data: Path, small_config: ModelConfig, changes, message
) -> None:
    model, out = tmp_path / "mine.yaml", tmp_path / "run"
    model.write_text(config_as_yaml(small_config))
    train([str(data)], out, model=model, synthetic=0, config=QUICK)
    before = (out / "checkpoint.pt").read_bytes()
    model.write_text(to_yaml(merged(small_config.to_dict(), changes)))
    with pytest.raises(WeightsError, match=message):
        train(["no data is read"], out, model=model, synthetic=0, config=QUICK)
    assert (out / "checkpoint.pt").read_bytes() == before


def test_a_recipe_that_does_not_work_out(
    tmp_path: Path, data: Path, small_config: ModelConfig
) -> None:
    model = tmp_path / "mine.yaml"
    model.write_text(config_as_yaml(small_config))
    config = changed(QUICK, {"shards": 3})
    with pytest.raises(ConfigError, match="2 views a step cannot be shared by 3 shards"):
        train([str(data)], tmp_path / "run", model=model, synthetic=0, config=config)


def test_data_without_objects_are_refused(
    tmp_path: Path, data: Path, small_config: ModelConfig
) -> None:
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(data / "masks" / "one.png")
    model = tmp_path / "mine.yaml"
    model.write_text(config_as_yaml(small_config))
    with pytest.raises(DatasetError, match="no image that shows an object"):
        train([str(data)], tmp_path / "run", model=model, synthetic=0, config=QUICK)


def small_run(tmp_path: Path, small_config: ModelConfig) -> dict[str, object]:
    model = tmp_path / "mine.yaml"
    model.write_text(config_as_yaml(small_config))
    return {"model": model, "synthetic": 0, "config": QUICK}


def test_mistakes_stop_a_run_before_it_begins(
    tmp_path: Path, data: Path, small_config: ModelConfig, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(data / "images" / "bare.png")
    (data / "images" / "torn.png").write_bytes(b"")
    (data / "masks" / "torn.png").write_bytes((data / "masks" / "one.png").read_bytes())
    options, out = small_run(tmp_path, small_config), tmp_path / "run"
    with pytest.raises(BadDataError) as caught:
        train([str(data)], out, **options)
    assert {problem.kind for problem in caught.value.report.problems} == {"no mask", "image"}
    assert not out.exists()
    train([str(data)], out, skip_bad=True, **options)
    assert (out / "weights.safetensors").is_file()
    assert "1 x images without a mask" in caplog.text
    assert "passed over" not in caplog.text


def test_images_that_show_nothing_are_told_in_a_line(
    tmp_path: Path, data: Path, small_config: ModelConfig, caplog: pytest.LogCaptureFixture
) -> None:
    train([str(data)], tmp_path / "before", **small_run(tmp_path, small_config))
    assert caplog.messages == []
    for stem in "ab":
        (data / "images" / f"{stem}.png").write_bytes((data / "images" / "one.png").read_bytes())
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(data / "masks" / f"{stem}.png")
    train([str(data)], tmp_path / "run", **small_run(tmp_path, small_config))
    assert caplog.messages == ["passed over: 2 x images where nothing is labelled"]


def test_a_run_from_a_packed_file_of_the_same_pixels_is_the_same(
    tmp_path: Path, data: Path, small_config: ModelConfig
) -> None:
    options = small_run(tmp_path, small_config)
    packed = pack([data], tmp_path / "x.pvpuset", quality=None).path
    one = train([str(data)], tmp_path / "one", **options)
    two = train([str(packed)], tmp_path / "two", **options)
    for name, value in one.state_dict().items():
        assert torch.equal(two.state_dict()[name], value), name


STREAMED = replace(QUICK, stream=SceneStreamConfig(scenes=2, fresh=1, size=64, share=0.5))


def test_a_streamed_run_in_pieces_is_a_run_in_one(
    tmp_path: Path, data: Path, small_config: ModelConfig
) -> None:
    # Shorter runs of a constant rate are the first pieces of a longer one.
    config = changed(STREAMED, {"optimizer": {"warmup": 0, "decay": 0.0}})
    options = small_run(tmp_path, small_config) | {"config": config}
    whole = train([str(data)], tmp_path / "whole", steps=3, **options)
    for steps in (1, 2, 3):
        pieces = train([str(data)], tmp_path / "pieces", steps=steps, **options)
    for name, value in whole.state_dict().items():
        assert torch.equal(pieces.state_dict()[name], value), name


def test_scenes_alone_are_enough(tmp_path: Path, small_config: ModelConfig) -> None:
    options = small_run(tmp_path, small_config) | {"config": STREAMED}
    train([], tmp_path / "run", **options)
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_a_seed_is_that_of_the_weights(
    tmp_path: Path, data: Path, small_config: ModelConfig
) -> None:
    options = small_run(tmp_path, small_config)
    nets = [
        train([str(data)], tmp_path / str(i), seed=seed, **options)
        for i, seed in enumerate((1, 1, 2))
    ]
    first = [next(net.parameters()) for net in nets]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
    recipe = replace(QUICK, seed=5, steps=7)
    assert RunOptions(config=recipe).settings(small_config) == recipe
    assert RunOptions(config=recipe, seed=0, steps=9).settings(small_config) == replace(
        recipe, seed=0, steps=9
    )


def test_a_profile_keeps_nothing(tmp_path: Path, data: Path, small_config: ModelConfig) -> None:
    options = RunOptions(**small_run(tmp_path, small_config))
    before = sorted(tmp_path.rglob("*"))
    report = profile([str(data)], options, 1)
    assert "1 steps of 2 views on cpu" in report.text
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["torch.save", "napari_pvpu.training.command.save_weights"])
def test_a_full_disk_is_a_sentence_and_costs_nothing(
    tmp_path: Path,
    data: Path,
    small_config: ModelConfig,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    options, out = small_run(tmp_path, small_config), tmp_path / "run"
    train([str(data)], out, **options)
    files = ("checkpoint.pt", "weights.safetensors")
    before = {file: (out / file).read_bytes() for file in files}

    def full(_state, target, *_):
        if hasattr(target, "write"):
            target.write(b"half of it")
        else:
            target.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(name, full)
    with pytest.raises(PvpuError, match="No space left on device"):
        train([str(data)], out, steps=2, **options)
    monkeypatch.undo()
    assert (out / "weights.safetensors").read_bytes() == before["weights.safetensors"]
    if name == "torch.save":
        assert (out / "checkpoint.pt").read_bytes() == before["checkpoint.pt"]
    # A run that has gone its whole length writes its weights when it is called again.
    train([str(data)], out, steps=2, **options)
    assert (out / "weights.safetensors").read_bytes() != before["weights.safetensors"]


def test_a_folder_that_cannot_be_is_a_sentence(
    tmp_path: Path, data: Path, small_config: ModelConfig
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PvpuError, match=r"the run in .* stopped"):
        train([str(data)], tmp_path / "file" / "run", **small_run(tmp_path, small_config))


def test_a_cpu_draws_fewer_scenes() -> None:
    on_gpu = default_stream(torch.device("cuda"))
    assert on_gpu == SceneStreamConfig()
    on_cpu = default_stream(torch.device("cpu"))
    assert on_cpu.fresh / on_cpu.every < on_gpu.fresh / on_gpu.every
    assert on_cpu.share == on_gpu.share
