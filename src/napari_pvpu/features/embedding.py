"""Encoding many images ahead, in processes of this machine or on a dask cluster, with a report."""

from __future__ import annotations

import json
import math
import multiprocessing
import time
from concurrent.futures import FIRST_COMPLETED, CancelledError, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import ClusterError, PvpuError
from napari_pvpu.features.precompute import Embedded, Job, embed_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from napari_pvpu.features.precompute import EmbedSettings

    Do = Callable[[Job, Any], Any]
    GivenUp = Callable[[Job, str], Any]

__all__ = [
    "EmbedReport",
    "connect",
    "embed_images",
    "jobs_for",
    "on_cluster",
    "on_this_machine",
    "workers_of",
]

_DIED = (
    "the process that worked on it ended without a word, twice; most often memory was full: use "
    "fewer workers"
)
_CONNECT_SECONDS = 20
_POLL_SECONDS = 0.02
_WORKERLESS_SECONDS = 120.0
"""For which a cluster may be without workers: batch systems take a while to give some."""


def _failed(job: Job, error: str) -> Embedded:
    return Embedded(job.image, error=error)


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What became of all images.

    Attributes
    ----------
    images : tuple of Embedded
        In the order in which they were given.
    seconds : float
        From beginning to end.
    workers : int
        Processes that shared the work.
    """

    images: tuple[Embedded, ...]
    seconds: float
    workers: int

    @property
    def failed(self) -> tuple[Embedded, ...]:
        """Images that were given up."""
        return tuple(image for image in self.images if image.error is not None)

    def to_json(self) -> str:
        """Return the report for programs."""
        whole = asdict(self) | {"failed": len(self.failed)}
        return json.dumps(whole, indent=1) + "\n"

    def to_markdown(self) -> str:
        """Return the report for people: the sum, a table, and what went wrong."""
        lines = [f"# Views encoded ahead\n\n{self.summary()}\n"]
        lines += ["| image | encoded | there already | seconds | |", "|---|---:|---:|---:|---|"]
        for image in self.images:
            state = "ok" if image.error is None else "failed"
            cells = (_cell(image.image), image.encoded, image.found, f"{image.seconds:.1f}", state)
            lines.append(f"| {' | '.join(map(str, cells))} |")
        if self.failed:
            lines.append("\n## Failed\n")
            lines += [f"- `{_cell(each.image)}`: {_cell(each.error or '')}" for each in self.failed]
        return "\n".join(lines) + "\n"

    def summary(self) -> str:
        """Return one sentence."""
        encoded = sum(image.encoded for image in self.images)
        found = sum(image.found for image in self.images)
        return (
            f"{len(self.images) - len(self.failed)} of {len(self.images)} images: {encoded} views "
            f"encoded and {found} there already, in {self.seconds:.1f} s with {self.workers} "
            f"worker{'s' * (self.workers != 1)}."
        )


def embed_images(
    images: Sequence[str | Path],
    settings: EmbedSettings,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Callable[[Embedded], None] = lambda _: None,
) -> EmbedReport:
    """Put the views of images into a store; what is there already is not encoded again.

    Parameters
    ----------
    images : sequence of path
        See `open_image`. One that fails does not stop the others.
    settings : EmbedSettings
        What to encode and with what.
    workers : int
        Processes on this machine.
    scheduler : str, optional
        Address of a dask cluster that does the work instead. Its workers have this package, and
        see images and store under the same paths.
    progress : callable, optional
        Called with each part of the work that is done.

    Raises
    ------
    PvpuError
        If the model, the device or the settings cannot be used for any image, or there is no
        cluster at the address.
    """
    start = time.perf_counter()
    names = list(dict.fromkeys(map(str, images)))
    if scheduler is None:
        work = on_this_machine(jobs_for(names, workers), settings, workers)
    else:
        client = connect(scheduler)
        workers = workers_of(client)
        work = on_cluster(jobs_for(names, workers), settings, client)
    done = []
    for part in work:
        done.append(part)
        progress(part)
    joined = tuple(_joined(name, done) for name in names)
    return EmbedReport(joined, time.perf_counter() - start, workers)


def jobs_for(images: Iterable[str], workers: int) -> list[Job]:
    """Return the jobs: one for each image, or several where there are more workers than images."""
    names = list(images)
    parts = math.ceil(workers / max(1, len(names)))
    return [Job(name, part, parts) for name in names for part in range(parts)]


def on_this_machine(
    jobs: Sequence[Job],
    settings: Any,
    workers: int,
    do: Do = embed_part,
    given_up: GivenUp = _failed,
) -> Iterator[Any]:
    """Yield what becomes of jobs, as they end, in this process or in several new ones.

    When a process dies, the jobs at hand are done again, each in a process of its own: the one
    that dies again has failed.

    Parameters
    ----------
    jobs : sequence of Job
        What to do.
    settings : EmbedSettings or other
        For all jobs.
    workers : int
        Processes.
    do : callable
        Does a job with the settings; a function that other processes find by its name.
    given_up : callable
        Returns what becomes of a job that cannot be done, for a reason.
    """
    if workers <= 1:
        for job in jobs:
            yield do(job, settings)
        return
    left = list(reversed(jobs))
    while left:
        at_hand: dict[Future[Any], Job] = {}
        suspects: list[Job] = []
        with _pool(workers) as pool:
            while (left or at_hand) and not suspects:
                while left and len(at_hand) < workers:
                    job = left.pop()
                    try:
                        at_hand[pool.submit(do, job, settings)] = job
                    except BrokenProcessPool:  # between two jobs
                        suspects = [job, *at_hand.values()]
                        break
                if suspects:
                    break
                ended, _ = wait(at_hand, return_when=FIRST_COMPLETED)
                for future in ended:
                    job = at_hand.pop(future)
                    try:
                        yield future.result()
                    except BrokenProcessPool:
                        suspects += [job, *at_hand.values()]
                        break
        for job in suspects:
            yield _alone(job, settings, do, given_up)


def on_cluster(
    jobs: Sequence[Job],
    settings: Any,
    client: Any,
    do: Do = embed_part,
    given_up: GivenUp = _failed,
) -> Iterator[Any]:
    """Yield what becomes of jobs on a dask cluster, as they end.

    Parameters
    ----------
    jobs : sequence of Job
        With paths that the workers know.
    settings, do, given_up
        As for `on_this_machine`.
    client : distributed.Client
        It is closed at the end.
    """
    from distributed import as_completed

    with client:
        waiting, trouble = _submit(jobs, settings, client, do)
        left = jobs[len(waiting) :]
        ended = as_completed(list(waiting), loop=client.loop)
        watch = _ClusterWatch(client)
        while waiting and trouble is None:
            for future in ended.next_batch(block=False):
                job = waiting.pop(future)
                try:
                    problem = future.exception()
                    result = future.result() if problem is None else None
                except (OSError, TimeoutError, CancelledError) as error:
                    # The scheduler is gone, and with it all that it had not told yet.
                    waiting[future], trouble = job, _lost(error)
                    break
                if result is not None:
                    yield result
                elif isinstance(problem, PvpuError):
                    raise problem
                else:
                    yield given_up(job, f"{type(problem).__name__}: {problem}")
            else:
                trouble = watch.trouble()
                time.sleep(_POLL_SECONDS)
        for job in (*waiting.values(), *left):
            yield given_up(job, f"the cluster was lost ({trouble}); run it again")


def _submit(
    jobs: Sequence[Job], settings: Any, client: Any, do: Do
) -> tuple[dict[Any, Job], str | None]:
    """Hand jobs to a cluster; return those it has, by their futures, and what went wrong if so."""
    waiting: dict[Any, Job] = {}
    try:
        for job in jobs:
            # Not pure: the same job may have to be done again after the store was cleared.
            waiting[client.submit(do, job, settings, pure=False)] = job
    except (OSError, TimeoutError, CancelledError, RuntimeError) as error:
        return waiting, _lost(error)
    return waiting, None


def _lost(error: Exception) -> str:
    """Say in a few words why a cluster does not answer; dask names each job and its state."""
    if isinstance(error, CancelledError):
        return "the connection to its scheduler broke"
    return str(error) or type(error).__name__


class _ClusterWatch:
    """Looks now and then whether a cluster still has anybody who works: dask waits for ever."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._alive = self._looked = time.monotonic()

    def trouble(self) -> str | None:
        """Return what is wrong, once it has been for a while."""
        now = time.monotonic()
        if now - self._looked < _WORKERLESS_SECONDS / 20:
            return None
        self._looked = now
        try:
            if self._client.scheduler_info(n_workers=-1)["workers"]:
                self._alive = now
        except (OSError, TimeoutError, CancelledError, RuntimeError, ValueError):
            pass  # its futures tell
        if now - self._alive <= _WORKERLESS_SECONDS:
            return None
        return f"it has had no worker for {_WORKERLESS_SECONDS:.0f} s"


def connect(address: str) -> Any:
    """Return a client of the dask cluster at an address, or raise `ClusterError`."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            f"a dask cluster needs the package distributed, which cannot be imported ({error}); "
            "run: pip install napari-pvpu[cluster]"
        ) from error
    try:
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"there is no dask scheduler at {address} ({error}); check the address, such as "
            "tcp://127.0.0.1:8786"
        ) from error


def workers_of(client: Any) -> int:
    """Return how many workers a cluster has."""
    return max(1, len(client.scheduler_info(n_workers=-1)["workers"]))


def _pool(workers: int) -> ProcessPoolExecutor:
    # A forked process would inherit torch's and OpenMP's threads in whatever state they are.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _alone(job: Job, settings: Any, do: Do, given_up: GivenUp) -> Any:
    with _pool(1) as pool:
        try:
            return pool.submit(do, job, settings).result()
        except BrokenProcessPool:
            return given_up(job, _DIED)


def _joined(name: str, parts: Iterable[Embedded]) -> Embedded:
    """Add up the parts of an image."""
    mine = [part for part in parts if part.image == name]
    errors = list(dict.fromkeys(part.error for part in mine if part.error is not None))
    return Embedded(
        name,
        sum(part.encoded for part in mine),
        sum(part.found for part in mine),
        sum(part.seconds for part in mine),
        "; ".join(errors) if errors else None,
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
