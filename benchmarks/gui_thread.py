"""How long napari stands still: while the network runs, at accept and undo, when the panel opens.

Needs a screen; a virtual one will do (then a CPU draws the pictures, too, which counts as standing
still here although a graphics card would do it; how long napari takes for that by itself is told,
too). The panel counts as opened when all of it has been drawn. A heart beats on the GUI thread each
millisecond; the time between two beats is how long nothing else could happen there. Each part runs
in a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from measured import machine, save, summary
from qtpy.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

    from napari_pvpu.napari_side.controller import Controller

LIMIT = 120.0
OPENINGS = 5
LARGE = 12_000
OBJECT = 200
ACCEPTS = 30
DRAWINGS = 20
PRESSED, DRAWN = 60, 60
"""Milliseconds for which the mouse is pressed, and until an answer that has come is drawn."""


def main() -> None:
    """Measure, then write docs/performance/gui_thread.json and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    parser.add_argument("--part", choices=PARTS, help="run this alone and print JSON")
    options = parser.parse_args()
    os.environ["NAPARI_PVPU_CACHE"] = "off"  # every view is to be encoded
    if options.part:
        print(json.dumps(PARTS[options.part](options.model)))
        return
    where = machine()
    found: dict[str, list[float]] = {}
    for part in [*["opening", "napari"] * OPENINGS, "beats", "steps"]:
        for name, values in in_process(part, options.model).items():
            found.setdefault(name, []).extend(values)
    rows = [row(name, values) for name, values in found.items()]
    for each in rows:
        print(" ".join(f"{value!s:>9}" for value in each.values()))
    command = "scripts/with_display.sh virtual .venv/bin/python benchmarks/gui_thread.py"
    title = f"How long napari stands still: {options.model}"
    save("gui_thread", title, command, rows, machine=where)


def in_process(part: str, model: str) -> dict[str, list[float]]:
    """Milliseconds by what they were spent on, from a fresh process."""
    command = [sys.executable, "-W", "ignore", __file__, "--part", part, "--model", model]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def row(name: str, values: list[float]) -> dict[str, Any]:
    """One line of the table."""
    last = round(float(np.percentile(values, 99)), 2) if len(values) >= 100 else None
    timing = summary(values)
    return {
        "what": name, "median": timing["median"], "p95": timing["p95"], "p99": last,
        "most": round(max(values), 2), "n": len(values), "unit": "ms",
        "target": TARGETS.get(name),
    }  # fmt: skip


# Beats


class Heart:
    """Notes when the GUI thread was free to do something."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._on_beat)
        self.beats: list[float] = []

    def listen(self) -> None:
        """Begin."""
        self.beats = [time.perf_counter()]
        self._timer.start()

    def gaps(self) -> list[float]:
        """End, and return the milliseconds between beats."""
        self._timer.stop()
        self._on_beat()
        return (1e3 * np.diff(self.beats)).tolist()

    def _on_beat(self) -> None:
        self.beats.append(time.perf_counter())


def beats(model: str) -> dict[str, list[float]]:
    """Gaps between beats while the model is loaded, and while answers are on their way."""
    from qtpy.QtTest import QTest

    from napari_pvpu import samples

    heart = Heart()
    viewer = window()
    viewer.add_image(samples.load("coins").image, name="coins")
    viewer.reset_view()
    QTest.qWait(500)
    heart.listen()
    QTest.qWait(1000)
    quiet = heart.gaps()
    plain = drawings(viewer)
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    controller = panel.controller
    controller.model = model
    until(lambda: controller.workspace is not None)
    QTest.qWait(0)  # what that has changed is drawn before the model is loaded
    heart.listen()
    settle(controller)
    loading = heart.gaps()
    QTest.qWait(300)
    layered = drawings(viewer)
    known, fresh = answers(viewer, controller, heart)
    viewer.close()
    return {
        "napari with nothing to do": quiet,
        "napari draws the canvas, the image alone": plain,
        "napari draws the canvas, our layers too, beside the panel": layered,
        "while the model is loaded": loading,
        "while an answer is computed, view known": known,
        "while an answer is computed, new view encoded too": fresh,
    }


def answers(
    viewer: Viewer, controller: Controller, heart: Heart
) -> tuple[list[float], list[float]]:
    """Gaps from a click until its answer is drawn, for clicks on known views and on new ones."""
    from qtpy.QtTest import QTest

    from napari_pvpu import samples

    truth = samples.load("coins").truth
    rng = np.random.default_rng(0)
    known, fresh = [], []
    native = viewer.window._qt_viewer.canvas.native
    for label in range(1, int(truth.max()) + 1):
        places = np.argwhere(truth == label)
        for row, col in places[rng.integers(len(places), size=3)]:
            there = place(viewer, row, col)
            QTest.mouseMove(native, there)
            QTest.qWait(50)
            heart.listen()
            QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=there)
            QTest.qWait(PRESSED)
            QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=there)
            settle(controller)
            QTest.qWait(DRAWN)
            gaps = heart.gaps()
            session = controller.session
            assert session is not None
            (fresh if session.last_timing.encode_ms > 0 else known).extend(gaps)
            QTest.qWait(50)
        controller.reset()
        settle(controller)
    return known, fresh


def drawings(viewer: Viewer) -> list[float]:
    """Milliseconds that each of several drawings of the canvas takes."""
    found = []
    for _ in range(DRAWINGS):
        start = time.perf_counter()
        draw(viewer)
        found.append(1e3 * (time.perf_counter() - start))
    return found


# Steps


def steps(model: str) -> dict[str, list[float]]:
    """Accept and undo of a round object of 200 x 200 in a large image."""
    from qtpy.QtTest import QTest

    from napari_pvpu import attach

    viewer = window()
    tile = np.random.default_rng(0).integers(0, 255, (500, 500), np.uint8)
    viewer.add_image(np.tile(tile, (LARGE // 500, LARGE // 500)), name="large")
    controller = attach(viewer)
    controller.model = model
    settle(controller)
    viewer.reset_view()
    QTest.qWait(500)
    axis = np.arange(OBJECT) - OBJECT / 2 + 0.5
    disk = np.hypot(axis[:, None], axis) <= OBJECT / 2
    rng = np.random.default_rng(1)
    times: dict[str, list[float]] = {
        f"{step}{what}": [] for step in ("accept", "undo") for what in ("", " processor", " drawn")
    }
    for number in range(ACCEPTS + 1):
        session = controller.session
        assert session is not None
        row, col = rng.integers(0, LARGE - OBJECT, 2)
        session.open_mask(disk, offset=(int(row), int(col)))
        settle(controller)
        QTest.qWait(400)  # the mask is shown when the session is looked at next
        for name, act in (("accept", controller.accept), ("undo", controller.undo)):
            start, worked = time.perf_counter(), time.thread_time()
            act()
            done, worked = time.perf_counter(), time.thread_time() - worked
            draw(viewer)
            drawn = time.perf_counter()
            if number:  # the first one warms up
                times[name].append(1e3 * (done - start))
                times[f"{name} processor"].append(1e3 * worked)
                times[f"{name} drawn"].append(1e3 * (drawn - start))
            QTest.qWait(50)
        controller.redo()
        QTest.qWait(50)
    viewer.close()
    about = f"of an object of {OBJECT} x {OBJECT} in {LARGE} x {LARGE}"
    found = {}
    for step in ("accept", "undo"):
        found[f"{step} {about}"] = times[step]
        found[f"  of which processor time of the {step}"] = times[f"{step} processor"]
        found[f"{step} {about}, and drawn"] = times[f"{step} drawn"]
    return found


def draw(viewer: Viewer) -> None:
    """Have Qt do all that waits, painting included."""
    from qtpy.QtWidgets import QApplication

    viewer.window._qt_viewer.canvas.native.update()
    QApplication.processEvents()
    QApplication.processEvents()


# Opening


def opening(model: str) -> dict[str, list[float]]:
    """The panel from the menu, until it is there and until a click would be answered."""
    from qtpy.QtTest import QTest

    from napari_pvpu import samples

    viewer = window()
    viewer.add_image(samples.load("coins").image, name="coins")
    viewer.reset_view()
    QTest.qWait(500)
    start = time.perf_counter()
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    painted = Painted(panel)
    until(lambda: painted.at > 0)
    until(lambda: panel.controller.workspace is not None)
    draw(viewer)
    there = time.perf_counter()
    settle(panel.controller)
    ready = time.perf_counter()
    if panel.controller.trouble is not None:
        raise SystemExit(str(panel.controller.trouble))
    viewer.close()
    return {
        "panel opened, without the network": [1e3 * (painted.at - start)],
        "panel opened, with the four layers": [1e3 * (there - start)],
        "panel opened, model and image ready": [1e3 * (ready - start)],
    }


def napari_alone(model: str) -> dict[str, list[float]]:
    """What napari takes for an empty dock widget and four empty layers as ours are."""
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QWidget

    from napari_pvpu import samples

    viewer = window()
    image = viewer.add_image(samples.load("coins").image, name="coins")
    viewer.reset_view()
    QTest.qWait(500)
    start = time.perf_counter()
    viewer.window.add_dock_widget(QWidget(), name="empty")
    draw(viewer)
    docked = time.perf_counter()
    viewer.add_labels(np.zeros(image.data.shape, np.uint16))
    viewer.add_labels(np.zeros((1, 1), np.uint8))
    viewer.add_shapes(ndim=2)
    viewer.add_points(ndim=2)
    draw(viewer)
    there = time.perf_counter()
    viewer.close()
    return {
        "  napari alone: an empty dock widget": [1e3 * (docked - start)],
        "  napari alone: it and four empty layers": [1e3 * (there - start)],
    }


# What they share


class Painted(QObject):
    """Notes when a widget, and all in it, was drawn for the first time."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.at, self._seen = 0.0, False
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Paint and not self._seen:
            self._seen = True
            QTimer.singleShot(0, self._note)  # Qt draws what is in it before that
        return False

    def _note(self) -> None:
        self.at = time.perf_counter()


def window() -> Viewer:
    """A napari window on the screen."""
    import napari
    from qtpy.QtTest import QTest

    viewer = napari.Viewer(show=False, show_welcome_screen=False)
    viewer.show()
    viewer.window.resize(1400, 900)
    QTest.qWaitForWindowExposed(viewer.window._qt_window, 5000)
    return viewer


def settle(controller: Controller) -> None:
    """Let Qt run until everything is answered, and Python's collector has caught up."""
    until(lambda: not controller.busy and gc.isenabled())


def until(reached: Callable[[], bool]) -> None:
    """Let Qt's own loop run until something is so: one in Python would take its lock."""
    loop, watch = QEventLoop(), QTimer()
    watch.setInterval(5)
    watch.timeout.connect(lambda: reached() and loop.quit())
    end = QTimer()
    end.setSingleShot(True)
    end.timeout.connect(loop.quit)
    end.start(round(1e3 * LIMIT))
    watch.start()
    loop.exec()
    watch.stop()
    if not reached():
        raise SystemExit(f"not done within {LIMIT:.0f} s")


def place(viewer: Viewer, row: float, col: float) -> Any:
    """Canvas pixel of a data pixel: napari centres the camera and scales by its zoom."""
    from qtpy.QtCore import QPoint

    camera = viewer.scene.camera
    height, width = viewer.canvas.size
    down, right = (np.array([row, col]) - camera.center[-2:]) * camera.zoom
    return QPoint(round(width / 2 + right), round(height / 2 + down))


PARTS = {"opening": opening, "napari": napari_alone, "beats": beats, "steps": steps}
TARGETS = {
    "while an answer is computed, view known": "p99 50",
    "while an answer is computed, new view encoded too": "p99 50",
    f"accept of an object of {OBJECT} x {OBJECT} in {LARGE} x {LARGE}": 30,
    f"undo of an object of {OBJECT} x {OBJECT} in {LARGE} x {LARGE}": 30,
    "panel opened, without the network": 500,
    "panel opened, model and image ready": 3000,
}

if __name__ == "__main__":
    main()
