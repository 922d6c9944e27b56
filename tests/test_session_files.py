"""The folder of session files: what is kept in it, and what goes."""

from __future__ import annotations

import os

import pytest

from napari_pvpu import session_files
from napari_pvpu.prompts import Click
from napari_pvpu.session_files import SUFFIX, begin_file, end_file, newest_file
from pictures import CENTERS, IMAGE, new_session


def left(folder, *, clicks=0, work=lambda session: None):
    """Begin a session, click, and forget it, as a killed program does."""
    session = new_session()
    path = begin_file(folder, session, IMAGE)
    for _ in range(clicks):
        session.add(Click(CENTERS["grey"]))
    work(session)
    session.journal.close()
    session_files._ours.discard(path)
    # By another program, whose process is not there any more.
    return path.rename(path.with_name(path.name.rpartition("-")[0] + f"-9999999{SUFFIX}"))


def test_work_on_a_hundred_images_is_all_kept(tmp_path):
    first = left(tmp_path, clicks=1)
    for number in range(100):
        other = first.with_name(f"{number:032x}-2-9999999{SUFFIX}")
        other.write_bytes(first.read_bytes())
    left(tmp_path, clicks=1)
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 102


def test_of_too_many_the_oldest_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(session_files, "MOST_KEPT", 3)
    paths = [left(tmp_path, clicks=1) for _ in range(5)]
    assert set(tmp_path.glob(f"*{SUFFIX}")) == set(paths[2:])


@pytest.mark.parametrize("torn", [b"", b"0"], ids=["whole", "torn"])
def test_files_in_which_nothing_was_done_go(tmp_path, torn):
    empty = left(tmp_path, clicks=0)
    empty.write_bytes(empty.read_bytes() + torn)
    new = left(tmp_path, clicks=0)  # which another program may just have begun
    os.utime(empty, (0, 0))
    kept = left(tmp_path, clicks=1)
    session = new_session()
    own = begin_file(tmp_path, session, IMAGE)
    assert set(tmp_path.glob(f"*{SUFFIX}")) == {kept, new, own}
    end_file(session)
    assert set(tmp_path.glob(f"*{SUFFIX}")) == {kept, new}


def batch(session):
    session.add(Click(CENTERS["grey"]))
    session.next_object([Click((2, 2))])


def corrected(session):
    session.add(Click(CENTERS["grey"]))
    for _ in range(2):
        session.open_object(session.accept())


@pytest.mark.parametrize(
    ("work", "told"),
    [
        pytest.param(lambda session: setattr(session, "threshold", 0.7), None, id="setting"),
        pytest.param(lambda session: session.add(Click((2, 2))),
                     "1 step, no object accepted yet", id="click"),
        pytest.param(corrected, "5 steps, 1 object accepted", id="corrected"),
        pytest.param(batch, "2 steps, 1 object accepted", id="batch"),
    ],
)  # fmt: skip
def test_what_there_is_to_go_on_with_is_told(tmp_path, work, told):
    path = left(tmp_path, work=work)
    model = getattr(new_session().predictor, "model_name", None)
    earlier = newest_file(tmp_path, path.name.partition("-")[0], model)
    assert (earlier and earlier.summary) == told
