"""The Tracks layer of a movie follows its objects, whatever is done to them."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtTest import QTest

from lazy_arrays import ChunkedArray
from napari_pvpu import Click
from napari_pvpu.errors import SessionError
from napari_pvpu.export.tracks import TrackFinder
from napari_pvpu.sparse_labels import SparseLabels

pytestmark = pytest.mark.gui

ONE, TWO = Click((30, 40)), Click((60, 90))
MOVIE = {"axis_labels": ("t", "y", "x")}


@pytest.fixture
def movie(make_flooded, blobs):
    """One object in frame 0 of 4, shown as a track."""
    controller = make_flooded(np.stack([blobs] * 4), **MOVIE)
    assert controller.wait()
    accept(controller, 0, ONE)
    controller.show_tracks()
    assert rows(controller) == [(1, 0)]
    return controller


@pytest.fixture
def finds(monkeypatch):
    """Return which planes were said to have changed, each time that tracks were found."""
    found, find = [], TrackFinder.find

    def noted(self, *arguments, changed=None, **about):
        found.append(None if changed is None else list(changed))
        return find(self, *arguments, changed=changed, **about)

    monkeypatch.setattr(TrackFinder, "find", noted)
    return found


def accept(controller, frame: int, click: Click) -> None:
    controller.viewer.dims.set_point(0, frame)
    controller.add(click)
    controller.accept()


def layer_of(controller):
    return controller.viewer.layers["blobs tracks"]


def rows(controller) -> list[tuple[int, int]]:
    """Return (track, frame) of each point, all being up to date."""
    assert controller.wait()
    return [(int(row[0]), int(row[1])) for row in layer_of(controller).data]


def test_tracks_follow_every_edit(movie) -> None:
    accept(movie, 1, TWO)
    assert rows(movie) == [(1, 0), (2, 1)]
    movie.undo()
    movie.undo()
    assert rows(movie) == [(1, 0)]
    movie.go_to(len(movie.history))
    assert rows(movie) == [(1, 0), (2, 1)]
    movie.relabel(9)
    assert rows(movie) == [(1, 0), (9, 1)]
    movie.merge_with(1)
    assert len({track for track, _ in rows(movie)}) == 1
    movie.undo()
    assert rows(movie) == [(1, 0), (9, 1)]
    movie.viewer.dims.set_point(0, 1)
    movie.open_object(9)
    assert rows(movie) == [(1, 0)], "it is no accepted object as long as it is open"
    movie.delete_object()
    assert rows(movie) == [(1, 0)]


def test_tracks_follow_what_is_grown_and_painted(movie) -> None:
    before = layer_of(movie).data.copy()
    objects = movie.viewer.layers["blobs objects"]
    objects.data_setitem(tuple(np.mgrid[0:1, 26:34, 36:40].reshape(3, -1)), 0)
    assert movie.wait()
    QTest.qWait(20)
    assert rows(movie) == [(1, 0)]
    assert not np.array_equal(layer_of(movie).data, before), "its box has stayed, its centre not"
    objects.data_setitem((np.array([3, 3]), np.array([5, 5]), np.array([7, 8])), 4)
    QTest.qWait(20)
    assert rows(movie) == [(1, 0), (4, 3)]


def test_tracks_follow_the_console_and_parents(movie) -> None:
    session = movie.session
    accept(movie, 1, ONE)
    accept(movie, 1, TWO)
    session.divide(1, [2, 3])
    QTest.qWait(400)  # until the console is looked at
    assert movie.wait()
    assert layer_of(movie).graph == {2: [1], 3: [1]}
    session.unlink(3)
    QTest.qWait(400)
    assert movie.wait()
    assert layer_of(movie).graph == {2: [1]}
    movie.undo()
    assert movie.wait()
    assert layer_of(movie).graph == {2: [1], 3: [1]}


def test_layer_without_objects_goes_and_comes_back_as_it_was(movie) -> None:
    layer = layer_of(movie)
    layer.tail_width = 7
    movie.undo()
    assert movie.wait()
    assert layer not in movie.viewer.layers
    movie.redo()
    assert movie.wait()
    assert layer in movie.viewer.layers
    assert layer.tail_width == 7
    assert rows(movie) == [(1, 0)]


def test_only_what_has_changed_is_looked_at_once_a_turn(movie, finds) -> None:
    movie.viewer.dims.set_point(0, 2)
    movie.add(ONE)
    movie.smoothing = 1.0
    movie.changed.emit()
    assert movie.wait()
    assert finds == [], "no object has changed"
    movie.accept()
    assert movie.wait()
    assert finds == [[(2,)]]
    accept(movie, 3, TWO)
    assert movie.wait()
    finds.clear()
    movie.undo()
    movie.undo()
    movie.redo()
    assert finds == []
    assert rows(movie) == [(1, 0), (2, 2)]
    assert finds == [[(3,)]]


def test_nothing_is_looked_at_without_a_layer(movie, finds) -> None:
    movie.viewer.layers.remove(layer_of(movie))
    accept(movie, 1, TWO)
    movie.undo()
    assert movie.wait()
    assert finds == []
    assert "blobs tracks" not in movie.viewer.layers
    movie.show_tracks()
    assert rows(movie) == [(1, 0)]


def test_tracks_that_cannot_be_are_told_once(movie, notices) -> None:
    accept(movie, 1, ONE)
    accept(movie, 1, TWO)
    movie.session.divide(1, [2, 3])
    accept(movie, 2, ONE)
    movie.workspace.perform(lambda session: session.merge([1, 4]))
    assert movie.wait()
    accept(movie, 3, TWO)
    assert movie.wait()
    told = [each for each in notices() if "mark the division again" in each]
    assert len(told) == 1
    movie.workspace.perform(lambda session: session.unlink(2))
    movie.workspace.perform(lambda session: session.unlink(3))
    assert len(rows(movie)) == 5


def test_tracks_of_a_movie_too_large_for_an_array(make_flooded, tmp_path) -> None:
    values = lambda t, r, c: np.where(np.hypot(r - 30, c - 40) < 9, 200, 30) + 0 * t  # noqa: E731
    movie = ChunkedArray((9000, 300, 400), (1, 300, 400), values, "uint8")
    controller = make_flooded(movie, **MOVIE, contrast_limits=(0, 255))
    assert controller.wait()
    accept(controller, 0, ONE)
    assert isinstance(controller.session.labels, SparseLabels)
    with pytest.raises(SessionError):
        np.asarray(controller.session.labels)
    controller.show_tracks()
    accept(controller, 8000, ONE)
    assert rows(controller) == [(1, 0), (2, 8000)]
    np.testing.assert_allclose(layer_of(controller).data[1, 2:], (30, 40), atol=1)
    controller.export_tracks(tmp_path / "cells.geff")
    assert controller.wait()
    assert (tmp_path / "cells.geff" / ".zattrs").exists()


def test_small_sparse_labels_are_exported_as_masks(make_flooded, monkeypatch, tmp_path, blobs):
    monkeypatch.setattr("napari_pvpu.label_store.MOST_DENSE", 10_000)
    controller = make_flooded(np.stack([blobs] * 3), **MOVIE)
    assert controller.wait()
    accept(controller, 1, TWO)
    assert isinstance(controller.session.labels, SparseLabels)
    labels = controller.session.labels[1].copy()
    controller.export_tracks(tmp_path / "01_RES")
    controller.undo()  # while it is written
    assert controller.wait()
    assert (tmp_path / "01_RES" / "res_track.txt").read_text() == "1 1 1 0\n"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "01_RES" / "mask001.tif"), labels)
