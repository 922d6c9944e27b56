from __future__ import annotations

import os

import pytest

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.processes import run_jobs


def test_one_worker_is_this_process() -> None:
    assert dict(run_jobs(_where, [1, 2])) == {1: os.getpid(), 2: os.getpid()}
    assert dict(run_jobs(_where, [1], workers=4)) == {1: os.getpid()}
    assert dict(run_jobs(_where, [], workers=4)) == {}


def _where(job: int) -> int:
    return os.getpid()


def test_several_workers_answer_every_job() -> None:
    # Of the standard library, so that the other processes find it without these tests.
    assert dict(run_jobs(abs, [-3, 5, -8], workers=2)) == {-3: 3, 5: 5, -8: 8}


def test_what_a_job_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match="invalid literal for int"):
        dict(run_jobs(int, ["1", "two", "3"], workers=2))


def test_a_process_that_dies_is_told_of() -> None:
    with pytest.raises(PvpuError, match="one of 2 processes ended by itself"):
        dict(run_jobs(os._exit, [1, 2], workers=2))


@pytest.mark.parametrize("workers", [0, -1])
def test_too_few_workers(workers: int) -> None:
    with pytest.raises(PvpuError, match=f"workers is {workers}; it must be 1 or more"):
        dict(run_jobs(abs, [1], workers))
