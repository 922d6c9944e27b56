"""Time from a mouse event to the repainted mask, in a real napari window.

Needs a screen; a virtual one will do (then a CPU draws the pictures, too). The mouse button is
pressed and released on the canvas with Qt's own test tool; the clock stops when the canvas has
been drawn after the preview got its new mask.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import napari
import numpy as np
from measured import machine, save, summary
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_pvpu import attach, samples

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.controller import Controller

LIMIT = 60.0
CLICKS = 5


class Stopwatch:
    """Notes when a mask came to its layer and when the canvas was drawn next."""

    def __init__(self, viewer: Viewer, controller: Controller) -> None:
        self._viewer = viewer
        self._canvas = viewer.window._qt_viewer.canvas
        self._mask_at = self._drawn_at = 0.0
        assert controller.workspace is not None
        controller.workspace.preview.layer.events.set_data.connect(self._on_mask)
        self._canvas._scene_canvas.events.draw.connect(self._on_draw, position="last")

    def click(self, row: float, col: float, *, negative: bool = False) -> float:
        """Click on a data pixel; return the milliseconds until its mask was on the screen."""
        keys = Qt.KeyboardModifier.ShiftModifier if negative else Qt.KeyboardModifier.NoModifier
        place = self._place(row, col)
        QTest.mouseMove(self._canvas.native, place)
        QTest.qWait(50)
        self._mask_at = self._drawn_at = 0.0
        start = time.perf_counter()
        QTest.mouseClick(self._canvas.native, Qt.MouseButton.LeftButton, keys, place)
        while not (self._mask_at and self._drawn_at):
            QApplication.processEvents()
            if time.perf_counter() - start > LIMIT:
                raise SystemExit(f"no mask within {LIMIT:.0f} s of a click at {row, col}")
        return 1e3 * (self._drawn_at - start)

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


def main() -> None:
    """Measure, then write docs/performance/mouse_to_mask.json and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    options = parser.parse_args()
    where = machine()
    viewer, controller = window(options.model)
    rows = []
    for switch in (False, True):
        known, fresh = measure(viewer, controller, switch)
        state = "EM on" if switch else "EM off"
        for what, values, target in (("view known", known, 100), ("new view too", fresh, None)):
            if values:
                timing = summary(values)
                rows.append({"what": f"{what}, {state}", **timing, "unit": "ms", "target": target})
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
) -> tuple[list[float], list[float]]:
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
