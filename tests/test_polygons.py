"""Polygons as pixels, and what they do to an object's mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fakes import FloodPredictor
from napari_pvpu.errors import PromptError
from napari_pvpu.polygons import exclusions, fill, fill_window, filled_in_view, middle, told_of
from napari_pvpu.prompts import Box, Click, Polygon, PriorMask, Scribble, prompt_from_json
from napari_pvpu.records import RawPrediction
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

TRIANGLE = ((0, 0), (0, 4), (4, 0))
SQUARE = ((10, 10), (10, 20), (20, 20), (20, 10))
FAR = ((40, 40), (40, 50), (50, 50), (50, 40))


# Pixels


def test_a_triangle_has_its_pixels_and_its_outline():
    wanted = [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert fill(TRIANGLE, (5, 5)).tolist() == np.array(wanted, bool).tolist()


def test_the_direction_in_which_it_is_drawn_does_not_matter():
    assert np.array_equal(fill(TRIANGLE, (5, 5)), fill(TRIANGLE[::-1], (5, 5)))


def test_a_hand_that_comes_round_twice_leaves_no_hole():
    twice = [(0, 0), (0, 6), (6, 6), (6, 0), (0, 0), (2, 2), (2, 8), (8, 8), (8, 2), (2, 2)]
    assert fill(twice, (9, 9))[3:6, 3:6].all()


def test_what_lies_beyond_the_raster_is_left_out():
    assert fill([(-5, -5), (-5, 50), (50, 50), (50, -5)], (3, 4)).all()
    assert not fill([(10, 10), (10, 12), (12, 11)], (3, 4)).any()
    assert fill_window(SQUARE, (15, 15, 25, 18))[:6].all()
    assert not fill_window(SQUARE, (15, 15, 25, 18))[6:].any()


def test_corners_may_be_far_away():
    far = [(-1e9, 2.0), (1e9, 2.0), (1e9, 4.0), (-1e9, 4.0)]
    wanted = np.zeros((5, 8), bool)
    wanted[:, 2:5] = True
    assert np.array_equal(fill(far, (5, 8)), wanted)


def test_a_sliver_between_pixel_centres_is_never_empty():
    assert fill([(1.2, 0), (1.3, 5), (1.4, 0)], (4, 6)).any()


corners = st.lists(
    st.tuples(st.floats(-3, 12, width=32), st.floats(-3, 12, width=32)), min_size=3, max_size=7
)


@given(corners)
@settings(max_examples=30, deadline=None)
def test_inside_is_where_the_line_winds_round(path):
    """Against the sum of angles under which the corners are seen, away from the line itself."""
    filled = fill(path, (10, 10))
    points = np.array(path)
    for row, col in np.ndindex(10, 10):
        ahead = points - (row, col)
        ends = np.roll(ahead, -1, axis=0)
        crossed = ahead[:, 0] * ends[:, 1] - ahead[:, 1] * ends[:, 0]
        turned = np.arctan2(crossed, (ahead * ends).sum(axis=1)).sum()
        along = ends - ahead
        share = -(ahead * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12)
        nearest = ahead + np.clip(share, 0, 1)[:, None] * along
        if np.hypot(*nearest.T).min() > 1:
            assert filled[row, col] == (abs(turned) > np.pi)


def test_a_view_shows_it_at_its_own_scale():
    view = View(0, 0, 64, 32)  # two data pixels to a model pixel
    shown = filled_in_view(SQUARE, view)
    assert shown.sum() == pytest.approx(25, abs=12)
    assert shown[7, 7]
    assert not shown[3, 3]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [(SQUARE, (15, 15)), (((0, 0), (0, 9), (60, 9), (60, 0)), (30, 4.5))],
    ids=["square", "long"],
)
def test_the_middle_is_deep_inside(path, wanted):
    row, col = middle(Polygon(path), (100, 100))
    assert col == pytest.approx(wanted[1], abs=1)
    assert fill_window(path, (round(row), round(col), round(row) + 1, round(col) + 1))[0, 0]


def test_the_middle_of_a_crescent_is_not_in_its_hollow():
    crescent = ((0, 0), (0, 30), (30, 30), (30, 0), (24, 0), (24, 24), (6, 24), (6, 0))
    row, col = middle(Polygon(crescent), (100, 100))
    assert fill_window(crescent, (round(row), round(col), round(row) + 1, round(col) + 1))[0, 0]
    assert not (6 < row < 24 and col < 24)


def test_the_middle_lies_in_the_image():
    row, col = middle(Polygon(((-60, 5), (-60, 15), (20, 15), (20, 5))), (100, 100))
    assert 0 <= row <= 20
    assert col == pytest.approx(10, abs=1.5)


# Prompts


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (((0, 0), (1, 1)), "at least three corners"),
        (((0, 0), (0, 5), (0, 9)), "no area"),
        (((0, 0), (0, np.nan), (3, 9)), "finite"),
        ("abc", "two numbers"),
    ],
)
def test_what_is_no_polygon_is_refused(path, words):
    with pytest.raises(PromptError, match=words):
        Polygon(path)


def test_json_without_flags_is_a_positive_outline():
    polygon = prompt_from_json({"type": "polygon", "path": [[0, 0], [0, 4], [4, 0]]})
    assert polygon == Polygon(TRIANGLE)
    assert (polygon.positive, polygon.filled) == (True, False)


def test_the_network_is_told_in_its_own_words():
    prior = PriorMask(np.ones((3, 3), bool))
    prompts = [
        Polygon(SQUARE, filled=True), Click((1, 2), False), Polygon(FAR, filled=True),
        Polygon(FAR), Polygon(FAR, positive=False), prior, Box((-5, 2), (8, 9)),
    ]  # fmt: skip
    box, click, mark, clipped = told_of(prompts, (60, 45))
    assert box == Box((10, 10), (20, 20))
    assert click is prompts[1]
    assert isinstance(mark, Click)
    assert 40 <= mark.position[1] <= 44.5
    assert clipped == Box((-0.5, 2), (8, 9))


# What they take out


def excluded(prompts, shape=(60, 60)):
    """Return where an object of these prompts may be, with the indices that say so."""
    found = exclusions(prompts)
    out = np.zeros(shape, bool)
    for each in found.values():
        out |= each.in_window((0, 0, *shape))
    return sorted(found), out


def test_an_outline_takes_out_what_is_outside():
    indices, out = excluded([Polygon(SQUARE)])
    assert indices == [0]
    assert not out[12:18, 12:18].any()
    assert out[30, 30]


def test_several_outlines_leave_what_is_in_any():
    indices, out = excluded([Polygon(SQUARE), Click((15, 15)), Polygon(FAR)])
    assert indices == [2]
    assert not out[15, 15]
    assert not out[45, 45]
    assert out[30, 30]


def test_a_negative_one_takes_out_what_is_inside():
    indices, out = excluded([Click((3, 3)), Polygon(SQUARE, positive=False, filled=True)])
    assert indices == [1]
    assert out[15, 15]
    assert not out[30, 30]


@pytest.mark.parametrize(
    ("later", "indices"),
    [
        (Click((30, 30)), []),
        (Scribble(((15, 15), (30, 30))), []),
        (Polygon(FAR, filled=True), []),
        (Click((15, 15)), [0]),
        (Click((30, 30), False), [0]),
        (Box((5, 5), (30, 30)), [0]),
    ],
    ids=["click", "scribble", "filled", "inside", "negative", "box"],
)
def test_an_outline_ends_where_the_user_goes_on_beyond_it(later, indices):
    assert excluded([Polygon(SQUARE), later])[0] == indices


def test_a_filled_polygon_takes_nothing_out():
    assert exclusions([Polygon(SQUARE, filled=True), PriorMask(np.ones((2, 2), bool))]) == {}


# In a session


class Reader(FloodPredictor):
    """Believes what was known before, grown by two pixels, as well as the prompts."""

    def decode(self, features, prompts, previous, propagation):
        logits = super().decode(features, prompts, previous, propagation).logits
        self.previous = previous
        if previous is not None and previous.any():
            logits[ndimage.binary_dilation(previous > 0.5, iterations=2)] = 6
        return RawPrediction(logits, None, 0.9, 1.0, 0.0)


@pytest.fixture
def session():
    image = np.zeros((64, 64), np.float32)
    image[:, :2] = 1  # far from all that is marked
    return Session(ImageSource(image), Reader())


def disk(row, col, radius):
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return tuple(zip(row + radius * np.sin(turn), col + radius * np.cos(turn), strict=True))


def test_an_outline_holds_the_mask_within_itself(session):
    session.add(Polygon(disk(30, 30, 10)))
    assert session.mask[30, 30]
    assert session.mask.sum() > 250
    assert not (session.mask & ~fill(disk(30, 30, 10), (64, 64))).any()


def test_a_filled_one_is_an_idea_that_the_network_may_go_beyond(session):
    session.add(Polygon(disk(30, 30, 10), filled=True))
    assert (session.mask & ~fill(disk(30, 30, 10), (64, 64))).any()


def test_a_negative_one_takes_its_inside_out_and_nothing_else(session):
    session.add(Polygon(disk(30, 30, 12)))
    before, asked = session.mask, len(session.predictor.decoded)
    session.add(Polygon(disk(30, 40, 6), positive=False))
    inside = fill(disk(30, 40, 6), (64, 64))
    assert np.array_equal(session.mask, before & ~inside)
    assert len(session.predictor.decoded) == asked  # no network for that
    session.add(Click((30, 41)))
    assert session.mask[30, 41]
    session.undo()
    session.undo()
    assert np.array_equal(session.mask, before)


def test_what_lies_outside_the_image_is_refused(session):
    with pytest.raises(PromptError, match="outside the image"):
        session.add(Polygon(disk(200, 200, 10)))
    assert session.prompts == ()


def test_it_is_named_in_the_history(session):
    session.add(Polygon(disk(30, 30, 10)))
    session.add(Polygon(disk(30, 40, 6), positive=False))
    session.add(Polygon(disk(20, 20, 6), filled=True))
    assert session.history == ("Polygon", "Negative polygon", "Filled polygon")
