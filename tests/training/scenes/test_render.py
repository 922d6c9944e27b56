"""Tests of batches of scenes: ranges, labels, parts, determinism."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage as ndi

from napari_pvpu.errors import ConfigError
from napari_pvpu.training.scenes import KINDS, SceneBatch, render_scenes
from napari_pvpu.training.scenes.render import MIN_AREA

WITH_PARTS = ("cells", "neurons", "smear", "electron_tissue", "axons", "colonies", "nested")


def drawn(kind: str, count: int = 4, size: int = 96, seed: int = 0) -> SceneBatch:
    return render_scenes(count, size, torch.Generator().manual_seed(seed), (kind,))


@pytest.fixture(scope="module", params=KINDS)
def scenes(request: pytest.FixtureRequest) -> SceneBatch:
    """Eight scenes of a kind, built in two ways."""
    batches = [drawn(request.param, seed=seed) for seed in (1, 2)]
    return SceneBatch(*(torch.cat(x) for x in zip(*batches, strict=True)))


def test_scenes_are_of_the_promised_form(scenes: SceneBatch) -> None:
    assert scenes.image.shape == (8, 3, 96, 96)
    assert scenes.image.dtype == torch.float32
    assert 0 <= float(scenes.image.min()) < float(scenes.image.max()) <= 1
    for labels in (scenes.labels, scenes.parts):
        assert labels.shape == (8, 96, 96)
        assert labels.dtype == torch.int16
        assert int(labels.min()) == 0 or labels is scenes.labels
    assert scenes.kind.dtype == torch.int64


def test_scenes_hold_objects_and_are_not_flat(scenes: SceneBatch) -> None:
    objects = scenes.labels.flatten(1).amax(1)
    assert float((objects > 0).float().mean()) >= 0.75
    assert float((scenes.image.flatten(1).std(1) > 0.005).float().mean()) >= 0.75


def test_each_object_is_one_piece_of_enough_pixels(scenes: SceneBatch) -> None:
    for labels in (*scenes.labels.numpy(), *scenes.parts.numpy()):
        for label in range(1, int(labels.max()) + 1):
            mask = labels == label
            assert mask.sum() >= MIN_AREA
            assert ndi.label(mask)[1] == 1


def test_parts_lie_in_wholes(scenes: SceneBatch) -> None:
    assert bool((scenes.labels[scenes.parts > 0] > 0).all())


@pytest.mark.parametrize("kind", WITH_PARTS)
def test_kinds_with_parts_have_some(kind: str) -> None:
    batches = [drawn(kind, 4, 160, seed) for seed in range(6)]
    assert any(int(batch.parts.max()) > 0 for batch in batches)
    for batch in batches:
        for whole, part in zip(batch.labels, batch.parts, strict=True):
            for label in range(1, int(part.max()) + 1):
                around = whole[part == label]
                # A part belongs to one object and does not fill it.
                assert int(around.mode().values) > 0
                holder = whole == around.mode().values
                assert int((part == label).sum()) <= int(holder.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_everything(kind: str) -> None:
    first, again, other = (drawn(kind, 2, 64, seed) for seed in (5, 5, 6))
    for mine, same in zip(first, again, strict=True):
        assert torch.equal(mine, same)
    assert not torch.equal(first.image, other.image)


def test_the_border_cuts_objects() -> None:
    batch = drawn("nuclei", 4, 128)
    edges = [batch.labels[:, 0], batch.labels[:, -1], batch.labels[:, :, 0], batch.labels[:, :, -1]]
    assert sum(int((edge > 0).any()) for edge in edges) >= 2


def test_scenes_of_a_group_differ() -> None:
    batch = drawn("nuclei", 4)
    for number in range(1, 4):
        assert not torch.equal(batch.labels[0], batch.labels[number])


def test_kinds_are_drawn_in_groups() -> None:
    batch = render_scenes(64, 48, torch.Generator().manual_seed(0))
    groups = batch.kind.view(16, 4)
    assert (groups == groups[:, :1]).all()
    assert len(groups[:, 0].unique()) > 6


def test_there_are_kinds_for_all_fields() -> None:
    assert len(KINDS) >= 30
    assert len(set(KINDS)) == len(KINDS)


def test_successive_batches_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (render_scenes(2, 64, generator, ("nuclei",)) for _ in range(2))
    assert not torch.equal(first.image, second.image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 64, ("nuclei",)), "0 scenes of 64"),
        ((1, 20, ("nuclei",)), "20 pixels"),
        ((1, 64, ("unicorns",)), "unicorns"),
        ((1, 64, ()), "none"),
    ],
    ids=["no scenes", "too small", "unknown kind", "no kinds"],
)
def test_requests_that_cannot_be_met_are_named(arguments: tuple, message: str) -> None:
    count, size, kinds = arguments
    with pytest.raises(ConfigError, match=message):
        render_scenes(count, size, torch.Generator(), kinds)
