"""What a correction may change of a mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_pvpu.corrections import confine, corrects, hold, known_before
from napari_pvpu.masks import MaskRules
from napari_pvpu.prompts import Box, Click, Scribble
from napari_pvpu.views import View

VIEW = View(0, 0, 64, 64)
RULES = MaskRules()


def square(row0, row1, col0=10, col1=50, size=64):
    logits = np.full((size, size), -6, np.float32)
    logits[row0:row1, col0:col1] = 6
    return logits


@pytest.mark.parametrize(
    ("positive", "expected"),
    [(True, [6, 6, 6, -6]), (False, [-6, 6, -6, -6])],
    ids=["grows", "shrinks"],
)
def test_hold_keeps_what_a_mark_cannot_have_meant(positive, expected):
    before = np.array([[6, 6, -6, -6]], np.float32)
    now = np.array([[-6, 6, 6, -6]], np.float32)
    assert hold(now, before, positive, 0.5).tolist() == [expected]


@pytest.mark.parametrize("positive", [True, False])
def test_hold_takes_the_new_answer_where_nothing_was_known(positive):
    now = np.array([[-6, 6]], np.float32)
    assert hold(now, np.full((1, 2), np.nan, np.float32), positive, 0.5).tolist() == now.tolist()


def test_a_mark_changes_its_neighbourhood_and_nothing_beyond_its_reach():
    # The mask ends at row 40, truly at row 37; the new answer shrinks it all around.
    before, now = square(10, 40), square(12, 37, 12, 48)
    rules = replace(RULES, negative_reach=(5.0,), reach_margin=0.0)
    got = confine(now, before, VIEW, [Click((38, 30), False)], 2, 0.5, rules) > 0
    # The click lies two pixels inside: it reaches ten.
    assert not got[37:40, 28:33].any()
    assert got[10:12, 10:50].all()
    assert got[37:40, 10:18].all()
    assert got[37:40, 42:50].all()


def test_a_deep_mark_reaches_everything():
    before, now = square(10, 50, 20, 40), square(10, 30, 20, 40)
    got = confine(now, before, VIEW, [Click((40, 30), False)], 2, 0.5, RULES)
    assert ((got > 0) == (now > 0)).all()


@pytest.mark.parametrize(("count", "rows"), [(2, 10), (3, 5), (9, 5)])
def test_later_marks_reach_less_far(count, rows):
    before, now = square(0, 20, 0, 64), square(0, 60, 0, 64)
    click = Click((20, 30))  # one pixel outside the mask
    rules = replace(RULES, reach=(10.0, 5.0), layer=(100.0, 100.0), reach_margin=0.0)
    got = confine(now, before, VIEW, [click], count, 0.5, rules) > 0
    reached = np.flatnonzero(got[:, 30])[-1] - 20
    assert rows - 2 <= reached <= rows


@pytest.mark.parametrize(("positive", "layers"), [(True, 3), (False, 2)])
def test_a_mark_changes_a_layer_along_the_border_and_nothing_behind_it(positive, layers):
    before = square(10, 40)
    now = square(10, 60) if positive else square(10, 20)
    click = Click((43, 30), True) if positive else Click((36, 30), False)  # 4 pixels from it
    rules = replace(RULES, reach_margin=0.0)
    got = confine(now, before, VIEW, [click], 3, 0.5, rules) > 0
    moved = abs(np.flatnonzero(got[:, 30])[-1] - 39)
    assert 4 * layers - 3 <= moved <= 4 * layers


@pytest.mark.parametrize("positive", [True, False], ids=["inside", "outside"])
@pytest.mark.parametrize("kind", ["click", "scribble"])
def test_a_mark_that_missed_changes_the_border_beside_it_a_little(kind, positive):
    before = square(10, 40)
    now = square(4, 46, 4, 56) if positive else square(16, 34, 16, 44)
    row = 36 if positive else 43  # four pixels from the border below
    mark = Click((row, 30), positive)
    if kind == "scribble":
        mark = Scribble([(row, 28), (row, 32)], positive)
    rules = replace(RULES, missed=0.5, reach=(6.0,), negative_reach=(6.0,), layer=(2.0, 2.0))
    got = confine(now, before, VIEW, [mark], 3, 0.5, rules) > 0
    changed = got != (before > 0)
    rows, cols = np.nonzero(changed)
    below = range(40, 44) if positive else range(36, 40)
    assert changed[40 if positive else 39, 30]
    assert set(rows) <= set(below), "two of its sizes deep, which are two pixels"
    assert cols.min() >= 28 - 12
    assert cols.max() <= 32 + 12


@pytest.mark.parametrize("positive", [True, False])
def test_a_mark_that_missed_by_far_changes_nothing(positive):
    before = square(20, 60, 0, 60)
    before[:, 60:] = np.nan
    now = -square(20, 60, 0, 64)
    mark = Click((40, 30), True) if positive else Click((3, 30), False)
    got = confine(now, before, VIEW, [mark], 3, 0.5, replace(RULES, missed_most=16.0))
    assert (got[:, :60] == before[:, :60]).all()
    assert (got[:, 60:] == now[:, 60:]).all(), "but for what was not seen before"


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("level", [-6, 6], ids=["nothing", "everything"])
def test_without_a_border_the_new_answer_holds(level, positive):
    before, now = np.full((64, 64), level, np.float32), square(5, 60)
    assert confine(now, before, VIEW, [Click((20, 30), positive)], 3, 0.5, RULES) is now


def test_the_deepest_place_of_a_scribble_counts():
    before, now = square(10, 20), square(10, 60)
    line = Scribble([(20, 30), (40, 30)])
    got = confine(now, before, VIEW, [line], 3, 0.5, RULES) > 0
    assert got[20:45, 28:33].all()


def test_what_was_not_seen_before_comes_from_the_new_answer():
    before = square(10, 40)
    before[:, 40:] = np.nan
    now = square(10, 60, 10, 64)
    got = confine(now, before, VIEW, [Click((41, 20))], 3, 0.5, RULES) > 0
    assert (got[:, 40:] == (now[:, 40:] > 0)).all()


def test_the_mask_before_is_shown_in_the_new_view():
    before = np.full((4, 4), 6, np.float32)
    assert known_before(before, View(0, 0, 4, 4), View(0, 0, 4, 4)) is before
    shown = known_before(before, View(0, 0, 4, 4), View(0, 0, 8, 4))
    assert (shown[:2, :2] == 6).all()
    assert np.isnan(shown[2:]).all()
    assert np.isnan(shown[:, 2:]).all()


@pytest.mark.parametrize("positive", [True, False])
def test_where_the_answer_is_in_doubt_a_click_decides(positive):
    sign = 1 if positive else -1
    before = sign * square(40, 64, 0, 64)  # a mark on row 35 lies five rows from the border
    now = np.where(before > 0, 6, -6).astype(np.float32)
    now[20:40] = -0.4 * sign  # not quite
    rules = replace(RULES, reach_margin=0.0, layer=(99.0, 99.0), lift=1.0, lift_reach=2.0)
    got = confine(now, before, VIEW, [Click((35, 30), positive)], 3, 0.5, rules)
    # A logit at the mark, nothing ten rows from it, 0.4 of one at six.
    turned = np.flatnonzero(sign * got[:40, 30] > 0)
    assert turned.min() == 30
    assert turned.max() == 39
    far = confine(now, before, VIEW, [Click((35, 30), positive)], 3, 0.5, replace(rules, lift=0))
    assert not (sign * far[:40, 30] > 0).any()


@pytest.mark.parametrize("positive", [True, False])
def test_a_scribble_changes_what_is_beside_its_line(positive):
    before = square(40, 64, 0, 64) if positive else square(10, 64, 0, 64)
    now = square(10, 64, 0, 64) if positive else square(40, 64, 0, 64)
    row = 30 if positive else 19  # ten pixels from the border
    line = Scribble([(row, 20), (row, 40)], positive)
    rules = replace(RULES, scribble_reach=1.0)
    got = confine(now, before, VIEW, [line], 2, 0.5, rules) > 0
    rows, cols = np.nonzero(got != (before > 0))
    assert row - 10 < rows.min() < row - 6
    assert row + 6 < rows.max() < row + 10
    assert 10 < cols.min() < 14
    assert 46 < cols.max() < 50


@pytest.mark.parametrize("positive", [True, False])
def test_a_box_changes_what_is_inside_and_hardly_more(positive):
    before = square(30, 64, 0, 64)
    now = square(0, 64, 0, 64) if positive else np.full((64, 64), -6, np.float32)
    box = Box((10, 10), (50, 30), positive)  # two pixels are a tenth of its width
    got = confine(now, before, VIEW, [box], 3, 0.5, replace(RULES, box_reach=0.1)) > 0
    changed = got != (before > 0)
    there = before <= 0 if positive else before > 0
    assert changed[11:50, 11:30][there[11:50, 11:30]].all()
    changed[8:53, 8:33] = False
    assert not changed.any()


@pytest.mark.parametrize("positive", [True, False])
def test_in_a_box_its_side_is_taken_in_doubt(positive):
    sign = 1 if positive else -1
    before = sign * square(40, 64, 0, 64)
    now = before.copy()
    now[10:40] = -1.5 * sign
    box = Box((20, 20), (39, 40), positive)
    got = sign * confine(now, before, VIEW, [box], 3, 0.5, replace(RULES, box_lift=2.0)) > 0
    assert got[21:39, 21:39].all()
    assert not got[:17].any()
    sure = np.where(np.abs(now) < 2, 2 * now, now)
    got = sign * confine(sure, before, VIEW, [box], 3, 0.5, replace(RULES, box_lift=2.0)) > 0
    assert not got[:40].any()


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (Box((8, 8), (42, 52)), True),
        (Box((10, 10), (26, 50)), True),
        (Box((10, 10), (22, 50)), False),
        (Box((40, 10), (50, 50)), False),
        (Box((8, 8), (42, 52), positive=False), False),
    ],
    ids=["all", "more than half", "less than half", "beside", "negative"],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_box_around_most_of_the_mask_is_no_correction(mark, expected, first):
    assert corrects([mark], square(10, 40), VIEW, 0.5, first) is not expected


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([Click((20, 20))], True),
        ([Click((50, 20))], False),
        ([Click((50, 20), False)], True),
        ([Click((20, 20), False)], False),
        ([Scribble([(20, 20), (30, 20)])], True),
        ([Scribble([(20, 20), (50, 20)])], False),
        ([Click((20, 20)), Click((50, 20))], False),
        ([Click((20, 20)), Box((45, 8), (60, 52))], False),
    ],
    ids=["on it", "off it", "-off it", "-on it", "line on it", "across", "two", "with a box"],
)
def test_first_marks_on_the_right_side_are_no_correction(marks, expected):
    assert corrects(marks, square(10, 40), VIEW, 0.5, first=True) is not expected
    assert corrects(marks, square(10, 40), VIEW, 0.5, first=False)


def test_a_scribble_decides_nothing_beside_itself():
    before, now = square(40, 64, 0, 64), square(40, 64, 0, 64)
    now[20:40] = -0.4
    line = Scribble([(25, 30), (38, 30)])
    got = confine(now, before, VIEW, [line], 3, 0.5, RULES)
    assert not (got[:40] > 0).any()
