"""What the worker is at, once it takes so long that somebody may wonder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_pvpu.napari_side.worker import Job, Worker

__all__ = ["Progress", "title_of"]

PATIENCE = 0.5
"""Seconds of work after which it is shown."""
INTERVAL_MS = 250

TITLES = {
    "open": "Getting ready",
    "predict": "Looking at the image",
    "see": "Looking at the image anew",
    "propagate": "Carrying the object on",
    "compare": "Comparing the answers with and without EM",
    "label": "Looking for the object",
    "keep off": "Reading the labels to keep off",
    "measure": "Measuring objects",
    "export": "Writing the file",
    "tracks": "Writing the tracks",
    "save": "Saving the objects",
    "read": "Reading the image",
    "read ahead": "Reading the next image",
    "look ahead": "Looking at the next image",
    "ahead": "Looking at the image ahead",
    "look": "Looking at what is kept",
    "clear": "Removing what is kept",
}
"""What is said of jobs, by the words that their key begins with."""


class Progress(QObject):
    """Follows a worker; tells when its work begins to take long, goes on, and is over.

    Parameters
    ----------
    worker : Worker
        Looked at while it is busy.
    cancels : mapping of str to callable
        What takes a job back that does not say so itself, by the first word of its key.
    """

    changed = Signal()

    def __init__(self, worker: Worker, cancels: Mapping[str, Callable[[], None]]) -> None:
        super().__init__()
        self._worker, self._cancels = worker, cancels
        self._since: float | None = None
        self._job: Job | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._look)
        # Work in slices leaves the worker free for a moment, until it has been told of the slice.
        self._ending = QTimer(self)
        self._ending.setSingleShot(True)
        self._ending.setInterval(0)
        self._ending.timeout.connect(self._end)
        worker.busy_changed.connect(self._on_busy)
        self._on_busy(worker.busy)

    def close(self) -> None:
        """Stop following."""
        self._timer.stop()
        self._ending.stop()
        self._worker.busy_changed.disconnect(self._on_busy)

    @property
    def shown(self) -> bool:
        """Whether the work takes long enough to be shown."""
        return self._since is not None and time.monotonic() - self._since > PATIENCE

    @property
    def title(self) -> str:
        """What is being done."""
        job = self._at_hand
        return title_of(job.key) if job is not None else TITLES["predict"]

    @property
    def share(self) -> tuple[int, int] | None:
        """How much of how much is done, (part, whole); None if nobody knows."""
        job = self._at_hand
        return job.progress() if job is not None and job.progress is not None else None

    @property
    def can_cancel(self) -> bool:
        """Whether `cancel` does anything."""
        return self._cancel is not None

    def cancel(self) -> None:
        """Tell whoever wants the work that it is not wanted any more."""
        cancel = self._cancel
        if cancel is not None:
            cancel()

    @property
    def _cancel(self) -> Callable[[], None] | None:
        job = self._at_hand
        return None if job is None else job.cancel or self._cancels.get(job.key.split(" ")[0])

    @property
    def _at_hand(self) -> Job | None:
        """The job at hand, or the last one as long as its result has not been told."""
        self._job = self._worker.at_hand or self._job
        return self._job

    def _on_busy(self, busy: bool) -> None:
        if busy:
            self._ending.stop()
            if self._since is None:
                self._since = time.monotonic()
                self._timer.start()
        elif self._worker.thread_alive:
            self._ending.start()
        else:  # it was stopped, and nothing follows
            self._ending.stop()
            self._end()

    def _end(self) -> None:
        self._since = self._job = None
        self._timer.stop()
        self.changed.emit()

    def _look(self) -> None:
        if self.shown:
            self.changed.emit()


def title_of(key: str) -> str:
    """Return what is said of a job, by the words its key begins with, or else the key itself."""
    names = [name for name in TITLES if f"{key} ".startswith(f"{name} ")]
    return TITLES[max(names, key=len)] if names else key
