"""Sessions: what the user said, what came of it, and the way back."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import FloodPredictor
from napari_pvpu.errors import PromptError, SessionError
from napari_pvpu.prompts import Box, Click, PriorMask, Scribble
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

SHAPE = (260, 340)
CENTERS = {"bright": (70, 80), "grey": (180, 220), "faint": (60, 260)}
RADII = {"bright": 25, "grey": 55, "faint": 12}


def picture():
    """Three disks of different brightness and size, and where they are."""
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 20, np.uint8)
    disks = {}
    for value, (name, center) in zip((250, 150, 90), CENTERS.items(), strict=True):
        disks[name] = np.hypot(rows - center[0], cols - center[1]) <= RADII[name]
        image[disks[name]] = value
    return image, disks


IMAGE, DISKS = picture()


def new_session(**arguments):
    return Session(ImageSource(IMAGE), FloodPredictor(**arguments))


@pytest.fixture
def session():
    return new_session()


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def snapshot(session):
    """Everything that a user can see."""
    return (
        session.prompts,
        session.mask.tobytes(),
        session.probability.tobytes(),
        session.labels.tobytes(),
        dict(session.objects),
        session.score,
        session.value_propagation,
        session.threshold,
        session.can_undo,
        session.can_redo,
    )


@pytest.mark.parametrize("name", CENTERS)
@pytest.mark.parametrize("kind", ["click", "scribble", "box", "prior"])
def test_every_kind_of_prompt_finds_every_size_of_object(session, name, kind):
    (row, col), radius = CENTERS[name], RADII[name]
    prompt = {
        "click": [Click((row, col))],
        "scribble": [Scribble([(row, col - radius / 2), (row + 2, col + radius / 2)])],
        "box": [
            Box((row - radius, col - radius), (row + radius, col + radius)),
            Click((row - radius, col - radius), False),
        ],
        "prior": [PriorMask(DISKS[name]), Click((row, col))],
    }[kind]
    session.set_prompts(prompt)
    assert iou(session.mask, DISKS[name]) > (0.7 if kind == "box" else 0.93)
    box = session.region
    assert 0.15 <= max(box.mask.shape) / session.view.extent <= 0.85


def test_without_prompts_there_is_nothing(session):
    assert session.prompts == ()
    assert session.score is None
    assert session.view is None
    assert not session.mask.any()
    assert session.region.mask.shape == (0, 0)
    assert session.labels.shape == session.shape == SHAPE
    assert session.labels.dtype == np.uint16
    assert session.undo() is session.redo() is session.last_change is None


def test_regions_say_all_that_changed(session):
    """Pasting only the regions reproduces mask and labels after any step."""
    mask, labels = np.zeros(SHAPE, bool), np.zeros(SHAPE, np.uint16)

    def paste(region):
        mask[region.slices] = region.mask
        if region.labels is not None:
            labels[region.slices] = region.labels
        assert np.array_equal(mask, session.mask)
        assert np.array_equal(labels, session.labels)

    paste(session.add(Click(CENTERS["bright"])))
    paste(session.set_prompts([Click(CENTERS["grey"])]))
    session.threshold = 0.2
    paste(session.last_change)
    session.value_propagation = True
    paste(session.last_change)
    session.accept()
    paste(session.last_change)
    paste(session.add(Click(CENTERS["faint"])))
    paste(session.undo())
    paste(session.undo())
    assert mask.any()
    assert not labels.any()
    paste(session.redo())
    paste(session.set_prompts([]))
    paste(session.reset())


def test_regions_are_small(session):
    session.add(Click(CENTERS["faint"]))
    assert session.last_change.mask.size < 40 * 40
    assert session.last_change.mask.dtype == bool
    assert session.last_change.probability.dtype == np.float32
    assert session.last_change.labels is None


def test_what_the_session_hands_out_is_not_its_own(session):
    session.add(Click(CENTERS["bright"]))
    session.mask[:] = True
    session.region.mask[:] = True
    assert session.mask.sum() < 2500
    with pytest.raises(ValueError, match="read-only"):
        session.labels[0, 0] = 3
    with pytest.raises(TypeError):
        session.objects[1] = None


def test_added_prompts_feed_the_mask_back_and_run_the_network_once(session):
    predictor = session._predictor
    session.add(Click(CENTERS["grey"]))
    predictor.decoded.clear()
    encoded = predictor.encoded
    session.add(Click((CENTERS["grey"][0] + 3, CENTERS["grey"][1])))
    ((prompts, fed, _),) = predictor.decoded
    assert len(prompts) == 2
    assert fed
    assert predictor.encoded == encoded
    assert session.last_timing.encode_ms == 0
    assert session.last_timing.views == 1


@pytest.mark.parametrize(
    "prompts",
    [
        pytest.param([Click((182, 222)), Click((20, 20), False)], id="moved"),
        pytest.param([Click((20, 20), False), Click((180, 220))], id="reordered"),
    ],
)
def test_moved_prompts_are_replayed_from_the_start(session, prompts):
    session.set_prompts([Click((180, 220)), Click((20, 20), False)])
    session._predictor.decoded.clear()
    session.set_prompts(prompts)
    assert [fed for _, fed, _ in session._predictor.decoded] == [False, True]


def test_a_removed_prompt_leaves_no_trace(session):
    session.add(Click(CENTERS["grey"]))
    session.add(Click(CENTERS["bright"]))
    assert session.mask[CENTERS["bright"]]
    session.set_prompts([Click(CENTERS["grey"])])
    assert iou(session.mask, DISKS["grey"]) > 0.93
    assert not (session.mask & DISKS["bright"]).any()


def test_the_same_prompts_again_cost_nothing(session):
    session.add(Click(CENTERS["grey"]))
    calls = len(session._predictor.decoded)
    before = snapshot(session)
    session.set_prompts(session.prompts)
    assert len(session._predictor.decoded) == calls
    assert snapshot(session) == before


def test_a_view_hint_is_obeyed(session):
    view = View(0, 0, 362)
    session.set_prompts([Click(CENTERS["faint"])], view_hint=view)
    assert session.view == view


def test_prompts_of_one_object_are_all_seen_by_the_view(session):
    session.add(Click(CENTERS["faint"]))
    session.add(Click((250, 10), False))
    assert session.view.contains((60, 10, 250, 260))


def test_the_previous_mask_moves_with_the_view(session):
    seen = []
    decode = session._predictor.decode

    def spy(features, prompts, previous, propagation):
        seen.append(previous)
        return decode(features, prompts, previous, propagation)

    session._predictor.decode = spy
    session.add(Click(CENTERS["faint"]))
    session.add(Click((250, 10), False))
    view, previous = session.view, seen[-1]
    rows, cols = np.nonzero(previous > 0.5)
    where = view.to_data((rows.mean(), cols.mean()))
    assert np.abs(where - CENTERS["faint"]).max() < 2 / view.scale
    assert previous.dtype == np.float32


def test_accept_writes_labels_and_starts_anew(session):
    session.add(Click(CENTERS["bright"]))
    mask, score = session.mask, session.score
    assert session.accept() == 1
    assert np.array_equal(session.labels, mask)
    assert session.prompts == ()
    assert not session.mask.any()
    session.add(Click(CENTERS["grey"]))
    assert session.accept() == 2
    record = session.objects[1]
    assert record.prompts == (Click(CENTERS["bright"]),)
    assert record.score == score
    rows, cols = np.nonzero(session.labels == 1)
    assert record.box == (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1)


def test_accepted_pixels_are_kept(session):
    session.add(Box((50, 60), (120, 130)))
    session.accept()
    first = session.labels == 1
    session.add(Box((90, 90), (160, 170)))
    overlap = session.mask & first
    assert overlap.any()
    session.accept()
    assert np.array_equal(session.labels == 1, first)
    assert (session.labels[overlap] == 1).all()
    assert (session.labels == 2).sum() > 2000


def test_an_object_within_another_cannot_be_accepted(session):
    session.add(Click(CENTERS["bright"]))
    session.accept()
    session.add(Click(CENTERS["bright"]))
    before = snapshot(session)
    with pytest.raises(SessionError, match="wholly within"):
        session.accept()
    assert snapshot(session) == before


@pytest.mark.parametrize("prompts", [[], [Click((5, 5), False)]], ids=["nothing", "negative-only"])
def test_nothing_cannot_be_accepted(session, prompts):
    session.set_prompts(prompts)
    with pytest.raises(SessionError, match="positive prompt"):
        session.accept()


def test_undo_of_an_acceptance_gives_the_object_back(session):
    session.add(Click(CENTERS["bright"]))
    session.add(Click((10, 10), False))
    before = snapshot(session)[:6]
    session.accept()
    region = session.undo()
    assert snapshot(session)[:6] == before
    assert not region.labels.any()
    session.redo()
    assert session.labels.max() == 1
    assert list(session.objects) == [1]


def test_an_undone_id_is_used_again(session):
    for name in ("bright", "grey"):
        session.add(Click(CENTERS[name]))
        session.accept()
    session.undo()
    session.set_prompts([Click(CENTERS["faint"])])
    assert session.accept() == 2
    assert not (session.labels[DISKS["grey"]] == 2).any()


def test_reset_drops_the_object_and_can_be_undone(session):
    session.add(Click(CENTERS["bright"]))
    mask = session.mask
    region = session.reset()
    assert not region.mask.any()
    assert not session.mask.any()
    session.undo()
    assert np.array_equal(session.mask, mask)
    session.reset()
    session.reset()
    session.undo()
    assert session.prompts


actions = st.lists(
    st.one_of(
        st.tuples(st.just("click"), st.sampled_from(list(CENTERS)), st.booleans()),
        st.tuples(st.sampled_from(["accept", "undo", "redo", "reset", "drop", "em"])),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(actions)
def test_undo_and_redo_are_inverse(steps):
    session = new_session()
    for step in steps:
        act(session, step)
        taken = session.labels.copy()
        if session.can_undo:
            here = snapshot(session)[:6]
            session.undo()
            session.redo()
            assert snapshot(session)[:6] == here
        assert np.array_equal(session.labels, taken)
        assert set(np.unique(session.labels)) - {0} == set(session.objects)
    states = [snapshot(session)[:6]]
    while session.undo() is not None:
        states.append(snapshot(session)[:6])
    assert not session.prompts
    assert not session.objects
    for _ in states[1:]:
        session.redo()
    assert snapshot(session)[:6] == states[0]


def act(session, step):
    kind = step[0]
    if kind == "click":
        session.add(Click(CENTERS[step[1]], step[2]))
    elif kind == "drop":
        session.set_prompts(session.prompts[1:])
    elif kind == "em":
        session.value_propagation = not session.value_propagation
    elif kind == "accept":
        try:
            session.accept()
        except SessionError:
            assert not (session.mask & (session.labels == 0)).any()
    else:
        getattr(session, kind)()


def test_history_forgets_but_keeps_working(session):
    session._history._max_bytes = 300_000
    for row in range(30):
        session.set_prompts([Click((row + 60, 80))])
    assert session._history.nbytes <= 300_000
    assert session.undo() is not None


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param(Click((-1, 10)), id="above"),
        pytest.param(Click((10, 340)), id="right"),
        pytest.param(Click((1e9, 10)), id="far"),
        pytest.param(Box((300, 10), (400, 50)), id="box-below"),
        pytest.param(Box((-9, 10), (-0.5, 50)), id="box-on-the-rim"),
        pytest.param(Scribble([(-9, -9), (-2, 5)]), id="scribble-above"),
        pytest.param(PriorMask(np.ones((5, 5), bool), (260, 0)), id="mask-below"),
    ],
)
def test_prompts_outside_the_image_are_refused(session, prompt):
    session.add(Click(CENTERS["bright"]))
    before = snapshot(session)
    with pytest.raises(PromptError, match="rows are 0 to 259 and columns 0 to 339"):
        session.add(prompt)
    assert snapshot(session) == before


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param(Click((-0.5, 339.4)), id="rim"),
        pytest.param(Box((-30, -30), (100, 100)), id="box-over-the-rim"),
        pytest.param(Scribble([(70, 80), (70, -50)]), id="scribble-over-the-rim"),
        pytest.param(PriorMask(np.ones((90, 90), bool), (-10, -10)), id="mask-over-the-rim"),
    ],
)
def test_prompts_that_reach_into_the_image_are_taken(session, prompt):
    session.add(prompt)
    assert session.prompts == (prompt,)


def test_what_lies_outside_the_image_does_not_move_the_view(session):
    session.add(Box((-5000, -5000), (100, 100)))
    assert session.view.extent < 300
    ((drawn,), _, _) = session._predictor.decoded[-1]
    assert drawn.start == pytest.approx(session.view.to_view((-0.5, -0.5)))
    session.set_prompts([Scribble([(70, 80), (70, -5000)])])
    assert session.view.extent < 800


def test_what_is_no_prompt_is_refused(session):
    with pytest.raises(PromptError, match="not tuple"):
        session.add((3, 4))


@pytest.mark.parametrize("value", [0, 1, -1, 2, float("nan")])
def test_bad_thresholds_are_refused(session, value):
    with pytest.raises(SessionError, match="between 0 and 1"):
        session.threshold = value
    assert session.threshold == 0.5


@pytest.mark.parametrize("value", [0, -5, float("nan"), float("inf")])
def test_bad_canvas_extents_are_refused(session, value):
    with pytest.raises(SessionError, match="positive"):
        session.canvas_extent = value
    assert session.canvas_extent is None


def test_the_canvas_guides_the_first_view(session):
    first = []
    for extent in (60, 2000):
        session.canvas_extent = extent
        looked = session._predictor.decoded
        looked.clear()
        session.set_prompts([Click(CENTERS["faint"]), Click((61, 264))])
        one, two = looked[0][0]
        first.append(np.subtract(two.position, one.position).max())
        session.reset()
    assert first[0] > first[1]


def test_the_last_object_guides_the_first_view(session):
    session.add(Click(CENTERS["bright"]))
    session.accept()
    encoded = session._predictor.encoded
    request = session.request([Click(CENTERS["grey"])])
    assert request.object_length == pytest.approx(51, abs=2)
    session.commit(session.compute(request))
    assert session._predictor.encoded - encoded <= 6


def test_an_exception_leaves_everything_as_it_was(session):
    session.add(Click(CENTERS["bright"]))
    session.accept()
    session.add(Click(CENTERS["grey"]))
    before = snapshot(session)
    session._predictor.broken = True
    with pytest.raises(RuntimeError, match="out of memory"):
        session.add(Click((10, 10), False))
    with pytest.raises(RuntimeError, match="out of memory"):
        session.value_propagation = True
    assert snapshot(session) == before
    session._predictor.broken = False
    session.add(Click((10, 10), False))
    assert len(session.prompts) == 2


def test_an_exception_during_undo_leaves_everything_as_it_was():
    session = Session(ImageSource(np.stack([IMAGE, IMAGE]), axes="ZYX"), FloodPredictor())
    session.add(Click(CENTERS["bright"]))
    session.accept()
    session.add(Click(CENTERS["grey"]))
    session.plane = (1,)
    session.value_propagation = True
    session.delete(1)
    before = (session.plane, *snapshot(session))
    session._predictor.broken = True
    with pytest.raises(RuntimeError, match="out of memory"):
        session.undo()  # goes to the first plane, whose object has to be seen with EM
    assert (session.plane, *snapshot(session)) == before
    session._predictor.broken = False
    assert session.undo().plane == session.plane == (0,)
    assert session.labels.any()


def test_the_threshold_moves_the_mask_without_the_network(session):
    session.add(Click(CENTERS["grey"]))
    calls, middle = len(session._predictor.decoded), session.mask
    session.threshold = 0.05
    low = session.mask
    session.threshold = 0.95
    high = session.mask
    assert len(session._predictor.decoded) == calls
    assert high.sum() < middle.sum() < low.sum()
    assert (high <= middle).all()
    assert (middle <= low).all()
    session.threshold = 0.5
    assert np.array_equal(session.mask, middle)


def test_the_em_switch_goes_both_ways(session):
    session.add(Click(CENTERS["grey"]))
    off = session.mask
    session.value_propagation = True
    on = session.mask
    assert on.sum() < off.sum()
    calls = len(session._predictor.decoded)
    session.value_propagation = False
    assert np.array_equal(session.mask, off)
    session.value_propagation = True
    assert np.array_equal(session.mask, on)
    assert len(session._predictor.decoded) == calls, "both results are kept"
    assert session.history == ("Click", "EM on", "EM off", "EM on")
    for mask in (off, on, off):
        session.undo()
        assert np.array_equal(session.mask, mask)
    assert len(session._predictor.decoded) == calls


def test_the_em_switch_shows_what_clicking_with_it_would_have(session):
    session.add(Click(CENTERS["grey"]))
    session.value_propagation = True
    other = new_session()
    other.value_propagation = True
    other.add(Click(CENTERS["grey"]))
    assert np.array_equal(session.mask, other.mask)
    assert other.last_timing.em_ms > 0


def test_em_from_the_beginning_is_no_step_and_stays_on(session):
    session.value_propagation = True
    session.add(Click(CENTERS["grey"]))
    session.add(Click((10, 10), False))
    session.undo()
    assert session.value_propagation
    assert session.mask.sum() < (DISKS["grey"]).sum() * 0.98
    session.undo()
    assert not session.can_undo
    assert session.value_propagation


@pytest.mark.parametrize("em", [False, True])
@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.95])
def test_clicked_pixels_end_on_their_side(session, em, threshold):
    session.value_propagation = em
    session.threshold = threshold
    positive = [(70, 80), (5, 5), (70, 105), (259, 339)]
    negative = [(70, 90), (200, 240), (0, 0)]
    session.set_prompts([Click(p) for p in positive] + [Click(p, False) for p in negative])
    assert all(session.mask[position] for position in positive)
    assert not any(session.mask[position] for position in negative)


def test_only_the_newest_request_is_taken(session):
    old = session.request([Click(CENTERS["bright"])])
    new = session.request([Click(CENTERS["grey"])])
    assert not session.is_current(old)
    assert session.is_current(new)
    answer = session.compute(old)
    assert session.commit(answer) is None
    assert session.prompts == ()
    assert session.commit(session.compute(new)) is not None
    assert iou(session.mask, DISKS["grey"]) > 0.93
    assert session.commit(answer) is None


@pytest.mark.parametrize("action", ["undo", "redo", "reset", "accept"])
def test_an_answer_is_stale_after_another_action(session, action):
    session.add(Click(CENTERS["bright"]))
    if action == "redo":
        session.add(Click(CENTERS["grey"]))
        session.undo()
    answer = session.compute(session.request([Click(CENTERS["faint"])]))
    getattr(session, action)()
    after = snapshot(session)
    assert session.commit(answer) is None
    assert snapshot(session) == after


def test_an_answer_is_taken_once(session):
    answer = session.compute(session.request([Click(CENTERS["bright"])]))
    assert session.commit(answer) is not None
    assert session.commit(answer) is None
    session.undo()
    assert not session.can_undo


def test_computing_changes_nothing(session):
    session.add(Click(CENTERS["bright"]))
    request = session.request([Click(CENTERS["grey"])])
    before = snapshot(session)
    session.compute(request)
    assert snapshot(session) == before


def test_a_threshold_set_while_computing_counts(session):
    request = session.request([Click(CENTERS["grey"])])
    answer = session.compute(request)
    session.threshold = 0.05
    session.commit(answer)
    other = new_session()
    other.threshold = 0.05
    other.add(Click(CENTERS["grey"]))
    assert np.array_equal(session.mask, other.mask)


def test_the_em_switch_can_ride_on_a_request(session):
    session.add(Click(CENTERS["grey"]))
    request = session.request(session.prompts, value_propagation=True)
    assert not session.value_propagation
    session.commit(session.compute(request))
    assert session.value_propagation
    assert session.history == ("Click", "EM on")


def test_many_threads_may_compute_at_once(session):
    names = list(CENTERS) * 4
    requests = [session.request([Click(CENTERS[name])]) for name in names]
    answers = [None] * len(names)

    def work(index):
        answers[index] = session.compute(requests[index])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [session.commit(answer) is not None for answer in answers] == [False] * 11 + [True]
    for name, answer in zip(names, answers, strict=True):
        row0, col0, row1, col1 = answer.drawing.box
        assert iou(answer.drawing.mask, DISKS[name][row0:row1, col0:col1]) > 0.9


def test_nothing_reads_or_makes_whole_images():
    class Spy:
        shape, dtype = (20_000, 20_000), np.dtype(np.uint8)

        def __init__(self):
            self.pixels = 0

        def __getitem__(self, index):
            rows, cols = (np.arange(20_000)[i] for i in index)
            near = np.hypot(rows[:, None] - 10_000, cols - 10_000)
            self.pixels += near.size
            return ((near < 300) * 200 + rows[:, None] % 3).astype(np.uint8)

    spy = Spy()
    session = Session(ImageSource(spy), FloodPredictor())
    spy.pixels = 0
    session.canvas_extent = 3000
    region = session.add(Click((10_000, 10_000)))
    assert region.mask.sum() == pytest.approx(np.pi * 300**2, rel=0.05)
    assert region.mask.size < 700**2
    views = session.last_timing.views
    assert spy.pixels <= views * 1030**2
    spy.pixels = 0
    session.add(Click((10_000, 10_100)))
    assert spy.pixels == 0
    assert not session._labels.allocated


def test_tiny_images_work():
    for shape in [(1, 2), (3, 1), (5, 5)]:
        image = np.zeros(shape)
        image[0, 0] = 1
        session = Session(ImageSource(image), FloodPredictor())
        session.add(Click((0, 0)))
        assert session.mask[0, 0]
        assert session.accept() == 1


def test_repeating_a_session_gives_the_same_bits():
    masks = []
    for _ in range(2):
        session = new_session()
        for name in CENTERS:
            session.add(Click(CENTERS[name]))
        masks.append((session.probability.tobytes(), session.view))
    assert masks[0] == masks[1]
