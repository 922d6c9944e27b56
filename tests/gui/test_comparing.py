"""The mask without and with spreading of corrections, side by side."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_pvpu import Click
from napari_pvpu.insight import PropagationComparison
from napari_pvpu.napari_side import comparing
from napari_pvpu.napari_side.comparing import ADDED, REMOVED, RIM, SIDE, picture
from napari_pvpu.napari_side.views.compare_section import CompareSection
from napari_pvpu.records import Timing
from napari_pvpu.source import ImageSource


def test_what_changes_is_tinted_in_both_pictures() -> None:
    image = np.zeros((64, 64), np.float32)
    image[0, 0] = 1
    without, propagated = np.zeros((2, 20, 20), bool)
    without[2:10, 2:18] = True
    propagated[6:18, 2:18] = True
    comparison = PropagationComparison(
        20, 20, without, propagated, without != propagated, Timing(), Timing()
    )
    drawn = picture(ImageSource(image), comparison)
    pixel = SIDE / 30  # 30 data pixels to a side, the box of 20 in their middle

    def at(number, row, col):
        return drawn[number][round((row + 5.5) * pixel), round((col + 5.5) * pixel)]

    added, removed = (np.array(color) * 0.55 for color in (ADDED, REMOVED))
    for number in (0, 1):
        assert drawn[number].shape == (SIDE, SIDE, 3)
        np.testing.assert_allclose(at(number, 14, 9), added, atol=2)
        np.testing.assert_allclose(at(number, 4, 9), removed, atol=2)
        np.testing.assert_allclose(at(number, 8, 9), 0, atol=2)
        assert (drawn[number] == RIM).all(axis=-1).any()
    for number, row in ((0, 9), (1, 17)):
        lowest = np.flatnonzero((drawn[number] == RIM).all(axis=-1).any(axis=1)).max()
        assert lowest == pytest.approx((row + 6) * pixel, abs=pixel / 2)


@pytest.fixture
def controller(make_flooded, blobs):
    controller = make_flooded(np.stack([blobs, blobs]))
    assert controller.wait()
    return controller


@pytest.mark.gui
def test_it_is_done_beside_the_window_and_follows_the_object(
    controller, monkeypatch, notices, qtbot
) -> None:
    section = CompareSection(controller)
    qtbot.addWidget(section)
    controller.changed.connect(section.render_state)
    controller.compare_propagation()
    assert any("mark an object first" in told for told in notices())
    controller.stop_comparing()

    threads, real = [], comparing.picture

    def noted(*given):
        threads.append(threading.current_thread())
        return real(*given)

    monkeypatch.setattr(comparing, "picture", noted)
    controller.add(Click((30, 40)))
    controller.wait()
    steps = controller.history
    section.compare.click()
    assert controller.wait()
    compared = controller.compared
    known = controller.session.compare_propagation()
    gained = known.propagated & ~known.without
    assert (compared.added, compared.removed) == (
        int(gained.sum()), int((known.changed & ~gained).sum()),
    )  # fmt: skip
    assert compared.removed > 0
    assert 0 < compared.times[0] <= compared.times[1]
    assert controller.history == steps, "nothing of the session has changed"
    assert not section.pair.isHidden()
    assert section.pair.captions[0].text().startswith("EM off · ")
    assert section.pair.captions[1].text().endswith(" ms")
    assert f"{compared.removed} pixels taken away" in section.pair.changes.text()

    controller.add(Click((60, 90)))
    controller.wait()
    assert controller.compared is not compared, "it follows the object"
    assert threads
    assert threading.main_thread() not in threads

    section.larger.click()
    assert section.window_.isVisible()
    section.window_.on.click()
    controller.wait()
    assert controller.value_propagation
    assert not section.window_.isVisible()
    section.compare.click()
    assert controller.compared is None
    assert section.pair.isHidden()
    controller.changed.disconnect(section.render_state)
