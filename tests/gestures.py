"""Somebody in front of napari who does whatever comes to mind, with a real mouse and real keys.

What is done follows from a seed alone, so that anything odd can be had again.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSlider, QApplication, QPushButton

from gestures_on_objects import ON_OBJECTS
from napari_pvpu.prompts import Click

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_pvpu.napari_side.panel import Panel

__all__ = ["Hand", "Shown"]

ALT = Qt.KeyboardModifier.AltModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
NO_KEY = Qt.KeyboardModifier.NoModifier
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
Key = Qt.Key

TAKES = {
    "click": "use_clicks",
    "box": "use_boxes",
    "scribble": "use_scribbles",
    "lasso": "use_lasso",
    "polygon": "use_polygons",
    "paint": "use_paint",
}
"""What takes up a tool."""

EDITS = ("fill_holes", "smooth_object", "grow_object", "shrink_object", "delete_object",
         "remove_small_parts")  # fmt: skip
IMPATIENT = ("accept", "undo", "redo", "reset", "toggle_value_propagation", "delete_object")


class Shown:
    """An image layer as the mouse sees it: positions in the plane that is shown."""

    def __init__(self, viewer: Viewer, image: Any) -> None:
        self._viewer, self._image = viewer, image

    def data_to_world(self, position: tuple[float, float]) -> Any:
        ahead = self._image.ndim - 2
        here = np.array(self._image.world_to_data(self._viewer.dims.point[-self._image.ndim :]))
        return self._image.data_to_world([*here[:ahead], *position])[-2:]


class Hand:
    """Does one gesture after the other.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        On the screen.
    panel : Panel
        Docked in it.
    mouse : Mouse
        Over the image, whose positions are those of `Shown`.
    seed : int
        Of everything that is left to chance.
    """

    def __init__(self, viewer: Viewer, panel: Panel, mouse: Any, seed: int) -> None:
        self.viewer, self.panel, self.mouse = viewer, panel, mouse
        self.controller = panel.controller
        self.story: list[str] = []
        """What has been done, for whoever has to find out what went wrong."""
        self.chance, self._answers = Random(seed), Random(seed)
        """Where everything comes from that is left to chance."""
        self._dialogs = QTimer()
        self._dialogs.setInterval(20)
        self._dialogs.timeout.connect(self._answer)
        self._dialogs.start()

    def close(self) -> None:
        """Answer no more questions."""
        self._dialogs.stop()

    def act(self) -> str:
        """Do something that can be done now; return what it was."""
        while True:
            [gesture] = self.chance.choices(list(GESTURES), [each[1] for each in GESTURES.values()])
            done = GESTURES[gesture][0](self)
            if done is not None:
                self.story.append(f"{gesture} {done}".strip())
                return self.story[-1]

    def rest(self) -> bool:
        """Let everything be answered, or (False) go on at once, as quick people do."""
        if self.chance.random() < 0.25:
            QTest.qWait(1)
            return False
        QTest.qWait(5)
        assert self.controller.wait(), "an answer that never came"
        return True

    # Drawing

    def click(self) -> str:
        """Click somewhere, of either polarity, in any of the ways there are."""
        if not self.take("click"):
            return "- no tool"
        where = self.somewhere()
        how = self.chance.choice(["", "", "shift", "control", "right button"])
        keys = {"shift": SHIFT, "control": CONTROL}.get(how, NO_KEY)
        button = RIGHT if how == "right button" else LEFT
        self.mouse.click(where, keys, button)
        return f"{where} {how}"

    def double_click(self) -> str:
        if not self.take("click"):
            return "- no tool"
        where = self.somewhere()
        self.mouse.double_click(where)
        return str(where)

    def box(self) -> str:
        if not self.take("box"):
            return "- no tool"
        (row, col), (height, width) = self.somewhere(), self.size()
        negative = self.chance.random() < 0.2
        corner = self._inside(row + height, col + width)
        self.mouse.drag([(row, col), corner], SHIFT if negative else NO_KEY)
        return f"{(row, col)} to {corner}{' negative' if negative else ''}"

    def scribble(self) -> str:
        if not self.take("scribble"):
            return "- no tool"
        path = self.path()
        negative = self.chance.random() < 0.3
        self.mouse.drag(path, SHIFT if negative else NO_KEY)
        return f"{path}{' negative' if negative else ''}"

    def lasso(self) -> str:
        if not self.take("lasso"):
            return "- no tool"
        corners = self.corners()
        self.mouse.drag([*corners, corners[0]])
        return str(corners)

    def polygon(self) -> str:
        if not self.take("polygon"):
            return "- no tool"
        corners = self.corners()
        for corner in corners[:-1]:
            self.mouse.click(corner)
        self.mouse.double_click(corners[-1])
        return str(corners)

    def paint(self) -> str:
        """Paint, or erase, with napari's own brush."""
        if not self.take("paint"):
            return "- no tool"
        erase = self.chance.random() < 0.3
        if erase:
            self.mouse.press_key(Key.Key_E)
        path = self.path()
        self.mouse.drag(path)
        return f"{path}{' erase' if erase else ''}"

    def hold(self) -> str | None:
        """Make several marks with a key held down, to be answered at once."""
        text = self.controller.shortcuts.key("hold") if self._known("hold") else ""
        if not text or not self.take("click"):
            return None
        keys = QKeySequence.fromString(text)[0]
        places = [self.somewhere() for _ in range(self.chance.randint(1, 3))]
        canvas = self.mouse._canvas.native
        QTest.keyPress(canvas, keys.key(), keys.keyboardModifiers())
        for place in places:
            self.mouse.click(place)
        QTest.keyRelease(canvas, keys.key(), keys.keyboardModifiers())
        return str(places)

    def batch(self) -> str | None:
        """Turn batches on or off, in which each mark is an object."""
        return "" if self._known("toggle_batch") and self.press("toggle_batch") else None

    def stray_box(self) -> str:
        """Click with the box tool, which is no box."""
        if not self.take("box"):
            return "- no tool"
        where = self.somewhere()
        self.mouse.click(where)
        return str(where)

    def move_prompt(self) -> str | None:
        """Take hold of a click and drag it elsewhere."""
        found = self._selectable()
        if found is None:
            return None
        where, to = found, self.somewhere()
        self.mouse.drag([where, to])
        self.press("use_clicks")
        return f"{where} to {to}"

    def delete_prompt(self) -> str | None:
        """Take hold of a click and delete it."""
        found = self._selectable()
        if found is None:
            return None
        self.mouse.click(found)
        self.mouse.press_key(Key.Key_Backspace)
        self.press("use_clicks")
        return str(found)

    def turn_prompt(self) -> str | None:
        """Take hold of a click and turn its polarity round."""
        found = self._selectable()
        if found is None:
            return None
        self.mouse.click(found)
        self.press("toggle_polarity")
        self.press("use_clicks")
        return str(found)

    # Steps

    def accept(self) -> str:
        if self.chance.random() < 0.5 and self.panel.accept.isEnabled():
            QTest.mouseClick(self.panel.accept, LEFT)
            return "by its button"
        self.press("accept")
        return "by its key"

    def impatient(self) -> str | None:
        """Click, accept, and press another key while accepting still waits for the answer."""
        if not self.take("click"):
            return None
        where = self.somewhere()
        name = self.chance.choice(IMPATIENT)
        self.mouse.click(where)
        QTimer.singleShot(0, partial(self.press, name))
        self.press("accept")
        return f"{where}, {name}"

    def undo(self) -> str:
        self.press("undo")
        return ""

    def redo(self) -> str:
        self.press("redo")
        return ""

    def undo_many(self) -> str:
        count = self.chance.randint(2, 6)
        for _ in range(count):
            self.press("undo")
        again = self.chance.randint(0, count)
        for _ in range(again):
            self.press("redo")
        return f"{count}, redo {again}"

    def jump(self) -> str | None:
        """Click on a step of the history."""
        steps = self.panel.history.steps
        if steps.count() < 2:
            return None
        item = steps.item(self.chance.randrange(max(steps.count() - 12, 0), steps.count()))
        text = f"to {item.text()!r}, row {steps.row(item)} of {steps.count()}"
        steps.scrollToItem(item)
        where = steps.visualItemRect(item).center()
        QTest.mouseClick(steps.viewport(), LEFT, NO_KEY, where)
        return text

    def reset(self) -> str:
        self.press("reset")
        return ""

    # Settings

    def turn_polarity(self) -> str:
        self.press("toggle_polarity")
        return ""

    def turn_em(self) -> str:
        if self.chance.random() < 0.5:
            QTest.mouseClick(self.panel.propagation, LEFT, NO_KEY, QPoint(8, 8))
            return "by its switch"
        self.press("toggle_value_propagation")
        return "by its key"

    def threshold(self) -> str:
        return self._slide(self.panel.threshold)

    def smoothing(self) -> str:
        return self._slide(self.panel.mask.smoothing)

    def smallest_part(self) -> str:
        return self._slide(self.panel.mask.min_size)

    def overlap(self) -> str:
        combo = self.panel.mask.overlap
        QTest.keyClick(combo, self.chance.choice([Key.Key_Up, Key.Key_Down]))
        return str(combo.currentText())

    def show_overlay(self) -> str:
        name = self.chance.choice(sorted(self.panel.mask.overlays))
        box = self.panel.mask.overlays[name]
        QTest.mouseClick(box, LEFT, NO_KEY, QPoint(8, box.height() // 2))
        return f"{name} {'on' if box.isChecked() else 'off'}"

    def return_to_best(self) -> str | None:
        if not self.panel.mask.best.isEnabled():
            return None
        QTest.mouseClick(self.panel.mask.best, LEFT)
        return ""

    # Objects

    def open_object(self) -> str | None:
        where = self.on_object()
        if where is None:
            return None
        self.mouse.click(where, ALT)
        return str(where)

    def merge(self) -> str | None:
        where = self.on_object()
        if where is None:
            return None
        self.mouse.click(where, ALT | SHIFT)
        return str(where)

    def edit(self) -> str:
        name = self.chance.choice(EDITS)
        self.press(name)
        return name

    def split(self) -> str:
        self.press("split_object")
        path = self.path()
        self.mouse.drag(path)
        return str(path)

    # The viewer

    def other_plane(self) -> str | None:
        if self.viewer.dims.ndim < 3:
            return None
        key = self.chance.choice([Key.Key_Left, Key.Key_Right])
        self.mouse.press_key(key)
        return str(self.viewer.dims.current_step[:-2])

    def other_image(self) -> str | None:
        """Leave the image for another one, and come back."""
        if len(self.controller.images) < 2:
            return None
        names = [image.name for image in self.controller.images]
        combo = self.panel.image
        there = self.chance.choice(names)
        index = combo.findText(there)
        combo.setCurrentIndex(index)
        combo.activated.emit(index)
        return there

    def drop_layer(self) -> str | None:
        """Delete a layer of ours, which pauses, and take up a tool again."""
        work = self.controller.workspace
        if work is None:
            return None
        layer = self.chance.choice([*work.prompts.layers, work.preview.layer])
        name = layer.name
        self.viewer.layers.remove(layer)
        QTest.qWait(20)
        QTest.mouseClick(next(iter(self.panel.tools.values())), LEFT)
        return str(name)

    # Inside

    def press(self, action: str) -> bool:
        """Press the key of an action; False if it has none."""
        known = self.controller.shortcuts
        text = known.key(action) if action in known.defaults else ""
        if not text:
            return False
        keys = QKeySequence.fromString(text.replace("Enter", "Return"))[0]
        self.mouse.press_key(keys.key(), keys.keyboardModifiers())
        return True

    def take(self, tool: str) -> bool:
        """Take up a tool by its key, or by its button if no layer of marks has the keyboard."""
        now = self.controller.tool
        if now is None or now.value == "paint":
            button = next((each for t, each in self.panel.tools.items() if t.value == tool), None)
            if button is None:
                return False
            QTest.mouseClick(button, LEFT)
        else:
            self.press(TAKES[tool])
        return self.controller.tool is not None and self.controller.tool.value == tool

    def _known(self, action: str) -> bool:
        return action in self.controller.shortcuts.defaults

    def _selectable(self) -> tuple[float, float] | None:
        """Take up napari's own tool for selecting; return where one of the clicks is."""
        work = self.controller.workspace
        if work is None or not self.controller.wait() or not self.take("click"):
            return None
        clicks = [prompt for prompt in work.prompts.read() if isinstance(prompt, Click)]
        if not clicks:
            return None
        self.mouse.press_key(Key.Key_S)
        row, col = self.chance.choice(clicks).position
        return (row, col)

    def _slide(self, slider: Any) -> str:
        """Move a slider a little by the keyboard."""
        inner = slider.findChild(QAbstractSlider)
        key = self.chance.choice([Key.Key_Left, Key.Key_Right])
        for _ in range(self.chance.randint(1, 8)):
            QTest.keyClick(inner, key)
        return f"{slider.value():g}"

    def on_object(self) -> tuple[float, float] | None:
        """Return a pixel of an accepted object in this plane."""
        work = self.controller.workspace
        if work is None or work.session is None or not self.controller.wait():
            return None
        session = work.session
        places = np.argwhere(session.labels[work.frame.plane] > 0)
        if not len(places):
            return None
        row, col = places[self.chance.randrange(len(places))]
        return (float(row), float(col))

    def _shape(self) -> tuple[int, int]:
        work = self.controller.workspace
        assert work is not None
        return work.frame.shape

    def somewhere(self) -> tuple[float, float]:
        """Return a position in the image."""
        rows, cols = self._shape()
        return (self.chance.randint(2, rows - 3), self.chance.randint(2, cols - 3))

    def _inside(self, row: float, col: float) -> tuple[float, float]:
        rows, cols = self._shape()
        return (min(max(row, 1), rows - 2), min(max(col, 1), cols - 2))

    def size(self) -> tuple[int, int]:
        """Return a height and a width."""
        return (self.chance.randint(8, 45), self.chance.randint(8, 45))

    def path(self) -> list[tuple[float, float]]:
        """Return corners of a line."""
        row, col = self.somewhere()
        path = [(row, col)]
        for _ in range(self.chance.randint(1, 3)):
            row += self.chance.randint(-30, 30)
            col += self.chance.randint(-30, 30)
            path.append(self._inside(row, col))
        return path

    def corners(self) -> list[tuple[float, float]]:
        """Return corners that go once round a place."""
        (row, col), (height, width) = self.somewhere(), self.size()
        count = self.chance.randint(3, 6)
        turns = [2 * np.pi * (k + self.chance.uniform(0, 0.6)) / count for k in range(count)]
        return [
            self._inside(round(row + height * np.sin(t) / 2), round(col + width * np.cos(t) / 2))
            for t in turns
        ]

    def _answer(self) -> None:
        """Press some button of a question that napari waits with."""
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            return
        buttons = [each for each in dialog.findChildren(QPushButton) if each.isEnabled()]
        button = self._answers.choice(buttons)
        self.story.append(f"  answer {button.text()!r}")
        button.click()  # QTest would go on with the button after the question has been deleted


GESTURES: dict[str, tuple[Callable[[Hand], str | None], int]] = {
    "click": (Hand.click, 20),
    "double click": (Hand.double_click, 3),
    "box": (Hand.box, 6),
    "scribble": (Hand.scribble, 6),
    "lasso": (Hand.lasso, 2),
    "polygon": (Hand.polygon, 2),
    "paint": (Hand.paint, 3),
    "hold": (Hand.hold, 2),
    "batch": (Hand.batch, 1),
    "stray box": (Hand.stray_box, 1),
    "move prompt": (Hand.move_prompt, 3),
    "delete prompt": (Hand.delete_prompt, 3),
    "turn prompt": (Hand.turn_prompt, 2),
    "accept": (Hand.accept, 10),
    "impatient": (Hand.impatient, 2),
    "undo": (Hand.undo, 6),
    "redo": (Hand.redo, 4),
    "undo many": (Hand.undo_many, 2),
    "jump": (Hand.jump, 3),
    "reset": (Hand.reset, 2),
    "polarity": (Hand.turn_polarity, 2),
    "EM": (Hand.turn_em, 3),
    "threshold": (Hand.threshold, 3),
    "smoothing": (Hand.smoothing, 2),
    "smallest part": (Hand.smallest_part, 1),
    "overlap rule": (Hand.overlap, 2),
    "overlay": (Hand.show_overlay, 1),
    "best": (Hand.return_to_best, 2),
    "open": (Hand.open_object, 6),
    "merge": (Hand.merge, 2),
    "edit": (Hand.edit, 6),
    "split": (Hand.split, 3),
    "other plane": (Hand.other_plane, 6),
    "other image": (Hand.other_image, 2),
    "drop layer": (Hand.drop_layer, 1),
    **ON_OBJECTS,
}
"""What there is to do, and how often it is done beside the others."""
