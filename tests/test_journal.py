"""Session files: all that was done comes back, whatever happened to the program or the disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_pvpu.journal as journal_module
import scripted_session
from fakes import FloodPredictor
from napari_pvpu.errors import JournalError, PvpuError
from napari_pvpu.fingerprints import fingerprint
from napari_pvpu.journal import Journal, read_journal
from napari_pvpu.operations import Operation, pack_array, unpack_array
from napari_pvpu.prompts import Box, Click, Polygon, PriorMask, Scribble
from napari_pvpu.views import View
from pictures import CENTERS, IMAGE, SHAPE, VOLUME, new_session, seen, volume_session

TESTS = Path(__file__).parent


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sub" / "session.pvpu"


OPEN = []


@pytest.fixture(autouse=True)
def _close_files():
    yield
    while OPEN:
        OPEN.pop().close()


def create(path, session, image=IMAGE, **more):
    OPEN.append(Journal.create(path, session, image, **more))
    return OPEN[-1]


def resumed(path, image=IMAGE, predictor=None, **more):
    session = Journal.resume(path, image, predictor or FloodPredictor(64), **more)
    OPEN.append(session.journal)
    return session


def everything(session):
    """All kinds of steps."""
    labels = np.zeros(SHAPE, np.int32)
    labels[100:120, 5:25] = 3
    session.adopt(labels)
    session.threshold = 0.45
    session.canvas_extent = 90
    session.add(Click(CENTERS["grey"]))
    session.add(Scribble([(5, 5), (5, 30)], False))
    session.value_propagation = True
    session.accept()
    session.set_prompts([Box((15, 20), (55, 60)), Click((35, 40))], view_hint=View(0, 0, 91, 64))
    session.smoothing, session.min_size, session.overlap = 1.25, 7, "overwrite"
    session.paint(np.ones((3, 9), bool), offset=(2, 2))
    session.accept()
    session.open_object(4)
    session.add(Click((90, 125)))
    session.undo()
    session.redo()
    session.accept(overlap="keep")
    session.grow(3, 2.5)
    session.split(3, [Scribble([(90, 15), (130, 15)])])
    session.merge([3, 6])
    session.relabel(5, 12)
    session.go_to(4)
    session.go_to(7)
    session.reset()
    session.open_mask(np.ones((4, 4), bool), 30, offset=(60, 20))
    session.reset()
    session.add(PriorMask(np.ones((9, 9), bool), (30, 30)))
    session.add(Click(CENTERS["bright"]))
    session.return_to_best()
    session.next_object([Polygon(((10, 10), (10, 60), (60, 60), (60, 10)))])
    session.add(Polygon(((10, 10), (10, 30), (30, 10)), positive=False))
    session.undo()
    session.next_object([Click(CENTERS["grey"])], overlap="overwrite")
    session.add(Polygon(((80, 100), (80, 120), (100, 120)), filled=True))


def test_a_session_is_resumed_exactly_with_its_history(path):
    session = new_session()
    everything(session)
    create(path, session).close()
    again = resumed(path)
    assert seen(again) == seen(session)
    assert again.history == session.history
    assert again.overlap == session.overlap
    while session.undo() is not None:
        again.undo()
        assert seen(again) == seen(session)


def test_what_is_done_goes_into_the_file_at_once_and_on_after_resuming(path):
    session = new_session()
    journal = create(path, session)
    assert session.journal is journal
    for step in range(3):
        session.add(Click(CENTERS["grey"]))
        assert len(read_journal(path).operations) == step + 1
    journal.close()
    again = resumed(path)
    again.accept()
    again.journal.close()
    again.add(Click(CENTERS["faint"]))  # goes nowhere
    third = resumed(path)
    assert third.objects == {k: v for k, v in again.objects.items() if k == 1}
    assert third.prompts == ()
    third.journal.close()


def test_planes_are_resumed(path):
    session = volume_session()
    journal = create(path, session, VOLUME)
    for plane in (1, 0):
        session.plane = (plane,)
        session.add(Click(CENTERS["bright"]))
    late = session.request([Click(CENTERS["grey"])])
    session.plane = (2,)
    session.paint(np.ones((3, 3), bool), offset=(50, 50))
    session.commit(session.compute(late))
    session.undo()
    session.redo()
    session.accept()
    journal.close()
    again = resumed(path, VOLUME)
    assert again.plane_shape == (3,)
    assert seen(again) == seen(session)


def test_paint_during_an_answer_is_resumed_in_that_order(path):
    session = new_session()
    journal = create(path, session)
    session.paint(np.ones((3, 3), bool), offset=(50, 50))
    request = session.request([*session.prompts, Click(CENTERS["grey"])])
    session.paint(np.ones((9, 9), bool), offset=(80, 100))
    session.commit(session.compute(request))
    journal.close()
    assert seen(resumed(path)) == seen(session)


def test_a_torn_last_line_does_not_count(path):
    session = new_session()
    journal = create(path, session)
    session.add(Click(CENTERS["grey"]))
    whole = path.read_bytes()
    session.add(Click(CENTERS["bright"]))
    journal.close()
    content = path.read_bytes()
    for length in (len(whole) + 1, len(whole) + 30, len(content) - 1):
        path.write_bytes(content[:length])
        assert len(read_journal(path).operations) == 1
    path.write_bytes(content[: len(content) - 20])
    again = resumed(path)
    assert len(again.prompts) == 1
    again.accept()
    again.journal.close()
    assert [each.name for each in read_journal(path).operations] == ["prompts", "accept"]


@pytest.mark.parametrize("damage", [b"x", b"\n"], ids=["a-byte", "a-line-break"])
def test_damage_in_the_middle_is_told_with_its_line(path, damage):
    session = new_session()
    journal = create(path, session)
    for name in CENTERS:
        session.add(Click(CENTERS[name]))
    journal.close()
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2][:40] + damage + lines[2][41:]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(JournalError, match=r"line 3 of \d is damaged"):
        read_journal(path)
    assert len(read_journal(path, until_damage=True).operations) == 1


def rewritten(path, change):
    """Change the values of a header, with a right checksum."""
    first, rest = path.read_bytes().split(b"\n", 1)
    header = json.loads(first[9:])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(b"%08x %s\n%s" % (zlib.crc32(text), text, rest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda h: h.update(version=2), "version 2.*reads version 1", id="version"),
        pytest.param(lambda h: h.update(format="x"), "no session file", id="format"),
        pytest.param(lambda h: h["model"].update(name="other"), "other model", id="model"),
        pytest.param(lambda h: h["model"].update(weights="0f"), "other weights", id="weights"),
    ],
)
def test_a_file_of_another_kind_says_which(path, change, message):
    create(path, new_session()).close()
    rewritten(path, change)
    with pytest.raises(JournalError, match=message):
        resumed(path)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(IMAGE[:-1], "shape", id="shape"),
        pytest.param(IMAGE.astype(np.uint16), "dtype uint8.*uint16", id="dtype"),
        pytest.param(255 - IMAGE, "checksum", id="values"),
    ],
)
def test_another_image_is_refused(path, image, message):
    create(path, new_session()).close()
    with pytest.raises(JournalError, match=f"made on another image.*{message}"):
        resumed(path, image)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(JournalError, match="cannot be read"):
        read_journal(tmp_path / "nowhere")
    for content in (b"", b"hello\n", b"\x00" * 99):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(JournalError, match="no session file"):
            read_journal(tmp_path / "x")


def test_a_file_is_not_overwritten(path):
    journal = create(path, new_session())
    with pytest.raises(JournalError, match="there already"):
        create(path, new_session())
    journal.close()
    with pytest.raises(JournalError, match="cannot be written"):
        create(path / "below-a-file", new_session())


def test_operations_of_newer_versions_are_refused(path):
    journal = create(path, new_session())
    journal._append(Operation("teleport", {}))
    journal.close()
    with pytest.raises(JournalError, match="newer version"):
        read_journal(path)


def test_objects_that_come_out_otherwise_are_told(path):
    session = new_session()
    journal = create(path, session)
    session.add(Click(CENTERS["grey"]))
    session.accept()
    journal.close()

    class Other(FloodPredictor):
        def decode(self, *arguments):
            answer = super().decode(*arguments)
            answer.logits[:] = np.roll(answer.logits, 2)
            return answer

    with pytest.raises(JournalError, match=r"step 2 \(accept\) came out as"):
        resumed(path, IMAGE, Other(64))
    again = resumed(path, IMAGE, Other(64), exact=False)
    assert list(again.objects) == [1]


class FullDisk:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, content):
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(content[: self.room])
        self.room -= written
        return written

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_costs_nothing_once_there_is_room(path):
    session, told = new_session(), []
    journal = create(path, session, on_trouble=told.append)
    session.add(Click(CENTERS["grey"]))
    journal._file = FullDisk(journal._file, 40)
    session.accept()
    session.add(Click(CENTERS["bright"]))
    assert session.prompts, "the session goes on"
    assert len(read_journal(path).operations) == 1
    assert journal.trouble is told[-1]
    assert "No space left" in str(told[-1])
    journal._file.room = 10**9
    session.add(Click((40, 45)))
    assert journal.trouble is None
    journal.close()
    assert seen(resumed(path)) == seen(session)


def eventually(condition):
    """Wait until something holds that a thread brings about."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_what_could_not_be_written_is_written_when_there_is_room_also_without_a_step(
    path, monkeypatch
):
    monkeypatch.setattr(journal_module, "SYNC_SECONDS", 0.01)
    session = new_session()
    journal = create(path, session)
    journal._file = FullDisk(journal._file, 0)
    session.add(Click(CENTERS["grey"]))
    session.accept()
    assert journal.trouble is not None
    assert read_journal(path).operations == ()
    journal._file.room = 10**9
    eventually(lambda: len(read_journal(path).operations) == 2)
    assert journal.trouble is None


def test_closing_writes_what_could_not_be_written_before(path):
    session = new_session()
    journal = create(path, session)
    journal._file = FullDisk(journal._file, 0)
    session.add(Click(CENTERS["grey"]))
    journal._file.room = 10**9
    journal.close()
    assert len(read_journal(path).operations) == 1


def test_everything_reaches_the_disk_also_what_is_done_while_it_is_forced_there(path, monkeypatch):
    monkeypatch.setattr(journal_module, "SYNC_SECONDS", 0.01)
    session, synced = new_session(), []
    create(path, session)
    force = os.fsync

    def slow_disk(number):
        force(number)
        length = os.fstat(number).st_size
        if not synced:  # the user goes on meanwhile
            session.add(Click(CENTERS["bright"]))
        synced.append(length)

    monkeypatch.setattr(journal_module.os, "fsync", slow_disk)
    session.add(Click(CENTERS["grey"]))
    eventually(lambda: synced and synced[-1] == path.stat().st_size)
    assert len(read_journal(path).operations) == 2


# Killed


def test_a_process_killed_at_any_moment_loses_the_prompt_in_flight_at_most(tmp_path):
    """Each round a real process works through a script and is killed somewhere in it."""
    command = [sys.executable, str(TESTS / "scripted_session.py"), str(tmp_path), "20"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    acknowledged = [int(line) for line in done.stdout.split()]
    assert len(acknowledged) == 20
    assert len(set(acknowledged)) > 5, "killed at different moments"
    states, counts = scripted_session.reference()
    for number, steps in enumerate(acknowledged):
        path = tmp_path / f"{number}.pvpu"
        if steps < 0 and not path.exists():
            continue  # killed before there was anything
        recorded = len(read_journal(path).operations) if path.stat().st_size else 0
        assert recorded >= (counts[steps] if steps >= 0 else 0)
        if recorded:
            assert seen(resumed(path)) == states[recorded]


# Plain data


def test_a_script_repeats_the_session():
    session = new_session()
    everything(session)
    text = session.to_python("cells.tif")
    assert "image = read_image('cells.tif')" in text
    assert "Click((90.0, 110.0))" in text

    class Opener:
        def __init__(self, name):
            assert name == "pvpu-nano"

        def open(self, image, **options):
            return new_session(image, **options)

    lines = text.replace("PriorMask, Scribble, Segmenter\n", "PriorMask, Scribble\n")
    lines = lines.replace("from napari_pvpu.export.reading import read_image\n", "")
    names = {"Segmenter": Opener, "read_image": lambda path: IMAGE}
    exec(compile(lines, "script", "exec"), names)
    assert seen(names["session"]) == seen(session)
    assert names["session"].history == session.history


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.text(max_size=4),
    st.builds(Click, st.tuples(st.floats(0, 9), st.floats(0, 9)), st.booleans()),
)
values = plain | st.lists(plain, max_size=3)


@given(st.dictionaries(st.sampled_from("abcd"), values), st.sampled_from(["accept", "set"]))
def test_operations_survive_their_journey(arguments, name):
    operation = Operation(name, arguments, 5)
    again = Operation.from_json(json.loads(json.dumps(operation.to_json())))
    assert (again.name, again.values, again.result) == (name, arguments, 5)


@settings(max_examples=30)
@given(
    st.sampled_from(["?", "u1", "i1", "<u2", "<f4", "<i8"]),
    st.lists(st.integers(0, 5), min_size=1, max_size=3),
)
def test_arrays_survive_their_journey(dtype, shape):
    array = np.random.default_rng(0).integers(0, 3, shape).astype(dtype)
    again = unpack_array(json.loads(json.dumps(pack_array(array))))
    assert again.dtype == array.dtype
    assert np.array_equal(again, array)


@pytest.mark.parametrize(
    "values",
    [
        {"op": "paint", "mask": {"type": "array", "dtype": "|u1", "shape": [9], "zlib": "eJw="}},
        {"op": "prompts", "prompts": [{"type": "click", "position": ["x"]}]},
        {"op": "paint", "mask": {"type": "array"}},
    ],
    ids=["bytes", "prompt", "keys"],
)
def test_damaged_operations_are_refused(values):
    with pytest.raises(JournalError, match="is damaged"):
        Operation.from_json(values)


def test_our_errors_are_ours():
    assert issubclass(JournalError, PvpuError)


# Fingerprints


def test_equal_images_have_equal_fingerprints():
    assert fingerprint(IMAGE) == fingerprint(np.asfortranarray(IMAGE.copy()))
    swapped = IMAGE.astype("<u2"), IMAGE.astype(">u2")
    assert fingerprint(swapped[0]) == fingerprint(swapped[1])


@pytest.mark.parametrize("shape", [(2000, 2000), (40, 300, 300), (1500, 1500, 3), (3, 9, 400, 400)])
def test_large_images_are_told_apart_by_samples(shape):
    class Spy:
        def __init__(self, add):
            self.shape, self.dtype, self.read, self.add = shape, np.dtype(np.int64), 0, add

        def __getitem__(self, index):
            grids = np.ogrid[index]
            self.read += int(np.prod([grid.size for grid in grids]))
            return sum(grid * 7**n for n, grid in enumerate(grids)) + self.add

    one, same, other = Spy(0), Spy(0), Spy(1)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    assert one.read <= 16 * 32**3
