"""A card with the three gestures that are needed most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from napari_pvpu.napari_side.first_steps import STEPS, FirstSteps
from napari_pvpu.napari_side.icons import draw_icon
from napari_pvpu.napari_side.views.widgets import button, row

if TYPE_CHECKING:
    from qtpy.QtGui import QIcon

    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.napari_side.views.looks import Colors

__all__ = ["FirstStepsCard"]

TICK = 16
FIRST = "<b>Three gestures are all it takes.</b>"
LAST = (
    "<b>That is all.</b> A box ({use_boxes}) or a line ({use_scribbles}) does what a click does; "
    "{undo} takes back anything."
)


class FirstStepsCard(QFrame):
    """Shows the gestures, each with a tick when it was made; hidden when it was dismissed once."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.steps = FirstSteps(controller)
        self._ticks: dict[bool, QIcon] = {}
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.sample = button("Open a sample", "Open a photograph of coins to try it on")
        self.dismiss = button("Not now", "Do not show this again; the preferences bring it back")
        self.rows = {name: (QLabel(), QLabel()) for name, _ in STEPS}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(5)
        layout.addWidget(self.title)
        for tick, text in self.rows.values():
            tick.setFixedWidth(TICK + 4)  # with what the theme puts around it
            tick.setAlignment(Qt.AlignmentFlag.AlignTop)
            text.setWordWrap(True)
            line = QHBoxLayout()
            line.addWidget(tick)
            line.addWidget(text, 1)
            layout.addLayout(line)
        layout.addLayout(row(self.sample, self.dismiss))
        self.setObjectName("card")
        self.sample.clicked.connect(self.steps.open_sample)
        self.dismiss.clicked.connect(self.steps.dismiss)

    def render_state(self) -> None:
        """Show what has been done."""
        self.setVisible(self.steps.shown)
        if not self.steps.shown:
            return
        self.steps.look()
        shortcuts = self._controller.shortcuts
        finished = self.steps.finished
        self.title.setText(shortcuts.write_into(LAST if finished else FIRST))
        self.sample.setVisible(not finished and not self._controller.images)
        self.dismiss.setText("Got it" if finished else "Not now")
        for name, told in STEPS:
            tick, text = self.rows[name]
            done = name in self.steps.done
            text.setText(shortcuts.write_into(told))
            tick.setAccessibleName("done" if done else "to do")
            if self._ticks:
                tick.setPixmap(self._ticks[done].pixmap(QSize(TICK, TICK)))

    def render_theme(self, colors: Colors) -> None:
        """Draw the ticks in the theme's colours."""
        self._ticks = {
            True: draw_icon("done", colors.text),
            False: draw_icon("todo", colors.text),
        }
        self.render_state()
