"""Workers and schedulers that die in the midst of encoding ahead."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from napari_pvpu.features import embedding
from napari_pvpu.features.embedding import embed_images
from napari_pvpu.features.precompute import EmbedSettings

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="nothing is killed so on Windows"
)

LONG = bool(os.environ.get("NAPARI_PVPU_LONG"))


@pytest.fixture
def images(tmp_path):
    """Eight images, each of which takes a moment."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.npy" for number in range(8)]
    for path in paths:
        np.save(path, rng.integers(0, 255, (150, 150), np.uint8))
    return paths


@pytest.fixture
def settings(weights, tmp_path):
    return EmbedSettings(weights, "cpu", store=str(tmp_path / "store"), scales=(1.0,))


def test_a_worker_that_dies_costs_nothing(images, settings):
    """One of two processes is killed; what it was at is done again by another."""
    images = images[:4]  # each process that is made anew imports torch
    killed = []

    def kill_one(part):
        if not killed:
            worker = multiprocessing.active_children()[0]
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)

    report = embed_images(images, settings, workers=2, progress=kill_one)
    assert killed
    assert report.failed == ()
    assert [image.image for image in report.images] == [str(path) for path in images]
    again = embed_images(images, settings)
    assert all(image.encoded == 0 and image.found > 0 for image in again.images)


@contextmanager
def cluster(folder):
    """A dask scheduler and a worker, each in a process of its own; yield address and scheduler."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    python = [sys.executable, "-W", "ignore", "-m"]
    common = ["--no-dashboard"]
    scheduler = subprocess.Popen(
        [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
         *common],
        stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    worker = subprocess.Popen(
        [*python, "distributed.cli.dask_worker", address, "--nworkers", "1", "--nthreads", "1",
         "--no-nanny", "--death-timeout", "20", *common],
        stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    try:
        yield address, scheduler, worker
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()


def wait_for_worker(address):
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)


@pytest.mark.parametrize("who", ["scheduler", "worker"] if LONG else ["scheduler"])
def test_a_cluster_that_dies_is_told_and_what_was_encoded_stays(
    images, settings, tmp_path, monkeypatch, who
):
    pytest.importorskip("distributed")
    monkeypatch.setattr(embedding, "_WORKERLESS_SECONDS", 2.0)
    with cluster(tmp_path) as (address, scheduler, worker):
        wait_for_worker(address)

        def kill(part):
            process = scheduler if who == "scheduler" else worker
            if process.poll() is None:
                process.kill()
                process.wait()

        report = embed_images(images, settings, scheduler=address, progress=kill)
    done = [image for image in report.images if image.error is None]
    assert done
    assert report.failed
    for image in report.failed:
        assert "run it again" in image.error
        assert len(image.error) < 120, "in few words"
    again = embed_images(images, settings)
    assert again.failed == ()
    kept = {image.image for image in again.images if image.found and not image.encoded}
    assert kept >= {image.image for image in done}, "what was encoded before is found"
