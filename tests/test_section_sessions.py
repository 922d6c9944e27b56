"""Objects in sections across the planes of a volume: the same objects, seen from another side."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.carrying import overlap
from napari_pvpu.errors import PromptError, SessionError
from napari_pvpu.journal import Journal, read_journal
from napari_pvpu.label_store import LabelStore
from napari_pvpu.operations import Operation
from napari_pvpu.prompts import Box, Click, Polygon, Scribble
from napari_pvpu.replay import apply, replay
from napari_pvpu.scripts import to_python
from napari_pvpu.sparse_labels import SparseLabels
from pictures import new_session, seen

SHAPE = (40, 48, 56)
MIDDLE = (18, 22, 30)


def blob() -> np.ndarray:
    """An ellipsoid in a volume of (Z, Y, X), another beside it."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    image = np.full(SHAPE, 20, np.uint8)
    away = ((z - 18) / 10) ** 2 + ((y - 22) / 12) ** 2 + ((x - 30) / 14) ** 2
    image[away <= 1] = 200
    image[(z - 32) ** 2 + (y - 8) ** 2 + (x - 10) ** 2 <= 25] = 150
    return image


BLOB = blob()
ACROSS = {
    "ZX": ({"Y": 22}, (1, 0, 2), (18, 30)),
    "ZY": ({"X": 30}, (2, 0, 1), (18, 22)),
}
"""Per section: the axis it cuts, the order of axes in which it is a plane, its middle."""


def in_section(name: str = "ZX", image: np.ndarray = BLOB):
    session = new_session(image, axes="ZYX")
    session.plane = session.plane_at(**ACROSS[name][0])
    return session


@pytest.mark.parametrize("name", ACROSS)
def test_session_in_a_section_equals_that_of_the_turned_volume(name) -> None:
    cut, order, (row, col) = ACROSS[name]
    session = in_section(name)
    turned = new_session(np.ascontiguousarray(BLOB.transpose(order)), axes="ZYX")
    turned.plane = tuple(cut.values())
    gestures = [
        lambda s: s.add(Click((row, col))),
        lambda s: s.add(Scribble(((row - 3, col - 5), (row + 2, col + 5)))),
        lambda s: s.add(Click((row, col + 13), positive=False)),
        lambda s: s.undo(),
        lambda s: s.accept(),
        lambda s: s.set_prompts([Box((1, 2), (9, 12))]),
        lambda s: s.paint(np.ones((3, 4), bool), offset=(2, 3)),
        lambda s: s.accept(),
        lambda s: s.open_object(1),
        lambda s: s.add(Polygon(((row, col), (row, col + 4), (row + 4, col)), positive=False)),
        lambda s: s.accept(),
        lambda s: s.grow(1, 2),
        lambda s: s.fill_holes(1),
        lambda s: s.split(1, [Scribble(((row, 0), (row, 55)))]),
        lambda s: s.merge([1, 3]),
        lambda s: s.delete(2),
        lambda s: s.undo(),
    ]
    for number, gesture in enumerate(gestures):
        for each in (session, turned):
            gesture(each)
        np.testing.assert_array_equal(session.mask, turned.mask, f"after {number}")
        np.testing.assert_array_equal(session.probability, turned.probability)
        np.testing.assert_array_equal(
            session.labels.transpose(order), turned.labels, f"after {number}"
        )
        assert set(session.objects) == set(turned.objects)
        assert session.prompts == turned.prompts


def test_everything_in_sections_is_undone_and_done_again_exactly() -> None:
    session = in_section()
    states = [seen(session)]
    for gesture in (
        lambda: session.add(Click((18, 30))),
        lambda: session.accept(),
        lambda: session.open_object(1),
        lambda: session.add(Click((18, 43), positive=False)),
        lambda: session.reset(),
        lambda: session.shrink(1, 2),
    ):
        gesture()
        states.append(seen(session))
    for state in reversed(states[:-1]):
        session.undo()
        assert seen(session) == state
    for state in states[1:]:
        session.redo()
        assert seen(session) == state


def test_an_object_is_the_same_in_all_slicings() -> None:
    session = in_section("ZX")
    session.add(Click((18, 30)))
    assert session.accept() == 1
    record = session.objects[1]
    assert record.home == (-1, 22, -1)
    planes = np.flatnonzero((session.labels == 1).any(axis=(1, 2)))
    assert {8, 9, 18, 27, 28} >= set(planes) - set(range(9, 28))
    assert set(record.boxes) == {(z,) for z in planes}
    (cols,) = np.nonzero(session.labels[18, 22])
    assert record.boxes[(18,)] == (22, cols[0], 23, cols[-1] + 1), "a line in each plane"
    session.plane = (18,)
    session.open_object(1)
    assert session.mask.sum() == len(cols)
    session.add(Click((22, 30)))
    session.accept()
    assert overlap(session.labels[18] == 1, BLOB[18] > 100) > 0.9
    assert session.objects[1].home == (18,)
    session.plane = session.plane_at(X=30)
    session.open_object(1)
    wanted = np.zeros((SHAPE[0], SHAPE[1]), bool)
    wanted[:, 22] = (session.labels[:, 22, 30] == 1) | (BLOB[:, 22, 30] > 100)
    wanted[18] = BLOB[18, :, 30] > 100
    assert overlap(session.mask, wanted) > 0.9, "what the other slicings have of it"
    session.reset()
    assert (session.labels == 1).sum() > 500


def test_cancel_puts_an_object_back_that_is_in_one_section_only() -> None:
    session = in_section()
    session.add(Click((18, 30)))
    session.accept()
    before, record = session.labels.copy(), session.objects[1]
    session.open_object(1)
    assert not session.labels.any()
    assert not session.objects
    session.add(Click((18, 43), positive=False))
    session.cancel()
    np.testing.assert_array_equal(session.labels, before)
    assert session.objects[1] == record


def test_an_object_is_carried_from_section_to_section() -> None:
    session = in_section("ZX")
    session.add(Click((18, 30)))
    session.accept()
    turned = new_session(np.ascontiguousarray(BLOB.transpose(1, 0, 2)), axes="ZYX")
    turned.plane = 22
    turned.add(Click((18, 30)))
    turned.accept()
    session.propagate()
    turned.propagate()
    np.testing.assert_array_equal(session.labels.transpose(1, 0, 2), turned.labels)
    assert session.confidences(1) == turned.confidences(1)
    assert session.confidences(1)[22] is None
    assert overlap(session.labels == 1, BLOB == 200) > 0.8
    session.end_object(1, session.plane_at(Y=28))
    turned.end_object(1, (28,))
    np.testing.assert_array_equal(session.labels.transpose(1, 0, 2), turned.labels)
    assert session.history[-1] == "End object 1"
    session.undo()
    session.undo()
    assert set(np.flatnonzero(session.labels.any(axis=(0, 2)))) == {22}


def test_carrying_needs_an_annotated_plane_of_that_slicing() -> None:
    session = in_section()
    session.add(Click((18, 30)))
    session.accept()
    session.plane = (18,)
    assert session.confidences(1) == {}, "lines of a section are no annotated planes"
    with pytest.raises(SessionError, match=r"no annotated plane .* along Z"):
        session.propagate(1)
    session.plane = (32,)
    session.add(Click((8, 10)))
    session.accept()
    session.plane = session.plane_at(X=30)
    with pytest.raises(SessionError, match="no annotated section along X"):
        session.propagate(2)
    with pytest.raises(SessionError, match="no pixel in section X = 30"):
        session.open_object(2)
    with pytest.raises(SessionError, match="choose from Y"):
        session.propagate(1, axis="Z", plane=(-1, 22, -1))


def test_what_was_annotated_across_stays_when_an_object_is_carried() -> None:
    session = new_session(BLOB, axes="ZYX")
    session.plane = 18
    session.add(Click((22, 30)))
    session.accept()
    session.propagate()
    session.plane = session.plane_at(Y=22)
    session.open_object(1)
    session.paint(np.zeros((21, 6), bool), offset=(8, 40))  # a cut down the right side
    session.accept()
    line = session.labels[:, 22].copy()
    assert not (line[9:28, 40:46] == 1).any()
    plane = session.labels[18].copy()
    session.plane = 18
    session.propagate()
    np.testing.assert_array_equal(session.labels[:, 22], line)
    np.testing.assert_array_equal(session.labels[18], plane)
    assert overlap(session.labels == 1, BLOB == 200) > 0.8
    session.propagate(axis="Y", plane=(-1, 22, -1))
    np.testing.assert_array_equal(session.labels[:, 22], line)
    np.testing.assert_array_equal(session.labels[18], plane)


def test_accepting_into_an_object_from_a_section_keeps_what_was_annotated() -> None:
    session = new_session(BLOB, axes="ZYX")
    session.plane = 18
    session.add(Box((20, 20), (24, 40)))
    session.accept()
    plane = session.labels[18].copy()
    session.plane = session.plane_at(X=30)
    session.add(Click((25, 22)))
    assert session.accept_into(1) == 1
    np.testing.assert_array_equal(session.labels[18, :, 20:30], plane[:, 20:30])
    assert overlap(session.labels[:, :, 30] == 1, BLOB[:, :, 30] == 200) > 0.9
    assert set(session.objects) == {1}


def worked() -> tuple:
    """A session with a bit of everything, in three slicings; its file, once made, and image."""
    session = new_session(BLOB, axes="ZYX")
    session.spacing = (2, 1, 1)
    session.plane = session.plane_at(Y=22)
    session.add(Click((18, 30)))
    session.accept()
    session.propagate(axis="Y", first=18, last=26)
    session.plane = session.plane_at(X=30)
    session.open_object(1)
    session.add(Click((18, 12)))
    session.accept()
    session.plane = (32,)
    session.add(Click((8, 10)))
    session.accept()
    session.undo()
    session.redo()
    return session


def test_session_file_tells_of_sections_and_is_done_again_bit_for_bit(tmp_path) -> None:
    session = worked()
    Journal.create(tmp_path / "session.jsonl", session, BLOB).close()
    recorded = read_journal(tmp_path / "session.jsonl")
    again = replay(recorded, BLOB, FloodPredictor(64))
    np.testing.assert_array_equal(again.labels, session.labels)
    assert dict(again.objects) == dict(session.objects)
    assert again.spacing == (2, 1, 1)
    apart = new_session(BLOB, axes="ZYX")
    for operation in session.operations:
        apply(apart, Operation.from_json(json.loads(json.dumps(operation.to_json()))))
    assert seen(apart) == seen(session)


def test_the_script_of_a_session_tells_of_sections() -> None:
    session = worked()
    again = new_session(BLOB, axes="ZYX")
    lines = to_python(session).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("session = "))
    assert "session.plane = (-1, 22, -1)" in lines
    names = {"session": again, "Click": Click, "Box": Box}
    exec("\n".join(lines[start + 1 :]), names)
    np.testing.assert_array_equal(again.labels, session.labels)


def test_the_network_sees_a_section_as_it_is_in_the_world() -> None:
    """Of a volume with every fourth plane alone, a section shows an object of the same shape."""
    coarse = np.ascontiguousarray(BLOB[2::4])
    session = in_section("ZX", coarse)
    session.spacing = (4, 1, 1)
    session.add(Click((4, 30)))
    view = session.view
    assert view.aspect == 4
    whole = in_section("ZX")
    whole.add(Click((18, 30)))
    assert view.extent == whole.view.extent
    assert overlap(session.mask, whole.mask[2::4]) > 0.9
    for each in (session, whole):
        each.accept()
        each.propagate()
    near = np.s_[:, 18:27]
    assert overlap(session.labels[near] == 1, whole.labels[2::4][near] == 1) > 0.85
    session.plane = 4
    assert session.source.at((4,)).aspect == 1


def test_labels_too_large_for_an_array_are_read_across_planes() -> None:
    store = LabelStore((40,), (48, 56))
    store._array = SparseLabels((40, 48, 56))
    labels = np.random.default_rng(0).integers(0, 3, (40, 48, 56)).astype(np.uint16)
    store._array[...] = labels
    box = (3, 5, 39, 50)
    np.testing.assert_array_equal(store.window((-1, 7, -1), box), labels[3:39, 7, 5:50])
    np.testing.assert_array_equal(store.window((-1, -1, 9), (3, 5, 39, 40)), labels[3:39, 5:40, 9])


def test_bad_input_in_sections_is_told_and_costs_nothing() -> None:
    session = in_section()
    session.add(Click((18, 30)))
    before = seen(session)
    with pytest.raises(PromptError, match="rows are 0 to 39"):
        session.add(Click((45, 30)))
    for plane in [(-1, 48, -1), (-1, -1, -1), (1, 2, 3), (-1, 2)]:
        with pytest.raises(SessionError, match="there is no plane"):
            session.plane = plane
    assert seen(session) == before
    session.accept()
    session.plane = session.plane_at(Y=3)
    with pytest.raises(SessionError, match="no pixel"):
        session.open_object(1)


def test_keeping_off_pixels_holds_in_sections() -> None:
    session = in_section()
    occupied = np.zeros(SHAPE, bool)
    occupied[:, :, 32:] = True
    session.keep_off(occupied)
    session.add(Click((18, 30)))
    session.accept()
    assert session.labels[18, 22, 31] == 1
    assert not session.labels[:, :, 32:].any()


def test_movies_tell_that_a_section_is_no_frame() -> None:
    session = new_session(BLOB, axes="TYX")
    session.plane = 18
    session.add(Click((22, 30)))
    session.accept()
    session.plane = session.plane_at(Y=22)
    with pytest.raises(SessionError, match="go to a frame"):
        session.lose(1)
    with pytest.raises(SessionError, match="go to a frame"):
        session.suggested_division()
