"""The picture of what the simulated user does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_pvpu.networks.models import build_model
from napari_pvpu.training.datasets import Views
from napari_pvpu.training.habits import EXACT
from napari_pvpu.training.user_sheet import user_sheet
from small_presets import small_preset

SIZE = 64
GREEN, RED, YELLOW = (60, 255, 60), (255, 50, 50), (255, 220, 0)


def views(count: int = 3) -> Views:
    labels = torch.zeros(count, SIZE, SIZE, dtype=torch.int16)
    labels[:, 10:30, 8:28] = 1
    labels[:, 10:30, 30:50] = 2
    image = (labels > 0).float()[:, None].expand(-1, 3, -1, -1) * 0.5
    return Views(image.clone(), labels, torch.ones(count, dtype=torch.int16))


def count(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((sheet == colour).all(-1).sum())


@pytest.mark.parametrize(("rounds", "zoom"), [(1, 1), (3, 2)])
def test_rows_are_objects_and_columns_rounds(rounds: int, zoom: int) -> None:
    sheet = user_sheet(views(), rounds=rounds, zoom=zoom)
    panel = SIZE * zoom + 4
    assert sheet.shape == (3 * panel, rounds * panel, 3)
    assert sheet.dtype == np.uint8
    for row in range(3):
        for column in range(rounds):
            part = sheet[row * panel :, column * panel :][: panel - 4, : panel - 4]
            assert count(part, YELLOW) > 40 * zoom


@pytest.mark.parametrize("kind", range(3), ids=["click", "box", "scribble"])
def test_first_prompts_are_green_and_lie_on_the_object(kind: int) -> None:
    mix = tuple(float(k == kind) for k in range(3))
    habits = replace(EXACT, first=mix, box_noise=0.0)
    sheet = user_sheet(views(1), habits, rounds=1, priors=0.0, zoom=1)
    rows, cols = (sheet == GREEN).all(-1).nonzero()
    assert len(rows) >= 3
    assert (rows >= 8).all()
    assert (rows < 32).all()
    assert (cols >= 6).all()
    assert (cols < 30).all()


def test_negative_prompts_are_red_and_priors_tinted() -> None:
    habits = replace(EXACT, neighbour=1.0)
    sheet = user_sheet(views(2), habits, rounds=1, priors=0.5, zoom=1)
    blank, spoilt = sheet[: SIZE + 4], sheet[SIZE + 4 :]
    assert count(blank, RED) > 0

    def blue(part: np.ndarray) -> int:
        return int(((part[..., 2].astype(int) - part[..., 0]) > 60).sum())

    assert blue(blank) == 0
    assert blue(spoilt) > 20


def test_a_network_may_answer_and_nans_are_black() -> None:
    torch.manual_seed(0)
    network = build_model(small_preset("pvpu-nano")).eval()
    some = views(1)
    some.image[..., 50:] = torch.nan
    sheet = user_sheet(some, rounds=2, network=network, zoom=1, priors=0.0)
    assert (sheet[:SIZE, 56:SIZE] == 0).all()
    assert sheet.shape == (SIZE + 4, 2 * (SIZE + 4), 3)


def test_the_same_seed_gives_the_same_sheet() -> None:
    assert np.array_equal(user_sheet(views(), seed=3), user_sheet(views(), seed=3))
    assert not np.array_equal(user_sheet(views(), seed=3), user_sheet(views(), seed=4))


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"zoom": 0}])
def test_sheets_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="each has to be 1 or more"):
        user_sheet(views(), **wrong)
    with pytest.raises(ValueError, match="views are 0"):
        user_sheet(Views(*(field[:0] for field in views())))
