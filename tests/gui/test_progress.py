"""What takes long is shown, with a way to stop it where there is one."""

from __future__ import annotations

import threading

import pytest

from napari_pvpu import Click
from napari_pvpu.napari_side.progress import title_of

pytestmark = pytest.mark.gui


@pytest.fixture
def gate():
    """Hold the worker up as long as this is not set."""
    gate = threading.Event()
    yield gate
    gate.set()


def do_nothing(*_: object) -> None:
    pass


def test_jobs_are_called_by_what_they_do() -> None:
    assert title_of("open") == "Getting ready"
    assert title_of("predict (0, 3)") == "Looking at the image"
    assert title_of("export /some/where.tif") == "Writing the file"
    assert title_of("Carrying on") == "Carrying on"


def test_what_takes_long_is_shown_with_its_share_and_then_goes(panel, gate, qtbot) -> None:
    worker, telling = panel.controller._worker, panel.telling
    worker.submit("Counting sheep", gate.wait, do_nothing, do_nothing, progress=lambda: (3, 10))
    assert not telling.bar.isVisible()  # at first nobody wonders
    qtbot.waitUntil(telling.bar.isVisible)
    assert telling.doing.text() == "Counting sheep"
    assert (telling.bar.value(), telling.bar.maximum()) == (3, 10)
    assert not telling.cancel.isVisible()
    gate.set()
    qtbot.waitUntil(telling.measured.isVisible)
    assert not telling.bar.isVisible()


def test_bar_goes_to_and_fro_when_nobody_knows_how_much_is_left(panel, gate, qtbot) -> None:
    bar, seen = panel.telling.bar, []
    panel.controller.progress.changed.connect(lambda: seen.append(bar.value()))
    panel.controller._worker.submit("Counting sheep", gate.wait, do_nothing, do_nothing)
    qtbot.waitUntil(lambda: len(seen) >= 3)
    assert len(set(seen)) == len(seen), "it moves each time"
    assert bar.maximum() > 0, "else Qt moves it, and draws the whole window each time"


def test_quick_work_shows_nothing(panel, qtbot) -> None:
    shown = []
    panel.controller.progress.changed.connect(lambda: shown.append(panel.controller.progress.shown))
    panel.controller._worker.submit("Nothing much", do_nothing, do_nothing, do_nothing)
    assert panel.controller.wait()
    assert True not in shown


def test_job_that_can_be_stopped_has_a_button(panel, gate, qtbot) -> None:
    stopped = []
    panel.controller._worker.submit(
        "Counting sheep", gate.wait, do_nothing, do_nothing,
        cancel=lambda: (stopped.append(True), gate.set()),
    )  # fmt: skip
    qtbot.waitUntil(panel.telling.cancel.isVisible)
    panel.telling.cancel.click()
    assert stopped == [True]
    assert panel.controller.wait()


def test_slow_answer_can_be_done_without(panel, gate, monkeypatch, qtbot) -> None:
    controller = panel.controller
    session, compute = controller.session, controller.session.compute
    monkeypatch.setattr(
        type(session), "compute", lambda self, request: (gate.wait(), compute(request))[1]
    )
    controller.add(Click((30.0, 40.0)))
    qtbot.waitUntil(panel.telling.cancel.isVisible)
    assert panel.telling.doing.text() == "Looking at the image"
    panel.telling.cancel.click()
    assert len(controller.workspace.prompts.clicks.data) == 0
    gate.set()
    assert controller.wait()
    assert session.prompts == ()
    assert not panel.accept.isEnabled()
