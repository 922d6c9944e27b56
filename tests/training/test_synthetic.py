"""Synthetic scenes: exact labels, determinism, every kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_pvpu.training.synthetic import (
    DEMOS,
    KINDS,
    Scene,
    contact_sheet,
    demo_scene,
    generate_scene,
    generate_scenes,
    main,
    scene_at,
)
from napari_pvpu.training.synthetic_layouts import MIN_AREA

EIGHT = np.ones((3, 3), dtype=int)


def same(first: Scene, second: Scene) -> bool:
    return (
        first.kind == second.kind
        and np.array_equal(first.image, second.image)
        and np.array_equal(first.labels, second.labels)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_kind_gives_a_picture_and_sound_labels(kind: str, seed: int) -> None:
    scene = generate_scene(kind, (96, 144), np.random.default_rng(seed))
    assert scene.kind == kind
    assert scene.image.dtype == np.uint8
    assert scene.image.shape == (96, 144, 3)
    assert scene.labels.dtype == np.uint16
    assert scene.labels.shape == (96, 144)
    assert scene.image.std() > 1, "the picture is flat"
    area = np.bincount(scene.labels.ravel())
    assert len(area) >= 2, "no object"
    assert area[1:].min() >= MIN_AREA
    for label, box in enumerate(ndimage.find_objects(scene.labels), start=1):
        assert ndimage.label(scene.labels[box] == label, EIGHT)[1] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_same_generator_state_same_scene(kind: str) -> None:
    first, again = (generate_scene(kind, (64, 64), np.random.default_rng(5)) for _ in range(2))
    other = generate_scene(kind, (64, 64), np.random.default_rng(6))
    assert same(first, again)
    assert not np.array_equal(first.image, other.image)


def test_a_scene_depends_on_seed_and_index_only() -> None:
    whole = list(generate_scenes(6, (48, 48), seed=3))
    tail = list(generate_scenes(2, (48, 48), seed=3, start=4))
    assert same(whole[4], tail[0])
    assert same(whole[5], tail[1])
    assert same(whole[2], scene_at(2, (48, 48), 3))
    assert not same(whole[0], next(generate_scenes(1, (48, 48), seed=4)))


@pytest.mark.slow
def test_worker_processes_change_nothing() -> None:
    alone = list(generate_scenes(10, (48, 48), seed=9))
    together = list(generate_scenes(10, (48, 48), seed=9, workers=2))
    assert all(map(same, alone, together))


def test_kinds_are_drawn_from_those_given() -> None:
    found = {s.kind for s in generate_scenes(12, (48, 48), seed=0, kinds=("powder", "dic"))}
    assert found == {"powder", "dic"}


def test_objects_are_cut_by_the_border_and_come_in_many_sizes() -> None:
    areas, cut = [], 0
    for scene in generate_scenes(24, (128, 128), seed=1):
        area = np.bincount(scene.labels.ravel())[1:]
        areas.append(area)
        edge = np.concatenate(
            [scene.labels[0], scene.labels[-1], scene.labels[:, 0], scene.labels[:, -1]]
        )
        cut += bool(edge.any())
    share = np.concatenate(areas) / 128**2
    assert cut >= 12
    assert share.min() < 0.005
    assert share.max() > 0.3


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [("cat", (64, 64), "unknown kind of scene 'cat'"), ("dic", (16, 64), "use at least 32")],
    ids=["kind", "size"],
)
def test_bad_requests_say_what_to_do(kind: str, size: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate_scene(kind, size, np.random.default_rng(0))


@pytest.mark.parametrize("name", DEMOS)
def test_demonstration_scenes_stay_the_same_and_show_their_objects(name: str) -> None:
    scene = demo_scene(name)
    assert scene.image.shape == (512, 512, 3)
    assert scene.kind == name
    assert scene.labels.max() >= 12
    grey = scene.image[..., 0].astype(float)
    assert grey.min() == 0
    assert grey.max() == 255
    inside = scene.labels > 0
    near = ndimage.binary_dilation(inside, iterations=6) & ~ndimage.binary_dilation(inside)
    assert abs(grey[inside].mean() - grey[near].mean()) > 10
    assert same(scene, demo_scene(name))


def test_an_unknown_demonstration_scene_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of fluorescence, phase, em"):
        demo_scene("x-ray")


def test_contact_sheet_tiles_and_outlines_every_second_scene() -> None:
    image = np.full((8, 10, 3), 40, dtype=np.uint8)
    labels = np.zeros((8, 10), dtype=np.uint16)
    labels[2:6, 3:7] = 1
    scene = Scene(image, labels, "square")
    sheet = contact_sheet([scene, replace(scene), scene], columns=2, border=2)
    assert sheet.shape == (20, 24, 3)
    assert (sheet[:8, :10] == 40).all()
    red = (sheet[:8, 12:22] == (255, 60, 60)).all(axis=2)
    expected = np.zeros((8, 10), dtype=bool)
    expected[2:6, 3:7] = True
    expected[3:5, 4:6] = False
    np.testing.assert_array_equal(red, expected)
    assert (sheet[10:18, 12:22] == 255).all(), "an empty tile stays white"


def test_the_command_writes_a_sheet(tmp_path) -> None:
    from skimage import io

    out = tmp_path / "sheet.png"
    main(["--out", str(out), "--kind", "rings", "--count", "2", "--size", "48", "--columns", "2"])
    assert io.imread(out).shape == (50, 100, 3)
