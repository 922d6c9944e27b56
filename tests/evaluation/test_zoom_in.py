from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.evaluation.zoom_in import (
    ZOOM_RULES,
    CropView,
    ZoomIn,
    crop_overlap,
    object_crop,
)
from napari_pvpu.prompts import Box, Click, Scribble

RITM, SIMPLECLICK = ZOOM_RULES["ritm"], ZOOM_RULES["simpleclick"]
WHOLE = (0, 0, 1000, 1200)


def probability(*rects: tuple[int, int, int, int], shape=(1000, 1200)) -> np.ndarray:
    out = np.zeros(shape, np.float32)
    for top, left, bottom, right in rects:
        out[top:bottom, left:right] = 0.9
    return out


@pytest.mark.parametrize(
    ("seen", "prompts", "expected"),
    [
        # 100 rows: 200 at least around 149.5; 200 columns: 280 around 199.5; halves to even.
        ((100, 100, 200, 300), (), (50, 60, 251, 341)),
        # 1.4 * 300 = 420 around 449.5 and 549.5.
        ((300, 400, 600, 700), (), (240, 340, 661, 761)),
        ((0, 0, 100, 100), (), (0, 0, 151, 151)),
        ((900, 1100, 1000, 1200), (), (850, 1050, 1000, 1200)),
        ((300, 400, 600, 700), (Click((800, 450), False),), (240, 340, 661, 761)),
        # A positive click in row 799: 500 rows from 300, 700 around 549.5.
        ((300, 400, 600, 700), (Click((799, 450)),), (200, 340, 901, 761)),
        ((300, 400, 600, 700), (Box((299.5, 399.5), (799.5, 699.5)),), (198, 338, 901, 761)),
        ((300, 400, 600, 700), (Scribble(((799, 450), (400, 450))),), (200, 340, 901, 761)),
    ],
    ids=["least", "ratio", "corner", "far-corner", "negative", "positive", "box", "scribble"],
)
def test_crops(seen, prompts, expected) -> None:
    assert object_crop(seen, prompts, WHOLE, RITM) == expected


def test_an_image_smaller_than_the_least_crop_is_seen_whole() -> None:
    assert object_crop((20, 20, 30, 30), (), (0, 0, 90, 110), RITM) == (0, 0, 90, 110)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ((0, 0, 10, 10), 1.0),
        ((5, 0, 15, 20), 5 / 15 * 10 / 20),
        ((0, 10, 10, 20), 0.0),
        ((2, 2, 8, 8), 0.36),
    ],
    ids=["same", "shifted", "touching", "inside"],
)
def test_overlap_is_the_product_over_axes(second, expected) -> None:
    assert crop_overlap((0, 0, 10, 10), second) == pytest.approx(expected)


def test_without_zoom_the_image_is_seen_whole() -> None:
    zoom = ZoomIn((1000, 1200), ZOOM_RULES["none"])
    clicks = [Click((350, 450))]
    assert zoom.next_crop(None, clicks) == WHOLE
    assert zoom.next_crop(probability((300, 400, 400, 500)), clicks * 3) == WHOLE


def test_ritm_crops_from_the_second_click_on() -> None:
    zoom = ZoomIn((1000, 1200), RITM)
    clicks = [Click((350, 450))]
    assert zoom.next_crop(None, clicks) == WHOLE
    seen = probability((300, 400, 600, 700))
    assert zoom.next_crop(seen, clicks * 2) == (240, 340, 661, 761)


def test_ritm_sees_the_whole_image_while_nothing_is_predicted() -> None:
    zoom = ZoomIn((1000, 1200), RITM)
    assert zoom.next_crop(probability(), [Click((350, 450))] * 2) == WHOLE
    half = np.full((1000, 1200), 0.5, np.float32)  # the rule says above one half
    assert zoom.next_crop(half, [Click((350, 450))] * 2) == WHOLE


def test_simpleclick_keeps_the_whole_image_while_it_overlaps_the_crop() -> None:
    zoom = ZoomIn((1000, 1200), SIMPLECLICK)
    clicks = [Click((500, 600))]
    assert zoom.next_crop(None, clicks) == WHOLE
    # 700 * 980 of 1000 * 1200 pixels are 0.57 of it.
    assert zoom.next_crop(probability((250, 250, 750, 950)), clicks * 2) == WHOLE
    # 700 * 840 are 0.49.
    assert zoom.next_crop(probability((250, 300, 750, 900)), clicks * 3) == (150, 180, 851, 1021)


@pytest.mark.parametrize(
    ("seen", "click", "moves"),
    [
        ((310, 410, 610, 710), Click((400, 500)), False),
        ((300, 400, 500, 600), Click((400, 500)), True),
        ((300, 400, 600, 700), Click((100, 500), False), False),
        ((300, 400, 600, 700), Click((700, 500)), True),
        ((301, 400, 601, 700), Click((659, 500)), False),
        ((301, 400, 601, 700), Click((660, 500)), True),
    ],
    ids=["little", "much", "negative-outside", "positive-outside", "last-but-one", "last-row"],
)
def test_a_crop_is_kept_until_it_fits_no_more(seen, click: Click, moves: bool) -> None:
    zoom = ZoomIn((1000, 1200), RITM)
    clicks = [Click((400, 500))] * 2
    first = zoom.next_crop(probability((300, 400, 600, 700)), clicks)
    assert first == (240, 340, 661, 761)
    again = zoom.next_crop(probability(seen), [*clicks, click])
    assert (again != first) == moves


def test_what_the_network_sees_of_a_tall_crop() -> None:
    image = np.arange(24, dtype=np.float32).reshape(6, 4)
    nan = np.nan
    expected = np.array([[nan, 5, 6, nan], [nan, 9, 10, nan], [nan, 13, 14, nan]])
    expected = np.concatenate([expected, [[nan, 17, 18, nan]]])
    view = CropView((1, 1, 5, 3), 4, stretch=False)
    np.testing.assert_array_equal(view.read(image, np.nan), expected)
    assert view.prompt_to_view(Click((1, 1), False)) == Click((0, 1), False)
    assert view.prompt_to_view(Box((0.5, 0.5), (4.5, 2.5))) == Box((-0.5, 0.5), (3.5, 2.5))
    np.testing.assert_array_equal(view.write_back(expected.astype(np.float32)), image[1:5, 1:3])


def test_what_the_network_sees_of_a_stretched_crop() -> None:
    image = np.array([[0.0, 4.0]] * 4, np.float32)
    view = CropView((0, 0, 4, 2), 4, stretch=True)
    np.testing.assert_allclose(view.read(image, np.nan), [[0, 1, 3, 4]] * 4)
    assert view.spacing == (1.0, 0.5)
    assert view.prompt_to_view(Click((2, 1))) == Click((2, 2.5))
    path = Scribble(((0, 0), (3, 1)))
    assert view.prompt_to_view(path) == Scribble(((0, 0.5), (3, 2.5)))


def test_what_is_said_beside_the_crop_has_no_part_in_it() -> None:
    view = CropView((0, 0, 40, 20), 8, stretch=False)
    answer = np.full((8, 8), -9, np.float32)
    answer[:, 2:6] = 1
    np.testing.assert_array_equal(view.write_back(answer), np.ones((40, 20)))


@given(
    top=st.integers(0, 30),
    left=st.integers(0, 30),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size=st.sampled_from([8, 15, 32]),
    stretch=st.booleans(),
)
def test_planes_survive_there_and_back(top, left, height, width, size, stretch) -> None:
    """A constant stays one; model pixels outside the crop are marked, the others finite."""
    view = CropView((top, left, top + height, left + width), size, stretch)
    seen = view.read(np.full((2, 90, 90), 3, np.float32), np.nan)
    assert seen.shape == (2, size, size)
    known = ~np.isnan(seen)
    assert known.any()
    assert not stretch or known.all()
    back = view.write_back(np.nan_to_num(seen[0], nan=-1))
    assert back.shape == (height, width)
    np.testing.assert_allclose(back, 3, rtol=1e-5)


@given(rows=st.integers(20, 60), cols=st.integers(20, 60), stretch=st.booleans())
def test_prompts_land_where_their_pixels_do(rows, cols, stretch) -> None:
    """A ramp read through the view says at each model pixel which image pixel it shows."""
    ramp = np.broadcast_to(np.arange(90, dtype=np.float32)[:, None], (90, 90))
    view = CropView((10, 15, 10 + rows, 15 + cols), 20, stretch)
    seen = view.read(ramp, np.nan)
    row = 10 + rows // 2
    at = view.prompt_to_view(Click((row, 15 + cols // 2)))
    assert isinstance(at, Click)
    known = np.flatnonzero(~np.isnan(seen).all(axis=1))
    shown = np.interp(at.position[0], known, np.nanmax(seen[known], axis=1))
    assert shown == pytest.approx(row, abs=0.15)
