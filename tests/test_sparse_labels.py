"""Labels of any size: the same as a numpy array of them, in the memory of what they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pvpu import label_tiles, sparse_labels
from napari_pvpu.errors import SessionError
from napari_pvpu.label_boxes import clusters
from napari_pvpu.label_store import LabelStore
from napari_pvpu.operations import pack_labels, unpack_array
from napari_pvpu.sparse_labels import SparseLabels, SparsePlane, pyramid

SHAPE = (2, 3, 600, 530)
HUGE = (100_000, 100_000)


@st.composite
def axis_index(draw, length):
    if draw(st.booleans()) and length < 10:
        return draw(st.integers(-length, length - 1))
    ends = st.none() | st.integers(-length - 3, length + 3)
    return slice(draw(ends), draw(ends), draw(st.sampled_from([None, 1, 2, 7, 300, -1, -3])))


@st.composite
def indices(draw, shape):
    return tuple(draw(axis_index(length)) for length in shape)


@settings(max_examples=60, deadline=None)
@given(st.lists(indices(SHAPE), min_size=1, max_size=4), indices(SHAPE), st.data())
def test_slices_read_and_write_as_those_of_an_array(writes, read, data):
    sparse, dense = SparseLabels(SHAPE), np.zeros(SHAPE, np.uint16)
    for number, index in enumerate(writes, start=1):
        values = number
        if data.draw(st.booleans()):
            seed = data.draw(st.integers(0, 99))
            values = np.random.default_rng(seed).integers(0, 3, dense[index].shape)
        sparse[index] = values
        dense[index] = values
    assert np.array_equal(sparse[read], dense[read])
    assert sparse[read].dtype == np.uint16
    assert np.array_equal(np.asarray(sparse), dense)
    assert sparse.max() == dense.max()


@pytest.mark.parametrize("at_hand", [1, 256])
def test_single_pixels_read_and_write_as_those_of_an_array(at_hand, monkeypatch):
    monkeypatch.setattr(label_tiles, "MOST_AT_HAND", at_hand)  # 1: nearly all is compressed
    rng = np.random.default_rng(0)
    sparse, dense = SparseLabels(SHAPE), np.zeros(SHAPE, np.uint16)
    for number in range(1, 6):
        index = tuple(rng.integers(-n, n, 400) for n in SHAPE)
        values = rng.integers(0, 9, 400) if number % 2 else number
        if np.ndim(values):  # where a pixel is named twice, which value wins is not defined
            flat = np.ravel_multi_index([i % n for i, n in zip(index, SHAPE, strict=True)], SHAPE)
            first = np.unique(flat, return_index=True)[1]
            index, values = tuple(each[first] for each in index), values[first]
        sparse[index] = values
        dense[index] = values
    assert np.array_equal(np.asarray(sparse), dense)
    assert np.array_equal(sparse[index], dense[index])


def test_rows_and_columns_may_be_any_axes():
    sparse, dense = SparseLabels((300, 2, 280), rows=2, cols=0), np.zeros((300, 2, 280), np.uint16)
    for labels in (sparse, dense):
        labels[10:290, 1, 5:270] = 4
        labels[np.array([0, 299]), np.array([0, 1]), np.array([7, 279])] = 6
    assert np.array_equal(np.asarray(sparse), dense)
    assert np.array_equal(sparse[::-2, 1, 3::5], dense[::-2, 1, 3::5])


def test_of_many_planes_those_with_labels_are_read():
    sparse, dense = SparseLabels((9, 20, 40, 30)), np.zeros((9, 20, 40, 30), np.uint16)
    for labels in (sparse, dense):
        labels[2, 3, 5:9, 7] = 4
        labels[8, 19, 39, 29] = 5
    assert np.array_equal(np.asarray(sparse), dense)
    assert np.array_equal(sparse[::2, 1::2, 4:9, 7], dense[::2, 1::2, 4:9, 7])


def test_what_is_empty_takes_no_memory():
    labels = SparseLabels(HUGE)
    labels[70_000:70_100, 50_000:50_080] = 3
    assert 0 < labels.nbytes < 1e6
    labels[69_990:70_200, 49_990:50_200] = 0
    assert (labels.nbytes, labels.planes) == (0, ())


def test_thousands_of_objects_far_apart_take_little_memory():
    labels = SparseLabels(HUGE)
    disk = np.hypot(*np.mgrid[-20:20, -20:20]) < 19
    for number in range(1, 3_001):
        row, col = 900 * (number % 100) + 100, 900 * (number // 100) + 100
        labels[row : row + 40, col : col + 40] = disk * np.uint16(number)
    assert labels.nbytes < 50e6
    assert labels[900 * 37 + 120, 900 * 22 + 120] == 2237


def test_the_whole_is_never_made_by_mistake():
    labels = SparseLabels(HUGE)
    for whole in (np.asarray, lambda each: each == 1, lambda each: each[...]):
        with pytest.raises(SessionError, match="read a part"):
            whole(labels)
    labels = LabelStore((50, 20), (30_000, 30_000)).array
    assert labels.shape == (50, 20, 30_000, 30_000)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        pytest.param((0, 0, 0), "indices for labels", id="axes"),
        pytest.param((100_000, 0), "outside axis 0", id="outside"),
        pytest.param((np.array([0, 100_000]), np.array([0, 0])), "outside an axis", id="points"),
        pytest.param((np.array([0]), slice(None)), "one array of whole", id="mixed"),
    ],
)
def test_other_indices_are_refused(index, message):
    with pytest.raises(IndexError, match=message):
        SparseLabels(HUGE)[index]


def test_copies_go_their_own_way_and_views_follow():
    labels = SparseLabels(HUGE)
    labels[:10, :10] = 1
    copied, view = labels.copy(), labels.read_only()
    labels[5, 5] = 9
    assert (copied[5, 5], view[5, 5]) == (1, 9)
    copied[0, 0] = 7
    assert labels[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 3
    assert labels.astype(np.uint32)[5, 5] == 9


def test_levels_show_every_object():
    labels = SparseLabels((3, *HUGE))
    levels = pyramid(labels, *HUGE)
    labels[1, 99_999, 70_001] = 5  # written after the levels were made
    assert levels[0] is labels
    for level in levels[1:]:
        factor = -(-HUGE[0] // level.shape[-1])
        assert level[1, 99_999 // factor, 70_001 // factor] == 5
        assert level[1, -40:, 70_001 // factor - 20 : 70_001 // factor + 20].sum() == 5
        assert not level[0, -40:].any()
    assert max(levels[-1].shape[1:]) <= 1024
    with pytest.raises(ValueError, match="read-only"):
        levels[1][0, 0, 0] = 1


def test_boxes_counts_and_parts_are_found_tile_by_tile():
    labels = SparseLabels((2, *HUGE))
    labels[1, 250:260, 250:260] = 4  # over four tiles
    labels[1, 90_000:90_003, 7] = 70
    plane = SparsePlane(labels, (1,))
    assert plane.boxes() == {4: (250, 250, 260, 260), 70: (90_000, 7, 90_003, 8)}
    assert labels.counts() == {4: 100, 70: 3}
    assert plane.parts((0, 0, 255, 300)) == [(0, 0, 255, 256), (0, 256, 255, 300)]


def test_axes_of_length_one_can_be_left_out():
    labels = SparseLabels((4, 1, 300, 300))
    labels[2, 0, 5:9, 280] = 3
    fewer = labels.without_axes((1,))
    assert fewer.shape == (4, 300, 300)
    assert fewer[2, 4:10, 280].tolist() == [0, 3, 3, 3, 3, 0]


def test_packed_labels_come_back():
    labels = SparseLabels((2, *HUGE), np.uint32)
    labels[1, 99_000:99_300, 50] = 70_000
    again = unpack_array(pack_labels(labels))
    assert (again.shape, again.dtype, again.counts()) == (labels.shape, labels.dtype, {70_000: 300})


@pytest.mark.parametrize("kind", ["sparse", "lazy"])
def test_huge_labels_are_adopted_without_a_dense_copy(kind, monkeypatch):
    monkeypatch.setattr(sparse_labels, "MOST_DENSE", 2**16)
    monkeypatch.setattr("napari_pvpu.label_store.MOST_DENSE", 2**16)
    given = np.zeros((400, 300), np.int32) if kind == "lazy" else SparseLabels((400, 300))
    given[10:20, 280:] = 3
    given[390:, 0] = 5
    store = LabelStore((), (400, 300))
    records = store.adopt(given)
    assert {each: record.box for each, record in records.items()} == {
        3: (10, 280, 20, 300),
        5: (390, 0, 400, 1),
    }
    given[0, 0] = 9
    assert store.array[0, 0] == 0, "what is adopted is copied"


def test_far_boxes_stay_apart_and_near_ones_become_one():
    near, far = [(0, 0, 10, 10), (5, 700, 20, 720)], (90_000, 90_000, 90_010, 90_010)
    assert clusters([*near, far]) == [(0, 0, 20, 720), far]
    assert clusters([]) == []


def test_a_plane_tells_its_tiles():
    labels = SparseLabels((2, 300, 280))
    labels[1, 250:270, 3:5] = 7
    tiles = list(SparsePlane(labels, (1,)).tiles())
    assert [(row, col, tile.shape) for row, col, tile in tiles] == [
        (0, 0, (256, 256)), (256, 0, (44, 256)),
    ]  # fmt: skip
    assert sum(int((tile == 7).sum()) for _, _, tile in tiles) == 40
    assert list(SparsePlane(labels, (0,)).tiles()) == []
