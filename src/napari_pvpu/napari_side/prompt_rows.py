"""One prompt as one row of a layer, in both directions, and how the rows look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from napari.layers import Points, Shapes

from napari_pvpu.errors import PromptError
from napari_pvpu.napari_side.geometry import placement
from napari_pvpu.napari_side.spare_rows import put_points
from napari_pvpu.prompts import Box, Click, Polygon, Prompt, Scribble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.napari_side.frame import Frame

__all__ = [
    "COLORS",
    "NEGATIVE",
    "POSITIVE",
    "UNORDERED",
    "PromptLayer",
    "dress",
    "filled_rows",
    "make_layers",
    "opposite",
    "points_of_rows",
    "prompt_of_row",
    "rows_of",
    "set_defaults",
    "set_sizes",
    "write_rows",
]

PromptLayer: TypeAlias = Points | Shapes

POSITIVE, NEGATIVE = "positive", "negative"
COLORS = {POSITIVE: "#2d8cff", NEGATIVE: "#ff8c1a"}
"""Blue and orange: told apart with every kind of colour vision, and on grey."""

TRANSPARENT = "#00000000"
FILLING = 0x38
"""Opacity, of 255, of what a filled polygon is filled with."""

POLYGON_MODES = ("add_polygon", "add_polygon_lasso")

SYMBOLS = {POSITIVE: "disc", NEGATIVE: "x"}

MARKER_PIXELS, LINE_PIXELS = 15, 3
"""Size of a click and thickness of a line on the screen."""

UNORDERED = -1
"""`order` of a row that is being drawn, or has been drawn and not been seen yet."""


def make_layers(frame: Frame) -> tuple[Points, Shapes]:
    """Return empty layers for clicks and for strokes that lie where the image lies."""
    ndim, there = frame.ndim, placement(frame.image)
    clicks = Points(ndim=ndim, name="Clicks", border_color="white", border_width=0.1, **there)
    strokes = Shapes(ndim=ndim, name="Boxes and scribbles", opacity=0.9, **there)
    for layer in (clicks, strokes):
        frame.place(layer)
        layer.features = _table(layer, (), (), ())
    return clicks, strokes


def rows_of(layer: PromptLayer) -> list[tuple[str, int]]:
    """Return (polarity, order) of each row.

    The table can be longer than the data for a moment: napari forgets to shorten it when a
    stroke is given up half-way.
    """
    table = layer.features.iloc[: len(layer.data)]
    polarity = (NEGATIVE if value == NEGATIVE else POSITIVE for value in table["polarity"])
    return list(zip(polarity, (int(order) for order in table["order"]), strict=True))


def filled_rows(layer: Shapes) -> list[bool]:
    """Return of each row whether it is a filled polygon."""
    table = layer.features.iloc[: len(layer.data)]
    pairs = zip(table["filled"], layer.shape_type, strict=True)
    return [bool(filled) and kind == "polygon" for filled, kind in pairs]


def opposite(polarity: str) -> str:
    """Return the other polarity."""
    return NEGATIVE if polarity == POSITIVE else POSITIVE


def points_of_rows(
    layer: PromptLayer, indices: Sequence[int], frame: Frame
) -> list[npt.NDArray[np.float64]]:
    """Return the points of several rows, each (n, 2), (row, col) in pixels of the image.

    All at once: the way from one layer to the other takes long to find.
    """
    if not indices:
        return []
    rows = [np.atleast_2d(layer.data[index]) for index in indices]
    points = frame.read(np.concatenate(rows), layer)
    return np.split(points, np.cumsum([len(row) for row in rows])[:-1])


def prompt_of_row(
    layer: PromptLayer,
    index: int,
    polarity: str,
    points: npt.NDArray[np.float64],
    frame: Frame,
) -> Prompt:
    """Read a row, whose points `points_of_rows` has returned, as a prompt in pixels of the image.

    Points are clicks, lines and paths are scribbles, polygons are polygons, anything else is the
    box around it.

    Raises
    ------
    PromptError
        If it has no area, is a single point, or lies wholly outside the image.
    """
    positive = polarity == POSITIVE
    if isinstance(layer, Points):
        prompt: Prompt = Click(tuple(points[0]), positive)
    elif layer.shape_type[index] in ("line", "path"):
        moved = np.any(np.diff(points, axis=0) != 0, axis=1)
        prompt = Scribble(points[np.concatenate([[True], moved])], positive)
    elif layer.shape_type[index] == "polygon":
        # napari leaves the mouse's last position behind the last corner.
        moved = np.any(points != np.roll(points, 1, axis=0), axis=1)
        corners = tuple((float(row), float(col)) for row, col in points[moved])
        prompt = Polygon(corners, positive, filled_rows(layer)[index])
    else:
        prompt = Box(tuple(points.min(axis=0)), tuple(points.max(axis=0)), positive)
    row0, col0, row1, col1 = prompt.bounds
    last = np.subtract(frame.shape, 0.5)
    if (np.less((row1, col1), -0.5) | np.greater((row0, col0), last)).any():
        raise PromptError(
            f"that {type(prompt).__name__.lower()} lies outside the image and was removed; "
            "draw inside the image"
        )
    return prompt


def write_rows(
    layer: PromptLayer, prompts: Sequence[Click | Scribble | Box | Polygon], frame: Frame
) -> int:
    """Make these prompts the layer's rows; all of them must fit the layer's kind.

    Returns
    -------
    int
        How many rows out of use follow, see `spare_rows`.
    """
    spare = 0
    layer.selected_data = set()
    if isinstance(layer, Points):
        if prompts or len(layer.data):
            places = frame.write([prompt.bounds[:2] for prompt in prompts], layer)
            spare = put_points(layer, places)
    else:
        if len(layer.data):
            layer.data = []
        if prompts:
            layer.add([_shape_of(prompt, frame, layer) for prompt in prompts])
    layer.selected_data = set()
    return spare


def dress(
    layer: PromptLayer,
    polarity: Sequence[str],
    orders: Sequence[int],
    filled: Sequence[bool] | None = None,
) -> None:
    """Set the features of all rows, and the colours and symbols that go with them.

    `filled` says which strokes are filled polygons; by default those that are so already.

    What is there already is not set again: napari refreshes the layer, and much around it, each
    time.
    """
    known = [] if isinstance(layer, Points) else filled_rows(layer)
    filled = known if filled is None or isinstance(layer, Points) else list(filled)
    rows = list(zip(polarity, orders, strict=True))
    if len(layer.features) != len(orders) or rows_of(layer) != rows or known != filled:
        layer.features = _table(layer, polarity, orders, filled)
    if not len(polarity):
        return
    colors = [COLORS[value] for value in polarity]
    if isinstance(layer, Points):
        if not _colored(layer.face_color, colors):
            layer.face_color = colors
        symbols = [SYMBOLS[value] for value in polarity]
        if [str(symbol) for symbol in layer.symbol] != symbols:
            layer.symbol = symbols
    else:
        if not _colored(layer.edge_color, colors):
            layer.edge_color = colors
        faces = [_face(value, full) for value, full in zip(polarity, filled, strict=True)]
        if not _colored(layer.face_color, faces):
            layer.face_color = faces


def set_sizes(layer: PromptLayer, pixel: float) -> None:
    """Give all rows the same size on the screen, on which a pixel is `pixel` data pixels wide.

    napari has limits for the size on the screen, but draws no clean border at the limit.
    """
    with layer.block_update_properties():
        if isinstance(layer, Points):
            layer.current_size = MARKER_PIXELS * pixel
            if len(layer.data):
                layer.size = MARKER_PIXELS * pixel
        else:
            layer.current_edge_width = LINE_PIXELS * pixel
            if layer.nshapes:
                layer.edge_width = [LINE_PIXELS * pixel] * layer.nshapes


def set_defaults(layer: PromptLayer, polarity: str, filled: bool = False) -> None:
    """Make the next row one of this polarity; rows that exist stay as they are.

    A polygon that is drawn next is filled if `filled`.
    """
    defaults = layer.feature_defaults
    wanted = _table(layer, [polarity], [UNORDERED], [filled])
    with layer.block_update_properties():
        if any(defaults[name].iloc[0] != value[0] for name, value in wanted.items()):
            layer.feature_defaults = wanted
        color = f"{COLORS[polarity]}ff"  # with alpha, as napari writes it
        if isinstance(layer, Points):
            looks = {"face_color": color, "symbol": SYMBOLS[polarity]}
        else:
            full = filled and str(layer.mode) in POLYGON_MODES
            looks = {"face_color": _face(polarity, full), "edge_color": color}
        for name, value in looks.items():
            if str(getattr(layer, f"current_{name}")) != value:
                setattr(layer, f"current_{name}", value)


def _colored(rgba: Any, colors: Sequence[str]) -> bool:
    """Tell whether rows (n, 4) have these colours, ``#rrggbb`` or ``#rrggbbaa``."""
    wanted = [[*bytes.fromhex(f"{color[1:]}ff"[:8])] for color in colors]
    rgba = np.asarray(rgba)
    return len(rgba) == len(wanted) and np.allclose(rgba, np.divide(wanted, 255), atol=1e-3)


def _face(polarity: str, filled: bool) -> str:
    return f"{COLORS[polarity]}{FILLING:02x}" if filled else TRANSPARENT


def _table(
    layer: PromptLayer, polarity: Sequence[str], orders: Sequence[int], filled: Sequence[bool]
) -> dict[str, Any]:
    """Return a table of features."""
    table = {"polarity": np.array(polarity, object), "order": np.array(orders, int)}
    return table if isinstance(layer, Points) else {**table, "filled": np.array(filled, bool)}


def _shape_of(prompt: Any, frame: Frame, layer: Shapes) -> tuple[Any, str]:
    if isinstance(prompt, Scribble | Polygon):
        kind = "path" if isinstance(prompt, Scribble) else "polygon"
        return frame.write(prompt.path, layer), kind
    (top, left), (bottom, right) = prompt.start, prompt.stop
    corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return frame.write(corners, layer), "rectangle"
