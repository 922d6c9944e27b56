"""Tests of the stream of scenes and its mixture with real images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pvpu.errors import ConfigError
from napari_pvpu.training.datasets import Atlas, ViewSampling
from napari_pvpu.training.engine import DataEngine, SceneRing, SceneStreamConfig
from napari_pvpu.training.scenes import SceneBatch

SMALL = SceneStreamConfig(scenes=6, fresh=2, size=64, share=0.5)
VIEWS = ViewSampling(size=32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def real() -> Atlas:
    """One image whose only object has a label that no scene has."""
    labels = np.zeros((80, 80), np.uint16)
    labels[20:60, 20:60] = 9999
    return Atlas([(np.full((80, 80), 100, np.uint8), labels, "real")])


def content(engine: DataEngine) -> list[torch.Tensor]:
    assert engine.ring is not None
    ring = engine.ring
    return [t.clone() for t in (ring.pixels, ring.labels, ring.object_box, ring.chances)]


@pytest.mark.parametrize("every", [1, 3], ids=["every step", "every third step"])
def test_a_resumed_stream_is_the_uninterrupted_one(every: int) -> None:
    config = SceneStreamConfig(scenes=6, fresh=2, every=every, size=64)
    whole, resumed = (DataEngine(None, config, seed=3) for _ in range(2))
    for step in range(8):
        whole.advance(step)
    resumed.restore(7)
    for mine, other in zip(content(whole), content(resumed), strict=True):
        assert torch.equal(mine, other)


def test_advancing_to_a_distant_step_restores_it() -> None:
    jumped, restored = (DataEngine(None, SMALL, seed=3) for _ in range(2))
    jumped.advance(11)
    restored.restore(11)
    for mine, other in zip(content(jumped), content(restored), strict=True):
        assert torch.equal(mine, other)


def test_a_step_changes_the_oldest_scenes_only() -> None:
    engine = DataEngine(None, SMALL, seed=0)
    assert engine.ring is not None
    before = engine.ring.pixels.clone().view(6, -1)
    engine.advance(1)
    after = engine.ring.pixels.view(6, -1)
    changed = (before != after).any(1).tolist()
    assert changed == [False, False, True, True, False, False]


def test_other_seeds_give_other_scenes() -> None:
    first, second = (DataEngine(None, SMALL, seed=s) for s in (0, 1))
    assert not torch.equal(content(first)[0], content(second)[0])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0], ids=str)
def test_shares_are_kept_over_batches(share: float) -> None:
    config = SceneStreamConfig(scenes=2, fresh=2, size=64, share=share)
    engine = DataEngine(real(), config, seed=0)
    source = generator()
    targets = [engine.sample(1, VIEWS, source).target for _ in range(300)]
    scenes = float((torch.cat(targets) != 9999).float().mean())
    assert scenes == pytest.approx(share, abs=0.1 if 0 < share < 1 else 0.0)


def test_views_of_scenes_hold_their_target() -> None:
    engine = DataEngine(None, SceneStreamConfig(scenes=24, fresh=4, size=96), seed=1)
    centred = ViewSampling(size=48, fill=(0.3, 0.8), fill_mode=0.5, shift=0.0, stretch=0.0)
    views = engine.sample(200, centred, generator())
    seen = (views.labels == views.target.view(-1, 1, 1)).flatten(1).any(1)
    assert views.image.shape == (200, 3, 48, 48)
    assert float(seen.float().mean()) > 0.97


def scene_of(whole: torch.Tensor, part: torch.Tensor) -> SceneBatch:
    grey = whole[:, None].expand(-1, 3, -1, -1) / 10
    return SceneBatch(grey.float(), whole, part, torch.zeros(len(whole), dtype=torch.long))


def test_wholes_and_parts_share_pixels_and_are_both_drawn() -> None:
    whole, part = torch.zeros(2, 1, 64, 64, dtype=torch.int16)
    whole[:, 8:56, 8:56] = 4
    part[:, 20:40, 20:40] = 7
    ring = SceneRing(1, 64, "cpu")
    ring.write(0, scene_of(whole, part))
    views = ring.sample(400, ViewSampling(size=32, stretch=0.0), generator())
    drawn = [float((views.target == label).float().mean()) for label in (4, 7)]
    assert sum(drawn) == pytest.approx(1)
    assert drawn[1] == pytest.approx(0.4, abs=0.1)
    pixels = (views.image[:, 0] * 10).nan_to_num(0)
    inside = (pixels - 4).abs() < 0.05
    is_whole = views.target == 4
    assert (inside[is_whole] >= (views.labels[is_whole] == 4)).float().mean() > 0.93
    assert inside[~is_whole][views.labels[~is_whole] == 7].all()


def test_objects_too_small_are_never_drawn() -> None:
    whole = torch.zeros(1, 64, 64, dtype=torch.int16)
    whole[:, :5, :5] = 1
    whole[:, 30:40, 30:40] = 2
    ring = SceneRing(1, 64, "cpu")
    ring.write(0, scene_of(whole, torch.zeros_like(whole)))
    assert set(ring.sample(100, VIEWS, generator()).target.tolist()) == {2}


def test_the_same_generator_gives_the_same_views() -> None:
    engine = DataEngine(real(), SMALL, seed=0)
    first, again = (engine.sample(5, VIEWS, generator(4)) for _ in range(2))
    torch.testing.assert_close(first.image, again.image, equal_nan=True)
    assert torch.equal(first.labels, again.labels)


def test_an_atlas_can_be_advanced_like_an_engine() -> None:
    atlas = real()
    before = atlas.pixels.clone()
    atlas.advance(5)
    atlas.restore(9)
    assert torch.equal(atlas.pixels, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scenes": 5, "fresh": 2}, "multiple"),
        ({"fresh": 0}, "positive"),
        ({"share": 1.5}, "share 1.5"),
        ({"size": 20}, "20 pixels"),
    ],
    ids=["uneven", "none fresh", "share", "size"],
)
def test_settings_that_cannot_work_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SceneStreamConfig(**settings)


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(ConfigError, match="nothing to show"):
        DataEngine(None, SceneStreamConfig(share=0.0), seed=0)
