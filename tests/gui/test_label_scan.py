"""A layer looked through in pieces, and what is told of it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu.napari_side import label_scan
from napari_pvpu.napari_side.label_scan import LabelScan, joined, size_of, windows_of

pytestmark = pytest.mark.gui


def part(*ends: tuple[int, int]) -> tuple[slice, ...]:
    return tuple(slice(*each) for each in ends)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 7), (2, 2, 2, 3), (1, 1), (40,)])
@pytest.mark.parametrize("block", [1, 6, 10, 1000])
def test_pieces_cover_a_window_once(monkeypatch, shape, block) -> None:
    monkeypatch.setattr(label_scan, "BLOCK", block)
    seen = np.zeros(shape, int)
    pieces = list(windows_of(part(*((0, length) for length in shape))))
    for piece in pieces:
        seen[piece] += 1
        assert size_of(piece) <= max(block, shape[-1])
    assert (seen == 1).all()


def test_joined_windows() -> None:
    assert joined(part((1, 2), (5, 6)), part((0, 1), (5, 9))) == part((0, 2), (5, 9))


@pytest.fixture
def look(qapp, qtbot):
    """Look through a changed array of 8 x 8 zeros; return the windows that are told of."""

    def look(changed, *, ready=lambda: True):
        def compare(window):
            rows, cols = np.nonzero(changed[window])
            top, left = (each.start for each in window)
            if len(rows):
                ends = [(top + rows.min(), top + rows.max() + 1)]
                return part(*ends, (left + cols.min(), left + cols.max() + 1))
            return None

        found = []
        scan = LabelScan(compare, ready)
        scan.ended.connect(lambda: found.append(scan.take()))
        scan.begin(windows_of(part((0, 8), (0, 8))), 64)
        qtbot.waitUntil(lambda: not scan.pending and not scan._timer.isActive())
        return found

    return look


def changed_at(*places) -> np.ndarray:
    changed = np.zeros((8, 8), bool)
    changed[tuple(np.array(places).T)] = True
    return changed


@pytest.mark.parametrize("at_once", [0, 10**6], ids=["in pieces", "at once"])
def test_what_differs_is_one_window(look, monkeypatch, at_once) -> None:
    monkeypatch.setattr(label_scan, "AT_ONCE", at_once)
    monkeypatch.setattr(label_scan, "BLOCK", 8)
    assert look(changed_at((1, 2), (6, 5))) == [part((1, 7), (2, 6))]


def test_what_is_too_far_apart_is_told_one_by_one(look, monkeypatch) -> None:
    monkeypatch.setattr(label_scan, "BLOCK", 8)
    monkeypatch.setattr(label_scan, "MOST_JOINED", 6)
    found = look(changed_at((0, 0), (1, 1), (7, 7)))
    assert found == [part((0, 2), (0, 2)), part((7, 8), (7, 8))]


def test_nothing_is_told_of_what_is_as_it_should_be(look) -> None:
    assert look(np.zeros((8, 8), bool)) == []


def test_it_waits_until_it_can_compare(look) -> None:
    answers = iter([False, False])
    found = look(changed_at((3, 3)), ready=lambda: next(answers, True))
    assert found == [part((3, 4), (3, 4))]
