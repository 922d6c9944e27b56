"""One history over everything: settings, edits, paint, planes; any number of steps back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from napari_pvpu.errors import SessionError
from napari_pvpu.operations import Operation
from napari_pvpu.prompts import Click, Scribble
from napari_pvpu.replay import apply
from pictures import CENTERS, DISKS, SHAPE, VOLUME, new_session, seen, volume_session


def test_every_step_has_a_title():
    session = new_session()
    session.threshold = 0.4
    session.add(Click(CENTERS["grey"]))
    session.add(Scribble([(5, 5), (5, 20)], False))
    session.set_prompts(session.prompts[1:])
    session.undo()
    session.value_propagation = True
    session.smoothing = 1.5
    session.min_size = 12
    session.threshold = 0.6
    session.accept()
    session.add(Click(CENTERS["bright"]))
    session.reset()
    assert session.history == (
        "Click",
        "Negative scribble",
        "EM on",
        "Smoothing 1.5 px",
        "Minimum size 12 px",
        "Threshold 0.6",
        "Accept object 1",
        "Click",
        "Reset",
    )
    assert session.history_position == 9


def test_a_slider_being_dragged_is_one_step():
    session = new_session()
    session.add(Click(CENTERS["grey"]))
    before = seen(session)
    for value in (0.55, 0.6, 0.65):
        session.threshold = value
    assert session.history == ("Click", "Threshold 0.65")
    session.undo()
    assert seen(session) == before
    session.redo()
    assert session.threshold == 0.65
    session.smoothing = 1
    session.threshold = 0.7
    assert session.history[1:] == ("Threshold 0.65", "Smoothing 1 px", "Threshold 0.7")


def test_settings_of_the_beginning_are_no_steps():
    session = new_session()
    session.threshold, session.smoothing, session.min_size = 0.3, 2, 9
    session.value_propagation = True
    assert session.history == ()
    assert not session.can_undo


def test_two_steps_become_one():
    session = new_session()
    session.add(Click(CENTERS["grey"]))
    before = seen(session)
    session.grow(session.accept(), 2)
    after = seen(session)
    session.join()
    assert session.history == ("Click", "Grow object 1")
    session.undo()
    assert seen(session)[:7] == before[:7]
    with pytest.raises(SessionError, match="no two steps"):
        session.join()
    session.redo()
    assert seen(session)[:7] == after[:7]
    again = new_session()
    for operation in session.operations:
        apply(again, Operation.from_json(json.loads(json.dumps(operation.to_json()))))
    assert again.history == session.history
    assert seen(again) == seen(session)
    assert "session.join()" in session.to_python()


def test_steps_on_objects_at_work_in_two_planes_stay_two():
    session = volume_session()
    for plane in (0, 1):
        session.plane = plane
        session.add(Click(CENTERS["grey"]))
    with pytest.raises(SessionError, match="no two steps"):
        session.join()


def test_one_may_go_to_any_step():
    session = new_session()
    states = [seen(session)]
    for name in CENTERS:
        session.add(Click(CENTERS[name]))
        states.append(seen(session))
        session.accept()
        states.append(seen(session))
    shown = np.zeros(SHAPE, np.uint16)
    shown[:] = session.labels
    for position in (2, 6, 0, 5, 3, 4, 1, 6):
        region = session.go_to(position)
        assert seen(session) == states[position]
        shown[region.slices] = region.labels
        assert np.array_equal(shown, session.labels)
    assert session.go_to(6) is None


@pytest.mark.parametrize("position", [-1, 3, 99])
def test_steps_that_are_not_there_cannot_be_gone_to(position):
    session = new_session()
    session.add(Click(CENTERS["grey"]))
    session.accept()
    with pytest.raises(SessionError, match="the history has 2 steps"):
        session.go_to(position)
    assert session.history_position == 2


# Settings


def test_smoothing_works_on_the_probability_without_the_network():
    session = new_session()
    session.add(Click(CENTERS["grey"]))
    calls, sharp = len(session._predictor.decoded), session.mask
    session.smoothing = 6
    smooth = session.mask
    assert len(session._predictor.decoded) == calls
    assert 0 < (smooth ^ sharp).sum() < 0.2 * sharp.sum()
    assert session.mask[CENTERS["grey"]]
    session.smoothing = 0
    assert np.array_equal(session.mask, sharp)


def test_small_parts_are_left_out_but_not_marked_ones():
    session = new_session()
    session.set_prompts([Click(CENTERS["grey"]), Click(CENTERS["faint"])])
    session.paint(np.ones((2, 2), bool), offset=(2, 2))
    whole = session.mask
    session.min_size = 1000
    assert np.array_equal(session.mask, whole), "all of it is marked or painted"
    session.set_prompts(session.prompts[:1])
    session.threshold = 0.01
    assert session.mask[CENTERS["grey"]]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param("smoothing", -1, "0 to 100 pixels, not -1", id="smoothing"),
        pytest.param("smoothing", float("nan"), "not nan", id="nan"),
        pytest.param("smoothing", "wide", "has to be a number, not 'wide'", id="text"),
        pytest.param("min_size", -1, "0 pixels or more", id="min-size"),
        pytest.param("min_size", float("inf"), "has to be a number", id="infinite"),
        pytest.param("threshold", 1, "between 0 and 1", id="threshold"),
        pytest.param("overlap", "never", "'keep', 'overwrite' or 'ask'", id="overlap"),
    ],
)
def test_bad_settings_are_refused(name, value, message):
    session = new_session()
    session.add(Click(CENTERS["bright"]))
    before = seen(session)
    with pytest.raises(SessionError, match=message):
        setattr(session, name, value)
    assert seen(session) == before


def test_settings_made_while_computing_count():
    session = new_session()
    answer = session.compute(session.request([Click(CENTERS["grey"])]))
    session.smoothing = 4
    session.commit(answer)
    other = new_session()
    other.smoothing = 4
    other.add(Click(CENTERS["grey"]))
    assert np.array_equal(session.mask, other.mask)


# Planes


def test_each_plane_has_its_own_object():
    session = volume_session()
    assert session.plane == (0,)
    assert session.plane_shape == (3,)
    assert session.labels.shape == (3, *SHAPE)
    session.add(Click(CENTERS["grey"]))
    first = session.mask
    session.plane = 1
    assert session.prompts == ()
    assert not session.mask.any()
    row, col = CENTERS["grey"]
    session.add(Click((SHAPE[0] - 1 - row, SHAPE[1] - 1 - col)))
    second = session.mask
    assert session.last_change.plane == (1,)
    session.plane = (0,)
    assert np.array_equal(session.mask, first)
    assert session.accept() == 1
    session.plane = (1,)
    assert np.array_equal(session.mask, second)
    assert session.accept() == 2
    assert np.array_equal(session.labels[0] == 1, first)
    assert np.array_equal(session.labels[1] == 2, second)
    assert not session.labels[2].any()
    assert session.objects[2].plane == (1,)


def test_undo_goes_to_the_plane_of_its_step():
    session = volume_session()
    for plane in range(3):
        session.plane = (plane,)
        session.add(Click(CENTERS["bright"]))
    session.plane = (0,)
    for plane in (2, 1, 0):
        assert session.undo().plane == session.plane == (plane,)
        assert session.prompts == ()
    for plane in range(3):
        assert session.redo().plane == session.plane == (plane,)
        assert session.prompts


def test_answers_go_to_the_plane_that_was_asked_about():
    session = volume_session()
    one = session.request([Click(CENTERS["bright"])])
    session.plane = (2,)
    two = session.request([Click(CENTERS["grey"])])
    assert session.is_current(one)
    assert session.is_current(two)
    region = session.commit(session.compute(one))
    assert region.plane == (0,)
    assert region.mask.any()
    assert session.prompts == ()
    session.commit(session.compute(two))
    assert session.prompts == (Click(CENTERS["grey"]),)
    session.plane = (0,)
    assert session.prompts == (Click(CENTERS["bright"]),)
    assert np.array_equal(session.mask[region.slices], region.mask)


@pytest.mark.parametrize("plane", [(3,), (-1,), (), (0, 0), 7, "x", None, (1.5, 2)])
def test_planes_that_are_not_there_are_refused(plane):
    session = volume_session()
    with pytest.raises(SessionError, match="plane"):
        session.plane = plane
    assert session.plane == (0,)


def test_a_single_image_has_one_plane():
    session = new_session()
    session.plane = ()
    assert session.plane == session.plane_shape == ()
    with pytest.raises(SessionError, match=r"no plane \(0,\)"):
        session.plane = (0,)


def test_labels_of_a_volume_are_made_when_needed():
    session = volume_session()
    session.add(Click(CENTERS["bright"]))
    session.plane = (1,)
    assert not session._labels.allocated


# Anything, in any order


class AnySession(RuleBasedStateMachine):
    """Whatever is done: undone it leads to the start, redone to the end, and replayed too."""

    def __init__(self):
        super().__init__()
        self.session = volume_session()
        self.states = {0: seen(self.session)}

    def act(self, action):
        session = self.session
        before = seen(session)
        try:
            action(session)
        except SessionError:
            assert seen(session) == before
            return
        here = session.history_position
        assert session.history_position == len(session.history)
        self.states = {n: state for n, state in self.states.items() if n < here}
        self.states[here] = seen(session)

    @rule(name=st.sampled_from(list(CENTERS)), positive=st.booleans())
    def click(self, name, positive):
        self.act(lambda s: s.add(Click(CENTERS[name], positive)))

    @rule()
    def drop_a_prompt(self):
        self.act(lambda s: s.set_prompts(s.prompts[1:]))

    @rule(overlap=st.sampled_from(["keep", "overwrite", "ask"]))
    def accept(self, overlap):
        self.act(lambda s: s.accept(overlap=overlap))

    @rule()
    def reset(self):
        self.act(lambda s: s.reset())

    @rule(name=st.sampled_from(["threshold", "smoothing"]), value=st.sampled_from([0.3, 0.7]))
    def tune(self, name, value):
        self.act(lambda s: setattr(s, name, value))

    @rule()
    def switch(self):
        self.act(lambda s: setattr(s, "value_propagation", not s.value_propagation))

    @rule(row=st.integers(0, 100), col=st.integers(0, 150), value=st.booleans())
    def paint(self, row, col, value):
        self.act(lambda s: s.paint(np.full((9, 7), value), offset=(row, col)))

    @precondition(lambda self: self.session.objects)
    @rule(
        data=st.data(),
        edit=st.sampled_from(["delete", "open_object", "fill_holes", "grow", "shrink", "smooth"]),
    )
    def edit(self, data, edit):
        object_id = data.draw(st.sampled_from(sorted(self.session.objects)))
        more = () if edit in ("delete", "open_object", "fill_holes") else (2,)
        self.act(lambda s: getattr(s, edit)(object_id, *more))

    @precondition(lambda self: len(self.session.objects) > 1)
    @rule(new=st.integers(1, 9))
    def renumber(self, new):
        one, two, *_ = self.session.objects
        self.act(lambda s: s.merge([one, two]) if new % 2 else s.relabel(one, new))

    @precondition(lambda self: self.session.prompts)
    @rule()
    def best(self):
        self.act(lambda s: s.return_to_best())

    @rule()
    def join(self):
        self.act(lambda s: s.join())

    @rule(plane=st.integers(0, 2))
    def go(self, plane):
        here = self.session.history_position
        self.session.plane = (plane,)
        self.states[here] = seen(self.session)

    @invariant()
    def labels_and_records_agree(self):
        session = self.session
        assert set(np.unique(session.labels)) - {0} == set(session.objects)
        for object_id, record in session.objects.items():
            for plane, (row0, col0, row1, col1) in record.boxes.items():
                mask = session.labels[plane] == object_id
                rows, cols = np.nonzero(mask)
                assert (rows.min(), cols.min()) == (row0, col0)
                assert (rows.max() + 1, cols.max() + 1) == (row1, col1)

    @precondition(lambda self: self.session.history)
    @rule(data=st.data())
    def back_and_forth(self, data):
        """Undo anything and make it again; planes may differ from those one was in."""
        session, end = self.session, self.session.history_position
        here = seen(session)[5:7]
        position = data.draw(st.integers(0, end))
        session.go_to(position)
        if position in self.states:
            assert seen(session)[5:7] == self.states[position][5:7]
            assert seen(session)[9:13] == self.states[position][9:13]
        session.go_to(end)
        assert seen(session)[5:7] == here
        self.states[end] = seen(session)

    def teardown(self):
        session = self.session
        again = volume_session()
        for operation in session.operations:
            apply(again, Operation.from_json(json.loads(json.dumps(operation.to_json()))))
        assert seen(again) == seen(session)
        assert again.history == session.history
        end = session.history_position
        session.go_to(0)
        assert not session.labels.any()
        assert not session.objects
        for plane in range(len(VOLUME)):
            session.plane = (plane,)
            assert session.prompts == ()
            assert not session.mask.any()
        session.go_to(end)
        assert seen(session)[5:7] == self.states[end][5:7]


TestAnySession = AnySession.TestCase
TestAnySession.settings = settings(max_examples=12, stateful_step_count=14, deadline=None)


def test_memory_is_bounded_however_long_one_goes_on():
    session = new_session()
    session._history._max_bytes = 400_000
    labels = np.zeros(SHAPE, np.uint16)
    labels[20:60, 20:60] = 1
    session.adopt(labels)
    for _ in range(20):
        session.add(Click(CENTERS["bright"]))
        session.reset()
        session.grow(1, 1)
        session.shrink(1, 1)
    assert session._history.nbytes <= 400_000
    assert session.undo() is not None
    assert DISKS["bright"].any()


def test_an_edition_tells_which_planes_have_changed():
    session = volume_session()
    assert (session.edition, session.planes_edited_since(-1)) == (0, ())
    session.plane = 2
    session.add(Click(CENTERS["grey"]))
    session.threshold = 0.6
    assert session.edition == 0, "prompts and settings change no object"
    session.accept()
    first = session.edition
    assert session.planes_edited_since(0) == ((2,),)
    session.plane = 1
    session.add(Click(CENTERS["grey"]))
    session.accept()
    assert session.planes_edited_since(first) == ((1,),)
    session.relabel(1, 9)
    assert session.planes_edited_since(first) == ((1,), (2,))
    done = session.edition
    session.go_to(0)
    assert session.planes_edited_since(done) == ((1,), (2,))
    assert session.planes_edited_since(session.edition) == ()


def test_objects_that_are_adopted_are_an_edition():
    session = volume_session()
    labels = np.zeros((*session.plane_shape, *session.shape), np.uint16)
    labels[1, 2:5, 3:6] = 4
    session.adopt(labels)
    assert session.edition == 1
    assert session.planes_edited_since(0) == ((1,),)
