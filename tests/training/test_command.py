"""A training run from folders on disk to a weights file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_pvpu.networks import models
from napari_pvpu.networks.weights import load_model
from napari_pvpu.training.command import group_weights, synthetic_pairs, train
from napari_pvpu.training.datasets import ViewSampling
from napari_pvpu.training.trainer import TrainingConfig

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
    Image.fromarray(np.full((64, 64), 60, np.uint8)).save(tmp_path / "one.png")
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
    with pytest.raises(ValueError, match="no image holds an object"):
        train([str(file)], tmp_path / "none", images=tmp_path, min_area=601, **options)
