"""Partitions, strokes, and the tidying of labels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.training import synthetic_layouts as layouts
from napari_pvpu.training.synthetic_fields import warp_field


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("spacing", [30, 6.5], ids=["drawn cells", "distance transform"])
@pytest.mark.parametrize("warped", [False, True], ids=["straight", "warped"])
def test_a_partition_gives_every_pixel_to_a_cell_of_about_the_spacing(
    spacing: float, warped: bool
) -> None:
    size = (96, 128)
    warp = warp_field(size, 20, 2, rng(1)) if warped else None
    layout = layouts.partition(size, spacing, rng(), warp=warp)
    assert layout.labels.min() > 0
    assert layout.rho.min() >= 0
    assert layout.rho.max() <= 1
    cells = len(np.unique(layout.labels))
    expected = size[0] * size[1] / spacing**2
    assert 0.7 * expected < cells < 2.2 * expected


def test_drop_cells_empties_whole_cells() -> None:
    sheet = layouts.partition((96, 96), 14, rng())
    left = layouts.drop_cells(sheet, rng(1), 0.4, 30)
    for label in np.unique(sheet.labels):
        assert len(np.unique(left.labels[sheet.labels == label])) == 1
    assert 0.2 < (left.labels == 0).mean() < 0.7


def test_islands_cover_the_share_asked_for() -> None:
    layout = layouts.islands((128, 128), 20, 0.3, rng())
    assert (layout.labels > 0).mean() == pytest.approx(0.3, abs=0.01)
    assert layout.rho.min() >= 0
    assert layout.rho.max() <= 1


def test_strokes_have_about_the_width_asked_for() -> None:
    lines = layouts.strokes((100, 100), 1, lambda: 6.0, rng(2), wiggle=0.0, angle=0.0, extent=2)
    widths = (lines > 0).sum(axis=0)
    assert np.median(widths) == pytest.approx(6, abs=2)


def test_tidy_splits_pieces_drops_specks_and_numbers_from_one() -> None:
    labels = np.zeros((12, 14), dtype=np.int32)
    labels[0:4, 0:4] = 7  # 16 px
    labels[8:12, 0:3] = 7  # 12 px, another piece of the same object
    labels[0:4, 4:8] = 3  # 16 px, touches the first
    labels[11, 13] = 9  # a speck
    tidied = layouts.tidy(labels, min_area=5)
    assert tidied.max() == 3
    assert len({int(tidied[0, 0]), int(tidied[8, 0]), int(tidied[0, 4])}) == 3
    assert tidied[11, 13] == 0
    np.testing.assert_array_equal(tidied > 0, (labels > 0) & (labels != 9))


def test_tidy_keeps_diagonal_neighbours_together() -> None:
    labels = np.eye(6, dtype=np.int32) * 4
    np.testing.assert_array_equal(layouts.tidy(labels, min_area=6), np.eye(6, dtype=np.int32))


def test_edge_distance_counts_from_the_border_between_labels() -> None:
    labels = np.ones((3, 6), dtype=np.int32)
    labels[:, 3:] = 2
    distance = layouts.edge_distance(labels)
    np.testing.assert_allclose(distance, [[2.5, 1.5, 0.5, 0.5, 1.5, 2.5]] * 3)


def test_edge_distance_without_any_border_is_large() -> None:
    assert (layouts.edge_distance(np.ones((5, 7), dtype=np.int32)) == 7).all()
