"""From logits in a view to a mask in the image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.drawing import draw, marked_pixels
from napari_pvpu.masks import MaskRules, outline, settle, sigmoid
from napari_pvpu.prompts import Box, Click, Scribble
from napari_pvpu.views import View

RULES = MaskRules()
SHAPE = (300, 400)


def disk(size, center, radius):
    rows, cols = np.mgrid[:size, :size]
    distance = np.hypot(rows - center[0], cols - center[1])
    return (2 * (radius - distance)).clip(-8, 8).astype(np.float32)


def drawn(logits, view, prompts=(), threshold=0.5, shape=SHAPE):
    return draw(
        settle(logits, view, prompts, shape, threshold, RULES), view, prompts, shape, threshold
    )


def whole(drawing, shape=SHAPE):
    mask = np.zeros(shape, bool)
    if drawing is not None:
        row0, col0, row1, col1 = drawing.box
        mask[row0:row1, col0:col1] = drawing.mask
    return mask


def test_sigmoid_does_not_overflow():
    assert sigmoid(np.array([-6e4, 0, 6e4], np.float16)).tolist() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("extent", [64, 91, 128, 256])
def test_a_disk_is_drawn_where_the_view_says(extent):
    view = View(20, 30, extent)
    mask = whole(drawn(disk(128, (60, 70), 30), view))
    rows, cols = np.nonzero(mask)
    center = view.to_data((60, 70))
    assert (rows.mean(), cols.mean()) == pytest.approx(tuple(center), abs=0.1 / view.scale + 0.1)
    assert mask.sum() == pytest.approx(math.pi * (30 / view.scale) ** 2, rel=0.02)


def test_a_view_of_one_to_one_is_drawn_as_it_is():
    logits = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    settled = settle(logits, View(10, 10, 128), (), SHAPE, 0.5, MaskRules(speck_share=0))
    assert np.array_equal(
        whole(draw(settled, View(10, 10, 128), (), SHAPE, 0.5))[10:138, 10:138], logits > 0
    )


def test_nothing_is_drawn_outside_the_image():
    drawing = drawn(np.full((128, 128), 9, np.float32), View(-64, 350, 128))
    assert drawing.box == (0, 350, 64, 400)
    assert drawing.mask.all()


def test_an_empty_mask_has_no_drawing():
    assert drawn(np.full((128, 128), -9, np.float32), View(0, 0, 128)) is None


@given(
    st.floats(0.02, 0.98),
    st.sampled_from([32, 64, 128, 362, 1024]),
    st.lists(
        st.tuples(st.floats(-0.5, 299.5), st.floats(-0.5, 399.5), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 2**32 - 1),
)
def test_clicked_pixels_end_on_their_side(threshold, extent, clicks, seed):
    logits = np.random.default_rng(seed).normal(scale=9, size=(128, 128)).astype(np.float16)
    view = View(40, 50, extent)
    prompts = [Click((row, col), positive) for row, col, positive in clicks]
    mask = whole(drawn(logits, view, prompts, threshold))
    sides = {}
    for prompt in prompts:  # the later of two clicks on one pixel wins
        row, col = np.minimum(np.floor(np.add(prompt.position, 0.5)), (299, 399)).astype(int)
        sides[row, col] = prompt.positive
    for pixel, positive in sides.items():
        assert mask[pixel] == positive


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("extent", [64, 128, 724])
def test_pixels_under_a_scribble_end_on_its_side(positive, extent):
    line = Scribble([(50, 60), (90, 100), (90, 140)], positive)
    logits = np.full((128, 128), -9 if positive else 9, np.float32)
    mask = whole(drawn(logits, View(0, 0, extent), [line]))
    assert (mask[50:91, 60:141][np.eye(41, 81, dtype=bool)] == positive).all()
    assert (mask[90, 100:141] == positive).all()


def test_a_click_moves_a_dot_not_a_single_pixel():
    mask = whole(drawn(np.full((128, 128), -9, np.float32), View(0, 0, 256), [Click((100, 100))]))
    assert 9 <= mask.sum() <= 45
    assert mask[99:102, 99:102].all()


def test_the_later_prompt_wins():
    logits = np.full((128, 128), -9, np.float32)
    line, click = Scribble([(50, 20), (50, 90)]), Click((50, 60), False)
    assert not whole(drawn(logits, View(0, 0, 128), [line, click]))[50, 60]
    assert whole(drawn(logits, View(0, 0, 128), [click, line]))[50, 60]


def test_specks_without_prompts_are_dropped():
    logits = np.maximum(disk(128, (60, 60), 20), disk(128, (20, 100), 4))
    view = View(0, 0, 128)
    assert not whole(drawn(logits, view, [Click((60, 60))]))[20, 100]
    assert whole(drawn(logits, view, [Click((60, 60)), Click((20, 100))]))[18:23, 98:103].all()


def test_large_parts_without_prompts_stay():
    logits = np.maximum(disk(128, (60, 40), 20), disk(128, (60, 100), 15))
    assert whole(drawn(logits, View(0, 0, 128), [Click((60, 40))]))[60, 100]


def test_a_small_object_under_the_prompt_stays_beside_a_large_one():
    logits = np.maximum(disk(128, (60, 40), 25), disk(128, (60, 100), 4))
    mask = whole(drawn(logits, View(0, 0, 128), [Click((60, 100))]))
    assert mask[60, 100]
    assert mask[57, 100]


def test_outline():
    view = View(100, 200, 64, 128)
    settled = np.full((128, 128), -5, np.float32)
    assert outline(settled, view, SHAPE, 0.5) == (None, (False,) * 4)
    settled[10:20, 40:128] = 5
    bounds, touched = outline(settled, view, SHAPE, 0.5)
    assert bounds == (105, 220, 109, 263)
    assert touched == (False, False, False, True)
    assert outline(settled, view, (300, 264), 0.5)[1] == (False,) * 4


def test_marked_pixels():
    assert marked_pixels(Click((3.5, 2.4)), (9, 9)).tolist() == [[4, 2]]
    assert marked_pixels(Click((8.5, -0.5)), (9, 9)).tolist() == [[8, 0]]
    line = {tuple(pixel) for pixel in marked_pixels(Scribble([(2, 7), (2, 12)]), (9, 9)).tolist()}
    assert line == {(2, 7), (2, 8)}
    assert len(marked_pixels(Box((1, 1), (4, 4)), (9, 9))) == 0
