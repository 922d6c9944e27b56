"""Images of any shape with a box in each, and the extents that views have."""

from __future__ import annotations

from hypothesis import strategies as st

LADDER = [round(128 * 2 ** (k / 2)) for k in range(-6, 30)]

shapes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@st.composite
def bounds_in(draw, shape):
    sides = []
    for length in shape:
        two = [draw(st.floats(-0.5, length - 0.5)) for _ in range(2)]
        sides.append(sorted(two))
    return (sides[0][0], sides[1][0], sides[0][1], sides[1][1])


@st.composite
def scenes(draw):
    shape = draw(shapes)
    return shape, draw(bounds_in(shape))
