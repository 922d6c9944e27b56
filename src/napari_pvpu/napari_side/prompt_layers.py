"""The two layers that a user draws prompts on, and the prompts read from them.

Clicks live in a Points layer; boxes (rectangles), scribbles (paths) and polygons in a Shapes
layer. Two columns of features go with every prompt: ``polarity`` and ``order``, the latter because
prompts of both layers together have one order in time; a third, ``filled``, goes with strokes. The
prompts are always rebuilt from the layers as they stand, never from what an event says has
changed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers.base import ActionType
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import PromptError
from napari_pvpu.napari_side.mouse_buttons import OPPOSITE, is_positive
from napari_pvpu.napari_side.prompt_rows import (
    NEGATIVE,
    POSITIVE,
    UNORDERED,
    PromptLayer,
    dress,
    make_layers,
    opposite,
    points_of_rows,
    prompt_of_row,
    rows_of,
    set_defaults,
    set_sizes,
    write_rows,
)
from napari_pvpu.napari_side.spare_rows import SPARE, hide_rows, take_out
from napari_pvpu.prompts import Box, Click, Polygon, PriorMask, Prompt, Scribble

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from napari.layers import Points, Shapes
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.frame import Frame

__all__ = ["PromptLayers"]

ACTIONS = (ActionType.ADDED, ActionType.REMOVED, ActionType.CHANGED)

STRAY = "to draw a box, press in one corner and drag to the other"
DRAWN_IN_ONE = ("add_path", "add_polygon_lasso")
"""Modes in which a line ends where the mouse lets go; a click alone begins one that follows it."""

CLICK_PIXELS = 4
"""A mouse that moved less than this many screen pixels has clicked, not dragged."""


class PromptLayers:
    """Points and shapes as prompts of one image.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Gives the zoom; not kept.
    frame : Frame
        Of the image. The layers hold the prompts of its plane at work, and of no other.
    on_change : callable
        Called without arguments after the user has added, moved, deleted or recoloured a prompt.
    on_notice : callable
        Called with a sentence when something drawn could not be used and has been removed.
    """

    def __init__(
        self,
        viewer: Viewer,
        frame: Frame,
        on_change: Callable[[], None],
        on_notice: Callable[[str], None],
    ) -> None:
        self._frame = frame
        self._on_change, self._on_notice = on_change, on_notice
        self._polarity = POSITIVE
        self.filled = False
        """Whether polygons that are drawn next are filled."""
        self.buttons = OPPOSITE
        """What the buttons of the mouse mean, one of `BUTTONS`."""
        self._masks: dict[int, PriorMask] = {}  # prompts that no layer can show, by their order
        self._stray: set[int] = set()  # orders of boxes that were clicked, not dragged
        self._editing = self._tidying = self._clicked_only = False
        self._clicked = QTimer()
        """Runs while a click of the box tool may still become a double click."""
        self._clicked.setSingleShot(True)
        self._clicked.setInterval(QApplication.doubleClickInterval())
        self._clicked.timeout.connect(self._notice_click)
        self.clicks, self.strokes = make_layers(frame)
        self._rows: dict[PromptLayer, list[tuple[str, int]]] = {self.clicks: [], self.strokes: []}
        self.strokes.bind_key("Shift", _do_nothing)  # it means negative here, not "keep square"
        for layer in self.layers:
            layer.mouse_drag_callbacks.append(self._on_press)
            layer.events.data.connect(self._on_data)
            layer.events.features.connect(self._on_features)
        self.clicks.events.set_data.connect(self._on_drawn)
        self._set_defaults(self._polarity)
        self.fit_to_zoom(viewer)

    @property
    def layers(self) -> tuple[Points, Shapes]:
        """Both layers, the clicks first."""
        return self.clicks, self.strokes

    @property
    def positive(self) -> bool:
        """Polarity of the next prompt, unless a modifier key turns it round."""
        return self._polarity == POSITIVE

    @positive.setter
    def positive(self, value: bool) -> None:
        self._polarity = POSITIVE if value else NEGATIVE
        self._set_defaults(self._polarity)

    def disconnect(self) -> None:
        """Stop listening to the layers."""
        self._clicked.stop()
        for layer in self.layers:
            layer.events.data.disconnect(self._on_data)
            layer.events.features.disconnect(self._on_features)
            layer.mouse_drag_callbacks.remove(self._on_press)
        self.clicks.events.set_data.disconnect(self._on_drawn)

    def match(self) -> None:
        """Follow the image's transform."""
        for layer in self.layers:
            self._frame.place(layer)

    def fit_to_zoom(self, viewer: Viewer) -> None:
        """Draw clicks and lines at the same size on the screen at any zoom."""
        if not self._drawing:
            for layer in self.layers:
                set_sizes(layer, self._frame.screen_pixel(viewer))

    # Prompts from layers and back

    def read(self) -> tuple[Prompt, ...]:
        """Return all prompts in the order in which they were made, in pixels of the image.

        Ellipses count as the boxes around them. What is still being drawn is left out, and so is
        what cannot be a prompt (no area, a single point, wholly outside the image), which a moment
        later is removed from its layer with a notice.
        """
        prompts: list[tuple[int, Prompt]] = list(self._masks.items())
        for _, _, order, prompt in self._finished():
            if isinstance(prompt, PromptError):
                self._tidy_later()
            else:
                prompts.append((order, prompt))
        return tuple(prompt for _, prompt in sorted(prompts, key=lambda pair: pair[0]))

    def write(self, prompts: Sequence[Prompt]) -> None:
        """Show exactly these prompts, in this order, without calling `on_change`."""
        places = list(enumerate(prompts))
        self._masks = {order: p for order, p in places if isinstance(p, PriorMask)}
        self._stray.clear()
        with self._silently():
            for layer, kind in ((self.clicks, Click), (self.strokes, Box | Scribble | Polygon)):
                rows = [(order, prompt) for order, prompt in places if isinstance(prompt, kind)]
                spare = write_rows(layer, [prompt for _, prompt in rows], self._frame)
                polarity = [POSITIVE if prompt.positive else NEGATIVE for _, prompt in rows]
                filled = [getattr(prompt, "filled", False) for _, prompt in rows]
                orders = [order for order, _ in rows] + spare * [SPARE]
                self._dress(layer, polarity + spare * [POSITIVE], orders, filled)

    def add(self, prompt: Prompt) -> None:
        """Add one prompt as the newest, as if the user had drawn it."""
        self.write((*self.read(), prompt))
        self._on_change()

    def flip_selected(self) -> bool:
        """Turn the polarity of the selected prompts round; False if none is selected.

        Only while prompts are being selected: a tool leaves what it has just drawn selected too.
        """
        flipped = False
        for layer in self.layers:
            if str(layer.mode) not in ("select", "direct") or not layer.selected_data:
                continue
            rows = rows_of(layer)
            polarity = [
                opposite(value) if index in layer.selected_data else value
                for index, (value, _) in enumerate(rows)
            ]
            self._dress(layer, polarity, [order for _, order in rows])
            flipped = True
        if flipped:
            self._on_change()
        return flipped

    def finish_drawing(self) -> bool:
        """End a path or polygon that is being drawn; False if there is none."""
        if not self._drawing:
            return False
        mode = self.strokes.mode
        self.strokes.mode = "pan_zoom"
        self.strokes.mode = mode
        return True

    @property
    def double_clicked(self) -> bool:
        """Whether a double click on the strokes is no more than that: it has not ended a line."""
        mode = str(self.strokes.mode)
        return mode == "add_rectangle" or (mode in DRAWN_IN_ONE and self._drawing)

    def forget_click(self) -> None:
        """Leave nothing of the first click of a double click on the strokes."""
        self._clicked.stop()
        self.finish_drawing()  # napari drops a line of one point

    @property
    def _drawing(self) -> bool:
        """Whether a stroke is under way: it is in its layer, but has not been announced."""
        return any(order == UNORDERED for _, order in rows_of(self.strokes))

    def _finished(self) -> Iterator[tuple[PromptLayer, int, int, Prompt | PromptError]]:
        """Yield layer, index, order and prompt of each row that is no longer being drawn."""
        for layer in self.layers:
            rows = [
                (index, polarity, order)
                for index, (polarity, order) in enumerate(rows_of(layer))
                if order not in (UNORDERED, SPARE)
            ]
            points = points_of_rows(layer, [index for index, _, _ in rows], self._frame)
            for (index, polarity, order), there in zip(rows, points, strict=True):
                yield layer, index, order, self._prompt(layer, index, polarity, order, there)

    def _prompt(
        self, layer: PromptLayer, index: int, polarity: str, order: int, points: Any
    ) -> Prompt | PromptError:
        if layer is self.strokes and order in self._stray:
            return PromptError(STRAY)
        try:
            return prompt_of_row(layer, index, polarity, points, self._frame)
        except PromptError as error:
            return error

    # What the user does

    def _on_press(self, layer: PromptLayer, event: Any) -> Generator[None, None, None]:
        """Choose the polarity of what is about to be drawn; tell a click from a drag."""
        if not str(layer.mode).startswith("add"):
            return
        positive = is_positive(self.buttons, self.positive, event.button, event.modifiers)
        self._set_defaults(POSITIVE if positive else NEGATIVE)
        start = np.asarray(event.pos)
        self._clicked_only = False
        yield
        while event.type == "mouse_move":
            yield
        self._clicked_only = bool(np.linalg.norm(event.pos - start) < CLICK_PIXELS)

    def _on_data(self, event: Any) -> None:
        if self._editing or event.action not in ACTIONS:
            return
        layer = event.source
        self._put_in_order(layer)
        if event.action == ActionType.ADDED and str(layer.mode) == "add_rectangle":
            if self._clicked_only and layer.nshapes:
                self._stray.add(rows_of(layer)[-1][1])
            self._clicked_only = False
        if event.action == ActionType.ADDED:
            QTimer.singleShot(0, self._deselect)
        self._on_change()

    def _on_drawn(self, event: Any) -> None:
        if any(order == SPARE for _, order in rows_of(self.clicks)):
            QTimer.singleShot(0, self._take_out)  # napari is still at it

    def _take_out(self) -> None:
        with self._silently():
            if take_out(self.clicks):
                self._rows[self.clicks] = rows_of(self.clicks)

    def _on_features(self, event: Any) -> None:
        """Follow an edit of the features table, too; napari tells far more often than that."""
        layer = event.source
        if not self._editing and not self._drawing and rows_of(layer) != self._rows[layer]:
            self._put_in_order(layer)
            self._on_change()

    def _put_in_order(self, layer: PromptLayer) -> None:
        """Give new (or pasted) prompts the next places in time, and all prompts their colours."""
        other = self.strokes if layer is self.clicks else self.clicks
        rows = rows_of(layer)
        taken = {*self._masks, *(order for _, order in rows_of(other))}
        following = max([UNORDERED, *taken, *(order for _, order in rows)]) + 1
        orders = []
        for _, order in rows:
            if order == UNORDERED or (order in taken and order != SPARE):
                order, following = following, following + 1
            taken.add(order)
            orders.append(order)
        self._dress(layer, [polarity for polarity, _ in rows], orders)

    # Changing the layers without telling ourselves

    @contextmanager
    def _silently(self) -> Iterator[None]:
        before, self._editing = self._editing, True
        try:
            yield
        finally:
            self._editing = before

    def _dress(
        self,
        layer: PromptLayer,
        polarity: Sequence[str],
        orders: Sequence[int],
        filled: Sequence[bool] | None = None,
    ) -> None:
        with self._silently():
            dress(layer, polarity, orders, filled)
        self._rows[layer] = rows_of(layer)
        self._set_defaults(self._polarity)  # napari has made the last row the default

    def _set_defaults(self, polarity: str) -> None:
        with self._silently():
            for layer in self.layers:
                set_defaults(layer, polarity, self.filled)

    def _deselect(self) -> None:
        """Put away the handles of what has just been drawn: they hide its colour.

        napari has also made its polarity the next one's; that is put right, too.
        """
        for layer in self.layers:
            if str(layer.mode).startswith("add") and not self._drawing:
                layer.selected_data = set()
        self._set_defaults(self._polarity)

    def _tidy_later(self) -> None:
        """Remove useless rows once napari has finished with the event that made them."""
        if not self._tidying:
            self._tidying = True
            QTimer.singleShot(0, self._tidy)

    def _tidy(self) -> None:
        self._tidying = False
        useless = [
            (layer, index, str(prompt))
            for layer, index, _, prompt in self._finished()
            if isinstance(prompt, PromptError)
        ]
        with self._silently():
            for layer in self.layers:
                indices = {index for owner, index, _ in useless if owner is layer}
                if indices and layer is self.clicks:
                    hide_rows(layer, indices)
                elif indices:
                    layer.selected_data = indices
                    layer.remove_selected()
        self._stray.clear()
        for _, _, reason in useless:
            if reason == STRAY:
                self._clicked.start()
            else:
                self._notice(reason)

    def _notice_click(self) -> None:
        self._notice(STRAY)

    def _notice(self, reason: str) -> None:
        self._on_notice(reason[:1].upper() + reason[1:] + ".")


def _do_nothing(layer: PromptLayer) -> None:
    """Stand in for what napari does at a key; its own way to block one breaks on any key."""
