"""Random gestures in a real window, and then the same again without one: the labels are equal.

``NAPARI_PVPU_LONG=120`` goes on for that many seconds; ``NAPARI_PVPU_SEEDS=5,6`` begins otherwise.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from napari import Viewer
from qtpy.QtTest import QTest

from async_viewer import AsyncViewer
from gestures import Hand, Shown
from napari_pvpu.journal import read_journal
from napari_pvpu.replay import replay
from napari_pvpu.segmenter import Segmenter

pytestmark = pytest.mark.gui

LONG = float(os.environ.get("NAPARI_PVPU_LONG", "0"))
FEW = 15
"""Gestures of each short run."""


def two_images(blobs):
    return [blobs, 255 - blobs], {}


def transformed(blobs):
    return [np.repeat(blobs, 2, axis=1)], {"scale": (1.5, 0.75), "rotate": 15, "translate": (9, -4)}


def volume(blobs):
    return [np.stack([blobs, blobs[::-1], blobs[:, ::-1]])], {"scale": (3, 1, 1)}


CASES = {
    "two-images": (two_images, Viewer, "dark"),
    "transformed": (transformed, Viewer, "dark"),
    "volume": (volume, Viewer, "dark"),
    "volume-async-light": (volume, AsyncViewer, "light"),
}
SEEDS = [int(seed) for seed in os.environ.get("NAPARI_PVPU_SEEDS", "1").split(",")]


@pytest.fixture(params=CASES)
def desk(request, make_napari_viewer, blobs):
    """A viewer on the screen with the panel, all of it unfolded, and an image to work on."""
    make_images, kind, theme = CASES[request.param]
    viewer = make_napari_viewer(ViewerClass=kind, show=True, strict_qt="raise")
    viewer.theme = theme
    images, options = make_images(blobs)
    for data in images:
        image = viewer.add_image(data, name="blobs", **options)
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    viewer.window.resize(1100, 1100)
    for fold in panel.folds.values():
        fold.expand(animate=False)
    viewer.dims.point = (0,) * viewer.dims.ndim
    QTest.qWait(50)
    viewer.reset_view()
    QTest.qWait(50)
    assert panel.controller.wait()
    return viewer, panel, image


def check(controller) -> None:
    """Everything shown is what the session knows."""
    work = controller.workspace
    session, frame = work.session, work.frame
    assert work.prompts.read() == session.prompts_in(frame.plane)
    shown = work.results.layer.data.reshape(session.labels.shape)
    np.testing.assert_array_equal(shown, session.labels)
    for name, value in work.settings.items():
        assert getattr(session, name) == value == getattr(controller, name)
    for object_id, record in session.objects.items():
        for plane, (row0, col0, row1, col1) in record.boxes.items():
            here = session.labels[plane] == object_id
            assert here[row0:row1, col0:col1].sum() == here.sum() > 0
    if session.plane == frame.plane:
        np.testing.assert_array_equal(preview_of(work), session.mask)


def preview_of(work) -> np.ndarray:
    """Return the object at work as it is shown in its plane; its layer may have room around it."""
    pixels = work.preview.layer.data
    shown = pixels.reshape(pixels.shape[-2:]) > 0
    (row, col), (height, width) = work.preview.offset, shown.shape
    whole = np.zeros(work.frame.shape, bool)
    whole[row : row + height, col : col + width] = shown
    return whole


def play(hand, seconds: float) -> None:
    """Do gestures, a few or for some time; look after each that was answered."""
    end = time.monotonic() + seconds
    while time.monotonic() < end if seconds else len(hand.story) < FEW:
        hand.act()
        if hand.rest():
            check(hand.controller)
    assert hand.controller.wait()
    check(hand.controller)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_done_a_replay_comes_to_the_same(desk, make_mouse, weights, seed) -> None:
    viewer, panel, image = desk
    hand = Hand(viewer, panel, make_mouse(viewer, Shown(viewer, image)), seed)
    try:
        play(hand, LONG / (len(CASES) * len(SEEDS)))
    except BaseException as error:
        last = "\n".join(hand.story[-25:])
        error.add_note(f"after {len(hand.story)} gestures with seed {seed}, the last:\n{last}")
        raise
    finally:
        hand.close()
    segmenter = Segmenter(str(weights), device="cpu")
    for layer in panel.controller.images:
        panel.controller.image = layer
        assert panel.controller.wait()
        compare(panel.controller, segmenter)
    print(f"{len(hand.story)} gestures")


def compare(controller, segmenter) -> None:
    """Replay the file of the session at work, without the screen, and compare what there is."""
    session, shown = controller.session, controller.workspace.results.layer.data
    recorded = read_journal(session.journal.path)
    assert len(recorded.operations) == len(session.operations)
    again = replay(recorded, controller.image.data, segmenter)
    np.testing.assert_array_equal(shown.reshape(again.labels.shape), again.labels)
    assert again.objects == session.objects
    assert again.history == session.history
    for plane in np.ndindex(*session.plane_shape):
        assert again.prompts_in(plane) == session.prompts_in(plane)
