"""A program that annotates a series in a real viewer until it kills itself in the middle.

usage: series_until_killed.py FOLDER WEIGHTS SESSIONS
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

os.environ["NAPARI_PVPU_CACHE"] = "off"

import napari

from napari_pvpu import Click, attach
from napari_pvpu.napari_side import journaling, series_saving


def main(folder: str, weights: str, sessions: str) -> None:
    journaling.sessions_folder = lambda: Path(sessions)
    series_saving.AUTOSAVE_MS = 10**7
    viewer = napari.Viewer(show=False)
    controller = attach(viewer)
    controller.model, controller.device = weights, "cpu"
    controller.series.open(folder)
    assert controller.series.wait(300)
    controller.add(Click((30, 40)))
    controller.accept()
    controller.series.done_image()
    assert controller.series.wait(300)
    controller.add(Click((30, 40)))
    controller.accept()
    controller.add(Click((60, 90)))
    assert controller.wait(300)
    assert controller.series.unsaved, "the labels of the second image are in no file yet"
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
