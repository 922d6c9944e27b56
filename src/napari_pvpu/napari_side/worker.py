"""One background thread that runs the newest request and reports on the GUI thread.

Torch runs in here and nowhere else in this room, so that napari stays alive while a network
thinks. Jobs carry a key: a job that still waits is replaced by a newer one of the same key and
never runs.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Job", "Worker"]

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
    cancel: Callable[[], None] | None = None
    progress: Callable[[], tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of a job."""

    job: Job
    result: Any
    error: Exception | None


class Mailbox:
    """Jobs on their way to one thread, in order of arrival, one per key; and what came of them.

    The thread holds the mailbox only, never the `Worker`, so that a forgotten worker can be
    collected and takes its thread with it.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._running: Job | None = None
        self.outcomes: SimpleQueue[Outcome] = SimpleQueue()

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
            self._running = self._jobs.pop(next(iter(self._jobs)))
            return self._running

    def finish(self, outcome: Outcome) -> None:
        """Put down what came of the job that was taken last."""
        with self._changed:
            self._running = None
        self.outcomes.put(outcome)

    def at_hand(self) -> Job | None:
        """Return the job that runs, or else the one that runs next."""
        with self._changed:
            return self._running or next(iter(self._jobs.values()), None)

    def stop(self) -> None:
        """Drop what waits and let the thread end after the job it is at."""
        with self._changed:
            self._jobs.clear()
            self._stopped = True
            self._changed.notify()


class Worker(QObject):
    """Runs jobs one at a time in a thread of its own; lives on the GUI thread.

    The thread starts with the first job and ends with `stop`; after that a new job starts a new
    one. None outlives the program, which torch would end with an error otherwise.

    Parameters
    ----------
    interrupt : callable, optional
        Makes the job at hand end soon, if jobs can be long; called when the program ends.
    """

    busy_changed = Signal(bool)
    expecting = Signal(bool)
    """A result is about to come, for which drawing had better wait; and that it has, or has not."""
    _finished = Signal()

    def __init__(self, interrupt: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._interrupt = interrupt
        self._mailbox: Mailbox | None = None
        self._thread: threading.Thread | None = None
        self._ending: weakref.finalize[[], Worker] | None = None
        self._waiting = 0
        self._expecting = False
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.timeout.connect(self._expect_no_more)
        # Explicitly queued: results have to come in on the GUI thread, one after the other.
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether a job waits, runs, or has ended without its result being delivered yet."""
        return self._waiting > 0

    @property
    def at_hand(self) -> Job | None:
        """What runs, or runs next; None if nothing is to be done."""
        return self._mailbox.at_hand() if self._mailbox is not None else None

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
        *,
        patience: float = 0.0,
        after_drawing: bool = False,
        cancel: Callable[[], None] | None = None,
        progress: Callable[[], tuple[int, int]] | None = None,
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
        patience : float
            Seconds for which the result may be waited for before anything is drawn, see
            `expecting`.
        after_drawing : bool
            Begin the thread, if there is none, only when Qt has drawn what it has to draw by now:
            beside the import of a large library that would take several times as long, too.
        cancel : callable, optional
            Called on the GUI thread when the user wants the job no more; it has to see to it that
            `work` ends soon or its result is not wanted.
        progress : callable, optional
            Returns how much of how much is done, (part, whole); called on the GUI thread while
            `work` runs.
        """
        if self._mailbox is None:
            self._start()
        if after_drawing:
            QTimer.singleShot(0, self._begin)
        else:
            self._begin()
        assert self._mailbox is not None
        if self._mailbox.put(Job(key, work, done, failed, cancel, progress)) is None:
            self._count(+1)
        if patience:
            self._expect(patience)

    def stop(self) -> None:
        """Drop everything, wait for the job at hand and join the thread."""
        mailbox, thread = self._mailbox, self._thread
        self._mailbox = self._thread = None
        if mailbox is None or thread is None:
            return
        if self._ending is not None:
            self._ending.detach()  # it would keep the mailbox, and the last results with it
        mailbox.stop()
        if thread.ident is not None:
            thread.join(JOIN_SECONDS)
        self._count(-self._waiting)
        self._expect_no_more()

    def _start(self) -> None:
        mailbox = Mailbox()
        self._mailbox = mailbox
        self._thread = threading.Thread(
            target=_serve, args=(mailbox, weakref.ref(self)), name="napari-pvpu", daemon=True
        )
        self._ending = weakref.finalize(self, mailbox.stop)

    def _begin(self) -> None:
        """Have the thread run, if there is one that does not yet."""
        thread, mailbox = self._thread, self._mailbox
        if thread is not None and mailbox is not None and thread.ident is None:
            _running[thread] = tuple(filter(None, (mailbox.stop, self._interrupt)))
            thread.start()

    def _expect(self, seconds: float) -> None:
        """Tell that a result is about to come, unless that was told."""
        if not self._expecting:
            self._patience.start(round(1000 * seconds))
            self._expecting = True
            self.expecting.emit(True)

    def _expect_no_more(self) -> None:
        if self._expecting and not (self.busy and self._patience.isActive()):
            self._patience.stop()
            self._expecting = False
            self.expecting.emit(False)

    def _deliver(self) -> None:
        """Tell what has come in; nothing, if it was told before or the thread was stopped."""
        mailbox = self._mailbox
        while mailbox is not None and mailbox is self._mailbox:
            try:
                outcome = mailbox.outcomes.get_nowait()
            except Empty:
                return
            self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self._count(-1)
        if outcome.error is None:
            outcome.job.done(outcome.result)
        else:
            outcome.job.failed(outcome.error)

    def _count(self, change: int) -> None:
        was_busy = self.busy
        self._waiting += change
        if self.busy != was_busy:
            self.busy_changed.emit(self.busy)
        if not self.busy:
            # Not at once: whoever gets the result has yet to show it.
            QTimer.singleShot(0, self._expect_no_more)


def _serve(mailbox: Mailbox, owner: weakref.ref[Worker]) -> None:
    """Body of the thread."""
    try:
        _work(mailbox, owner)
    finally:
        _running.pop(threading.current_thread(), None)


_running: dict[threading.Thread, tuple[Callable[[], None], ...]] = {}
"""Threads that there are, and what ends them."""


@atexit.register
def _end_threads() -> None:
    """End all threads with the program: one that is stopped in the midst of torch ends it badly."""
    ending = dict(_running)
    for each in ending.values():
        for end in each:
            end()
    for thread in ending:
        thread.join(JOIN_SECONDS)


def _work(mailbox: Mailbox, owner: weakref.ref[Worker]) -> None:
    while (job := mailbox.take()) is not None:
        result, error = None, None
        try:
            result = job.work()
        except Exception as raised:  # whatever it is, it is told on the GUI thread
            error = raised
        mailbox.finish(Outcome(job, result, error))
        worker = owner()
        if worker is None:
            return
        try:
            worker._finished.emit()
        except RuntimeError:  # Qt has deleted the object: the program is ending
            return
        del worker, job, result, error
