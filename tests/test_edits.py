"""Masks are changed by hand as drawn, at the image's edges too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_pvpu import edits
from napari_pvpu.errors import SessionError
from napari_pvpu.prompts import Click, Scribble

masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def mask_of(text):
    return np.array([[mark == "#" for mark in line] for line in text.split()])


def text_of(mask):
    return ["".join(".#"[value] for value in row) for row in mask.astype(int)]


RING = """
.......
.#####.
.#...#.
.#.###.
.#.#.#.
.#####.
"""


def test_holes_are_filled_up_to_an_area():
    ring = mask_of(RING)
    assert edits.fill_holes(ring).sum() == 25
    small = edits.fill_holes(ring, 1)
    assert text_of(small & ~ring) == [*["......."] * 4, "....#..", "......."]
    assert np.array_equal(edits.fill_holes(ring, 5), edits.fill_holes(ring))


def test_growing_is_round():
    dot = np.zeros((7, 7), bool)
    dot[3, 3] = True
    assert text_of(edits.grow(dot, 2)) == [
        ".......",
        "...#...",
        "..###..",
        ".#####.",
        "..###..",
        "...#...",
        ".......",
    ]


def test_an_object_cut_by_the_image_does_not_shrink_from_its_edge():
    half = mask_of("####. ####. ####. .....")
    assert text_of(edits.shrink(half, 1)) == ["###..", "###..", ".....", "....."]
    assert edits.shrink(np.ones((3, 3), bool), 5).all()


def test_nothing_grows_from_nothing():
    assert not edits.grow(np.zeros((4, 4), bool), 9).any()


@given(masks, st.floats(0.5, 4))
def test_growing_adds_and_shrinking_takes(mask, pixels):
    assert (edits.grow(mask, pixels) >= mask).all()
    assert (edits.shrink(mask, pixels) <= mask).all()
    assert (edits.fill_holes(mask) >= mask).all()
    assert (edits.remove_small(mask, 3) <= mask).all()


@given(masks, st.integers(1, 3))
def test_shrinking_the_object_is_growing_the_outside(mask, pixels):
    assert np.array_equal(edits.shrink(mask, pixels), ~edits.grow(~mask, pixels)) or mask.all()


def test_smoothing_takes_spikes_and_keeps_disks():
    rows, cols = np.mgrid[:41, :41]
    disk = np.hypot(rows - 20, cols - 20) <= 12
    spiked = disk.copy()
    spiked[20, 30:40] = True
    smooth = edits.smooth(spiked, 2)
    assert not smooth[20, 36:].any()
    assert (smooth ^ disk).sum() < 0.06 * disk.sum()


def test_small_parts_go():
    mask = mask_of("#.### ..### #....")
    assert text_of(edits.remove_small(mask, 2)) == ["..###", "..###", "....."]
    assert edits.remove_small(mask_of("#. .#"), 2).sum() == 2, "corners touch"


LABELS = np.array([[0, 1, 1, 2], [0, 1, 2, 2], [0, 0, 0, 2]], np.uint16)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("keep", [[0, 1, 1, 2], [3, 1, 2, 2], [3, 3, 3, 2]]),
        ("ask", [[0, 1, 1, 2], [3, 1, 2, 2], [3, 3, 3, 2]]),
        ("overwrite", [[0, 1, 1, 2], [3, 3, 3, 3], [3, 3, 3, 3]]),
    ],
)
def test_the_overlap_rule_says_whose_pixels_are(rule, expected):
    mask = np.zeros((3, 4), bool)
    mask[1:] = True
    after, contested = edits.place(LABELS, mask, 3, rule)
    assert after.tolist() == expected
    assert after.dtype == np.uint16
    assert contested == {1: 1, 2: 3}


def test_an_object_leaves_what_is_outside_its_new_mask():
    mask = np.zeros((3, 4), bool)
    mask[0, 0] = True
    after, contested = edits.place(LABELS, mask, 1, "keep")
    assert after.tolist() == [[1, 0, 0, 2], [0, 0, 2, 2], [0, 0, 0, 2]]
    assert contested == {}


BAR = np.pad(np.ones((6, 20), bool), 2)


def test_a_stroke_across_cuts_in_two():
    pieces = edits.split(BAR, [Scribble([(0, 8), (9, 8)], False)], 0, 0)
    assert np.array_equal(pieces > 0, BAR)
    assert [(pieces == number).sum() for number in (1, 2)] in ([78, 42], [84, 36])
    assert set(pieces[BAR & (np.arange(24) > 8)]) == {1}
    assert set(pieces[:, :8][BAR[:, :8]]) == {2}


def test_a_diagonal_stroke_cuts_too():
    pieces = edits.split(BAR, [Scribble([(0, 4), (9, 16)])], 0, 0)
    assert pieces.max() == 2


def test_windows_have_their_own_origin():
    here = edits.split(BAR, [Scribble([(0, 8), (9, 8)])], 0, 0)
    there = edits.split(BAR, [Scribble([(100, 58), (109, 58)])], 100, 50)
    assert np.array_equal(here, there)


@pytest.mark.parametrize(
    "stroke",
    [
        pytest.param(Scribble([(0, 8), (5, 8)]), id="half-way"),
        pytest.param(Scribble([(0, 0), (0, 20)]), id="beside"),
        pytest.param(Click((5, 8)), id="a-dot"),
        pytest.param(Scribble([(-50, -50), (-40, -50)]), id="far-away"),
    ],
)
def test_a_stroke_that_cuts_nothing_is_refused(stroke):
    with pytest.raises(SessionError, match="right across"):
        edits.split(BAR, [stroke], 0, 0)


def test_parts_that_the_stroke_does_not_touch_stay_with_the_largest_piece():
    mask = np.pad(BAR, ((0, 6), (0, 0)))
    mask[12:14, 2:5] = True
    pieces = edits.split(mask, [Scribble([(0, 8), (9, 8)])], 0, 0)
    assert pieces.max() == 2
    assert (pieces[12:14, 2:5] == 1).all()


def test_slivers_of_a_wavering_stroke_are_no_pieces():
    stroke = Scribble([(0, 8), (4, 8), (4, 9), (5, 9), (5, 7), (4, 7), (9, 8)])
    assert edits.split(BAR, [stroke], 0, 0).max() == 2


def dumbbell():
    rows, cols = np.mgrid[:30, :60]
    lobes = [np.hypot(rows - 15, cols - col) <= 11 for col in (16, 42)]
    return lobes[0] | lobes[1], lobes


def test_seeds_split_at_the_neck():
    both, (left, _) = dumbbell()
    strokes = [Scribble([(15, 10), (15, 14)]), Click((12, 48))]
    pieces = edits.split(both, strokes, 0, 0)
    of_left = pieces == pieces[15, 12]
    assert (of_left ^ (left & (np.arange(60) < 29))).sum() <= 12
    assert np.array_equal(pieces > 0, both)


def test_three_seeds_give_three_pieces():
    seeds = [Click((5, col)) for col in (4, 11, 19)]
    assert edits.split(BAR, seeds, 0, 0).max() == 3


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param([Click((5, 5)), Click((0, 0))], id="outside"),
        pytest.param([Click((5, 5)), Click((5, 5))], id="twice-the-same"),
    ],
)
def test_seeds_have_to_lie_in_the_object(seeds):
    with pytest.raises(SessionError, match="through the object"):
        edits.split(BAR, seeds, 0, 0)


@given(masks, st.lists(st.tuples(st.floats(0, 11), st.floats(0, 11)), min_size=2, max_size=4))
def test_pieces_make_up_the_object(mask, path):
    try:
        pieces = edits.split(mask, [Scribble(path)], 0, 0)
    except SessionError:
        return
    assert np.array_equal(pieces > 0, mask)
    areas = np.bincount(pieces.ravel())[1:]
    assert len(areas) >= 2
    assert (areas > 0).all()
    assert (np.diff(areas) <= 0).all()
