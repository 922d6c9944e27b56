"""One background thread that runs the newest request and reports on the GUI thread.

Torch runs in here and nowhere else in this room, so that napari stays alive while a network
thinks. Jobs carry a key: a job that still waits is replaced by a newer one of the same key and
never runs.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Worker"]

JOIN_SECONDS = 60.0
"""Longest wait for the thread at the end. A job cannot be stopped half-way; the longest is the
first import of torch, a few seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Something to compute, and what to do with the result on the GUI thread."""

    key: str
    work: Callable[[], Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]


class Mailbox:
    """Jobs on their way to one thread: in order of arrival, one per key.

    The thread holds the mailbox only, never the `Worker`, so that a forgotten worker can be
    collected and takes its thread with it.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._stopped = False

    def put(self, job: Job) -> Job | None:
        """Add a job at the end; return the waiting one of the same key that it replaces."""
        with self._changed:
            replaced = self._jobs.pop(job.key, None)
            self._jobs[job.key] = job
            self._changed.notify()
        return replaced

    def take(self) -> Job | None:
        """Wait for a job; None says that the thread should end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._stopped)
            if self._stopped:
                return None
            return self._jobs.pop(next(iter(self._jobs)))

    def stop(self) -> None:
        """Drop what waits and let the thread end after the job it is at."""
        with self._changed:
            self._jobs.clear()
            self._stopped = True
            self._changed.notify()


class Worker(QObject):
    """Runs jobs one at a time in a thread of its own; lives on the GUI thread.

    The thread starts with the first job and ends with `stop`; after that a new job starts a new
    one.
    """

    busy_changed = Signal(bool)
    _finished = Signal(object, object, object, object)

    def __init__(self) -> None:
        super().__init__()
        self._mailbox: Mailbox | None = None
        self._thread: threading.Thread | None = None
        self._waiting = 0
        # Explicitly queued: results have to come in on the GUI thread, one after the other.
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether a job waits, runs, or has ended without its result being delivered yet."""
        return self._waiting > 0

    @property
    def thread_alive(self) -> bool:
        """Whether the thread exists at the moment."""
        return self._thread is not None and self._thread.is_alive()

    def submit(
        self,
        key: str,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Have `work` called in the thread, then `done(result)` or `failed(error)` here.

        Parameters
        ----------
        key : str
            Jobs of one key replace each other while they wait.
        work : callable
            Must touch neither Qt nor napari.
        done, failed : callable
            Called on the GUI thread, unless `stop` came in between.
        """
        if self._mailbox is None:
            self._start()
        assert self._mailbox is not None
        if self._mailbox.put(Job(key, work, done, failed)) is None:
            self._count(+1)

    def stop(self) -> None:
        """Drop everything, wait for the job at hand and join the thread."""
        mailbox, thread = self._mailbox, self._thread
        self._mailbox = self._thread = None
        if mailbox is None or thread is None:
            return
        mailbox.stop()
        thread.join(JOIN_SECONDS)
        self._count(-self._waiting)

    def _start(self) -> None:
        mailbox = Mailbox()
        self._mailbox = mailbox
        self._thread = threading.Thread(
            target=_serve, args=(mailbox, weakref.ref(self)), name="napari-pvpu", daemon=True
        )
        weakref.finalize(self, mailbox.stop)
        self._thread.start()

    def _deliver(self, mailbox: Mailbox, job: Job, result: Any, error: Exception | None) -> None:
        if mailbox is not self._mailbox:
            return  # from a thread that has been stopped meanwhile
        self._count(-1)
        if error is None:
            job.done(result)
        else:
            job.failed(error)

    def _count(self, change: int) -> None:
        was_busy = self.busy
        self._waiting += change
        if self.busy != was_busy:
            self.busy_changed.emit(self.busy)


def _serve(mailbox: Mailbox, owner: weakref.ref[Worker]) -> None:
    """Body of the thread."""
    while (job := mailbox.take()) is not None:
        result, error = None, None
        try:
            result = job.work()
        except Exception as raised:  # whatever it is, it is told on the GUI thread
            error = raised
        worker = owner()
        if worker is None:
            return
        try:
            worker._finished.emit(mailbox, job, result, error)
        except RuntimeError:  # Qt has deleted the object: the program is ending
            return
        del worker, job, result, error
