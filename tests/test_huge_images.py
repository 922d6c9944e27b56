"""Images of any size and number of axes: a session costs what it would on a small picture."""

from __future__ import annotations

import tracemalloc

import dask.array
import numpy as np
import pytest
import zarr

from fakes import FloodPredictor
from lazy_arrays import ChunkedArray
from napari_pvpu import Click, Polygon, Scribble
from napari_pvpu.errors import SessionError
from napari_pvpu.export import export_labels, read_geojson
from napari_pvpu.journal import Journal, read_journal
from napari_pvpu.replay import replay
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource
from napari_pvpu.sparse_labels import SparseLabels

SIDE = 100_000
STEP, RADIUS = 200, 24
"""There is a bright disk around every multiple of STEP, but at the edges."""


def disks(*index):
    """Return values of an image full of disks, at any rows and columns; the last two axes."""
    rows, cols = (each + STEP // 2 for each in index[-2:])
    near = np.hypot(rows % STEP - STEP // 2, cols % STEP - STEP // 2) <= RADIUS
    value = np.where(near, 220, 30)
    for other in index[:-2]:
        value = value + 0 * other  # for its shape
    return value


def huge_image():
    return ChunkedArray((SIDE, SIDE), (1024, 1024), disks, "uint8")


def open_session(image, **source):
    return Session(ImageSource(image, **source), FloodPredictor(64))


def far_apart(session):
    """Accept a disk in each of three far corners; return where they are."""
    places = [(1000, 1000), (98_800, 800), (51_200, 99_000)]
    for place in places:
        session.add(Click(place))
        session.accept()
    return places


class Memory:
    """Peak of what Python allocates inside the block."""

    def __enter__(self):
        tracemalloc.start()
        return self

    def __exit__(self, *_):
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def test_a_huge_image_reads_a_few_chunks_and_takes_little_memory():
    image = huge_image()
    with Memory() as memory:
        session = open_session(image)
        opened = len(image.touched)
        image.forget()
        session.add(Click((60_000, 70_000)))
        clicked = len(image.touched)
        object_id = session.accept()
    assert opened <= 256, "of 9604 chunks, for the percentiles"
    assert clicked <= 40, "the first click does not know how large objects are"
    assert memory.peak < 60e6
    assert session.labels[60_000, 70_000] == object_id
    assert session.labels[59_900:60_100, 69_900:70_100].astype(bool).sum() == np.sum(
        disks(*np.ogrid[59_900:60_100, 69_900:70_100]) > 100
    )


def test_each_further_object_costs_the_same_wherever_it_is():
    image = huge_image()
    session = open_session(image)
    counts = []
    for place in [(0, 400), (50_000, 50_000), (99_800, 99_800)]:
        image.forget()
        session.add(Click(place))
        counts.append(len(image.touched))
        session.accept()
    assert max(counts) <= 40
    assert max(counts[1:]) <= 16


def test_everything_done_to_far_objects_stays_small():
    image = huge_image()
    with Memory() as memory:
        session = open_session(image)
        places = far_apart(session)
        one, two = session.objects[1].box, session.objects[2].box
        session.undo()
        session.redo()
        session.merge([1, 2])
        merged = session.last_change
        session.open_object(3)
        session.add(Scribble(((51_195, 98_990), (51_205, 99_010))))
        session.accept()
        session.grow(3, 2)
        session.relabel(1, 70)
        session.delete(70)
        session.undo()
        session.go_to(0)
        session.go_to(len(session.history))
    assert memory.peak < 100e6
    assert sum(each.mask.size for each in (merged, *merged.more)) < 100_000
    assert [int(session.labels[place]) for place in places] == [0, 0, 3]
    session.undo()  # brings back what was deleted
    session.undo()  # and its number
    assert [int(session.labels[place]) for place in places] == [1, 1, 3]
    assert session.objects[1].box == (*np.minimum(one[:2], two[:2]), *np.maximum(one[2:], two[2:]))


def test_an_object_too_large_to_be_opened_says_so_and_can_be_deleted():
    image = huge_image()
    with Memory() as memory:
        session = open_session(image)
        labels = SparseLabels((*session.plane_shape, *session.shape))
        labels[..., 5:9, 7:9] = labels[..., -9:-5, -9:-5] = 1
        labels[..., 50_000:50_010, 50_000:50_010] = 3
        session.adopt(labels)
        with pytest.raises(SessionError, match="too many to be worked on at once"):
            session.open_object(1)
        with pytest.raises(SessionError, match="too many to be worked on at once"):
            session.grow(1, 1)
        session.relabel(1, 9)
        session.delete(9)
    assert memory.peak < 100e6
    assert sorted(session.objects) == [3]


def test_an_object_too_large_to_be_drawn_says_so_and_costs_nothing():
    session = open_session(huge_image())
    session.add(Click((1000, 1000)))
    session.accept()
    corners = (10_000, 10_000), (10_000, 60_000), (60_000, 60_000), (60_000, 10_000)
    with Memory() as memory, pytest.raises(SessionError, match=r"too many to be drawn at once"):
        session.add(Polygon(corners, filled=True))
    assert memory.peak < 100e6
    assert session.prompts == ()
    session.add(Click((2000, 2000)))
    assert session.accept() == 2


def test_a_session_on_a_huge_image_is_kept_replayed_and_exported(tmp_path):
    image = huge_image()
    session = open_session(image)
    journal = Journal.create(tmp_path / "s.pvpu-session", session, image)
    far_apart(session)
    journal.close()
    with Memory() as memory:
        again = replay(read_journal(journal.path), image, FloodPredictor(64))
        export_labels(tmp_path / "a.geojson", again.labels)
        export_labels(tmp_path / "a.ome.zarr", again.labels)
    assert again.labels.counts() == session.labels.counts()
    assert memory.peak < 100e6
    assert journal.path.stat().st_size < 20_000
    assert (tmp_path / "a.geojson").stat().st_size < 20_000
    found = zarr.open_group(str(tmp_path / "a.ome.zarr" / "labels" / "labels"))["0"]
    assert found.shape == (SIDE, SIDE)
    assert int(found[51_200, 99_000]) == 3


def test_objects_of_a_huge_image_are_taken_along_to_another_session(tmp_path):
    first = open_session(huge_image())
    places = far_apart(first)
    labels = first.labels.copy()
    second = open_session(huge_image())
    second.adopt(labels)
    journal = Journal.create(tmp_path / "s.pvpu-session", second, huge_image())
    journal.close()
    third = replay(read_journal(journal.path), huge_image(), FloodPredictor(64))
    for session in (second, third):
        assert [int(session.labels[place]) for place in places] == [1, 2, 3]
        assert session.objects[2].box == first.objects[2].box
        assert session.open_object(2).mask.sum() == first.labels.counts()[2]


def test_a_small_part_of_a_huge_image_can_be_exported_as_an_array(tmp_path):
    session = open_session(huge_image())
    far_apart(session)
    part = session.labels[51_000:51_400, 98_800:99_200]
    export_labels(tmp_path / "a.geojson", part)
    assert np.array_equal(read_geojson(tmp_path / "a.geojson", part.shape).labels, part)


@pytest.fixture
def terabyte(tmp_path):
    """A (T, C, Z, Y, X) series of 1.3 TB on disk, of which four chunks have been written."""
    shape, chunks = (20, 2, 500, 8192, 8192), (1, 1, 1, 1024, 1024)
    store = zarr.create_array(
        str(tmp_path / "series.zarr"), shape=shape, chunks=chunks, dtype="uint8", fill_value=30
    )
    assert store.nbytes > 1e12
    tile = disks(*np.ogrid[:1024, :1024]).astype(np.uint8)
    for t in (3, 4):
        for c in (0, 1):
            store[t, c, 250, 4096:5120, 4096:5120] = tile
    return store


@pytest.mark.parametrize("kind", ["zarr", "dask"])
def test_a_series_of_a_terabyte_is_annotated_in_small_memory(terabyte, kind):
    # A million chunks would keep dask busy for long, whoever asks.
    chunks = (1, 1, 1, 4096, 4096)
    image = terabyte if kind == "zarr" else dask.array.from_zarr(terabyte, chunks=chunks)
    row, col = 4096 + 400, 4096 + 600
    with Memory() as memory:
        session = open_session(image, axes="TCZYX", limits=(0, 255))
        assert isinstance(session.labels, SparseLabels)
        for t in (3, 4):
            session.plane = (t, 250)
            session.add(Click((row, col)))
            session.accept()
        session.merge([1, 2])
        session.open_object(1)
        session.accept()
        session.undo()
        session.redo()
    assert memory.peak < 100e6
    assert session.labels.shape == (20, 500, 8192, 8192)
    assert set(session.objects[1].boxes) == {(3, 250), (4, 250)}
    area = int(np.sum(disks(*np.ogrid[:200, :200]) > 100))
    assert session.labels.counts()[1] == pytest.approx(2 * area, rel=0.06)  # seen coarsely
