"""Python's collector is held back while the panel opens, and never for good."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from napari_pvpu.napari_side import collector as collector_module
from napari_pvpu.napari_side.collector import CollectorPause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari import Viewer

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_is_held_back_until_something_is_so(qtbot: Any) -> None:
    done: list[bool] = []
    pause = CollectorPause(lambda: bool(done))
    pause.begin()
    assert not gc.isenabled()
    qtbot.wait(3 * collector_module.LOOK_MS)
    assert not gc.isenabled()
    done.append(True)
    qtbot.waitUntil(gc.isenabled)


def test_it_works_again_after_a_while_in_any_case(
    monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    monkeypatch.setattr(collector_module, "LONGEST", 0.1)
    pause = CollectorPause(lambda: False)
    pause.begin()
    qtbot.waitUntil(gc.isenabled)


def test_it_works_again_when_who_waited_has_gone(qapp: Any) -> None:
    pause = CollectorPause(lambda: False)
    pause.begin()
    del pause
    assert gc.isenabled()


def test_one_that_is_off_stays_off(qapp: Any) -> None:
    gc.disable()
    pause = CollectorPause(lambda: True)
    pause.begin()
    pause.end()
    assert not gc.isenabled()


def test_it_can_be_held_back_again(qapp: Any) -> None:
    pause = CollectorPause(lambda: False)
    for _ in range(2):
        pause.begin()
        assert not gc.isenabled()
        pause.end()
        assert gc.isenabled()


def test_opening_the_panel_holds_it_back_until_all_is_ready(viewer: Viewer, qtbot: Any) -> None:
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert not gc.isenabled()
    assert panel.controller.wait()
    qtbot.waitUntil(gc.isenabled)


def test_a_panel_closed_at_once_leaves_it_working(viewer: Viewer) -> None:
    dock, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert not gc.isenabled()
    panel.controller.close()
    assert gc.isenabled()
    viewer.window.remove_dock_widget(dock)
