"""Actions by keys, buttons and commands one after the other, in the order in which they are asked.

An action may have to wait for an answer, and lets Qt go on meanwhile. What is asked for then is
kept until it is done: the canvas refuses a key within a key, and an undo in the midst of an
acceptance would take back something else.
"""

from __future__ import annotations

import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.napari_side.stage import Stage

__all__ = ["Turns"]

RETRY_MS = 10

QUICK = ("use_", "toggle_", "undo", "redo", "reset")
"""How the names of actions begin that never wait for an answer."""


class Turns(QObject):
    """Has actions done at once if nothing is under way, else in turn.

    Parameters
    ----------
    stage : Stage
        Whose actions they are; kept weakly.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = weakref.ref(stage)
        self._wanted: deque[Callable[[], object]] = deque()
        self._at_it = False

    def take(self, name: str, *arguments: object) -> None:
        """Have an action done.

        Parameters
        ----------
        name : str
            Of the stage's method.
        *arguments
            What to call it with.
        """
        stage = self._stage()
        if stage is None:
            return
        action = partial(getattr(stage, name), *arguments)
        may_wait = stage.busy and not name.startswith(QUICK)
        if self._wanted or self._at_it or stage.waiting or may_wait:
            self._wanted.append(action)
            QTimer.singleShot(0, self._go_on)
        else:
            action()

    def _go_on(self) -> None:
        stage = self._stage()
        if self._at_it or stage is None:
            return
        if stage.waiting:  # by a button, say
            QTimer.singleShot(RETRY_MS, self._go_on)
            return
        self._at_it = True
        try:
            while self._wanted:
                self._wanted.popleft()()
        finally:
            self._at_it = False
            if self._wanted:  # something went wrong with one
                QTimer.singleShot(0, self._go_on)
