"""Correcting objects with the mouse and the keyboard, in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog, QPushButton

from napari_pvpu import Click, prompting
from napari_pvpu.errors import OverlapError
from napari_pvpu.insight import ADVICE
from napari_pvpu.napari_side import commands
from napari_pvpu.napari_side.panel import Panel
from napari_pvpu.napari_side.questions import ask_number, ask_overlap
from napari_pvpu.prompts import PriorMask

pytestmark = pytest.mark.gui

ALT = Qt.KeyboardModifier.AltModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
TWO = np.zeros((96, 128), np.uint16)
TWO[20:40, 30:50] = 1
TWO[20:40, 50:70] = 2


@pytest.fixture
def adopted(controller, viewer):
    layer = viewer.add_labels(TWO.copy(), name="theirs")
    controller.adopt(layer)
    viewer.layers.remove(layer)
    controller.use_clicks()
    assert controller.wait()
    return viewer.layers["blobs objects"]


def test_alt_click_opens_an_object_and_accepting_keeps_its_id(
    controller, viewer, mouse, adopted, qtbot
) -> None:
    np.testing.assert_array_equal(adopted.data, TWO)
    mouse.click((30, 60), ALT)
    qtbot.waitUntil(lambda: controller.session.opened == 2)
    assert controller.workspace.prompts.read()[0].mask.all()
    assert not (adopted.data == 2).any()
    assert len(viewer.layers["Clicks"].data) == 0, "the click is no prompt"
    assert controller.tool is not None, "the tool is back in the hand"
    mouse.press_key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(adopted.data, TWO)
    mouse.press_key(Qt.Key.Key_O)
    assert controller.session.opened == 2


def test_object_of_any_layer_is_opened_under_its_id(controller, viewer, mouse, qtbot) -> None:
    small = np.zeros((48, 64), np.int64)
    small[10:20, 15:25] = 7
    viewer.add_labels(small, name="cellpose", scale=(2, 2), translate=(0.5, 0.5))
    controller.use_clicks()
    mouse.click((30, 40), ALT)
    qtbot.waitUntil(lambda: controller.workspace.has_object)
    [prior] = controller.session.prompts
    assert isinstance(prior, PriorMask)
    assert controller.accept() == 7
    np.testing.assert_array_equal(controller.session.labels[20:40, 30:50], 7)
    assert (controller.session.labels > 0).sum() == 400
    assert (small == 7).sum() == 100, "the other layer stays as it is"


def test_merging_by_the_mouse_and_edits_by_keys(controller, viewer, mouse, adopted, qtbot) -> None:
    controller.open_object(1)
    controller.accept()
    mouse.click((30, 60), ALT | SHIFT)
    qtbot.waitUntil(lambda: list(controller.session.objects) == [1])
    assert (adopted.data[20:40, 30:70] == 1).all()
    mouse.press_key(Qt.Key.Key_Period)
    assert (adopted.data > 0).sum() > 800
    mouse.press_key(Qt.Key.Key_Comma)
    assert adopted.data[20:40, 30:70].all()
    mouse.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (adopted.data > 0).sum() > 800
    mouse.press_key(Qt.Key.Key_D, SHIFT)
    assert not adopted.data.any()
    controller.go_to(0)
    np.testing.assert_array_equal(adopted.data, TWO)


def test_line_cuts_an_object(controller, viewer, mouse, adopted, qtbot) -> None:
    mouse.click((30, 60), ALT)
    qtbot.waitUntil(lambda: controller.session.opened == 2)
    mouse.press_key(Qt.Key.Key_K)
    mouse.drag([(30, 46), (30, 74)])
    assert controller.wait()
    assert sorted(controller.session.objects) == [1, 2, 3]
    assert not controller.workspace.has_object
    assert len({adopted.data[22, 60], adopted.data[38, 60]}) == 2
    assert controller.history == ("Open object 2", "Split object 2")


def test_double_click_accepts(controller, viewer, mouse, qtbot) -> None:
    mouse.double_click((30, 40))
    qtbot.waitUntil(lambda: list(controller.session.objects) == [1], timeout=20000)
    assert len(controller.session.objects[1].prompts) == 1


@pytest.fixture
def crossing(controller, adopted):
    """A mask half of which is object 1's."""
    controller.session.open_mask(np.ones((10, 20), bool), offset=(35, 30))
    controller.workspace.follow()
    return adopted


@pytest.mark.parametrize(("rule", "owner"), [("keep", 1), ("overwrite", 3)])
def test_overlap_rule_decides(controller, crossing, rule, owner) -> None:
    controller.overlap = rule
    assert controller.accept() == 3
    assert crossing.data[36, 31] == owner
    assert controller.question is None


@pytest.mark.parametrize(
    ("button", "owner", "accepted"),
    [
        pytest.param("Leave them to the others", 1, True, id="leave"),
        pytest.param("Take them", 3, True, id="take"),
        pytest.param(None, 1, False, id="let be"),
    ],
)
def test_user_is_asked_and_napari_goes_on(
    controller, crossing, mouse, button, owner, accepted, qtbot
) -> None:
    controller.overlap = "ask"
    mouse.press_key(Qt.Key.Key_Return)
    question = controller.question
    assert "100 pixels of this object belong to others already: 100 to object 1." in question.text()
    assert (crossing.data == 3).sum() == 0, "nothing has happened yet, and nothing stands still"
    if button is None:
        QTest.keyClick(question, Qt.Key.Key_Escape)
    else:
        next(each for each in question.buttons() if each.text() == button).click()
    assert crossing.data[36, 31] == owner
    assert (3 in controller.session.objects) == accepted
    assert controller.workspace.has_object != accepted
    assert controller.overlap == "ask"


def test_answer_holds_from_now_on_if_wished(controller, crossing) -> None:
    controller.overlap = "ask"
    assert controller.accept() is None
    controller.question.checkBox().setChecked(True)
    controller.question.defaultButton().click()
    assert controller.overlap == "keep"
    assert 3 in controller.session.objects


def answer(question, text: str) -> None:
    next(each for each in question.buttons() if each.text() == text).click()


@pytest.mark.parametrize(
    ("button", "owner"), [("Leave them to the others", 2), ("Take them", 1), (None, 2)]
)
def test_user_is_asked_about_an_edit(controller, adopted, notices, button, owner) -> None:
    controller.overlap = "ask"
    controller.open_object(1)
    assert controller.accept() == 1
    controller.grow_object()
    assert "20 to object 2" in controller.question.text()
    assert adopted.data[30, 50] == 2
    if button is None:
        controller.question.reject()
    else:
        answer(controller.question, button)
    assert adopted.data[30, 50] == owner
    assert (adopted.data[19, 40] == 1) == (button is not None)
    assert not [notice for notice in notices() if "overlap=" in notice]


def test_edit_of_an_object_at_work_goes_on_after_the_answer(controller, crossing) -> None:
    controller.overlap = "ask"
    controller.grow_object()
    assert 3 not in controller.session.objects
    answer(controller.question, "Take them")
    assert controller.question is None, "one question for one action"
    assert controller.history[-1] == "Grow object 3"
    assert crossing.data[34, 31] == 3, "a pixel of object 1 that the growth has come to"
    assert not controller.workspace.has_object


def test_edit_is_dropped_with_the_question(controller, crossing) -> None:
    controller.overlap = "ask"
    controller.grow_object()
    controller.question.reject()
    assert controller.accept() is None
    answer(controller.question, "Take them")
    assert controller.history[-1] == "Accept object 3", "nothing is left of the edit before"


@pytest.mark.parametrize(
    "edit", ["fill_holes", "smooth_object", "grow_object", "shrink_object", "delete_object"]
)
def test_edit_of_an_opened_object_is_one_step(controller, adopted, edit) -> None:
    labels = TWO.copy()
    labels[28:32, 38:42] = 0  # a hole
    controller.session.paint_labels(labels)
    controller.open_object(1)
    steps = controller.history
    getattr(controller, edit)()
    assert len(controller.history) == len(steps) + 1
    np.testing.assert_array_equal(adopted.data, controller.session.labels)
    assert (adopted.data != labels).any()
    changed = adopted.data.copy()
    controller.undo()
    assert controller.session.opened == 1
    assert not (adopted.data == 1).any()
    controller.redo()
    np.testing.assert_array_equal(adopted.data, changed)


def test_edit_without_effect_joins_nothing(controller, adopted) -> None:
    controller.open_object(1)
    controller.fill_holes()
    assert controller.history == ("Open object 1", "Accept object 1")
    controller.fill_holes()
    controller.grow_object()
    assert controller.history[-2:] == ("Accept object 1", "Grow object 1"), "accepted before"


def test_question_goes_when_napari_is_closed(controller, crossing, qtbot) -> None:
    controller.overlap = "ask"
    controller.accept()
    with qtbot.waitSignal(controller.question.destroyed):
        controller.close()


def test_objects_are_merged_relabelled_and_rid_of_small_parts(
    controller, viewer, mouse, adopted, qtbot
) -> None:
    mouse.click((30, 40), ALT)
    qtbot.waitUntil(lambda: controller.session.opened == 1)
    controller.accept()
    mouse.click((30, 60), SHIFT | ALT)
    qtbot.waitUntil(lambda: list(controller.session.objects) == [1])
    controller.session.paint(np.ones((2, 2), bool), offset=(5, 5))
    controller.workspace.follow()
    controller.relabel_object()
    assert controller.question.intValue() == 3
    controller.question.setIntValue(9)
    controller.question.accept()
    assert list(controller.session.objects) == [1, 9]
    assert "Accept object 2" not in controller.history, "one step with what follows"
    controller.relabel(1)
    assert list(controller.session.objects) == [1, 9], "the number is taken, which is told"
    controller.remove_small(5)
    assert 9 in controller.session.objects, "nothing would be left"
    assert controller.history[-1] == "Relabel 2 as 9"


def number() -> tuple[QDialog, list[bool]]:
    """Ask for a number, and note whether the question outlives what is done with it."""
    there: list[bool] = []

    def wait_for_something(value: int) -> None:
        for _ in range(20):
            QApplication.processEvents()
        there.append(isalive(dialog))

    dialog = ask_number("Number", "Which?", 3, 1, 9, wait_for_something)
    return dialog, there


def overlap() -> tuple[QDialog, list[bool]]:
    """Do as `number` for the question whose pixels they are."""
    there: list[bool] = []

    def wait_for_something(rule: str, always: bool) -> None:
        for _ in range(20):
            QApplication.processEvents()
        there.append(isalive(dialog))

    dialog = ask_overlap(OverlapError(1, {2: 30}), wait_for_something)
    return dialog, there


@pytest.mark.parametrize("ask", [number, overlap])
def test_questions_stay_while_one_acts_on_their_answers(qapp, qtbot, ask) -> None:
    dialog, there = ask()
    [button, *_] = [each for each in dialog.findChildren(QPushButton) if each.isEnabled()]
    QTimer.singleShot(0, button.click)  # from an event, as a mouse does
    qtbot.waitUntil(lambda: there == [True])
    qtbot.waitUntil(lambda: not isalive(dialog))


@pytest.mark.parametrize("ask", [number, overlap])
def test_questions_that_are_put_away_go(qapp, qtbot, ask) -> None:
    dialog, there = ask()
    QTimer.singleShot(0, dialog.reject)
    qtbot.waitUntil(lambda: not isalive(dialog))
    assert there == []


def test_history_is_listed_and_gone_through(controller, viewer, qtbot) -> None:
    panel = Panel(viewer)
    controller.add(Click((30, 40)))
    controller.accept()
    steps = panel.history.steps
    assert [steps.item(row).text() for row in range(steps.count())] == [
        "Beginning",
        "Click",
        "Accept object 1",
    ]
    assert steps.currentRow() == 2
    steps.itemClicked.emit(steps.item(1))
    assert controller.workspace.prompts.read() == (Click((30, 40)),)
    assert steps.currentRow() == 1
    panel.close()


def test_sliders_shape_the_mask(controller, viewer) -> None:
    panel = Panel(viewer)
    mask = np.zeros((30, 30), bool)
    mask[5:20, 5:20] = True
    mask[25:27, 25:27] = True
    controller.session.open_mask(mask, offset=(20, 20))
    controller.workspace.follow()
    assert controller.session.mask.sum() == 229
    panel.mask.min_size.setValue(10)
    assert controller.session.mask.sum() == 225
    panel.mask.smoothing.setValue(3.0)
    assert controller.session.smoothing == 3.0
    assert 0 < controller.session.mask.sum() < 225
    controller.undo()
    assert panel.mask.smoothing.value() == 0
    panel.close()


def test_overlays_show_what_the_network_thinks(controller, viewer, qtbot) -> None:
    panel = Panel(viewer)
    controller.add(Click((30, 40)))
    assert controller.wait()
    for name, title in (("probability", "Probability"), ("uncertainty", "Uncertainty")):
        panel.mask.overlays[name].setChecked(True)
        layer = viewer.layers[title]
        region = controller.session.region
        values = region.probability if name == "probability" else controller.session.uncertainty
        np.testing.assert_array_equal(layer.data, values)
        assert controller.tool is not None, "the tool stays in the hand"
        np.testing.assert_allclose(layer.data_to_world((0, 0)), (region.row, region.col))
    panel.mask.overlays["hint"].setChecked(True)
    assert [image.name for image in controller.images] == ["blobs"]
    hint = controller.session.next_click_hint()
    assert len(viewer.layers["Next click"].data) == (hint is not None)
    controller.accept()
    assert not viewer.layers["Probability"].data.any()
    viewer.layers.remove(viewer.layers["Uncertainty"])
    # Layers are looked at when napari has finished with what it is at.
    qtbot.waitUntil(lambda: not panel.mask.overlays["uncertainty"].isChecked())
    panel.mask.overlays["probability"].setChecked(False)
    assert "Probability" not in viewer.layers
    panel.close()


def test_return_to_best_can_be_undone(controller) -> None:
    for position in ((30, 40), (32, 44)):
        controller.add(Click(position))
    controller.add(Click((60, 90), positive=False))
    assert controller.wait()
    prompts, best = controller.session.prompts, controller.session.best.mask.sum()
    controller.return_to_best()
    assert controller.session.prompts == prompts
    assert controller.session.mask.sum() == best


def test_one_key_returns_to_the_best_mask_and_the_notice_names_it(
    controller, make_mouse, notices, monkeypatch
) -> None:
    monkeypatch.setattr(prompting, "notice_of", lambda *_: f"Worse; {ADVICE}.")
    controller.add(Click((30, 40)))
    assert controller.wait()
    assert notices()[-1] == ("Worse; return to the best mask so far (Shift+Z), or undo (Ctrl+Z).")
    returned: list[bool] = []
    monkeypatch.setattr(controller, "return_to_best", lambda: returned.append(True))
    mouse = make_mouse(controller.viewer, controller.image)
    mouse.press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ShiftModifier)
    commands.return_to_best(controller.viewer)
    assert returned == [True, True]
