"""Session files tell other programs that somebody is at them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from napari_pvpu import session_files
from napari_pvpu.errors import JournalError
from napari_pvpu.file_locks import is_held, take_hold
from napari_pvpu.fingerprints import fingerprint
from napari_pvpu.journal import Journal
from napari_pvpu.prompts import Click
from pictures import CENTERS, IMAGE, new_session

pytestmark = pytest.mark.skipif(os.name == "nt", reason="files are not locked on Windows")

HOLD = """
import sys
from napari_pvpu.file_locks import take_hold
file = open(sys.argv[1], "r+b")
assert take_hold(file)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_is_held_as_long_as_it_is_open(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert is_held(path) is False
    with open(path, "r+b") as file, open(path, "r+b") as other:
        assert take_hold(file)
        assert is_held(path) is True
        assert not take_hold(other)
    assert is_held(path) is False
    with pytest.raises(FileNotFoundError):
        is_held(tmp_path / "nowhere")


def test_a_killed_program_holds_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        assert is_held(path) is True
        process.kill()
        process.wait()
        assert is_held(path) is False


def test_a_session_is_written_by_one_program_only(tmp_path):
    session = new_session()
    journal = Journal.create(tmp_path / "s.pvpu", session, IMAGE)
    with pytest.raises(JournalError, match="another program is at the session file"):
        Journal(tmp_path / "s.pvpu", 10)
    session.add(Click(CENTERS["grey"]))
    journal.close()
    assert len((tmp_path / "s.pvpu").read_bytes().splitlines()) == 2, "nothing was cut off"


def test_a_file_whose_programs_number_has_gone_to_another_is_offered(tmp_path):
    """As after a start of the computer, when numbers begin anew."""
    session = new_session()
    path = session_files.begin_file(tmp_path, session, IMAGE)
    session.add(Click(CENTERS["grey"]))
    key = str(fingerprint(IMAGE)["hash"])
    assert session_files.newest_file(tmp_path, key, None) is None, "it is being written"
    session.journal.close()
    alive = os.getppid()
    left = path.rename(path.with_name(f"{key}-1-{alive}{session_files.SUFFIX}"))
    earlier = session_files.newest_file(tmp_path, key, None)
    assert earlier is not None
    assert earlier.path == left
