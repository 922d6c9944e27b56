"""What is done from napari's console to the layer of accepted objects, not by its tools."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from qtpy.QtTest import QTest

from lazy_arrays import ChunkedArray
from napari_pvpu import Click
from napari_pvpu.journal import read_journal
from napari_pvpu.napari_side import label_scan
from napari_pvpu.replay import replay

pytestmark = pytest.mark.gui

ONE, TWO = Click((30, 40)), Click((60, 90))
PLANE = np.index_exp[80:84, 20:40]


@pytest.fixture
def two(make_flooded, blobs):
    """Two accepted objects, with ids 1 and 2."""
    controller = make_flooded(blobs)
    assert controller.wait()
    accept_both(controller)
    return controller


@pytest.fixture
def stack(make_flooded, blobs):
    """The same in plane 1 of 4."""
    controller = make_flooded(np.stack([blobs] * 4), axis_labels=("z", "y", "x"))
    assert controller.wait()
    controller.viewer.dims.set_point(0, 1)
    accept_both(controller)
    return controller


def accept_both(controller) -> None:
    for click in (ONE, TWO):
        controller.add(click)
        controller.accept()
    assert list(controller.session.objects) == [1, 2]


def layer_of(controller):
    return controller.viewer.layers["blobs objects"]


def settled(controller) -> None:
    """What is shown is what is known, and a replay comes to the same."""
    QTest.qWait(20)
    session, shown = controller.workspace.session, layer_of(controller).data
    np.testing.assert_array_equal(np.asarray(shown).reshape(session.labels.shape), session.labels)
    assert {*np.unique(shown).tolist()} - {0} == {*session.objects}
    if session.journal is not None:
        image = controller.image.data
        again = replay(read_journal(session.journal.path), image, session.predictor, exact=True)
        np.testing.assert_array_equal(again.labels, session.labels)
        assert again.objects == session.objects


def write(layer, where, value) -> None:
    layer.data[where] = value
    layer.refresh()


EDITS = {
    "data": lambda layer: write(layer, PLANE, 7),
    "erased": lambda layer: write(layer, ..., 0),
    "one pixel": lambda layer: write(layer, (0, 0), 7),
    "data_setitem": lambda layer: layer.data_setitem((np.arange(9), np.arange(9)), 7),
    "fill": lambda layer: layer.fill((30, 40), 7),
    "paint": lambda layer: layer.paint((80, 20), 7),
    "undo": lambda layer: layer.undo(),
    "undo twice": lambda layer: (layer.undo(), layer.undo()),
    "undo and redo of paint": lambda layer: (layer.paint((80, 20), 7), layer.undo(), layer.redo()),
    "assigned": lambda layer: setattr(layer, "data", np.roll(layer.data, 3, axis=1)),
    "assigned, wider": lambda layer: setattr(layer, "data", layer.data.astype(np.int64) * 3),
    "assigned, narrower": lambda layer: setattr(layer, "data", layer.data.astype(np.uint8)),
}


@pytest.mark.parametrize("edit", EDITS)
def test_it_is_one_step_that_can_be_undone(two, edit) -> None:
    layer, steps = layer_of(two), len(two.history)
    before, own, objects = layer.data.copy(), layer.data, two.session.objects
    EDITS[edit](layer)
    after = layer.data.copy()
    settled(two)
    changed = not np.array_equal(after, before)
    assert changed == (edit != "assigned, narrower")
    assert len(two.history) == steps + changed
    assert layer.data is own, "the user's own array is not written to"
    if changed:
        two.undo()
        settled(two)
        assert two.session.objects == objects, "with their prompts"
        two.redo()
        np.testing.assert_array_equal(layer.data, after)
        settled(two)


def test_napari_s_undo_of_an_accepted_object_and_ours(two) -> None:
    layer = layer_of(two)
    layer.undo()
    settled(two)
    assert list(two.session.objects) == [1]
    layer.redo()
    settled(two)
    assert list(two.session.objects) == [1, 2]
    assert two.history[-2:] == ("Erase object 2", "Paint object 2")


@pytest.mark.parametrize("small", [True, False], ids=["at once", "in pieces"])
@pytest.mark.parametrize(
    "edit",
    [
        lambda layer: write(layer, (slice(None), *PLANE), 7),
        lambda layer: write(layer, (3, *PLANE), 7),
        lambda layer: layer.data_setitem(tuple(np.array([[0, 3], [5, 6], [9, 9]])), 7),
        lambda layer: layer.fill((3, 5, 5), 7),
        lambda layer: layer.paint((3, 80, 20), 7),
        lambda layer: layer.undo(),
    ],
    ids=["all planes", "another plane", "data_setitem", "fill", "paint", "undo"],
)
def test_planes_that_are_not_shown(stack, monkeypatch, edit, small) -> None:
    if not small:
        monkeypatch.setattr(label_scan, "AT_ONCE", 0)
    layer, steps = layer_of(stack), len(stack.history)
    stack.viewer.dims.set_point(0, 0)
    QTest.qWait(20)
    before = layer.data.copy()
    edit(layer)
    QTest.qWait(20)
    assert len(stack.history) == steps + 1
    settled(stack)
    stack.undo()
    np.testing.assert_array_equal(layer.data, before)


@pytest.mark.parametrize("also", ["accept", "undo", "delete_object", "session"])
def test_it_is_known_before_anything_else_is_done(two, also) -> None:
    two.add(Click((10, 110)))
    assert two.wait()
    write(layer_of(two), PLANE, 7)
    step = getattr(two, also)
    if callable(step):
        step()
    assert "Paint object 7" in two.history
    settled(two)


def test_what_is_given_while_an_object_is_open_for_correction(two, notices) -> None:
    two.open_object(2)
    layer_of(two).undo()  # which brings its pixels back, here
    QTest.qWait(20)
    assert "open for correction" in notices()[-1]
    settled(two)
    assert two.accept() == 2
    settled(two)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(np.zeros((9, 9), np.uint16), "shape (9, 9)", id="shape"),
        pytest.param(np.zeros((3, 96, 128), np.uint16), "shape (3, 96, 128)", id="more axes"),
        pytest.param(np.full((96, 128), 70000), "70000", id="too large"),
        pytest.param(np.full((96, 128), -3), "-3", id="negative"),
        pytest.param(da.zeros((96, 128), dtype=np.uint16), "dask", id="dask"),
    ],
)
def test_data_that_do_not_fit_are_put_back(two, notices, data, told) -> None:
    layer, steps = layer_of(two), two.history
    before, own = layer.data.copy(), layer.data
    layer.data = data
    assert layer.data is own
    np.testing.assert_array_equal(layer.data, before)
    assert told in notices()[-1]
    np.testing.assert_allclose(layer.extent.data, two.image.extent.data)
    settled(two)
    assert two.history == steps
    two.add(Click((10, 110)))
    assert two.accept() == 3
    settled(two)


def test_before_there_is_a_session(make_flooded, blobs) -> None:
    controller = make_flooded(blobs)
    write(layer_of(controller), PLANE, 7)
    assert controller.wait()
    settled(controller)
    assert controller.history == ("Paint object 7",)


def test_the_session_changed_from_the_console_at_the_same_time(two) -> None:
    session = two.session
    write(layer_of(two), PLANE, 7)
    session.delete(1)
    two.workspace.follow()
    settled(two)
    assert list(session.objects) == [2, 7]


def test_a_layer_that_is_hidden_meanwhile(two) -> None:
    layer = layer_of(two)
    layer.visible = False
    write(layer, PLANE, 7)
    layer.visible = True
    settled(two)
    assert list(two.session.objects) == [1, 2, 7]


def test_tiles_of_a_long_series(make_flooded) -> None:
    series = ChunkedArray((9000, 300, 400), (1, 300, 400), lambda t, r, c: t + 0 * r * c, "uint8")
    controller = make_flooded(series, axis_labels=("t", "y", "x"), contrast_limits=(0, 255))
    assert controller.wait()
    layer = layer_of(controller)
    write(layer, np.index_exp[8000, 80:84, 20:40], 7)
    write(layer, np.index_exp[3, 80:84, 20:40], 8)
    QTest.qWait(20)
    session = controller.session
    assert list(session.objects) == [7, 8]
    assert session.labels[8000, 80:84, 20:40].min() == 7
    controller.undo()
    assert not layer.data[3].any()


def test_own_writing_is_no_edit(two, monkeypatch) -> None:
    looked = []
    layer_of(two).refresh()
    QTest.qWait(20)
    monkeypatch.setattr(two.workspace.strokes, "_differs", lambda window: looked.append(window))
    two.add(Click((10, 110)))
    two.accept()
    two.undo()
    QTest.qWait(20)
    assert not looked


def test_a_layer_that_an_earlier_image_has_left_is_the_user_s(two, blobs) -> None:
    left = layer_of(two)
    two.image.data = 255 - blobs  # which begins another session
    assert two.wait()
    left.visible = False
    left.visible = True
    write(left, PLANE, 7)
    QTest.qWait(60)
    assert not two.session.objects
    two.add(ONE)
    assert two.accept() == 1
    assert left.data[30, 40] == 1
    assert left.data[82, 30] == 7
