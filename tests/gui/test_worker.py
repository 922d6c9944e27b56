"""The thread: newest wins, results on the GUI thread, and an end that leaves nothing behind."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest
from qtpy.QtCore import QTimer

from napari_pvpu.napari_side.worker import Worker

pytestmark = pytest.mark.gui


def fail(error: Exception) -> None:
    raise AssertionError("should not fail") from error


@pytest.fixture
def worker(qapp):
    worker = Worker()
    yield worker
    worker.stop()


def test_result_comes_from_another_thread_and_arrives_on_this_one(worker, qtbot) -> None:
    seen = []
    worker.submit(
        "a", threading.get_ident, lambda ident: seen.append((ident, threading.get_ident())), fail
    )
    qtbot.waitUntil(lambda: bool(seen))
    [(ran, arrived)] = seen
    assert arrived == threading.get_ident()
    assert ran != arrived


def test_newest_of_a_key_wins_and_older_ones_that_wait_never_run(worker, qtbot) -> None:
    gate, ran, told = threading.Event(), [], []

    def job(number: int):
        def work() -> int:
            ran.append(number)
            gate.wait(10)
            return number

        return work

    worker.submit("predict", job(0), told.append, fail)
    qtbot.waitUntil(lambda: ran == [0])
    for number in (1, 2, 3):
        worker.submit("predict", job(number), told.append, fail)
    gate.set()
    qtbot.waitUntil(lambda: not worker.busy)
    assert ran == told == [0, 3]


def test_jobs_of_different_keys_run_in_order(worker, qtbot) -> None:
    told: list[str] = []
    for key in ("open", "predict"):
        worker.submit(key, lambda key=key: key, told.append, fail)
    qtbot.waitUntil(lambda: not worker.busy)
    assert told == ["open", "predict"]


def test_error_is_told_and_the_next_job_runs(worker, qtbot) -> None:
    told: list[object] = []
    worker.submit("a", lambda: 1 / 0, fail, told.append)
    worker.submit("b", lambda: "fine", told.append, fail)
    qtbot.waitUntil(lambda: not worker.busy)
    assert isinstance(told[0], ZeroDivisionError)
    assert told[1] == "fine"


def test_stop_joins_the_thread_and_silences_it(worker, qtbot) -> None:
    told: list[object] = []
    started = threading.Event()
    worker.submit("a", started.set, told.append, fail)
    assert started.wait(10)
    worker.submit("b", lambda: None, told.append, fail)
    worker.stop()
    assert not worker.busy
    assert not worker.thread_alive
    qtbot.wait(20)
    assert told == []


def test_what_came_of_jobs_goes_with_the_end_of_their_thread(worker) -> None:
    class Answer:
        pass

    made = []

    def answer() -> Answer:
        result = Answer()
        made.append(weakref.ref(result))
        return result

    worker.submit("a", answer, lambda _: None, fail)
    worker.stop()  # before it was told
    gc.collect()
    assert not any(each() is not None for each in made)


def test_thread_that_is_to_begin_after_drawing_waits_for_qt(worker, qtbot) -> None:
    told: list[int] = []
    worker.submit("a", lambda: 1, told.append, fail, after_drawing=True)
    time.sleep(0.02)
    assert worker.busy
    assert not worker.thread_alive
    qtbot.waitUntil(lambda: told == [1])
    worker.submit("a", lambda: 2, told.append, fail, after_drawing=True)
    qtbot.waitUntil(lambda: told == [1, 2])


def test_thread_that_has_not_begun_can_be_stopped(worker, qtbot) -> None:
    told: list[int] = []
    worker.submit("a", lambda: 1, told.append, fail, after_drawing=True)
    worker.stop()
    assert not worker.busy
    worker.submit("a", lambda: 2, told.append, fail)
    qtbot.waitUntil(lambda: told == [2])
    qtbot.wait(5)
    assert told == [2]


def test_new_job_after_stop_starts_a_new_thread(worker, qtbot) -> None:
    told: list[int] = []
    worker.submit("a", lambda: 1, told.append, fail)
    worker.stop()
    worker.submit("a", lambda: 2, told.append, fail)
    qtbot.waitUntil(lambda: told == [2])


def test_busy_is_told_when_it_changes_only(worker, qtbot) -> None:
    seen: list[bool] = []
    worker.busy_changed.connect(seen.append)
    for key in "abc":
        worker.submit(key, lambda: None, lambda _: None, fail)
    qtbot.waitUntil(lambda: not worker.busy)
    assert seen == [True, False]


def test_forgotten_worker_takes_its_thread_with_it(qapp, qtbot) -> None:
    worker = Worker()
    done: list[None] = []
    worker.submit("a", lambda: None, done.append, fail)
    qtbot.waitUntil(lambda: bool(done))
    thread = worker._thread
    del worker
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def slow(seconds: float):
    def work() -> str:
        time.sleep(seconds)
        return "done"

    return work


def note(worker: Worker, told: list[str]) -> None:
    worker.expecting.connect(lambda on: told.append("drawing waits" if on else "drawn"))


def test_drawing_waits_for_a_quick_result_and_nothing_else_does(worker, qtbot) -> None:
    told: list[str] = []
    note(worker, told)
    worker.submit("a", slow(0.05), told.append, fail, patience=20)
    assert told == ["drawing waits"]
    QTimer.singleShot(0, lambda: told.append("went on"))
    qtbot.waitUntil(lambda: len(told) == 4)
    assert told == ["drawing waits", "went on", "done", "drawn"]
    assert not worker.busy


def test_drawing_does_not_wait_long_for_a_slow_one(worker, qtbot) -> None:
    told: list[str] = []
    note(worker, told)
    gate = threading.Event()
    worker.submit("a", lambda: gate.wait(20), lambda _: told.append("done"), fail, patience=0.01)
    qtbot.waitUntil(lambda: told == ["drawing waits", "drawn"])
    assert worker.busy
    gate.set()
    qtbot.waitUntil(lambda: not worker.busy)
    qtbot.wait(20)
    assert told == ["drawing waits", "drawn", "done"]


def test_drawing_waits_on_when_more_is_asked_before_it_goes_on(worker, qtbot) -> None:
    told: list[str] = []
    note(worker, told)

    def ask_again(result: str) -> None:
        told.append(result)
        worker.submit("b", slow(0.05), told.append, fail, patience=20)

    worker.submit("a", slow(0.01), ask_again, fail, patience=20)
    qtbot.waitUntil(lambda: "drawn" in told)
    assert told == ["drawing waits", "done", "done", "drawn"]


def test_an_error_is_told_while_waiting_too(worker, qtbot) -> None:
    told: list[object] = []
    worker.submit("a", lambda: 1 / 0, fail, told.append, patience=20)
    qtbot.waitUntil(lambda: bool(told))
    assert isinstance(told[0], ZeroDivisionError)


def test_stop_ends_the_waiting_too(worker, qtbot) -> None:
    told: list[str] = []
    note(worker, told)
    worker.submit("a", slow(0.01), told.append, fail, patience=20)
    worker.stop()
    assert told == ["drawing waits", "drawn"]
    qtbot.wait(50)
    assert told == ["drawing waits", "drawn"]
    assert not worker.busy
