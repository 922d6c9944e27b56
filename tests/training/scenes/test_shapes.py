"""Tests of shapes and arrangements."""

from __future__ import annotations

import math
import random

import pytest
import torch

from napari_pvpu.training.scenes import layouts, shapes
from napari_pvpu.training.scenes.canvas import Canvas
from napari_pvpu.training.scenes.painting import border_distance, looked_up
from napari_pvpu.training.scenes.shapes import Discs, Outline


def canvas(count: int = 2, size: int = 64, seed: int = 0) -> Canvas:
    return Canvas(count, size, torch.Generator().manual_seed(seed), random.Random(seed))


def discs(*entries: tuple[float, float, float]) -> Discs:
    """Places in one scene: row, column, radius."""
    table = torch.tensor([entries])
    return Discs(table[..., :2], table[..., 2], float(table[..., 2].max()))


def test_a_round_blob_is_a_disc() -> None:
    layout = shapes.blobs(canvas(1), discs((30.0, 20.0, 10.0)), Outline(0.0, 1.0))
    rows, cols = canvas(1).coordinates()
    distance = ((rows - 30) ** 2 + (cols - 20) ** 2).sqrt()
    assert (layout.labels[0][distance < 9.9] == 1).all()
    assert (layout.labels[0][distance > 10.1] == 0).all()
    inside = distance < 9
    torch.testing.assert_close(layout.rho[0][inside], distance[inside] / 10, atol=0.01, rtol=0)


@pytest.mark.parametrize(
    "outline",
    [
        Outline(0.1, 1.5),
        Outline(0.0, 2.5),
        Outline(0.0, 1.2, corners=6),
        Outline(0.0, 1.5, power=5.0),
        Outline(0.0, 4.0, rod=True),
        Outline(0.0, 2.0, bend=0.3),
    ],
    ids=["lobed", "ellipse", "polygon", "box", "rod", "bean"],
)
def test_blobs_keep_about_the_area_of_their_disc(outline: Outline) -> None:
    layout = shapes.blobs(canvas(1, 96), discs((48.0, 48.0, 16.0)), outline)
    area = float((layout.labels > 0).sum())
    assert area == pytest.approx(math.pi * 16**2, rel=0.45)


def test_objects_meet_half_way_or_hide_each_other() -> None:
    pair = discs((32.0, 24.0, 12.0), (32.0, 40.0, 12.0))
    between = shapes.blobs(canvas(1), pair, Outline(0.0, 1.0))
    assert between.labels[0, 32, 31] == 1
    assert between.labels[0, 32, 33] == 2
    above = shapes.blobs(canvas(1), pair, Outline(0.0, 1.0), over=True)
    assert above.labels[0, 32, 30] == 2
    assert above.labels[0, 32, 26] == 1


def test_objects_may_stand_on_the_border_or_outside() -> None:
    three = discs((0.0, 0.0, 8.0), (-40.0, 30.0, 8.0), (63.0, 63.0, 200.0))
    layout = shapes.blobs(canvas(1), three, Outline(0.0, 1.0))
    assert layout.labels[0, 0, 0] == 1
    assert set(layout.labels.unique().tolist()) == {1, 3}


def test_discs_without_a_radius_are_not_drawn() -> None:
    layout = shapes.blobs(canvas(1), discs((10.0, 10.0, 0.0), (40.0, 40.0, 5.0)), Outline(0.0, 1.0))
    assert set(layout.labels.unique().tolist()) == {0, 2}


def test_settled_discs_do_not_overlap() -> None:
    placed = shapes.scatter(canvas(3, 128), 8.0, 0.6, gap=1.0)
    rows, cols = placed.centre.unbind(-1)
    away = (
        (rows[:, :, None] - rows[:, None]) ** 2 + (cols[:, :, None] - cols[:, None]) ** 2
    ).sqrt()
    both = (placed.radius[:, :, None] > 0) & (placed.radius[:, None] > 0)
    both &= ~torch.eye(rows.shape[1], dtype=torch.bool)
    apart = placed.radius[:, :, None] + placed.radius[:, None]
    assert (away[both] >= 0.84 * apart[both]).all()
    assert both.any()


def test_a_partition_fills_the_plane_with_cells_of_its_spacing() -> None:
    cells = layouts.partition(canvas(4, 128), 16.0)
    assert int(cells.labels.min()) > 0
    number = torch.tensor([len(scene.unique()) for scene in cells.labels]).float()
    assert 30 < float(number.mean()) < 130
    edge = border_distance(cells.labels, 12)
    assert float(cells.edge[edge > 4].median()) > 3
    near = edge < 2
    assert float((cells.edge[near] - edge[near]).abs().mean()) < 0.6


def test_strokes_have_their_width_and_stay_whole() -> None:
    flat = layouts.strokes(
        canvas(1), 1, 40.0, 3.0, wiggle=0.0, spread=0.0,
        start=torch.tensor([[[32.0, 12.0]]]), direction=torch.zeros(1, 1),
    )  # fmt: skip
    assert (flat.labels[0, 30:35, 20:45] == 1).all()
    assert not flat.labels[0, 36:].any()
    assert not flat.labels[0, :29].any()


def test_islands_cover_about_what_was_asked_for() -> None:
    marks = layouts.islands(canvas(16, 96), 10.0, 0.3)
    assert float(marks.float().mean()) == pytest.approx(0.3, abs=0.1)


def test_bands_are_stacked_in_order() -> None:
    labels = layouts.bands(canvas(1, 64, seed=1), 3, 0.001)
    line = labels[0, :, 32] if labels[0, 0, 0] == labels[0, 0, -1] else labels[0, 32]
    assert line.tolist() == sorted(line.tolist())
    assert set(line.tolist()) == {1, 2, 3, 4}


def test_distance_from_borders_is_euclidean() -> None:
    labels = torch.zeros(1, 21, 21, dtype=torch.long)
    labels[0, 10, 10] = 1
    distance = border_distance(labels, 8)
    # Border pixels are the point and its four neighbours.
    assert float(distance[0, 10, 10]) == 0.5
    assert float(distance[0, 9, 10]) == 0.5
    assert float(distance[0, 5, 10]) == pytest.approx(4.5)
    assert float(distance[0, 6, 7]) == pytest.approx(math.hypot(3, 3) + 0.5)
    assert float(distance[0, 0, 0]) == 8


def test_values_of_objects_are_looked_up() -> None:
    labels = torch.tensor([[[0, 1], [2, 1]]])
    values = torch.tensor([[5.0, 6.0, 7.0]])
    assert looked_up(values, labels).tolist() == [[[5.0, 6.0], [7.0, 6.0]]]
    colours = looked_up(torch.stack([values, -values], -1), labels)
    assert colours[0, 1].tolist() == [[-5.0, -6.0], [-7.0, -6.0]]
