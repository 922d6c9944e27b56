"""napari with the panel at work on an image, in a process that will be killed somewhere in it.

As a program: ``scripted_window.py IMAGE.npy``. After each step, as soon as its result is shown, it
prints how many operations the session has; it never ends by itself.
"""

from __future__ import annotations

import os
import sys
from itertools import count

import napari
import numpy as np

from napari_pvpu import Box, Click, Scribble, SessionError

STEPS = 9


def step(controller, number: int) -> None:
    """Do one of the things that people do, another each time."""
    turn, kind = divmod(number, STEPS)
    row, col = 14 + 11 * (turn % 7), 14 + 17 * (turn % 6)
    session = controller.session
    if kind == 0:
        controller.add(Click((row, col)))
    elif kind == 1:
        controller.add(Click((95 - row, 127 - col), positive=False))
    elif kind == 2:
        controller.add(Scribble(((row, col), (row, col + 6))))
    elif kind == 3:
        controller.threshold = 0.35 + turn % 4 / 10
    elif kind == 4:
        controller.overlap = "overwrite"
        controller.accept()
    elif kind == 5:
        controller.add(Box((row - 9, col - 9), (row + 9, col + 9)))
    elif kind == 6:
        controller.undo()
    elif kind == 7 and session.objects:
        controller.open_object(max(session.objects))
    elif kind == 8:
        controller.accept()


def main(path: str) -> None:
    """Work until killed."""
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.add_image(np.load(path), name="image")
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    controller = panel.controller
    controller.wait()
    if controller.trouble is not None:
        raise SessionError(str(controller.trouble))
    for number in count():
        os.write(1, f"{len(controller.session.operations)}\n".encode())
        step(controller, number)
        controller.wait()


if __name__ == "__main__":
    main(sys.argv[1])
