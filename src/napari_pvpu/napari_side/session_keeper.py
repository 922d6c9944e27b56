"""The session of one image: opened in the worker, kept in a file, let go of at the end."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_pvpu.napari_side import journaling
from napari_pvpu.napari_side.engine import image_of
from napari_pvpu.napari_side.telling import tell
from napari_pvpu.napari_side.weakly import weakly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.layers import Image

    from napari_pvpu.errors import JournalError
    from napari_pvpu.napari_side.engine import Engine, Look
    from napari_pvpu.napari_side.journaling import Earlier, Opened
    from napari_pvpu.napari_side.worker import Worker
    from napari_pvpu.session import Session

__all__ = ["SessionKeeper"]


class SessionKeeper(QObject):
    """Opens the session of an image, and resumes one that was left before.

    Parameters
    ----------
    engine : Engine
        Opens sessions, in the worker.
    worker : Worker
        Runs what takes time.
    """

    opened = Signal(object)
    """With what was `Opened`."""
    not_opened = Signal(object)
    """With the error."""
    resumed = Signal(object)
    """With the earlier session that was `Opened`; the one at work has to be ended then."""
    not_resumed = Signal(object)
    """With the error; nothing has changed."""

    def __init__(self, engine: Engine, worker: Worker) -> None:
        super().__init__()
        self._engine, self._worker = engine, worker
        self.session: Session | None = None
        self.earlier: Earlier | None = None
        """A session of this image that was left before and may be resumed."""
        self.opener: Callable[..., Opened] = journaling.open_kept
        """What opens a session; whoever keeps sessions elsewhere gives another one."""
        self._ending: Any = None
        self._ticket = 0
        self._told_of_file = False

    def use(self, engine: Engine) -> None:
        """Have the next session opened by another engine."""
        self._engine = engine

    def open(self, image: Image, look: Look, labels: Any = None) -> None:
        """Have the worker open the session, and the model if need be.

        Parameters
        ----------
        image : napari.layers.Image
            What it is of.
        look : Look
            How that is to be seen.
        labels : array-like, optional
            Objects to begin with, plane axes first.

        Raises
        ------
        ImageError
            If nobody knows what the image's axes are.
        """
        settings = {"labels": labels, **look.settings(image)}
        work = partial(
            self.opener, self._engine, image_of(image), settings,
            journaling.sessions_folder(), weakly(self._on_file_trouble),
        )  # fmt: skip
        done = partial(self._on_opened, self._ticket)
        self._worker.submit("open", work, done, self.not_opened.emit, after_drawing=True)

    def resume(self, image: Image, path: Path) -> None:
        """Take up the session of a file, in place of this one."""
        self.earlier = None
        work = partial(
            journaling.resume, self._engine, image_of(image), path, weakly(self._on_file_trouble)
        )
        self._worker.submit("open", work, self.resumed.emit, self.not_resumed.emit)

    def take(self, opened: Opened) -> Session:
        """Make what was opened the session at work."""
        self.session = opened.session
        # Also when all of this is forgotten, or the program ends.
        self._ending = weakref.finalize(self, journaling.end_journal, opened.session)
        return opened.session

    def end(self) -> None:
        """Let go of the session, also of one that is being opened; its file is closed."""
        self.session = None
        self._ticket += 1
        if self._ending is not None:
            self._ending()
            self._ending = None

    def forget_earlier(self) -> None:
        """Do not offer the earlier session any more; its file stays."""
        self.earlier = None

    def _on_opened(self, ticket: int, opened: Opened) -> None:
        if ticket != self._ticket:  # it has been let go of before it was there
            journaling.end_journal(opened.session)
            return
        self.earlier = opened.earlier
        if opened.trouble is not None:
            self._on_file_trouble(opened.trouble)
        (self.resumed if opened.resumed else self.opened).emit(opened)

    def _on_file_trouble(self, error: JournalError) -> None:
        if not self._told_of_file:
            self._told_of_file = True
            tell(error)
