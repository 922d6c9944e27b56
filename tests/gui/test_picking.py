"""Objects of other people's labels, which may be as large as they like, are found beside napari."""

from __future__ import annotations

import threading

import dask
import dask.array as da
import numpy as np
import pytest

from lazy_arrays import ChunkedArray
from napari_pvpu.napari_side import picking
from napari_pvpu.napari_side.label_work import TurnedLabels

pytestmark = pytest.mark.gui

SIDE = 3000
PIECES = ((slice(20, 40), slice(30, 50)), (slice(60, 64), slice(100, 128)))
AWAY = (slice(2500, 2600), slice(2000, 2100))
"""A piece that no pixel of the image lies under."""


def large() -> np.ndarray:
    """Labels far larger than the image, with an object 7 in pieces and another around it."""
    labels = np.zeros((SIDE, SIDE), np.uint16)
    labels[10:70, 20:60] = 8
    for piece in (*PIECES, AWAY):
        labels[piece] = 7
    return labels


class Watched(ChunkedArray):
    """Labels that tell how much of them is read in the GUI thread."""

    def __init__(self) -> None:
        labels = large()
        self.size, self.here = labels.size, 0
        super().__init__(labels.shape, (512, 512), lambda rows, cols: labels[rows, cols])

    def __getitem__(self, index):
        found = super().__getitem__(index)
        if threading.current_thread() is threading.main_thread():
            self.here += found.size
        return found

    def __array__(self, *args, **kwargs):
        return self[:, :]


@pytest.fixture
def controller(make_flooded, blobs):
    controller = make_flooded(blobs)
    assert controller.wait()
    return controller


def open_at(controller, layer, pixel) -> None:
    controller.viewer.cursor.position = tuple(layer.data_to_world(pixel))
    controller.open_at_cursor()


@pytest.mark.parametrize(
    "make",
    [large, lambda: da.from_array(large(), chunks=700), Watched],
    ids=["numpy", "dask", "chunks"],
)
def test_object_is_found_whole_and_not_by_the_gui_thread(controller, monkeypatch, make) -> None:
    layer = controller.viewer.add_labels(make(), name="theirs")
    read_block, here = picking.read_block, []

    def read(*arguments):
        here.append(threading.current_thread() is threading.main_thread())
        return read_block(*arguments)

    monkeypatch.setattr(picking, "read_block", read)
    if isinstance(layer.data, Watched):
        layer.data.here = 0
    open_at(controller, layer, (30, 40))
    assert controller.wait()
    expected = np.zeros(controller.session.shape, bool)
    for piece in PIECES:
        expected[piece] = True
    np.testing.assert_array_equal(controller.session.mask, expected)
    assert controller.accept() == 7
    assert here
    assert not any(here)
    if isinstance(layer.data, Watched):
        assert layer.data.here == 0


@pytest.fixture
def held(controller, monkeypatch):
    """A large object that was clicked on, and is looked for as long as the gate is shut."""
    layer = controller.viewer.add_labels(large(), name="theirs")
    gate, read_block = threading.Event(), picking.read_block
    monkeypatch.setattr(picking, "read_block", lambda *each: (gate.wait(10), read_block(*each))[1])
    open_at(controller, layer, (30, 40))
    yield gate
    gate.set()


def test_user_can_do_without_an_object_that_is_looked_for(controller, held) -> None:
    assert controller.progress.title == "Looking for the object"
    controller.progress.cancel()
    held.set()
    assert controller.wait()
    assert not controller.workspace.has_object


def test_object_of_another_plane_is_not_opened_here(make_flooded, blobs, monkeypatch, notices):
    controller = make_flooded(np.stack([blobs] * 2), axis_labels=("z", "y", "x"))
    assert controller.wait()
    controller.viewer.dims.set_point(0, 0)
    assert controller.wait()
    layer = controller.viewer.add_labels(np.stack([large()] * 2), name="theirs")
    open_at(controller, layer, (0, 30, 40))
    controller.viewer.dims.set_point(0, 1)
    assert controller.wait()
    assert not controller.workspace.has_object
    assert "another plane" in notices()[-1]


def test_object_that_lies_beside_the_image_is_refused(controller, notices) -> None:
    layer = controller.viewer.add_labels(large() * (np.arange(SIDE) > 200), name="theirs")
    open_at(controller, layer, (2550, 2050))
    assert controller.wait()
    assert "lies outside the image" in notices()[-1]
    assert not controller.workspace.has_object


@pytest.mark.parametrize("action", ["adopt", "keep_off"])
def test_labels_that_lie_otherwise_are_turned_by_the_worker(make_flooded, blobs, action) -> None:
    controller = make_flooded(np.stack([blobs] * 3, axis=1), axis_labels=("y", "z", "x"))
    assert controller.wait()
    labels, here = np.zeros((96, 3, 128), np.uint16), []
    labels[20:40, 1, 30:50] = 3

    def compute(block, block_info=None):
        here.append(threading.current_thread() is threading.main_thread())
        return block

    # In the thread that asks, where dask would take others.
    with dask.config.set(scheduler="synchronous"):
        lazy = da.from_array(labels, chunks=-1).map_blocks(compute, dtype=np.uint16)
        layer = controller.viewer.add_labels(lazy, name="theirs")
        assert controller.wait()
        here.clear()
        getattr(controller, action)(layer)
        assert controller.wait()
    assert here
    assert not any(here)
    session = controller.session
    if action == "adopt":
        np.testing.assert_array_equal(session.labels, labels.transpose(1, 0, 2))
    else:
        assert session.keeps_off


def test_turned_labels_are_cut_like_an_array() -> None:
    labels = np.arange(2 * 3 * 1 * 4).reshape(2, 3, 1, 4)
    turned, array = TurnedLabels(labels, (3, 0, 1)), labels[:, :, 0].transpose(2, 0, 1)
    assert (turned.shape, turned.ndim, turned.dtype) == (array.shape, 3, array.dtype)
    np.testing.assert_array_equal(turned, array)
    for index in (2, (2, 1), (slice(1, 3), 1, slice(0, 2)), (3, slice(0, 1), slice(1, 3))):
        np.testing.assert_array_equal(turned[index], array[index])


# What the user is told


def small() -> np.ndarray:
    labels = np.zeros((96, 128), np.int32)
    labels[20:40, 30:50], labels[60:70, 60:70], labels[80:90, 60:70] = 7, 70000, 9
    return labels


def locked() -> np.ndarray:
    labels = small()
    labels.flags.writeable = False
    return labels


KINDS = pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(small, False, id="plain"),
        pytest.param(locked, True, id="read-only"),
        pytest.param(lambda: da.from_array(small(), chunks=32), True, id="dask"),
        pytest.param(lambda: [small(), small()[::2, ::2]], True, id="levels"),
    ],
)


@KINDS
def test_user_is_told_of_labels_that_are_copied(controller, notices, make, told) -> None:
    layer = controller.viewer.add_labels(make(), name="theirs")
    for pixel in ((30, 40), (85, 65)):
        open_at(controller, layer, pixel)
        assert controller.wait()
        controller.accept()
    assert list(controller.session.objects) == [7, 9]
    about = [notice for notice in notices() if "“theirs” cannot be changed" in notice]
    assert len(about) == told, "and once is enough"
    if told:
        assert "as a copy" in about[0]


@KINDS
def test_user_is_told_of_adopted_labels_that_are_copied(controller, notices, make, told) -> None:
    controller.adopt(controller.viewer.add_labels(make(), name="theirs"))
    assert controller.wait()
    assert len(controller.session.objects) == 3
    assert any("“theirs” cannot be changed" in notice for notice in notices()) == told


def test_user_is_told_of_a_number_that_cannot_stay(controller, notices) -> None:
    layer = controller.viewer.add_labels(small(), name="theirs")
    other = controller.viewer.add_labels(np.roll(small(), 40, axis=1), name="others")
    open_at(controller, layer, (65, 65))
    assert "Object 70000 of “theirs” becomes object 1: numbers here end at 65535." in notices()
    assert controller.accept() == 1
    open_at(controller, layer, (30, 40))
    assert controller.accept() == 7
    assert not any("becomes object 7" in notice for notice in notices())
    open_at(controller, other, (30, 80))
    assert notices()[-1] == "Object 7 of “others” becomes object 8: there is an object 7 already."
    assert controller.accept() == 8
