"""The panel comes first, then its layers, then the network; what is folded away is not made."""

from __future__ import annotations

import subprocess
import sys

import pytest
from qtpy.QtCore import QEvent, QObject
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget

from napari_pvpu import attach
from napari_pvpu.napari_side.sections import SECTIONS

pytestmark = pytest.mark.gui

HEAVY = (
    "torch", "timm", "scipy.ndimage", "pandas", "safetensors", "shapely", "tifffile", "zarr",
    "napari_pvpu.session", "napari_pvpu.segmenter", "napari_pvpu.export",
    "napari_pvpu.napari_side.views.volume_section",
)  # fmt: skip
NEEDED = "napari_pvpu.napari_side.views.drawing"


def open_panel(viewer):
    return viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")[1]


class Watch(QObject):
    """Notes how many layers there were when a widget was drawn first."""

    def __init__(self, widget, viewer) -> None:
        super().__init__(widget)
        self._viewer, self.layers = viewer, None
        widget.installEventFilter(self)

    def eventFilter(self, watched, event) -> bool:
        if event.type() == QEvent.Type.Paint and self.layers is None:
            self.layers = len(self._viewer.layers)
        return False


def test_showing_the_panel_loads_no_network_and_nothing_else_that_it_can_do_without() -> None:
    program = (
        "import sys, napari_pvpu.napari_side.panel\n"
        f"assert {NEEDED!r} in sys.modules\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_panel_is_drawn_before_the_layers_are_made(make_napari_viewer, blobs, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(blobs)
    panel = open_panel(viewer)
    watch = Watch(panel, viewer)
    assert len(viewer.layers) == 1
    assert panel.controller.busy
    assert panel.hint.text().startswith("Getting the model ready")
    assert not panel.controller._worker.thread_alive
    qtbot.waitUntil(lambda: watch.layers is not None)
    assert watch.layers == 1
    assert panel.controller.wait()
    assert len(viewer.layers) == 5
    assert panel.controller.session is not None
    assert panel.hint.text().startswith("Click on an object")


def test_layers_come_though_the_panel_is_not_to_be_seen(make_napari_viewer, blobs, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(blobs)
    panel = open_panel(viewer)
    dock = next(each for each in viewer.window._wrapped_dock_widgets.values())
    assert isinstance(dock, QDockWidget)
    dock.hide()
    qtbot.waitUntil(lambda: len(viewer.layers) == 5)
    assert panel.controller.wait()


def test_whoever_attaches_meanwhile_need_not_wait(make_napari_viewer, blobs) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(blobs)
    panel = open_panel(viewer)
    assert panel.controller.image is None
    assert attach(viewer) is panel.controller
    assert panel.controller.image is viewer.layers["blobs"]
    assert panel.controller.wait()
    assert len(viewer.layers) == 5


def test_panel_closed_at_once_leaves_nothing_behind(make_napari_viewer, blobs) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(blobs)
    panel = open_panel(viewer)
    controller = panel.controller
    viewer.window.remove_dock_widget(panel)
    QTest.qWait(20)
    assert not controller.is_open
    assert not controller.busy
    assert [layer.name for layer in viewer.layers] == ["blobs"]


def test_what_is_folded_away_is_made_when_it_is_unfolded(make_napari_viewer, blobs) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(blobs)
    panel = open_panel(viewer)
    assert panel.controller.wait()
    assert panel.sections.made == []
    panel.controller.threshold = 0.4
    panel.controller.smoothing = 2.0
    panel.folds["mask"].expand(animate=False)
    [view] = panel.sections.made
    assert view is panel.sections["mask"] is panel.folds["mask"].view
    assert view.smoothing.value() == 2.0, "it shows what was done before it was there"
    panel.controller.smoothing = 1.0
    assert view.smoothing.value() == 1.0, "and what is done from then on"
    panel.folds["mask"].collapse(animate=False)
    panel.folds["mask"].expand(animate=False)
    assert panel.sections.made == [view]


def test_what_is_unfolded_is_shown_in_full(make_napari_viewer, blobs, qtbot) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(blobs)
    panel = open_panel(viewer)
    for section in SECTIONS:
        fold = panel.folds[section.name]
        fold.toggleButton().click()
        view = panel.sections[section.name]

        def is_shown(fold=fold, view=view, name=section.name) -> None:
            assert view.isVisible(), name
            assert view.height() >= view.minimumSizeHint().height(), name
            assert fold.content().height() >= view.height(), name

        qtbot.waitUntil(is_shown)
