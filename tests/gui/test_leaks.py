"""Panels come and go and leave nothing: no object, thread or callback. napari ends in peace."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pytest
from qtpy.QtCore import QObject
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_pvpu import Click, attach
from napari_pvpu import napari_side as room
from napari_pvpu.napari_side import encoding_ahead

pytestmark = pytest.mark.gui

LONG = bool(os.environ.get("NAPARI_PVPU_LONG"))
INSIDE = (30.0, 40.0)
EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units", "data", "name", "loaded")


def ours() -> Counter[str]:
    """Count all objects of our own napari side, and Qt's, by class."""
    gc.collect()  # a viewer goes first
    gc.collect()  # and then what was kept as long as there is the viewer
    return Counter(
        type(each).__qualname__
        for each in gc.get_objects()
        if str(type(each).__module__).startswith("napari_pvpu.") or issubclass(type(each), QObject)
    )


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("napari-pvpu")]


def listeners(viewer, image) -> Counter[str]:
    """Count the callbacks on everything of a viewer that we listen to."""
    emitters = {
        "theme": viewer.events.theme,
        "inserted": viewer.layers.events.inserted,
        "removed": viewer.layers.events.removed,
        "renamed": viewer.layers.events.renamed,
        "active": viewer.layers.selection.events.active,
        "ndisplay": viewer.dims.events.ndisplay,
        "point": viewer.dims.events.point,
        "order": viewer.dims.events.order,
        "ndim": viewer.dims.events.ndim,
        "zoom": viewer.scene.camera.events.zoom,
        **{f"image {name}": getattr(image.events, name) for name in EVENTS},
    }
    counts = Counter({name: len(emitter.callbacks) for name, emitter in emitters.items()})
    for name in ("mouse_drag", "mouse_move", "mouse_wheel", "mouse_double_click"):
        for owner, of in ((viewer, "viewer"), (image, "image")):
            counts[f"{of} {name}"] = len(getattr(owner, f"{name}_callbacks"))
    counts["viewer keys"] = len(viewer.keymap)
    return counts


def work(viewer) -> None:
    """Open the panel, do a little of everything that is made on demand, and close it."""
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    controller = panel.controller
    assert controller.wait()
    controller.add(Click(INSIDE))
    assert controller.wait()
    controller.show_overlay("probability")
    controller.show_overlay("probability", on=False)
    controller.use_boxes()
    controller.accept()
    controller.undo()
    controller.reset()
    viewer.window.remove_dock_widget(panel)
    QTest.qWait(10)


def test_panel_opened_and_closed_many_times_leaves_nothing(
    make_napari_viewer, blobs, qtbot
) -> None:
    viewer = make_napari_viewer(strict_qt="raise")
    image = viewer.add_image(blobs, name="blobs")
    before = listeners(viewer, image)
    for _ in range(2):  # what is made once and kept for the next time
        work(viewer)
    objects, tops = ours(), len(QApplication.topLevelWidgets())
    assert listeners(viewer, image) == before
    for _ in range(10 if LONG else 2):
        work(viewer)
    assert listeners(viewer, image) == before

    def nothing_more() -> None:
        more = {name: count for name, count in (ours() - objects).items() if name not in DONE_MORE}
        assert not more

    qtbot.waitUntil(nothing_more, timeout=20_000)  # widgets that Qt is to delete later
    assert len(QApplication.topLevelWidgets()) <= tops
    assert threads() == []


@pytest.mark.parametrize("docked", [False, True], ids=["from the console", "docked"])
def test_closed_viewers_leave_nothing(
    make_napari_viewer, monkeypatch, blobs, qtbot, docked
) -> None:
    monkeypatch.setattr(encoding_ahead, "QUIET", 60.0)  # longer than anybody waits below
    before = ours()
    for _ in range(10 if LONG else 2):
        viewer = make_napari_viewer(strict_qt="raise")
        viewer.add_image(np.tile(blobs, (4, 4)), name="blobs")
        if docked:
            viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
            viewer.window.add_plugin_dock_widget("napari-pvpu", "Series")
        controller = attach(viewer)
        controller.add(Click(INSIDE))
        assert controller.wait()
        assert controller.ahead.working, "in a thread of its own"
        viewer.close()
        del viewer, controller
        QTest.qWait(10)
        ours()  # let it be collected, with which the threads end
        assert len(room._controllers) == 0
        qtbot.waitUntil(lambda: threads() == [])
        assert not {name: count for name, count in (ours() - before).items() if name in ENDED}


ENDED = {
    "Controller",
    "EncodingAhead",
    "Engine",
    "Painting",
    "Panel",
    "PromptLayers",
    "QTimer",
    "Segmenter",
    "SeriesDesk",
    "SeriesPanel",
    "Session",
    "SessionKeeper",
    "Worker",
    "Workspace",
}
"""What ends with its viewer."""


DONE_MORE = {
    "Operation",
    "Step",
    "CurrentObject",
    "ObjectState",
    "View",
    "Click",
    "SessionSettings",
}
"""What a session remembers of all that was done in it."""


ENDING = """
import sys
import napari, numpy as np
from qtpy.QtCore import QTimer
from napari_pvpu import Click, attach
from napari_pvpu import napari_side as room
from napari_pvpu.napari_side import encoding_ahead

viewer = napari.Viewer(show_welcome_screen=False)
viewer.add_image(np.load(sys.argv[1]), name="image")
_, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
controller = panel.controller
assert controller.wait(), controller.trouble
controller.add(Click((30, 40)))
assert controller.wait()

def leave():
    if sys.argv[2] == "at rest" or controller.ahead.working:
        viewer.close()
    else:
        QTimer.singleShot(10, leave)

leave_soon = QTimer.singleShot(0, leave)
napari.run()
"""


@pytest.mark.parametrize("when", ["encoding ahead", "at rest"] if LONG else ["encoding ahead"])
def test_napari_ends_in_peace_whatever_is_computed(blobs, tmp_path, when) -> None:
    """A thread that is stopped in the midst of torch by the end of Python aborts the program."""
    np.save(tmp_path / "image.npy", np.tile(blobs, (8, 8)))
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "NAPARI_PVPU_CACHE": str(tmp_path / "store"),
    }
    command = [sys.executable, "-W", "ignore", "-c", ENDING, str(tmp_path / "image.npy"), when]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
