"""The last good checkpoint survives whatever happens while the next one is written."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_pvpu.errors import PvpuError, WeightsError
from napari_pvpu.training.checkpoints import (
    CHECKPOINT,
    PREVIOUS,
    differences,
    find_checkpoint,
    read_checkpoint,
    write_checkpoint,
)

if TYPE_CHECKING:
    from pathlib import Path

POSIX = pytest.mark.skipif(os.name == "nt", reason="no limits of file sizes, no SIGKILL")


def state(step: int, numbers: int = 1000) -> dict[str, Any]:
    return {"step": step, "net": {"weight": torch.full((numbers,), float(step))}}


def stored(folder: Path) -> dict[str, int]:
    """Steps by the names of files."""
    found = {}
    for path in sorted(folder.iterdir()):
        saved = torch.load(path, weights_only=True)
        assert torch.equal(saved["net"]["weight"], state(saved["step"])["net"]["weight"])
        found[path.name] = saved["step"]
    return found


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path) is None
    for step in (1, 2, 3):
        assert write_checkpoint(state(step), tmp_path) == tmp_path / CHECKPOINT
    assert stored(tmp_path) == {CHECKPOINT: 3, PREVIOUS: 2}
    assert find_checkpoint(tmp_path) == tmp_path / CHECKPOINT
    assert read_checkpoint(tmp_path / CHECKPOINT)["step"] == 3


def test_without_links_the_one_before_is_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links on this file system")

    monkeypatch.setattr(os, "link", refuse)
    for step in (1, 2, 3):
        write_checkpoint(state(step), tmp_path)
    assert stored(tmp_path) == {CHECKPOINT: 3, PREVIOUS: 2}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # Inside the numbers themselves, where torch would not notice.
    content[content.index(torch.full((8,), 2.0).numpy().tobytes()) + 3] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    torch.save({"something": "else"}, path)


@pytest.mark.parametrize("damage", [cut, flip, empty, swap])
def test_a_damaged_one_falls_back_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any
) -> None:
    for step in (1, 2):
        write_checkpoint(state(step), tmp_path)
    damage(tmp_path / CHECKPOINT)
    with caplog.at_level(logging.WARNING):
        assert read_checkpoint(tmp_path / CHECKPOINT)["step"] == 1
    assert len(caplog.messages) == 1
    assert "checkpoint.pt is damaged" in caplog.text
    assert "goes on from the one before, checkpoint.previous.pt, of step 1" in caplog.text


def test_a_damaged_one_does_not_take_the_place_of_a_good_one(tmp_path: Path) -> None:
    for step in (1, 2):
        write_checkpoint(state(step), tmp_path)
    flip(tmp_path / CHECKPOINT)
    write_checkpoint(state(3), tmp_path)
    assert stored(tmp_path) == {CHECKPOINT: 3, PREVIOUS: 1}


def test_nothing_readable_is_an_error_that_names_both(tmp_path: Path) -> None:
    for step in (1, 2):
        write_checkpoint(state(step), tmp_path)
    empty(tmp_path / CHECKPOINT)
    empty(tmp_path / PREVIOUS)
    message = "checkpoint.pt is damaged .* and .*checkpoint.previous.pt is damaged .*restore a copy"
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(tmp_path / CHECKPOINT)


def run_python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with ``write`` and ``state`` in a process of its own."""
    start = f"""
        import os, resource, signal, sys
        from pathlib import Path
        import torch
        from napari_pvpu.training.checkpoints import write_checkpoint
        folder = Path({str(folder)!r})
        def write(step, numbers=1000):
            weight = torch.full((numbers,), float(step))
            write_checkpoint({{"step": step, "net": {{"weight": weight}}}}, folder)
    """
    code = textwrap.dedent(start) + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@POSIX
def test_a_disk_that_takes_no_more_costs_nothing(tmp_path: Path) -> None:
    """Files of this process may not grow beyond 60 kB: writing fails half way, for real."""
    done = run_python(
        """
        write(1)
        write(2)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
        try:
            write(3, 100_000)
        except Exception as error:
            print(type(error).__name__, error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        """,
        tmp_path,
    )
    assert done.stdout.startswith("PvpuError the checkpoint of step 3 could not be written to ")
    assert "File too large" in done.stdout
    assert "the one before is kept; free some space there and go on" in done.stdout
    assert stored(tmp_path) == {CHECKPOINT: 2, PREVIOUS: 1}


def test_a_first_one_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.tmp").mkdir()
    with pytest.raises(PvpuError, match=r"step 1 could not be written .*there is none yet"):
        write_checkpoint(state(1), tmp_path)


@POSIX
@pytest.mark.parametrize(
    ("when", "left"),
    [
        ("resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))", 2),
        ("os.fsync = die", 2),
        ("os.link = die", 2),
        ("Path.replace = die", 2),
        ("os.fsync = die_at_the_second", 3),
    ],
    ids=["writing", "written", "linking", "renaming", "renamed"],
)
def test_a_kill_at_any_moment_leaves_a_good_one(tmp_path: Path, when: str, left: int) -> None:
    done = run_python(
        f"""
        calls = []
        fsync = os.fsync
        def die(*_):
            os.kill(os.getpid(), signal.SIGKILL)
        def die_at_the_second(descriptor):
            calls.append(descriptor)
            die() if len(calls) == 2 else fsync(descriptor)
        write(1)
        write(2)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which kills
        {when}
        write(3)
        print("not reached")
        """,
        tmp_path,
    )
    assert done.returncode in (-signal.SIGKILL, -signal.SIGXFSZ)
    assert done.stdout == ""
    assert read_checkpoint(tmp_path / CHECKPOINT)["step"] == left
    assert read_checkpoint(tmp_path / PREVIOUS)["step"] in (1, 2)
    # What the dead process left behind is in nobody's way.
    write_checkpoint(state(4), tmp_path)
    write_checkpoint(state(5), tmp_path)
    assert stored(tmp_path) == {CHECKPOINT: 5, PREVIOUS: 4}


@POSIX
def test_kills_at_random_moments(tmp_path: Path) -> None:
    """A process writes one checkpoint after another and is killed, twenty times."""
    done = run_python(
        """
        import random, time
        from napari_pvpu.training.checkpoints import find_checkpoint, read_checkpoint
        torch.set_num_threads(1)
        rng, step = random.Random(0), 0
        write(step)
        for _ in range(20):
            reader, writer = os.pipe()
            child = os.fork()
            if not child:
                for number in range(step + 1, step + 10_000):
                    write(number, 50_000)
                    os.write(writer, b"x")
            os.close(writer)
            time.sleep(rng.uniform(0.0, 0.1))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            reported = len(os.read(reader, 100_000))
            os.close(reader)
            found = read_checkpoint(find_checkpoint(folder))["step"]
            assert step + reported <= found <= step + reported + 1, (step, reported, found)
            step = found
        print(step)
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_settings_that_differ_are_named() -> None:
    usual = {"views": 36, "stream": None, "optimizer": {"rate": 1e-3, "momentum": 0.95}}
    before = {"views": 36, "optimizer": {"rate": 1e-3}, "log_every": 50, "rounds": (0.5, 0.5)}
    now = {
        "views": 12,
        "stream": None,
        "optimizer": {"rate": 2e-3, "momentum": 0.9},
        "log_every": 10,
        "rounds": [0.5, 0.5],
    }
    assert differences(before, now, usual) == [
        "views 36 -> 12",
        "optimizer.rate 0.001 -> 0.002",
        "optimizer.momentum 0.95 -> 0.9",
    ]
