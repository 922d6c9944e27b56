"""What the worker is at, once it takes so long that somebody may wonder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_pvpu.napari_side.worker import Worker

__all__ = ["Progress", "title_of"]

PATIENCE = 0.5
"""Seconds of work after which it is shown."""
INTERVAL_MS = 250

TITLES = {
    "open": "Getting ready",
    "predict": "Looking at the image",
    "export": "Writing the file",
    "measure": "Measuring objects",
}
"""What is said of jobs, by the first word of their key."""


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
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._look)
        worker.busy_changed.connect(self._on_busy)
        self._on_busy(worker.busy)

    def close(self) -> None:
        """Stop following."""
        self._timer.stop()
        self._worker.busy_changed.disconnect(self._on_busy)

    @property
    def shown(self) -> bool:
        """Whether the work takes long enough to be shown."""
        return self._since is not None and time.monotonic() - self._since > PATIENCE

    @property
    def title(self) -> str:
        """What is being done."""
        job = self._worker.at_hand
        return title_of(job.key) if job is not None else TITLES["predict"]

    @property
    def share(self) -> tuple[int, int] | None:
        """How much of how much is done, (part, whole); None if nobody knows."""
        job = self._worker.at_hand
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
        job = self._worker.at_hand
        return None if job is None else job.cancel or self._cancels.get(job.key.split(" ")[0])

    def _on_busy(self, busy: bool) -> None:
        self._since = time.monotonic() if busy else None
        if busy:
            self._timer.start()
        else:
            self._timer.stop()
            self.changed.emit()

    def _look(self) -> None:
        if self.shown:
            self.changed.emit()


def title_of(key: str) -> str:
    """Return what is said of a job: by the first word of its key, or else the key itself."""
    return TITLES.get(key.split(" ")[0], key)
