"""More that somebody does in front of napari: to accepted objects, by keys, in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable

    from gestures import Hand

__all__ = ["ON_OBJECTS"]

Key = Qt.Key
SHIFT = Qt.KeyboardModifier.ShiftModifier
ARROWS = (Key.Key_Up, Key.Key_Down, Key.Key_Left, Key.Key_Right)


def objects_layer(hand: Hand) -> Any:
    """Return the layer of accepted objects, if it can be written to now."""
    work = hand.controller.workspace
    if work is None or work.results is None or not hand.controller.wait():
        return None
    layer = work.results.layer
    return layer if layer in hand.viewer.layers and layer.editable else None


def paint_labels(hand: Hand) -> str | None:
    """Take one of napari's own tools to the layer of accepted objects."""
    layer = objects_layer(hand)
    if layer is None:
        return None
    hand.viewer.layers.selection.active = layer
    mode = hand.chance.choice(["paint", "paint", "erase", "fill", "polygon"])
    layer.mode, layer.brush_size = mode, hand.chance.choice([1, 4, 9])
    if hand.chance.random() < 0.3:
        hand.mouse.press_key(Key.Key_M)
    if hand.chance.random() < 0.2:
        layer.selected_label = hand.chance.randint(0, 6)
    if mode == "fill":
        where: Any = hand.somewhere()
        hand.mouse.click(where)
    elif mode == "polygon":
        where = hand.corners()
        for corner in where[:-1]:
            hand.mouse.click(corner)
        hand.mouse.double_click(where[-1])
    else:
        where = hand.path()
        hand.mouse.drag(where)
    return f"{mode} {where} with {layer.selected_label}"


def write_labels(hand: Hand) -> str | None:
    """Change that layer from the console."""
    layer = objects_layer(hand)
    if layer is None:
        return None
    how = hand.chance.choice(["undo", "redo", "data", "setitem", "assigned"])
    number, (height, width) = hand.chance.randint(0, 6), hand.size()
    plane = tuple(hand.chance.randrange(length) for length in layer.data.shape[:-2])
    row, col = (int(each) for each in hand.somewhere())
    if how in ("undo", "redo"):
        getattr(layer, how)()
    elif how == "data":
        layer.data[(*plane, slice(row, row + height), slice(col, col + width))] = number
        layer.refresh()
    elif how == "setitem":
        layer.data_setitem(tuple(np.array([each]) for each in (*plane, row, col)), number)
    else:
        layer.data = np.roll(layer.data, number, axis=-1)
    return f"{how} {plane} {(row, col)} {(height, width)} {number}"


def look_through(hand: Hand) -> str:
    """Go to the next object that is uncertain, or back, or leave one out."""
    name = hand.chance.choice(["next_uncertain", "next_uncertain", "previous_uncertain", "skip"])
    hand.press(name)
    return name


def at_cursor(hand: Hand) -> str | None:
    """Use a key on what is under the mouse."""
    where = hand.on_object()
    if where is None:
        return None
    name = hand.chance.choice(["open_at_cursor", "merge_at_cursor"])
    hand.mouse._move(hand.mouse.on_canvas(where), Qt.KeyboardModifier.NoModifier,
                     Qt.MouseButton.NoButton)  # fmt: skip
    QTest.qWait(8)
    hand.press(name)
    return f"{name} {where}"


def relabel(hand: Hand) -> str:
    """Ask for another number; the question is answered by whoever answers questions."""
    hand.press("relabel_object")
    return ""


def by_keyboard(hand: Hand) -> str | None:
    """Mark with the cross that arrow keys move."""
    tool = hand.chance.choice(["click", "box", "scribble", "lasso", "polygon", "paint"])
    if not hand.controller.wait() or not hand.take(tool):
        return None
    hand.press("keyboard_cursor")
    keys = [hand.chance.choice(ARROWS) for _ in range(hand.chance.randint(1, 6))]
    hand.mouse.press_key(Key.Key_Space, *[SHIFT] * (hand.chance.random() < 0.2))
    for key in keys:
        hand.mouse.press_key(key)
        if tool == "polygon":
            hand.mouse.press_key(Key.Key_Space)
    hand.mouse.press_key(hand.chance.choice([Key.Key_Space, Key.Key_Return]))
    if hand.chance.random() < 0.2:
        hand.mouse.press_key(Key.Key_Escape)
    if hand.controller.key_cursor.shown:
        hand.press("keyboard_cursor")
    return f"{tool}, {len(keys)} arrows"


def carry(hand: Hand) -> str | None:
    """Carry an object to other planes, or say where it ends, or what it is in this one."""
    if hand.viewer.dims.ndim < 3:
        return None
    name = hand.chance.choice(["propagate", "propagate", "end_here", "accept_into"])
    hand.press(name)
    return name


def fill_polygons(hand: Hand) -> str:
    """Turn what a polygon means."""
    hand.press("toggle_filled_polygons")
    return ""


def keep_off(hand: Hand) -> str | None:
    """Have objects leave out what is labelled in somebody's layer, or allow it again."""
    names = [layer.name for layer in hand.viewer.layers]
    if "theirs" not in names:
        work = hand.controller.workspace
        if work is None or work.results is None:
            return None
        labels = np.zeros_like(work.results.layer.data)
        (row, col), (height, width) = hand.somewhere(), hand.size()
        labels[..., int(row) : int(row + height), int(col) : int(col + width)] = 1
        hand.viewer.add_labels(labels, name="theirs", scale=work.image.scale)
        hand.viewer.layers["theirs"].visible = False
    hand.controller.keep_off(hand.viewer.layers["theirs"])
    return ""


def solid(hand: Hand) -> str:
    """Look at the image in 3-D for a moment."""
    hand.viewer.dims.ndisplay = 3
    QApplication.processEvents()
    hand.press(hand.chance.choice(["accept", "undo", "use_clicks"]))
    hand.viewer.dims.ndisplay = 2
    QTest.qWait(5)
    return ""


def drop_objects(hand: Hand) -> str | None:
    """Delete or rename the layer of accepted objects, which comes back."""
    layer = objects_layer(hand)
    if layer is None:
        return None
    if hand.chance.random() < 0.5:
        layer.name = "something else"
        return "renamed"
    hand.viewer.layers.remove(layer)
    QTest.qWait(20)
    return "removed"


ON_OBJECTS: dict[str, tuple[Callable[[Hand], str | None], int]] = {
    "paint labels": (paint_labels, 5),
    "write labels": (write_labels, 3),
    "look through": (look_through, 3),
    "at cursor": (at_cursor, 2),
    "relabel": (relabel, 1),
    "by keyboard": (by_keyboard, 2),
    "carry": (carry, 2),
    "fill polygons": (fill_polygons, 1),
    "keep off": (keep_off, 1),
    "solid": (solid, 1),
    "drop objects": (drop_objects, 1),
}
"""What there is to do, and how often; see `gestures.GESTURES`."""
