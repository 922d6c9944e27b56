"""Prompts as images: against a drawing pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.networks.prompt_maps import prompt_maps


def prompts_of(*items: tuple[int, bool, list[tuple[float, float]]]) -> PromptBatch:
    prompts = PromptBatch.empty(1, len(items), max(len(points) for _, _, points in items))
    for k, (kind, positive, points) in enumerate(items):
        prompts.points[0, k, : len(points)] = torch.tensor(points)
        prompts.valid[0, k, : len(points)] = True
        prompts.kind[0, k] = kind
        prompts.positive[0, k] = positive
    return prompts


def test_click_is_a_disk() -> None:
    prompts = prompts_of((CLICK, True, [(7, 4)]), (CLICK, False, [(20, 20)]))
    row, col = np.mgrid[:23, :23]
    maps = prompt_maps(prompts, 23).numpy()
    np.testing.assert_array_equal(maps[0, 0], (row - 7) ** 2 + (col - 4) ** 2 <= 25)
    np.testing.assert_array_equal(maps[0, 1], (row - 20) ** 2 + (col - 20) ** 2 <= 25)


def test_box_is_an_outline() -> None:
    maps = prompt_maps(prompts_of((BOX, False, [(12, 3), (4, 17)])), 19).numpy()[0]
    row, col = np.mgrid[:19, :19]
    outer = (row >= 3) & (row <= 13) & (col >= 2) & (col <= 18)
    inner = (row > 5) & (row < 11) & (col > 4) & (col < 16)
    assert maps[0].sum() == 0
    np.testing.assert_array_equal(maps[1], outer & ~inner)


def test_scribble_is_a_line() -> None:
    maps = prompt_maps(prompts_of((SCRIBBLE, True, [(5, 2), (5, 12)])), 17)[0]
    expected = torch.zeros(17, 17)
    expected[4:7, 1:14] = 1
    torch.testing.assert_close(maps[0], expected)


def test_all_kinds_in_a_batch() -> None:
    """Kinds and polarities do not disturb each other, nor do samples."""
    items = [
        (CLICK, True, [(3.0, 3.0)]),
        (BOX, True, [(8.0, 8.0), (20.0, 15.0)]),
        (SCRIBBLE, False, [(1.0, 18.0), (9.0, 22.0)]),
        (CLICK, False, [(4.0, 4.0)]),
        (EMPTY, True, [(0.0, 0.0)]),
    ]
    together = prompt_maps(prompts_of(*items), 25)
    apart = torch.stack([prompt_maps(prompts_of(item), 25) for item in items]).amax(0)
    torch.testing.assert_close(together, apart)
    double = PromptBatch(
        *(
            torch.cat([x, y])
            for x, y in zip(prompts_of(*items), PromptBatch.empty(1, 5), strict=True)
        )
    )
    maps = prompt_maps(double, 25)
    torch.testing.assert_close(maps[:1], together)
    assert maps[1].sum() == 0


def test_width_has_to_be_odd() -> None:
    with pytest.raises(ValueError, match="not 4"):
        prompt_maps(PromptBatch.empty(1, 1), 8, line_width=4)
