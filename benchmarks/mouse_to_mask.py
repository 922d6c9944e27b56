"""Time from a mouse event to the repainted mask, in a real napari window.

Needs a screen; a virtual one will do (then a CPU draws the pictures, too). The mouse button is
pressed and released on the canvas with Qt's own test tool; the clock stops when the window that
shows the preview's new mask has been handed to the screen, and notes when the canvas had been
drawn. In between Qt's event loop runs as it does for a
user: a loop in Python around it would take Python's lock away from the worker's thread.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

import napari
import numpy as np
from measured import machine, save, summary
from qtpy.QtCore import QEventLoop, QPoint, Qt, QTimer
from qtpy.QtTest import QTest

from napari_pvpu import attach, samples

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.controller import Controller

LIMIT = 60.0
CLICKS = 5


class Stopwatch:
    """Notes when a mask came to its layer, was drawn, and was on the screen."""

    def __init__(self, viewer: Viewer, controller: Controller) -> None:
        self._viewer = viewer
        self._canvas = viewer.window._qt_viewer.canvas
        self._mask_at = self._drawn_at = self._shown_at = 0.0
        self._loop = QEventLoop()
        assert controller.workspace is not None
        controller.workspace.preview.layer.events.set_data.connect(self._on_mask)
        self._canvas._scene_canvas.events.draw.connect(self._on_draw, position="last")
        self._canvas.native.frameSwapped.connect(self._on_shown)

    def click(self, row: float, col: float, *, negative: bool = False) -> tuple[float, float]:
        """Click on a data pixel; return milliseconds until its mask was on the screen and drawn."""
        keys = Qt.KeyboardModifier.ShiftModifier if negative else Qt.KeyboardModifier.NoModifier
        place = self._place(row, col)
        QTest.mouseMove(self._canvas.native, place)
        QTest.qWait(50)
        self._mask_at = self._drawn_at = self._shown_at = 0.0
        start = time.perf_counter()
        QTest.mouseClick(self._canvas.native, Qt.MouseButton.LeftButton, keys, place)
        if not self._shown_at:
            limit = QTimer()
            limit.setSingleShot(True)
            limit.timeout.connect(self._loop.quit)
            limit.start(round(1e3 * LIMIT))
            self._loop.exec()
        if not self._shown_at:
            raise SystemExit(f"no mask within {LIMIT:.0f} s of a click at {row, col}")
        return 1e3 * (self._shown_at - start), 1e3 * (self._drawn_at - start)

    def _place(self, row: float, col: float) -> QPoint:
        """Canvas pixel of a data pixel: napari centres the camera and scales by its zoom."""
        camera = self._viewer.scene.camera
        height, width = self._viewer.canvas.size
        down, right = (np.array([row, col]) - camera.center[-2:]) * camera.zoom
        return QPoint(round(width / 2 + right), round(height / 2 + down))

    def _on_mask(self) -> None:
        self._mask_at, self._drawn_at = time.perf_counter(), 0.0

    def _on_draw(self, _event: object) -> None:
        if self._mask_at and not self._drawn_at:
            self._drawn_at = time.perf_counter()

    def _on_shown(self) -> None:
        if self._drawn_at and not self._shown_at:
            self._shown_at = time.perf_counter()
            self._loop.quit()


def main() -> None:
    """Measure, then write docs/performance/mouse_to_mask.json and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    options = parser.parse_args()
    os.environ["NAPARI_PVPU_CACHE"] = "off"  # every view is to be encoded
    where = machine()
    viewer, controller = window(options.model)
    rows = []
    for switch in (False, True):
        known, fresh = measure(viewer, controller, switch)
        state = "EM on" if switch else "EM off"
        for what, values, target in (("view known", known, 100), ("new view too", fresh, None)):
            if values:
                shown, drawn = zip(*values, strict=True)
                timings = (
                    (f"{what}, {state}", shown, target),
                    ("  of which canvas drawn", drawn, None),
                )
                for name, times, aim in timings:
                    timing = summary(list(times))
                    rows.append({"what": name, **timing, "unit": "ms", "target": aim})
    for row in rows:
        print(f"{row['what']:32} {row['median']:>8} {row['p95']:>8} ms, {row['n']} clicks")
    command = "scripts/with_display.sh virtual .venv/bin/python benchmarks/mouse_to_mask.py"
    title = f"From mouse event to repainted mask in napari: {options.model}"
    save("mouse_to_mask", title, command, rows, machine=where)
    viewer.close()


def window(model: str) -> tuple[Viewer, Controller]:
    """Open napari with the panel, a picture, and the model loaded."""
    viewer = napari.Viewer(show=False, show_welcome_screen=False)
    viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    viewer.show()
    viewer.window.resize(1400, 900)
    controller = attach(viewer)
    controller.model = model
    viewer.add_image(samples.load("coins").image, name="coins")
    viewer.reset_view()
    QTest.qWaitForWindowExposed(viewer.window._qt_window, 5000)
    if not controller.wait(LIMIT):
        raise SystemExit("the model was not loaded in time")
    QTest.qWait(300)
    return viewer, controller


def measure(
    viewer: Viewer, controller: Controller, switch: bool
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Click on ten coins a few times each; tell clicks that needed a new view from others."""
    controller.value_propagation = switch
    watch = Stopwatch(viewer, controller)
    truth = samples.load("coins").truth
    rng = np.random.default_rng(0)
    known, fresh = [], []
    for label in range(1, 11):
        places = np.argwhere(truth == label)
        for number, (row, col) in enumerate(places[rng.integers(len(places), size=CLICKS)]):
            elapsed = watch.click(row, col)
            session = controller.session
            assert session is not None
            encoded = session.last_timing.encode_ms > 0
            # The very first click also warms the network up.
            if label > 1 or number:
                (fresh if encoded else known).append(elapsed)
            controller.wait()
        controller.reset()
        controller.wait()
        QTest.qWait(50)
    return known, fresh


if __name__ == "__main__":
    main()
