"""What takes long is shown, with a way to stop it where there is one."""

from __future__ import annotations

import ast
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from napari_pvpu import Click, napari_side
from napari_pvpu.napari_side.progress import TITLES, title_of

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
    assert title_of("look ahead") != title_of("look")
    assert title_of("Carrying on") == "Carrying on"


def keys_in(module: Path) -> list[str]:
    """Return the keys of jobs as a module writes them; what is put in at run time as "…"."""
    keys = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in {"submit", "_read"} or not node.args:
            continue
        key = node.args[0]
        parts = key.values if isinstance(key, ast.JoinedStr) else [key]
        if isinstance(parts[0], ast.Constant):
            words = (part.value if isinstance(part, ast.Constant) else "…" for part in parts)
            keys.append("".join(words))
    return keys


def test_whatever_is_submitted_has_a_name() -> None:
    modules = Path(napari_side.__file__).parent.rglob("*.py")
    keys = [key for module in modules for key in keys_in(module)]
    assert {"predict …", "propagate", "read ahead", "look", "save"} <= {*keys}
    assert [key for key in keys if title_of(key) == key] == []
    named = {name for name in TITLES if any(f"{key} ".startswith(f"{name} ") for key in keys)}
    assert named == {*TITLES}, "names that nobody uses any more"


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


def test_work_in_slices_is_one_work(panel, qtbot) -> None:
    """Carrying leaves the worker free again and again, so that prompts can come in between."""
    worker, telling = panel.controller._worker, panel.telling
    begun, stopped, titles = [], [], set()
    panel.controller.progress.changed.connect(lambda: titles.add(telling.doing.text()))

    def go_on(_: object = None) -> None:
        begun.append(True)
        if not stopped:
            work = partial(time.sleep, 0.2)
            worker.submit(
                "propagate", work, go_on, do_nothing, cancel=lambda: stopped.append(True),
                progress=lambda: (min(len(begun), 50), 50),
            )  # fmt: skip

    go_on()
    qtbot.waitUntil(telling.bar.isVisible)
    qtbot.waitUntil(telling.cancel.isVisible)
    assert telling.doing.text() == "Carrying the object on"
    count = len(begun)
    qtbot.waitUntil(lambda: len(begun) > count + 2)
    assert telling.bar.isVisible(), "also between slices"
    telling.cancel.click()
    qtbot.waitUntil(lambda: not telling.bar.isVisible())
    assert stopped
    assert titles <= {"", "Carrying the object on"}


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
