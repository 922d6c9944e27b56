"""What the tests of the napari side share: small weights, a mouse, and the notices shown."""

from __future__ import annotations

import gc
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari import settings as napari_settings
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from flood_engine import FloodEngine
from napari_pvpu import attach
from napari_pvpu.napari_side import journaling, preferences, stage
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.napari_side.preferences import PLUGIN, Preferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.panel import Panel

# Widgets that a viewer leaves behind fail its test.
os.environ["NAPARI_STRICT_QT"] = "raise"

NO_KEY = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton
Position = tuple[float, float]


@pytest.fixture(scope="session")
def weights(small_weights: Path) -> Path:
    """Random weights of a small network, after all that torch imports has been imported."""
    # napari collects garbage at every step, each time through all that torch has imported: a
    # fifth of the time of these tests. What is here by now stays anyway.
    gc.collect()
    gc.freeze()
    return small_weights


@pytest.fixture(autouse=True)
def preferred(monkeypatch: pytest.MonkeyPatch, weights: Path) -> Callable[[], Preferred]:
    """Have new viewers use these weights on the CPU; return what would be used without."""
    monkeypatch.setattr(stage, "preferred", lambda: Preferred(str(weights), "cpu"))
    return preferences.preferred


@pytest.fixture(scope="session")
def settings_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what is set in the tests away from the settings of whoever runs them."""
    folder, before = tmp_path_factory.mktemp("settings"), napari_settings._CFG_PATH
    napari_settings._clear_plugin_settings_cache()
    napari_settings._CFG_PATH = str(folder / "settings.yaml")
    yield folder
    napari_settings._CFG_PATH = before
    napari_settings._clear_plugin_settings_cache()


@pytest.fixture(autouse=True)
def as_they_come(settings_folder: Path) -> Iterator[None]:
    """Begin and end with the plugin's settings as they come."""
    yield
    if (settings_folder / f"{PLUGIN}.yaml").exists():
        napari_settings.get_plugin_settings(PLUGIN).reset()


@pytest.fixture(autouse=True)
def sessions(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have session files written into a folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache") / "sessions"
    monkeypatch.setattr(journaling, "sessions_folder", lambda: folder)
    return folder


@pytest.fixture
def notices() -> Callable[[], list[str]]:
    """Return a function that tells what the user has been told since the test began."""
    start = len(notification_manager.records)
    return lambda: [record.message for record in notification_manager.records[start:]]


@pytest.fixture
def blobs() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A grey (96, 128) image with two bright disks, at (30, 40) and (60, 90), and noise."""
    rows, cols = np.mgrid[:96, :128]
    image = np.random.default_rng(0).normal(60, 8, (96, 128))
    for row, col, radius in ((30, 40, 14), (60, 90, 18)):
        image[(rows - row) ** 2 + (cols - col) ** 2 < radius**2] += 120
    return image.clip(0, 255).astype(np.uint8)


class Mouse:
    """A mouse on the canvas of a viewer that is shown; positions are data pixels of a layer."""

    def __init__(self, viewer: Viewer, layer: Layer) -> None:
        self._canvas = viewer.window._qt_viewer.canvas
        self._layer = layer

    def click(self, position: Position, modifier: Any = NO_KEY, button: Any = LEFT) -> None:
        """Press and release without moving."""
        self._move(self.on_canvas(position), modifier, Qt.MouseButton.NoButton)
        QTest.mousePress(self._canvas.native, button, modifier, self.on_canvas(position))
        QTest.mouseRelease(self._canvas.native, button, modifier, self.on_canvas(position))
        QTest.qWait(1)

    def double_click(self, position: Position) -> None:
        """Click twice, as the window system tells it."""
        there = self.on_canvas(position)
        self.click(position)
        QTest.mouseDClick(self._canvas.native, LEFT, NO_KEY, there)
        QTest.qWait(1)

    def drag(self, path: Sequence[Position], modifier: Any = NO_KEY) -> None:
        """Press at the first position, go through the others in small steps, release."""
        corners = [self.on_canvas(position) for position in path]
        self._move(corners[0], modifier, Qt.MouseButton.NoButton)
        QTest.mousePress(self._canvas.native, LEFT, modifier, corners[0])
        for start, stop in pairwise(corners):
            for share in np.linspace(0, 1, 7)[1:]:
                self._move(start + (stop - start) * float(share), modifier, LEFT)
                QTest.qWait(8)  # napari looks at the mouse every 5 ms at most
        QTest.mouseRelease(self._canvas.native, LEFT, modifier, corners[-1])
        QTest.qWait(1)

    def press_key(self, key: Any, modifier: Any = NO_KEY) -> None:
        """Press and release a key while the canvas has the keyboard."""
        QTest.keyClick(self._canvas.native, key, modifier)

    def on_canvas(self, position: Position) -> QPoint:
        """Return where a data position of the layer is on the canvas."""
        row, col = self._layer.data_to_world(position)
        x, y = self._canvas.view.scene.transform.map([col, row])[:2]
        return QPoint(round(x), round(y))

    def _move(self, to: QPoint, modifier: Any, buttons: Any) -> None:
        # QTest.mouseMove tells Qt of no pressed buttons, so that no drag would come of it.
        there = QPointF(self._canvas.native.mapToGlobal(to))
        event = QMouseEvent(
            QEvent.Type.MouseMove, QPointF(to), there, Qt.MouseButton.NoButton, buttons, modifier
        )
        QApplication.sendEvent(self._canvas.native, event)


@pytest.fixture
def make_mouse() -> type[Mouse]:
    """Hand out `Mouse`."""
    return Mouse


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Viewer], blobs: np.ndarray) -> Viewer:
    """A viewer on the screen that shows the blobs."""
    viewer = make_napari_viewer(show=True)
    viewer.add_image(blobs, name="blobs")
    return viewer


@pytest.fixture
def controller(viewer: Viewer) -> Controller:
    """Of that viewer, ready to work, without a panel."""
    controller = attach(viewer)
    assert controller.wait()
    return controller


@pytest.fixture
def panel(viewer: Viewer) -> Panel:
    """Docked in that viewer, ready to work."""
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert panel.controller.wait()
    return panel


@pytest.fixture
def mouse(viewer: Viewer) -> Mouse:
    """Over the blobs in that viewer."""
    return Mouse(viewer, viewer.layers["blobs"])


@pytest.fixture
def make_flooded(qapp: QApplication) -> Iterator[Callable[..., Controller]]:
    """Make controllers of images in viewers without a window; their network is a flood fill."""
    made = []

    def make(data: Any, **options: Any) -> Controller:
        viewer = ViewerModel()
        viewer.add_image(data, name="blobs", **options)
        controller = Controller(viewer)
        controller._engine = FloodEngine()
        controller.open()
        made.append((viewer, controller))  # which holds the viewer weakly
        return controller

    yield make
    for _, controller in made:
        controller.close()
