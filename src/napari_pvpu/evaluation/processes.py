"""Many evaluations at the same time, each in a process of its own with one thread."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from napari_pvpu.errors import PvpuError
from napari_pvpu.waiting import wait_passively

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["run_jobs"]

Job = TypeVar("Job")
Answer = TypeVar("Answer")


def run_jobs(
    function: Callable[[Job], Answer],
    jobs: Sequence[Job],
    workers: int = 1,
    *,
    title: str = "",
) -> Iterator[tuple[Job, Answer]]:
    """Do independent jobs, here or in several processes.

    Parameters
    ----------
    function : callable
        At the top of a module, so that another process can import it.
    jobs : sequence
        What to call it with. Whatever it needs to know is in the job: a new process shares nothing
        with this one.
    workers : int
        Processes; with 1 (or one job) everything is done here.
    title : str
        Of the progress bar on stderr, shown for several processes if that is a terminal.

    Yields
    ------
    job, answer
        As they are done.

    Raises
    ------
    PvpuError
        When `workers` is less than 1, or a process dies.
    Exception
        The first that a job raises; jobs that have not begun are dropped.
    """
    if workers < 1:
        raise PvpuError(f"workers is {workers}; it must be 1 or more processes")
    if min(workers, len(jobs)) <= 1:
        for job in jobs:
            yield job, function(job)
        return
    # Not forked: torch's threads do not survive that.
    context = multiprocessing.get_context("spawn")
    count = min(workers, len(jobs))
    with ProcessPoolExecutor(count, mp_context=context, initializer=_use_one_thread) as pool:
        started = {pool.submit(function, job): job for job in jobs}
        try:
            for done in tqdm(as_completed(started), total=len(jobs), desc=title, disable=None):
                yield started[done], done.result()
        except BrokenProcessPool as error:
            raise PvpuError(
                f"one of {count} processes ended by itself, most likely for want of memory; use "
                "fewer workers"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _use_one_thread() -> None:
    wait_passively()
    # Read when torch (and numpy's linear algebra) is imported, which here nobody has done yet,
    # unless the program's own module did.
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
