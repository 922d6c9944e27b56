"""Labels of all planes: made when needed, adopted with their ids."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu import label_store
from napari_pvpu.errors import SessionError
from napari_pvpu.label_store import LabelStore, tight_box


def test_nothing_is_made_before_it_is_needed():
    store = LabelStore((1000,), (1000, 1000))
    assert not store.allocated
    assert store.array.shape == (1000, 1000, 1000)
    assert store.array.dtype == np.uint16


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">i4", "i8", "u8"])
def test_any_integers_are_adopted_with_their_ids(dtype):
    labels = np.array([[0, 3, 3], [0, 0, 5], [3, 0, 5]], dtype)
    store = LabelStore((), (3, 3))
    records = store.adopt(labels)
    assert store.array.tolist() == labels.tolist()
    assert store.array.dtype == np.uint16
    assert {each: record.box for each, record in records.items()} == {
        3: (0, 0, 3, 3),
        5: (1, 2, 3, 3),
    }
    store.array[0, 0] = 9
    assert labels[0, 0] == 0, "what is adopted is copied"


@pytest.mark.parametrize("large", [70_000, 2**22 + 1, 2**32 - 1])
def test_large_ids_are_kept(large):
    store = LabelStore((2,), (2, 2))
    records = store.adopt(np.array([[[0, large], [1, 1]], [[0, 0], [0, large]]]))
    assert store.array.dtype == np.uint32
    assert records[large].boxes == {(0,): (0, 1, 1, 2), (1,): (1, 1, 2, 2)}
    assert records[1].boxes == {(0,): (1, 0, 2, 2)}
    assert store.largest_id == 2**32 - 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param(np.zeros((3, 3)), "integers, not float64", id="floats"),
        pytest.param(np.zeros((3, 3), bool), "integers, not bool", id="bool"),
        pytest.param(np.zeros((3, 4), int), r"shape \(3, 4\) do not fit", id="shape"),
        pytest.param(np.zeros((1, 3, 3), int), "do not fit", id="axes"),
        pytest.param(np.full((3, 3), -1), "from -1 to -1", id="negative"),
        pytest.param(np.full((3, 3), 2**32), "relabel", id="huge"),
    ],
)
def test_other_labels_are_refused(labels, message):
    store = LabelStore((), (3, 3))
    with pytest.raises(SessionError, match=message):
        store.adopt(labels)
    assert not store.allocated


def test_boxes_do_not_depend_on_the_bands_that_are_looked_at(monkeypatch):
    labels = np.zeros((40, 30), np.int64)
    labels[3:31, 4:9], labels[10:12, 20:25], labels[39, 29] = 5, 70_000, 2
    whole = LabelStore((), labels.shape).adopt(labels)
    monkeypatch.setattr(label_store, "BAND", 70)
    assert LabelStore((), labels.shape).adopt(labels) == whole
    assert [record.box for record in whole.values()] == [
        (39, 29, 40, 30),
        (3, 4, 31, 9),
        (10, 20, 12, 25),
    ]


def test_boxes_are_tight():
    mask = np.zeros((4, 5), bool)
    assert tight_box(mask, 10, 20) is None
    mask[1, 2:4] = True
    assert tight_box(mask, 10, 20) == (11, 22, 12, 24)
