"""Tests of contact sheets."""

from __future__ import annotations

import numpy as np
import torch

from napari_pvpu.training.datasets import Views
from napari_pvpu.training.scenes import SceneBatch
from napari_pvpu.training.scenes.sheet import outlined, scene_sheet, tiled, view_sheet


def square(size: int = 20) -> SceneBatch:
    labels = torch.zeros(3, size, size, dtype=torch.int16)
    labels[:, 4:14, 4:14] = 1
    parts = torch.zeros_like(labels)
    parts[:, 7:11, 7:11] = 1
    image = torch.full((3, 3, size, size), 0.5)
    return SceneBatch(image, labels, parts, torch.zeros(3, dtype=torch.long))


def test_scenes_stand_beside_their_outlines() -> None:
    sheet = scene_sheet(square(), columns=4, border=2)
    assert sheet.shape == (2 * 22 - 2, 4 * 22 - 2, 3)
    assert sheet.dtype == np.uint8
    assert (sheet[:20, :20] == 128).all()
    second = sheet[:20, 22:42]
    assert second[4, 8].tolist() == [255, 60, 60]
    assert second[7, 8].tolist() == [60, 220, 255]
    assert second[9, 5].tolist() == [128, 128, 128]


def test_without_outlines_each_scene_takes_one_tile() -> None:
    sheet = scene_sheet(square(), columns=8, outlines=False, border=0)
    assert sheet.shape == (20, 60, 3)
    assert (sheet == 128).all()


def test_views_show_target_and_what_lies_outside() -> None:
    image = torch.rand(1, 3, 16, 16)
    image[:, :, :, :3] = torch.nan
    labels = torch.zeros(1, 16, 16, dtype=torch.int16)
    labels[:, 5:10, 5:10] = 4
    labels[:, 12:15, 5:10] = 2
    before = image.clone()
    sheet = view_sheet(Views(image, labels, torch.tensor([4], dtype=torch.int16)))
    assert sheet[0, 0].tolist() == [90, 40, 110]
    assert sheet[5, 7].tolist() == [255, 230, 0]
    assert sheet[12, 7].tolist() != [255, 230, 0]
    torch.testing.assert_close(image, before, equal_nan=True)


def test_an_outline_is_drawn_inside_and_on_a_copy() -> None:
    picture = np.zeros((6, 6, 3), np.uint8)
    labels = np.zeros((6, 6), np.int16)
    labels[1:5, 1:5] = 1
    marked = outlined(picture, labels, (9, 8, 7))
    assert int((marked == (9, 8, 7)).all(2).sum()) == 12
    assert not picture.any()


def test_a_sheet_of_few_tiles_is_not_wider_than_they_are() -> None:
    assert tiled([np.zeros((4, 5, 3), np.uint8)] * 2, 8, border=1).shape == (4, 11, 3)
