"""A real napari is killed in the midst of work, with another one beside it, and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest

from napari_pvpu.journal import read_journal
from napari_pvpu.napari_side import journaling, stage
from napari_pvpu.napari_side.preferences import Preferred
from napari_pvpu.replay import replay
from napari_pvpu.segmenter import Segmenter

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing is killed so on Windows"),
]

LONG = float(os.environ.get("NAPARI_PVPU_LONG", "0"))
KILLS = 20 if LONG else 1
LOOKS = 20
"""Moments at which the file is looked at, as it would be found had the program been killed then."""

MODEL = "pvpu-nano"
PROGRAM = Path(__file__).parents[1] / "scripted_window.py"


class Other:
    """A napari in a process of its own, with caches, settings and sessions in a folder."""

    def __init__(self, home: Path, image: Path) -> None:
        self.sessions = home / "cache" / "napari-pvpu" / "sessions"
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        self._told = b""
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "NAPARI_PVPU_CACHE": str(home / "store"),
        }
        command = [sys.executable, "-W", "ignore", str(PROGRAM), str(image)]
        self._process = subprocess.Popen(command, stdout=write, env=environment)
        os.close(write)

    @property
    def told(self) -> int:
        """Operations that it had when it last told of a step; -1 before that."""
        while True:
            try:
                part = os.read(self._read, 4096)
            except BlockingIOError:
                break
            if not part:
                break
            self._told += part
        whole = self._told[: self._told.rfind(b"\n") + 1].splitlines()
        counts = [line for line in whole if line.isdigit()]  # napari prints its notices, too
        return int(counts[-1]) if counts else -1

    def until(self, operations: int) -> None:
        """Wait until it has done so much."""
        end = time.monotonic() + 300
        while self.told < operations:
            assert self._process.poll() is None, "it ended by itself"
            assert time.monotonic() < end, "it stands still"
            time.sleep(0.01)

    def kill(self) -> int:
        """Kill it; return the operations that it had told of."""
        self._process.kill()
        self._process.wait()
        told = self.told
        os.close(self._read)
        return told


@pytest.fixture
def image(tmp_path, blobs) -> Path:
    np.save(tmp_path / "image.npy", blobs)
    return tmp_path / "image.npy"


def look(other: Other) -> tuple[int, bytes]:
    """Return what has been told of, and then what is in the file."""
    told = other.told
    [path] = other.sessions.glob(f"*{journaling.SUFFIX}")
    return told, path.read_bytes()


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_napari_is_gone_on_with_where_it_was(
    make_napari_viewer, monkeypatch, tmp_path, blobs, image, kill
) -> None:
    chance = Random(kill)
    other = Other(tmp_path, image)
    try:
        other.until(0)
        found = []
        for _ in range(LOOKS):
            time.sleep(chance.uniform(0, 0.12))
            found.append(look(other))
        other.until(2)  # so that there is something to go on with

        # Another napari on the same image, store and folder: each leaves the other's work alone.
        monkeypatch.setenv("NAPARI_PVPU_CACHE", str(tmp_path / "store"))
        monkeypatch.setattr(journaling, "sessions_folder", lambda: other.sessions)
        monkeypatch.setattr(stage, "preferred", lambda: Preferred(MODEL, "cpu"))
        viewer = make_napari_viewer(strict_qt="raise")
        layer = viewer.add_image(blobs, name="mine")
        _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
        assert panel.controller.wait()
        assert panel.controller.workspace.earlier is None
        assert len(list(other.sessions.glob(f"*{journaling.SUFFIX}"))) == 2
        time.sleep(chance.uniform(0, 0.5))
    finally:
        told = other.kill()

    [path] = set(other.sessions.glob(f"*{journaling.SUFFIX}")) - {
        panel.controller.session.journal.path
    }
    content = path.read_bytes()
    for acknowledged, seen in [*found, (told, content)]:
        assert content.startswith(seen), "files are only ever appended to"
        (tmp_path / "seen").write_bytes(seen)
        assert len(read_journal(tmp_path / "seen").operations) >= acknowledged
    expected = replay(read_journal(path), blobs, Segmenter(MODEL, device="cpu"))

    # The same image opened again: what was killed is offered, and comes back as it was.
    viewer.layers.remove(layer)
    assert panel.controller.wait()
    viewer.add_image(blobs, name="again")
    assert panel.controller.wait()
    assert not panel.earlier.isHidden()
    panel.resume.click()
    assert panel.controller.wait()
    session = panel.controller.session
    np.testing.assert_array_equal(session.labels, expected.labels)
    np.testing.assert_array_equal(viewer.layers["again objects"].data, expected.labels)
    assert session.prompts == expected.prompts == panel.controller.workspace.prompts.read()
    assert session.history == expected.history
    panel.controller.go_to(0)
    assert not viewer.layers["again objects"].data.any()
