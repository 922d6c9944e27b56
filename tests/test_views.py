"""A window of the image, and what lies where in it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.prompts import Box, Click, Scribble
from napari_pvpu.views import View
from view_strategies import LADDER


def test_pixel_centres_map_to_pixel_centres():
    view = View(row=10, col=20, extent=64, size=128)
    # The first data pixel covers model pixels 0 and 1, so its centre lies between them.
    assert view.to_view((10, 20)).tolist() == [0.5, 0.5]
    assert view.to_view((73, 83)).tolist() == [126.5, 126.5]
    assert View(10, 20, 128).to_view([(10, 20), (137, 147)]).tolist() == [[0, 0], [127, 127]]
    assert View(0, 0, 256).to_data((0, 0)).tolist() == [0.5, 0.5]


@given(
    st.builds(View, st.integers(-999, 999), st.integers(-999, 999), st.sampled_from(LADDER)),
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1),
)
def test_to_data_undoes_to_view(view, points):
    assert np.allclose(view.to_data(view.to_view(points)), points, atol=1e-6)


def test_prompts_move_with_the_view():
    view = View(8, 16, 64, 128)
    assert view.prompt_to_view(Click((8, 16), False)) == Click((0.5, 0.5), False)
    assert view.prompt_to_view(Scribble([(8, 16), (9, 16)])) == Scribble([(0.5, 0.5), (2.5, 0.5)])
    assert view.prompt_to_view(Box((8, 16), (9, 18))) == Box((0.5, 0.5), (2.5, 4.5))


def test_the_border_of_the_image_is_no_reason_to_zoom_out():
    shape = (128, 512)
    assert View(0, 0, 128).inner_edges(shape) == (False, False, False, True)
